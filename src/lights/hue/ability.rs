//! What a lamp can, and what becomes of a colour on it: colour within its gamut, else warm or cold white.

use super::color::{self, Gamut, Xy};
use crate::settings::Shade;

/// What a lamp can, or the most that a lamp of a group can. A plug can none of it: on and off alone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ability {
    /// Whether it has a brightness.
    pub dims: bool,
    /// Whites, cold to warm.
    pub white: Option<Whites>,
    /// Colours.
    pub gamut: Option<Gamut>,
}

/// What a lamp's whites can be, in mirek: a million kelvin to a thousand.
const SOUND: std::ops::RangeInclusive<u16> = 1..=1000;

/// The whites of a lamp, in mirek.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Whites {
    pub coldest: u16,
    pub warmest: u16,
}

/// A colour as a lamp is sent it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Tint {
    Point(Xy),
    Mirek(u16),
}

impl Ability {
    /// On and off alone.
    #[cfg(test)]
    pub const SWITCH: Self = Self { dims: false, white: None, gamut: None };
    /// What something is taken for of which nothing is known.
    pub const UNKNOWN: Self = Self { dims: true, white: None, gamut: Some(Gamut::C) };

    /// A shade as such a lamp shows it; none where it shows none.
    pub fn tint(&self, shade: Shade) -> Option<Tint> {
        Some(match (shade, self.gamut, self.white) {
            (Shade::Kelvin(kelvin), _, Some(whites)) => Tint::Mirek(whites.nearest(mirek(kelvin))),
            (_, Some(gamut), _) => Tint::Point(gamut.clamp(point(shade))),
            (_, None, Some(whites)) => Tint::Mirek(whites.of(shade)),
            (_, None, None) => return None,
        })
    }

    /// Whether both show a shade by the same means: what one is sent serves the other.
    pub fn is_like(&self, other: &Self) -> bool {
        let means = |it: &Self| (it.dims, it.white.is_some(), it.gamut.is_some());
        means(self) == means(other)
    }

    /// The most that one of both can; where lamps have several gamuts, each takes the nearest that it can by itself.
    pub fn or(self, other: Self) -> Self {
        let gamut = match (self.gamut, other.gamut) {
            (Some(one), Some(another)) if one != another => Some(Gamut::ALL),
            (one, another) => one.or(another),
        };
        let white = match (self.white, other.white) {
            (Some(one), Some(another)) => {
                Some(Whites { coldest: one.coldest.min(another.coldest), warmest: one.warmest.max(another.warmest) })
            }
            (one, another) => one.or(another),
        };
        Self { dims: self.dims || other.dims, white, gamut }
    }
}

impl Whites {
    /// What hubs take for every lamp.
    pub const USUAL: Self = Self { coldest: 153, warmest: 500 };

    /// As a hub tells them. Of lamps of other makers some tell 0 and 65535: they are taken to have the usual ones.
    pub fn told(coldest: Option<u64>, warmest: Option<u64>) -> Self {
        let sound =
            |told: Option<u64>| told.and_then(|mirek| u16::try_from(mirek).ok()).filter(|it| SOUND.contains(it));
        let Self { coldest: usual, warmest: warm } = Self::USUAL;
        Self { coldest: sound(coldest).unwrap_or(usual), warmest: sound(warmest).unwrap_or(warm) }
    }

    pub fn nearest(self, mirek: u16) -> u16 {
        mirek.min(self.warmest).max(self.coldest)
    }

    /// A colour for a lamp that has only white: red is warm, green and blue are cold, yellow between.
    fn of(self, shade: Shade) -> u16 {
        let [red, green, blue] = match shade {
            Shade::Kelvin(kelvin) => return self.nearest(mirek(kelvin)),
            Shade::Rgb(rgb) => color::linear_rgb(rgb),
            Shade::Xy(x, y) => color::to_linear_rgb(Xy::of_ten_thousandths(x, y)),
        };
        let warmth = red / (red + green.max(blue));
        let span = f64::from(self.warmest.saturating_sub(self.coldest));
        self.coldest + (span * warmth).round() as u16
    }
}

/// Where a shade stands, on a lamp that shows every colour.
pub(super) fn point(shade: Shade) -> Xy {
    match shade {
        Shade::Rgb(rgb) => color::from_srgb(rgb),
        Shade::Xy(x, y) => Xy::of_ten_thousandths(x, y),
        Shade::Kelvin(kelvin) => color::of_kelvin(f64::from(kelvin)),
    }
}

/// A million divided by the kelvin.
fn mirek(kelvin: u16) -> u16 {
    u16::try_from(1_000_000 / u32::from(kelvin.max(1))).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn white(coldest: u16, warmest: u16) -> Ability {
        Ability { dims: true, white: Some(Whites { coldest, warmest }), gamut: None }
    }

    fn mirek_of(ability: Ability, shade: Shade) -> u16 {
        match ability.tint(shade) {
            Some(Tint::Mirek(mirek)) => mirek,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn white_lamps_show_red_warm_and_green_cold() {
        let mirek = |rgb| mirek_of(white(153, 500), Shade::Rgb(rgb));
        assert!(mirek([0xd1, 0x34, 0x38]) > mirek([0xff, 0xaa, 0x44]));
        assert!(mirek([0xff, 0xaa, 0x44]) > mirek([0x6b, 0xb7, 0x00]));
        assert_eq!((mirek([255, 0, 0]), mirek([0, 0, 255])), (500, 153));
        assert_eq!(mirek_of(white(300, 200), Shade::Rgb([9, 9, 9])), 300, "an upside-down schema is survived");
        let by_point = |x, y| mirek_of(white(153, 500), Shade::Xy(x, y));
        assert!(by_point(6915, 3083) > 450 && by_point(1532, 475) < 200);
    }

    #[test]
    fn a_temperature_is_a_white_where_the_lamp_has_whites_and_a_colour_where_it_has_none() {
        assert_eq!(mirek_of(white(153, 500), Shade::Kelvin(2700)), 370);
        assert_eq!(mirek_of(white(153, 454), Shade::Kelvin(1000)), 454);
        assert_eq!(mirek_of(white(153, 454), Shade::Kelvin(20_000)), 153);
        let both = Ability { gamut: Some(Gamut::C), ..white(153, 500) };
        assert_eq!(mirek_of(both, Shade::Kelvin(4000)), 250);
        let Some(Tint::Point(point)) = Ability::UNKNOWN.tint(Shade::Kelvin(2700)) else { panic!("a colour") };
        assert!((point.x - 0.4599).abs() < 0.003 && (point.y - 0.4106).abs() < 0.003, "{point:?}");
    }

    #[test]
    fn whites_that_no_lamp_has_are_taken_for_the_usual_ones() {
        let told = |coldest, warmest| Whites::told(Some(coldest), Some(warmest));
        assert_eq!((told(0, 65_535), Whites::told(None, None)), (Whites::USUAL, Whites::USUAL));
        assert_eq!(told(50, 1000), Whites { coldest: 50, warmest: 1000 }, "the widest that there is");
        assert_eq!(told(250, 1 << 40), Whites { coldest: 250, warmest: 500 });
    }

    #[test]
    fn what_has_no_colour_is_sent_none() {
        assert_eq!(Ability::SWITCH.tint(Shade::Rgb([1, 2, 3])), None);
    }

    #[test]
    fn a_group_can_what_one_of_its_lamps_can() {
        let color = Ability { dims: true, white: None, gamut: Some(Gamut::B) };
        let mixed = Ability::SWITCH.or(white(200, 400)).or(color).or(white(153, 300));
        assert_eq!(mixed, Ability { dims: true, white: white(153, 400).white, gamut: Some(Gamut::B) });
        assert_eq!(color.or(Ability::UNKNOWN).gamut, Some(Gamut::ALL), "no lamp is kept from its own corner");
    }
}
