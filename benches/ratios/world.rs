//! The simulated Entra, Graph and hub that both sides work for, on a thread of their own.

use std::future::Future;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use anyhow::Context;
use graph2mqtt::simulator::{Application, Cloud, Gamut, Hub, Kind, Route};
use tokio::runtime::{Builder, Handle};

const TENANT: &str = "example.com";
const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const CLIENT_SECRET: &str = "not-a-secret";
/// What people show in turns.
const SHOWN: [(&str, &str); 2] = [("Available", "Available"), ("Busy", "InACall")];

const LAMP: &str = "Desk";
/// A lamp that nobody means.
const OTHER: &str = "Other";

/// A lamp, and how its hub is reached.
pub struct Lamp {
    /// Host and port.
    pub host: String,
    /// The bridge id.
    pub hub_id: String,
    /// The application key.
    pub key: String,
    /// The lamp's name.
    pub name: &'static str,
    /// What is PUT to.
    pub url: String,
}

/// Entra, Graph, and a hub with one lamp for each person where there are lamps. Their thread ends with the benchmark.
pub struct World {
    cloud: Cloud,
    hubs: Vec<Hub>,
    people: Vec<String>,
}

impl World {
    /// One tenant, one application that may read presences, and so many people, all Available; no lamps.
    pub fn start(people: usize) -> anyhow::Result<Self> {
        let cloud = on(&runtime()?, Cloud::start())??;
        cloud.add_tenant(TENANT);
        let roles = ["Presence.Read.All"];
        cloud.add_application(Application::confidential(CLIENT_ID, TENANT, CLIENT_SECRET).roles(&roles));
        let people = (0..people)
            .map(|number| {
                let id = cloud.add_person(&format!("p{number}@{TENANT}"), &format!("Person {number}")).as_str();
                cloud.set_presence(&id, SHOWN[0].0, SHOWN[0].1);
                id
            })
            .collect();
        Ok(Self { cloud, hubs: Vec::new(), people })
    }

    /// The same, with a lamp for each person.
    pub fn with_lamps(people: usize) -> anyhow::Result<Self> {
        let mut world = Self::start(people)?;
        let runtime = runtime()?;
        for _ in 0..people {
            let hub = Hub::plan().room("Office", &[(LAMP, Kind::Color(Gamut::C))]);
            world.hubs.push(on(&runtime, hub.start())??);
        }
        Ok(world)
    }

    /// Hubs with so many lamps each that are meant, and one in the same room that is not.
    pub fn with_hubs(hubs: usize, lamps: usize) -> anyhow::Result<Self> {
        let mut world = Self::start(0)?;
        let runtime = runtime()?;
        for number in 0..hubs {
            let names: Vec<String> = (0..lamps).map(|lamp| format!("Lamp{lamp}")).collect();
            let meant = names.iter().map(String::as_str).chain([OTHER]);
            let room: Vec<(&str, Kind)> = meant.map(|name| (name, Kind::Color(Gamut::C))).collect();
            let hub = Hub::plan().bridge_id(&format!("001788fffe10203{number}")).room("Office", &room);
            world.hubs.push(on(&runtime, hub.start())??);
        }
        Ok(world)
    }

    /// The hubs.
    pub fn hubs(&self) -> &[Hub] {
        &self.hubs
    }

    /// The lamps of a hub that are meant.
    pub fn lamps_of(hub: &Hub) -> Vec<String> {
        let numbered = (0..).map(|lamp| format!("Lamp{lamp}"));
        let there = |lamp: &String| hub.resource_id("light", lamp).is_some();
        let single = Some(LAMP.to_owned()).filter(there);
        single.into_iter().chain(numbered.take_while(there)).collect()
    }

    /// A person's lamp.
    pub fn lamp(&self, person: usize) -> anyhow::Result<Lamp> {
        let hub = self.hubs.get(person).context("a world without lamps")?;
        let (host, light) = (hub.address().to_string(), hub.resource_id("light", LAMP).context("the lamp")?);
        let url = format!("https://{host}/clip/v2/resource/light/{light}");
        Ok(Lamp { host, hub_id: hub.bridge_id(), key: hub.key(), name: LAMP, url })
    }

    /// When a person's lamp was last sent something that its hub accepted.
    pub fn last_put(&self, person: usize) -> Option<Instant> {
        let commands = self.hubs.get(person)?.commands().all();
        commands.iter().rev().find(|command| command.status == 200).map(|command| command.at)
    }

    /// Object ids.
    pub fn people(&self) -> &[String] {
        &self.people
    }

    /// Changes what a person shows; answers with the availability shown from now on.
    pub fn toggle(&self, person: usize) -> &'static str {
        let mut next = SHOWN[0];
        self.cloud.change(&self.people[person], |shown| {
            next = if shown.availability == SHOWN[0].0 { SHOWN[1] } else { SHOWN[0] };
            (shown.availability, shown.activity) = (next.0.to_owned(), next.1.to_owned());
        });
        next.0
    }

    /// When Graph first told what a person shows now.
    pub fn first_told(&self, person: usize) -> Option<Instant> {
        self.cloud.first_told(&self.people[person])
    }

    /// How many presences Graph's answers held so far.
    pub fn presences_read(&self) -> usize {
        let calls = self.cloud.calls().all();
        calls.iter().filter(|call| Route::PRESENCE.contains(&call.route)).map(|call| call.size).sum()
    }

    /// Entra, without a tenant.
    pub fn authority(&self) -> String {
        self.cloud.authority()
    }

    /// Graph's endpoint.
    pub fn graph(&self) -> String {
        self.cloud.graph()
    }

    /// The tenant's domain.
    pub fn tenant(&self) -> &'static str {
        TENANT
    }

    /// The application.
    pub fn client_id(&self) -> &'static str {
        CLIENT_ID
    }

    /// Its secret.
    pub fn client_secret(&self) -> &'static str {
        CLIENT_SECRET
    }
}

/// A runtime on a thread of its own, which disturbs the measured processes least.
pub fn runtime() -> anyhow::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build().context("the simulator's runtime")?;
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(handle)
}

/// Does this on another runtime.
pub fn on<T: Send + 'static>(runtime: &Handle, work: impl Future<Output = T> + Send + 'static) -> anyhow::Result<T> {
    let (sender, done) = channel();
    runtime.spawn(async move { sender.send(work.await) });
    done.recv().context("the simulator's runtime ended")
}
