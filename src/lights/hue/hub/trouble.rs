//! What goes wrong with a hub, in words, and with what to do next.

use reqwest::StatusCode;
use secrecy::ExposeSecret;

use super::super::client::{Answer, busy, stop};
use super::{Acquaintance, HueHub, Link, lock};
use crate::lights::{Condition, Trouble};
use crate::store::StoreError;

/// What goes wrong, in words and with the remedy.
impl HueHub {
    pub(super) fn not_a_hub(&self, why: &str) -> Trouble {
        let (host, hub) = (&self.settings.host, &self.name);
        let what = format!("{host} answers, but not as a Hue hub does ({why}): is hubs.{hub}.host right?");
        let trouble = busy(hub, None, &what);
        self.stands(Condition::Odd, Some(&trouble));
        trouble
    }

    pub(super) fn is_another(&self, there: &str, meant: &str) -> Trouble {
        let hub = &self.name;
        let what = match &self.settings.id {
            Some(_) => {
                format!("this is hub {there}, and hubs.{hub}.id is {meant}: correct hubs.{hub}.host or hubs.{hub}.id")
            }
            None => format!(
                "this is hub {there}, and {meant} was paired: correct hubs.{hub}.host, or, where it was replaced, pair \
                 the new one: graph2mqtt pair {hub}"
            ),
        };
        busy(hub, None, &what)
    }

    pub(in crate::lights::hue) fn unfound(&self, what: &str) -> Trouble {
        Trouble::Light { reason: format!("hub {}: {what}", self.name) }
    }

    pub(super) fn stored(&self, error: &StoreError) -> Trouble {
        busy(&self.name, None, &error.to_string())
    }

    pub(super) fn without_key(&self) -> Trouble {
        if lock(&self.refused).is_empty() {
            return stop(
                &self.name,
                "there is no application key for it yet. Pair it: graph2mqtt pair {} (or set hubs.{}.key_file)",
            );
        }
        stop(
            &self.name,
            "the hub does not know the application key any more: it was removed in the Hue app, or the hub was reset. \
             Press the hub's link button and pair it again: graph2mqtt pair {}",
        )
    }

    /// Passes on an answer of success, and says what another one asks us to do.
    pub(super) async fn accepted(&self, link: &Link, answer: &Answer) -> Result<(), Trouble> {
        let is_unknown_key = link.dialect.is_unknown_key(&answer.body);
        if answer.status.is_success() && !is_unknown_key {
            return link.dialect.overload(&answer.body).map_or(Ok(()), |what| Err(busy(&self.name, None, &what)));
        }
        Err(if is_unknown_key { self.key_refused(link).await } else { self.refusal(link, answer).await })
    }

    /// What an answer that refuses asks us to do.
    pub(super) async fn refusal(&self, link: &Link, answer: &Answer) -> Trouble {
        let says = link.dialect.refusal(&answer.body).map(|text| format!(" ({text})")).unwrap_or_default();
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.key_refused(link).await,
            status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                let what = format!("the hub is overloaded: {status}{says}; should it last, restart the hub");
                busy(&self.name, answer.retry_after, &what)
            }
            StatusCode::INSUFFICIENT_STORAGE => {
                let what =
                    format!("the hub has no room left{says}: delete scenes or rules that nobody uses in the Hue app");
                busy(&self.name, answer.retry_after, &what)
            }
            status @ StatusCode::NOT_FOUND => self.unfound(&format!("what the target was is gone: {status}{says}")),
            status if status.is_client_error() => self.unfound(&format!("the hub refuses the command: {status}{says}")),
            status => busy(&self.name, answer.retry_after, &format!("the hub answers {status}{says}")),
        }
    }

    /// The key is not said again. Where pairing brought another one, that is tried next.
    async fn key_refused(&self, link: &Link) -> Trouble {
        // While a connection is made, nothing is kept that would have to go.
        if let Ok(mut linked) = self.link.try_lock() {
            *linked = None;
        }
        {
            let mut refused = lock(&self.refused);
            if !refused.iter().any(|key| link.session.says(key.expose_secret())) {
                refused.push(link.session.key().clone());
            }
        }
        // An open event stream outlives its key.
        self.stir.notify_one();
        match self.acquaintance().await {
            Ok(Acquaintance { key: Some(_), .. }) => {
                busy(&self.name, None, "the hub does not know the application key; another one is tried")
            }
            _ => self.without_key(),
        }
    }
}
