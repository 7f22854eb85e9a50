//! Whether the light can be reached: what became of commands, and which of its lamps are known to be out of reach.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{ECHO, Effects, Entry, Now};
use crate::lights::{Lamp, Look, Obeyed, Seen};

/// Lamps out of reach, as their hub knows them.
#[derive(Debug, Default)]
pub(super) struct Reach {
    lost: BTreeSet<Box<str>>,
    /// None of it answers.
    all: bool,
    /// When the hub told of which.
    told: BTreeMap<Box<str>, Instant>,
}

impl Reach {
    /// Answers whether that is news. What was told since a reading began is newer than what it says.
    fn read(&mut self, lamps: &[Lamp], since: Instant) -> bool {
        let before = self.lost.clone();
        self.lost.retain(|lost| lamps.iter().any(|lamp| lamp.id == *lost));
        let is_newer = |lamp: &&Lamp| self.told.get(&lamp.id).is_none_or(|told| *told < since);
        for lamp in lamps.iter().filter(is_newer) {
            match lamp.is_lost() {
                true => self.lost.insert(lamp.id.clone()),
                false => self.lost.remove(&lamp.id),
            };
        }
        self.lost != before
    }
}

impl Entry {
    /// Whether it can be commanded, all of it.
    pub fn is_reachable(&self) -> bool {
        !self.unreachable && !self.reach.all && self.reach.lost.is_empty()
    }

    /// What is wrong with it, for people.
    pub fn complaint(&self) -> Option<String> {
        let lost = || match self.reach.lost.len() {
            0 if !self.reach.all => None,
            0 | 1 => Some("a lamp is out of reach; does it have power?".to_owned()),
            lamps => Some(format!("{lamps} lamps are out of reach; do they have power?")),
        };
        self.error.clone().or_else(lost)
    }

    /// A command was obeyed, with these words beside it.
    pub(super) fn heard_out(&mut self, obeyed: &Obeyed) {
        (self.asked, self.unreachable) = (true, obeyed.unreachable);
        // Which lamps did not hear it is known better.
        let is_known = obeyed.unreachable && !self.reach.lost.is_empty();
        self.error = obeyed.advice.clone().filter(|_| !is_known);
    }

    /// The light cannot be commanded.
    pub fn unreachable(&mut self, error: &str) {
        (self.asked, self.unreachable) = (true, true);
        self.error = Some(error.to_owned());
    }

    /// The hub told that lamps of it (none told: all of it) are out of reach.
    pub fn lost(&mut self, lamps: &[Box<str>], now: Now) {
        self.asked = true;
        self.reach.all |= lamps.is_empty();
        self.reach.told.extend(lamps.iter().map(|lamp| (lamp.clone(), now.instant)));
        self.reach.lost.extend(lamps.iter().cloned());
    }

    /// It told that lamps (none told: all of it) are back.
    pub(super) fn found(&mut self, lamps: &[Box<str>], now: Now) {
        (self.asked, self.unreachable, self.error) = (true, false, None);
        if lamps.is_empty() {
            self.reach = Reach::default();
        }
        self.reach.told.extend(lamps.iter().map(|lamp| (lamp.clone(), now.instant)));
        self.reach.lost.retain(|lost| !lamps.contains(lost));
    }

    /// All that it shows was read, `since` then.
    pub fn was_read(
        &mut self,
        (seen, since): (&Seen, Instant),
        agrees: impl Fn(&Look) -> bool,
        grace: Duration,
        now: Now,
    ) -> Effects {
        let mut effects = Effects { act: false, publish: self.reach.read(&seen.0, since) };
        self.asked |= effects.publish;
        match self.kept() {
            Some(look) if !agrees(look) => effects |= self.mend(grace, now),
            None if !self.is_wanted(agrees, ECHO, now.instant) => effects.publish |= self.was_lit(seen),
            _ => {}
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_light_is_whole_again_when_the_last_of_its_lamps_is() {
        let now = Now { instant: Instant::now(), time: jiff::Timestamp::UNIX_EPOCH };
        let mut entry = Entry::default();
        let said = |entry: &Entry| (entry.is_reachable(), entry.complaint().unwrap_or_default());
        entry.lost(&["a".into()], now);
        entry.lost(&["b".into()], now);
        assert_eq!(said(&entry), (false, "2 lamps are out of reach; do they have power?".to_owned()));
        entry.found(&["a".into()], now);
        entry.found(&["a".into()], now);
        assert_eq!(said(&entry), (false, "a lamp is out of reach; does it have power?".to_owned()));
        entry.found(&["b".into()], now);
        assert_eq!(said(&entry), (true, String::new()));
        entry.lost(&[], now);
        assert!(!entry.is_reachable() && entry.complaint().is_some());
        entry.found(&[], now);
        assert!(entry.is_reachable());
    }

    #[test]
    fn what_is_told_during_a_reading_is_newer_than_what_is_read() {
        let (begin, later) = (Instant::now(), Duration::from_secs(1));
        let at = |instant| Now { instant, time: jiff::Timestamp::UNIX_EPOCH };
        let seen = Seen(vec![Lamp { id: "a".into(), ..Lamp::default() }.lost()]);
        let mut entry = Entry::default();
        let read =
            |entry: &mut Entry, since| entry.was_read((&seen, since), |_| true, later, at(begin + 2 * later)).publish;
        assert!(read(&mut entry, begin) && !entry.is_reachable());
        entry.found(&["a".into()], at(begin + later));
        assert!(!read(&mut entry, begin) && entry.is_reachable());
        assert!(read(&mut entry, begin + 2 * later) && !entry.is_reachable());
    }
}
