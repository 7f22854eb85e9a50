//! `check`: whether a strip is there, with the segments and presets that its lights need.

use serde_json::Value;

use super::{Strip, presets};
use crate::lights::Trouble;
use crate::presence::Name;

/// A light of a strip, to be looked up.
pub(in crate::lights) struct Wanted<'a> {
    pub name: &'a Name,
    pub segment: Option<String>,
    /// The scenes that it may show, with their brightness.
    pub scenes: Vec<(&'a str, Option<u8>)>,
}

impl Strip {
    /// Asks once for all of these lights, which are all on the strip. What is found is for people.
    pub(in crate::lights) async fn check<'a>(
        &self,
        wanted: Vec<Wanted<'a>>,
    ) -> Vec<(&'a Name, Result<String, String>)> {
        let state = self.device.state().await;
        let shows_scenes = wanted.iter().any(|light| light.segment.is_none() && !light.scenes.is_empty());
        let presets = match (shows_scenes, &state) {
            (true, Ok(_)) => self.device.client.get(presets::PATH).await,
            _ => Ok(Value::Null),
        };
        let first = wanted.first().map(|light| light.name);
        let of_light = |wanted: Wanted<'a>| {
            let found = self.look_up(&wanted, state.as_ref(), presets.as_ref());
            let outcome = match (found, first.filter(|first| state.is_err() && *first != wanted.name)) {
                (Ok(()), _) => Ok("WLED answers".to_owned()),
                (Err(_), Some(first)) => Err(format!("not looked up: mend light {first} first, on the same strip")),
                (Err(trouble), None) => Err(trouble.to_string()),
            };
            (wanted.name, outcome)
        };
        wanted.into_iter().map(of_light).collect()
    }

    fn look_up(
        &self,
        wanted: &Wanted<'_>,
        state: Result<&Value, &Trouble>,
        presets: Result<&Value, &Trouble>,
    ) -> Result<(), Trouble> {
        let light = self.light(wanted.name, wanted.segment.clone());
        light.meant(state.map_err(Clone::clone)?)?;
        for (name, brightness) in &wanted.scenes {
            light.shows_presets(name)?;
            light.preset_among(presets.map_err(Clone::clone)?, name, *brightness)?;
        }
        Ok(())
    }
}
