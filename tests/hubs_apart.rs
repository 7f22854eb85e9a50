//! Several hubs at once: one that is dead, slow, answers HTML, says 429 for minutes, or lies, delays no other.

#![cfg(test)]
#![cfg(all(test, feature = "demo"))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use graph2mqtt::actuator::Actuator;
use graph2mqtt::settings;
use graph2mqtt::simulator::{Fault, Gamut, Hub, Kind, LampState, What};
use graph2mqtt::store::Store;
use support::{Broker, Observer};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(15);
/// From the broker to the well hub's lamp, whatever the other one does, while the machine does not stall: some
/// milliseconds. Who waits for a hub that hangs waits for seconds.
const SOON: Duration = Duration::from_secs(2);

/// How much longer than they were meant to a thread's short sleeps take: what a machine that stalls takes from everybody.
struct Stalls(Arc<AtomicU64>);

impl Stalls {
    fn watch() -> Self {
        const NAP: Duration = Duration::from_millis(10);
        let lost = Arc::new(AtomicU64::new(0));
        let watching = Arc::downgrade(&lost);
        std::thread::spawn(move || {
            while let Some(lost) = watching.upgrade() {
                let began = Instant::now();
                std::thread::sleep(NAP);
                let over = began.elapsed().saturating_sub(2 * NAP);
                lost.fetch_add(over.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self(lost)
    }

    fn so_far(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct World {
    stalls: Stalls,
    well: Hub,
    ill: Hub,
    bridge: Observer,
    sequence: u64,
    stop: CancellationToken,
    _broker: Broker,
    _folder: TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl World {
    async fn new() -> Self {
        let hub = async |id: &str| {
            let lamps = [("Desk", Kind::Color(Gamut::C)), ("Door", Kind::Color(Gamut::C))];
            Hub::plan().bridge_id(id).room("Office", &lamps).start().await.unwrap()
        };
        let (well, ill) = (hub("001788fffe000001").await, hub("001788fffe000002").await);
        let (broker, folder) = (Broker::start(), tempfile::tempdir().unwrap());
        let keys = |hub: &Hub| format!("{{ host: '{}', id: {}, key: {} }}", hub.address(), hub.bridge_id(), hub.key());
        let yaml = format!(
            "mqtt: {{ url: '{}' }}\nhubs:\n  a_ill: {}\n  b_well: {}\ncolors: {{ Busy: '#ff0000', Available: '#00ff00' }}\n\
             lights:\n  a: {{ hub: a_ill, target: Desk, follow: alex }}\n  b: {{ hub: a_ill, target: Door, follow: alex }}\n  \
             c: {{ hub: b_well, target: Desk, follow: alex }}\n",
            broker.url(),
            keys(&ill),
            keys(&well),
        );
        let settings = Arc::new(settings::from_yaml(&yaml, folder.path()).unwrap());
        let url = format!("sqlite://{}", folder.path().join("g.db").display());
        let store = Store::open(&url, &folder.path().join("key")).await.unwrap();
        let bridge = Observer::connect(broker.address(), "graph2mqtt/actuator/#").await;
        for topic in ["graph2mqtt/bridge/state", "graph2mqtt/account/alex/state"] {
            bridge.publish(topic, "online", true).await;
        }
        let stop = CancellationToken::new();
        let token = stop.clone();
        tokio::spawn(async move { Actuator::new(settings, store).run(token).await.unwrap() });
        bridge.until_is("graph2mqtt/actuator/home/state", "online").await;
        Self { stalls: Stalls::watch(), well, ill, bridge, sequence: 1_000, stop, _broker: broker, _folder: folder }
    }

    async fn presence(&mut self, availability: &str) {
        self.sequence += 1;
        let payload = format!(
            r#"{{"account":"alex","availability":"{availability}","activity":"{availability}","since":"2026-11-24T08:00:00Z","sequence":{}}}"#,
            self.sequence
        );
        self.bridge.publish("graph2mqtt/account/alex/presence", payload, true).await;
    }

    /// A few changes, each until the well hub's lamp shows it.
    async fn changes(&mut self, what: &str) {
        let mut times = Vec::new();
        for _ in 0..3 {
            for (availability, such) in [("Busy", is_red as fn(&LampState) -> bool), ("Available", is_green)] {
                let (began, stalled) = (Instant::now(), self.stalls.so_far());
                self.presence(availability).await;
                let shown = self.well.wait_for("Desk", PATIENCE, such).await;
                shown.unwrap_or_else(|late| panic!("{what}: the well hub waits for the other one: {late}"));
                times.push(began.elapsed().saturating_sub(self.stalls.so_far() - stalled));
                // The hub's own limit is not what is measured.
                tokio::time::sleep(Duration::from_millis(110)).await;
            }
        }
        assert!(times.iter().all(|time| *time < SOON), "{what}: {times:?}");
    }
}

fn is_red(lamp: &LampState) -> bool {
    lamp.on && lamp.xy.is_some_and(|(x, _)| x > 0.6)
}

fn is_green(lamp: &LampState) -> bool {
    lamp.on && lamp.xy.is_some_and(|(x, y)| x < 0.3 && y > 0.5)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_ill_in_any_way_delays_no_other() {
    let mut world = World::new().await;
    world.changes("both are well").await;
    let lie = r#"{"errors":[],"data":[{"rid":"00000000-0000-0000-0000-000000000000","rtype":"light"}]}"#;
    for what in [
        What::Hang,
        What::Slow(Duration::from_secs(5)),
        What::Html,
        What::Garbage,
        What::Endless,
        What::Cut,
        What::CutBody,
        What::retry_after(429, 3_600),
        What::status(503, "{}"),
        What::status(200, lie),
    ] {
        let name = format!("{what:?}");
        world.ill.fault(Fault::new("", what));
        world.ill.disconnect();
        world.changes(&name).await;
        world.ill.clear_faults();
    }
    world.ill.down().await;
    world.changes("dead").await;
}
