//! The program under test, as a child process: its configuration, its log, its signals and its end.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a test waits for the program to say or do something before it fails.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a configuration: what a user has.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// A new folder with this YAML as its `graph2mqtt.yaml`.
    pub fn new(yaml: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        home.configure(yaml);
        home
    }

    /// Writes the configuration anew.
    pub fn configure(&self, yaml: &str) {
        std::fs::write(self.config(), yaml).expect("the configuration is written");
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.path().join("graph2mqtt.yaml")
    }

    /// The program with these arguments, at home here and without the tester's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_graph2mqtt"));
        command.current_dir(self.path()).args(["--config", "graph2mqtt.yaml"]).args(arguments).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("GRAPH2MQTT_")) {
            command.env_remove(name);
        }
        command
    }

    /// Runs a command that ends by itself.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Starts a command that goes on.
    pub fn start(&self, arguments: &[&str]) -> Program {
        Program::spawn(self.command(arguments))
    }
}

/// A running program. Killed when dropped.
pub struct Program {
    child: Child,
    said: Arc<Said>,
}

#[derive(Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

impl Program {
    /// Starts it; what it prints (stdout and stderr) is collected.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let said = Arc::<Said>::default();
        collect(child.stdout.take().expect("stdout is piped"), said.clone());
        collect(child.stderr.take().expect("stderr is piped"), said.clone());
        Self { child, said }
    }

    /// All that it said so far.
    pub fn said(&self) -> String {
        self.said.text.lock().expect("no test thread panicked here").clone()
    }

    /// Waits until it says this, and gives the whole line.
    pub fn hears(&self, what: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut text = self.said.text.lock().expect("no test thread panicked here");
        loop {
            if let Some(line) = text.lines().find(|line| line.contains(what)) {
                return line.to_owned();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it never said {what:?}; it said:\n{text}");
            text = self.said.more.wait_timeout(text, left).expect("no test thread panicked here").0;
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid is positive"));
        kill(pid, signal).expect("the process is there");
    }

    /// Ends it as a user would (SIGTERM) and waits.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ends()
    }

    /// Kills it with -9 and waits.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process is there");
        self.child.wait().expect("the process was ours");
    }

    /// Waits for its end.
    pub fn ends(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("the process was ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; it said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(from: impl Read + Send + 'static, said: Arc<Said>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = writeln!(said.text.lock().expect("no test thread panicked here"), "{line}");
            said.more.notify_all();
        }
    });
}
