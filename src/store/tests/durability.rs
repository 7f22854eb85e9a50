//! What was durable survives `kill -9`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;

use super::{Home, grant};
use crate::store::Store;

/// Runs in a child process, started by the test below, until it is killed.
#[tokio::test]
async fn child_that_refreshes_until_it_is_killed() {
    let Ok(folder) = std::env::var("GRAPH2MQTT_TEST_STORE") else { return };
    let folder = PathBuf::from(folder);
    let url = format!("sqlite://{}", folder.join("data/graph2mqtt.db").display());
    let store = Store::open(&url, &folder.join("data/store.key")).await.unwrap();
    let mut grant = store.grant(&"alex".parse().unwrap()).await.unwrap().unwrap();
    loop {
        grant.cache = format!("token {}", grant.version + 1).into();
        grant.version = store.refresh_grant(&grant).await.unwrap();
        eprintln!("durable {}", grant.version);
    }
}

#[tokio::test]
async fn what_was_durable_survives_kill_9_at_any_instant() {
    let home = Home::new();
    home.open().await.unwrap().put_grant(grant("alex", "token 1")).await.unwrap();
    for round in 0..5_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::durability::child_that_refreshes_until_it_is_killed", "--nocapture"])
            .env("GRAPH2MQTT_TEST_STORE", home.0.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut last = lines.next().unwrap().unwrap();
        let until = Instant::now() + Duration::from_millis(3 + 7 * round);
        while Instant::now() < until {
            last = lines.next().unwrap().unwrap();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        last = lines.map_while(Result::ok).filter(|line| line.starts_with("durable")).last().unwrap_or(last);
        let promised: i64 = last.strip_prefix("durable ").unwrap().parse().unwrap();

        let now = home.open().await.unwrap().grant(&"alex".parse().unwrap()).await.unwrap().unwrap();
        assert!(now.version >= promised, "{} was promised, {} is there", promised, now.version);
        assert_eq!(now.cache.expose_secret(), format!("token {}", now.version));
    }
}

/// Whoever asks may be cancelled at any instant, as a page's request is when its browser goes away: the one connection
/// serves the next all the same, outside of any transaction.
#[tokio::test]
async fn a_call_that_is_given_up_at_any_instant_leaves_nothing_half_done() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    for patience in (0..60).map(|number| Duration::from_micros(number * 50)) {
        let call = store.put_grant(grant("alex", "1"));
        let _ = tokio::time::timeout(patience, call).await;
        let theirs = format!("kim{}", patience.as_micros());
        store.put_grant(grant(&theirs, "2")).await.unwrap();
        // Another connection sees what is committed.
        let seen = home.open().await.unwrap();
        assert!(seen.grant(&theirs.parse().unwrap()).await.unwrap().is_some(), "given up after {patience:?}");
    }
}
