//! Who there is: tenants, applications, people; and what each may do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

use super::assertion::Registered;
use super::preferred::Preferred;
use super::presence::{Shown, Told};
use crate::presence::ObjectId;

/// An application's registration.
#[derive(Debug, Clone)]
pub struct Application {
    pub(super) client_id: Arc<str>,
    pub(super) home: String,
    pub(super) multi_tenant: bool,
    pub(super) public: bool,
    pub(super) secrets: Vec<String>,
    pub(super) expired_secrets: Vec<String>,
    pub(super) certificates: Vec<Registered>,
    pub(super) redirects: Vec<(Platform, String)>,
    /// Subjects of other identity providers' tokens.
    pub(super) trusted: Vec<String>,
    pub(super) delegated: Vec<String>,
    pub(super) roles: Vec<String>,
}

impl Application {
    /// A public client (`allow public client flows`) of one tenant, without any permission.
    pub fn public(client_id: &str, tenant: &str) -> Self {
        Self {
            client_id: client_id.into(),
            home: tenant.to_owned(),
            multi_tenant: false,
            public: true,
            secrets: Vec::new(),
            expired_secrets: Vec::new(),
            certificates: Vec::new(),
            redirects: Vec::new(),
            trusted: Vec::new(),
            delegated: Vec::new(),
            roles: Vec::new(),
        }
    }

    /// A confidential client of one tenant with a secret, without any permission.
    pub fn confidential(client_id: &str, tenant: &str, secret: &str) -> Self {
        Self { public: false, secrets: vec![secret.to_owned()], ..Self::public(client_id, tenant) }
    }

    /// With one more secret.
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// With a secret whose time is over.
    pub fn expired_secret(mut self, secret: &str) -> Self {
        self.expired_secrets.push(secret.to_owned());
        self
    }

    /// With `allow public client flows`, whatever credentials it has.
    pub fn public_flows(self) -> Self {
        Self { public: true, ..self }
    }

    /// With a certificate (DER) instead of a secret, or beside it. Then public flows are off.
    pub fn certificate(mut self, der: &[u8]) -> Self {
        self.certificates.push(Registered::new(der));
        Self { public: false, ..self }
    }

    /// With a redirect URI. `http://localhost` stands for every port of it.
    pub fn redirect(mut self, platform: Platform, uri: &str) -> Self {
        self.redirects.push((platform, uri.to_owned()));
        self
    }

    /// Under which platform a redirect URI is registered: compared letter by letter, but for localhost's port.
    pub(super) fn platform_of(&self, uri: &str) -> Option<Platform> {
        let is = |registered: &str| {
            registered == uri || without_port(registered).is_some_and(|r| Some(r) == without_port(uri))
        };
        self.redirects.iter().find(|(_, registered)| is(registered)).map(|(platform, _)| *platform)
    }

    /// With a federated credential for this subject. Then public flows are off.
    pub fn trusts(mut self, subject: &str) -> Self {
        self.trusted.push(subject.to_owned());
        Self { public: false, ..self }
    }

    /// A managed identity of a tenant: it has no credential of its own.
    pub fn identity(client_id: &str, tenant: &str) -> Self {
        Self { public: false, ..Self::public(client_id, tenant) }
    }

    /// Open to every tenant, and to `organizations` and `common`.
    pub fn multi_tenant(mut self) -> Self {
        self.multi_tenant = true;
        self
    }

    /// The delegated permissions to which the home tenant has consented, such as `Presence.Read`.
    pub fn delegated(mut self, scopes: &[&str]) -> Self {
        self.delegated.extend(scopes.iter().map(|scope| (*scope).to_owned()));
        self
    }

    /// The application permissions to which the home tenant's administrator has consented.
    pub fn roles(mut self, roles: &[&str]) -> Self {
        self.roles.extend(roles.iter().map(|role| (*role).to_owned()));
        self
    }
}

/// `http://localhost` and the path, where it is that.
fn without_port(uri: &str) -> Option<String> {
    let rest = uri.strip_prefix("http://localhost")?;
    let (port, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    is_port.then(|| format!("http://localhost{path}"))
}

/// Which kind of client a redirect URI makes of the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// A confidential client: it must show a credential.
    Web,
    /// `Mobile and desktop applications`: a public client, which must show none.
    Desktop,
    /// `Single-page application`: its codes are redeemed by scripts in browsers alone.
    SinglePage,
}

/// Why Entra gives a person no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A Conditional Access policy (53003); signing in again does not help.
    Policy,
    /// More factors are asked for (50076), with claims.
    MoreFactors,
    /// The same, for which the sign-in itself has to bring Entra's claims: another one does not help.
    Claims,
    /// The password's time is over (50055).
    PasswordExpired,
    /// The person has to sign in more often (70043).
    SignInFrequency,
    /// The person was disabled (50057).
    Disabled,
    /// Entra cannot serve this now (90033).
    Transient,
}

pub(super) struct Tenant {
    pub id: String,
    pub domain: String,
    /// Entra's host and name of another cloud, where it lives there.
    pub elsewhere: Option<(&'static str, &'static str)>,
    /// Its further domains.
    pub others: Vec<String>,
    /// By a policy on authentication flows, which holds for what came of codes too.
    pub device_code_blocked: bool,
}

pub(super) struct Person {
    pub id: ObjectId,
    pub upn: Arc<str>,
    pub name: String,
    pub tenant: usize,
    pub shown: Shown,
    pub sequence: u64,
    pub told: Told,
    /// What the person prefers to show, and until when.
    pub preferred: Option<Preferred>,
    /// When the status message that the person set ends.
    pub message_ends: Option<Timestamp>,
    pub refusal: Option<Refusal>,
    /// Tokens without claims get a claims challenge.
    pub challenged: bool,
}

/// What the first segment of an Entra URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Realm {
    One(usize),
    /// `organizations` and `common`
    Any,
}

/// What a tenant has consented to for an application.
#[derive(Debug, Default)]
pub(super) struct Consent {
    pub delegated: HashSet<String>,
    pub roles: HashSet<String>,
}

#[derive(Default)]
pub(super) struct Directory {
    pub tenants: Vec<Tenant>,
    pub applications: Vec<Application>,
    pub people: Vec<Person>,
    consents: HashMap<(usize, usize), Consent>,
    by_id: HashMap<ObjectId, usize>,
    by_upn: HashMap<String, usize>,
}

impl Directory {
    pub(super) fn realm(&self, segment: &str) -> Option<Realm> {
        match segment {
            "organizations" | "common" => Some(Realm::Any),
            _ => self.tenant(segment).map(Realm::One),
        }
    }

    /// By domain or id.
    pub(super) fn tenant(&self, name: &str) -> Option<usize> {
        let is = |own: &String| own.eq_ignore_ascii_case(name);
        self.tenants.iter().position(|tenant| is(&tenant.domain) || is(&tenant.id) || tenant.others.iter().any(is))
    }

    pub(super) fn application(&self, client_id: &str) -> Option<usize> {
        self.applications.iter().position(|application| application.client_id.eq_ignore_ascii_case(client_id))
    }

    pub(super) fn person_by_id(&self, id: ObjectId) -> Option<usize> {
        self.by_id.get(&id).copied()
    }

    /// By user principal name or object id.
    pub(super) fn person(&self, name: &str) -> Option<usize> {
        match name.parse() {
            Ok(id) => self.person_by_id(id),
            Err(_) => self.by_upn.get(&name.to_lowercase()).copied(),
        }
    }

    pub(super) fn consent(&self, application: usize, tenant: usize) -> Option<&Consent> {
        self.consents.get(&(application, tenant))
    }

    pub(super) fn consent_mut(&mut self, application: usize, tenant: usize) -> &mut Consent {
        self.consents.entry((application, tenant)).or_default()
    }

    pub(super) fn add_tenant(&mut self, domain: &str, id: String) {
        self.tenants.push(Tenant {
            id,
            domain: domain.to_owned(),
            elsewhere: None,
            others: Vec::new(),
            device_code_blocked: false,
        });
    }

    pub(super) fn add_application(&mut self, application: Application, home: usize) {
        let index = self.applications.len();
        let consent = self.consent_mut(index, home);
        consent.delegated.extend(application.delegated.iter().cloned());
        consent.roles.extend(application.roles.iter().cloned());
        self.applications.push(application);
    }

    /// Of another tenant, whose name there stays theirs: here the id alone names them.
    pub(super) fn add_guest(&mut self, id: ObjectId, upn: &str, tenant: usize) {
        let at_home = self.by_upn.get(&upn.to_lowercase()).copied();
        self.add_person(id, upn, upn, tenant);
        self.by_upn.extend(at_home.map(|home| (upn.to_lowercase(), home)));
    }

    pub(super) fn add_person(&mut self, id: ObjectId, upn: &str, name: &str, tenant: usize) {
        let shown = Shown::new("Offline", "Offline");
        let told = Told::new(&shown, &id.as_str(), 1);
        self.by_id.insert(id, self.people.len());
        self.by_upn.insert(upn.to_lowercase(), self.people.len());
        self.people.push(Person {
            id,
            upn: upn.into(),
            name: name.to_owned(),
            tenant,
            shown,
            sequence: 1,
            told,
            preferred: None,
            message_ends: None,
            refusal: None,
            challenged: false,
        });
    }
}

impl Person {
    /// A sign-in, which may bring the claims that Entra asked for.
    pub(super) fn signs_in(&mut self, brings_claims: bool) {
        self.refusal = self.refusal.filter(|refusal| *refusal != Refusal::Claims || !brings_claims);
    }

    /// Shows what `shown` says from now on, under a higher sequence number.
    pub(super) fn show(&mut self) {
        self.sequence += 1;
        self.told = Told::new(&self.preferring(), &self.id.as_str(), self.sequence);
    }

    /// When anybody was first told what the person shows now.
    pub(super) fn first_told(&self) -> Option<Instant> {
        self.told.first.get().copied()
    }
}
