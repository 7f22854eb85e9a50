//! Tokens of another identity provider that the application trusts, as assertions of its own
//! (workload identity federation).

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::identity::Identity;
use super::read_file;
use crate::entra::Trouble;
use crate::settings::Cloud;

/// A token is kept for this part of its life.
const KEPT: f64 = 0.75;

/// Where assertions come from.
pub(in crate::entra) enum Federated {
    /// Kubernetes, or whoever else writes it there; read again each time.
    File(PathBuf),
    /// The machine's managed identity. Its service is asked rarely: it answers many questions with 429.
    Identity { identity: Box<Identity>, audience: &'static str, kept: Mutex<Option<(SecretString, Instant)>> },
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

    pub(super) async fn assertion(&self) -> Result<SecretString, Trouble> {
        let (identity, audience, kept) = match self {
            Self::File(file) => return read("entra.federated_token_file", file),
            Self::Identity { identity, audience, kept } => (identity, audience, kept),
        };
        let mut kept = kept.lock().await;
        if let Some((token, _)) = kept.as_ref().filter(|(_, until)| *until > Instant::now()) {
            return Ok(token.clone());
        }
        let issued = identity.token(audience).await?;
        let until = Instant::now() + issued.life.mul_f64(KEPT).max(Duration::from_secs(1));
        *kept = Some((issued.access.clone(), until));
        Ok(issued.access)
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
