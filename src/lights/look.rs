//! What a light is to show, and what is seen of it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::settings::{Color, Effect, Shade};

/// What a light shows when the rules do not leave it alone. What a lamp cannot show becomes the nearest
/// that it can: colour, else a warm or cold white, else brightness, else on and off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// Switched off.
    Off,
    /// Switched on.
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
    /// A scene that its hub keeps.
    Scene {
        /// Name (compared without case) or id.
        name: Arc<str>,
        /// Percent, 1 to 100; none: the scene's own.
        brightness: Option<u8>,
        /// How long the change takes.
        transition: Duration,
    },
    /// What was read of this light before ([`super::Light::read`]), lamp by lamp.
    Seen(Arc<Seen>),
}

impl Look {
    /// The look of a configured colour; none where the light is left as it is, or is to show again what was
    /// read of it.
    pub fn of(color: &Color) -> Option<Self> {
        match *color {
            Color::Keep | Color::Restore => None,
            Color::Off => Some(Self::Off),
            Color::Scene { ref name, brightness, transition } => {
                Some(Self::Scene { name: Arc::from(&**name), brightness, transition })
            }
            Color::On { shade, brightness, transition, effect } => {
                Some(Self::On { shade, brightness, transition, effect })
            }
        }
    }

    /// A colour at full brightness, at once.
    pub const fn plain(shade: Shade) -> Self {
        Self::On { shade, brightness: 100, transition: Duration::ZERO, effect: None }
    }

    /// Whether a light that shows `other` needs no command: the transition is the way, not the look.
    pub fn looks_like(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::On { shade, brightness, effect, .. },
                Self::On { shade: other_shade, brightness: other_brightness, effect: other_effect, .. },
            ) => (shade, brightness, effect) == (other_shade, other_brightness, other_effect),
            (Self::Scene { name, brightness, .. }, Self::Scene { name: other, brightness: other_brightness, .. }) => {
                (name, brightness) == (other, other_brightness)
            }
            (one, other) => one == other,
        }
    }

    /// Whether a light that shows it is on for certain, so that it needs not be switched on for the next.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::On { .. } | Self::Scene { .. })
    }
}

/// What was seen of a light, lamp by lamp: whole where it was read, and of an event what the event told.
/// It can be kept as JSON, and shown again by [`Look::Seen`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen(pub Vec<Lamp>);

/// What was seen of one lamp. What is absent was not told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lamp {
    /// By what its hub knows it.
    pub id: Box<str>,
    /// Whether it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
    /// Hundredths of a percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brightness: Option<u16>,
    /// The colour's point of CIE 1931, in ten-thousandths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xy: Option<(u16, u16)>,
    /// The colour temperature in mirek, where the lamp shows a white.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirek: Option<u16>,
    /// What only this kind of light understands; `false` of a lamp that is out of reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Value>,
}

impl Lamp {
    /// The same, out of reach: what its hub tells of it is how it was.
    pub fn lost(self) -> Self {
        Self { other: Some(Value::Bool(false)), ..self }
    }

    /// Whether it is out of reach.
    pub fn is_lost(&self) -> bool {
        self.other == Some(Value::Bool(false))
    }

    /// Whether anything was told of it.
    pub fn is_told(&self) -> bool {
        let Self { id: _, on, brightness, xy, mirek, other } = self;
        on.is_some() || brightness.is_some() || xy.is_some() || mirek.is_some() || other.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Motion;

    #[test]
    fn looks_are_alike_whatever_their_transition() {
        let red = |transition, effect| Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 80, transition, effect };
        assert!(red(Duration::ZERO, None).looks_like(&red(Duration::from_secs(9), None)));
        let blink = Some(Effect { motion: Motion::Blink, lasting: None });
        assert!(!red(Duration::ZERO, None).looks_like(&red(Duration::ZERO, blink)));
        assert!(!Look::Off.looks_like(&Look::plain(Shade::Kelvin(2700))) && Look::Off.looks_like(&Look::Off));
    }

    #[test]
    fn what_was_seen_can_be_kept_as_json() {
        let lamp = Lamp { id: "a".into(), on: Some(true), mirek: Some(366), ..Lamp::default() };
        let seen = Seen(vec![lamp]);
        let json = serde_json::to_string(&seen).unwrap();
        assert_eq!(json, r#"[{"id":"a","on":true,"mirek":366}]"#);
        assert_eq!(serde_json::from_str::<Seen>(&json).unwrap(), seen);
    }
}
