//! WLED's state, read leniently, and the parts of it that make a look.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::lights::{Lamp, Look, Seen};
use crate::settings::{Effect, Motion, Shade};

/// Effects by WLED's numbers.
const SOLID: u64 = 0;
const BLINK: u64 = 1;
const BREATHE: u64 = 2;
/// The palette that is the segment's own colours. Every other hides them in all effects but `SOLID`.
const OWN_COLORS: u64 = 0;
/// What a segment's capabilities (`lc`) must have one of for a member to mean anything: colours for the palette,
/// colours or a white channel for the colour, which is always white of what can but be switched.
const NEEDED: [(&str, u64); 2] = [("pal", 1), ("col", 3)];
/// By which a flash is told from a status that blinks in white.
const FLASH_SPEED: u8 = 200;
/// How far a brightness, in hundredths of a percent, may be off.
const BRIGHTNESS: u16 = 200;
/// What of a segment is kept to be shown again.
const KEPT: [&str; 10] = ["id", "on", "bri", "cct", "col", "fx", "sx", "ix", "pal", "frz"];
/// Where the switches of the strip's segments stand in what is kept of a light.
pub(super) const REST: &str = "rest";
/// The longest transition, in tenths of a second.
const LONGEST: u128 = 65_535;

/// Whether the strip is on, whatever its segments' own switches say.
pub(super) fn is_on(state: &Value) -> bool {
    state.get("on").and_then(Value::as_bool).unwrap_or(true)
}

/// The segments of a state.
pub(super) fn parts(state: &Value) -> impl Iterator<Item = &Value> {
    state.get("seg").and_then(Value::as_array).into_iter().flatten()
}

/// A segment's number.
pub(super) fn number(part: &Value) -> Option<u64> {
    part.get("id").and_then(Value::as_u64)
}

/// A segment's own switch, which counts while the strip is on.
pub(super) fn switch(part: &Value) -> bool {
    part.get("on").and_then(Value::as_bool).unwrap_or(true)
}

/// The segments of a state that are meant: of a number or name, or all.
pub(super) fn segments(state: &Value, segment: Option<&str>) -> Result<Vec<u64>, String> {
    let is_meant = |it: &&Value| {
        segment.is_none_or(|segment| {
            let name = it.get("n").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(segment));
            name || number(it).is_some_and(|number| number.to_string() == segment)
        })
    };
    let numbers: Vec<u64> = parts(state).filter(is_meant).filter_map(number).collect();
    match segment {
        Some(segment) if numbers.is_empty() => {
            let known: Vec<String> = parts(state).filter_map(number).map(|number| number.to_string()).collect();
            Err(format!("WLED has no segment {segment:?}; it has {}", known.join(", ")))
        }
        _ => Ok(numbers),
    }
}

fn of_each(segments: &[u64], part: &Value) -> Value {
    let each = |number: &u64| {
        let mut part = part.clone();
        part["id"] = json!(number);
        part
    };
    segments.iter().map(each).collect()
}

/// Off: the strip.
pub(super) fn off() -> Value {
    json!({"on": false})
}

/// Off: segments alone.
pub(super) fn dark(segments: &[u64]) -> Value {
    json!({"seg": of_each(segments, &json!({"on": false}))})
}

/// A colour. Of a strip the brightness is its own, of a segment the segment's.
pub(super) fn on(
    segments: &[u64],
    is_part: bool,
    shade: Shade,
    brightness: u8,
    transition: Duration,
    effect: Option<Effect>,
) -> Value {
    let [red, green, blue] = rgb(shade);
    let bri = bri(brightness);
    let mut part = json!({"on": true, "col": [[red, green, blue], [0, 0, 0], [0, 0, 0]], "fx": SOLID, "frz": false});
    if let Some(effect) = effect {
        draw(&mut part, effect.motion, speed(effect.motion));
    }
    if is_part {
        part["bri"] = json!(bri);
    }
    let tenths = (transition.as_millis() / 100).min(LONGEST) as u64;
    let mut body = json!({"on": true, "tt": tenths, "seg": of_each(segments, &part)});
    if !is_part {
        body["bri"] = json!(bri);
    }
    body
}

/// An effect as it is meant, whatever was left of others. `sx`: of `BLINK` 20 ms less a number, from 255 for strobe; of
/// `BREATHE` every 8 numbers a little faster, from 0. `ix`: of `BLINK` the half that is lit.
fn draw(part: &mut Value, motion: Motion, speed: u8) {
    (part["fx"], part["pal"]) = (json!(effect_number(motion)), json!(OWN_COLORS));
    (part["sx"], part["ix"]) = (json!(speed), json!(128));
}

fn effect_number(motion: Motion) -> u64 {
    match motion {
        Motion::Blink => BLINK,
        Motion::Breathe => BREATHE,
    }
}

/// A blink takes 1.5 s, a breath 2.5 s.
fn speed(motion: Motion) -> u8 {
    match motion {
        Motion::Blink => 180,
        Motion::Breathe => 128,
    }
}

/// A brightness as WLED has it.
pub(super) fn bri(percent: u8) -> u64 {
    (u64::from(percent) * 255).div_ceil(100).clamp(1, 255)
}

/// What blinks in white, whatever was shown. Of a strip the brightness is its own, of a segment the segment's.
pub(super) fn blinking(segments: &[u64], is_part: bool) -> Value {
    let mut part = json!({"on": true, "col": [[255, 255, 255], [0, 0, 0], [0, 0, 0]], "frz": false});
    draw(&mut part, Motion::Blink, FLASH_SPEED);
    let (mut body, bri) = (json!({"on": true, "tt": 0}), json!(200));
    if is_part {
        part["bri"] = bri;
    } else {
        body["bri"] = bri;
    }
    body["seg"] = of_each(segments, &part);
    body
}

/// Whether what was seen has the look of [`blinking`], be it lit or not.
pub(super) fn is_flash(Seen(lamps): &Seen) -> bool {
    let is_so = |part: &Value| part["fx"] == BLINK && part["sx"] == FLASH_SPEED && is_near(&part["col"][0], [255; 3]);
    lamps.iter().filter_map(|lamp| lamp.other.as_ref()).flat_map(parts).any(is_so)
}

/// What is left of a flash that nobody ended: nothing that anybody wants back.
pub(super) fn ended(Seen(mut lamps): Seen) -> Seen {
    for lamp in &mut lamps {
        lamp.on = Some(false);
        let segments = lamp.other.as_mut().and_then(|other| other["seg"].as_array_mut());
        segments.into_iter().flatten().for_each(|segment| segment["fx"] = json!(SOLID));
    }
    Seen(lamps)
}

/// What a state shows: the strip and its segments as one lamp.
pub(super) fn seen(state: &Value, segment: Option<&str>) -> Seen {
    let meant = segments(state, segment).unwrap_or_default();
    let is_meant = |it: &&Value| number(it).is_some_and(|number| meant.contains(&number));
    let kept = |segment: &Value| {
        let can = segment.get("lc").and_then(Value::as_u64);
        let is_void =
            |key: &str| NEEDED.iter().any(|(it, one_of)| *it == key && can.is_some_and(|can| can & one_of == 0));
        let kept = KEPT.iter().filter(|key| !is_void(key));
        let kept = kept.filter_map(|key| Some(((*key).to_owned(), segment.get(*key)?.clone())));
        Value::Object(kept.collect::<Map<String, Value>>())
    };
    let parts: Vec<Value> = parts(state).filter(is_meant).map(kept).collect();
    let strip_on = state.get("on").and_then(Value::as_bool);
    let bri = match segment {
        None => state.get("bri"),
        Some(_) => parts.first().and_then(|part| part.get("bri")),
    };
    let percent = bri.and_then(Value::as_u64).map(|bri| (bri.min(255) * 10_000 / 255) as u16);
    let mut other = json!({"seg": parts});
    if segment.is_none() {
        other["bri"] = state.get("bri").cloned().unwrap_or_default();
    }
    Seen(vec![Lamp {
        id: segment.unwrap_or("strip").into(),
        on: strip_on.map(|on| on && parts.iter().any(switch)),
        brightness: percent,
        xy: None,
        mirek: None,
        other: Some(other),
    }])
}

/// Shows again what was seen. A dark segment's own switch is as it was, which is for a strip that is off.
pub(super) fn again(seen: &Seen) -> Value {
    let Some(lamp) = seen.0.first() else { return json!({}) };
    let mut body = lamp.other.clone().unwrap_or_else(|| json!({}));
    let is_strip = body.get("bri").is_some();
    if let Some(body) = body.as_object_mut() {
        body.remove(REST);
    }
    if let Some(on) = lamp.on.filter(|on| *on || is_strip) {
        body["on"] = json!(on);
    }
    body
}

/// The same for segments of a strip that stays on.
pub(super) fn darkened(mut body: Value) -> Value {
    body["seg"].as_array_mut().into_iter().flatten().for_each(|segment| segment["on"] = json!(false));
    body
}

/// Whether what was seen is what a look makes of it, and of every segment that it was sent to.
pub(super) fn agrees(look: &Look, lamp: &Lamp) -> bool {
    match look {
        Look::Off => lamp.on != Some(true),
        Look::Scene { .. } => true,
        Look::Seen(before) => {
            before.0.first().is_none_or(|before| before == lamp || (before.on, lamp.on) == (Some(false), Some(false)))
        }
        Look::On { shade, brightness, effect, .. } => {
            let wanted = rgb(*shade);
            lamp.on != Some(false)
                && lamp.brightness.is_none_or(|it| it.abs_diff(u16::from(*brightness) * 100) <= BRIGHTNESS)
                && lamp.other.iter().flat_map(parts).all(|part| draws(part, wanted, *effect))
        }
    }
}

/// Whether it can be nothing else. What a preset makes is not known.
pub(super) fn surely_shows(look: &Look, lamp: &Lamp) -> bool {
    match look {
        Look::Off => lamp.on == Some(false),
        Look::On { .. } => lamp.on == Some(true) && agrees(look, lamp),
        Look::Scene { .. } | Look::Seen(_) => false,
    }
}

/// Whether a segment shows a colour with an effect, or without it, also where the effect is over.
fn draws(part: &Value, wanted: [u8; 3], effect: Option<Effect>) -> bool {
    let told = |key: &str| part.get(key).and_then(Value::as_u64);
    let (number, palette) = (told("fx").unwrap_or(SOLID), told("pal").unwrap_or(OWN_COLORS));
    let is_still = effect.is_none_or(|effect| effect.lasting.is_some()) && number == SOLID;
    let moves = effect.is_some_and(|effect| number == effect_number(effect.motion)) && palette == OWN_COLORS;
    switch(part) && (is_still || moves) && part.pointer("/col/0").is_none_or(|color| is_near(color, wanted))
}

/// A colour of three parts, or of four, of which the last is white.
fn is_near(color: &Value, [red, green, blue]: [u8; 3]) -> bool {
    let part = |at: usize| color.get(at).and_then(Value::as_u64);
    let is_part = |(at, wanted): (usize, u8)| part(at).is_none_or(|it| it.abs_diff(u64::from(wanted)) <= 3);
    [red, green, blue, 0].into_iter().enumerate().all(is_part)
}

/// A shade in sRGB, as strips have it.
fn rgb(shade: Shade) -> [u8; 3] {
    match shade {
        Shade::Rgb(rgb) => rgb,
        Shade::Xy(..) | Shade::Kelvin(_) => crate::lights::hue::srgb(shade),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> Value {
        json!({"on": true, "bri": 128, "seg": [
            {"id": 0, "n": "Left", "on": true, "bri": 255, "col": [[255, 160, 0], [0, 0, 0], [0, 0, 0]], "fx": 0, "start": 0, "stop": 10},
            {"id": 3, "on": false, "bri": 51, "col": [[0, 0, 255]], "fx": 9},
        ]})
    }

    #[test]
    fn segments_are_meant_by_number_or_name() {
        assert_eq!(segments(&state(), None), Ok(vec![0, 3]));
        assert_eq!(segments(&state(), Some("left")), Ok(vec![0]));
        assert_eq!(segments(&state(), Some("3")), Ok(vec![3]));
        assert!(segments(&state(), Some("7")).unwrap_err().contains("0, 3"));
    }

    #[test]
    fn a_colour_is_said_with_brightness_transition_and_effect() {
        let effect = Some(Effect { motion: Motion::Breathe, lasting: None });
        let body = on(&[0, 3], false, Shade::Rgb([1, 2, 3]), 80, Duration::from_secs(1), effect);
        assert_eq!((&body["bri"], &body["tt"], &body["seg"][1]["id"]), (&json!(204), &json!(10), &json!(3)));
        assert_eq!((&body["seg"][0]["col"][0], &body["seg"][0]["fx"]), (&json!([1, 2, 3]), &json!(2)));
        let part = on(&[3], true, Shade::Kelvin(2700), 100, Duration::ZERO, None);
        assert!(part.get("bri").is_none() && part["seg"][0]["bri"] == 255);
        let warm = part["seg"][0]["col"][0].as_array().unwrap();
        assert!(warm[0].as_u64() > warm[1].as_u64() && warm[1].as_u64() > warm[2].as_u64(), "{warm:?}");
    }

    #[test]
    fn what_was_seen_is_shown_again() {
        let whole = seen(&state(), None);
        assert_eq!((whole.0[0].on, whole.0[0].brightness), (Some(true), Some(5019)));
        let body = again(&whole);
        assert_eq!((&body["bri"], &body["on"], &body["seg"][1]["fx"]), (&json!(128), &json!(true), &json!(9)));
        assert!(body["seg"][0].get("start").is_none(), "segments stay where they are");
        assert_eq!(seen(&state(), Some("3")).0[0].on, Some(false));
        let dark = again(&seen(&json!({"on": false, "seg": state()["seg"]}), Some("0")));
        assert!(dark.get("on").is_none() && dark["seg"][0]["on"] == true, "its strip was off: {dark}");
        assert_eq!(darkened(dark)["seg"][0]["on"], false, "and is on by now for others");
    }

    #[test]
    fn what_a_segment_cannot_show_tells_nothing() {
        let state = |lc: u64| json!({"on": true, "bri": 255, "seg": [{"id": 0, "lc": lc, "fx": 2, "col": [[255, 0, 0]], "pal": 11}]});
        let effect = Some(Effect { motion: Motion::Breathe, lasting: None });
        let red = Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 100, transition: Duration::ZERO, effect };
        assert!(!agrees(&red, &seen(&state(3), None).0[0]) && agrees(&red, &seen(&state(2), None).0[0]));
        let blue = Look::On { shade: Shade::Rgb([0, 0, 255]), brightness: 100, transition: Duration::ZERO, effect };
        assert!(!agrees(&blue, &seen(&state(2), None).0[0]) && agrees(&blue, &seen(&state(0), None).0[0]));
    }

    #[test]
    fn an_echo_agrees_and_a_persons_hand_does_not() {
        let orange = |brightness| Look::On {
            shade: Shade::Rgb([255, 160, 0]),
            brightness,
            transition: Duration::ZERO,
            effect: None,
        };
        let lamp = &seen(&state(), Some("0")).0[0];
        assert!(agrees(&orange(100), lamp) && !agrees(&orange(40), lamp) && !agrees(&Look::Off, lamp));
        assert!(!agrees(&Look::plain(Shade::Rgb([0, 0, 255])), lamp));
        assert!(agrees(&Look::Seen(seen(&state(), Some("0")).into()), lamp));
    }
}
