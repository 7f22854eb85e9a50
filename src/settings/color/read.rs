//! Takes colours out of the merged layers, with the members that stand beside a colour.

use std::time::Duration;

use super::{Color, Written, effect, written};
use crate::settings::keys::{self, COLOR_FIELDS};
use crate::settings::layers::{Given, Leaf};
use crate::settings::mistake::{Mistake, Origin};
use crate::settings::parse::{self, Parsed};
use crate::settings::reader::{Effective, Reader};
use crate::settings::types::Colors;

/// The longest transition that a hub takes.
const LONGEST_TRANSITION: Duration = Duration::from_millis(6_000_000);

impl Reader<'_> {
    /// The colours below `colors` or `lights.<name>.colors`.
    pub fn colors(&mut self, section: &str) -> Colors {
        let statuses = keys::statuses().filter_map(|status| {
            let color = self.color(&format!("{section}.{}", status.to_ascii_lowercase()))?;
            Some((status.to_owned(), color))
        });
        Colors(statuses.collect())
    }

    /// One colour, if any part of it is set.
    pub fn color(&mut self, path: &str) -> Option<Color> {
        let at = |field: &str| format!("{path}.{field}");
        let fields: Vec<(&str, Leaf)> =
            COLOR_FIELDS[1..].iter().filter_map(|(f, ..)| Some((*f, self.leaf(&at(f))?.clone()))).collect();
        let Some(leaf) = self.leaf(&at("color")).cloned() else {
            let origin = fields.first()?.1.origin.clone();
            let remedy = "Add color: \"#rrggbb\".";
            self.mistakes.add(Mistake::new(at("color"), "is missing", remedy).at(origin));
            return None;
        };
        let Given::Text(text) = leaf.value else { return None };
        let brightness = self.member(&at("brightness"), parse::percent);
        let transition =
            self.member(&at("transition"), |text| parse::duration(text, Duration::ZERO, LONGEST_TRANSITION));
        let effect = self.member(&at("effect"), effect);
        let key = if fields.is_empty() { path.to_owned() } else { at("color") };
        let written = match written(&text) {
            Ok(written) => written,
            Err(wrong) => {
                self.wrong(path, Some(&text), wrong, leaf.origin);
                return None;
            }
        };
        // What a lower layer said of the colour that stood there does not count for a word.
        let beside = |not: &[&str]| fields.iter().any(|(field, it)| it.layer >= leaf.layer && not.contains(field));
        let misplaced = match &written {
            Written::Word(_) if beside(&["brightness", "transition", "effect"]) => {
                Some("takes neither brightness nor transition nor effect")
            }
            Written::Scene(_) if beside(&["effect"]) => Some("takes no effect, being a scene"),
            _ => None,
        };
        if let Some(problem) = misplaced {
            let remedy = "Write the word alone.";
            self.mistakes.add(Mistake::new(path, problem, remedy).at(leaf.origin).with_value(&text));
            return None;
        }
        self.entry(&key, Effective::Text(text), leaf.origin);
        let (brightness, transition) = (brightness?, transition?.unwrap_or(Duration::from_millis(400)));
        Some(match written {
            Written::Word(word) => word,
            Written::Scene(name) => Color::Scene { name, brightness, transition },
            Written::Shade(shade) => {
                Color::On { shade, brightness: brightness.unwrap_or(100), transition, effect: effect?.flatten() }
            }
        })
    }

    /// A member, if it is set; the outer option is none after a mistake.
    fn member<T>(&mut self, key: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<Option<T>> {
        if self.is_set(key) { self.value(key, parse).map(Some) } else { Some(None) }
    }

    /// One colour, or the default of its key.
    pub fn color_or(&mut self, path: &str, default: (&str, Color)) -> Option<Color> {
        if COLOR_FIELDS.iter().any(|(field, ..)| self.is_set(&format!("{path}.{field}"))) {
            return self.color(path);
        }
        self.entry(path, Effective::Text(default.0.to_owned()), Origin::Default);
        Some(default.1)
    }
}
