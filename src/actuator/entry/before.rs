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
    pub fn before(&mut self, now_seen: &Seen, agrees: impl Fn(&Look, &Seen) -> bool, now: Now) {
        let known = self.common.before.version;
        let left = self.common.before.left.as_ref();
        let seen = left.map_or_else(|| now_seen.clone(), |left| left.before(now_seen, &agrees));
        // What was restored is no status: it is as people want it.
        let agrees = |look: &Look| !matches!(look, Look::Seen(_)) && agrees(look, now_seen);
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

    /// From now on it is left alone, with what was wanted last.
    pub(super) fn leave(&mut self) {
        let Some(seen) = self.common.before.seen.take() else { return };
        let reported = || Words::deserialize(self.reported.as_ref()?.shown.as_ref()?).ok();
        let shown = self.last.as_ref().map_or_else(reported, Words::of);
        let left = shown.map(|shown| Left { seen, shown });
        self.common.before = Before { version: self.common.before.version + 1, seen: None, left };
    }

    /// Somebody lights what we left dark: should it be dark again, it is so by them. Answers whether that is news.
    pub(super) fn was_lit(&mut self, Seen(lamps): &Seen) -> bool {
        let before = &mut self.common.before;
        let Some(left) = before.left.as_mut().filter(|left| left.is_dark() && self.wish.is_some()) else {
            return false;
        };
        let is_lit = |id: &str| lamps.iter().any(|lamp| *lamp.id == *id && lamp.on == Some(true));
        let known = left.seen.0.len();
        left.seen.0.retain(|lamp| !is_lit(&lamp.id));
        let is_news = left.seen.0.len() < known;
        before.version += u64::from(is_news);
        is_news
    }

    pub(super) fn is_wanted(&self, agrees: impl Fn(&Look) -> bool, echo: Duration, now: Instant) -> bool {
        let is_echo = |(look, until): &(Look, Instant)| now < *until + echo && agrees(look);
        self.last.as_ref().is_some_and(&agrees) || self.recent.iter().any(is_echo)
    }
}
