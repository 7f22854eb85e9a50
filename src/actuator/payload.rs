//! The JSON on `<base>/actuator/<location>/light/<light>`.
//!
//! ```json
//! {"light":"desk",
//!  "wanted":{"account":"alex","availability":"Busy","activity":"InACall","color":"#d13438","brightness":80},
//!  "shown":{"account":"alex","availability":"Busy","activity":"InACall","color":"#d13438","brightness":80},
//!  "since":"2026-11-24T08:00:00Z","inputs":{"alex":1795507200000},"reachable":true,"error":null}
//! ```
//! `color` is as in the configuration: `#rrggbb`, `temperature:2700`, `xy:0.675,0.322`, `scene:Relax`, `off`,
//! `restore` or `keep`; `account`, `availability` and `activity` are left out while
//! nobody's presence is known; `shown` and `since` are null until a command succeeded.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::board::{Entry, Inputs, Wish};
use crate::presence::{AccountName, Name, Sequence};
use crate::settings::Color;

/// Larger payloads are not ours.
const LARGEST: usize = 64 << 10;

#[derive(Serialize)]
struct Payload<'a> {
    light: &'a Name,
    wanted: Part<'a>,
    shown: Option<Part<'a>>,
    since: Option<jiff::Timestamp>,
    inputs: Inputs,
    reachable: bool,
    error: Option<&'a str>,
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
}

impl<'a> From<&'a Wish> for Part<'a> {
    fn from(wish: &'a Wish) -> Self {
        let brightness = match wish.color {
            Color::On { brightness, .. } => Some(brightness),
            Color::Scene { brightness, .. } => brightness,
            Color::Keep | Color::Restore | Color::Off => None,
        };
        let status = wish.status.as_ref();
        Self {
            account: status.map(|(account, _)| account),
            availability: status.map(|(_, status)| status.availability.as_str()),
            activity: status.map(|(_, status)| status.activity.as_str()),
            color: wish.color.to_string(),
            brightness,
        }
    }
}

/// The payload; none while nothing is wanted.
pub(super) fn render(light: &Name, entry: &Entry) -> Option<Vec<u8>> {
    let wish = entry.wish.as_deref()?;
    let mut inputs = wish.inputs.clone();
    merge(&mut inputs, &entry.read);
    let payload = Payload {
        light,
        wanted: wish.into(),
        shown: entry.shown.as_ref().map(|shown| shown.wish.as_ref().into()),
        since: entry.shown.as_ref().map(|shown| shown.since),
        inputs,
        reachable: !entry.unreachable,
        error: entry.error.as_deref(),
    };
    Some(serde_json::to_vec(&payload).expect("texts and numbers are JSON"))
}

/// Entry by entry the higher number wins.
pub(super) fn merge(inputs: &mut Inputs, others: &Inputs) {
    for (account, sequence) in others {
        let known = inputs.entry(account.clone()).or_insert(*sequence);
        *known = (*known).max(*sequence);
    }
}

/// The inputs on a light's topic, of these accounts alone. What no bridge can have counted to is not
/// believed: it would hold the light up for ever. None when it is not such a payload.
pub(super) fn inputs(payload: &[u8], follow: &[AccountName]) -> Option<Inputs> {
    #[derive(Deserialize)]
    struct Read {
        inputs: serde_json::Map<String, Value>,
    }
    if payload.len() > LARGEST {
        return None;
    }
    let Read { inputs } = serde_json::from_slice(payload).ok()?;
    let sequence = |account: &AccountName| Sequence::try_from(inputs.get(account.as_str())?.as_u64()?).ok();
    let credible = |sequence: &Sequence| *sequence <= Sequence::LEARNABLE;
    Some(follow.iter().filter_map(|account| Some((account.clone(), sequence(account).filter(credible)?))).collect())
}
