//! The store over real files: what survives, what is refused, and that nothing is ever overwritten.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

/// A folder of its own for each test.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    fn db(&self) -> PathBuf {
        self.0.path().join("data/graph2mqtt.db")
    }
    fn key(&self) -> PathBuf {
        self.0.path().join("data/store.key")
    }
    async fn open(&self) -> Result<Store, StoreError> {
        Store::open(&format!("sqlite://{}", self.db().display()), &self.key()).await
    }
    /// The text of the refusal, after checking that it changed no file.
    async fn refusal(&self) -> String {
        let before = (fs::read(self.db()).ok(), fs::read(self.key()).ok());
        let text = match self.open().await {
            Ok(_) => panic!("the store was opened"),
            Err(error) => error.to_string(),
        };
        assert!(before == (fs::read(self.db()).ok(), fs::read(self.key()).ok()), "a refusal changed a file: {text}");
        text
    }
}

fn grant(account: &str, cache: &str) -> Grant {
    Grant {
        id: String::new(),
        account: account.parse().unwrap(),
        tenant_id: "11111111-0000-4000-8000-000000000001".parse().unwrap(),
        object_id: "22222222-0000-4000-8000-000000000002".parse().unwrap(),
        username: format!("{account}@contoso.com"),
        user: format!("{account}@contoso.com"),
        confidential: false,
        version: 0,
        refreshed_at: jiff::Timestamp::from_millisecond(1_790_000_000_123).unwrap(),
        cache: cache.into(),
    }
}

fn sequence(number: u64) -> Sequence {
    number.try_into().unwrap()
}

#[tokio::test]
async fn the_first_start_makes_folders_files_and_a_key_that_only_we_may_read() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let (instance, made_now) = store.instance();
    assert_eq!((instance.len(), made_now), (32, true));
    for file in [home.key(), home.db()] {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    let left: Vec<_> = fs::read_dir(home.key().parent().unwrap()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".store-key")), "{left:?}");

    let again = home.open().await.unwrap();
    assert_eq!(again.instance(), (instance, false));
}

#[tokio::test]
async fn a_grant_comes_back_as_it_was_written_after_a_restart() {
    let home = Home::new();
    let written = home.open().await.unwrap().put_grant(grant("alex", "the refresh token")).await.unwrap();
    let store = home.open().await.unwrap();
    let read = store.grant(&written.account).await.unwrap().unwrap();
    assert_eq!(read.cache.expose_secret(), "the refresh token");
    assert_eq!(
        (&read.id, read.tenant_id, read.object_id, &read.username, &read.user, read.confidential, read.version),
        (&written.id, written.tenant_id, written.object_id, &written.username, &written.user, false, 1)
    );
    assert_eq!(read.refreshed_at, written.refreshed_at);
    assert!(store.grant(&"kim".parse().unwrap()).await.unwrap().is_none());
}

#[tokio::test]
async fn no_file_holds_the_cache_in_clear() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    store.put_grant(grant("alex", "the-refresh-token-in-clear")).await.unwrap();
    for entry in fs::read_dir(home.db().parent().unwrap()).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        assert!(!content.windows(26).any(|part| part == b"the-refresh-token-in-clear"));
    }
}

#[tokio::test]
async fn a_cache_moved_to_another_row_does_not_open() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    for name in ["alex", "kim"] {
        store.put_grant(grant(name, &format!("token of {name}"))).await.unwrap();
    }
    sqlx::query("UPDATE accounts SET cache = (SELECT cache FROM accounts WHERE name = 'kim') WHERE name = 'alex'")
        .execute(&store.inner.pool)
        .await
        .unwrap();
    let error = store.grant(&"alex".parse().unwrap()).await.unwrap_err().to_string();
    assert!(error.contains("account alex was altered"), "{error}");
    let open: Vec<_> = store.grants().await.unwrap().into_iter().map(|grant| grant.account.to_string()).collect();
    assert_eq!(open, ["kim"]);
}

#[tokio::test]
async fn of_two_who_refresh_one_version_one_wins_and_the_other_is_told() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let read = ours.put_grant(grant("alex", "1")).await.unwrap();
    let [a, b] = ["2a", "2b"].map(|cache| Grant { cache: cache.into(), ..read.clone() });
    let (first, second) = tokio::join!(ours.refresh_grant(&a), theirs.refresh_grant(&b));
    let won = match (&first, &second) {
        (Ok(2), Err(StoreError::Conflict)) => "2a",
        (Err(StoreError::Conflict), Ok(2)) => "2b",
        other => panic!("{other:?}"),
    };
    let now = theirs.grant(&read.account).await.unwrap().unwrap();
    assert_eq!((now.cache.expose_secret(), now.version), (won, 2));
}

#[tokio::test]
async fn a_new_sign_in_or_a_removal_wins_over_a_refresh_of_the_old_grant() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let old = store.put_grant(grant("alex", "old")).await.unwrap();
    let new = store.put_grant(grant("alex", "new")).await.unwrap();
    assert_ne!(old.id, new.id);
    assert!(matches!(store.refresh_grant(&old).await, Err(StoreError::Conflict)));
    assert_eq!(store.grant(&old.account).await.unwrap().unwrap().cache.expose_secret(), "new");
    assert!(store.remove_grant(&old.account).await.unwrap());
    assert!(matches!(store.refresh_grant(&new).await, Err(StoreError::Conflict)));
    assert!(!store.remove_grant(&old.account).await.unwrap());
}

#[tokio::test]
async fn another_process_sees_that_grants_came_and_went_but_not_that_they_were_refreshed() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let start = theirs.grants_revision().await.unwrap();
    let alex = ours.put_grant(grant("alex", "1")).await.unwrap();
    let came = theirs.grants_revision().await.unwrap();
    assert_ne!(start, came);
    ours.refresh_grant(&alex).await.unwrap();
    assert_eq!(theirs.grants_revision().await.unwrap(), came);
    assert_eq!(theirs.grant_ids().await.unwrap(), [(alex.account.clone(), alex.id.clone())]);
    ours.remove_grant(&alex.account).await.unwrap();
    assert_ne!(theirs.grants_revision().await.unwrap(), came);
}

#[tokio::test]
async fn reserved_sequences_only_grow_over_restarts_and_a_clock_set_back() {
    let home = Home::new();
    let clock = 1_790_000_000_000;
    let first = home.open().await.unwrap().reserve_sequences(sequence(clock), 1000).await.unwrap();
    assert_eq!(first.get(), clock);
    let store = home.open().await.unwrap();
    let set_back = store.reserve_sequences(sequence(5), 1000).await.unwrap();
    assert_eq!(set_back.get(), clock + 1000);
    let forward = store.reserve_sequences(sequence(clock + 50_000), 1).await.unwrap();
    assert_eq!(forward.get(), clock + 50_000);
}

#[tokio::test]
async fn neither_a_mad_clock_nor_a_stranger_uses_the_sequences_up() {
    let store = Home::new();
    let store = store.open().await.unwrap();
    let first = store.reserve_sequences(Sequence::MAX, 10).await.unwrap();
    assert_eq!(first, Sequence::LEARNABLE);
    let next = store.reserve_sequences(Sequence::MAX, 10).await.unwrap();
    assert_eq!(next.get(), Sequence::LEARNABLE.get() + 10);
}

#[tokio::test]
async fn when_no_sequence_is_left_it_says_so() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    let almost = i64::try_from(Sequence::MAX.get()).unwrap() - 5;
    sqlx::query("UPDATE installation SET sequence_ceiling = $1").bind(almost).execute(&store.inner.pool).await.unwrap();
    assert_eq!(store.reserve_sequences(sequence(0), 5).await.unwrap().get(), Sequence::MAX.get() - 5);
    let error = store.reserve_sequences(sequence(0), 1).await.unwrap_err().to_string();
    assert!(error.contains("used up"), "{error}");
}

#[tokio::test]
async fn two_processes_never_reserve_the_same_sequence() {
    let home = Home::new();
    let (ours, theirs) = (home.open().await.unwrap(), home.open().await.unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let (a, b) = tokio::join!(ours.reserve_sequences(sequence(7), 3), theirs.reserve_sequences(sequence(7), 3));
        for first in [a.unwrap(), b.unwrap()] {
            assert!((1..=3).all(|offset| seen.insert(first.get() + offset)), "{first} was given twice");
        }
    }
}

#[tokio::test]
async fn a_hubs_pin_is_kept_and_can_change() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    assert_eq!(store.hub_pin("001788fffe010203").await.unwrap(), None);
    for pin in [[1; 32], [2; 32]] {
        store.set_hub_pin("001788fffe010203", pin).await.unwrap();
        assert_eq!(home.open().await.unwrap().hub_pin("001788fffe010203").await.unwrap(), Some(pin));
    }
}

#[tokio::test]
async fn another_key_is_refused() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    store.put_grant(grant("alex", "1")).await.unwrap();
    store.inner.pool.close().await;
    fs::write(home.key(), "ab".repeat(32)).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("is not the one that sealed it") && text.contains("store.key"), "{text}");
}

#[tokio::test]
async fn a_store_without_its_key_file_is_refused_and_no_new_key_is_made() {
    let home = Home::new();
    home.open().await.unwrap();
    fs::remove_file(home.key()).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("key file") && text.contains("is missing"), "{text}");
}

#[tokio::test]
async fn a_key_file_that_is_not_one_is_refused() {
    for (content, words) in [("", "64 hexadecimal"), ("abcd", "64 hexadecimal"), (&*"ab".repeat(33), "64 hexadecimal")]
    {
        let home = Home::new();
        home.open().await.unwrap();
        fs::write(home.key(), content).unwrap();
        let text = home.refusal().await;
        assert!(text.contains(words) && text.contains("store.key_file"), "{text}");
    }
    let home = Home::new();
    fs::create_dir_all(home.key()).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("cannot be read"), "{text}");
}

#[tokio::test]
async fn a_key_file_that_others_may_read_is_refused() {
    let home = Home::new();
    home.open().await.unwrap();
    fs::set_permissions(home.key(), fs::Permissions::from_mode(0o644)).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("chmod 600"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let home = Home::new();
    home.open().await.unwrap().inner.pool.close().await;
    fs::write(home.db(), "these are my holiday notes, not a database, and they are long enough".repeat(100)).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("not a store") && text.contains("graph2mqtt.db"), "{text}");
}

#[tokio::test]
async fn a_store_cut_short_is_refused() {
    let home = Home::new();
    {
        let store = home.open().await.unwrap();
        store.put_grant(grant("alex", &"x".repeat(50_000))).await.unwrap();
        store.inner.pool.close().await;
    }
    let whole = fs::read(home.db()).unwrap();
    fs::write(home.db(), &whole[..whole.len() / 3]).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("damaged"), "{text}");
}

#[tokio::test]
async fn a_folder_in_the_stores_place_is_refused() {
    let home = Home::new();
    fs::create_dir_all(home.db()).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("it is a folder"), "{text}");
    assert!(!home.key().exists(), "a key was made for nothing");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_refused() {
    // The superuser may write everywhere but under a file.
    let home = Home::new();
    let file = home.0.path().join("data");
    fs::write(&file, "").unwrap();
    let text = home.refusal().await;
    assert!(text.contains("graph2mqtt.db") && text.contains("Not a directory"), "{text}");

    let elsewhere = Home::new();
    elsewhere.open().await.unwrap();
    let error = Store::open(&format!("sqlite://{}/x.db", file.display()), &elsewhere.key()).await.err().unwrap();
    assert!(error.to_string().contains("x.db"), "{error}");
}

#[tokio::test]
async fn a_store_of_a_newer_version_is_refused() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', TRUE, $1, 0)",
    )
    .bind(vec![0_u8; 48])
    .execute(&store.inner.pool)
    .await
    .unwrap();
    store.inner.pool.close().await;
    let text = home.refusal().await;
    assert!(text.contains("a newer graph2mqtt wrote it (schema 9999"), "{text}");
}

#[tokio::test]
async fn what_is_not_a_sqlite_url_is_refused() {
    for url in ["", "sqlite://", "postgres://host/db", "data/x.db"] {
        let error = Store::open(url, Path::new("/nowhere/store.key")).await.err().unwrap();
        assert!(error.to_string().contains("store.url"), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_path_may_hold_anything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my data/100% of Zoë's #1?.db");
    Store::open(&format!("sqlite://{}", path.display()), &folder.path().join("k")).await.unwrap();
    assert!(path.exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_starts_at_once_make_one_store() {
    for _ in 0..5 {
        let home = Home::new();
        let (url, key) = (format!("sqlite://{}", home.db().display()), home.key());
        let starts: Vec<_> = (0..6)
            .map(|_| {
                let (url, key) = (url.clone(), key.clone());
                tokio::spawn(async move { Store::open(&url, &key).await })
            })
            .collect();
        let mut instances = std::collections::BTreeSet::new();
        let mut made = 0;
        for start in starts {
            let store = start.await.unwrap().unwrap();
            let (instance, made_now) = store.instance();
            instances.insert(instance.to_owned());
            made += usize::from(made_now);
        }
        assert_eq!((instances.len(), made), (1, 1));
    }
}

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
            .args(["--exact", "store::tests::child_that_refreshes_until_it_is_killed", "--nocapture"])
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
