//! The application's secret or certificate in an Azure key vault, kept in memory and nowhere else.
//!
//! Source: Microsoft's "Get Secret" of Key Vault's REST API; a certificate with its key is the secret of
//! the same name.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use url::Url;

use super::backoff::Backoff;
use super::certificate::Certificate;
use super::entry::Entry;
use crate::entra::Trouble;
use crate::entra::http::{self, Unread, causes};
use crate::settings::Holds;

const VERSION: &str = "2025-07-01";
const PATIENCE: Duration = Duration::from_secs(20);
const LARGEST: usize = 256 << 10;

/// Whoever is refused reads again, but not everybody who is refused at the same time.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(60);

pub(in crate::entra) struct Vault {
    url: Url,
    holds: Holds,
    entry: Entry,
    http: reqwest::Client,
    backoff: Backoff,
    kept: Mutex<Kept>,
}

/// What was read.
#[derive(Clone)]
pub(super) enum Held {
    Secret(SecretString),
    Certificate(Arc<Certificate>),
}

#[derive(Default)]
struct Kept {
    held: Option<Held>,
    /// Counts the readings that brought something else.
    version: u64,
    renewed: Option<Instant>,
}

#[derive(Deserialize)]
struct Secret {
    value: SecretString,
}

impl Held {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(a), Self::Secret(b)) => a.expose_secret() == b.expose_secret(),
            (Self::Certificate(a), Self::Certificate(b)) => a.thumbprint() == b.thumbprint(),
            _ => false,
        }
    }
}

impl Vault {
    pub(super) fn new(vault: &Url, holds: Holds, entry: Entry, http: reqwest::Client) -> Self {
        let mut url = vault.clone();
        let (Holds::Secret(name) | Holds::Certificate(name)) = &holds;
        url.set_path(&format!("/secrets/{name}"));
        url.query_pairs_mut().append_pair("api-version", VERSION);
        Self { url, holds, entry, http, backoff: Backoff::default(), kept: Mutex::default() }
    }

    /// For people.
    pub(super) fn place(&self) -> String {
        let host = self.url.origin().ascii_serialization();
        match &self.holds {
            Holds::Secret(name) => format!("entra.key_vault {host}, secret {name}"),
            Holds::Certificate(name) => format!("entra.key_vault {host}, certificate {name}"),
        }
    }

    /// What the vault holds, as it was read last, and its version.
    pub(super) async fn current(&self) -> Result<(Held, u64), Trouble> {
        let mut kept = self.kept.lock().await;
        let held = match &kept.held {
            Some(held) => held.clone(),
            None => {
                let held = self.read().await?;
                (kept.held, kept.version) = (Some(held.clone()), kept.version + 1);
                held
            }
        };
        Ok((held, kept.version))
    }

    /// Whether the vault holds something else than `version` now, which is read once more if need be.
    pub(super) async fn renew(&self, version: u64) -> bool {
        let mut kept = self.kept.lock().await;
        if kept.version != version {
            return true;
        }
        if kept.renewed.is_some_and(|at| at.elapsed() < BETWEEN_RENEWALS) {
            return false;
        }
        kept.renewed = Some(Instant::now());
        self.read_into(&mut kept).await
    }

    async fn read_into(&self, kept: &mut MutexGuard<'_, Kept>) -> bool {
        match self.read().await {
            Ok(held) if kept.held.as_ref().is_some_and(|old| old.is(&held)) => false,
            Ok(held) => {
                tracing::info!("{} has changed, and is used from now on", self.place());
                (kept.held, kept.version) = (Some(held), kept.version + 1);
                true
            }
            Err(trouble) => {
                tracing::debug!(%trouble, "the key vault was not read again");
                false
            }
        }
    }

    async fn read(&self) -> Result<Held, Trouble> {
        self.backoff.pass()?;
        let outcome = self.ask().await;
        self.backoff.note(&outcome);
        outcome
    }

    async fn ask(&self) -> Result<Held, Trouble> {
        let token = self.entry.token(&self.http).await?;
        let request = self.http.get(self.url.clone()).bearer_auth(token.expose_secret()).timeout(PATIENCE);
        let response = request
            .send()
            .await
            .map_err(|error| self.later(None, format!("does not answer: {}", causes(&error.without_url()))))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.refused(&response));
        }
        let secret: Secret = serde_json::from_slice(&self.body(response).await?)
            .map_err(|_| self.later(None, "answers with something that holds no secret".to_owned()))?;
        match &self.holds {
            Holds::Secret(_) => Ok(Held::Secret(secret.value)),
            Holds::Certificate(_) => {
                let value = secret.value.expose_secret();
                let is_pem = value.contains("-----BEGIN ");
                let bytes = if is_pem { Ok(value.as_bytes().to_vec()) } else { STANDARD.decode(value.trim()) };
                let read = Certificate::read(&bytes.unwrap_or_default(), None);
                read.map(|certificate| Held::Certificate(certificate.into())).map_err(|wrong| {
                    self.wrong(&format!("{wrong} (the certificate's policy has to let its key be exported)"))
                })
            }
        }
    }

    fn refused(&self, response: &Response) -> Trouble {
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.wrong(
                "the identity may not read it, or it is disabled; give the identity the role Key Vault Secrets User on \
                 the vault, and let the vault's network rules let this machine in",
            ),
            StatusCode::NOT_FOUND => self.wrong("there is none of this name in the vault"),
            status => {
                let after = http::retry_after(response.headers(), Timestamp::now());
                self.later(after, format!("answers {}", status.as_u16()))
            }
        }
    }

    async fn body(&self, response: Response) -> Result<Vec<u8>, Trouble> {
        http::body(response, LARGEST).await.map_err(|unread| match unread {
            Unread::Broken(error) => self.later(None, format!("breaks off: {}", causes(&error.without_url()))),
            Unread::TooLarge => self.later(None, "sends more than any secret has".to_owned()),
        })
    }

    fn wrong(&self, what: &str) -> Trouble {
        Trouble::misconfigured(format!("{}: {what}", self.place()))
    }

    fn later(&self, after: Option<Duration>, what: String) -> Trouble {
        Trouble::Retry { after, reason: format!("{}: the vault {what}", self.place()) }
    }
}
