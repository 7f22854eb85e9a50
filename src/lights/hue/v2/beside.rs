//! What a lamp shows beside its colour and brightness: an effect that runs, a gradient. Kept in [`Lamp::other`], and
//! so in the light's topic: what is read from there is held to what hubs take.
//!
//! `{"effect":"candle"}`, `{"effect_v2":"cosmos"}`, `{"gradient":[[6915,3083],[1532,475]],"mode":"interpolated_palette"}`

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::color::Xy;
use super::resources::point;
use crate::lights::Lamp;

/// What stands for none.
pub(super) const NO_EFFECT: &str = "no_effect";
/// More than any lamp has.
const MOST_COLORS: usize = 10;
const LONGEST_WORD: usize = 40;

/// What a lamp shows beside its colour and brightness.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::lights::hue) struct Beside {
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<String>,
    /// One that only the newer `effects_v2` knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    effect_v2: Option<String>,
    /// In ten-thousandths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    gradient: Vec<(u16, u16)>,
    /// How the colours are spread.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
}

fn is_word(word: &str) -> bool {
    let is_of = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    word.len() <= LONGEST_WORD && word.bytes().all(is_of)
}

impl Beside {
    /// Of a `light` resource.
    pub fn of(light: &Value) -> Self {
        let text = |pointer: &str| light.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let points = light.pointer("/gradient/points").and_then(Value::as_array).into_iter().flatten();
        let effect = |pointer: &str| text(pointer).filter(|effect| effect != NO_EFFECT);
        let effect_v1 = effect("/effects/status");
        let gradient = points.filter_map(|it| point(it, "/color/xy").map(Xy::ten_thousandths)).collect();
        Self {
            effect_v2: effect("/effects_v2/status/effect").filter(|_| effect_v1.is_none()),
            effect: effect_v1,
            gradient,
            mode: text("/gradient/mode"),
        }
        .sound()
    }

    /// An effect alone.
    pub fn effect(name: &str) -> Self {
        Self { effect: Some(name.to_owned()), ..Self::default() }
    }

    /// As it was kept of a lamp.
    pub fn kept(lamp: &Lamp) -> Self {
        lamp.other.as_ref().and_then(|other| Self::deserialize(other).ok()).unwrap_or_default().sound()
    }

    /// One colour is no gradient, and what no hub says is not said to one.
    fn sound(mut self) -> Self {
        for word in [&mut self.effect, &mut self.effect_v2, &mut self.mode] {
            word.take_if(|word| !is_word(word));
        }
        if !(2..=MOST_COLORS).contains(&self.gradient.len()) {
            (self.gradient, self.mode) = (Vec::new(), None);
        }
        self
    }

    /// To be kept; none where there is nothing.
    pub fn to_keep(&self) -> Option<Value> {
        (*self != Self::default()).then(|| serde_json::to_value(self).expect("texts and numbers are JSON"))
    }

    /// Whether the lamp changes by itself.
    pub fn moves(&self) -> bool {
        self.effect.is_some() || self.effect_v2.is_some()
    }

    /// The gradient of a command, which stands for its colour.
    pub fn gradient(&self) -> Option<Value> {
        let point = |(x, y): &(u16, u16)| json!({"color": {"xy": {"x": f64::from(*x) / 10_000.0, "y": f64::from(*y) / 10_000.0}}});
        let points: Vec<Value> = self.gradient.iter().map(point).collect();
        let mut gradient = json!({"points": points});
        if let Some(mode) = &self.mode {
            gradient["mode"] = mode.as_str().into();
        }
        (!points.is_empty()).then_some(gradient)
    }

    /// The command that starts the effect: one of its own, since a colour in the same one may end it.
    pub fn start(&self) -> Option<Value> {
        let newer = |effect: &String| json!({"effects_v2": {"action": {"effect": effect}}});
        let effect = self.effect.as_ref().map(|effect| json!({"effects": {"effect": effect}}));
        effect.or_else(|| self.effect_v2.as_ref().map(newer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(other: Value) -> Beside {
        Beside::kept(&Lamp { other: Some(other), ..Lamp::default() })
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_that_no_hub_says() {
        let xy = |x: f64, y: f64| json!({"color": {"xy": {"x": x, "y": y}}});
        let points = [xy(0.6915, 0.3083), xy(0.1532, 0.0475)];
        let light = json!({"effects": {"status": "no_effect"}, "effects_v2": {"status": {"effect": "cosmos"}},
            "gradient": {"points": points, "mode": "interpolated_palette", "points_capable": 5}});
        let beside = Beside::of(&light);
        assert!(beside.moves());
        assert_eq!(beside.start(), Some(json!({"effects_v2": {"action": {"effect": "cosmos"}}})));
        assert_eq!(beside.gradient(), Some(json!({"points": points, "mode": "interpolated_palette"})));
        assert_eq!(kept(beside.to_keep().unwrap()), beside);
        let plain =
            json!({"effects": {"status": "no_effect"}, "gradient": {"points": [], "mode": "interpolated_palette"}});
        assert_eq!(Beside::of(&plain).to_keep(), None);
        let odd =
            [json!(false), json!(7), json!({"effect": "a b"}), json!({"effect": 7}), json!({"gradient": [[1, 2]]})];
        for odd in odd {
            assert_eq!(kept(odd.clone()), Beside::default(), "{odd}");
        }
    }
}
