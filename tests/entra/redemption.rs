//! What comes back where a code is redeemed, when it is no answer: cut, a page, gigabytes, or nothing, ever.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use graph2mqtt::entra::{Arrival, Trouble};
use graph2mqtt::simulator::{Fault, What};
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{advance, pause, resume, sleep, timeout};

use crate::browser::{begin, browser, posted, way, world};
use crate::visitor;
use crate::world::{http, upn};

#[tokio::test]
async fn what_is_no_answer_to_a_code_is_told_and_nothing_is_kept() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    for (what, words) in [
        (What::Html, "something else than JSON"),
        (What::Garbage, "something else than JSON"),
        (What::Cut, "does not answer"),
        (What::Lost, "does not answer"),
        (What::CutBody, "does not answer"),
        (What::Endless, "sends more than 1024 KiB"),
        (What::status(200, format!(r#"{{"access_token":"{}"}}"#, "x".repeat(2 << 20))), "sends more than 1024 KiB"),
        (What::status(200, ""), "something else than JSON"),
        (What::status(200, "{\"access_token\":"), "something else than JSON"),
        (What::status(200, "[".repeat(100_000)), "something else than JSON"),
        (What::status(200, "{}"), "JSON that is not what was asked for"),
        (What::status(200, r#"{"access_token":7}"#), "JSON that is not what was asked for"),
        (What::status(302, ""), "HTTP 302"),
        (What::status(400, "<html>"), "HTTP 400"),
        (What::status(404, ""), "HTTP 404"),
        (What::status(500, ""), "cannot serve the request now"),
        (What::retry_after(503, 7), "cannot serve the request now"),
    ] {
        world.cloud.fault(Fault::new("/token", what.clone()));
        let trouble = way(&tokens, "alex").await.unwrap_err();
        let text = trouble.to_string();
        assert!(matches!(trouble, Trouble::Retry { .. }) && text.contains(words), "{what:?}: {text}");
        assert!(text.contains("; begin again") && !text.contains("tried again"), "somebody waits: {text}");
        world.cloud.clear_faults();
        assert!(world.store().await.grants().await.unwrap().is_empty(), "{what:?}");
    }
    way(&tokens, "alex").await.expect("who begins again is signed in");
}

#[tokio::test]
async fn a_code_that_entra_could_not_take_is_shown_again_before_the_person_has_to_begin_again() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let busy = r#"{"error":"temporarily_unavailable","error_description":"AADSTS90033: x","error_codes":[90033]}"#;
    for what in [What::retry_after(503, 1), What::status(400, busy)] {
        world.cloud.fault(Fault::new("/token", what).times(1));
    }
    way(&tokens, "alex").await.unwrap();
    assert_eq!(world.asked(), 3);
    world.cloud.fault(Fault::new("/token", What::retry_after(503, 60)).times(1));
    let trouble = way(&tokens, "alex").await.unwrap_err();
    assert!(matches!(trouble, Trouble::Retry { .. }) && world.asked() == 4, "nobody waits a minute: {trouble}");
}

#[tokio::test]
async fn a_code_that_may_have_been_redeemed_is_not_shown_again() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let slow = r#"{"error":"server_error","error_description":"AADSTS90012: x","error_codes":[90012]}"#;
    for (count, what) in [
        What::status(502, "<html>"),
        What::status(504, ""),
        What::status(500, "{}"),
        What::status(400, slow),
        What::status(400, r#"{"error":"something_new"}"#),
    ]
    .into_iter()
    .enumerate()
    {
        world.cloud.fault(Fault::new("/token", what.clone()).times(1));
        let trouble = way(&tokens, "alex").await.unwrap_err();
        assert!(matches!(trouble, Trouble::Retry { .. }) && world.asked() == count + 1, "{what:?}: {trouble}");
    }
    let redeemed = r#"{"error":"invalid_grant","error_description":"AADSTS54005: x","error_codes":[54005]}"#;
    for what in [What::status(400, redeemed), What::status(503, "")] {
        world.cloud.fault(Fault::new("/token", what).times(1));
    }
    let trouble = way(&tokens, "alex").await.unwrap_err();
    let is_first = matches!(trouble, Trouble::Retry { .. }) && trouble.to_string().contains("HTTP 503");
    assert!(is_first && world.asked() == 7, "the person is blamed: {trouble}");
}

/// Entra, but for what redeems a code: that begins to be answered, and never ends. Notified when it is asked.
async fn never_ends(entra: SocketAddr) -> (String, Arc<Notify>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (authority, asked) = (format!("http://{}", listener.local_addr().unwrap()), Arc::new(Notify::new()));
    let tell = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut outside, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let mut head = [0; 64];
                let read = outside.peek(&mut head).await?;
                if String::from_utf8_lossy(&head[..read]).starts_with("POST /contoso.com/oauth2/v2.0/token ") {
                    return drip(outside, &tell).await;
                }
                let mut inside = TcpStream::connect(entra).await?;
                copy_bidirectional(&mut outside, &mut inside).await.map(|_| ())
            });
        }
    });
    (authority, asked)
}

/// A blank now and then, which a JSON answer may begin with.
async fn drip(mut stream: TcpStream, tell: &Notify) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await?;
    loop {
        stream.write_all(b"1\r\n \r\n").await?;
        tell.notify_one();
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_answer_to_a_code_that_never_ends_is_given_up() {
    let world = world().await;
    let (authority, asked) = never_ends(world.cloud.address()).await;
    let mut settings = world.settings(&["alex"]);
    settings.entra.as_mut().unwrap().authority = authority.parse().unwrap();
    let sign_ins = world.start_with(&settings, http(Duration::from_secs(3600))).await.sign_ins();
    let post = visitor::answer(&begin(&sign_ins).await, &upn("alex"), "sign_in").await.unwrap();
    let handle = sign_ins.receive(posted(&post)).unwrap();
    let waiting = tokio::spawn(async move { sign_ins.arrive(&handle, browser(), Duration::from_secs(600)).await });
    timeout(Duration::from_secs(10), asked.notified()).await.expect("the code is redeemed");
    sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    pause();
    advance(Duration::from_secs(21)).await;
    resume();
    let ended = timeout(Duration::from_secs(10), waiting).await.expect("it is waited for longer than 20 s");
    let Ok(Arrival { outcome: Some(Err(trouble)), .. }) = ended.unwrap() else { panic!("no trouble") };
    let reason = trouble.to_string();
    assert!(matches!(trouble, Trouble::Retry { .. }) && reason.contains("does not answer"), "{reason}");
    assert!(!reason.contains(post.field("code")), "{reason}");
    assert!(world.store().await.grants().await.unwrap().is_empty());
}
