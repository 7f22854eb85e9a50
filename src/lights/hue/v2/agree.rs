//! Whether what was seen of a lamp is what a look makes of it.

use std::sync::Arc;

use super::super::ability::{self, Ability, Tint};
use super::super::color::Xy;
use super::beside::Beside;
use super::resources::Scene;
use crate::lights::{Lamp, Look, Seen};
use crate::settings::Shade;

/// How far a brightness, in hundredths of a percent, may be off: lamps know 254 steps, and a lowest one.
const BRIGHTNESS: u16 = 300;
/// How far a temperature, in mirek, may be off.
const MIREK: u16 = 10;

/// What a scene makes of its lamps, at a brightness of its own or at this.
pub(super) fn shown_by(scene: &Scene, brightness: Option<u8>) -> Look {
    // How a hub shares out such a brightness among the lamps is its own affair.
    let lamp = |lamp: &Lamp| Lamp { brightness: lamp.brightness.filter(|_| brightness.is_none()), ..lamp.clone() };
    Look::Seen(Arc::new(Seen(scene.lamps.iter().map(lamp).collect())))
}

/// Whether nothing that was told of the lamp speaks against the look. Of a scene, see [`shown_by`].
pub(in crate::lights::hue) fn agrees(look: &Look, ability: &Ability, lamp: &Lamp) -> bool {
    match look {
        Look::Off => lamp.on != Some(true),
        Look::On { shade, brightness, .. } => {
            lamp.on != Some(false)
                && is_bright(u16::from(*brightness) * 100, ability, lamp)
                && ability.tint(*shade).is_none_or(|tint| is_tinted(tint, ability, lamp))
        }
        Look::Scene { .. } => true,
        Look::Seen(seen) => {
            seen.0.iter().find(|before| before.id == lamp.id).is_none_or(|before| is_again(before, ability, lamp))
        }
    }
}

/// Whether what was read of the lamp can be nothing else than what the look makes of it. Of a lamp that is out of reach,
/// what its hub believes: nobody else reached it either.
pub(in crate::lights::hue) fn surely_shows(look: &Look, ability: &Ability, lamp: &Lamp) -> bool {
    let has_nothing_beside = lamp.is_lost() || lamp.other.is_none();
    let is_surely = match look {
        Look::Off => lamp.on == Some(false),
        Look::On { .. } => lamp.on == Some(true) && has_nothing_beside,
        Look::Scene { .. } => false,
        Look::Seen(seen) => seen.0.iter().find(|before| before.id == lamp.id).is_some_and(|before| {
            lamp.on.is_some() && !Beside::kept(before).moves() && (before.other == lamp.other || lamp.is_lost())
        }),
    };
    is_surely && agrees(look, ability, lamp)
}

fn is_bright(wanted: u16, ability: &Ability, lamp: &Lamp) -> bool {
    !ability.dims || lamp.brightness.is_none_or(|brightness| brightness.abs_diff(wanted) <= BRIGHTNESS)
}

fn is_tinted(tint: Tint, ability: &Ability, lamp: &Lamp) -> bool {
    let seen = lamp.xy.map(|(x, y)| Xy::of_ten_thousandths(x, y));
    match (tint, lamp.mirek, seen) {
        (Tint::Mirek(wanted), Some(mirek), _) => mirek.abs_diff(wanted) <= MIREK,
        (Tint::Mirek(wanted), None, Some(point)) => {
            let kelvin = u16::try_from(1_000_000 / u32::from(wanted.max(1))).unwrap_or(u16::MAX);
            ability.gamut.is_none() || ability::point(Shade::Kelvin(kelvin)).is_near(point)
        }
        (Tint::Point(wanted), _, Some(point)) => wanted.is_near(point),
        (Tint::Point(_), Some(_), None) => false,
        (_, None, None) => true,
    }
}

fn is_again(before: &Lamp, ability: &Ability, lamp: &Lamp) -> bool {
    if before.on == Some(false) {
        return lamp.on != Some(true);
    }
    let beside = Beside::kept(before);
    if beside.moves() {
        return lamp.on != Some(false);
    }
    let point = before.xy.map(|(x, y)| Tint::Point(Xy::of_ten_thousandths(x, y)));
    let tint = before.mirek.map(Tint::Mirek).or(point).filter(|_| beside.gradient().is_none());
    lamp.on != Some(false)
        && before.brightness.is_none_or(|brightness| is_bright(brightness, ability, lamp))
        && tint.is_none_or(|tint| is_tinted(tint, ability, lamp))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::ability::Whites;
    use super::super::super::color::Gamut;
    use super::*;

    const COLOR: Ability =
        Ability { dims: true, white: Some(Whites { coldest: 153, warmest: 500 }), gamut: Some(Gamut::C) };

    fn lamp(json: &str) -> Lamp {
        serde_json::from_str(&format!(r#"{{"id":"a",{json}}}"#)).unwrap()
    }

    fn red() -> Look {
        Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 80, transition: Duration::ZERO, effect: None }
    }

    #[test]
    fn a_part_agrees_where_nothing_in_it_speaks_against_the_look() {
        let table = [
            (r#""on":true"#, true),
            (r#""on":false"#, false),
            (r#""brightness":7980"#, true),
            (r#""brightness":5000"#, false),
            (r#""xy":[6900,3080]"#, true),
            (r#""xy":[1700,7000]"#, false),
            (r#""mirek":370"#, false),
            (r#""on":true,"brightness":8031,"xy":[6915,3083]"#, true),
        ];
        for (part, agreed) in table {
            assert_eq!(agrees(&red(), &COLOR, &lamp(part)), agreed, "{part}");
        }
    }

    #[test]
    fn a_lamp_shows_a_look_for_sure_where_nothing_else_can_have_made_it_so() {
        let full = r#""on":true,"brightness":8031,"xy":[6915,3083]"#;
        let candle = format!(r#"{full},"other":{{"effect":"candle"}}"#);
        let scene = |part: &str| Look::Seen(Arc::new(Seen(vec![lamp(part)])));
        let another = Look::Seen(Arc::new(Seen(vec![Lamp { id: "b".into(), ..lamp(full) }])));
        let table = [
            (red(), full, true),
            (red(), r#""brightness":8031,"xy":[6915,3083]"#, false),
            (red(), &candle, false),
            (Look::Off, r#""on":false"#, true),
            (Look::Off, r#""brightness":3"#, false),
            (Look::Scene { name: "Work".into(), brightness: None, transition: Duration::ZERO }, full, false),
            (scene(full), full, true),
            (scene(full), &candle, false),
            (scene(&candle), &candle, false),
            (another, full, false),
        ];
        for (look, part, sure) in table {
            assert_eq!(surely_shows(&look, &COLOR, &lamp(part)), sure, "{look:?} {part}");
        }
        assert!(surely_shows(&red(), &COLOR, &lamp(full).lost()));
    }

    #[test]
    fn what_a_lamp_cannot_do_is_not_held_against_the_look() {
        assert!(agrees(&red(), &Ability::SWITCH, &lamp(r#""on":true,"brightness":100"#)));
        let white = Ability { gamut: None, ..COLOR };
        assert!(agrees(&red(), &white, &lamp(r#""mirek":495"#)) && !agrees(&red(), &white, &lamp(r#""mirek":200"#)));
    }

    #[test]
    fn a_white_is_told_by_its_temperature_or_its_place() {
        let warm = Look::plain(Shade::Kelvin(2700));
        assert!(agrees(&warm, &COLOR, &lamp(r#""mirek":366"#)) && !agrees(&warm, &COLOR, &lamp(r#""mirek":250"#)));
        assert!(
            agrees(&warm, &COLOR, &lamp(r#""xy":[4599,4106]"#)) && !agrees(&warm, &COLOR, &lamp(r#""xy":[6900,3080]"#))
        );
    }

    #[test]
    fn off_is_off_and_what_was_seen_is_seen_again() {
        assert!(
            agrees(&Look::Off, &COLOR, &lamp(r#""on":false"#))
                && agrees(&Look::Off, &COLOR, &lamp(r#""brightness":3"#))
        );
        assert!(!agrees(&Look::Off, &COLOR, &lamp(r#""on":true"#)));
        let before = Look::Seen(Arc::new(Seen(vec![lamp(r#""on":true,"brightness":5000,"mirek":300"#)])));
        assert!(agrees(&before, &COLOR, &lamp(r#""on":true,"brightness":5000,"mirek":301"#)));
        assert!(!agrees(&before, &COLOR, &lamp(r#""brightness":9000"#)));
    }
}
