use serde_json::json;

use super::super::super::ability::Whites;
use super::super::super::color::Gamut;
use super::super::resources::{GROUPED_LIGHT, Motions};
use super::*;
use crate::settings::{Effect, Shade};

const DIM: Ability = Ability { dims: true, white: None, gamut: None };
const WHITE: Ability = Ability { white: Some(Whites { coldest: 153, warmest: 454 }), ..DIM };
const COLOR: Ability = Ability { gamut: Some(Gamut::C), ..DIM };
const BOTH: Ability = Ability { gamut: Some(Gamut::C), ..WHITE };

fn look(shade: Shade, brightness: u8, transition: Duration) -> Look {
    Look::On { shade, brightness, transition, effect: None }
}

fn red() -> Look {
    look(Shade::Rgb([255, 0, 0]), 80, Duration::from_millis(400))
}

fn endpoint(abilities: &[Ability]) -> Endpoint {
    let lamp = |(at, ability): (usize, &Ability)| LampOf { id: format!("l{at}"), device: None, ability: *ability };
    let lamps: Vec<LampOf> = abilities.iter().enumerate().map(lamp).collect();
    let (kind, id) = if lamps.len() == 1 { (LIGHT, "l0") } else { (GROUPED_LIGHT, "g") };
    let ability = abilities.iter().copied().reduce(Ability::or).unwrap();
    Endpoint { kind, id: id.into(), ability, motions: Motions { blinks: true, breathes: true }, place: None, lamps }
}

fn sent(look: &Look, abilities: &[Ability], on: bool) -> Vec<(String, Value)> {
    let puts = puts(look, &endpoint(abilities), &Directory::default(), on, false).unwrap();
    puts.into_iter().map(|put| (put.id, put.body)).collect()
}

fn body(look: &Look, ability: Ability, on: bool) -> Value {
    sent(look, &[ability], on).remove(0).1
}

#[test]
fn each_kind_of_lamp_is_sent_what_it_can() {
    let rest = json!({"on": {"on": true}, "dimming": {"brightness": 80.0}, "dynamics": {"duration": 400}});
    let with = |name: &str, value: Value| {
        let mut body = rest.clone();
        body[name] = value;
        body
    };
    let table = [
        (COLOR, with("color", json!({"xy": {"x": 0.6915, "y": 0.3083}}))),
        (BOTH, with("color", json!({"xy": {"x": 0.6915, "y": 0.3083}}))),
        (WHITE, with("color_temperature", json!({"mirek": 454}))),
        (DIM, rest.clone()),
        (Ability::SWITCH, json!({"on": {"on": true}})),
    ];
    for (ability, expected) in table {
        assert_eq!(body(&red(), ability, false), expected);
    }
    let warm = look(Shade::Kelvin(2700), 80, Duration::from_millis(400));
    assert_eq!(body(&warm, BOTH, false)["color_temperature"]["mirek"], 370);
    assert!(body(&warm, COLOR, false)["color"]["xy"]["x"].as_f64().unwrap() > 0.45);
}

#[test]
fn a_mixed_group_gets_each_lamps_best() {
    let sent = sent(&red(), &[BOTH, WHITE, DIM, Ability::SWITCH], false);
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].0.as_str(), &sent[0].1["color"]["xy"]["x"]), ("g", &json!(0.6915)));
    assert_eq!((sent[1].0.as_str(), &sent[1].1["color_temperature"]["mirek"]), ("l1", &json!(454)));
    assert!(sent[1].1.get("on").is_none(), "the group's command has switched it on");
}

#[test]
fn a_temperature_on_a_group_reaches_the_colour_lamps_without_whites_too() {
    let warm = look(Shade::Kelvin(2700), 80, Duration::ZERO);
    let sent = sent(&warm, &[COLOR, WHITE], false);
    assert_eq!((sent[0].0.as_str(), &sent[0].1["color_temperature"]["mirek"]), ("g", &json!(370)));
    assert_eq!(sent[1].0, "l0");
    assert!(sent[1].1["color"]["xy"]["x"].as_f64().unwrap() > 0.45);
}

#[test]
fn off_goes_without_a_duration() {
    for on in [true, false] {
        assert_eq!(body(&Look::Off, COLOR, on), json!({"on": {"on": false}}));
    }
}

#[test]
fn on_is_not_repeated_to_what_is_on_and_brightness_goes_with_every_look() {
    let body = body(&red(), COLOR, true);
    assert_eq!((body.get("on"), body["dimming"]["brightness"].as_f64()), (None, Some(80.0)));
}

#[test]
fn colours_are_alike_to_what_shows_none() {
    let blue = look(Shade::Rgb([0, 0, 255]), 80, Duration::ZERO);
    let dark = look(Shade::Rgb([255, 0, 0]), 10, Duration::from_millis(400));
    let alike = |ability| {
        [&blue, &dark, &Look::Off].map(|look| is_same(&red(), look, &endpoint(&[ability]), &Directory::default()))
    };
    assert_eq!(alike(Ability::SWITCH), [true, true, false]);
    assert_eq!(alike(DIM), [true, false, false]);
    assert_eq!(alike(COLOR), [false; 3]);
    let Look::On { shade, brightness, transition, .. } = red() else { panic!() };
    let effect = Some(Effect { motion: Motion::Blink, lasting: None });
    let blinking = Look::On { shade, brightness, transition, effect };
    assert!(!is_same(&red(), &blinking, &endpoint(&[Ability::SWITCH]), &Directory::default()));
}

#[test]
fn transitions_are_cut_to_what_a_hub_takes() {
    let slow = look(Shade::Rgb([1, 2, 3]), 1, Duration::from_secs(1 << 40));
    assert_eq!(body(&slow, DIM, false)["dynamics"]["duration"], 6_000_000);
}

#[test]
fn what_was_seen_is_shown_again_by_one_command_where_all_lamps_showed_the_same() {
    let lamp = |id: &str, on, brightness| Lamp {
        id: id.into(),
        on: Some(on),
        brightness: Some(brightness),
        xy: Some((3000, 4000)),
        ..Lamp::default()
    };
    let seen = |lamps| Look::Seen(std::sync::Arc::new(Seen(lamps)));
    let off = seen(vec![lamp("l0", false, 5000), lamp("l1", false, 9000)]);
    assert_eq!(sent(&off, &[COLOR, COLOR], true), [("g".to_owned(), json!({"on": {"on": false}}))]);
    let differing = sent(&seen(vec![lamp("l0", false, 5000), lamp("l1", true, 9000)]), &[COLOR, COLOR], true);
    assert_eq!(differing[0], ("l0".to_owned(), json!({"on": {"on": false}})));
    assert_eq!(differing[1].0, "l1");
    assert_eq!(differing[1].1["dimming"]["brightness"], 90.0);
    assert_eq!(differing[1].1["color"]["xy"], json!({"x": 0.3, "y": 0.4}));
    let unknown = sent(&seen(vec![lamp("gone", true, 5000)]), &[COLOR, COLOR], true);
    assert!(unknown.is_empty(), "a lamp that is gone is passed over");
}

#[test]
fn a_signal_ends_with_the_next_look() {
    let puts = puts(&red(), &endpoint(&[COLOR]), &Directory::default(), true, true).unwrap();
    assert_eq!(puts[0].body["signaling"], json!({"signal": "no_signal"}));
    assert_eq!(puts.len(), 1);
}

#[test]
fn a_signal_to_a_group_ends_before_its_lamps_are_restored_one_by_one() {
    let lamp =
        |id: &str, brightness| Lamp { id: id.into(), on: Some(true), brightness: Some(brightness), ..Lamp::default() };
    let before = Look::Seen(Seen(vec![lamp("l0", 5000), lamp("l1", 9000)]).into());
    let puts = puts(&before, &endpoint(&[COLOR, COLOR]), &Directory::default(), true, true).unwrap();
    let (silence, lamps) = puts.split_first().unwrap();
    assert_eq!((silence.kind, &silence.body), (GROUPED_LIGHT, &json!({"signaling": {"signal": "no_signal"}})));
    assert!(lamps.len() == 2 && lamps.iter().all(|put| put.body.get("signaling").is_none()), "{lamps:?}");
}

#[test]
fn what_takes_no_such_effect_gets_the_other_or_none() {
    let of = |blinks, breathes, it| {
        let endpoint = Endpoint { motions: Motions { blinks, breathes }, ..endpoint(&[COLOR]) };
        motion(it, &endpoint, Duration::from_secs(3))
    };
    let blink = json!({"signaling": {"signal": "on_off", "duration": 3000}});
    let breathe = json!({"alert": {"action": "breathe"}});
    assert_eq!(of(true, true, Motion::Blink), Some(blink.clone()));
    assert_eq!(of(true, true, Motion::Breathe), Some(breathe.clone()));
    assert_eq!(of(true, false, Motion::Breathe), Some(blink));
    assert_eq!(of(false, true, Motion::Blink), Some(breathe));
    assert_eq!(of(false, false, Motion::Blink), None);
}
