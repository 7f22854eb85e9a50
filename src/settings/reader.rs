//! Takes values out of the merged layers: parses each, notes what is wrong, and remembers what was
//! taken and where it came from, for `config show`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::entra::Secret;
use super::keys::{self, Kind, Place};
use super::layers::{Given, ITSELF, Leaf};
use super::mistake::{Mistake, Mistakes, Origin};
use super::parse::{self, Parsed, Wrong};
use crate::presence::Name;

/// A value in effect and where it came from.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value; a secret is hidden.
    pub value: Effective,
    /// Where it came from.
    pub origin: Origin,
}

/// A value as it can be shown.
#[derive(Debug, Clone)]
pub enum Effective {
    /// One text.
    Text(String),
    /// A list of texts.
    List(Vec<String>),
    /// A secret.
    Hidden,
}

pub(super) struct Reader<'a> {
    leaves: BTreeMap<String, Leaf>,
    folder: &'a Path,
    pub mistakes: Mistakes,
    pub entries: Vec<Entry>,
}

/// The largest file that could be a secret.
const LARGEST_SECRET: u64 = 64 * 1024;

impl<'a> Reader<'a> {
    pub fn new(leaves: BTreeMap<String, Leaf>, folder: &'a Path, mistakes: Mistakes) -> Self {
        Self { leaves, folder, mistakes, entries: Vec::new() }
    }

    /// The names in `hubs` or `lights`.
    pub fn names(&self, section: &str) -> Vec<Name> {
        let start = format!("{section}.");
        let own = self.leaves.iter().filter(|(_, leaf)| matches!(leaf.value, Given::Empty));
        own.filter_map(|(path, _)| path.strip_prefix(&start)?.parse().ok()).collect()
    }

    /// A value, if it is set and right.
    pub fn value<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        let (text, origin) = self.text(key)?;
        match parse(&text) {
            Ok(value) => {
                self.entry(key, Effective::Text(text), origin);
                Some(value)
            }
            Err(wrong) => {
                self.wrong(key, Some(&text), wrong, origin);
                None
            }
        }
    }

    /// What only names a secret. It is not quoted where it is wrong: it may be the secret itself, whose place
    /// is another key.
    pub fn name_of_secret<T>(&mut self, key: &str, place: &str, parse: fn(&str) -> Parsed<T>) -> Option<T> {
        let (text, origin) = self.text(key)?;
        match parse(&text) {
            Ok(_) => self.value(key, parse),
            Err(Wrong { problem, remedy }) => {
                let remedy = format!("{remedy} If it is the secret itself, it belongs into {place}.");
                self.wrong(key, None, Wrong { problem, remedy }, origin);
                None
            }
        }
    }

    /// A value that must be set.
    pub fn required<T>(&mut self, key: &str, why: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        if self.mistakes.names(key) {
            return None;
        }
        if self.text(key).is_none() {
            let origin = self.origin_of_parent(key);
            let mistake = Mistake::new(key, format!("is missing: {why}"), example(key));
            self.mistakes.add(Mistake { origin, ..mistake });
            return None;
        }
        self.value(key, parse)
    }

    /// A list of values, each parsed for itself; none where the key is not set.
    pub fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<Vec<T>> {
        let leaf = self.leaves.get(key)?;
        let Given::List(items) = &leaf.value else { return None };
        let (items, origin) = (items.clone(), leaf.origin.clone());
        let mut values = Vec::with_capacity(items.len());
        for item in &items {
            match parse(item) {
                Ok(value) => values.push(value),
                Err(wrong) => self.wrong(key, Some(item), wrong, origin.clone()),
            }
        }
        self.entry(key, Effective::List(items), origin);
        Some(values)
    }

    /// A path, absolute or from the working folder.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        let folder = self.folder;
        self.value(key, |text| Ok(folder.join(parse::text(text)?)))
    }

    /// Where a path from the configuration starts.
    pub fn in_folder(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A file that must be there.
    pub fn file(&mut self, key: &str) -> Option<PathBuf> {
        let folder = self.folder;
        self.value(key, |text| {
            let path = folder.join(parse::text(text)?);
            match path.metadata() {
                Ok(metadata) if metadata.is_dir() => parse::wrong("is a folder", "Name a file."),
                Ok(_) => Ok(path),
                Err(error) => parse::wrong(unreadable(&error), not_there(&path)),
            }
        })
    }

    /// A folder that must be there.
    pub fn folder(&mut self, key: &str) -> Option<PathBuf> {
        let folder = self.folder;
        self.value(key, |text| {
            let path = folder.join(parse::text(text)?);
            match path.metadata() {
                Ok(metadata) if metadata.is_dir() => Ok(path),
                Ok(_) => parse::wrong("is not a folder", "Name a folder."),
                Err(error) => parse::wrong(unreadable(&error), not_there(&path)),
            }
        })
    }

    /// A secret, given as text or by a file; of a text and a file from two sources the higher source's counts.
    pub fn secret(&mut self, key: &str) -> Option<SecretString> {
        self.secret_or_file(key).map(|secret| secret.text().clone())
    }

    /// The same, with the file that holds it.
    pub fn secret_or_file(&mut self, key: &str) -> Option<Secret> {
        let file_key = format!("{key}_file");
        let (text, file) = (self.leaves.get(key).cloned(), self.leaves.get(&file_key).cloned());
        match (text, file) {
            (Some(text), Some(file)) if text.layer == file.layer => {
                let problem = format!("is given twice: as {file_key} as well ({})", file.origin);
                let remedy = "Keep one of the two; the file is the safer place.";
                self.mistakes.add(Mistake::new(key, problem, remedy).at(text.origin));
                None
            }
            (Some(text), file) if file.as_ref().is_none_or(|file| file.layer < text.layer) => {
                let Given::Text(secret) = text.value else { return None };
                self.take_secret(key, secret, text.origin).map(|text| Secret::new(text, None))
            }
            (_, Some(file)) => {
                let Given::Text(path) = &file.value else { return None };
                let whole = self.folder.join(path);
                match read_secret(&whole) {
                    Ok(secret) => {
                        let origin = Origin::SecretFile { path: whole.clone(), named: Box::new(file.origin) };
                        self.take_secret(key, secret, origin).map(|text| Secret::new(text, Some(whole)))
                    }
                    Err(_) if !whole.exists() && may_be_secret(path) => {
                        let problem =
                            "names a file that is not there (what it says is not shown: is it the secret itself?)";
                        let remedy = format!(
                            "Write the path of a file that holds the secret, such as {file_key}: secrets/secret; the \
                             secret itself belongs into {key}."
                        );
                        self.wrong(&file_key, None, Wrong { problem: problem.into(), remedy }, file.origin);
                        None
                    }
                    Err(wrong) => {
                        self.wrong(&file_key, Some(path), wrong, file.origin);
                        None
                    }
                }
            }
            _ => None,
        }
    }

    fn take_secret(&mut self, key: &str, secret: String, origin: Origin) -> Option<SecretString> {
        let problem = match secret.as_str() {
            "" => "is empty",
            _ if secret.trim().is_empty() => "is empty",
            _ if secret.chars().any(char::is_control) => "is longer than a line",
            _ => {
                self.entry(key, Effective::Hidden, origin);
                return Some(secret.into());
            }
        };
        let remedy = "Give the secret in one line (in quotes, if it holds a #), or leave the key out.";
        self.mistakes.add(Mistake::new(key, problem, remedy).at(origin));
        None
    }

    /// What was given for a key.
    pub fn leaf(&self, key: &str) -> Option<&Leaf> {
        self.leaves.get(key)
    }

    /// Whether a key that is a switch or a map is on; none after a mistake.
    pub fn switch_or_keys(&mut self, key: &str) -> Option<bool> {
        let own = format!("{key}.{ITSELF}");
        let below = format!("{key}.");
        let is_given = |(path, leaf): (&String, &Leaf)| leaf.layer > 0 && *path != own && path.starts_with(&below);
        let has_keys = self.leaves.iter().any(is_given);
        let Some(leaf) = self.leaves.get(&own).cloned() else { return Some(has_keys) };
        let Given::Text(text) = leaf.value else { return None };
        match parse::switch(&text) {
            Ok(on) => {
                // What is on is shown by its keys.
                if !on {
                    self.entry(key, Effective::Text(text), leaf.origin);
                }
                Some(on)
            }
            Err(wrong) => {
                self.wrong(key, Some(&text), wrong, leaf.origin);
                None
            }
        }
    }

    /// Notes a value that follows from another key.
    pub fn derived(&mut self, key: &str, value: &str, from: &'static str) {
        self.entry(key, Effective::Text(value.to_owned()), Origin::Key(from));
    }

    /// Says that a value that reads well does not go with the others.
    pub fn clash(&mut self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        let wrong = Wrong { problem: problem.into(), remedy: remedy.into() };
        match self.text(key) {
            Some((text, origin)) => {
                let is_secret = matches!(keys::find(key), Place::Key(known) if known.kind == Kind::Secret);
                self.wrong(key, Some(&*text).filter(|_| !is_secret), wrong, origin);
            }
            None => {
                let origin = self.leaves.get(key).map(|leaf| leaf.origin.clone()).or(self.origin_of_parent(key));
                self.mistakes.add(Mistake { origin, ..Mistake::new(key, wrong.problem, wrong.remedy) });
            }
        }
    }

    /// Whether a key is set.
    pub fn is_set(&self, key: &str) -> bool {
        self.leaves.contains_key(key)
    }

    fn text(&self, key: &str) -> Option<(String, Origin)> {
        match self.leaves.get(key) {
            Some(Leaf { value: Given::Text(text), origin, .. }) => Some((text.clone(), origin.clone())),
            Some(_) => None,
            None => match keys::find(key) {
                Place::Key(known) => Some((known.default?.to_owned(), Origin::Default)),
                _ => None,
            },
        }
    }

    fn origin_of_parent(&self, key: &str) -> Option<Origin> {
        let (parent, _) = key.rsplit_once('.')?;
        self.leaves.get(parent).map(|leaf| leaf.origin.clone())
    }

    pub fn entry(&mut self, key: &str, value: Effective, origin: Origin) {
        self.entries.push(Entry { key: keys::spelt(key), value, origin });
    }

    pub fn wrong(&mut self, key: &str, value: Option<&str>, wrong: Wrong, origin: Origin) {
        let mistake = Mistake::new(key, wrong.problem, wrong.remedy).at(origin);
        // A URL's credentials, or what was meant to be one's.
        let may_be_secret = value.is_none_or(|value| value.contains(['@', '?']));
        self.mistakes.add(match value {
            Some(value) if !may_be_secret => mistake.with_value(value),
            _ => mistake,
        });
    }
}

/// Whether what should be a path may be a secret: it leads nowhere, or holds what paths of people's files do not.
fn may_be_secret(path: &str) -> bool {
    const RARE: &[char] = &['=', '+', '$', '!', '%', '^', '&', '*', ':', ';', '|'];
    !path.contains('/') || path.contains(RARE) || path.chars().skip(1).any(|c| c == '~')
}

fn example(key: &str) -> String {
    let last = key.rsplit('.').next().unwrap_or(key);
    match keys::find(key) {
        Place::Key(known) => format!("Set it, such as {last}: {}.", known.example),
        _ => "Set it.".to_owned(),
    }
}

fn unreadable(error: &std::io::Error) -> String {
    format!("cannot be read: {error}")
}

fn not_there(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!("Make {} readable for this user, or name another file.", whole.display())
}

/// What a secret file holds, without the line end that editors put there.
pub(super) fn read_secret(path: &Path) -> Parsed<String> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(LARGEST_SECRET + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes: Vec<u8> = read().or_else(|error: std::io::Error| parse::wrong(unreadable(&error), not_there(path)))?;
    if bytes.len() as u64 > LARGEST_SECRET {
        return parse::wrong("is larger than any secret", "Name the file that holds the secret alone.");
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.trim_end_matches(['\r', '\n']).to_owned()),
        Err(_) => parse::wrong("is not UTF-8", "Save the secret as plain text."),
    }
}
