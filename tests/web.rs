//! The web server, asked as strangers, browsers, Prometheus and `graph2mqtt health` ask it.

#![cfg(test)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph2mqtt::actuator::LightState;
use graph2mqtt::bridge::Snapshot;
use graph2mqtt::web::{self, Actuator, Hosts, Site, Status, Unanswered, Verdict};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(10);

/// A server on a free port, and the status that it shows.
struct Server {
    address: SocketAddr,
    status: Arc<Mutex<Status>>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(status: Status) -> Self {
        let listener = web::bind("web.listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (status, stop) = (Arc::new(Mutex::new(status)), CancellationToken::new());
        let shown = Arc::clone(&status);
        let hosts = Hosts::new(address, &["presence.example.net".to_owned()]);
        let site = Site::health(hosts, move || shown.lock().unwrap().clone());
        let task = tokio::spawn(web::serve(listener, site, stop.clone().cancelled_owned()));
        Self { address, status, stop, task }
    }

    /// Sends `head` as it is and reads to the end.
    async fn say(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await.expect("the connection ends").unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.say(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)).await
    }
}

fn at_work() -> Status {
    Status {
        bridge: Some(Snapshot {
            connected: true,
            accounts: 3,
            accounts_online: 3,
            sign_ins_needed: 0,
            polls: 40,
            failures: 2,
            throttled: 1,
            published: 7,
        }),
        actuator: Some(Actuator {
            connected: true,
            lights: vec![LightState {
                name: "desk".parse().unwrap(),
                reachable: true,
                commands: 7,
                failures: 0,
                error: None,
            }],
            hubs: Vec::new(),
        }),
    }
}

fn code(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn health_is_200_while_the_roles_work_and_503_when_the_broker_is_gone() {
    let server = Server::start(at_work()).await;
    assert_eq!(code(&server.get("/healthz").await), "200");
    assert_eq!(web::ask(server.address, LIMIT).await.unwrap().status, Verdict::Ok);

    server.status.lock().unwrap().bridge.as_mut().unwrap().connected = false;
    assert_eq!(code(&server.get("/healthz").await), "503");
    let health = web::ask(server.address, LIMIT).await.unwrap();
    assert_eq!((health.status, health.broker_connected), (Verdict::Failing, false));
}

#[tokio::test]
async fn a_lost_light_is_told_but_does_not_fail_the_process() {
    let server = Server::start(at_work()).await;
    server.status.lock().unwrap().actuator.as_mut().unwrap().lights[0].reachable = false;
    let answer = server.get("/healthz").await;
    assert_eq!(code(&answer), "200");
    assert!(answer.contains("degraded") && answer.contains("desk"), "{answer}");
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let answer = Server::start(at_work()).await.get("/metrics").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
    for line in [
        "graph2mqtt_broker_connected{role=\"bridge\"} 1",
        "graph2mqtt_accounts_online 3",
        "graph2mqtt_polls_total 40",
        "graph2mqtt_poll_failures_total 2",
        "graph2mqtt_polls_throttled_total 1",
        "graph2mqtt_presences_published_total 7",
        "graph2mqtt_light_reachable{light=\"desk\"} 1",
        "graph2mqtt_light_commands_total{light=\"desk\"} 7",
    ] {
        assert!(body.lines().any(|found| found == line), "{line} is missing in\n{body}");
    }
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_role_that_does_not_run_here_has_no_metrics() {
    let server = Server::start(Status { actuator: None, ..at_work() }).await;
    assert!(!server.get("/metrics").await.contains("graph2mqtt_light"));
}

#[tokio::test]
async fn a_name_that_is_not_ours_is_refused_and_told_what_to_do() {
    let server = Server::start(at_work()).await;
    for head in [
        "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
        let answer = server.say(head).await;
        assert_eq!(code(&answer), "421", "{answer}");
        assert!(answer.contains("evil.example") && answer.contains("web.hosts"), "{answer}");
        assert!(!answer.contains("accounts"), "nothing is told: {answer}");
    }
    for host in ["localhost", "presence.example.net"] {
        assert_eq!(code(&server.say(&format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n")).await), "200");
    }
}

#[tokio::test]
async fn no_host_or_two_is_a_bad_request() {
    let server = Server::start(at_work()).await;
    assert_eq!(code(&server.say("GET /healthz HTTP/1.0\r\n\r\n").await), "400");
    let two = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
    assert_eq!(code(&server.say(two).await), "400");
}

#[tokio::test]
async fn there_is_only_reading_and_only_what_is_there() {
    let server = Server::start(at_work()).await;
    let answer = server.say("POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(code(&answer), "405");
    assert_eq!(code(&server.get("/etc/passwd").await), "404");
    let head = server.say("HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(code(&head) == "200" && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn every_answer_has_the_strict_headers() {
    let server = Server::start(at_work()).await;
    for head in ["GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"] {
        let answer = server.say(head).await;
        for header in ["cache-control: no-store", "content-security-policy: default-src 'none'", "nosniff"] {
            assert!(answer.contains(header), "{header} is missing in {answer}");
        }
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = Server::start(at_work()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    // The server may close before everything is sent.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer)).await.expect("the connection ends");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    assert!(answer.is_empty() || code(&answer) == "431", "{answer}");
}

#[tokio::test]
async fn clients_that_say_nothing_are_cut_off_and_others_are_served() {
    let server = Server::start(at_work()).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    let answer = tokio::time::timeout(Duration::from_secs(15), server.get("/healthz")).await;
    assert_eq!(code(&answer.expect("an answer, once the silent ones are cut off")), "200");
    let mut rest = Vec::new();
    tokio::time::timeout(LIMIT, silent[0].read_to_end(&mut rest)).await.expect("the silent one is cut off").unwrap();
}

#[tokio::test]
async fn it_stops_at_once_with_an_idle_client() {
    let server = Server::start(at_work()).await;
    let _idle = TcpStream::connect(server.address).await.unwrap();
    server.stop.cancel();
    tokio::time::timeout(Duration::from_secs(3), server.task).await.expect("it stops").unwrap();
    assert!(matches!(web::ask(server.address, LIMIT).await, Err(Unanswered::Nobody { .. })));
}

#[tokio::test]
async fn a_port_in_use_names_the_key_and_the_way_out() {
    let server = Server::start(at_work()).await;
    let error = web::bind("web.listen", server.address).await.unwrap_err().to_string();
    assert!(error.contains("web.listen") && error.contains(&server.address.to_string()), "{error}");
    assert!(error.contains("another program"), "{error}");
}

/// Answers every connection with `answer`, or not at all.
async fn stranger(answer: Option<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            if let Some(answer) = &answer {
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            kept.push(stream);
        }
    });
    address
}

#[tokio::test]
async fn asking_tells_nobody_from_a_stranger_from_one_that_hangs() {
    let html = "HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>".to_owned();
    let endless = format!("HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n{}", "x".repeat(100_000));
    for answer in [html, endless, "SSH-2.0-OpenSSH_9.2\r\n".to_owned()] {
        let error = web::ask(stranger(Some(answer)).await, LIMIT).await.unwrap_err();
        assert!(matches!(error, Unanswered::Stranger { .. }), "{error}");
        assert!(error.to_string().contains("web.listen"), "{error}");
    }
    let error = web::ask(stranger(None).await, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, Unanswered::TooLate { .. }), "{error}");
}
