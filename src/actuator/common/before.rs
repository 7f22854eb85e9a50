//! What a light showed before we touched it, and how it was left alone since. Pure.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::lights::{Lamp, Look, Seen};
use crate::settings::{Color, Effect, Motion};

/// What the light showed before we touched it; none while it is as people want it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::actuator) struct Before {
    pub version: u64,
    pub seen: Option<Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Left>,
}

impl Before {
    /// What is restored: also of a light that was left alone, which may show by now what somebody else wants.
    pub fn to_restore(&self) -> Option<&Seen> {
        self.seen.as_ref().or(self.left.as_ref().map(|left| &left.seen))
    }
}

/// How we left a light alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::actuator) struct Left {
    /// What it had shown before we touched it.
    pub seen: Seen,
    /// What it showed by us.
    pub shown: Words,
}

impl Left {
    /// Whether we left it dark.
    pub fn is_dark(&self) -> bool {
        self.shown.look() == Some(Look::Off)
    }

    /// What it showed before us, by what it shows now: a lamp that is as we left it was touched by nobody else.
    pub fn before(&self, now: &Seen, surely_shows: impl Fn(&Look, &Seen) -> bool) -> Seen {
        let Some(ours) = self.shown.look() else { return now.clone() };
        let before = |lamp: &Lamp| {
            let is_as_left = surely_shows(&ours, &Seen(vec![lamp.clone()]));
            self.seen.0.iter().find(|before| is_as_left && before.id == lamp.id).unwrap_or(lamp).clone()
        };
        Seen(now.0.iter().map(before).collect())
    }
}

/// A look, as the light's topic says what is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::actuator) struct Words {
    color: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    brightness: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    effect: Option<String>,
}

const MOTIONS: [(Motion, &str); 2] = [(Motion::Breathe, "breathe"), (Motion::Blink, "blink")];

/// What an effect is called.
pub(in crate::actuator) fn named(effect: &Effect) -> &'static str {
    MOTIONS.iter().find(|(motion, _)| *motion == effect.motion).map_or("", |(_, word)| word)
}

impl Words {
    /// None for what was seen before, which has none.
    pub fn of(look: &Look) -> Option<Self> {
        let (color, brightness, effect) = match look {
            Look::Off => (Color::Off.to_string(), None, None),
            Look::On { shade, brightness, effect, .. } => (shade.to_string(), Some(*brightness), effect.as_ref()),
            Look::Scene { name, brightness, .. } => (format!("scene:{name}"), *brightness, None),
            Look::Seen(_) => return None,
        };
        Some(Self { color, brightness, effect: effect.map(|effect| named(effect).to_owned()) })
    }

    /// None where they tell of no look. An effect may be over by now.
    pub fn look(&self) -> Option<Look> {
        let transition = Duration::ZERO;
        let brightness = self.brightness.filter(|percent| (1..=100).contains(percent));
        let motion = MOTIONS.iter().find(|(_, word)| self.effect.as_deref() == Some(word)).map(|(motion, _)| *motion);
        let effect = motion.map(|motion| Effect { motion, lasting: Some(Duration::ZERO) });
        match Color::of_words(&self.color)? {
            Color::Off => Some(Look::Off),
            Color::On { shade, .. } => {
                Some(Look::On { shade, brightness: brightness.unwrap_or(100), transition, effect })
            }
            Color::Scene { name, .. } => Some(Look::Scene { name: Arc::from(&*name), brightness, transition }),
            Color::Keep | Color::Restore => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Shade;

    const RED: Look = Look::plain(Shade::Rgb([255, 0, 0]));

    #[test]
    fn a_look_in_words_is_the_same_look() {
        let lasting = Some(Duration::ZERO);
        let breathing = |brightness, lasting| Look::On {
            shade: Shade::Kelvin(2700),
            brightness,
            transition: Duration::from_secs(1),
            effect: Some(Effect { motion: Motion::Breathe, lasting }),
        };
        let scene = Look::Scene { name: "Relax".into(), brightness: Some(40), transition: Duration::ZERO };
        for look in [Look::Off, RED, breathing(30, lasting), scene] {
            assert!(Words::of(&look).unwrap().look().unwrap().looks_like(&look), "{look:?}");
        }
        assert!(Words::of(&breathing(30, None)).unwrap().look().unwrap().looks_like(&breathing(30, lasting)));
        assert_eq!(Words::of(&Look::Seen(Arc::default())), None);
        for odd in [r#"{"color":"keep"}"#, r#"{"color":"restore"}"#, r#"{"color":"","brightness":7}"#] {
            assert_eq!(serde_json::from_str::<Words>(odd).unwrap().look(), None, "{odd}");
        }
    }

    #[test]
    fn only_lamps_that_are_as_we_left_them_showed_before_what_they_showed_then() {
        let lamp = |id: &str, brightness| Lamp { id: id.into(), brightness: Some(brightness), ..Lamp::default() };
        let left = Left { seen: Seen(vec![lamp("a", 1), lamp("b", 2)]), shown: Words::of(&RED).unwrap() };
        let agrees = |look: &Look, seen: &Seen| look.looks_like(&RED) && seen.0[0].brightness == Some(100);
        let now = Seen(vec![lamp("a", 7), lamp("b", 100), lamp("new", 100)]);
        assert_eq!(left.before(&now, agrees), Seen(vec![lamp("a", 7), lamp("b", 2), lamp("new", 100)]));
    }
}
