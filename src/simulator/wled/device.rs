//! What a WLED makes of a command, by its sources: `deserializeState` and `deserializeSegment` (`wled00/json.cpp`),
//! `handlePresets` (`presets.cpp`), `stateUpdated` (`led.cpp`), modes 0 to 2 (`FX.cpp`).

use serde_json::{Map, Value, json};

/// What of a segment stands as a command says, whatever else there is.
const PLAIN: [&str; 19] = [
    "n", "start", "stop", "grp", "spc", "of", "sel", "rev", "mi", "frz", "cct", "sx", "ix", "c1", "c2", "c3", "o1",
    "o2", "o3",
];
/// Capabilities of a segment's lamps (`lc`): colours; colours or white.
const COLORED: u64 = 1;
const SHADED: u64 = 3;

/// A strip's memory: its state, and its presets by number.
pub(super) struct Device {
    pub state: Value,
    pub presets: Value,
    /// The preset that is loaded by the next turn of its loop.
    waiting: Option<u64>,
}

impl Device {
    pub fn new() -> Self {
        let segments = [segment(0, ""), segment(1, "Sign")];
        let state =
            json!({"on": false, "bri": 128, "transition": 7, "ps": -1, "pl": -1, "mainseg": 0, "seg": segments});
        Self { state, presets: presets(), waiting: None }
    }

    /// Takes a command over. Whether a preset is to be loaded by [`Self::turn`]: nothing of it shows before.
    pub fn obey(&mut self, command: &Value) -> bool {
        let before = shown(&self.state);
        self.switch(command);
        self.segments(command);
        if command["seg"].as_array().into_iter().flatten().any(|part| part.get("fx").is_some()) {
            self.state["pl"] = json!(-1);
        }
        let preset = number(&command["ps"]).filter(|preset| (1..=250).contains(preset));
        if preset.is_some() && preset != number(&self.state["ps"]) {
            (self.waiting, self.state["pl"]) = (preset, json!(-1));
            return true;
        }
        if shown(&self.state) != before {
            self.state["ps"] = json!(-1);
        }
        false
    }

    /// Loads the preset that waits: all that was saved in it, and nothing else.
    pub fn turn(&mut self) {
        let Some(number) = self.waiting.take() else { return };
        let preset = self.presets[number.to_string()].clone();
        if !preset.is_object() {
            return;
        }
        let first = preset.pointer("/playlist/ps/0").and_then(Value::as_u64);
        self.switch(&preset);
        self.segments(&preset);
        self.state["ps"] = json!(number);
        if let Some(first) = first {
            (self.waiting, self.state["pl"]) = (Some(first), json!(number));
            self.turn();
        }
    }

    /// The whole strip. A brightness switches it on, as on the device, unless the command says otherwise.
    fn switch(&mut self, command: &Value) {
        let was_on = self.state["on"] == true;
        let bri = number(&command["bri"]);
        if let Some(bri) = bri.filter(|bri| *bri > 0) {
            self.state["bri"] = json!(bri.min(255));
        }
        let on = command["on"].as_bool().unwrap_or_else(|| bri.map_or(was_on, |bri| bri > 0));
        self.state["on"] = json!(on);
        if on && !was_on {
            self.each(|segment| segment["frz"] = json!(false));
        }
        if let Some(tenths) = number(&command["transition"]) {
            self.state["transition"] = json!(tenths);
        }
    }

    fn each(&mut self, change: impl FnMut(&mut Value)) {
        self.state["seg"].as_array_mut().into_iter().flatten().for_each(change);
    }

    fn segments(&mut self, command: &Value) {
        match &command["seg"] {
            Value::Array(parts) => {
                parts.iter().enumerate().for_each(|(place, part)| {
                    self.segment(number(&part["id"]).unwrap_or(place as u64), part);
                });
            }
            part @ Value::Object(_) => match number(&part["id"]) {
                Some(id) => self.segment(id, part),
                None => self.each(|segment| change(segment, part)),
            },
            _ => {}
        }
    }

    fn segment(&mut self, id: u64, part: &Value) {
        let known = self.state["seg"].as_array_mut().expect("a strip has segments");
        let at = known.iter().position(|known| known["id"] == id);
        match (at, number(&part["stop"])) {
            (Some(at), Some(0)) => drop(known.remove(at)),
            (Some(at), _) => change(&mut known[at], part),
            (None, Some(stop)) if stop > 0 => {
                let mut new = segment(known.len() as u64, "");
                change(&mut new, part);
                known.push(new);
            }
            (None, _) => {}
        }
    }

    /// What each segment's lamps do: `dark`, a colour, or what is drawn in it. A palette hides the colour.
    pub fn drawn(&self) -> Vec<String> {
        let lit = self.state["on"] == true;
        self.state["seg"].as_array().into_iter().flatten().map(|segment| drawn(segment, lit)).collect()
    }
}

fn drawn(segment: &Value, lit: bool) -> String {
    if !lit || segment["on"] != true {
        return "dark".into();
    }
    let color: Vec<u64> =
        segment["col"][0].as_array().into_iter().flatten().take(3).map(|part| part.as_u64().unwrap_or(0)).collect();
    let color = match segment["fx"] != 0 && segment["pal"] != 0 {
        true => format!("palette {}", segment["pal"]),
        false => format!("#{}", color.iter().map(|part| format!("{part:02x}")).collect::<String>()),
    };
    match segment["fx"].as_u64() {
        Some(0) => color,
        Some(1) => format!("{color} blinking"),
        Some(2) => format!("{color} breathing"),
        _ => format!("{color} moving"),
    }
}

fn change(segment: &mut Value, part: &Value) {
    let bri = number(&part["bri"]);
    if let Some(bri) = bri {
        if bri > 0 {
            segment["bri"] = json!(bri.min(255));
        }
        segment["on"] = json!(bri > 0);
    }
    if let Some(on) = part["on"].as_bool() {
        segment["on"] = json!(on);
    }
    let capabilities = segment["lc"].as_u64().unwrap_or_default();
    for (place, color) in part["col"].as_array().into_iter().flatten().enumerate().take(3) {
        if color.as_array().is_some_and(|parts| !parts.is_empty()) {
            segment["col"][place] = if capabilities & SHADED == 0 { json!([255, 255, 255]) } else { color.clone() };
        }
    }
    let colored = if capabilities & COLORED == 0 { &["fx"][..] } else { &["fx", "pal"] };
    for name in PLAIN.iter().chain(colored) {
        if let Some(value) = part.get(name) {
            segment[*name] = value.clone();
        }
    }
}

/// What a change of makes the strip leave its preset.
fn shown(state: &Value) -> Value {
    json!([state["on"], state["bri"], state["seg"]])
}

/// Of a member; below zero is none.
fn number(value: &Value) -> Option<u64> {
    value.as_u64()
}

fn segment(id: u64, name: &str) -> Value {
    json!({"id": id, "n": name, "start": 10 * id, "stop": 10 * id + 10, "on": true, "frz": false, "bri": 255, "cct": 127,
        "lc": 1, "col": [[255, 160, 0], [0, 0, 0], [0, 0, 0]], "fx": 0, "sx": 128, "ix": 128, "pal": 0, "sel": true})
}

/// `Relax`, saved with its brightness; `Work`, saved without; `Party`, a playlist of both.
fn presets() -> Value {
    let parts = |colors: [[u8; 3]; 2]| -> Value {
        let part = |(id, color): (u64, &[u8; 3])| {
            let mut part = segment(id, if id == 1 { "Sign" } else { "" });
            part["col"][0] = json!(color);
            part
        };
        (0..).zip(&colors).map(part).collect()
    };
    let saved = |name: &str, content: Value| {
        let mut preset: Map<String, Value> = content.as_object().cloned().unwrap_or_default();
        preset.insert("n".into(), name.into());
        Value::Object(preset)
    };
    let relax = json!({"on": true, "bri": 50, "transition": 7, "seg": parts([[255, 120, 40], [255, 80, 20]])});
    let work = json!({"seg": parts([[255, 255, 255], [200, 220, 255]])});
    let party =
        json!({"on": true, "playlist": {"ps": [4, 5], "dur": [100, 100], "transition": 7, "repeat": 0, "end": 0}});
    json!({"0": {}, "4": saved("Relax", relax), "5": saved("Work", work), "6": saved("Party", party)})
}
