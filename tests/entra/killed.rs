//! The program, killed at any instant of its refreshing, loses no account.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use graph2mqtt::simulator::{Broker, Call, Route};

use crate::world::{CLIENT, SHORT, World, name, person, upn};

const ROUNDS: usize = 200;
const PEOPLE: usize = 6;

/// The longest that a round lives on after its first question to Entra, in microseconds: by then most have refreshed.
const LONGEST: u64 = 40_000;

fn start(world: &World) -> Child {
    Command::new(env!("CARGO_BIN_EXE_graph2mqtt"))
        .current_dir(world.folder())
        .args(["--config", "graph2mqtt.yaml", "bridge"])
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_two_hundred_times_while_it_refreshes_no_account_is_lost() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let people: Vec<String> = (0..PEOPLE).map(|number| format!("person{number}")).collect();
    for name in &people {
        world.cloud.add_person(&upn(name), name);
    }
    let broker = Broker::start("127.0.0.1:0".parse().unwrap()).unwrap();
    let accounts: String = people.iter().map(|name| format!("  {name}: {{ user: {} }}\n", upn(name))).collect();
    let yaml = format!(
        "mqtt: {{ url: \"mqtt://{}\" }}\nweb: {{ listen: \"127.0.0.1:0\" }}\n\
         entra: {{ authority: \"{}\", tenant: contoso.com, client_id: {CLIENT} }}\n\
         graph: {{ endpoint: \"{}\", poll: {{ active: 1s, quiet: 1s }} }}\naccounts:\n{accounts}",
        broker.address(),
        world.cloud.authority(),
        world.cloud.graph(),
    );
    fs::write(world.folder().join("graph2mqtt.yaml"), yaml).unwrap();
    let settings = world.settings(&people.iter().map(String::as_str).collect::<Vec<_>>());
    let tokens = world.start(&settings).await;
    for name in &people {
        world.sign_in(&tokens, name).await.unwrap();
    }
    drop(tokens);

    let mut versions = vec![1; PEOPLE];
    for round in 0..ROUNDS {
        world.cloud.calls().clear();
        let mut program = start(&world);
        let asks = |calls: &[Call]| calls.iter().any(|call| call.route == Route::Token);
        let asked = world.cloud.calls().wait_for(Duration::from_secs(30), asks).await;
        tokio::time::sleep(Duration::from_micros(fastrand::u64(..LONGEST))).await;
        program.kill().unwrap();
        program.wait().unwrap();
        assert!(asked.is_ok(), "round {round}: nothing was refreshed");
        let store = world.store().await;
        for (name, version) in people.iter().zip(&mut versions) {
            let grant = store.grant(&crate::world::name(name)).await.unwrap();
            let grant = grant.unwrap_or_else(|| panic!("round {round}: {name} is lost"));
            assert!(grant.version >= *version, "round {round}: {name} went back");
            *version = grant.version;
        }
    }
    assert!(versions.iter().all(|version| *version > 20), "too few were refreshed to prove anything: {versions:?}");
    let tokens = world.start(&settings).await;
    for who in &people {
        let token = tokens.access(&person(who)).await.unwrap_or_else(|trouble| panic!("{who} is lost: {trouble}"));
        let kept = world.store().await.grant(&name(who)).await.unwrap().unwrap();
        assert_eq!(world.whose(&token).await, kept.object_id.as_str());
    }
}
