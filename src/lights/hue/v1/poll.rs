//! Events of a hub that tells none: what changed from one reading to the next.

use std::collections::HashMap;
use std::time::Duration;

use super::resources::is_lost;
use crate::lights::{Event, Lamp, Seen};

/// What was read last.
#[derive(Debug, Default)]
pub(in crate::lights::hue) struct Poll {
    before: Option<HashMap<Box<str>, Lamp>>,
}

impl Poll {
    /// Between two readings: a person's hand is seen soon enough, and the hub has time for commands.
    pub const PAUSE: Duration = Duration::from_secs(3);

    /// What a reading tells, and which lights it concerns.
    pub fn take(&mut self, lamps: &[Lamp], lights: impl Fn(&str) -> Vec<usize>) -> Vec<Event> {
        let now: HashMap<Box<str>, Lamp> = lamps.iter().map(|lamp| (lamp.id.clone(), lamp.clone())).collect();
        let Some(before) = self.before.replace(now) else { return vec![Event::Missed] };
        let mut events = Vec::new();
        for lamp in lamps {
            let Some(was) = before.get(&lamp.id).filter(|was| *was != lamp) else { continue };
            for light in lights(&lamp.id) {
                let told = changed(was, lamp);
                if told.is_told() {
                    events.push(Event::Changed { light, seen: Seen(vec![told]) });
                }
                match (is_lost(was), is_lost(lamp)) {
                    (false, true) => events.push(Event::Lost { light }),
                    (true, false) => events.push(Event::Back { light }),
                    _ => {}
                }
            }
        }
        events
    }
}

/// What of a lamp is other than it was.
fn changed(was: &Lamp, lamp: &Lamp) -> Lamp {
    Lamp {
        id: lamp.id.clone(),
        on: lamp.on.filter(|_| lamp.on != was.on),
        brightness: lamp.brightness.filter(|_| lamp.brightness != was.brightness),
        xy: lamp.xy.filter(|_| lamp.xy != was.xy),
        mirek: lamp.mirek.filter(|_| lamp.mirek != was.mirek),
        other: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_and_nothing_else() {
        let lamp = |id: &str, on, lost: bool| Lamp {
            id: id.into(),
            on: Some(on),
            brightness: Some(5000),
            other: lost.then_some(false.into()),
            ..Lamp::default()
        };
        let mut poll = Poll::default();
        let mut take = |lamps: &[Lamp]| poll.take(lamps, |id| if id == "1" { vec![0, 2] } else { Vec::new() });
        assert_eq!(take(&[lamp("1", false, false), lamp("2", false, false)]), [Event::Missed]);
        assert_eq!(take(&[lamp("1", false, false), lamp("2", true, false)]), [], "lamp 2 concerns nobody");
        let on = |light| Event::Changed {
            light,
            seen: Seen(vec![Lamp { id: "1".into(), on: Some(true), ..Lamp::default() }]),
        };
        assert_eq!(take(&[lamp("1", true, false)]), [on(0), on(2)]);
        assert_eq!(take(&[lamp("1", true, true)]), [Event::Lost { light: 0 }, Event::Lost { light: 2 }]);
        assert_eq!(take(&[lamp("1", true, false)]), [Event::Back { light: 0 }, Event::Back { light: 2 }]);
    }
}
