//! `entra`: the application, how it proves itself, and Microsoft's cloud in which it lives.

use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use super::accounts;
use super::keys;
use super::mistake::Mistake;
use super::parse;
use super::reader::{Reader, read_secret};
use super::types::{Account, Via};
use crate::presence::Name;

/// `entra`
#[derive(Debug, Clone)]
pub struct Entra {
    /// The URL in front of `/<tenant>/oauth2/v2.0/…`, without a slash at its end.
    pub authority: Url,
    /// A domain or id.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// The application's credential; none for a public client.
    pub credential: Option<Credential>,
}

/// How the application proves itself. At most one.
#[derive(Debug, Clone)]
pub enum Credential {
    /// `client_secret`
    Secret(Secret),
    /// `certificate_file`: PEM with certificate and key, or PFX.
    Certificate {
        /// The file, read again when it changes.
        file: PathBuf,
        /// `certificate_password`, for a PFX.
        password: Option<Secret>,
    },
}

/// A secret, and the file that holds it, where one does.
#[derive(Debug, Clone)]
pub struct Secret {
    text: SecretString,
    file: Option<PathBuf>,
}

impl Secret {
    pub(super) fn new(text: SecretString, file: Option<PathBuf>) -> Self {
        Self { text, file }
    }

    /// As it was when the configuration was read.
    pub fn text(&self) -> &SecretString {
        &self.text
    }

    /// The file that holds it.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// As the file holds it now.
    ///
    /// # Errors
    /// What is wrong with the file, as a predicate, for people.
    pub fn read_again(&self) -> Result<SecretString, String> {
        let Some(file) = &self.file else { return Ok(self.text.clone()) };
        match read_secret(file) {
            Ok(text) if text.trim().is_empty() => Err("is empty".to_owned()),
            Ok(text) => Ok(text.into()),
            Err(wrong) => Err(wrong.problem),
        }
    }
}

/// The keys that give a credential, and what a mistake calls them.
const CREDENTIALS: &[&str] = &["client_secret", "client_secret_file", "certificate_file"];

/// The outer option is none after a mistake, the inner one where nothing needs an application.
pub(super) fn entra(
    reader: &mut Reader,
    cloud: Option<usize>,
    authority: Option<Url>,
    accounts: &accounts::Reader,
) -> Option<Option<Entra>> {
    let is_needed = accounts.named > 0;
    let (tenant, client_id) = if is_needed {
        let why = "there are accounts";
        (reader.required("entra.tenant", why, parse::tenant), reader.required("entra.client_id", why, parse::client_id))
    } else {
        (reader.value("entra.tenant", parse::tenant), reader.value("entra.client_id", parse::client_id))
    };
    let is_set = credential_is_set(reader);
    let credential = credential(reader);
    if let Some((name, account)) = accounts.first_by_application() {
        by_application(reader, name, account, tenant.as_deref(), is_set);
    }
    by_others_in_china(reader, cloud, accounts);
    match (authority?, tenant, client_id) {
        (authority, Some(tenant), Some(client_id)) => {
            Some(Some(Entra { authority, tenant, client_id, credential: credential? }))
        }
        _ if is_needed => None,
        _ => credential.map(|_| None),
    }
}

fn credential_is_set(reader: &Reader) -> bool {
    CREDENTIALS.iter().any(|key| reader.is_set(&format!("entra.{key}")))
}

/// The outer option is none after a mistake.
fn credential(reader: &mut Reader) -> Option<Option<Credential>> {
    at_most_one(reader);
    let secret = reader.secret_or_file("entra.client_secret").map(Credential::Secret);
    let certificate = certificate(reader);
    let found = secret.or(certificate);
    (found.is_some() || !credential_is_set(reader)).then_some(found)
}

fn certificate(reader: &mut Reader) -> Option<Credential> {
    let file = reader.file("entra.certificate_file");
    let password = reader.secret_or_file("entra.certificate_password");
    for key in ["entra.certificate_password", "entra.certificate_password_file"] {
        if reader.is_set(key) && !reader.is_set("entra.certificate_file") {
            let remedy = "Set entra.certificate_file, or leave the password out.";
            reader.clash(key, "needs entra.certificate_file beside it", remedy);
        }
    }
    Some(Credential::Certificate { file: file?, password })
}

/// A secret's two spellings are one credential.
fn at_most_one(reader: &mut Reader) {
    let set: Vec<&str> = CREDENTIALS.iter().copied().filter(|key| reader.is_set(&format!("entra.{key}"))).collect();
    let Some((first, rest)) = set.split_first() else { return };
    if let Some(second) = rest.iter().find(|key| key.trim_end_matches("_file") != first.trim_end_matches("_file")) {
        let problem = format!("is a second credential beside entra.{first}: an application has at most one");
        reader.clash(&format!("entra.{second}"), problem, "Keep one of the two, and leave the other out.");
    }
}

/// What `via: app` needs of the application.
fn by_application(reader: &mut Reader, name: &Name, account: &Account, tenant: Option<&str>, has_credential: bool) {
    if !has_credential {
        let problem = format!("is missing: accounts.{name} is read by the application's right (via: app)");
        let remedy = "Set entra.client_secret_file (or entra.client_secret) to the application's secret, or \
                      entra.certificate_file.";
        reader.mistakes.add(Mistake::new("entra.client_secret", problem, remedy));
    }
    if account.tenant.as_deref().or(tenant) == Some("organizations") {
        let problem = format!("is no tenant of its own, as via: app of accounts.{name} needs");
        reader.clash("entra.tenant", problem, "Write the tenant's domain or id, here or as the account's tenant.");
    }
}

/// Microsoft does not offer the presence of others in China.
fn by_others_in_china(reader: &mut Reader, cloud: Option<usize>, accounts: &accounts::Reader) {
    let by_others = accounts.accounts.iter().find(|(_, account)| account.via != Via::SignIn);
    if let (Some("china"), Some((name, _))) = (cloud.map(|cloud| keys::CLOUDS[cloud]), by_others) {
        let problem = format!("does not offer the presence of others, as via of accounts.{name} asks for");
        reader.clash("entra.cloud", problem, "Leave via out: each person then signs in.");
    }
}
