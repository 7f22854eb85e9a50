//! How the application proves itself: a secret, an assertion signed with a certificate's key, or the token
//! of another identity provider.
//!
//! Every request asks anew, so that a file that was changed counts from the next request on, and an
//! assertion is used once. What Entra refuses is read again once before anybody is told.
//!
//! # Layout
//! `certificate` reads PEM and PFX, `assertion` signs; `watched` keeps a file's content. `federated` is for
//! tokens of others, `identity` for Azure's managed identities, `vault` for a key vault and `entry` for the
//! way into it; `backoff` spares both.

mod assertion;
mod backoff;
mod certificate;
mod entry;
mod federated;
mod identity;
mod vault;
mod watched;

use std::path::Path;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::Trouble;
use crate::settings::{self, Entra, IdentityRole};
use certificate::Certificate;
use entry::Entry;
use federated::Federated;
use vault::{Held, Vault};
use watched::Watched;

pub(super) use identity::Identity;

/// The largest file that could hold a certificate, its chain and its key.
const LARGEST: u64 = 256 * 1024;

/// RFC 7523, 2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The application's credential, current.
pub(super) enum Credential {
    Secret(SecretString),
    SecretFile(Watched<SecretString>),
    Certificate(Watched<Certificate>),
    Federated(Federated),
    Vault(Box<Vault>),
}

/// Who asks Graph by the application's own right.
pub(super) enum Own {
    /// The application, which proves itself; a public one cannot.
    Application(Option<Credential>),
    /// A managed identity in its place. The application is a public client then.
    Identity(Identity),
}

/// What one request shows.
pub(super) struct Proof {
    pub fields: Vec<(&'static str, SecretString)>,
    /// Of what the credential was when this was made.
    version: u64,
}

/// Whom a proof is for: the application, and Entra's token endpoint.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose<'a> {
    pub client_id: &'a str,
    pub token_endpoint: &'a str,
}

impl Own {
    /// Reads what the settings name. `http` is for a key vault.
    pub(super) fn new(entra: &Entra, http: &reqwest::Client) -> Result<Self, Trouble> {
        match &entra.credential {
            None => Ok(Self::Application(None)),
            Some(settings::Credential::ManagedIdentity { client_id, role: IdentityRole::Graph, azure }) => {
                Identity::new(azure, client_id.as_deref(), &identity::OWN).map(Self::Identity)
            }
            Some(credential) => Credential::new(credential, entra, http).map(|made| Self::Application(Some(made))),
        }
    }

    /// Where the application's secret stands, for people.
    pub(super) fn secret_place(&self) -> String {
        match self.credential() {
            Some(Credential::SecretFile(file)) => file.place().trim_end_matches(':').to_owned(),
            Some(Credential::Vault(vault)) => vault.place(),
            _ => "entra.client_secret".to_owned(),
        }
    }

    /// The application's credential.
    pub(super) fn credential(&self) -> Option<&Credential> {
        match self {
            Self::Application(credential) => credential.as_ref(),
            Self::Identity(_) => None,
        }
    }
}

impl Credential {
    fn new(settings: &settings::Credential, entra: &Entra, http: &reqwest::Client) -> Result<Self, Trouble> {
        match settings {
            settings::Credential::Secret(secret) => match secret.file() {
                None => Ok(Self::Secret(secret.text().clone())),
                Some(file) => {
                    let again = secret.clone();
                    let read = move |_: &Path| again.read_again();
                    Watched::new("entra.client_secret_file", file, None, read).map(Self::SecretFile)
                }
            },
            settings::Credential::Certificate { file, password } => {
                let beside = password.as_ref().and_then(settings::Secret::file);
                let password = password.clone();
                let read = move |path: &Path| {
                    let password = password.as_ref().map(settings::Secret::read_again).transpose();
                    let password = password.map_err(|wrong| format!("has a password file that {wrong}"))?;
                    Certificate::read(&read_file(path)?, password.as_ref().map(ExposeSecret::expose_secret))
                };
                Watched::new("entra.certificate_file", file, beside, read).map(Self::Certificate)
            }
            settings::Credential::ManagedIdentity { client_id, azure, .. } => {
                let identity = Identity::new(azure, client_id.as_deref(), &identity::OWN)?;
                Ok(Self::Federated(Federated::by_identity(identity, entra.cloud)))
            }
            settings::Credential::FederatedToken(file) => Ok(Self::Federated(Federated::File(file.clone()))),
            settings::Credential::KeyVault { vault, holds, azure } => {
                let entry = Entry::new(azure, entra)?;
                Ok(Self::Vault(Box::new(Vault::new(vault, holds.clone(), entry, http.clone()))))
            }
        }
    }

    /// What to show at `now`.
    pub(super) async fn prove(&self, purpose: Purpose<'_>, now: Timestamp) -> Result<Proof, Trouble> {
        match self {
            Self::Secret(secret) => Ok(Proof::secret(secret.clone(), 0)),
            Self::SecretFile(file) => {
                let (secret, version) = file.current();
                Ok(Proof::secret((*secret).clone(), version))
            }
            Self::Certificate(file) => {
                let (certificate, version) = file.current();
                let wrong = |wrong| Trouble::misconfigured(format!("{} {wrong}", file.place()));
                certificate.in_force(now).map_err(wrong)?;
                Ok(Proof::assertion(assertion::sign(&certificate, purpose, now), version))
            }
            Self::Federated(federated) => {
                let (assertion, version) = federated.assertion().await?;
                Ok(Proof::assertion(assertion, version))
            }
            Self::Vault(vault) => match vault.current().await? {
                (Held::Secret(secret), version) => Ok(Proof::secret(secret, version)),
                (Held::Certificate(certificate), version) => {
                    let (certificate, version) = match certificate.in_force(now) {
                        Err(_) if vault.renew(version).await => vault.current().await?,
                        _ => (Held::Certificate(certificate), version),
                    };
                    let Held::Certificate(certificate) = certificate else { unreachable!("a vault holds one kind") };
                    let wrong = |wrong| Trouble::misconfigured(format!("{}: {wrong}", vault.place()));
                    certificate.in_force(now).map_err(wrong)?;
                    Ok(Proof::assertion(assertion::sign(&certificate, purpose, now), version))
                }
            },
        }
    }

    /// Whether there is another credential to be tried than the one that Entra refused.
    pub(super) async fn renew(&self, refused: &Proof) -> bool {
        match self {
            Self::Secret(_) => false,
            Self::Federated(federated) => federated.renew(refused.version).await,
            Self::Vault(vault) => vault.renew(refused.version).await,
            Self::SecretFile(file) => file.renew(refused.version),
            Self::Certificate(file) => file.renew(refused.version),
        }
    }
}

impl Proof {
    fn secret(secret: SecretString, version: u64) -> Self {
        Self { fields: vec![("client_secret", secret)], version }
    }

    fn assertion(assertion: SecretString, version: u64) -> Self {
        let fields = vec![("client_assertion_type", ASSERTION_TYPE.into()), ("client_assertion", assertion)];
        Self { fields, version }
    }

    /// Whoever knows these is the application.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.fields.iter().filter(|(name, _)| *name != "client_assertion_type").map(|(_, value)| value)
    }
}

/// A file as it is, if it could hold a credential.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes));
    read.map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > LARGEST { Err("is larger than any certificate".to_owned()) } else { Ok(bytes) }
}
