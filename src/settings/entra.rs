//! `entra`: the application, how it proves itself, and Microsoft's cloud in which it lives.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use super::accounts;
use super::keys;
use super::mistake::Mistake;
use super::parse;
use super::reader::{Reader, read_secret};
use super::types::{Account, Via};
use super::web;

/// `entra`
#[derive(Debug, Clone)]
pub struct Entra {
    /// Microsoft's cloud in which the tenant lives.
    pub cloud: Cloud,
    /// The URL in front of `/<tenant>/oauth2/v2.0/…`, without a slash at its end.
    pub authority: Url,
    /// A domain or id.
    pub tenant: String,
    /// The application's id; empty where a managed identity asks Graph itself and nobody signs in.
    pub client_id: String,
    /// The application's credential; none for a public client.
    pub credential: Option<Credential>,
}

/// `entra.cloud`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cloud {
    /// Worldwide, GCC included.
    Global,
    /// US government, GCC High.
    UsGovernment,
    /// US government, DoD.
    UsGovernmentDod,
    /// China, run by 21Vianet.
    China,
}

impl Cloud {
    /// In the order of [`keys::CLOUDS`].
    const ALL: [Self; 4] = [Self::Global, Self::UsGovernment, Self::UsGovernmentDod, Self::China];
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
    /// `managed_identity`
    ManagedIdentity {
        /// A user-assigned one; the machine's own otherwise.
        client_id: Option<String>,
        /// What it is used as.
        role: IdentityRole,
        /// Where it is asked for.
        azure: Azure,
    },
    /// `federated_token_file`: read again for each token.
    FederatedToken(PathBuf),
    /// `key_vault`
    KeyVault {
        /// Such as `https://contoso.vault.azure.net`, without a slash at its end.
        vault: Url,
        /// What is read there.
        holds: Holds,
        /// By which identity it is reached.
        azure: Azure,
    },
}

/// `entra.managed_identity.as`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityRole {
    /// It asks Graph itself, by its own right.
    Graph,
    /// It is a federated credential of the application.
    Application,
}

/// What of a key vault is the application's credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// The secret of this name.
    Secret(String),
    /// The certificate of this name, with its key.
    Certificate(String),
}

/// What Azure's services tell a process by its environment.
#[derive(Clone, Default)]
pub struct Azure(BTreeMap<&'static str, String>);

/// The variables that count, by Microsoft's own names.
const AZURE: &[&str] = &[
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IMDS_ENDPOINT",
];

impl Azure {
    /// Those of these variables that are Azure's; an empty one counts as not set.
    pub fn new(environment: &[(OsString, OsString)]) -> Self {
        let known = |name: &OsString| AZURE.iter().find(|known| name == **known).copied();
        let set = environment.iter().filter_map(|(name, value)| Some((known(name)?, value.to_str()?.to_owned())));
        Self(set.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for Azure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
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

/// The outer option is none after a mistake, the inner one where nothing needs an application.
pub(super) fn entra(
    reader: &mut Reader,
    cloud: Option<usize>,
    authority: Option<Url>,
    accounts: &accounts::Reader,
    azure: Azure,
) -> Option<Option<Entra>> {
    let enrols = reader.is_set(web::ENROL);
    let is_needed = accounts.named > 0 || enrols;
    let given = given(reader);
    let credential = credential(reader, given, azure);
    let by_identity = matches!(credential, Some(Some(Credential::ManagedIdentity { role: IdentityRole::Graph, .. })));
    let nobody_signs_in = !enrols && accounts.accounts.values().all(|account| account.via == Via::App);
    let why = if accounts.named > 0 { "there are accounts" } else { "people may enrol (web.enrol.tenants)" };
    let tenant = needed(reader, "entra.tenant", is_needed.then_some(why), parse::tenant);
    let client_id = if by_identity && nobody_signs_in {
        reader.value("entra.client_id", parse::client_id).or(Some(String::new()))
    } else {
        needed(reader, "entra.client_id", is_needed.then_some(why), parse::client_id)
    };
    by_application(reader, accounts, tenant.as_deref(), given, by_identity);
    by_others_in_china(reader, cloud, accounts);
    match (authority?, tenant, client_id) {
        (authority, Some(tenant), Some(client_id)) => {
            let cloud = Cloud::ALL[cloud?];
            Some(Some(Entra { cloud, authority, tenant, client_id, credential: credential? }))
        }
        _ if is_needed => None,
        _ => credential.map(|_| None),
    }
}

fn needed<T>(reader: &mut Reader, key: &str, why: Option<&str>, parse: fn(&str) -> parse::Parsed<T>) -> Option<T> {
    match why {
        Some(why) => reader.required(key, why, parse),
        None => reader.value(key, parse),
    }
}

/// The key of the credential that is given, the first of them where there are several: a mistake.
fn given(reader: &mut Reader) -> Option<&'static str> {
    let identity = reader.switch_or_keys("entra.managed_identity") == Some(true);
    let set = |key: &str| reader.is_set(&format!("entra.{key}"));
    let given = [
        ("client_secret", set("client_secret") || set("client_secret_file")),
        ("certificate_file", set("certificate_file")),
        ("managed_identity", identity),
        ("federated_token_file", set("federated_token_file")),
        ("key_vault", VAULT.iter().any(|key| set(key))),
    ];
    let mut given = given.into_iter().filter(|(_, is_given)| *is_given).map(|(key, _)| key);
    let first = given.next()?;
    for further in given {
        let problem = format!("is a second credential beside entra.{first}: an application has at most one");
        reader.clash(&format!("entra.{further}"), problem, "Keep one of them, and leave the others out.");
    }
    Some(first)
}

/// The outer option is none after a mistake.
fn credential(reader: &mut Reader, given: Option<&str>, azure: Azure) -> Option<Option<Credential>> {
    let password = reader.secret_or_file("entra.certificate_password");
    for key in ["entra.certificate_password", "entra.certificate_password_file"] {
        if reader.is_set(key) && !reader.is_set("entra.certificate_file") {
            let remedy = "Set entra.certificate_file, or leave the password out.";
            reader.clash(key, "needs entra.certificate_file beside it", remedy);
        }
    }
    let credential = match given {
        None => return Some(None),
        Some("client_secret") => reader.secret_or_file("entra.client_secret").map(Credential::Secret),
        Some("certificate_file") => {
            reader.file("entra.certificate_file").map(|file| Credential::Certificate { file, password })
        }
        Some("managed_identity") => managed_identity(reader, azure),
        Some("federated_token_file") => reader.path("entra.federated_token_file").map(Credential::FederatedToken),
        Some(_) => key_vault(reader, azure),
    };
    credential.map(Some)
}

fn managed_identity(reader: &mut Reader, azure: Azure) -> Option<Credential> {
    let client_id = reader.value("entra.managed_identity.client_id", parse::client_id);
    let role = reader.value("entra.managed_identity.as", |text| parse::choice(text, keys::IDENTITY_ROLES))?;
    let role = [IdentityRole::Graph, IdentityRole::Application][role];
    Some(Credential::ManagedIdentity { client_id, role, azure })
}

/// The keys below `entra` that a vault takes.
const VAULT: &[&str] = &["key_vault.vault", "key_vault.secret", "key_vault.certificate"];

fn key_vault(reader: &mut Reader, azure: Azure) -> Option<Credential> {
    let vault = reader.required("entra.key_vault.vault", "it says which vault", parse::vault);
    let secret = reader.name_of_secret("entra.key_vault.secret", "entra.client_secret_file", parse::vault_name);
    let certificate = reader.value("entra.key_vault.certificate", parse::vault_name);
    let holds = match (secret, certificate) {
        (Some(_), Some(_)) => {
            let remedy = "Name the secret or the certificate.";
            reader.clash("entra.key_vault.certificate", "stands beside entra.key_vault.secret", remedy);
            return None;
        }
        (Some(secret), None) => Holds::Secret(secret),
        (None, Some(certificate)) => Holds::Certificate(certificate),
        (None, None) => {
            if !reader.is_set("entra.key_vault.secret") && !reader.is_set("entra.key_vault.certificate") {
                let remedy = "Add secret: and its name in the vault, or certificate: and its name.";
                reader.clash("entra.key_vault.secret", "is missing: nothing else says what is read there", remedy);
            }
            return None;
        }
    };
    Some(Credential::KeyVault { vault: vault?, holds, azure })
}

/// What `via: app` needs of the application.
fn by_application(
    reader: &mut Reader,
    accounts: &accounts::Reader,
    tenant: Option<&str>,
    given: Option<&str>,
    by_identity: bool,
) {
    let Some((name, account)) = accounts.first_by_application() else { return };
    if given.is_none() {
        let problem = format!("is missing: accounts.{name} is read by the application's right (via: app)");
        let remedy = "Set entra.client_secret_file (or entra.client_secret) to the application's secret, or another of \
                      its credentials: entra.certificate_file, entra.managed_identity, …";
        reader.mistakes.add(Mistake::new("entra.client_secret", problem, remedy));
    }
    if account.tenant.as_deref().or(tenant) == Some("organizations") {
        let problem = format!("is no tenant of its own, as via: app of accounts.{name} needs");
        reader.clash("entra.tenant", problem, "Write the tenant's domain or id, here or as the account's tenant.");
    }
    let elsewhere =
        |account: &Account| account.via == Via::App && account.tenant.as_deref().is_some_and(|own| Some(own) != tenant);
    if let Some((name, _)) = accounts.accounts.iter().find(|(_, account)| by_identity && elsewhere(account)) {
        let problem = "is another tenant than the managed identity's, which reads its own tenant alone";
        let remedy = "Write managed_identity: { as: application }, or leave the account's tenant out.";
        reader.clash(&format!("accounts.{name}.tenant"), problem, remedy);
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
