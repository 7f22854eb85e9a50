//! The stage: simulated Entra, Graph and hub, a broker, and the configuration that a user would write for them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::day::{DAY, PACE, PEOPLE};
use crate::commands::Failure;
use crate::settings::{self, Settings};
use crate::simulator::{Application, Broker, Cloud, Gamut, Hub, Kind};

const TENANT: &str = "contoso.example";
const CLIENT_ID: &str = "de300000-0000-4000-8000-000000000000";
/// Of the simulated application; it opens nothing.
const SECRET: &str = "the simulated application's secret";

/// Everything that stands around the program.
pub(super) struct Stage {
    pub cloud: Cloud,
    pub hub: Hub,
    pub broker: Broker,
    pub settings: Arc<Settings>,
    /// Holds the store; removed with the stage.
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Starts everything. The broker listens on `listen` where that is free.
    pub(super) async fn build(listen: SocketAddr) -> Result<Self, Failure> {
        let cloud = Cloud::start().await.context("the simulated cloud cannot listen")?;
        cloud.add_tenant(TENANT);
        cloud.add_application(Application::confidential(CLIENT_ID, TENANT, SECRET).roles(&["Presence.Read.All"]));
        for person in &PEOPLE {
            let id = person.id.parse().expect("the ids of the demo are GUIDs");
            cloud.add_person_as(id, person.user, person.name);
            cloud.set_presence(person.user, "Offline", "Offline");
        }
        let lamps = [("Desk", Kind::Color(Gamut::C)), ("Door", Kind::Color(Gamut::C))];
        let hub = Hub::plan().room("Office", &lamps).start().await.context("the simulated hub cannot listen")?;
        let broker = match Broker::start(listen) {
            Ok(broker) => broker,
            Err(taken) => Broker::start((Ipv4Addr::LOCALHOST, 0).into())
                .with_context(|| format!("{taken}, and no other port is free either"))?,
        };
        let folder = tempfile::tempdir().context("no folder for the demo's store can be made")?;
        let settings = configuration(&cloud, &hub, &broker, folder.path())?;
        Ok(Self { cloud, hub, broker, settings: Arc::new(settings), _folder: folder })
    }
}

/// What a user would write.
fn configuration(cloud: &Cloud, hub: &Hub, broker: &Broker, folder: &Path) -> Result<Settings, Failure> {
    let accounts: String = PEOPLE
        .iter()
        .map(|person| format!("  {}: {{ user: {}, name: {}, via: app }}\n", person.account, person.id, person.name))
        .collect();
    let yaml = format!(
        "mqtt: {{ url: 'mqtt://{broker}' }}\n\
         entra: {{ authority: '{authority}', tenant: {TENANT}, client_id: {CLIENT_ID}, client_secret: {SECRET} }}\n\
         graph: {{ endpoint: '{graph}', poll: {{ active: 1s, quiet: 1s }} }}\n\
         accounts:\n{accounts}\
         hubs:\n  hub: {{ host: '{hub_address}', id: {id}, key: {key} }}\n\
         lights:\n  desk: {{ hub: hub, target: light/Desk, follow: alex }}\n  \
         door: {{ hub: hub, target: light/Door, follow: [robin, sam] }}\n",
        broker = reachable(broker.address()),
        authority = cloud.authority(),
        graph = cloud.graph(),
        hub_address = hub.address(),
        id = hub.bridge_id(),
        key = hub.key(),
    );
    settings::from_yaml(&yaml, folder)
        .map_err(|mistakes| Failure::Usage(format!("the demo's configuration: {mistakes}")))
}

/// Where a program on this machine reaches a listener.
pub(super) fn reachable(listener: SocketAddr) -> SocketAddr {
    let ip = if listener.ip().is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { listener.ip() };
    SocketAddr::new(ip, listener.port())
}

/// Lets the day pass, over and over.
pub(super) async fn play(cloud: Cloud) {
    let mut pace = tokio::time::interval(PACE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // The first change comes when everybody's first presence had time to travel.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    for (person, availability, activity) in DAY.iter().cycle() {
        pace.tick().await;
        cloud.set_presence(PEOPLE[*person].user, availability, activity);
    }
}
