//! From sRGB to what a lamp takes: CIE xy within its gamut, or a colour temperature.
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

impl Gamut {
    pub const A: Self = Self([xy(0.704, 0.296), xy(0.2151, 0.7106), xy(0.138, 0.08)]);
    pub const B: Self = Self([xy(0.675, 0.322), xy(0.409, 0.518), xy(0.167, 0.04)]);
    pub const C: Self = Self([xy(0.6915, 0.3083), xy(0.17, 0.7), xy(0.1532, 0.0475)]);

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
    let [r, g, b] = if rgb == [0; 3] { [1.0; 3] } else { rgb.map(linear) };
    let x = r * 0.664_511 + g * 0.154_324 + b * 0.162_028;
    let y = r * 0.283_881 + g * 0.668_433 + b * 0.047_685;
    let z = r * 0.000_088 + g * 0.072_310 + b * 0.986_039;
    xy(x / (x + y + z), y / (x + y + z))
}

/// A colour for a lamp that has only white: red is warm, green and blue are cold, yellow between.
/// `coldest` and `warmest` in mirek.
pub(super) fn temperature(rgb: [u8; 3], coldest: u16, warmest: u16) -> u16 {
    let [r, g, b] = if rgb == [0; 3] { [1.0; 3] } else { rgb.map(linear) };
    let warmth = r / (r + g.max(b));
    let span = f64::from(warmest.saturating_sub(coldest));
    coldest + (span * warmth).round() as u16
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
    fn white_lamps_show_red_warm_and_green_cold() {
        let mirek = |rgb| temperature(rgb, 153, 500);
        assert!(mirek([0xd1, 0x34, 0x38]) > mirek([0xff, 0xaa, 0x44]));
        assert!(mirek([0xff, 0xaa, 0x44]) > mirek([0x6b, 0xb7, 0x00]));
        assert_eq!((mirek([255, 0, 0]), mirek([0, 0, 255])), (500, 153));
        assert_eq!(temperature([9, 9, 9], 300, 200), 300, "an upside-down schema is survived");
    }

    proptest! {
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
