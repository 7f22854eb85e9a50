//! A file whose content is kept, and read again when the file has changed, or another that it is read with.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::entra::Trouble;

type Read<T> = Box<dyn Fn(&Path) -> Result<T, String> + Send + Sync>;

/// A file's content as of when it was last seen to change.
pub(in crate::entra) struct Watched<T> {
    key: &'static str,
    file: PathBuf,
    /// Such as that of its password.
    beside: Option<PathBuf>,
    read: Read<T>,
    kept: Mutex<Kept<T>>,
}

struct Kept<T> {
    value: Arc<T>,
    /// Counts the readings.
    version: u64,
    /// Of the files from which the value was read.
    stamps: Option<Stamps>,
    /// Of those that could not be used: told once, and tried at each request.
    told: Option<Stamps>,
}

/// What changes with a file's content, and with who may read it: when and where it was written, when its rights were
/// last changed, and how long it is.
type Stamp = ([(i64, i64); 2], u64, u64);

/// The file's, and that of the one beside it, where there is one.
type Stamps = (Stamp, Option<Stamp>);

impl<T> Watched<T> {
    /// Reads the file that `key` of the configuration names, perhaps with one `beside` it. `read` answers with what is
    /// wrong, as a predicate.
    pub(super) fn new(
        key: &'static str,
        file: &Path,
        beside: Option<&Path>,
        read: impl Fn(&Path) -> Result<T, String> + Send + Sync + 'static,
    ) -> Result<Self, Trouble> {
        let stamps = stamps(file, beside);
        let value = read(file).map_err(|wrong| Trouble::misconfigured(format!("{key} {}: {wrong}", file.display())))?;
        let kept = Mutex::new(Kept { value: Arc::new(value), version: 1, stamps, told: None });
        Ok(Self { key, file: file.to_owned(), beside: beside.map(Path::to_owned), read: Box::new(read), kept })
    }

    /// The key and the file, for people.
    pub(super) fn place(&self) -> String {
        format!("{} {}:", self.key, self.file.display())
    }

    /// The content, read again where the file has changed, and its version.
    pub(super) fn current(&self) -> (Arc<T>, u64) {
        let mut kept = self.kept();
        if let Some(now) = stamps(&self.file, self.beside.as_deref()).filter(|now| Some(*now) != kept.stamps) {
            self.read_into(&mut kept, now);
        }
        (kept.value.clone(), kept.version)
    }

    /// Whether there is a newer content than `version`, if need be by reading the file again.
    pub(super) fn renew(&self, version: u64) -> bool {
        self.current().1 != version
    }

    /// A file that is being written, or was broken, leaves what was read before, and is read again the next time.
    fn read_into(&self, kept: &mut Kept<T>, now: Stamps) {
        match (self.read)(&self.file) {
            Ok(value) => {
                kept.value = Arc::new(value);
                kept.version += 1;
                (kept.stamps, kept.told) = (Some(now), None);
                tracing::info!("{} has changed, and is used from now on", self.place().trim_end_matches(':'));
            }
            Err(wrong) if kept.told != Some(now) => {
                kept.told = Some(now);
                tracing::warn!("{} {wrong}; what it held before is used", self.place());
            }
            Err(_) => {}
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(file: &Path, beside: Option<&Path>) -> Option<Stamps> {
    Some((stamp(file)?, beside.and_then(stamp)))
}

fn stamp(file: &Path) -> Option<Stamp> {
    let meta = file.metadata().ok()?;
    let times = [(meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec())];
    Some((times, meta.len(), meta.ino()))
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
        Watched::new("entra.x_file", file, None, read).unwrap()
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
    fn what_could_not_be_read_is_tried_again_though_the_file_is_as_it_was() {
        use std::sync::atomic::{AtomicBool, Ordering};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x");
        std::fs::write(&file, "one").unwrap();
        let is_broken = Arc::new(AtomicBool::new(false));
        let disk = is_broken.clone();
        let read = move |path: &Path| match disk.load(Ordering::Relaxed) {
            true => Err("cannot be read".to_owned()),
            false => std::fs::read_to_string(path).map_err(|error| error.to_string()),
        };
        let watched = Watched::new("entra.x_file", &file, None, read).unwrap();
        is_broken.store(true, Ordering::Relaxed);
        std::fs::write(&file, "two, longer").unwrap();
        assert_eq!(watched.current(), ("one".to_owned().into(), 1));
        is_broken.store(false, Ordering::Relaxed);
        assert_eq!(watched.current(), ("two, longer".to_owned().into(), 2));
    }

    #[test]
    fn rights_that_were_given_count_as_a_change_and_so_does_the_file_beside_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let [file, beside] = ["x", "password"].map(|name| folder.path().join(name));
        std::fs::write(&file, "one").unwrap();
        std::fs::write(&beside, "a").unwrap();
        let before = stamps(&file, Some(&beside));
        std::thread::sleep(std::time::Duration::from_millis(20));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_ne!(before, stamps(&file, Some(&beside)));

        let (content, password) = (file.clone(), beside.clone());
        let read = move |_: &Path| {
            let [content, password] = [&content, &password].map(|file| std::fs::read_to_string(file).unwrap());
            Ok(content + &password)
        };
        let watched = Watched::new("entra.x_file", &file, Some(&beside), read).unwrap();
        std::fs::write(&beside, "another").unwrap();
        assert_eq!(watched.current(), ("oneanother".to_owned().into(), 2));
    }

    #[test]
    fn an_unusable_file_is_named_with_its_key() {
        let read = |_: &Path| Err::<(), _>("is unusable".to_owned());
        let trouble = Watched::new("entra.x_file", Path::new("/x/y"), None, read).err().unwrap();
        assert_eq!(trouble, Trouble::misconfigured("entra.x_file /x/y: is unusable"));
    }
}
