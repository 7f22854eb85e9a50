//! A file whose content is kept, and read again when the file has changed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::entra::Trouble;

type Read<T> = Box<dyn Fn(&Path) -> Result<T, String> + Send + Sync>;

/// A file's content as of when it was last seen to change.
pub(in crate::entra) struct Watched<T> {
    key: &'static str,
    file: PathBuf,
    read: Read<T>,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    value: Arc<T>,
    /// Counts the readings.
    version: u64,
    stamp: Option<Stamp>,
}

/// What changes with a file's content: when and where it was written, and how long it is.
type Stamp = (i64, i64, u64, u64);

impl<T> Watched<T> {
    /// Reads the file that `key` of the configuration names. `read` answers with what is wrong, as a predicate.
    pub(super) fn new(
        key: &'static str,
        file: &Path,
        read: impl Fn(&Path) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, Trouble> {
        let stamp = stamp(file);
        let value = read(file).map_err(|wrong| Trouble::misconfigured(format!("{key} {}: {wrong}", file.display())))?;
        let kept = Mutex::new(Kept { value: Arc::new(value), version: 1, stamp });
        Ok(Self { key, file: file.to_owned(), read: Box::new(read), kept })
    }

    /// The key and the file, for people.
    pub(super) fn place(&self) -> String {
        format!("{} {}:", self.key, self.file.display())
    }

    /// The content, read again where the file has changed, and its version.
    pub(super) fn current(&self) -> (Arc<T>, u64) {
        let mut kept = self.kept();
        let now = stamp(&self.file);
        if now.is_some() && now != kept.stamp {
            self.read_into(&mut kept, now);
        }
        (kept.value.clone(), kept.version)
    }

    /// Whether there is a newer content than `version`, if need be by reading the file again.
    pub(super) fn renew(&self, version: u64) -> bool {
        self.current().1 != version
    }

    /// A file that is being written, or was broken, leaves what was read before.
    fn read_into(&self, kept: &mut Kept<T>, now: Option<Stamp>) {
        kept.stamp = now;
        match (self.read)(&self.file) {
            Ok(value) => {
                kept.value = Arc::new(value);
                kept.version += 1;
                tracing::info!("{} has changed, and is used from now on", self.place().trim_end_matches(':'));
            }
            Err(wrong) => tracing::warn!("{} {wrong}; what it held before is used", self.place()),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let meta = file.metadata().ok()?;
    Some((meta.mtime(), meta.mtime_nsec(), meta.len(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(file: &Path) -> Watched<String> {
        let read = |path: &Path| match std::fs::read_to_string(path) {
            Ok(text) if text == "broken" => Err("is broken".to_owned()),
            Ok(text) => Ok(text),
            Err(error) => Err(error.to_string()),
        };
        Watched::new("entra.x_file", file, read).unwrap()
    }

    #[test]
    fn a_file_that_was_replaced_or_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "one").unwrap();
        let watched = watched(&file);
        assert_eq!((watched.current().0.as_str(), watched.renew(1)), ("one", false));
        std::fs::write(folder.path().join("y"), "two").unwrap();
        std::fs::rename(folder.path().join("y"), &file).unwrap();
        assert_eq!(watched.current(), ("two".to_owned().into(), 2));
        std::fs::write(&file, "three, longer").unwrap();
        assert!(watched.renew(2) && !watched.renew(3));
    }

    #[test]
    fn a_broken_or_absent_file_leaves_what_was_read_before() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "one").unwrap();
        let watched = watched(&file);
        std::fs::write(&file, "broken").unwrap();
        assert_eq!(watched.current(), ("one".to_owned().into(), 1));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(watched.current(), ("one".to_owned().into(), 1));
        std::fs::write(&file, "healed again").unwrap();
        assert_eq!(watched.current(), ("healed again".to_owned().into(), 2));
    }

    #[test]
    fn an_unusable_file_is_named_with_its_key() {
        let read = |_: &Path| Err::<(), _>("is unusable".to_owned());
        let trouble = Watched::new("entra.x_file", Path::new("/x/y"), read).err().unwrap();
        assert_eq!(trouble, Trouble::misconfigured("entra.x_file /x/y: is unusable"));
    }
}
