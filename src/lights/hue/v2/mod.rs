//! CLIP v2: the API of hubs since 2021.
//!
//! # Layout
//! - `resources`: what the hub holds, and where a target's commands go.
//! - `command`: from a look to PUTs; `answer`: what is answered; `agree`: whether what is seen is a look.
//! - `beside`: effects and gradients that lamps showed before us.
//! - `light`: a target, commanded; `together`: several at once. `sse`, `watch`: the hub's event stream.

mod agree;
pub(super) mod answer;
pub(super) mod beside;
pub(super) mod command;
mod light;
pub(super) mod resources;
mod sse;
mod together;
mod watch;

pub use light::HueLight;
pub use together::HueTogether;
pub use watch::Watch;

use serde::Deserialize;
use serde_json::Value;

use crate::lights::Lamp;

/// What an answer to `GET /clip/v2/resource/light` tells of every lamp; none when it is no JSON of a hub.
pub(super) fn seen(answer: &[u8]) -> Option<Vec<Lamp>> {
    #[derive(Deserialize)]
    struct Body {
        data: Vec<Value>,
    }
    let Body { data } = serde_json::from_slice(answer).ok()?;
    Some(data.iter().filter_map(resources::shown).collect())
}
