//! What the light showed before we touched it: read first, kept while it shows what we want, and while it is left
//! alone as long as nobody else touches it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::super::common::{Before, Left, Words, next_version};
use super::{ECHO, Entry, Now};
use crate::lights::{Look, Seen};

impl Entry {
    /// Whether what it showed before we touch it is to be read first.
    pub fn is_untouched(&self) -> bool {
        self.common.before.seen.is_none()
    }

    /// What restores it, where that is known.
    pub fn restoring(&self) -> Option<Look> {
        self.common.before.to_restore().map(|seen| Look::Seen(Arc::new(seen.clone())))
    }

    /// It shows this before we touch it, unless another member says that it shows what is wanted already.
    pub fn before(
        &mut self,
        now_seen: &Seen,
        agrees: impl Fn(&Look) -> bool,
        surely_shows: impl Fn(&Look, &Seen) -> bool,
        now: Now,
    ) {
        let known = self.common.before.version;
        let left = self.common.before.left.as_ref();
        let seen = left.map_or_else(|| now_seen.clone(), |left| left.before(now_seen, surely_shows));
        // What was restored is no status: it is as people want it.
        let agrees = |look: &Look| !matches!(look, Look::Seen(_)) && agrees(look);
        let is_as_left = seen != *now_seen && !self.last.as_ref().is_some_and(agrees);
        let version = if is_as_left || !self.is_wanted(agrees, ECHO, now.instant) {
            next_version(known, now.time)
        } else if self.reported_done().is_none() {
            // It looks as if somebody of us had been there, which may be chance (a dark lamp that is to be off).
            // Whoever was there, and saw what is nobody's wish, has the higher number.
            known.saturating_add(1)
        } else {
            return;
        };
        self.common.before = Before { version, seen: Some(seen), left: None };
    }

    /// From now on it is as people want it.
    pub(super) fn release(&mut self) {
        if self.common.before.to_restore().is_some() {
            self.common.before = Before { version: self.common.before.version + 1, ..Before::default() };
        }
    }

    /// From now on it is left alone, with what it shows as far as is known.
    pub(super) fn leave(&mut self) {
        let Some(seen) = self.common.before.seen.take() else { return };
        let reported = || Words::deserialize(self.reported.as_ref()?.shown.as_ref()?).ok();
        // A command under way most likely comes through; one that failed has changed nothing.
        let coming = self.last.as_ref().filter(|_| self.is_done() || self.duty.is_under_way());
        let ours = [coming, self.ours.as_ref()].into_iter().flatten().find_map(Words::of);
        let shown = ours.or_else(reported).or_else(|| Words::of(self.last.as_ref()?));
        let left = shown.map(|shown| Left { seen, shown });
        self.common.before = Before { version: self.common.before.version + 1, seen: None, left };
        self.lit(|id, entry| entry.is_of_the_hand(id));
    }

    /// The command that was under way when it was left alone has failed: it shows what it showed before that.
    pub(super) fn never_came(&mut self) {
        let is_left_alone = self.wish.as_ref().is_some_and(|wish| wish.look.is_none());
        let ours = self.ours.as_ref().and_then(Words::of).filter(|_| is_left_alone);
        let before = &mut self.common.before;
        if let (Some(ours), Some(left)) = (ours, &mut before.left)
            && left.shown != ours
        {
            left.shown = ours;
            before.version += 1;
        }
    }

    /// Somebody lights what we left dark: should it be dark again, it is so by them. Answers whether that is news.
    pub(super) fn was_lit(&mut self, Seen(lamps): &Seen) -> bool {
        self.lit(|id, _| lamps.iter().any(|lamp| *lamp.id == *id && lamp.on == Some(true)))
    }

    fn lit(&mut self, is_lit: impl Fn(&str, &Self) -> bool) -> bool {
        let is_dark = self.common.before.left.as_ref().is_some_and(Left::is_dark) && self.wish.is_some();
        let Some(mut left) = self.common.before.left.take_if(|_| is_dark) else { return false };
        let known = left.seen.0.len();
        left.seen.0.retain(|lamp| !is_lit(&lamp.id, self));
        let is_news = left.seen.0.len() < known;
        let before = &mut self.common.before;
        (before.left, before.version) = (Some(left), before.version + u64::from(is_news));
        is_news
    }

    pub(super) fn is_wanted(&self, agrees: impl Fn(&Look) -> bool, echo: Duration, now: Instant) -> bool {
        let is_echo = |(look, until): &(Look, Instant)| now < *until + echo && agrees(look);
        self.last.as_ref().is_some_and(&agrees) || self.recent.iter().any(is_echo)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::{Inputs, Why, Wish};
    use super::*;
    use crate::lights::{Lamp, Obeyed};
    use crate::settings::{Color, OnHand, Shade};

    const GRACE: Duration = Duration::from_secs(1);
    const RED: Look = Look::plain(Shade::Rgb([255, 0, 0]));
    const GREEN: Look = Look::plain(Shade::Rgb([0, 255, 0]));

    fn now() -> Now {
        Now { instant: Instant::now(), time: Timestamp::UNIX_EPOCH }
    }

    fn wish(look: Option<Look>, why: Why) -> Option<Wish> {
        Some(Wish { status: None, color: Color::Keep, why, look, inputs: Inputs::new() })
    }

    fn lamp(id: &str, on: bool) -> Lamp {
        Lamp { id: id.into(), on: Some(on), ..Lamp::default() }
    }

    /// A light of two lamps that were lit, and shows this by us.
    fn touched(look: Look) -> Entry {
        let mut entry = Entry::default();
        let before = Seen(vec![lamp("a", true), lamp("b", true)]);
        entry.wish(wish(Some(look), Why::Status), true, GRACE, now());
        entry.before(&before, |_| false, |_, _| false, now());
        entry.sent();
        let wish = entry.wish.clone().unwrap();
        entry.obeyed(&wish, true, &Obeyed::default(), GRACE, now());
        entry
    }

    fn left(entry: &Entry) -> (Option<Look>, Vec<&str>) {
        let left = entry.common.before.left.as_ref().unwrap();
        (left.shown.look(), left.seen.0.iter().map(|lamp| &*lamp.id).collect())
    }

    #[test]
    fn a_light_is_left_with_what_it_shows_and_not_with_what_never_reached_it() {
        let mut entry = touched(RED);
        entry.wish(wish(Some(GREEN), Why::Status), true, GRACE, now());
        entry.sent();
        entry.failed(now());
        entry.wish(wish(None, Why::Paused), true, GRACE, now());
        assert_eq!(left(&entry), (Some(RED), vec!["a", "b"]));

        let mut entry = touched(RED);
        entry.wish(wish(entry.restoring(), Why::Status), true, GRACE, now());
        entry.sent();
        entry.failed(now());
        entry.wish(wish(None, Why::Paused), true, GRACE, now());
        assert_eq!(left(&entry), (Some(RED), vec!["a", "b"]), "what was to be restored is not forgotten");

        let mut entry = touched(RED);
        entry.wish(wish(Some(GREEN), Why::Status), true, GRACE, now());
        entry.sent();
        entry.wish(wish(None, Why::Paused), true, GRACE, now());
        assert_eq!(left(&entry).0, Some(GREEN), "it is on its way");
        let version = entry.common.before.version;
        entry.failed(now());
        assert_eq!((left(&entry).0, entry.common.before.version), (Some(RED), version + 1), "and never came");
    }

    #[test]
    fn a_lamp_that_somebody_lit_is_dark_by_them_whether_that_was_told_or_read_before_or_since() {
        let lit = Seen(vec![lamp("a", true)]);
        let is_off = |look: &Look| *look != Look::Off;
        let mut entry = touched(Look::Off);
        entry.changed((&lit, ECHO), is_off, OnHand::UntilChange, GRACE, now());
        entry.wish(wish(None, Why::Hand), true, GRACE, now());
        assert_eq!(left(&entry).1, ["b"], "the hand itself");

        let mut entry = touched(Look::Off);
        for id in ["a", "b"] {
            entry.changed((&Seen(vec![lamp(id, true)]), ECHO), is_off, OnHand::UntilChange, GRACE, now());
        }
        entry.wish(wish(None, Why::Hand), true, GRACE, now());
        assert!(left(&entry).1.is_empty(), "told lamp by lamp: {:?}", left(&entry));

        let mut entry = touched(Look::Off);
        entry.wish(wish(None, Why::Paused), true, GRACE, now());
        assert_eq!(left(&entry).1, ["a", "b"]);
        let version = entry.common.before.version;
        assert!(entry.was_read((&lit, Instant::now()), is_off, GRACE, now()).publish);
        assert_eq!((left(&entry).1, entry.common.before.version), (vec!["b"], version + 1));
    }
}
