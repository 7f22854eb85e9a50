//! The JSON on `<base>/actuator/<location>/light/<light>`.
//!
//! ```json
//! {"light":"desk",
//!  "wanted":{"account":"alex","availability":"Busy","activity":"InACall","color":"#d13438","brightness":80},
//!  "shown":{"account":"alex","availability":"Busy","activity":"InACall","color":"#d13438","brightness":80},
//!  "since":"2026-11-24T08:00:00Z","inputs":{"alex":1795507200000},
//!  "paused":{"value":false,"version":0},"hand":{"until":null,"version":0},
//!  "reachable":true,"error":null,"by":{"actuator":"1a2b3c4d","commands":7}}
//! ```
//! `color` is as in the configuration: `#rrggbb`, `temperature:2700`, `xy:0.675,0.322`, `scene:Relax`, `off`,
//! `restore` or `keep`; `account`, `availability` and `activity` are left out while nobody's presence is known;
//! `shown` and `since` (since when it shows that, by whomever) are null while it is not known what the light shows.
//! `hand.until` is null, `change` or a time; `reachable` is null until the light's hub was asked. `hours` says since when
//! the light's hours have begun or ended, `before` what the light showed before it was touched, where the rules ask for
//! either: `seen`, or, of a light that is left alone, `left` with what it had shown (`seen`) and what it showed by us
//! (`shown`). `by` is who wrote it, and how many commands that was; `again` in how many seconds it will renew an effect, which others do when nothing is heard of it then.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::common::{Before, Common, Hand, Hours, Inputs, Paused, named};
use super::entry::{Entry, Wish};
use crate::presence::{AccountName, Name};
use crate::settings::Color;

/// Larger payloads are not ours.
const LARGEST: usize = 64 << 10;
/// No effect goes on for longer without being renewed.
const LONGEST_EFFECT: Duration = Duration::from_secs(24 * 3600);

#[derive(Serialize)]
struct Payload<'a> {
    light: &'a Name,
    wanted: Part<'a>,
    shown: Option<Part<'a>>,
    since: Option<Timestamp>,
    inputs: &'a Inputs,
    paused: Paused,
    hand: &'a Hand,
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Option<Hours>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a Before>,
    reachable: Option<bool>,
    error: Option<&'a str>,
    by: By,
}

#[derive(Debug, Serialize, Deserialize)]
struct By {
    actuator: String,
    commands: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    again: Option<u64>,
}

#[derive(Serialize)]
struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a AccountName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activity: Option<&'a str>,
    color: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    brightness: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'static str>,
}

/// What of a part is no look.
const WHOSE: [&str; 3] = ["account", "availability", "activity"];

impl<'a> From<&'a Wish> for Part<'a> {
    fn from(wish: &'a Wish) -> Self {
        let (brightness, effect) = match &wish.color {
            Color::On { brightness, effect, .. } => (Some(*brightness), effect.as_ref().map(named)),
            Color::Scene { brightness, .. } => (*brightness, None),
            Color::Keep | Color::Restore | Color::Off => (None, None),
        };
        let status = wish.status.as_ref();
        Self {
            account: status.map(|(account, _)| account),
            availability: status.map(|(_, status)| status.availability.as_str()),
            activity: status.map(|(_, status)| status.activity.as_str()),
            color: wish.color.to_string(),
            brightness,
            effect,
        }
    }
}

fn part(wish: &Wish) -> Value {
    serde_json::to_value(Part::from(wish)).expect("texts and numbers are JSON")
}

/// The payload; none while nothing is wanted.
pub(super) fn render(light: &Name, entry: &Entry, me: &str) -> Option<Vec<u8>> {
    let wish = entry.wish.as_deref()?;
    let is_done = entry.is_done();
    // What a light showed before something that others act upon is not known any more.
    let shown = entry.shown.as_ref().filter(|_| is_done || entry.duty.may_act());
    let (common, error) = (&entry.common, entry.complaint());
    let payload = Payload {
        light,
        wanted: wish.into(),
        // The same look may be wanted by another's status by now.
        shown: shown.map(|shown| if is_done && wish.look.is_some() { wish } else { &*shown.wish }.into()),
        since: shown.map(|shown| shown.since),
        inputs: &common.inputs,
        paused: common.paused,
        hand: &common.hand,
        hours: Some(common.hours).filter(|hours| hours.version > 0),
        before: Some(&common.before).filter(|before| before.version > 0),
        reachable: entry.asked.then(|| entry.is_reachable()),
        error: error.as_deref(),
        by: By {
            actuator: me.to_owned(),
            commands: entry.duty.commands(),
            again: entry.renews.map(|renews| renews.as_secs_f64().ceil() as u64),
        },
    };
    Some(serde_json::to_vec(&payload).expect("texts and numbers are JSON"))
}

/// What a member published of a light.
#[derive(Debug)]
pub(super) struct Report {
    /// Whether it was published while we listened.
    pub is_live: bool,
    pub common: Common,
    pub shown: Option<Value>,
    pub since: Timestamp,
    wanted: Option<Value>,
    by: Option<By>,
}

impl Report {
    /// Reads a payload, of the inputs those of these accounts; none when it is not such a payload.
    pub fn read(payload: &[u8], follow: &[AccountName], now: Timestamp) -> Option<Self> {
        if payload.len() > LARGEST {
            return None;
        }
        let mut topic: Map<String, Value> = serde_json::from_slice(payload).ok()?;
        topic.get("inputs")?.as_object()?;
        let since = topic.get("since").and_then(|since| since.as_str()?.parse().ok()).unwrap_or(now);
        Some(Self {
            is_live: false,
            common: Common::read(&topic, follow, now),
            shown: topic.remove("shown").filter(Value::is_object),
            wanted: topic.remove("wanted").filter(Value::is_object),
            since,
            by: topic.get("by").and_then(|by| By::deserialize(by).ok()),
        })
    }

    /// How many commands it reports, where we wrote it.
    pub fn commands_of(&self, me: &str) -> Option<u64> {
        self.by.as_ref().filter(|by| by.actuator == me).map(|by| by.commands)
    }

    /// Whether another member wrote it.
    pub fn is_of_another(&self, me: &str) -> bool {
        self.by.as_ref().is_some_and(|by| by.actuator != me)
    }

    /// Who wrote it, and how many commands it had sent by then.
    pub fn author(&self) -> Option<(&str, u64)> {
        self.by.as_ref().map(|by| (by.actuator.as_str(), by.commands))
    }

    /// How soon its author will renew the effect that the light shows.
    pub fn renews(&self) -> Option<Duration> {
        self.by.as_ref()?.again.map(Duration::from_secs).filter(|again| *again <= LONGEST_EFFECT)
    }

    /// Whether it says that the light shows anything.
    pub fn shows_something(&self) -> bool {
        self.shown.is_some()
    }

    /// Whether it wants what is wished for, and says that the light shows something else.
    pub fn lags(&self, wish: &Wish) -> bool {
        let wanted = self.wanted.as_ref().is_some_and(|wanted| look_of(wanted) == look_of(&part(wish)));
        wanted && !self.shows(wish)
    }

    /// Whether it says that what is wished for was done: the light shows it, or is left alone.
    pub fn shows(&self, wish: &Wish) -> bool {
        let said = if wish.look.is_some() { &self.shown } else { &self.wanted };
        said.as_ref().is_some_and(|said| look_of(said) == look_of(&part(wish)))
    }
}

fn look_of(part: &Value) -> Map<String, Value> {
    let entries = part.as_object().into_iter().flatten().filter(|(key, _)| !WHOSE.contains(&key.as_str()));
    entries.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::entry::Why;

    #[test]
    fn whether_a_light_can_be_reached_is_not_said_before_its_hub_was_asked() {
        let wish = Wish { status: None, color: Color::Off, why: Why::Status, look: None, inputs: Inputs::new() };
        let mut entry = Entry::default();
        entry.wish = Some(wish.into());
        let reachable = |entry: &Entry| {
            let payload = render(&"desk".parse().unwrap(), entry, "me").unwrap();
            serde_json::from_slice::<Value>(&payload).unwrap()["reachable"].clone()
        };
        assert_eq!(reachable(&entry), Value::Null);
        entry.asked = true;
        assert_eq!(reachable(&entry), true);
        entry.unreachable("no power");
        assert_eq!(reachable(&entry), false);
    }
}
