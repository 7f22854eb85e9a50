//! What a light can be told to do for a status, and how people write it.
//!
//! `"#6bb700"`, `green` (CSS's names), `xy:0.675,0.322`, `temperature:2700` (kelvin), `scene:Relax`, `off`,
//! `keep`, `restore`; or a map of `color` with `brightness`, `transition` and `effect`.

mod names;
mod read;

use std::fmt;
use std::time::Duration;

use super::parse::{self, Parsed, wrong};

/// What a light does for a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Color {
    /// It is left as it is.
    Keep,
    /// It shows what it showed before we touched it.
    Restore,
    /// It is off.
    Off,
    /// It shows a scene of its hub: of the room or zone that is its target.
    Scene {
        /// The scene's name (compared without case) or id.
        name: Box<str>,
        /// Percent, 1 to 100; where it is not given, the scene's own.
        brightness: Option<u8>,
        /// How long the change takes.
        transition: Duration,
    },
    /// It is on.
    On {
        /// The colour.
        shade: Shade,
        /// Percent, 1 to 100.
        brightness: u8,
        /// How long the change takes.
        transition: Duration,
        /// What it does beside.
        effect: Option<Effect>,
    },
}

/// A colour without its brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shade {
    /// sRGB.
    Rgb([u8; 3]),
    /// A point of CIE 1931, in ten-thousandths.
    Xy(u16, u16),
    /// A white, by its temperature in kelvin.
    Kelvin(u16),
}

/// What a light does beside showing its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// What.
    pub motion: Motion,
    /// For how long; none: as long as the status lasts.
    pub lasting: Option<Duration>,
}

/// What a light can do beside showing its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Motion {
    /// Brighter and darker, softly.
    Breathe,
    /// On and off.
    Blink,
}

/// In the form in which it can be written in the configuration; without brightness, transition and effect.
impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("keep"),
            Self::Restore => f.write_str("restore"),
            Self::Off => f.write_str("off"),
            Self::Scene { name, .. } => write!(f, "scene:{name}"),
            Self::On { shade, .. } => shade.fmt(f),
        }
    }
}

impl fmt::Display for Shade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rgb([red, green, blue]) => write!(f, "#{red:02x}{green:02x}{blue:02x}"),
            Self::Xy(x, y) => write!(f, "xy:{},{}", f64::from(x) / 10_000.0, f64::from(y) / 10_000.0),
            Self::Kelvin(kelvin) => write!(f, "temperature:{kelvin}"),
        }
    }
}

impl Color {
    /// From the same form: at full brightness, at once.
    pub fn of_words(text: &str) -> Option<Self> {
        let transition = Duration::ZERO;
        Some(match written(text).ok()? {
            Written::Word(word) => word,
            Written::Scene(name) => Self::Scene { name, brightness: None, transition },
            Written::Shade(shade) => Self::On { shade, brightness: 100, transition, effect: None },
        })
    }
}

/// What stands as a colour, before brightness, transition and effect are known.
#[derive(Debug, PartialEq)]
enum Written {
    /// `off`, `keep`, `restore`: it stands alone.
    Word(Color),
    Scene(Box<str>),
    Shade(Shade),
}

/// From candlelight to a blue sky; lamps show the nearest that they can.
const KELVIN: std::ops::RangeInclusive<u16> = 1000..=20_000;
const REMEDY: &str = "Write \"#rrggbb\" (in quotes), a CSS colour name such as green, temperature:2700 (kelvin), \
                      xy:0.675,0.322, scene:<name>, off, restore or keep.";

fn written(text: &str) -> Parsed<Written> {
    if text.is_empty() {
        return wrong("is empty", "Put a colour into quotes, \"#6bb700\": an unquoted # begins a comment.");
    }
    let lower = text.to_ascii_lowercase();
    let part = |start: &str| lower.starts_with(start).then(|| text[start.len()..].trim());
    if let Some(name) = part("scene:") {
        let named = !name.is_empty() && !name.chars().any(char::is_control);
        return if named { Ok(Written::Scene(name.into())) } else { wrong("names no scene", "Write scene:Relax.") };
    }
    if let Some(kelvin) = part("temperature:") {
        return self::kelvin(kelvin).map(Written::Shade);
    }
    if let Some(point) = part("xy:") {
        return self::point(point).map(Written::Shade);
    }
    match lower.as_str() {
        // `off` without quotes is false to some of YAML's readers.
        "off" | "false" => Ok(Written::Word(Color::Off)),
        "keep" => Ok(Written::Word(Color::Keep)),
        "restore" => Ok(Written::Word(Color::Restore)),
        _ => match rgb(text).or_else(|| names::rgb(&lower)) {
            // Of black only the brightness would be left: a hub's lamps showed it as white.
            Some([0, 0, 0]) => wrong("is no light", "Write off, or a colour and a low brightness."),
            Some(rgb) => Ok(Written::Shade(Shade::Rgb(rgb))),
            None => wrong("is not a colour", REMEDY),
        },
    }
}

fn rgb(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let [_, red, green, blue] =
        u32::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?.to_be_bytes();
    Some([red, green, blue])
}

fn kelvin(text: &str) -> Parsed<Shade> {
    let number = text.strip_suffix(['k', 'K']).unwrap_or(text).trim_end();
    match number.parse::<u16>() {
        Ok(kelvin) if KELVIN.contains(&kelvin) => Ok(Shade::Kelvin(kelvin)),
        Ok(_) => wrong("is out of range", "Write 1000 to 20000 kelvin: 2700 is warm, 6500 is cold."),
        Err(_) => {
            wrong("is not a temperature", "Write kelvin, such as temperature:2700 (warm) or temperature:6500 (cold).")
        }
    }
}

fn point(text: &str) -> Parsed<Shade> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    match text.split_once(',').and_then(|(x, y)| Some((number(x)?, number(y)?))) {
        // A y of nothing is no light at all.
        Some((x, y)) if y > 0.0 && x + y <= 1.0 => Ok(Shade::Xy(ten_thousandths(x), ten_thousandths(y))),
        _ => wrong("is no point of the colour chart", "Write x and y as lamps tell them, such as xy:0.675,0.322."),
    }
}

fn ten_thousandths(number: f64) -> u16 {
    (number * 10_000.0).round() as u16
}

/// The longest effect that ends by itself; what is to last longer lasts as long as the status.
const LONGEST_EFFECT: Duration = Duration::from_secs(3600);

/// `none`, `blink`, `breathe:30s`.
fn effect(text: &str) -> Parsed<Option<Effect>> {
    let (word, lasting) = text.split_once(':').map_or((text, None), |(word, lasting)| (word, Some(lasting)));
    let motion = match word.trim().to_ascii_lowercase().as_str() {
        "none" if lasting.is_none() => return Ok(None),
        "breathe" => Motion::Breathe,
        "blink" => Motion::Blink,
        _ => {
            let remedy = "Write none, breathe or blink, or with a time, such as blink:30s.";
            return wrong("is not an effect", remedy);
        }
    };
    let lasting =
        lasting.map(|lasting| parse::duration(lasting, Duration::from_secs(1), LONGEST_EFFECT)).transpose()?;
    Ok(Some(Effect { motion, lasting }))
}

/// For editors: what a text must look like to be a colour. Names of colours are left to the program.
pub(super) const PATTERN: &str = "^(#[0-9a-fA-F]{6}|[a-zA-Z]{3,20}|[sS][cC][eE][nN][eE]:.*[^ ].*\
                                  |[tT][eE][mM][pP][eE][rR][aA][tT][uU][rR][eE]: *[0-9]{4,5} *[kK]?\
                                  |[xX][yY]: *(0|1|0?[.][0-9]+) *, *(1|0?[.][0-9]+) *)$";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_taken_as_people_write_them() {
        let table = [
            ("#6bB700", Written::Shade(Shade::Rgb([0x6b, 0xb7, 0]))),
            ("Green", Written::Shade(Shade::Rgb([0, 0x80, 0]))),
            ("temperature:2700", Written::Shade(Shade::Kelvin(2700))),
            ("Temperature: 6500 K", Written::Shade(Shade::Kelvin(6500))),
            ("xy:0.675, 0.322", Written::Shade(Shade::Xy(6750, 3220))),
            ("scene:Bright Day", Written::Scene("Bright Day".into())),
            ("OFF", Written::Word(Color::Off)),
            ("restore", Written::Word(Color::Restore)),
            ("keep", Written::Word(Color::Keep)),
        ];
        for (text, expected) in table {
            assert_eq!(written(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_colour_says_what_is() {
        let texts = ["", "#6bb70", "6bb700", "#+12345", "#ääb", "gren", "scene:", "scene: ", "temperature:warm"];
        for text in texts.into_iter().chain(["temperature:10", "temperature:99999", "xy:1", "xy:0.9,0.9", "xy:0.3,0"]) {
            let wrong = written(text).unwrap_err();
            assert!(!wrong.remedy.is_empty() && !wrong.problem.is_empty(), "{text}");
        }
    }

    #[test]
    fn effects_last_as_long_as_the_status_or_for_a_while() {
        let of = |motion, lasting| Ok(Some(Effect { motion, lasting }));
        assert_eq!(effect("none"), Ok(None));
        assert_eq!(effect("Blink"), of(Motion::Blink, None));
        assert_eq!(effect("breathe: 30s"), of(Motion::Breathe, Some(Duration::from_secs(30))));
        for text in ["", "disco", "none:3s", "blink:", "blink:3", "blink:0s", "blink:2h"] {
            assert!(effect(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_colour_is_shown_as_it_can_be_written() {
        for text in ["#6bb700", "temperature:2700", "xy:0.675,0.322", "scene:Relax", "off", "keep", "restore"] {
            assert_eq!(Color::of_words(text).unwrap().to_string(), text);
        }
    }
}
