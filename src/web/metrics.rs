//! A status in the OpenMetrics text format, which Prometheus reads.

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::status::Status;
use crate::actuator::LightState;
use crate::bridge::Snapshot;

/// The media type of [`render`]'s text.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = [(&'static str, String); 1];
type Table<T> = &'static [(&'static str, &'static str, fn(&T) -> u64)];

const BRIDGE_GAUGES: Table<Snapshot> = &[
    ("accounts", "Accounts that are configured", |bridge| bridge.accounts),
    ("accounts_online", "Accounts whose presence is known", |bridge| bridge.accounts_online),
    ("sign_ins_needed", "Accounts that need a sign-in, a consent or a right", |bridge| bridge.sign_ins_needed),
];

const BRIDGE_COUNTERS: Table<Snapshot> = &[
    ("polls", "Presence requests to Graph", |bridge| bridge.polls),
    ("poll_failures", "Presence requests to Graph that failed", |bridge| bridge.failures),
    ("polls_throttled", "Presence requests that Graph refused with 429", |bridge| bridge.throttled),
    ("presences_published", "Presences published since they had changed", |bridge| bridge.published),
];

const LIGHT_GAUGES: Table<LightState> =
    &[("light_reachable", "Whether a light can be reached", |light| light.reachable.into())];

const LIGHT_COUNTERS: Table<LightState> = &[
    ("light_commands", "Commands sent to a light", |light| light.commands),
    ("light_failures", "Commands to a light that failed", |light| light.failures),
];

/// Every metric that the roles of this process have.
pub(super) fn render(status: &Status) -> String {
    let mut registry = Registry::with_prefix("graph2mqtt");
    registry.register("build", "The program", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    register_connections(&mut registry, status);
    if let Some(bridge) = &status.bridge {
        for (name, help, value) in BRIDGE_GAUGES {
            registry.register(*name, *help, gauge(value(bridge)));
        }
        for (name, help, value) in BRIDGE_COUNTERS {
            registry.register(*name, *help, counter(value(bridge)));
        }
    }
    if status.actuator.is_some() {
        register_lights(&mut registry, status.lights());
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("a String takes every text");
    text
}

fn register_connections(registry: &mut Registry, status: &Status) {
    let family = Family::<Labels, Gauge>::default();
    for (role, connected) in status.connections() {
        family.get_or_create(&[("role", role.to_owned())]).set(connected.into());
    }
    registry.register("broker_connected", "Whether a role is connected to the broker", family);
}

fn register_lights(registry: &mut Registry, lights: &[LightState]) {
    for (name, help, value) in LIGHT_GAUGES {
        let family = Family::<Labels, Gauge>::default();
        for light in lights {
            family.get_or_create(&label(light)).set(signed(value(light)));
        }
        registry.register(*name, *help, family);
    }
    for (name, help, value) in LIGHT_COUNTERS {
        let family = Family::<Labels, Counter>::default();
        for light in lights {
            family.get_or_create(&label(light)).inc_by(value(light));
        }
        registry.register(*name, *help, family);
    }
}

fn label(light: &LightState) -> Labels {
    [("light", light.name.to_string())]
}

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(signed(value));
    gauge
}

fn counter(value: u64) -> Counter {
    let counter = Counter::default();
    counter.inc_by(value);
    counter
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
