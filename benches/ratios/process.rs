//! A child process, and what the kernel says of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a process may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(15);
/// How many lines of its log an error shows.
const LAST_WORDS: usize = 10;

/// A running child; killed when it is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
    /// When it was started.
    pub started: Instant,
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Now.
    pub resident: f64,
    /// The highest so far.
    pub peak: f64,
}

/// User and system time of every thread, to the nanosecond: `/proc/<pid>/stat` holds the same, but in
/// hundredths of a second, which is a tenth of what is measured here.
pub struct Cpu(BTreeMap<OsString, Duration>);

impl Cpu {
    /// What was used since an earlier look, by the threads that are still there.
    pub fn since(&self, earlier: &Self) -> Duration {
        let before = |thread| earlier.0.get(thread).copied().unwrap_or_default();
        self.0.iter().map(|(thread, used)| used.saturating_sub(before(thread))).sum()
    }
}

impl Process {
    /// Starts the command; what it prints goes to `log`.
    pub fn start(mut command: Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("{}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let started = Instant::now();
        let child =
            command.spawn().with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned(), started })
    }

    /// What its threads have used of the processors so far.
    pub fn cpu(&self) -> anyhow::Result<Cpu> {
        let folder = format!("/proc/{}/task", self.child.id());
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(&folder).with_context(|| format!("{folder} (the figures are read from Linux)"))? {
            let thread = thread?;
            // A thread that ended meanwhile is left out.
            let Ok(line) = fs::read_to_string(thread.path().join("schedstat")) else { continue };
            let nanoseconds = line.split_whitespace().next().and_then(|field| field.parse().ok());
            threads.insert(thread.file_name(), Duration::from_nanos(nanoseconds.context("an odd schedstat")?));
        }
        Ok(Cpu(threads))
    }

    /// VmRSS and VmHWM.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = self.read("status")?;
        let bytes = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key))?;
            line.split_whitespace().next()?.parse::<f64>().ok().map(|kibibytes| kibibytes * 1024.0)
        };
        let (resident, peak) = bytes("VmRSS:").zip(bytes("VmHWM:")).context("an odd /proc/<pid>/status")?;
        Ok(Memory { resident, peak })
    }

    /// Says what happened if the process ended by itself.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the process ended by itself: {status}; {}", self.last_words()),
        }
    }

    /// The end of what it printed, for an error's text.
    pub fn last_words(&self) -> String {
        let printed = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = printed.lines().rev().take(LAST_WORDS).collect();
        format!("the last that it said: {}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// Ends it as a person would, and waits for the end.
    pub fn stop(mut self) -> anyhow::Result<()> {
        kill(self.pid(), Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("it did not end within {} s of SIGTERM; {}", STOP.as_secs(), self.last_words());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn read(&self, file: &str) -> anyhow::Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(&path).with_context(|| format!("{path} (the figures are read from Linux)"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
