//! A broker for one test: Mosquitto as a child process, on a port of its own, gone with the test.
//!
//! Where Mosquitto is not installed, the embedded broker stands in and says so on stderr; with `CI=true`
//! that is a failure.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long Mosquitto may take to listen.
const START: Duration = Duration::from_secs(10);

/// A running broker.
pub struct Broker {
    port: u16,
    kind: Kind,
}

enum Kind {
    Mosquitto {
        binary: PathBuf,
        folder: tempfile::TempDir,
        child: Option<Child>,
    },
    #[cfg(feature = "demo")]
    Embedded(Option<graph2mqtt::simulator::Broker>),
}

/// How a broker is to be.
#[derive(Default)]
pub struct Builder {
    users: Vec<(String, String)>,
    acl: Option<String>,
    tls: Option<Tls>,
    persistence: bool,
    lines: Vec<String>,
}

/// Files in PEM for a broker with TLS.
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority of clients; where it is given, each client needs a certificate.
    pub client_authority: Option<PathBuf>,
}

impl Broker {
    /// A stock broker that lets everybody in and keeps nothing on disk.
    pub fn start() -> Self {
        Self::builder().start()
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// For `mqtt.url`.
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address())
    }

    /// Whether it is the real one: what Mosquitto alone does cannot be tested on the embedded one.
    pub fn is_mosquitto(&self) -> bool {
        matches!(self.kind, Kind::Mosquitto { .. })
    }

    /// Ends it without a word (SIGKILL). Retained messages are gone unless it persists.
    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Ends it in order (SIGTERM): clients are told.
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Stops it from running, with its connections open (SIGSTOP), until [`Self::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Starts it again on the same port, after [`Self::kill`] or [`Self::stop`].
    pub fn restart(&mut self) {
        match &mut self.kind {
            Kind::Mosquitto { binary, folder, child } => {
                *child = Some(spawn(binary, folder.path(), self.port).expect("Mosquitto starts again on its port"));
            }
            #[cfg(feature = "demo")]
            Kind::Embedded(broker) => {
                let address = (Ipv4Addr::LOCALHOST, self.port).into();
                *broker = Some(graph2mqtt::simulator::Broker::start(address).expect("the port is free again"));
            }
        }
    }

    fn end(&mut self, signal: Signal) {
        self.signal(signal);
        match &mut self.kind {
            Kind::Mosquitto { child, .. } => {
                if let Some(mut child) = child.take() {
                    child.wait().expect("a child can be waited for");
                }
            }
            #[cfg(feature = "demo")]
            Kind::Embedded(broker) => drop(broker.take().map(graph2mqtt::simulator::Broker::stop)),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Kind::Mosquitto { child: Some(child), .. } = &self.kind {
            let id = i32::try_from(child.id()).expect("process ids fit");
            kill(Pid::from_raw(id), signal).expect("the child is ours");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.end(Signal::SIGKILL);
    }
}

impl Builder {
    /// Lets in only the users that were named.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.into(), password.into()));
        self
    }

    /// Mosquitto's access control file.
    pub fn acl(mut self, text: &str) -> Self {
        self.acl = Some(text.into());
        self
    }

    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Keeps retained messages over a restart; a kill loses those since the last save.
    pub fn persistence(mut self) -> Self {
        self.persistence = true;
        self
    }

    /// One more line of mosquitto.conf.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.into());
        self
    }

    pub fn start(self) -> Broker {
        match find_mosquitto() {
            Some(binary) => self.start_binary(binary),
            None => self.start_embedded(),
        }
    }

    /// For what Mosquitto alone does (rights, TLS, limits, being frozen): `None`, said on stderr, where
    /// it is not installed.
    pub fn start_mosquitto(self) -> Option<Broker> {
        let binary = find_mosquitto();
        if binary.is_none() {
            eprintln!("skipped: this test needs Mosquitto itself (apt-get install mosquitto)");
        }
        binary.map(|binary| self.start_binary(binary))
    }

    fn start_binary(self, binary: PathBuf) -> Broker {
        let folder = tempfile::tempdir().expect("a temporary folder");
        self.write_files(folder.path());
        // Another process may take the port between our look and Mosquitto's bind.
        for _ in 0..5 {
            let port = free_port();
            if let Some(child) = spawn(&binary, folder.path(), port) {
                return Broker { port, kind: Kind::Mosquitto { binary, folder, child: Some(child) } };
            }
        }
        panic!("Mosquitto does not start; its configuration:\n{}", self.configuration(folder.path()));
    }

    #[cfg(feature = "demo")]
    fn start_embedded(self) -> Broker {
        let plain = self.users.is_empty() && self.acl.is_none() && self.tls.is_none() && self.lines.is_empty();
        assert!(plain && !self.persistence, "a test that needs Mosquitto itself asks for start_mosquitto");
        eprintln!("Mosquitto is not installed: the embedded broker stands in");
        let any = (Ipv4Addr::LOCALHOST, 0).into();
        let broker = graph2mqtt::simulator::Broker::start(any).expect("a port on this machine");
        Broker { port: broker.address().port(), kind: Kind::Embedded(Some(broker)) }
    }

    #[cfg(not(feature = "demo"))]
    fn start_embedded(self) -> Broker {
        panic!("Mosquitto is not installed: apt install mosquitto");
    }

    fn write_files(&self, folder: &Path) {
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("the folder is ours");
        write("base.conf", &self.configuration(folder));
        write("listener.conf", &self.listener_lines());
        if let Some(acl) = &self.acl {
            write("acl", acl);
        }
        if !self.users.is_empty() {
            let lines: String = self.users.iter().map(|(name, password)| format!("{name}:{password}\n")).collect();
            write("passwords", &lines);
            let hashed = Command::new("mosquitto_passwd").arg("-U").arg(folder.join("passwords")).status();
            assert!(hashed.is_ok_and(|status| status.success()), "mosquitto_passwd comes with Mosquitto");
        }
    }

    fn configuration(&self, folder: &Path) -> String {
        // As root, Mosquitto would become another user, which cannot read our folder.
        let mut text = "user root\nlog_type error\nlog_type warning\n".to_owned();
        let file = |name: &str| folder.join(name).display().to_string();
        let mut line = |key: &str, value: &str| writeln!(text, "{key} {value}").expect("a string takes it");
        line("allow_anonymous", if self.users.is_empty() { "true" } else { "false" });
        if !self.users.is_empty() {
            line("password_file", &file("passwords"));
        }
        if self.acl.is_some() {
            line("acl_file", &file("acl"));
        }
        if self.persistence {
            line("persistence", "true");
            line("persistence_location", &format!("{}/", folder.display()));
        }
        for other in &self.lines {
            line(other, "");
        }
        text
    }

    /// What belongs to the listener, and so stands behind its line.
    fn listener_lines(&self) -> String {
        let Some(tls) = &self.tls else { return String::new() };
        let mut text = format!("certfile {}\nkeyfile {}\n", tls.certificate.display(), tls.key.display());
        if let Some(authority) = &tls.client_authority {
            write!(text, "cafile {}\nrequire_certificate true\n", authority.display()).expect("a string takes it");
        }
        text
    }
}

/// `None` where it ended before it listened.
fn spawn(binary: &Path, folder: &Path, port: u16) -> Option<Child> {
    let base = fs::read_to_string(folder.join("base.conf")).expect("written before");
    let listener = fs::read_to_string(folder.join("listener.conf")).expect("written before");
    let config = folder.join("mosquitto.conf");
    fs::write(&config, format!("{base}listener {port} 127.0.0.1\n{listener}")).expect("the folder is ours");
    let mut child = Command::new(binary)
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Mosquitto can be run");
    let deadline = Instant::now() + START;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if child.try_wait().is_ok_and(|status| status.is_some()) {
            return None;
        }
        assert!(Instant::now() < deadline, "Mosquitto does not listen on port {port}");
        std::thread::sleep(Duration::from_millis(5));
    }
    Some(child)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port on this machine");
    listener.local_addr().expect("it is bound").port()
}

fn find_mosquitto() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join("mosquitto"))
        .find(|file| file.is_file());
    let required = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(found.is_some() || !required, "CI=true, and Mosquitto is not installed: apt install mosquitto");
    found
}
