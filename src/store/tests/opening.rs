//! The first start, and every store and key file that is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Home, grant};
use crate::store::Store;

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
async fn another_key_is_refused() {
    let home = Home::new();
    let store = home.open().await.unwrap();
    store.put_grant(grant("alex", "1")).await.unwrap();
    store.close().await;
    fs::write(home.key(), "ab".repeat(32)).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("is not the one that sealed it") && text.contains("store.key"), "{text}");
}

#[tokio::test]
async fn a_store_without_its_key_file_is_refused_and_no_new_key_is_made() {
    let home = Home::new();
    home.open().await.unwrap().close().await;
    fs::remove_file(home.key()).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("key file") && text.contains("is missing"), "{text}");
}

#[tokio::test]
async fn a_key_file_that_is_not_one_is_refused() {
    for (content, words) in [("", "64 hexadecimal"), ("abcd", "64 hexadecimal"), (&*"ab".repeat(33), "64 hexadecimal")]
    {
        let home = Home::new();
        home.open().await.unwrap().close().await;
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
async fn a_key_file_that_everybody_may_read_is_refused_and_one_of_a_pods_group_is_not() {
    let home = Home::new();
    home.open().await.unwrap().close().await;
    // What Kubernetes makes of 0600 at each mount of a volume with fsGroup, and of a secret's file.
    for mode in [0o660, 0o440] {
        fs::set_permissions(home.key(), fs::Permissions::from_mode(mode)).unwrap();
        home.open().await.unwrap().close().await;
    }
    fs::set_permissions(home.key(), fs::Permissions::from_mode(0o644)).unwrap();
    let text = home.refusal().await;
    assert!(text.contains("chmod 600"), "{text}");
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let home = Home::new();
    home.open().await.unwrap().close().await;
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
        store.close().await;
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
