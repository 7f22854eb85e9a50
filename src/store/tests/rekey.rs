//! Sealing anew with a new key, interrupted wherever it may be.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::Row;

use super::{Home, grant};
use crate::store::rekey::{Rekeying, SEALED, draft};
use crate::store::{Rekeyed, Store};

const NAMES: [&str; 3] = ["alex", "kim", "sam"];

/// What is sealed in it: a grant for each name, and a sign-in of nobody yet.
async fn filled() -> Home {
    let home = Home::new();
    let store = home.open().await.unwrap();
    for name in NAMES {
        store.put_grant(grant(name, &format!("token of {name}"))).await.unwrap();
    }
    home
}

fn url(home: &Home) -> String {
    format!("sqlite://{}", home.db().display())
}

/// Everything is readable, by whichever key.
async fn is_whole(home: &Home) {
    let store = home.open().await.unwrap();
    for name in NAMES {
        let kept = store.grant(&name.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(kept.cache.expose_secret(), format!("token of {name}"));
    }
    assert!(!draft(&home.key()).exists() || fs::read(draft(&home.key())).unwrap() != fs::read(home.key()).unwrap());
}

#[tokio::test]
async fn everything_is_under_the_new_key_and_the_old_one_opens_nothing() {
    let home = filled().await;
    let old = fs::read(home.key()).unwrap();
    let rekeyed = Store::rekey(&url(&home), &home.key()).await.unwrap();
    assert_eq!(rekeyed, Rekeyed { rows: 3, left: 0 });
    is_whole(&home).await;
    let new = fs::read(home.key()).unwrap();
    assert!(old != new && !draft(&home.key()).exists());
    fs::write(home.key(), &old).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("is not the one that sealed it"), "{text}");
    fs::write(home.key(), &new).unwrap();
    is_whole(&home).await;
}

#[tokio::test]
async fn interrupted_between_any_two_steps_the_store_opens_with_everything_in_it() {
    for steps in 0..3 {
        let home = filled().await;
        let rekeying = Rekeying::begin(&url(&home), &home.key()).await.unwrap();
        if steps > 0 {
            rekeying.seal().await.unwrap();
        }
        if steps > 1 {
            rekeying.end().await.unwrap();
        } else {
            drop(rekeying);
        }
        is_whole(&home).await;
        is_whole(&home).await;
        assert_eq!(Store::rekey(&url(&home), &home.key()).await.unwrap().rows, 3, "after {steps} steps");
        is_whole(&home).await;
    }
}

/// Runs where its key file is mounted alone, started by the test below.
#[tokio::test]
async fn child_that_rekeys_a_key_file_that_is_mounted_alone() {
    let Ok(folder) = std::env::var("GRAPH2MQTT_TEST_MOUNTED") else { return };
    let data = PathBuf::from(folder).join("data");
    let (url, key) = (format!("sqlite://{}", data.join("graph2mqtt.db").display()), data.join("store.key"));
    let before = fs::read(&key).unwrap();
    let refusal = Store::rekey(&url, &key).await.unwrap_err().to_string();
    assert!(refusal.contains("cannot be replaced, so nothing is sealed anew"), "{refusal}");
    assert_eq!(fs::read(&key).unwrap(), before);
    let left = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.into_iter().all(|name| !name.ends_with(".new") && !name.ends_with(".copy")));

    // As a version that did not try it left the store: under the key beside it.
    let rekeying = Rekeying::sealing_beside(&url, &key).await;
    rekeying.seal().await.unwrap();
    drop(rekeying);
    let beside = fs::read(draft(&key)).unwrap();
    assert!(Store::rekey(&url, &key).await.is_err());
    assert_eq!(fs::read(draft(&key)).unwrap(), beside, "the key in use is gone");
    let store = Store::open(&url, &key).await.unwrap();
    assert_eq!(store.grants().await.unwrap().len(), NAMES.len());
}

#[tokio::test]
async fn a_key_file_that_cannot_be_replaced_is_noticed_before_anything_is_sealed_anew() {
    let home = filled().await;
    let elsewhere = home.0.path().join("elsewhere.key");
    fs::copy(home.key(), &elsewhere).unwrap();
    let script = "mount --bind \"$1\" \"$2\" 2>/dev/null || exit 77; exec \"$3\" --exact --nocapture \
        store::tests::rekey::child_that_rekeys_a_key_file_that_is_mounted_alone";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, "sh"]).args([&elsewhere, &home.key()]);
    command.arg(std::env::current_exe().unwrap()).env("GRAPH2MQTT_TEST_MOUNTED", home.0.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    match output {
        Ok(output) if output.status.success() => {
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
        }
        Ok(output) if output.status.code() == Some(101) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        _ => eprintln!("left out: nobody may mount a file here"),
    }
}

/// Runs in a child process, started by the test below, until it is killed.
#[tokio::test]
async fn child_that_rekeys_until_it_is_killed() {
    let Ok(folder) = std::env::var("GRAPH2MQTT_TEST_REKEY") else { return };
    let folder = PathBuf::from(folder);
    let url = format!("sqlite://{}", folder.join("data/graph2mqtt.db").display());
    loop {
        Store::rekey(&url, &folder.join("data/store.key")).await.unwrap();
    }
}

#[tokio::test]
async fn killed_at_any_instant_the_store_opens_with_everything_in_it() {
    let home = filled().await;
    let mut keys = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::rekey::child_that_rekeys_until_it_is_killed", "--nocapture"])
            .env("GRAPH2MQTT_TEST_REKEY", home.0.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_micros(60_000 + fastrand::u64(..60_000))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        is_whole(&home).await;
        keys.insert(fs::read(home.key()).unwrap());
    }
    assert!(keys.len() > 5, "it was killed too soon to prove anything: {} keys", keys.len());
}

#[tokio::test]
async fn a_store_in_use_is_not_sealed_anew_under_somebodys_feet() {
    let home = filled().await;
    let store = home.open().await.unwrap();
    let before = fs::read(home.key()).unwrap();
    let refusal = Store::rekey(&url(&home), &home.key()).await.unwrap_err().to_string();
    assert!(refusal.contains("uses it; stop it"), "{refusal}");
    assert_eq!(fs::read(home.key()).unwrap(), before);
    drop(store);
    Store::rekey(&url(&home), &home.key()).await.unwrap();
}

#[tokio::test]
async fn a_row_that_was_altered_stays_as_it_was() {
    let home = filled().await;
    let store = home.open().await.unwrap();
    let alter = sqlx::query("UPDATE accounts SET cache = $1 WHERE name = 'kim'").bind(vec![7_u8; 64]);
    alter.execute(&mut *store.turn().await.unwrap()).await.unwrap();
    drop(store);
    let rekeyed = Store::rekey(&url(&home), &home.key()).await.unwrap();
    assert_eq!(rekeyed, Rekeyed { rows: 2, left: 1 });
    let store = home.open().await.unwrap();
    assert_eq!(store.grants().await.unwrap().len(), 2);
    let altered: Vec<String> = store.altered().await.unwrap().into_iter().map(|holder| holder.username).collect();
    assert_eq!(altered, ["kim@contoso.com"]);
}

/// Whoever adds a sealed column adds it to rekey's list.
#[tokio::test]
async fn every_column_of_bytes_is_sealed_anew_or_known_as_plain() {
    /// Under no seal, and the one that is sealed anew by itself.
    const OTHERS: &[(&str, &str)] = &[("installation", "seal_check"), ("hub_pins", "sha256")];
    let store = Home::new();
    let store = store.open().await.unwrap();
    let rows = sqlx::query(
        "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c
         WHERE m.type = 'table' AND upper(c.type) IN ('BYTEA', 'BLOB') AND m.name NOT LIKE '_sqlx%'",
    )
    .fetch_all(&mut *store.turn().await.unwrap())
    .await
    .unwrap();
    for row in rows {
        let (table, column): (String, String) = (row.get(0), row.get(1));
        let known = SEALED.iter().chain(OTHERS).any(|known| *known == (&table, &column));
        assert!(known, "{table}.{column}: add it to SEALED in rekey.rs, or here if plain");
    }
}

#[tokio::test]
async fn application_keys_of_hubs_are_sealed_anew_too() {
    let home = filled().await;
    let hub = crate::store::HubKey {
        hub_id: "001788fffe102030".into(),
        name: "office".into(),
        host: "192.168.1.20".into(),
        paired_at: jiff::Timestamp::from_second(1_700_000_000).unwrap(),
        key: "an application key".to_owned().into(),
    };
    home.open().await.unwrap().put_hub_key(&hub).await.unwrap();
    Store::rekey(&url(&home), &home.key()).await.unwrap();
    let kept = home.open().await.unwrap().hub_keys().await.unwrap();
    assert_eq!(kept[0].key.expose_secret(), "an application key");
}
