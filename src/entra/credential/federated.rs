//! Tokens of another identity provider that the application trusts, as assertions of its own
//! (workload identity federation).

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::identity::Identity;
use super::read_file;
use crate::entra::Trouble;
use crate::settings::Cloud;

/// A token is kept for this part of its life.
const KEPT: f64 = 0.75;

/// Whoever is refused has it fetched again, but not everybody who is refused at the same time.
const BETWEEN_RENEWALS: Duration = Duration::from_secs(60);

/// Where assertions come from.
pub(in crate::entra) enum Federated {
    /// Kubernetes, or whoever else writes it there; read again each time.
    File(PathBuf),
    /// The machine's managed identity. Its service is asked rarely: it answers many questions with 429.
    Identity { identity: Box<Identity>, audience: &'static str, kept: Mutex<Kept> },
}

/// What the managed identity's service handed out.
#[derive(Default)]
pub(in crate::entra) struct Kept {
    token: Option<SecretString>,
    until: Option<Instant>,
    /// Counts the tokens.
    version: u64,
    renewed: Option<Instant>,
}

impl Kept {
    async fn fetch(&mut self, identity: &Identity, audience: &str) -> Result<SecretString, Trouble> {
        let issued = identity.token(audience).await?;
        let is = |old: &SecretString| old.expose_secret() == issued.access.expose_secret();
        self.version += u64::from(!self.token.as_ref().is_some_and(is));
        self.until = Some(Instant::now() + issued.life.mul_f64(KEPT).max(Duration::from_secs(1)));
        self.token = Some(issued.access.clone());
        Ok(issued.access)
    }
}

impl Federated {
    pub(super) fn by_identity(identity: Identity, cloud: Cloud) -> Self {
        let audience = match cloud {
            Cloud::Global => "api://AzureADTokenExchange",
            Cloud::UsGovernment | Cloud::UsGovernmentDod => "api://AzureADTokenExchangeUSGov",
            Cloud::China => "api://AzureADTokenExchangeChina",
        };
        Self::Identity { identity: Box::new(identity), audience, kept: Mutex::default() }
    }

    /// What to show, and which one it is.
    pub(super) async fn assertion(&self) -> Result<(SecretString, u64), Trouble> {
        let (identity, audience, kept) = match self {
            Self::File(file) => return Ok((read("entra.federated_token_file", file)?, 0)),
            Self::Identity { identity, audience, kept } => (identity, audience, kept),
        };
        let mut kept = kept.lock().await;
        let is_good = kept.until.is_some_and(|until| until > Instant::now());
        let token = match kept.token.clone().filter(|_| is_good) {
            Some(token) => token,
            None => kept.fetch(identity, audience).await?,
        };
        Ok((token, kept.version))
    }

    /// Whether there is another than the one that was refused: its time may be over while the clock by which it was kept
    /// stood still, as on a machine that slept.
    pub(super) async fn renew(&self, refused: u64) -> bool {
        let Self::Identity { identity, audience, kept } = self else { return false };
        let mut kept = kept.lock().await;
        if kept.version == refused && kept.renewed.is_none_or(|at| at.elapsed() >= BETWEEN_RENEWALS) {
            (kept.renewed, kept.until) = (Some(Instant::now()), None);
            if let Err(trouble) = kept.fetch(identity, audience).await {
                tracing::debug!(%trouble, "the managed identity's token was not fetched again");
            }
        }
        kept.version != refused
    }
}

/// The token in a file, which `key` names.
pub(super) fn read(key: &str, file: &Path) -> Result<SecretString, Trouble> {
    let wrong = |what: String| {
        Trouble::misconfigured(format!(
            "{key} {}: {what}; is the pod labelled azure.workload.identity/use: \"true\", and its service account set?",
            file.display()
        ))
    };
    let text = String::from_utf8(read_file(file).map_err(wrong)?).map_err(|_| wrong("is not text".to_owned()))?;
    let token = text.trim();
    if token.split('.').count() != 3 || token.contains(char::is_whitespace) {
        return Err(wrong("does not hold one token (a JWT)".to_owned()));
    }
    Ok(token.into())
}

#[cfg(test)]
mod tests {
    use super::super::identity::{Identity, OWN};
    use super::*;
    use crate::settings::Azure;

    #[test]
    fn each_cloud_has_its_own_audience() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (cloud, expected) in [
            (Cloud::Global, "api://AzureADTokenExchange"),
            (Cloud::UsGovernment, "api://AzureADTokenExchangeUSGov"),
            (Cloud::UsGovernmentDod, "api://AzureADTokenExchangeUSGov"),
            (Cloud::China, "api://AzureADTokenExchangeChina"),
        ] {
            let identity = Identity::new(&Azure::new(&[]), None, &OWN).unwrap();
            let Federated::Identity { audience, .. } = Federated::by_identity(identity, cloud) else { panic!() };
            assert_eq!(audience, expected, "{cloud:?}");
        }
    }
}
