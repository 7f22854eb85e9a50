//! The pages' password: compared in constant time, and slowly by whoever guesses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use crate::entra::place;

/// So many wrong ones in a row from one place cost nothing: people mistype.
const FREE: u32 = 5;
/// The longest pause between two tries from one place.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Wrong ones are forgotten after this time without another.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// So many wrong ones from all places together: from then on the pause below lies between any two tries. It is short,
/// so that whoever knows the password gets in though others guess on.
const FREE_IN_ALL: u32 = 100;
const PAUSE_IN_ALL: Duration = Duration::from_millis(200);

/// Places that are remembered; beyond them, the one that tried longest ago is forgotten.
const MOST: usize = 1024;

/// Lets in who knows the password. Wrong ones are counted by the place from which they come.
pub(super) struct Password {
    key: hmac::Key,
    proof: hmac::Tag,
    tries: Mutex<All>,
}

struct All {
    places: HashMap<IpAddr, Tries>,
    together: Tries,
}

#[derive(Clone, Copy)]
struct Tries {
    wrong: u32,
    last: Instant,
}

impl Tries {
    fn new(now: Instant) -> Self {
        Self { wrong: 0, last: now }
    }

    /// As they count now.
    fn at(self, now: Instant) -> Self {
        if now.duration_since(self.last) > FORGOTTEN { Self::new(now) } else { self }
    }

    fn one_more(self, now: Instant) -> Self {
        Self { wrong: self.wrong.saturating_add(1), last: now }
    }

    /// What is left of the pause after the last one.
    fn left(self, pause: Duration, now: Instant) -> Duration {
        pause.saturating_sub(now.duration_since(self.last))
    }
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    Right,
    Wrong,
    /// Not looked at: too many wrong ones came before.
    Wait(Duration),
}

impl Password {
    pub(super) fn new(secret: &SecretString) -> Self {
        // The key needs to be no secret: it only makes texts of one length, compared in constant time.
        let key = hmac::Key::new(HMAC_SHA256, digest(&SHA256, b"graph2mqtt pages").as_ref());
        let proof = hmac::sign(&key, secret.expose_secret().as_bytes());
        let tries = All { places: HashMap::new(), together: Tries::new(Instant::now()) };
        Self { key, proof, tries: Mutex::new(tries) }
    }

    /// Tries one that comes from there. The next one waits for this one's answer, so that no crowd gets ahead of the
    /// count.
    pub(super) fn try_one(&self, shown: &str, from: IpAddr, now: Instant) -> Try {
        let from = place(from);
        let mut all = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let together = all.together.at(now);
        let there = all.places.get(&from).map_or(Tries::new(now), |tries| tries.at(now));
        let in_all = if together.wrong < FREE_IN_ALL { Duration::ZERO } else { PAUSE_IN_ALL };
        let wait = there.left(pause(there.wrong), now).max(together.left(in_all, now));
        if !wait.is_zero() {
            return Try::Wait(wait);
        }
        if hmac::verify(&self.key, shown.as_bytes(), self.proof.as_ref()).is_ok() {
            all.places.remove(&from);
            return Try::Right;
        }
        all.together = together.one_more(now);
        all.places.insert(from, there.one_more(now));
        if all.places.len() > MOST
            && let Some(oldest) = all.places.iter().min_by_key(|(_, tries)| tries.last).map(|(place, _)| *place)
        {
            all.places.remove(&oldest);
        }
        Try::Wrong
    }
}

/// 1, 2, 4 s and so on, once the free ones are used up.
fn pause(wrong: u32) -> Duration {
    match wrong.checked_sub(FREE) {
        None => Duration::ZERO,
        Some(more) => Duration::from_secs(1 << more.min(10)).min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn only_the_password_is_right() {
        let (password, now) = (Password::new(&"open sesame".into()), Instant::now());
        for wrong in ["", "open sesam", "open sesame ", "Open sesame"] {
            assert_eq!(password.try_one(wrong, HERE, now), Try::Wrong, "{wrong}");
        }
        assert_eq!(password.try_one("open sesame", HERE, now), Try::Right);
    }

    #[test]
    fn who_guesses_waits_longer_and_longer_and_a_minute_at_most() {
        let (password, mut now) = (Password::new(&"x".into()), Instant::now());
        for _ in 0..FREE {
            assert_eq!(password.try_one("y", HERE, now), Try::Wrong);
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            let Try::Wait(wait) = password.try_one("x", HERE, now) else { panic!("no pause") };
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(password.try_one("y", HERE, now), Try::Wrong);
        }
        assert_eq!((&waits[..4], waits[11]), (&[1, 2, 4, 8][..], 60));
        now += LONGEST_PAUSE;
        assert_eq!(password.try_one("x", HERE, now), Try::Right, "the pause ends for whoever knows it");
        assert_eq!(password.try_one("y", HERE, now), Try::Wrong, "and the count begins anew");
    }

    #[test]
    fn wrong_ones_are_forgotten_after_a_while() {
        let (password, now) = (Password::new(&"x".into()), Instant::now());
        for _ in 0..FREE {
            password.try_one("y", HERE, now);
        }
        assert_eq!(password.try_one("y", HERE, now + FORGOTTEN + Duration::from_secs(1)), Try::Wrong);
        assert_eq!(password.try_one("x", HERE, now + FORGOTTEN + Duration::from_secs(1)), Try::Right);
    }

    #[test]
    fn while_others_guess_on_whoever_knows_it_gets_in_after_a_moment() {
        let (password, mut now) = (Password::new(&"x".into()), Instant::now());
        let guesser = |number: u32| IpAddr::from([203, 0, 113, number as u8]);
        for number in 0..1_000 {
            now += PAUSE_IN_ALL;
            password.try_one("y", guesser(number % 20), now);
        }
        assert!(matches!(password.try_one("x", guesser(0), now + PAUSE_IN_ALL), Try::Wait(_)), "the guesser waits");
        now += PAUSE_IN_ALL;
        assert_eq!(password.try_one("y", guesser(200), now), Try::Wrong, "another one joins them");
        let Try::Wait(wait) = password.try_one("x", HERE, now) else { panic!("as fast as anybody likes") };
        assert!(wait <= PAUSE_IN_ALL, "{wait:?}");
        assert_eq!(password.try_one("x", HERE, now + wait), Try::Right);
    }

    #[test]
    fn however_many_places_guess_few_are_remembered() {
        let (password, now) = (Password::new(&"x".into()), Instant::now());
        for number in 0..u32::try_from(2 * MOST).unwrap() {
            password.try_one("y", IpAddr::from(number.to_be_bytes()), now + PAUSE_IN_ALL * number);
        }
        assert_eq!(password.tries.lock().unwrap().places.len(), MOST);
    }
}
