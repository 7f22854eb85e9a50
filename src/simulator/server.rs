//! A listener on the loopback address that can be taken down, brought back on the same port, and
//! whose connections can be cut; plain or over TLS.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long a client may take for its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A served router. Dropping it ends the listener and all connections.
pub(super) struct Server {
    address: SocketAddr,
    app: Router,
    tls: Option<Arc<Mutex<Arc<ServerConfig>>>>,
    running: AsyncMutex<Option<JoinHandle<()>>>,
    /// Ends every connection that was accepted so far.
    end: Arc<Mutex<CancellationToken>>,
}

impl Server {
    /// Serves `app` on a free port of 127.0.0.1; over TLS where a configuration is given.
    pub(super) async fn start(app: Router, tls: Option<ServerConfig>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let server = Self {
            address: listener.local_addr()?,
            app,
            tls: tls.map(|config| Arc::new(Mutex::new(Arc::new(config)))),
            running: AsyncMutex::new(None),
            end: Arc::default(),
        };
        *server.running.lock().await = Some(server.serve(listener));
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another certificate, for connections from now on.
    pub(super) fn present(&self, config: ServerConfig) {
        if let Some(tls) = &self.tls {
            *tls.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        }
    }

    /// Ends every connection, but not the listener.
    pub(super) fn disconnect(&self) {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        // Connections accepted from now on hang on a new token; see `serve`.
        end.cancel();
        *end = CancellationToken::new();
    }

    /// Closes the port and every connection. Connecting is then refused.
    pub(super) async fn down(&self) {
        let running = self.running.lock().await.take();
        self.disconnect();
        if let Some(task) = running {
            task.abort();
            let _ = task.await;
        }
    }

    /// Opens the same port again.
    pub(super) async fn up(&self) -> io::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(self.serve(TcpListener::bind(self.address).await?));
        }
        Ok(())
    }
}

impl Server {
    fn serve(&self, listener: TcpListener) -> JoinHandle<()> {
        let (accepted, ready) = mpsc::channel(1);
        let accept = accept(listener, self.tls.clone(), self.end.clone(), accepted);
        let app = self.app.clone().into_make_service_with_connect_info::<Conn>();
        tokio::spawn(async move {
            let serve = axum::serve(Accepted(ready), app);
            // Neither ends: the task is aborted.
            let _ = tokio::join!(accept, async { serve.await });
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.disconnect();
        if let Some(task) = self.running.get_mut().take() {
            task.abort();
        }
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<Arc<Mutex<Arc<ServerConfig>>>>,
    end: Arc<Mutex<CancellationToken>>,
    accepted: mpsc::Sender<(Io, Conn)>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: wait for some to come free.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let conn = Conn(end.lock().unwrap_or_else(PoisonError::into_inner).child_token());
        match &tls {
            None => {
                let _ = accepted.send((Io::new(Box::new(stream), &conn), conn)).await;
            }
            Some(tls) => {
                let config = tls.lock().unwrap_or_else(PoisonError::into_inner).clone();
                tokio::spawn(shake_hands(config, stream, conn, accepted.clone()));
            }
        }
    }
}

async fn shake_hands(config: Arc<ServerConfig>, stream: TcpStream, conn: Conn, accepted: mpsc::Sender<(Io, Conn)>) {
    let handshake = tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream));
    if let Some(Ok(Ok(stream))) = conn.0.run_until_cancelled(handshake).await {
        let _ = accepted.send((Io::new(Box::new(stream), &conn), conn)).await;
    }
}

/// One connection of a client.
#[derive(Debug, Clone)]
pub(super) struct Conn(CancellationToken);

impl Conn {
    /// Ends the connection; what was not sent yet is lost.
    pub(super) fn cut(&self) {
        self.0.cancel();
    }
}

impl Connected<IncomingStream<'_, Accepted>> for Conn {
    fn connect_info(stream: IncomingStream<'_, Accepted>) -> Self {
        stream.remote_addr().clone()
    }
}

/// Connections that are ready for HTTP.
struct Accepted(mpsc::Receiver<(Io, Conn)>);

impl Listener for Accepted {
    type Io = Io;
    type Addr = Conn;

    async fn accept(&mut self) -> (Io, Conn) {
        match self.0.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Conn> {
        Ok(Conn(CancellationToken::new()))
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A stream that fails once its connection was cut.
struct Io {
    stream: Box<dyn Stream>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Io {
    fn new(stream: Box<dyn Stream>, conn: &Conn) -> Self {
        Self { stream, cut: Box::pin(conn.0.clone().cancelled_owned()) }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
