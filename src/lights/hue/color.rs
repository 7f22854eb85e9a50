//! Colours by their place in CIE 1931: from sRGB and from a temperature, and into a lamp's gamut.
//!
//! Source: Signify's colour conversion notes (gamma, wide RGB D65 matrix, nearest point of the
//! gamut's triangle). The wide matrix makes `#ff0000` the reddest that a lamp can, as people expect.

/// A point of CIE 1931.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Xy {
    pub x: f64,
    pub y: f64,
}

/// The triangle of the colours that a lamp can show: red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gamut(pub [Xy; 3]);

const fn xy(x: f64, y: f64) -> Xy {
    Xy { x, y }
}

impl Xy {
    /// As [`crate::settings::Shade`] and [`crate::lights::Lamp`] hold it.
    pub fn of_ten_thousandths(x: u16, y: u16) -> Self {
        xy(f64::from(x) / 10_000.0, f64::from(y) / 10_000.0)
    }

    /// Four digits, as the hubs' own answers have.
    pub fn ten_thousandths(self) -> (u16, u16) {
        let of = |value: f64| (value.clamp(0.0, 1.0) * 10_000.0).round() as u16;
        (of(self.x), of(self.y))
    }

    /// Whether both are one colour to people: lamps round, and show the nearest that they can.
    pub fn is_near(self, other: Self) -> bool {
        (self.x - other.x).hypot(self.y - other.y) < 0.02
    }
}

impl Gamut {
    pub const A: Self = Self([xy(0.704, 0.296), xy(0.2151, 0.7106), xy(0.138, 0.08)]);
    pub const B: Self = Self([xy(0.675, 0.322), xy(0.409, 0.518), xy(0.167, 0.04)]);
    pub const C: Self = Self([xy(0.6915, 0.3083), xy(0.17, 0.7), xy(0.1532, 0.0475)]);

    /// Every colour there is: lamps of several gamuts, sent one colour together, each take their nearest.
    pub const ALL: Self = Self([xy(1.0, 0.0), xy(0.0, 1.0), xy(0.0, 0.0)]);

    /// By the letter in `gamut_type`.
    pub fn by_letter(letter: &str) -> Option<Self> {
        match letter {
            "A" => Some(Self::A),
            "B" => Some(Self::B),
            "C" => Some(Self::C),
            _ => None,
        }
    }

    /// The point itself where the lamp can show it, otherwise the nearest one that it can.
    pub fn clamp(&self, point: Xy) -> Xy {
        let [red, green, blue] = self.0;
        let edges = [(red, green), (green, blue), (blue, red)];
        let sides = edges.map(|(from, to)| cross(from, to, point));
        if sides.iter().all(|side| *side >= 0.0) || sides.iter().all(|side| *side <= 0.0) {
            return point;
        }
        let candidates = edges.map(|(from, to)| nearest_on(from, to, point));
        let distance = |candidate: &Xy| (candidate.x - point.x).hypot(candidate.y - point.y);
        candidates.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("a triangle has three edges")
    }
}

/// On which side of the line a point lies: the sign.
fn cross(from: Xy, to: Xy, point: Xy) -> f64 {
    (to.x - from.x) * (point.y - from.y) - (to.y - from.y) * (point.x - from.x)
}

fn nearest_on(from: Xy, to: Xy, point: Xy) -> Xy {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let along = ((point.x - from.x) * dx + (point.y - from.y) * dy) / (dx * dx + dy * dy);
    let along = if along.is_finite() { along.clamp(0.0, 1.0) } else { 0.0 };
    xy(from.x + along * dx, from.y + along * dy)
}

/// The colour's place in CIE 1931; brightness is apart. Black has none and is taken as white.
pub(super) fn from_srgb(rgb: [u8; 3]) -> Xy {
    let [r, g, b] = linear_rgb(rgb);
    let x = r * 0.664_511 + g * 0.154_324 + b * 0.162_028;
    let y = r * 0.283_881 + g * 0.668_433 + b * 0.047_685;
    let z = r * 0.000_088 + g * 0.072_310 + b * 0.986_039;
    xy(x / (x + y + z), y / (x + y + z))
}

/// The other way, at full brightness and without gamma; what lies outside is cut off.
pub(super) fn to_linear_rgb(Xy { x, y }: Xy) -> [f64; 3] {
    let (x, y, z) = (x / y.max(0.000_1), 1.0, (1.0 - x - y) / y.max(0.000_1));
    let r = x * 1.656_492 - y * 0.354_851 - z * 0.255_038;
    let g = -x * 0.707_196 + y * 1.655_397 + z * 0.036_152;
    let b = x * 0.051_713 - y * 0.121_364 + z * 1.011_530;
    let most = r.max(g).max(b).max(0.000_1);
    [r, g, b].map(|channel| (channel / most).max(0.0))
}

/// sRGB without its gamma; black is taken as white.
pub(super) fn linear_rgb(rgb: [u8; 3]) -> [f64; 3] {
    if rgb == [0; 3] { [1.0; 3] } else { rgb.map(linear) }
}

/// Where the white of a temperature stands. Source: Kim et al. 2002, the Planckian locus by cubic splines,
/// from 1667 to 25,000 K.
pub(super) fn of_kelvin(kelvin: f64) -> Xy {
    let t = 1000.0 / kelvin.clamp(1667.0, 25_000.0);
    let x = if kelvin < 4000.0 {
        ((-0.266_123_9 * t - 0.234_358_9) * t + 0.877_695_6) * t + 0.179_910
    } else {
        ((-3.025_846_9 * t + 2.107_037_9) * t + 0.222_634_7) * t + 0.240_390
    };
    let y = if kelvin < 2222.0 {
        ((-1.106_381_4 * x - 1.348_110_2) * x + 2.185_558_32) * x - 0.202_196_83
    } else if kelvin < 4000.0 {
        ((-0.954_947_6 * x - 1.374_185_93) * x + 2.091_370_15) * x - 0.167_488_67
    } else {
        ((3.081_758 * x - 5.873_386_7) * x + 3.751_129_97) * x - 0.370_014_83
    };
    xy(x, y)
}

/// sRGB's gamma done.
pub(super) fn gamma(value: f64) -> u8 {
    let value = if value <= 0.003_130_8 { value * 12.92 } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 };
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// sRGB's gamma undone.
fn linear(channel: u8) -> f64 {
    let value = f64::from(channel) / 255.0;
    if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(a: Xy, b: Xy) -> bool {
        (a.x - b.x).abs() < 0.002 && (a.y - b.y).abs() < 0.002
    }

    #[test]
    fn known_colours_land_where_signifys_conversion_puts_them() {
        let table = [
            ([255, 0, 0], xy(0.7006, 0.2993)),
            ([0, 255, 0], xy(0.1724, 0.7468)),
            ([0, 0, 255], xy(0.1355, 0.0399)),
            ([255, 255, 255], xy(0.3227, 0.3290)),
            ([0, 0, 0], xy(0.3227, 0.3290)),
        ];
        for (rgb, expected) in table {
            assert!(close(from_srgb(rgb), expected), "{rgb:?}: {:?}", from_srgb(rgb));
        }
    }

    #[test]
    fn what_a_lamp_cannot_show_becomes_the_nearest_that_it_can() {
        assert!(close(Gamut::C.clamp(from_srgb([255, 0, 0])), xy(0.6915, 0.3083)));
        assert!(close(Gamut::B.clamp(from_srgb([0, 0, 255])), xy(0.167, 0.04)));
        let white = from_srgb([255; 3]);
        assert_eq!(Gamut::A.clamp(white), white);
    }

    #[test]
    fn whites_stand_where_the_planckian_locus_has_them() {
        for (kelvin, expected) in [
            (2000.0, xy(0.5267, 0.4133)),
            (2700.0, xy(0.4599, 0.4106)),
            (4000.0, xy(0.3805, 0.3768)),
            (6500.0, xy(0.3135, 0.3237)),
            (1000.0, of_kelvin(1667.0)),
        ] {
            let found = of_kelvin(kelvin);
            assert!(
                (found.x - expected.x).abs() < 0.003 && (found.y - expected.y).abs() < 0.003,
                "{kelvin}: {found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_way_back_is_the_way_back(rgb: [u8; 3]) {
            prop_assume!(rgb != [0; 3]);
            let there = linear_rgb(rgb);
            let most = there.into_iter().fold(0.0, f64::max);
            let back = to_linear_rgb(from_srgb(rgb));
            for (one, other) in there.into_iter().zip(back) {
                prop_assert!((one / most - other).abs() < 0.01, "{there:?} {back:?}");
            }
        }

        #[test]
        fn every_colour_lies_within_the_gamut_after_clamping(rgb: [u8; 3]) {
            for gamut in [Gamut::A, Gamut::B, Gamut::C] {
                let point = gamut.clamp(from_srgb(rgb));
                let again = gamut.clamp(point);
                prop_assert!(close(point, again), "{point:?} {again:?}");
                prop_assert!((0.0..=1.0).contains(&point.x) && (0.0..=1.0).contains(&point.y));
            }
        }
    }
}
