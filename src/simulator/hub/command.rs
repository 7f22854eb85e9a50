//! What a command asks for: checked as a hub checks it, and obeyed by the lamps that can.

use serde_json::Value;

use super::lamp::{EFFECTS, Lamp, SIGNALS};

/// The longest transition and signal, in milliseconds.
const LONGEST: f64 = 6_000_000.0;

/// A hub's complaint about a command.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Complaint {
    pub code: &'static str,
    pub description: String,
}

impl Complaint {
    pub(super) fn to_json(&self) -> Value {
        serde_json::json!({"description": self.description, "error_code": self.code})
    }
}

/// How a member of a command is checked.
enum Check {
    Yes,
    Number(f64, f64),
    Word(&'static [&'static str]),
    /// The colours of a gradient: two at least.
    Points,
}

/// The members that are known, by attribute and path within it.
const KNOWN: &[(&str, &str, Check)] = &[
    ("on", "/on", Check::Yes),
    ("dimming", "/brightness", Check::Number(0.0, 100.0)),
    ("color", "/xy/x", Check::Number(0.0, 1.0)),
    ("color", "/xy/y", Check::Number(0.0, 1.0)),
    ("color_temperature", "/mirek", Check::Number(153.0, 500.0)),
    ("dynamics", "/duration", Check::Number(0.0, LONGEST)),
    ("effects", "/effect", Check::Word(EFFECTS)),
    ("gradient", "/points", Check::Points),
    ("alert", "/action", Check::Word(&["breathe"])),
    ("signaling", "/signal", Check::Word(SIGNALS)),
    ("signaling", "/duration", Check::Number(1.0, LONGEST)),
];
/// Members that may stand beside those above.
const OPTIONAL: &[(&str, &str)] =
    &[("signaling", "duration"), ("signaling", "colors"), ("dynamics", "speed"), ("gradient", "mode")];

/// Checks the body of a PUT. The error is the description that the hub sends with status 400.
pub(super) fn check(body: &Value) -> Result<(), String> {
    let attributes = body.as_object().ok_or("body contains invalid json")?;
    if attributes.is_empty() {
        return Err("body does not contain any attribute".to_owned());
    }
    for (attribute, value) in attributes {
        let members = value.as_object().ok_or_else(|| format!("attribute (.{attribute}) has an invalid type"))?;
        let known: Vec<_> = KNOWN.iter().filter(|(known, ..)| known == attribute).collect();
        if known.is_empty() {
            return Err(format!("attribute (.{attribute}) is unknown"));
        }
        for name in members.keys() {
            let top = |path: &str| path[1..].split('/').next() == Some(name);
            let optional = OPTIONAL.iter().any(|(of, optional)| of == attribute && optional == name);
            if !optional && !known.iter().any(|(_, path, _)| top(path)) {
                return Err(format!("attribute (.{attribute}.{name}) is unknown"));
            }
        }
        for (_, path, check) in known {
            check_member(attribute, path, check, value.pointer(path))?;
        }
    }
    Ok(())
}

fn check_member(attribute: &str, path: &str, check: &Check, value: Option<&Value>) -> Result<(), String> {
    let dotted = format!(".{attribute}{}", path.replace('/', "."));
    let Some(value) = value else {
        let optional = OPTIONAL.iter().any(|(of, name)| *of == attribute && path[1..] == **name);
        let missing = format!("attribute ({dotted}) is missing");
        return if optional { Ok(()) } else { Err(missing) };
    };
    let fits = match check {
        Check::Yes => value.is_boolean(),
        Check::Number(low, high) => value.as_f64().is_some_and(|number| (*low..=*high).contains(&number)),
        Check::Points => (2..=5).contains(&points(value).len()),
        Check::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
    };
    if fits { Ok(()) } else { Err(format!("attribute ({dotted}) is out of range or has an invalid type")) }
}

/// What a lamp makes of a checked command.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Obeyed {
    pub changed: bool,
    /// Whether the lamp can do any of it.
    pub any: bool,
    pub complaints: Vec<Complaint>,
}

/// Lets a lamp obey a checked command as far as it can.
pub(super) fn obey(lamp: &mut Lamp, body: &Value) -> Obeyed {
    let mut obeyed = Obeyed::default();
    let attributes: Vec<&str> = body.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    for attribute in attributes.iter().filter(|attribute| !lamp.kind.takes(attribute)) {
        let description = format!("attribute (.{attribute}) is not supported by resource {}", lamp.light);
        obeyed.complaints.push(Complaint { code: "client_error", description });
    }
    obeyed.any = attributes.iter().any(|attribute| *attribute != "dynamics" && lamp.kind.takes(attribute));
    if !obeyed.any {
        return obeyed;
    }
    if !lamp.reachable {
        let description = format!(
            "device (light) {} has communication issues, command (.{}) may not have effect",
            lamp.light,
            attributes.first().unwrap_or(&"on")
        );
        obeyed.complaints.push(Complaint { code: "communication_error", description });
        return obeyed;
    }
    let before = lamp.state.clone();
    switch(lamp, body);
    let is_dark = !lamp.state.on && body.pointer("/on/on").is_none();
    if !is_dark || lamp.keeps_for_later {
        show(lamp, body);
    }
    if is_dark
        && let Some(attribute) = attributes.iter().find(|name| ["dimming", "color", "color_temperature"].contains(name))
    {
        let description =
            format!("device (light) {} is \"soft off\", command (.{attribute}) may not have effect", lamp.light);
        obeyed.complaints.push(Complaint { code: "attribute_may_have_no_effect", description });
    }
    signal(lamp, body);
    obeyed.changed = lamp.state != before;
    obeyed
}

fn switch(lamp: &mut Lamp, body: &Value) {
    let Some(on) = body.pointer("/on/on").and_then(Value::as_bool) else { return };
    let fades = body.pointer("/dynamics/duration").and_then(Value::as_f64).is_some_and(|duration| duration > 0.0);
    if lamp.state.on && !on && fades {
        // A known flaw of real lamps: fading to off, they remember the dimmest step.
        lamp.state.brightness = 1.0;
    }
    lamp.state.on = on;
}

fn show(lamp: &mut Lamp, body: &Value) {
    let number = |path: &str| body.pointer(path).and_then(Value::as_f64);
    if let Some(brightness) = number("/dimming/brightness").filter(|_| lamp.kind.takes("dimming")) {
        lamp.state.brightness = brightness.max(0.2);
    }
    if let Some(mirek) = number("/color_temperature/mirek").filter(|_| lamp.kind.takes("color_temperature")) {
        lamp.state.mirek = Some(mirek as u64);
        lamp.state.xy = None;
    }
    if let (Some(x), Some(y), Some(gamut)) = (number("/color/xy/x"), number("/color/xy/y"), lamp.kind.gamut()) {
        lamp.state.xy = Some(gamut.nearest((x, y)));
        lamp.state.mirek = None;
    }
    if ["color", "color_temperature"].iter().any(|name| body.get(name).is_some()) {
        lamp.state.gradient.clear();
    }
    if let Some(gradient) = body.pointer("/gradient/points").filter(|_| lamp.kind.takes("gradient")) {
        lamp.state.gradient = points(gradient);
        (lamp.state.xy, lamp.state.mirek) = (lamp.state.gradient.first().copied(), None);
    }
    if let Some(effect) = body.pointer("/effects/effect").and_then(Value::as_str).filter(|_| lamp.kind.takes("effects"))
    {
        lamp.state.effect = effect.to_owned();
    }
}

fn points(gradient: &Value) -> Vec<(f64, f64)> {
    let point = |point: &Value| {
        let at = |axis: &str| point.pointer(&format!("/color/xy/{axis}")).and_then(Value::as_f64);
        Some((at("x")?, at("y")?))
    };
    gradient.as_array().into_iter().flatten().filter_map(point).collect()
}

fn signal(lamp: &mut Lamp, body: &Value) {
    if let Some(signal) = body.get("signaling").or_else(|| body.get("alert")) {
        lamp.state.signal = Some(signal.clone());
    }
}
