//! How long until the next poll. Pure: time and chance are passed in.

use std::time::Duration;

use crate::presence::{Activity, Availability, Presence};

/// For how long a presence counts as changed lately: people who come or go change again soon.
pub(super) const LATELY: Duration = Duration::from_secs(120);

/// The longest wait of our own choice after failures, or the quiet interval where that is longer.
const LONGEST: Duration = Duration::from_secs(60);

/// The longest wait where trying again soon does not help, likewise.
const LONGEST_OBSTACLE: Duration = Duration::from_secs(300);

/// The first wait where trying again soon does not help: a person or an administrator has to act.
const OBSTACLE: Duration = Duration::from_secs(30);

/// An answer that is younger is as good as another one, and a failure as sure: nobody makes us ask faster
/// than the fastest interval that can be configured.
pub(super) const FRESH: Duration = Duration::from_secs(1);

/// How many polls fail before an account's presence counts as unknown. Until then they are repeated
/// at the active interval, so that a silent Graph is known for it soon.
pub(super) const SILENT: u8 = 3;

/// The intervals that the configuration asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) active: Duration,
    pub(super) quiet: Duration,
}

/// The intervals after one poll: jittered once for all its accounts, so that those of a batch stay together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat {
    active: Duration,
    quiet: Duration,
}

impl Pace {
    /// The intervals with a jitter of ±10 %.
    pub(super) fn beat(self, rng: &mut fastrand::Rng) -> Beat {
        let factor = jitter(rng, 0.1);
        Beat { active: self.active.mul_f64(factor), quiet: self.quiet.mul_f64(factor) }
    }

    /// The wait after the `failures`-th failed poll in a row that goes by itself.
    pub(super) fn after_failure(self, failures: u8, rng: &mut fastrand::Rng) -> Duration {
        doubled(self.active, failures.saturating_sub(SILENT - 1)).min(LONGEST.max(self.quiet)).mul_f64(jitter(rng, 0.2))
    }

    /// The wait after the `failures`-th failed poll in a row, where something stands in the way.
    pub(super) fn after_obstacle(self, failures: u8, rng: &mut fastrand::Rng) -> Duration {
        doubled(OBSTACLE.max(self.active), failures.saturating_sub(1))
            .min(LONGEST_OBSTACLE.max(self.quiet))
            .mul_f64(jitter(rng, 0.2))
    }
}

impl Beat {
    /// The wait until this presence is asked for again.
    pub(super) fn until_next(self, presence: &Presence, changed_lately: bool) -> Duration {
        if changed_lately || !is_quiet(presence) { self.active } else { self.quiet }
    }
}

fn is_quiet(presence: &Presence) -> bool {
    Availability::QUIET.contains(&presence.availability) || Activity::QUIET.contains(&presence.activity)
}

fn doubled(first: Duration, times: u8) -> Duration {
    first.saturating_mul(1 << u32::from(times.min(16)))
}

/// A factor around 1.
fn jitter(rng: &mut fastrand::Rng, share: f64) -> f64 {
    1.0 - share + 2.0 * share * rng.f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { active: Duration::from_secs(5), quiet: Duration::from_secs(30) };

    fn seconds(wait: Duration) -> f64 {
        wait.as_secs_f64()
    }

    #[test]
    fn who_is_at_work_or_changed_lately_is_asked_for_at_the_active_interval() {
        let mut rng = fastrand::Rng::with_seed(7);
        let cases = [
            ("Available", "Available", false, 5.0),
            ("Available", "OutOfOffice", false, 5.0),
            ("Busy", "InACall", false, 5.0),
            ("BeRightBack", "BeRightBack", false, 5.0),
            ("Hovering", "Levitating", false, 5.0),
            ("Away", "Away", false, 30.0),
            ("Offline", "Offline", false, 30.0),
            ("Offline", "OffWork", false, 30.0),
            ("PresenceUnknown", "PresenceUnknown", false, 30.0),
            ("Away", "Away", true, 5.0),
        ];
        for (availability, activity, lately, expected) in cases {
            let presence = Presence::new(Availability::parse(availability), Activity::parse(activity));
            for _ in 0..50 {
                let wait = seconds(PACE.beat(&mut rng).until_next(&presence, lately));
                assert!((expected * 0.9..=expected * 1.1).contains(&wait), "{activity}: {wait}");
            }
        }
    }

    #[test]
    fn the_waits_differ() {
        let mut rng = fastrand::Rng::with_seed(7);
        let away = Presence::new(Availability::AWAY, Activity::AWAY);
        let mut waits: Vec<_> = (0..100).map(|_| PACE.beat(&mut rng).until_next(&away, false)).collect();
        waits.sort_unstable();
        waits.dedup();
        assert!(waits.len() > 90);
    }

    #[test]
    fn failures_are_repeated_soon_until_the_silence_is_sure_and_then_more_and_more_seldom() {
        let mut rng = fastrand::Rng::with_seed(7);
        for (failures, expected) in [(1, 5.0), (2, 5.0), (3, 10.0), (4, 20.0), (8, 60.0), (200, 60.0)] {
            let wait = seconds(PACE.after_failure(failures, &mut rng));
            assert!((expected * 0.8..=expected * 1.2).contains(&wait), "{failures}: {wait}");
        }
        for (failures, expected) in [(1, 30.0), (2, 60.0), (5, 300.0), (200, 300.0)] {
            let wait = seconds(PACE.after_obstacle(failures, &mut rng));
            assert!((expected * 0.8..=expected * 1.2).contains(&wait), "{failures}: {wait}");
        }
    }
}
