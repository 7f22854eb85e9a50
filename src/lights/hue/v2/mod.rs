//! CLIP v2: the API of hubs since 2021.
//!
//! # Layout
//! - `resources`: what the hub holds, and where a target's commands go.
//! - `command`: from a look to PUTs; `answer`: what is answered; `agree`: whether what is seen is a look.
//! - `beside`: effects and gradients that lamps showed before us.
//! - `light`: a target, commanded; `together`: several at once; `shared`: which of them have lamps in common.
//! - `sse`, `watch`: the hub's event stream.

mod agree;
pub(super) mod answer;
pub(super) mod beside;
pub(super) mod command;
mod light;
pub(super) mod resources;
pub(super) mod shared;
mod sse;
mod together;
mod watch;

pub use light::HueLight;
pub use together::HueTogether;
pub use watch::Watch;

use serde::Deserialize;
use serde_json::Value;

use crate::lights::Lamp;

/// What is asked to know what every lamp shows, and which are out of reach.
pub(super) const LAMPS: [&str; 2] = ["/clip/v2/resource/light", "/clip/v2/resource/zigbee_connectivity"];

/// What the answers to [`LAMPS`] tell of every lamp; none when the first is no JSON of a hub.
pub(super) fn seen(answers: &[Vec<u8>]) -> Option<Vec<Lamp>> {
    #[derive(Deserialize)]
    struct Body {
        data: Vec<Value>,
    }
    let data =
        |at: usize| answers.get(at).and_then(|answer| serde_json::from_slice(answer).ok()).map(|it: Body| it.data);
    let (lights, connectivities) = (data(0)?, data(1).unwrap_or_default());
    let lost: Vec<&str> =
        connectivities.iter().filter_map(resources::reach).filter(|it| !it.1).map(|it| it.0).collect();
    let lamp = |light: &Value| {
        let lamp = resources::shown(light)?;
        let is_lost = resources::owner(light).is_some_and(|device| lost.contains(&device));
        Some(if is_lost { lamp.lost() } else { lamp })
    };
    Some(lights.iter().filter_map(lamp).collect())
}
