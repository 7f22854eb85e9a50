//! The main job, end to end, as a person meets it: the program as a process, Entra, Graph and a hub
//! over real sockets, and a broker of its own. Nothing of the program is called but its commands.

#![cfg(test)]
#![cfg(feature = "demo")]

mod support;

use std::time::Duration;

use graph2mqtt::presence::Report;
use graph2mqtt::simulator::{Application, Call, Cloud, Gamut, Hub, Kind, Route};
use support::{Broker, Home, Observer, Program};

const TENANT: &str = "contoso.com";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const SECRET: &str = "the-applications-own-secret-4711";
const PASSWORD: &str = "the-password-at-the-broker-0815";
const PATIENCE: Duration = Duration::from_secs(30);
/// What a hub makes of the red of a call, and of the green of who is available.
const RED_IS_OVER: f64 = 0.6;

/// One person with a lamp, and all that she has around the program.
struct Office {
    cloud: Cloud,
    hub: Hub,
    broker: Broker,
    home: Home,
}

impl Office {
    async fn new(poll: &str) -> Self {
        let cloud = Cloud::start().await.unwrap();
        cloud.add_tenant(TENANT);
        cloud.add_application(Application::public(CLIENT, TENANT).secret(SECRET).delegated(&["Presence.Read"]));
        cloud.add_person("alex@contoso.com", "Alex");
        cloud.set_presence("alex@contoso.com", "Available", "Available");
        cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
        let hub = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap();
        let broker = Broker::start();
        let home = Home::new(&format!(
            "mqtt: {{ url: '{}' }}\n\
             entra: {{ authority: '{}', tenant: {TENANT}, client_id: {CLIENT} }}\n\
             graph: {{ endpoint: '{}', poll: {{ active: {poll}, quiet: {poll} }} }}\n\
             accounts: {{ alex: {{ user: alex@contoso.com, name: Alex }} }}\n\
             hubs: {{ office: {{ host: '{}', id: {}, key: {} }} }}\n\
             lights: {{ desk: {{ hub: office, target: Office, follow: alex }} }}\n\
             web: {{ listen: '127.0.0.1:0' }}\n",
            broker.url(),
            cloud.authority(),
            cloud.graph(),
            hub.address(),
            hub.bridge_id(),
            hub.key(),
        ));
        Self { cloud, hub, broker, home }
    }

    /// What a person does once: `login`, and the code on another device.
    async fn sign_in(&self) -> String {
        let mut login = self.home.start(&["--log", "trace", "login", "alex"]);
        let polled = |calls: &[Call]| calls.iter().any(|call| call.route == Route::Token);
        self.cloud.calls().wait_for(PATIENCE, polled).await.unwrap();
        let code = self.cloud.pending_codes().pop().unwrap();
        self.cloud.approve(&code, "alex@contoso.com").unwrap();
        assert!(login.ends().success(), "{}", login.said());
        login.said()
    }

    async fn observe(&self) -> Observer {
        Observer::connect(self.broker.address(), "#").await
    }

    async fn until_lamp(&self, what: &str, fits: impl Fn(f64) -> bool) {
        let fits = |lamp: &graph2mqtt::simulator::LampState| lamp.on && lamp.xy.is_some_and(|(x, _)| fits(x));
        assert!(self.hub.wait_for("Desk", PATIENCE, fits).await.is_ok(), "{what}: {:?}", self.hub.lamp("Desk"));
    }
}

fn output(home: &Home, arguments: &[&str]) -> (Option<i32>, String) {
    let output = home.output(arguments);
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), said)
}

fn availability(payload: &str) -> Option<String> {
    Some(Report::from_json(payload.as_bytes()).ok()?.availability.to_string())
}

async fn until_presence(observer: &Observer, wanted: &str) {
    let fits = |seen: &support::observer::Seen| {
        seen.topic == "graph2mqtt/account/alex/presence" && availability(&seen.payload).as_deref() == Some(wanted)
    };
    observer.until(&format!("a presence {wanted}"), fits).await;
}

/// Waits until these were answered from now on, one after the other.
async fn until_called(office: &Office, program: &Program, routes: &[Route]) {
    let mut calls = office.cloud.calls().subscribe();
    let called = async {
        for route in routes {
            loop {
                let call = calls.recv().await.unwrap();
                if call.route == *route && call.status == Some(200) {
                    break;
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, called).await.unwrap_or_else(|_| panic!("not asked: {}", program.said()));
}

fn warnings(program: &Program) -> Vec<String> {
    let said = program.said();
    let warns = |line: &&str| line.contains(" WARN ") || line.contains("ERROR");
    said.lines().filter(warns).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_a_lamp_that_follows_and_a_clean_end() {
    let office = Office::new("1s").await;
    let (code, said) = output(&office.home, &["check"]);
    assert_eq!(code, Some(1), "nobody has signed in yet: {said}");
    assert!(said.contains("graph2mqtt login alex"), "no remedy in {said}");

    office.sign_in().await;
    let (code, said) = output(&office.home, &["check"]);
    assert_eq!(code, Some(0), "{said}");
    for subject in ["store", "broker", "entra alex", "graph alex", "hub office", "light desk"] {
        assert!(said.lines().any(|line| line.starts_with("ok") && line.contains(subject)), "no {subject} in {said}");
    }

    let observer = office.observe().await;
    let mut run = office.home.start(&["run"]);
    until_presence(&observer, "Available").await;
    office.until_lamp("green", |x| x < RED_IS_OVER).await;
    observer.until_is("graph2mqtt/bridge/state", "online").await;
    office.cloud.set_presence("alex@contoso.com", "Busy", "InACall");
    until_presence(&observer, "Busy").await;
    office.until_lamp("red", |x| x >= RED_IS_OVER).await;

    assert!(run.stop().success(), "{}", run.said());
    observer.until_is("graph2mqtt/bridge/state", "offline").await;
    observer.until_is("graph2mqtt/actuator/home/state", "offline").await;
    assert_eq!(warnings(&run), Vec::<String>::new(), "a normal run warns of nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_right_after_a_token_refresh_it_polls_again_without_a_sign_in() {
    let office = Office::new("1s").await;
    office.cloud.adjust(|rules| rules.access_token = Duration::from_secs(2));
    office.sign_in().await;
    // Entra has answered; whether the answer was read, or is durable, is up to chance. The old refresh
    // token is still good then, as Entra's are.
    for round in 0..5 {
        let mut run = office.home.start(&["run"]);
        until_called(&office, &run, &[Route::Token]).await;
        tokio::time::sleep(Duration::from_millis(2 * round)).await;
        run.kill();
    }
    // Whoever uses the new access token has the new refresh token durable, even where the old one is
    // worth nothing from its use on.
    office.cloud.adjust(|rules| rules.revoke_used = true);
    for _ in 0..5 {
        let mut run = office.home.start(&["run"]);
        until_called(&office, &run, &[Route::Token, Route::MyPresence]).await;
        run.kill();
    }
    office.cloud.adjust(|rules| rules.access_token = Duration::from_secs(3600));
    office.cloud.calls().clear();
    let run = office.home.start(&["run"]);
    let polled = |calls: &[Call]| calls.iter().any(|call| call.route == Route::MyPresence && call.status == Some(200));
    let outcome = office.cloud.calls().wait_for(PATIENCE, polled).await;
    assert!(outcome.is_ok(), "{}", run.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_in_a_log_at_the_most_verbose_level_nor_in_a_topic() {
    let office = Office::new("1s").await;
    let observer = office.observe().await;
    let yaml = std::fs::read_to_string(office.home.config()).unwrap();
    let yaml = yaml.replace("mqtt: {", &format!("mqtt: {{ username: us, password: {PASSWORD},"));
    office.home.configure(&yaml.replace("entra: {", &format!("entra: {{ client_secret: {SECRET},")));
    office.cloud.adjust(|rules| rules.access_token = Duration::from_secs(2));
    let mut said = office.sign_in().await;
    let mut run = office.home.start(&["--log", "trace", "run"]);
    until_presence(&observer, "Available").await;
    let refreshed = |calls: &[Call]| calls.iter().filter(|call| call.route == Route::Token).count() > 4;
    office.cloud.calls().wait_for(PATIENCE, refreshed).await.unwrap();
    office.cloud.revoke("alex@contoso.com");
    office.cloud.expire_access_tokens("alex@contoso.com");
    observer.until_is("graph2mqtt/account/alex/state", "offline").await;
    run.stop();
    said += &run.said();
    said += &output(&office.home, &["--log", "trace", "check"]).1;
    said += &output(&office.home, &["config", "show"]).1;
    said += &output(&office.home, &["accounts"]).1;
    for seen in observer.seen() {
        said += &seen.payload;
    }
    let mut secrets = office.cloud.secrets();
    assert!(secrets.len() > 4, "the test has too few secrets to look for");
    secrets.extend([office.hub.key(), SECRET.to_owned(), PASSWORD.to_owned()]);
    for secret in secrets {
        // A part would help a thief as well.
        let part = &secret[..secret.len().min(24)];
        if let Some(line) = said.lines().find(|line| line.contains(part)) {
            panic!("a secret is in: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_each_role_cleanly() {
    let office = Office::new("1s").await;
    office.sign_in().await;
    let (bridge, actuator) = ("graph2mqtt/bridge/state", "graph2mqtt/actuator/home/state");
    for (command, states) in [("run", &[bridge, actuator][..]), ("bridge", &[bridge]), ("actuator", &[actuator])] {
        let observer = office.observe().await;
        let mut role = office.home.start(&[command]);
        for state in states {
            observer.until_is(state, "online").await;
        }
        role.signal(nix::sys::signal::Signal::SIGINT);
        assert!(role.ends().success(), "{command}: {}", role.said());
        for state in states {
            observer.until_is(state, "offline").await;
        }
        assert_eq!(warnings(&role), Vec::<String>::new(), "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_is_asked_for_its_health() {
    let office = Office::new("1s").await;
    office.sign_in().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!("web.listen=127.0.0.1:{port}");
    let (code, said) = output(&office.home, &["--set", &listen, "health"]);
    assert_eq!(code, Some(1), "{said}");
    let observer = office.observe().await;
    let mut run = office.home.start(&["--set", &listen, "run"]);
    observer.until_is("graph2mqtt/bridge/state", "online").await;
    office.until_lamp("green", |x| x < RED_IS_OVER).await;
    let (code, said) = output(&office.home, &["--set", &listen, "health", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let health: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&health["status"], &health["accounts_online"]), (&"ok".into(), &1.into()), "{said}");
    assert!(run.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_the_whole_chain_and_loses_nothing() {
    let home = Home::new("");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_graph2mqtt"));
    command.current_dir(home.path()).args(["demo", "--for", "8s", "--listen", "127.0.0.1:0"]);
    let mut demo = Program::spawn(command);
    demo.hears("…/alex/presence");
    assert!(demo.ends().success(), "{}", demo.said());
    let said = demo.said();
    assert!(said.contains("nothing lost") && said.contains("p99"), "{said}");
    assert_eq!(warnings(&demo), Vec::<String>::new());
}

/// Where the demo says that its broker listens.
fn demo_broker(demo: &Program) -> std::net::SocketAddr {
    let line = demo.hears("mqtt://");
    line.split("mqtt://").nth(1).unwrap().trim().parse().unwrap_or_else(|_| panic!("{line}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_runs_beside_another_broker_and_on_a_machine_that_has_a_proxy() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = (taken.local_addr().unwrap(), taken);
    let home = Home::new("");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_graph2mqtt"));
    command.current_dir(home.path()).args(["demo", "--for", "4s", "--listen", &taken.0.to_string()]);
    // Nothing listens there.
    for proxy in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(proxy, "http://127.0.0.1:9");
    }
    for exception in ["NO_PROXY", "no_proxy"] {
        command.env_remove(exception);
    }
    let mut demo = Program::spawn(command);
    let broker = demo_broker(&demo);
    assert_ne!(broker, taken.0);
    Observer::connect(broker, "#").await.until_is("graph2mqtt/bridge/state", "online").await;
    assert!(demo.ends().success(), "{}", demo.said());
    assert!(demo.said().contains("nothing lost"), "{}", demo.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_the_demo_cleanly() {
    let home = Home::new("");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_graph2mqtt"));
    command.current_dir(home.path()).args(["demo", "--listen", "127.0.0.1:0"]);
    let mut demo = Program::spawn(command);
    let observer = Observer::connect(demo_broker(&demo), "graph2mqtt/#").await;
    demo.hears("…/robin/presence");
    demo.signal(nix::sys::signal::Signal::SIGINT);
    for state in ["graph2mqtt/bridge/state", "graph2mqtt/actuator/home/state"] {
        observer.until_is(state, "offline").await;
    }
    assert!(demo.ends().success(), "{}", demo.said());
    assert!(demo.said().contains("nothing lost"), "{}", demo.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_nothing_to_run_it_says_what_is_missing() {
    let home = Home::new("mqtt: { url: 'mqtt://127.0.0.1:1' }\n");
    for (command, missing) in [("run", "accounts"), ("bridge", "accounts"), ("actuator", "lights")] {
        let (code, said) = output(&home, &[command]);
        assert!(code == Some(2) && said.contains(missing), "{command}: {code:?} {said}");
    }
}
