//! The typed configuration: what every other room is told. Keys are a contract with users.
//!
//! Values come from defaults, the YAML file, secrets from files (`x_file`), the environment
//! (`GRAPH2MQTT_…__…`) and flags, in that order. Each source is a layer of texts that knows where each
//! came from; figment lays them over one another; [`Settings`] is parsed from the result, and every
//! mistake is reported at once. Accounts, of which there can be tens of thousands, pass by figment.

mod accounts;
mod apart;
mod color;
mod document;
mod entra;
mod hours;
mod keys;
mod layers;
mod mistake;
mod parse;
mod reader;
mod schema;
mod sections;
mod show;
mod types;
mod web;

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use layers::{Layer, Overrides};

pub use apart::SHARED_LAMPS;
pub use color::{Color, Effect, Motion, Shade};
pub use entra::{Azure, Cloud, Credential, Entra, Holds, IdentityRole, Secret};
pub use hours::{Hours, LONGEST_HAND, OnHand};
pub use mistake::{Mistake, Mistakes, Origin};
pub(crate) use parse::is_application_key;
pub use reader::{Effective, Entry};
pub use schema::schema;
pub use show::show;
pub use types::*;
pub use web::{PublicUrl, Web};

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "graph2mqtt.yaml";

/// Far above what 100,000 accounts take.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// Where the configuration comes from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A file that must be there; otherwise `graph2mqtt.yaml` in the working folder, if it is there.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not begin with `GRAPH2MQTT_` are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// `KEY=VALUE`, each.
    pub set: Vec<String>,
}

/// A configuration without mistakes.
#[derive(Debug)]
pub struct Loaded {
    /// What the rooms are told.
    pub settings: Settings,
    /// Every value but the accounts', in the order of the sections, and where it came from.
    pub entries: Vec<Entry>,
    accounts: accounts::AccountOrigins,
}

impl Loaded {
    /// Where one value of an account came from: its line stands for all that the file says of it.
    pub fn origin_of_account(&self, account: &str, field: &str) -> Origin {
        self.accounts.of(account, field)
    }
}

/// Reads and checks the whole configuration.
///
/// # Errors
/// Every mistake that a user made.
pub fn load(sources: Sources) -> Result<Loaded, Mistakes> {
    let path = sources.file.or_else(|| Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into()));
    let text = path.as_deref().map(read_file).transpose()?;
    let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
    let file = path.map(|path| Arc::from(path.display().to_string()));
    read(text.as_deref(), file, &folder, sources.environment, &sources.set)
}

/// Reads and checks a configuration from text, as if it stood in `graph2mqtt.yaml` in a folder.
///
/// # Errors
/// Every mistake in it.
pub fn from_yaml(text: &str, folder: &Path) -> Result<Settings, Mistakes> {
    read(Some(text), Some(DEFAULT_FILE.into()), folder, Vec::new(), &[]).map(|loaded| loaded.settings)
}

fn read(
    text: Option<&str>,
    file: Option<Arc<str>>,
    folder: &Path,
    environment: Vec<(OsString, OsString)>,
    set: &[String],
) -> Result<Loaded, Mistakes> {
    let (mut mistakes, mut outside) = (Mistakes::default(), Mistakes::default());
    let mut overrides = Overrides::new();
    let azure = Azure::new(&environment);
    let environment = Layer::environment(environment, &mut overrides, &mut outside);
    let flags = Layer::flags(set, &mut overrides, &mut outside);
    let mut accounts = accounts::Reader::new(file.clone(), overrides);
    let of_file = match (text, &file) {
        (Some(text), Some(file)) => {
            let members = document::read(text, file, &mut mistakes, |member, mistakes| accounts.take(member, mistakes));
            match members {
                Some(members) => Layer::file(members, file, &mut mistakes),
                None => {
                    mistakes.0.append(&mut outside.0);
                    return Err(mistakes);
                }
            }
        }
        _ => Layer::default(),
    };
    accounts.finish(&mut mistakes);
    mistakes.0.append(&mut outside.0);
    let leaves = layers::merge(&[Layer::defaults(), of_file, environment, flags]);
    let mut reader = reader::Reader::new(leaves, folder, mistakes);
    let settings = sections::settings(&mut reader, accounts, azure);
    match settings {
        Some((settings, accounts)) if reader.mistakes.0.is_empty() => {
            Ok(Loaded { settings, entries: reader.entries, accounts })
        }
        _ => Err(reader.mistakes.sorted()),
    }
}

/// A hub's address as the configuration takes it; none where it is none.
pub fn hub_host(text: &str) -> Option<String> {
    parse::hub_host(text).ok()
}

fn read_file(path: &Path) -> Result<String, Mistakes> {
    let mistake = |problem: String, remedy: &str| {
        Mistakes(vec![Mistake::new("", problem, remedy).with_value(&path.display().to_string())])
    };
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> = read().map_err(|error: std::io::Error| {
        mistake(format!("cannot be read: {error}"), "Name a readable file with --config or GRAPH2MQTT_CONFIG.")
    })?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(mistake("is larger than 64 MiB".into(), "Name the configuration file."));
    }
    String::from_utf8(bytes).map_err(|_| mistake("is not UTF-8".into(), "Save the file as UTF-8 text."))
}
