//! How a command fails, and the exit code that says so.

use std::io::Write;
use std::process::ExitCode;

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Wrong usage or configuration: exit code 2. The text is complete, one mistake a paragraph.
    #[error("{0}")]
    Usage(String),
    /// Something failed at run time: exit code 1.
    #[error("{0:#}")]
    Runtime(#[from] anyhow::Error),
    /// A command whose output already said what failed, such as `check`: exit code 1.
    #[error("")]
    Reported,
}

impl Failure {
    /// Prints what is to be said and gives the exit code.
    pub fn report(&self) -> ExitCode {
        let text = self.to_string();
        if !text.is_empty() {
            // Where nobody reads it, the exit code says enough.
            let _ = writeln!(std::io::stderr(), "graph2mqtt: {text}");
        }
        ExitCode::from(if matches!(self, Self::Usage(_)) { 2 } else { 1 })
    }
}
