//! The program that is measured: the release, as `cargo build --release` makes it.
//!
//! What `cargo bench` links before it starts this file is another one. There the crates that are shared with the tests
//! have the features that tests ask for too: it is larger, and the functions of `build/order.txt` lie elsewhere.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

/// `--program FILE` measures that one.
pub const FLAG: &str = "--program";
const NAME: &str = "graph2mqtt";
/// How the variables begin that cargo sets for a package's processes. Some crates are built anew where they change.
const OF_A_PACKAGE: [&str; 3] = ["CARGO_MANIFEST_", "CARGO_PKG_", "OUT_DIR"];

static PROGRAM: LazyLock<anyhow::Result<PathBuf>> = LazyLock::new(|| given().map_or_else(built, found));

/// Where it is. The first call may take the minutes of a release build.
pub fn path() -> anyhow::Result<&'static Path> {
    PROGRAM.as_deref().map_err(|error| anyhow!("{error:#}"))
}

fn given() -> Option<OsString> {
    std::env::args_os().skip_while(|argument| argument != FLAG).nth(1)
}

/// Its address does not depend on the folder in which it is started.
fn found(given: OsString) -> anyhow::Result<PathBuf> {
    Path::new(&given).canonicalize().with_context(|| format!("{FLAG} {}", given.display()))
}

/// Cargo waits for nobody: it has let go of its folder before it starts a benchmark. What was built before is kept.
fn built() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    let named = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    for name in named.filter(|name| OF_A_PACKAGE.iter().any(|start| name.starts_with(start))) {
        command.env_remove(name);
    }
    let output = command
        .args(["build", "--release", "--locked", "--bin", NAME, "--message-format=json-render-diagnostics"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be started")?;
    if !output.status.success() {
        bail!("cargo build --release: {}; {FLAG} FILE measures one that is built", output.status);
    }
    executable(&String::from_utf8_lossy(&output.stdout)).context("cargo does not say where the program is")
}

/// From cargo's messages: <https://doc.rust-lang.org/cargo/reference/external-tools.html#artifact-messages>.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut ours = messages.filter(|message| message["target"]["name"] == NAME);
    ours.find_map(|message| message["executable"].as_str().map(PathBuf::from))
}
