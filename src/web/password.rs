//! The pages' password: compared in constant time, and slowly by whoever guesses.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

/// So many wrong ones in a row cost nothing: people mistype.
const FREE: u32 = 5;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Wrong ones are forgotten after this time without another.
const FORGOTTEN: Duration = Duration::from_secs(900);

/// Lets in who knows the password. Tries are counted together, whatever address they come from: one
/// number is all that is kept, however many guess.
pub(super) struct Password {
    key: hmac::Key,
    proof: hmac::Tag,
    tries: Mutex<Tries>,
}

#[derive(Clone, Copy)]
struct Tries {
    wrong: u32,
    last: Instant,
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
        Self { key, proof, tries: Mutex::new(Tries { wrong: 0, last: Instant::now() }) }
    }

    /// Tries one. The next one waits for this one's answer, so that no crowd gets ahead of the count.
    pub(super) fn try_one(&self, shown: &str, now: Instant) -> Try {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let since = now.duration_since(tries.last);
        if since > FORGOTTEN {
            tries.wrong = 0;
        }
        let pause = pause(tries.wrong);
        if since < pause {
            return Try::Wait(pause - since);
        }
        if hmac::verify(&self.key, shown.as_bytes(), self.proof.as_ref()).is_ok() {
            tries.wrong = 0;
            return Try::Right;
        }
        *tries = Tries { wrong: tries.wrong.saturating_add(1), last: now };
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

    #[test]
    fn only_the_password_is_right() {
        let (password, now) = (Password::new(&"open sesame".into()), Instant::now());
        for wrong in ["", "open sesam", "open sesame ", "Open sesame"] {
            assert_eq!(password.try_one(wrong, now), Try::Wrong, "{wrong}");
        }
        assert_eq!(password.try_one("open sesame", now), Try::Right);
    }

    #[test]
    fn who_guesses_waits_longer_and_longer_and_a_minute_at_most() {
        let (password, mut now) = (Password::new(&"x".into()), Instant::now());
        for _ in 0..FREE {
            assert_eq!(password.try_one("y", now), Try::Wrong);
        }
        let mut waits = Vec::new();
        for _ in 0..12 {
            let Try::Wait(wait) = password.try_one("x", now) else { panic!("no pause") };
            waits.push(wait.as_secs());
            now += wait;
            assert_eq!(password.try_one("y", now), Try::Wrong);
        }
        assert_eq!((&waits[..4], waits[11]), (&[1, 2, 4, 8][..], 60));
        now += LONGEST_PAUSE;
        assert_eq!(password.try_one("x", now), Try::Right, "the pause ends for whoever knows it");
        assert_eq!(password.try_one("y", now), Try::Wrong, "and the count begins anew");
    }

    #[test]
    fn wrong_ones_are_forgotten_after_a_while() {
        let (password, now) = (Password::new(&"x".into()), Instant::now());
        for _ in 0..FREE {
            password.try_one("y", now);
        }
        assert_eq!(password.try_one("y", now + FORGOTTEN + Duration::from_secs(1)), Try::Wrong);
        assert_eq!(password.try_one("x", now + FORGOTTEN + Duration::from_secs(1)), Try::Right);
    }
}
