//! From a look to the body of a PUT, and what the hub's answer to it means.
//!
//! Choices, from how hubs and lamps behave:
//! - Off goes without a duration: with one the lamp is at 1 % when it is next switched on.
//! - Brightness goes with every look, and colour too, since a person may have changed either by hand.
//! - `on` is left out where the target is known to be on: repeating it to a group costs a message for
//!   each lamp. Should it be off after all, the hub says so ("soft off"), and `on` follows.
//! - A lamp is sent what it can: colour, else cold or warm white, else brightness, else on and off. A
//!   group is sent what its most able lamp can: the others pass over what they cannot.

use serde_json::{Value, json};

use super::color;
use super::resources::Ability;
use crate::lights::{Look, Obeyed};

/// The longest transition that a hub takes, in milliseconds.
const LONGEST_TRANSITION: u128 = 6_000_000;

/// The body that makes something of this ability show a look. `on`: it is known to be on.
pub(super) fn body(look: Look, ability: Ability, on: bool) -> Value {
    let Look::On { rgb, brightness, transition } = look else {
        return json!({"on": {"on": false}});
    };
    let mut body = serde_json::Map::new();
    if !on || ability == Ability::Switch {
        body.insert("on".into(), json!({"on": true}));
    }
    if ability != Ability::Switch {
        body.insert("dimming".into(), json!({"brightness": brightness}));
        let duration = transition.as_millis().min(LONGEST_TRANSITION) as u64;
        body.insert("dynamics".into(), json!({"duration": duration}));
    }
    match ability {
        Ability::Color(gamut) => {
            let point = gamut.clamp(color::from_srgb(rgb));
            body.insert("color".into(), json!({"xy": {"x": rounded(point.x), "y": rounded(point.y)}}));
        }
        Ability::Temperature { coldest, warmest } => {
            let mirek = color::temperature(rgb, coldest, warmest);
            body.insert("color_temperature".into(), json!({"mirek": mirek}));
        }
        Ability::Dim | Ability::Switch => {}
    }
    Value::Object(body)
}

/// Whether something of this ability shows both looks alike: colours are one to a plug.
pub(super) fn is_same(one: Look, other: Look, ability: Ability) -> bool {
    let still = |look| {
        let mut body = body(look, ability, true);
        body.as_object_mut().and_then(|body| body.remove("dynamics"));
        body
    };
    still(one) == still(other)
}

/// Four digits, as the hubs' own answers have.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// What an answer of 200 or 207 says; none when it is no JSON of a hub.
pub(super) fn obeyed(answer: &[u8]) -> Option<Obeyed> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer.as_object()?;
    let errors = errors(&answer);
    let says = |words: &[&str]| errors.iter().any(|error| words.iter().any(|word| error.contains(word)));
    Some(Obeyed {
        unreachable: says(&["communication_error", "communication issues"]),
        was_off: says(&["attribute_may_have_no_effect", "soft off"]),
        advice: (!errors.is_empty()).then(|| errors.join("; ")),
    })
}

/// The errors of an answer as texts, code first: they come as objects or as bare strings.
fn errors(answer: &Value) -> Vec<String> {
    const MOST: usize = 5;
    let text = |error: &Value| {
        let of = |key: &str| error.get(key).and_then(Value::as_str);
        match (error.as_str(), of("error_code"), of("description")) {
            (Some(text), ..) => plain(text),
            (None, Some(code), Some(text)) => format!("{}: {}", plain(code), plain(text)),
            (None, code, text) => plain(code.or(text).unwrap_or("an error without a text")),
        }
    };
    match answer.get("errors") {
        Some(Value::Array(errors)) => errors.iter().take(MOST).map(text).collect(),
        Some(Value::String(error)) => vec![plain(error)],
        _ => Vec::new(),
    }
}

/// The first error of an answer that refuses, for people.
pub(super) fn refusal(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    errors(&answer).into_iter().next()
}

/// A text of the hub's, cut and without control characters.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::color::Gamut;
    use super::*;

    const RED: Look = Look::On { rgb: [255, 0, 0], brightness: 80, transition: Duration::from_millis(400) };

    #[test]
    fn each_kind_of_lamp_is_sent_what_it_can() {
        let table = [
            (
                Ability::Color(Gamut::C),
                json!({"on": {"on": true}, "dimming": {"brightness": 80}, "dynamics": {"duration": 400}, "color": {"xy": {"x": 0.6915, "y": 0.3083}}}),
            ),
            (
                Ability::Temperature { coldest: 153, warmest: 454 },
                json!({"on": {"on": true}, "dimming": {"brightness": 80}, "dynamics": {"duration": 400}, "color_temperature": {"mirek": 454}}),
            ),
            (Ability::Dim, json!({"on": {"on": true}, "dimming": {"brightness": 80}, "dynamics": {"duration": 400}})),
            (Ability::Switch, json!({"on": {"on": true}})),
        ];
        for (ability, expected) in table {
            assert_eq!(body(RED, ability, false), expected);
        }
    }

    #[test]
    fn off_goes_without_a_duration() {
        for on in [true, false] {
            assert_eq!(body(Look::Off, Ability::Color(Gamut::C), on), json!({"on": {"on": false}}));
        }
    }

    #[test]
    fn on_is_not_repeated_to_what_is_on_and_brightness_goes_with_every_look() {
        let body = body(RED, Ability::Color(Gamut::C), true);
        assert_eq!((body.get("on"), body["dimming"]["brightness"].as_u64()), (None, Some(80)));
    }

    #[test]
    fn colours_are_alike_to_what_shows_none() {
        let blue = Look::On { rgb: [0, 0, 255], brightness: 80, transition: Duration::ZERO };
        let dark = Look::On { rgb: [255, 0, 0], brightness: 10, transition: Duration::from_millis(400) };
        let alike = |ability| [blue, dark, Look::Off].map(|look| is_same(RED, look, ability));
        assert_eq!(alike(Ability::Switch), [true, true, false]);
        assert_eq!(alike(Ability::Dim), [true, false, false]);
        assert_eq!(alike(Ability::Color(Gamut::C)), [false; 3]);
    }

    #[test]
    fn transitions_are_cut_to_what_a_hub_takes() {
        let slow = Look::On { rgb: [1, 2, 3], brightness: 1, transition: Duration::from_secs(1 << 40) };
        assert_eq!(body(slow, Ability::Dim, false)["dynamics"]["duration"], 6_000_000);
    }

    #[test]
    fn advice_is_told_apart() {
        let advice = |errors: Value| obeyed(json!({"errors": errors, "data": []}).to_string().as_bytes()).unwrap();
        assert_eq!(advice(json!([])), Obeyed::default());
        let lost = advice(json!([{"error_code": "communication_error", "description": "device (light) 1"}]));
        assert!(lost.unreachable && !lost.was_off && lost.advice.is_some());
        let off =
            advice(json!([{"description": "device (grouped_light) is \"soft off\", command may not have effect"}]));
        assert!(off.was_off && !off.unreachable);
        let odd = advice(json!(["attribute (.color) is not supported by resource", 7, null, {}]));
        assert!(!odd.was_off && !odd.unreachable && odd.advice.is_some());
        assert!(advice(json!("one\u{7}text")).advice.unwrap() == "onetext");
    }

    #[test]
    fn what_is_not_a_hubs_json_is_not_an_answer() {
        for answer in [&b""[..], b"<html>", b"[]", b"7", b"{"] {
            assert_eq!(obeyed(answer), None);
        }
    }
}
