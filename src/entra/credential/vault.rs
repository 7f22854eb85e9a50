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

/// As what the vault is asked, and what those of national clouds know which do not know that yet.
const VERSIONS: [&str; 2] = ["2025-07-01", "7.4"];
const PATIENCE: Duration = Duration::from_secs(20);
const LARGEST: usize = 256 << 10;

/// The longest piece of the vault's own words that is shown, in characters.
const LONGEST_QUOTE: usize = 200;

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
        let [newest, older] = VERSIONS;
        let mut response = self.get(newest, &token).await?;
        if response.status() == StatusCode::BAD_REQUEST {
            response = self.get(older, &token).await?;
        }
        if response.status() != StatusCode::OK {
            return Err(self.refused(response).await);
        }
        let secret: Secret = serde_json::from_slice(&self.body(response).await?)
            .map_err(|_| self.later(None, "answers with something that holds no secret".to_owned()))?;
        match &self.holds {
            // Without the line end that a file had from which it was put there.
            Holds::Secret(_) => Ok(Held::Secret(secret.value.expose_secret().trim_end_matches(['\r', '\n']).into())),
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

    async fn get(&self, version: &str, token: &SecretString) -> Result<Response, Trouble> {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("api-version", version);
        let request = self.http.get(url).bearer_auth(token.expose_secret()).timeout(PATIENCE);
        let no_answer =
            |error: reqwest::Error| self.later(None, format!("does not answer: {}", causes(&error.without_url())));
        request.send().await.map_err(no_answer)
    }

    async fn refused(&self, response: Response) -> Trouble {
        let (status, after) = (response.status(), http::retry_after(response.headers(), Timestamp::now()));
        let said = self.body(response).await.map(|body| said(&body)).unwrap_or_default();
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self.wrong(&format!(
                "the identity may not read it, or it is disabled{said}; give the identity the role Key Vault Secrets User \
                 on the vault, and let the vault's network rules let this machine in"
            )),
            StatusCode::NOT_FOUND => self.wrong("there is none of this name in the vault"),
            StatusCode::BAD_REQUEST => {
                self.wrong(&format!("the vault takes the request for wrong{said}: is its URL that of a key vault?"))
            }
            status => self.later(after, format!("answers {}{said}", status.as_u16())),
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

/// The vault's own words, in brackets.
fn said(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: Said,
    }
    #[derive(Deserialize)]
    struct Said {
        code: String,
        message: Option<String>,
        innererror: Option<Box<Said>>,
    }
    let Ok(Refusal { error }) = serde_json::from_slice(body) else { return String::new() };
    let code = error.innererror.map_or(error.code, |inner| inner.code);
    let message = error.message.map(|message| format!(": {message}")).unwrap_or_default();
    let words = format!("{code}{message}");
    format!(" ({})", words.chars().filter(|c| !c.is_control()).take(LONGEST_QUOTE).collect::<String>())
}
