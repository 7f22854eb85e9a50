//! What the log of the running program says of a sign-in that is lost: once, however often Graph is asked in vain.

use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Fault, What};

use super::Observer;
use super::installation::{Installation, user};
use super::support::{Home, Program};

const PATIENCE: Duration = Duration::from_secs(30);

/// How often a line of this level holds these words.
fn lines(program: &Program, level: &str, words: &str) -> usize {
    program.said().lines().filter(|line| line.contains(level) && line.contains(words)).count()
}

/// Asks for polls until so many more have failed.
async fn sweeps(program: &Program, observer: &Observer, more: usize) {
    let failed = || lines(program, "DEBUG", "a poll failed");
    let (wanted, deadline) = (failed() + more, Instant::now() + PATIENCE);
    while failed() < wanted {
        assert!(Instant::now() < deadline, "only {} polls failed: {}", failed(), program.said());
        observer.publish("g/bridge/request/poll", "{}", false).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

async fn until_back(program: &Program, observer: &Observer, times: usize) {
    let deadline = Instant::now() + PATIENCE;
    while lines(program, "INFO", "presence known again") < times {
        assert!(Instant::now() < deadline, "it is never known again: {}", program.said());
        observer.publish("g/bridge/request/poll", "{}", false).await;
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_once_that_a_sign_in_is_lost_and_once_that_it_is_back() {
    let installation = Installation::with(&["alex"]).await;
    let observer = installation.observe().await;
    let folder = installation.folder.path().display();
    let yaml = installation
        .yaml(&["alex"], "web: { listen: \"127.0.0.1:0\" }\n")
        .replace("sqlite://store", &format!("sqlite://{folder}/store"))
        .replace("store/key", &format!("{folder}/store/key"));
    installation.sign_in(&yaml, &["alex"]).await;
    let home = Home::new(&yaml);
    let mut program = home.start(&["run", "--log", "debug"]);
    installation.until_online(&observer).await;
    observer.until_is("g/account/alex/state", "online").await;

    installation.cloud.revoke(&user("alex"));
    installation.cloud.expire_access_tokens(&user("alex"));
    sweeps(&program, &observer, 6).await;
    let line = program.hears("sign-in: account alex: ");
    assert!(line.contains("graph2mqtt login alex"), "{line}");
    assert_eq!((lines(&program, "WARN", ""), lines(&program, "INFO", "known again")), (1, 0), "{}", program.said());
    installation.sign_in(&yaml, &["alex"]).await;
    until_back(&program, &observer, 1).await;

    // Each refusal has an id of its own, which is no news.
    for number in 0..6 {
        let id = format!("{number}f0e11d2-0000-4000-8000-00000000000{number}");
        let body = format!(r#"{{"error":{{"code":"Forbidden","message":"no","innerError":{{"request-id":"{id}"}}}}}}"#);
        installation.cloud.fault(Fault::new("/me/presence", What::status(403, body)).times(1));
    }
    sweeps(&program, &observer, 6).await;
    until_back(&program, &observer, 2).await;
    installation.more_polls(3).await;
    let said = program.said();
    assert_eq!((lines(&program, "WARN", "sign-in: "), lines(&program, "WARN", "")), (2, 2), "{said}");
    assert_eq!(lines(&program, "INFO", "presence known again"), 2, "{said}");
    assert!(program.stop().success());
}
