//! Whether this machine's wall clock can be believed, by the time that Microsoft's answers carry.
//!
//! Assertions, stored tokens and sequences go by the wall clock; tokens in memory do not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::header::HeaderValue;
use tokio::time::Instant;

/// Entra takes what is off by less.
const SLACK: SignedDuration = SignedDuration::from_mins(5);

/// Between two looks at the time: answers come by the thousand.
const BETWEEN_LOOKS: Duration = Duration::from_secs(30);

/// What was last heard of the time.
pub(super) struct Watch {
    clock: fn() -> Timestamp,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    looked: Option<Instant>,
    /// How far the clock is ahead, while that is too far.
    off: Option<SignedDuration>,
}

/// What is new about the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Off(SignedDuration),
    Right,
}

impl Watch {
    pub(super) fn new(clock: fn() -> Timestamp) -> Self {
        Self { clock, seen: Mutex::default() }
    }

    /// Hears the `Date` of an answer. Says once that the clock is off, and once that it is right again.
    pub(super) fn hear(&self, date: Option<&HeaderValue>) {
        match self.compare(date, Instant::now()) {
            Some(News::Off(ahead)) => tracing::warn!(
                "this machine's clock is {}: Microsoft refuses what is off by more than five minutes; set it, such as \
                 by timedatectl set-ntp true",
                words(ahead)
            ),
            Some(News::Right) => tracing::info!("this machine's clock is right again"),
            None => {}
        }
    }

    /// How the clock is off, in words, while it is.
    pub(super) fn complaint(&self) -> Option<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).off.map(words)
    }

    fn compare(&self, date: Option<&HeaderValue>, at: Instant) -> Option<News> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.looked.is_some_and(|last| at.duration_since(last) < BETWEEN_LOOKS) {
            return None;
        }
        let theirs = jiff::fmt::rfc2822::parse(date?.to_str().ok()?).ok()?.timestamp();
        seen.looked = Some(at);
        let ahead = (self.clock)().duration_since(theirs);
        let is_off = ahead.abs() > SLACK;
        let was_off = seen.off.is_some();
        seen.off = is_off.then_some(ahead);
        match (was_off, is_off) {
            (false, true) => Some(News::Off(ahead)),
            (true, false) => Some(News::Right),
            _ => None,
        }
    }
}

/// Such as `about 2 hours behind`.
fn words(ahead: SignedDuration) -> String {
    let (minutes, side) = (ahead.as_mins().abs(), if ahead.is_negative() { "behind" } else { "ahead" });
    match minutes {
        0..120 => format!("about {minutes} minutes {side}"),
        120..2880 => format!("about {} hours {side}", minutes / 60),
        _ => format!("about {} days {side}", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> Watch {
        Watch::new(|| "2026-11-24T08:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_clock_that_is_off_is_told_once_and_once_that_it_is_right_again() {
        let (watch, start) = (watch(), Instant::now());
        let mut steps = 0;
        let mut hear = |date: &'static str| {
            steps += 1;
            watch.compare(Some(&HeaderValue::from_static(date)), start + BETWEEN_LOOKS * steps)
        };
        assert_eq!(hear("Tue, 24 Nov 2026 08:04:59 GMT"), None);
        assert_eq!(hear("Tue, 24 Nov 2026 10:01:00 GMT"), Some(News::Off(SignedDuration::from_mins(-121))));
        assert_eq!(hear("Tue, 24 Nov 2026 10:01:30 GMT"), None);
        assert_eq!(hear("Tue, 24 Nov 2026 07:56:00 GMT"), Some(News::Right));
        assert_eq!(hear("Tue, 24 Nov 2026 08:00:00 GMT"), None);
        assert_eq!(hear("Tue, 24 Nov 2026 07:54:00 GMT"), Some(News::Off(SignedDuration::from_mins(6))));
        assert_eq!(watch.complaint().unwrap(), "about 6 minutes ahead");
    }

    #[test]
    fn what_is_no_time_and_what_comes_at_once_are_passed_over() {
        let (watch, start) = (watch(), Instant::now());
        for odd in ["", "soon", "Tue, 99 Nov 2026 08:00:00 GMT"] {
            assert_eq!(watch.compare(HeaderValue::from_str(odd).ok().as_ref(), start), None);
        }
        assert_eq!(watch.compare(None, start), None);
        let far = HeaderValue::from_static("Tue, 24 Nov 2099 08:00:00 GMT");
        assert!(watch.compare(Some(&far), start).is_some());
        let right = HeaderValue::from_static("Tue, 24 Nov 2026 08:00:00 GMT");
        assert_eq!(watch.compare(Some(&right), start + BETWEEN_LOOKS / 2), None, "it is too soon to look again");
    }

    #[test]
    fn the_difference_is_told_in_words() {
        let said = |minutes| words(SignedDuration::from_mins(minutes));
        assert_eq!(
            [said(-7), said(150), said(-3000)],
            ["about 7 minutes behind", "about 2 hours ahead", "about 2 days behind"]
        );
    }

    #[cfg(feature = "demo")]
    #[tokio::test]
    async fn a_token_in_memory_lives_by_the_monotonic_clock_wherever_the_wall_clock_is_set() {
        use std::sync::atomic::{AtomicI64, Ordering};

        use crate::entra::{Principal, Tokens};
        use crate::simulator::{Application, Call, Cloud, Route};
        use crate::store::Store;

        const CLIENT: &str = "00000000-0000-4000-8000-0000000000c1";
        static HOURS: AtomicI64 = AtomicI64::new(0);
        fn wall() -> Timestamp {
            Timestamp::now() + SignedDuration::from_hours(HOURS.load(Ordering::Relaxed))
        }

        let _ = rustls::crypto::ring::default_provider().install_default();
        let (cloud, folder) = (Cloud::start().await.unwrap(), tempfile::tempdir().unwrap());
        cloud.add_tenant("contoso.com");
        cloud.add_application(Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]));
        cloud.add_person("alex@contoso.com", "Alex");
        let yaml = format!(
            "entra: {{ authority: \"{}\", tenant: contoso.com, client_id: {CLIENT} }}\n\
             accounts: {{ alex: {{ user: alex@contoso.com }} }}\n",
            cloud.authority()
        );
        let settings = crate::settings::from_yaml(&yaml, folder.path()).unwrap();
        let url = format!("sqlite://{}", folder.path().join("g.db").display());
        let store = Store::open(&url, &folder.path().join("key")).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let caches = std::sync::Arc::new(store.clone());
        let tokens = Tokens::with_clock(&settings, http, store, caches, wall).unwrap();
        let alex = "alex".parse().unwrap();
        let approve = |prompt: &crate::entra::Prompt| cloud.approve(&prompt.user_code, "alex@contoso.com").unwrap();
        tokens.sign_in(&alex, approve).await.unwrap();

        let who = Principal::Account(alex);
        let first = tokens.access(&who).await.unwrap().generation;
        let asked = || cloud.calls().count(|call: &Call| call.route == Route::Token);
        let before = asked();
        for hours in [24, -24] {
            HOURS.store(hours, Ordering::Relaxed);
            assert_eq!((tokens.access(&who).await.unwrap().generation, asked()), (first, before), "{hours} h");
        }
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(3_901)).await;
        tokio::time::resume();
        assert_ne!(tokens.access(&who).await.unwrap().generation, first, "its life is over");
        assert_eq!(asked(), before + 1);
    }
}
