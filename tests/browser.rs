//! The pages in a real headless Chromium: `tests/browser/walk.mjs` walks every way of signing in through
//! the program as it runs, `hub.mjs` the page on which a hub is paired. Needs node, Chromium, and playwright-core (`npm ci` in tests/browser).

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

mod support;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use graph2mqtt::simulator::{Application, Cloud, Fault, Gamut, Hub, Kind, Platform, Request, What};
use support::{Broker, Home, Program};

const CLIENT: &str = "11111111-2222-3333-4444-555555555555";

/// What is needed is here; or what is missing.
fn chromium() -> Result<PathBuf, String> {
    let runs = |program: &str| Command::new(program).arg("--version").output().is_ok_and(|said| said.status.success());
    if !runs("node") {
        return Err("node is missing (Debian: nodejs)".to_owned());
    }
    if !Path::new("tests/browser/node_modules/playwright-core").is_dir() {
        return Err("playwright-core is missing: npm ci in tests/browser".to_owned());
    }
    let named = std::env::var("CHROMIUM").ok();
    let names = named.iter().map(String::as_str).chain(["chromium", "chromium-browser", "google-chrome"]);
    let paths: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let found = names.flat_map(|name| paths.iter().map(move |path| path.join(name))).find(|path| path.is_file());
    found.ok_or_else(|| "Chromium is missing (Debian: chromium), or name it in CHROMIUM".to_owned())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn cloud(port: u16) -> Cloud {
    let cloud = Cloud::start().await.unwrap();
    cloud.add_tenant("contoso.com");
    let application = Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]);
    let callback = format!("http://localhost:{port}/sign-in/callback");
    cloud.add_application(application.redirect(Platform::Desktop, &callback));
    for (upn, name) in [("alex@contoso.com", "Alex"), ("kim@contoso.com", "Kim"), ("sam@contoso.com", "Sam")] {
        cloud.add_person(upn, name);
        cloud.set_presence(upn, "Available", "Available");
    }
    cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
    cloud
}

/// The browser; none where there is none, which is said, and a failure where the whole suite has to run.
fn browser() -> Option<PathBuf> {
    match chromium() {
        Ok(chromium) => Some(chromium),
        Err(missing) if std::env::var_os("CI").is_some_and(|ci| !ci.is_empty()) => panic!("{missing}"),
        Err(missing) => {
            println!("not run: {missing}");
            None
        }
    }
}

/// Lets a script walk the pages; answers what it was content with, a line each.
async fn walk(chromium: &Path, script: &str, port: u16, more: &[&str], program: &Program) -> Vec<String> {
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&pictures).unwrap();
    let url = format!("http://localhost:{port}");
    let mut walk = Command::new("node");
    walk.arg(format!("tests/browser/{script}"));
    walk.args([chromium.as_os_str(), url.as_ref(), pictures.as_os_str()]).args(more);
    let said = tokio::task::spawn_blocking(move || walk.output().unwrap()).await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&said.stdout), text(&said.stderr));
    assert!(said.status.success(), "{out}\n{err}\nthe program said:\n{}", program.said());
    out.lines().filter(|line| line.starts_with("ok: ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_signing_in_works_in_a_real_browser() {
    let Some(chromium) = browser() else { return };
    let (broker, port) = (Broker::start(), free_port());
    let cloud = cloud(port).await;
    let home = Home::new(&format!(
        "mqtt: {{ url: '{}' }}\n\
         entra: {{ authority: '{}', tenant: contoso.com, client_id: {CLIENT} }}\n\
         graph: {{ endpoint: '{}', poll: {{ active: 1s, quiet: 1s }} }}\n\
         web: {{ listen: '127.0.0.1:{port}', enrol: {{ tenants: [contoso.com] }} }}\n\
         accounts:\n  alex: {{ user: alex@contoso.com, name: Alex }}\n  sam: {{ user: sam@contoso.com, name: Sam }}\n",
        broker.url(),
        cloud.authority(),
        cloud.graph(),
    ));
    let mut program = home.start(&["run"]);
    program.hears("the bridge is online");
    let walks = walk(&chromium, "walk.mjs", port, &[], &program).await;
    assert_eq!(walks.len(), 11, "{walks:?}");
    program.stop();
    let log = program.said();
    for secret in cloud.secrets() {
        assert!(!log.contains(&secret), "a secret is in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_is_paired_in_a_real_browser_without_scripts() {
    let Some(chromium) = browser() else { return };
    let (broker, port) = (Broker::start(), free_port());
    let hub = Hub::plan().room("Office", &[("Desk", Kind::Color(Gamut::C))]).start().await.unwrap();
    let home = Home::new(&format!(
        "mqtt: {{ url: '{}' }}\nweb: {{ listen: '127.0.0.1:{port}' }}\nhubs: {{ office: {{ host: '{}' }} }}\n\
         lights: {{ desk: {{ hub: office, target: Office, follow: alex }} }}\n",
        broker.url(),
        hub.address(),
    ));
    let program = home.start(&["run"]);
    program.hears("there is no application key for it yet");
    let asked = |times: usize| {
        move |requests: &[Request]| requests.iter().filter(|it| it.route == "POST /api").count() >= times
    };
    let pressed = async {
        hub.requests().wait_for(Duration::from_secs(60), asked(15)).await.unwrap();
        hub.press_button();
    };
    let first = ["a hub is paired by its button, counted down"];
    let (walks, ()) = tokio::join!(walk(&chromium, "hub.mjs", port, &first, &program), pressed);
    assert_eq!(walks.len(), 1);
    let key = hub.key();
    hub.revoke_key();
    hub.disconnect();
    program.hears("does not know the application key any more");
    hub.press_button();
    // The page is right before the hub answered to its new key, too.
    hub.fault(Fault::new("/clip/v2/resource", What::Slow(Duration::from_secs(2))));
    walk(&chromium, "hub.mjs", port, &["a key that the hub forgot is seen and can be mended"], &program).await;
    program.hears("the hub obeys again");
    for key in [key, hub.key()] {
        assert!(!key.is_empty() && !program.said().contains(&key), "the key is in the log");
    }
}
