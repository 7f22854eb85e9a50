//! What a user got wrong, and where each value came from.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::keys;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// It follows from another key.
    Key(&'static str),
    /// The configuration file.
    File {
        /// As the user named it.
        file: Arc<str>,
        /// Counted from 1; none where the whole file is meant.
        line: Option<u32>,
    },
    /// An environment variable.
    Environment(Box<str>),
    /// `--set`, by its key.
    Flag(Box<str>),
    /// A file that holds nothing but a secret.
    SecretFile {
        /// The file.
        path: PathBuf,
        /// Where the file is named.
        named: Box<Origin>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Key(key) => write!(f, "by {key}"),
            Self::File { file, line: Some(line) } => write!(f, "{file}:{line}"),
            Self::File { file, line: None } => f.write_str(file),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(key) if key.is_empty() => f.write_str("--set"),
            Self::Flag(key) => write!(f, "--set {key}"),
            Self::SecretFile { path, named } => write!(f, "{}, named by {named}", path.display()),
        }
    }
}

/// One thing to put right. A secret is never quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key, such as `mqtt.url`; empty where the file as a whole is wrong.
    pub key: String,
    /// The value as it was given, cut to a line; none where there is none or where it could be a secret.
    pub value: Option<String>,
    /// Where it was given.
    pub origin: Option<Origin>,
    /// What is wrong, as a predicate: "has no unit".
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// The longest part of a value that is quoted, in characters.
const QUOTED: usize = 100;

impl Mistake {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        let key: String = keys::spelt(&key.into()).chars().filter(|c| !c.is_control()).take(QUOTED).collect();
        Self { key, value: None, origin: None, problem: problem.into(), remedy: remedy.into() }
    }

    pub(super) fn at(self, origin: Origin) -> Self {
        Self { origin: Some(origin), ..self }
    }

    pub(super) fn with_value(self, value: &str) -> Self {
        let cut: String = value.chars().take(QUOTED).collect();
        let ellipsis = if cut.len() < value.len() { "…" } else { "" };
        Self { value: Some(format!("{cut}{ellipsis}")), ..self }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: ")?,
            None => f.write_str("configuration: ")?,
        }
        let separator = if self.key.is_empty() { "" } else { " " };
        write!(f, "{}{separator}", self.key)?;
        if let Some(value) = &self.value {
            write!(f, "{value:?} ")?;
        }
        write!(f, "{}\n    {}", self.problem, self.remedy)
    }
}

/// Every mistake of a configuration, in the order in which they were found.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(pub Vec<Mistake>);

/// How many mistakes are printed: a wrong pattern in thousands of accounts should not scroll the first away.
const PRINTED: usize = 50;

impl Mistakes {
    pub(super) fn add(&mut self, mistake: Mistake) {
        self.0.push(mistake);
    }

    /// Whether something was said of a key already.
    pub(super) fn names(&self, key: &str) -> bool {
        self.0.iter().any(|mistake| mistake.key == key)
    }

    /// In the order of the file, then what came from elsewhere.
    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_by_key(|mistake| match &mistake.origin {
            Some(Origin::File { line, .. }) => (0, *line),
            _ => (1, None),
        });
        self
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "{count} {} in the configuration", if count == 1 { "mistake" } else { "mistakes" })?;
        for mistake in self.0.iter().take(PRINTED) {
            write!(f, "\n\n{mistake}")?;
        }
        if count > PRINTED {
            write!(f, "\n\n… and {} more", count - PRINTED)?;
        }
        Ok(())
    }
}
