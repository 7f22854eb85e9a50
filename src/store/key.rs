//! The key file, and what is sealed with its key.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use super::StoreError;

const KEY_LEN: usize = 32;

/// How long an opening waits for another process that is opening the same store.
const PATIENCE: Duration = Duration::from_secs(10);

/// What seals the caches. Each sealed text is bound to the row that it stands in.
pub(super) struct Key(LessSafeKey);

impl Key {
    /// Reads the key file: 64 hexadecimal digits, not readable by everybody. Its group may: Kubernetes gives a volume's
    /// files to the pod's own (`fsGroup`) at each mount, whatever modes they were made with.
    pub(super) fn read(path: &Path) -> Result<Self, StoreError> {
        let (meta, text) = read_short(path).map_err(|error| failed(path, "cannot be read", &error))?;
        if meta.permissions().mode() & 0o007 != 0 {
            return Err(wrong(
                path,
                "can be read by everybody: chmod 600 it (and think of who has read it), or name a file on a file system that \
                 keeps such modes",
            ));
        }
        let key = decode_hex(text.trim_ascii())
            .ok_or_else(|| wrong(path, "does not hold a key (64 hexadecimal digits): restore it from a backup"))?;
        Ok(Self(LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &key).expect("a key of 32 bytes"))))
    }

    /// Makes the key file unless another process just did: whole or not at all, and on disk.
    pub(super) fn make(path: &Path) -> Result<(), StoreError> {
        write_new(path, |draft, path| fs::hard_link(draft, path))
            .map_err(|error| failed(path, "cannot be made", &error))
    }

    /// Seals `text` for the row `id`: a random nonce, then what is sealed, then the tag.
    pub(super) fn seal(&self, id: &str, text: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut sealed = Vec::with_capacity(NONCE_LEN + text.len() + CHACHA20_POLY1305.tag_len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let body = &mut sealed[NONCE_LEN..];
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(id.as_bytes()), body);
        sealed.extend_from_slice(tag.expect("a cache is far below the cipher's limit of 256 GiB").as_ref());
        sealed
    }

    /// Opens what was sealed for the row `id`; `None`: with another key, for another row, or altered.
    pub(super) fn open(&self, id: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut body = body.to_vec();
        let length =
            self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(id.as_bytes()), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

/// A copy of a key file, whole and on disk. What an earlier one left is overwritten.
pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let (_, text) = read_short(from)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    file.write_all(&text).and_then(|()| file.sync_all())
}

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system gives randomness");
    bytes
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Held while a store is opened, so that two first starts do not make it twice. Ends with the value.
pub(super) async fn opening(path: &Path) -> Result<File, StoreError> {
    let file = File::open(path).map_err(|error| failed(path, "cannot be read", &error))?;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(wrong(path, "another process has been opening the store for 10 s: end the one that hangs"));
            }
            // A file system without locks: two first starts at once are then for the database to tell apart.
            Err(fs::TryLockError::Error(_)) => return Ok(file),
        }
    }
}

/// Makes the folder of a file of ours where it is missing, for this program's user alone.
pub(super) fn make_folder_of(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    Ok(folder.to_owned())
}

/// A link is made to a file that is written and on disk: nobody ever reads half a key. Where the file system
/// has no links (exFAT, some network shares), the key is written in place: who is cut off then finds a file
/// that holds no key, and says so.
fn write_new(path: &Path, link: impl FnOnce(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let folder = make_folder_of(path)?;
    let draft = folder.join(format!(".store-key-{}", hex(&random::<8>())));
    let key = hex(&random::<KEY_LEN>());
    let linked = write_key(&draft, &key).map(|()| link(&draft, path));
    fs::remove_file(&draft)?;
    let written = linked?.or_else(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Err(error),
        _ => write_key(path, &key),
    });
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => other?,
    }
    File::open(folder)?.sync_all()
}

/// A new file that holds a key, and is on disk.
fn write_key(path: &Path, key: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    writeln!(file, "{key}").and_then(|()| file.sync_all())
}

/// A file of ours is short; a wrong path may name anything.
fn read_short(path: &Path) -> io::Result<(fs::Metadata, Vec<u8>)> {
    let file = File::open(path)?;
    let meta = file.metadata()?;
    let mut text = Vec::new();
    file.take(4 * KEY_LEN as u64).read_to_end(&mut text)?;
    Ok((meta, text))
}

fn decode_hex(text: &[u8]) -> Option<[u8; KEY_LEN]> {
    let digits: Vec<u8> = text.iter().map(|c| char::from(*c).to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] << 4) | pair.get(1).copied().unwrap_or(0)).collect();
    (digits.len() == 2 * KEY_LEN).then(|| bytes.try_into().ok()).flatten()
}

pub(super) fn failed(path: &Path, what: &str, error: &io::Error) -> StoreError {
    StoreError::Unusable(format!("store.key_file {}: {what}: {error}", path.display()))
}

fn wrong(path: &Path, what: &str) -> StoreError {
    StoreError::Unusable(format!("store.key_file {}: {what}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_links_gets_its_key_all_the_same_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/store.key");
        for refusal in [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported] {
            write_new(&path, |_, _| Err(refusal.into())).unwrap();
            Key::read(&path).unwrap();
        }
        let first = fs::read(&path).unwrap();
        write_new(&path, |draft, path| fs::hard_link(draft, path)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first, "a key that is there stays");
        assert_eq!(fs::read_dir(folder.path().join("data")).unwrap().count(), 1, "no draft is left behind");
    }
}
