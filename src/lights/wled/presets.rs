//! A strip's presets, which are its scenes.
//!
//! A preset holds the whole strip. What asks for it is answered at once; it is loaded a moment later, with the brightness
//! that it was saved with, and the strip's `ps` tells when.

use serde_json::{Value, json};

use super::state::{bri, is_on};

/// Where a strip lists them.
pub(super) const PATH: &str = "/presets.json";

/// A preset of a strip.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Preset {
    number: u64,
}

impl Preset {
    /// By number or name. A playlist's presets bring their brightness, again and again.
    pub fn find(presets: &Value, name: &str, brightness: Option<u8>) -> Result<Self, String> {
        let presets = presets.as_object().cloned().unwrap_or_default();
        let title = |preset: &Value| preset.get("n").and_then(Value::as_str).map(str::to_owned);
        let is_named = |preset: &Value| title(preset).is_some_and(|title| title.eq_ignore_ascii_case(name));
        let found = presets.iter().find(|(number, preset)| *number != "0" && (*number == name || is_named(preset)));
        let Some((number, preset)) = found else {
            let names: Vec<String> = presets.values().filter_map(title).collect();
            let has = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(format!("WLED has no preset {name:?}; it has {has}"));
        };
        if brightness.is_some() && preset.get("playlist").is_some() {
            return Err(format!(
                "preset {name:?} is a playlist, whose presets bring their own brightness: leave brightness out beside it"
            ));
        }
        Ok(Self { number: number.parse().unwrap_or_default() })
    }

    /// What asks for it.
    pub fn select(&self) -> Value {
        json!({"on": true, "ps": self.number})
    }

    /// Whether it is loaded.
    pub fn is_loaded(&self, state: &Value) -> bool {
        state.get("ps").and_then(Value::as_u64) == Some(self.number)
    }
}

/// What gives a strip this brightness, where it has another.
pub(super) fn dimmed(state: &Value, percent: u8) -> Option<Value> {
    let wanted = bri(percent);
    let has_it = is_on(state) && state.get("bri").and_then(Value::as_u64) == Some(wanted);
    (!has_it).then(|| json!({"on": true, "bri": wanted}))
}

/// Why a segment shows no preset.
pub(super) fn not_of_a_segment(name: &str, segment: &str, light: &str) -> String {
    format!(
        "scene {name:?} cannot be shown: a WLED's presets are of the whole strip, and the target is segment {segment:?}; \
         name a colour instead in lights.{light}.colors"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_found_by_name_and_number() {
        let presets = json!({"0": {}, "4": {"n": "Relax", "on": true}, "6": {"n": "Party", "playlist": {"ps": [4]}}});
        let find = |name, brightness| Preset::find(&presets, name, brightness).map(|preset| preset.number);
        assert_eq!((find("relax", Some(50)), find("4", None), find("party", None)), (Ok(4), Ok(4), Ok(6)));
        assert!(find("0", None).unwrap_err().contains("Relax, Party"));
        assert!(find("Party", Some(50)).unwrap_err().contains("leave brightness out"));
    }
}
