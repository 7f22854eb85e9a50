//! Events of a hub that tells none: what changed from one reading to the next.
//!
//! Where a lamp takes its time from one colour or brightness to another, hubs tell the end of the way at once, or what is
//! on the way: so neither is told before it rests.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::lights::{Event, Lamp, Seen};

/// How long a change may take until it is told as it is.
const LONGEST: Duration = Duration::from_secs(60);

/// What was read last.
#[derive(Debug, Default)]
pub(in crate::lights::hue) struct Poll {
    /// Of every lamp, as far as it was told.
    told: Option<HashMap<Box<str>, Lamp>>,
    /// Lamps on the way: what they showed last, and since when they are.
    moving: HashMap<Box<str>, (Lamp, Instant)>,
}

impl Poll {
    /// Between two readings: a person's hand is seen soon enough, and the hub has time for commands.
    pub const PAUSE: Duration = Duration::from_secs(3);
    /// The same while a lamp may be on the way.
    pub const SETTLING: Duration = Duration::from_millis(500);

    /// How long the next reading can wait.
    pub fn pause(&self) -> Duration {
        if self.moving.is_empty() { Self::PAUSE } else { Self::SETTLING }
    }

    /// What a reading tells, and which lights it concerns.
    pub fn take(&mut self, lamps: &[Lamp], now: Instant, lights: impl Fn(&str) -> Vec<usize>) -> Vec<Event> {
        let Some(mut before) = self.told.take() else {
            self.told = Some(lamps.iter().map(|lamp| (lamp.id.clone(), lamp.clone())).collect());
            return vec![Event::Missed];
        };
        self.moving.retain(|id, _| lamps.iter().any(|lamp| lamp.id == *id) && !lights(id).is_empty());
        let mut events = Vec::new();
        let mut told = HashMap::with_capacity(lamps.len());
        for lamp in lamps {
            let (was, lights) = (before.remove(&lamp.id), lights(&lamp.id));
            let Some(was) = was.filter(|_| !lights.is_empty()) else {
                told.insert(lamp.id.clone(), lamp.clone());
                continue;
            };
            let lamp = self.at_rest(&was, lamp, now);
            for light in lights {
                let changed = changed(&was, &lamp);
                if changed.is_told() {
                    events.push(Event::Changed { light, seen: Seen(vec![changed]) });
                }
                match (was.is_lost(), lamp.is_lost()) {
                    (false, true) => events.push(Event::Lost { light, lamps: vec![lamp.id.clone()] }),
                    (true, false) => events.push(Event::LampsBack { light, lamps: vec![lamp.id.clone()] }),
                    _ => {}
                }
            }
            told.insert(lamp.id.clone(), lamp);
        }
        self.told = Some(told);
        events
    }

    /// A lamp as far as it is told: with the colour and brightness that it was last told to have while it is on the way.
    /// One that always moves is not waited for.
    fn at_rest(&mut self, was: &Lamp, lamp: &Lamp, now: Instant) -> Lamp {
        let (last, since) = self.moving.remove(&lamp.id).unzip();
        let since = since.unwrap_or(now);
        let rests = [Some(was), last.as_ref()].into_iter().flatten().any(|it| is_dressed_alike(it, lamp));
        if rests || lamp.other.is_some() || now.duration_since(since) > LONGEST {
            return lamp.clone();
        }
        self.moving.insert(lamp.id.clone(), (lamp.clone(), since));
        let Lamp { brightness, xy, mirek, .. } = *was;
        Lamp { brightness, xy, mirek, ..lamp.clone() }
    }
}

fn is_dressed_alike(one: &Lamp, other: &Lamp) -> bool {
    let dress = |lamp: &Lamp| (lamp.brightness, lamp.xy, lamp.mirek);
    dress(one) == dress(other)
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

    fn lamp(id: &str, on: bool, brightness: u16) -> Lamp {
        Lamp { id: id.into(), on: Some(on), brightness: Some(brightness), ..Lamp::default() }
    }

    /// What each of some readings tells, a second apart.
    fn told(readings: &[Lamp]) -> Vec<Vec<Event>> {
        let (mut poll, begin) = (Poll::default(), Instant::now());
        let take = |(second, lamp): (u64, &Lamp)| {
            poll.take(std::slice::from_ref(lamp), begin + Duration::from_secs(second), |_| vec![0])
        };
        (0..).zip(readings).map(take).collect()
    }

    #[test]
    fn what_changed_is_told_and_nothing_else() {
        let lost = |id: &str, on, lost: bool| Lamp { other: lost.then_some(false.into()), ..lamp(id, on, 5000) };
        let mut poll = Poll::default();
        let mut take =
            |lamps: &[Lamp]| poll.take(lamps, Instant::now(), |id| if id == "1" { vec![0, 2] } else { Vec::new() });
        assert_eq!(take(&[lost("1", false, false), lost("2", false, false)]), [Event::Missed]);
        assert_eq!(take(&[lost("1", false, false), lost("2", true, false)]), [], "lamp 2 concerns nobody");
        let on = |light| Event::Changed {
            light,
            seen: Seen(vec![Lamp { id: "1".into(), on: Some(true), ..Lamp::default() }]),
        };
        let lamps = || vec!["1".into()];
        let gone = |light| Event::Lost { light, lamps: lamps() };
        let back = |light| Event::LampsBack { light, lamps: lamps() };
        assert_eq!(take(&[lost("1", true, false)]), [on(0), on(2)]);
        assert_eq!(take(&[lost("1", true, true)]), [gone(0), gone(2)]);
        assert_eq!(take(&[lost("1", true, false)]), [back(0), back(2)]);
    }

    #[test]
    fn a_brightness_is_told_once_it_rests_and_the_switch_at_once() {
        let dims = [(false, 10), (true, 30), (true, 60), (true, 90), (true, 90)];
        let told = told(&dims.map(|(on, brightness)| lamp("1", on, brightness)));
        let changed = |lamp| [Event::Changed { light: 0, seen: Seen(vec![lamp]) }];
        let on = Lamp { id: "1".into(), on: Some(true), ..Lamp::default() };
        assert_eq!(told[1], changed(on.clone()));
        assert!(told[2].is_empty() && told[3].is_empty());
        assert_eq!(told[4], changed(Lamp { on: None, brightness: Some(90), ..on }));
    }

    #[test]
    fn a_lamp_that_goes_while_it_is_on_the_way_is_not_waited_for() {
        let (mut poll, begin) = (Poll::default(), Instant::now());
        for (second, dims) in [(0, vec![10]), (1, vec![30]), (2, vec![])] {
            let lamps: Vec<Lamp> = dims.into_iter().map(|brightness| lamp("1", true, brightness)).collect();
            poll.take(&lamps, begin + Duration::from_secs(second), |_| vec![0]);
            assert_eq!(poll.pause(), if second == 1 { Poll::SETTLING } else { Poll::PAUSE }, "{second}");
        }
    }

    #[test]
    fn who_never_rests_is_told_of_all_the_same() {
        let never: Vec<Lamp> = (0..64).map(|second| lamp("1", true, second)).collect();
        assert_eq!(told(&never).iter().filter(|events| !events.is_empty()).count(), 2, "the first reading, and one");
        let loops = |at| Lamp { other: Some(serde_json::json!({"effect": "colorloop"})), ..lamp("1", true, at) };
        assert_eq!(told(&[loops(1), loops(2)])[1].len(), 1, "a colour loop at once");
    }
}
