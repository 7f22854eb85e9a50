//! A scripted peer for what no broker at hand does: odd answers, refused subscriptions, quotas.

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{ConnAck, ConnectReturnCode, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Listens on a free port and plays `script` with each connection. Answers CONNECT by itself.
pub async fn broker<F>(script: F) -> u16
where
    F: Fn(Packet) -> Vec<Packet> + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = BytesMut::new();
            while let Some(packet) = read(&mut stream, &mut buffer).await {
                let answers = match packet {
                    Packet::Connect(..) => vec![accepted()],
                    other => script(other),
                };
                for answer in answers {
                    let mut bytes = BytesMut::new();
                    answer.write(&mut bytes, None).unwrap();
                    stream.write_all(&bytes).await.unwrap();
                }
            }
        }
    });
    port
}

/// Listens on a free port, answers whatever comes first with these bytes, and closes.
pub async fn answers(bytes: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    port
}

fn accepted() -> Packet {
    Packet::ConnAck(ConnAck { session_present: false, code: ConnectReturnCode::Success, properties: None })
}

async fn read(stream: &mut TcpStream, buffer: &mut BytesMut) -> Option<Packet> {
    loop {
        if let Ok(packet) = Packet::read(buffer, None) {
            return Some(packet);
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}
