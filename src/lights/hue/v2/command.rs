//! From a look to the bodies of PUTs.
//!
//! Choices, from how hubs and lamps behave:
//! - Off goes without a duration: with one the lamp is at 1 % when it is next switched on.
//! - Brightness goes with every look, and colour too, since a person may have changed either by hand.
//! - `on` is left out where the target is known to be on: repeating it to a group costs a message for
//!   each lamp. Should it be off after all, the hub says so ("soft off"), and `on` follows.
//! - A lamp is sent what it can: colour, else cold or warm white, else brightness, else on and off. A
//!   group is sent what its most able lamp can: the others pass over what they cannot, and those that can
//!   something else (white where the group was sent a colour) are sent that one by one.
//! - A signal ends by the request that brings the next look, and before it where that goes elsewhere: to a scene, or lamp
//!   by lamp. A signal goes in a request of its own, since a colour or transition in the same one overrides it.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::ability::{Ability, Tint};
use super::beside::Beside;
use super::resources::{Directory, Endpoint, LIGHT, LampOf, NotFound};
use crate::lights::{Lamp, Look, Seen};
use crate::settings::Motion;

/// The longest transition and signal that a hub takes, in milliseconds.
const LONGEST: u128 = 6_000_000;
/// How long a light takes to show again what was seen of it.
const BACK: Duration = Duration::from_millis(400);

/// One PUT.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::lights::hue) struct Put {
    /// `light`, `grouped_light` or `scene`.
    pub kind: &'static str,
    pub id: String,
    pub body: Value,
}

impl Put {
    fn of(endpoint: &Endpoint, body: Value) -> Self {
        Self { kind: endpoint.kind, id: endpoint.id.clone(), body }
    }

    fn of_lamp(lamp: &str, body: Value) -> Self {
        Self { kind: LIGHT, id: lamp.to_owned(), body }
    }

    fn is_to(&self, endpoint: &Endpoint) -> bool {
        (self.kind, &self.id) == (endpoint.kind, &endpoint.id)
    }

    /// Whether it counts as a command to a group.
    pub fn is_group(&self) -> bool {
        self.kind != LIGHT
    }
}

/// What makes a target show a look: a command for the target as a whole, and those for single lamps in it.
/// `on`: it is known to be on. `signals`: a signal of ours may run, which ends.
pub(in crate::lights::hue) fn puts(
    look: &Look,
    endpoint: &Endpoint,
    directory: &Directory,
    on: bool,
    signals: bool,
) -> Result<Vec<Put>, NotFound> {
    let mut puts = match look {
        Look::Off => vec![Put::of(endpoint, off())],
        Look::On { shade, brightness, transition, .. } => {
            let whole = Dress {
                tint: endpoint.ability.tint(*shade),
                brightness: f64::from(*brightness),
                transition: *transition,
                on: !on,
            };
            let mut puts = vec![Put::of(endpoint, whole.body(&endpoint.ability))];
            // Lamps that show the shade by other means than the group's command holds.
            let is_other = |lamp: &&LampOf| {
                let own = lamp.ability.tint(*shade);
                own.is_some_and(|own| {
                    std::mem::discriminant(&own) != std::mem::discriminant(&whole.tint.unwrap_or(own))
                })
            };
            puts.extend(endpoint.lamps.iter().filter(is_other).map(|lamp| {
                let tint = lamp.ability.tint(*shade);
                Put::of_lamp(&lamp.id, Dress { tint, on: false, ..whole }.body(&lamp.ability))
            }));
            puts
        }
        Look::Scene { name, brightness, transition } => {
            let scene = directory.scene(name, endpoint.place.as_deref())?;
            let mut recall = json!({"action": "active", "duration": milliseconds(*transition)});
            if let Some(brightness) = brightness {
                recall["dimming"] = json!({"brightness": brightness});
            }
            vec![Put { kind: "scene", id: scene.id.clone(), body: json!({"recall": recall}) }]
        }
        Look::Seen(seen) => restoring(seen, endpoint),
    };
    let silence = json!({"signal": "no_signal"});
    match puts.first_mut().filter(|_| signals) {
        Some(first) if first.is_to(endpoint) => first.body["signaling"] = silence,
        Some(_) => puts.insert(0, Put::of(endpoint, json!({"signaling": silence}))),
        None => {}
    }
    Ok(puts)
}

fn off() -> Value {
    json!({"on": {"on": false}})
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis().min(LONGEST) as u64
}

/// How something is dressed.
#[derive(Debug, Clone, Copy)]
struct Dress {
    tint: Option<Tint>,
    brightness: f64,
    transition: Duration,
    /// Whether it is switched on.
    on: bool,
}

impl Dress {
    fn body(&self, ability: &Ability) -> Value {
        let mut body = Map::new();
        if self.on || !ability.dims {
            body.insert("on".into(), json!({"on": true}));
        }
        if ability.dims {
            body.insert("dimming".into(), json!({"brightness": self.brightness}));
            body.insert("dynamics".into(), json!({"duration": milliseconds(self.transition)}));
        }
        body.extend(self.tint.map(told).map(|(attribute, tint)| (attribute.to_owned(), tint)));
        Value::Object(body)
    }
}

/// The attribute that tells a tint.
fn told(tint: Tint) -> (&'static str, Value) {
    match tint {
        Tint::Point(point) => {
            let (x, y) = point.ten_thousandths();
            ("color", json!({"xy": {"x": f64::from(x) / 10_000.0, "y": f64::from(y) / 10_000.0}}))
        }
        Tint::Mirek(mirek) => ("color_temperature", json!({"mirek": mirek})),
    }
}

/// Shows again what was seen: by one command where all lamps showed the same, else lamp by lamp. Effects and
/// gradients are each lamp's own.
fn restoring(seen: &Seen, endpoint: &Endpoint) -> Vec<Put> {
    let of_lamp = |lamp: &Lamp| {
        let known = endpoint.lamps.iter().find(|it| *it.id == *lamp.id)?;
        let dims = known.ability.dims && lamp.brightness.is_some();
        let beside = Beside::kept(lamp);
        let body = body_of(lamp, &beside, &Ability { dims, ..known.ability });
        let start = beside.start().filter(|_| lamp.on != Some(false));
        let puts: Vec<Put> =
            [Some(body), start].into_iter().flatten().map(|body| Put::of_lamp(&lamp.id, body)).collect();
        Some(puts)
    };
    let puts: Vec<Put> = seen.0.iter().filter_map(of_lamp).flatten().collect();
    let is_own = |lamp: &Lamp| Beside::kept(lamp) != Beside::default();
    let all_alike = puts.windows(2).all(|pair| pair[0].body == pair[1].body)
        && puts.len() == endpoint.lamps.len()
        && !seen.0.iter().any(is_own);
    match puts.first() {
        Some(first) if all_alike => vec![Put::of(endpoint, first.body.clone())],
        _ => puts,
    }
}

fn tint_of(lamp: &Lamp, ability: &Ability) -> Option<Tint> {
    let point = lamp
        .xy
        .filter(|_| ability.gamut.is_some())
        .map(|(x, y)| Tint::Point(super::super::color::Xy::of_ten_thousandths(x, y)));
    lamp.mirek.filter(|_| ability.white.is_some()).map(Tint::Mirek).or(point)
}

fn body_of(lamp: &Lamp, beside: &Beside, ability: &Ability) -> Value {
    if lamp.on == Some(false) {
        return off();
    }
    let tint = tint_of(lamp, ability);
    let brightness = f64::from(lamp.brightness.unwrap_or(10_000)) / 100.0;
    let gradient = beside.gradient();
    let tint = tint.filter(|_| gradient.is_none());
    let mut body = Dress { tint, brightness, transition: BACK, on: true }.body(ability);
    if let Some(gradient) = gradient {
        body["gradient"] = gradient;
    }
    body
}

/// What dark lamps of a look that was seen are to show when somebody switches them on: told behind it, and without
/// `on`. Newer hubs keep it for then, others say that it may have no effect.
pub(in crate::lights::hue) fn for_later(look: &Look, endpoint: &Endpoint) -> Vec<Put> {
    let Look::Seen(seen) = look else { return Vec::new() };
    let of_lamp = |lamp: &Lamp| {
        let known = endpoint.lamps.iter().find(|it| *it.id == *lamp.id && it.ability.dims)?;
        let brightness = lamp.brightness.filter(|brightness| *brightness > 0 && lamp.on == Some(false))?;
        let mut body = json!({"dimming": {"brightness": f64::from(brightness) / 100.0}});
        if let Some((attribute, tint)) = tint_of(lamp, &known.ability).map(told) {
            body[attribute] = tint;
        }
        Some(Put::of_lamp(&lamp.id, body))
    };
    seen.0.iter().filter_map(of_lamp).collect()
}

/// The body that starts an effect; none where the target takes none.
pub(super) fn motion(motion: Motion, endpoint: &Endpoint, lasting: Duration) -> Option<Value> {
    let blink = || json!({"signaling": {"signal": "on_off", "duration": milliseconds(lasting)}});
    let breathe = || json!({"alert": {"action": "breathe"}});
    match (motion, endpoint.motions.blinks, endpoint.motions.breathes) {
        (Motion::Blink, true, _) | (Motion::Breathe, true, false) => Some(blink()),
        (Motion::Breathe, _, true) | (Motion::Blink, false, true) => Some(breathe()),
        (_, false, false) => None,
    }
}

/// Whether both looks are one to such a target: colours are one to a plug.
pub(super) fn is_same(one: &Look, other: &Look, endpoint: &Endpoint, directory: &Directory) -> bool {
    let still = |look| {
        let mut puts = puts(look, endpoint, directory, true, false).ok()?;
        for put in &mut puts {
            put.body.as_object_mut().and_then(|body| body.remove("dynamics"));
        }
        Some(puts)
    };
    let effect = |look: &Look| match look {
        Look::On { effect, .. } => *effect,
        _ => None,
    };
    effect(one) == effect(other) && still(one).is_some_and(|one| Some(one) == still(other))
}

#[cfg(test)]
mod tests;
