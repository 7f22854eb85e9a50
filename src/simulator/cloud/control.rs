//! The hand that moves the simulated world: who there is, what they show, what they grant.
//!
//! A person, tenant or application that the directory does not know is a mistake of the caller: these methods panic.

use std::time::Instant;

use serde_json::Value;

use super::device::CodeError;
use super::directory::{Application, Refusal};
use super::grants::{By, Scopes, Wanted};
use super::presence::{Shown, Told};
use super::tokens::{Access, Holder};
use super::{Cloud, World};
use crate::presence::ObjectId;
use crate::simulator::guid::guid;

impl World {
    fn person(&self, name: &str) -> usize {
        self.directory.person(name).unwrap_or_else(|| panic!("the simulated directory has no person {name:?}"))
    }

    fn tenant(&self, name: &str) -> usize {
        self.directory.tenant(name).unwrap_or_else(|| panic!("the simulated directory has no tenant {name:?}"))
    }

    fn application(&self, client_id: &str) -> usize {
        let found = self.directory.application(client_id);
        found.unwrap_or_else(|| panic!("the simulated directory has no application {client_id:?}"))
    }
}

/// Who there is.
impl Cloud {
    /// A new tenant with this domain; answers with its id.
    pub fn add_tenant(&self, domain: &str) -> String {
        let id = guid();
        self.add_tenant_as(&id, domain);
        id
    }

    /// The same, with this id, such as the one to which all personal accounts belong.
    pub fn add_tenant_as(&self, id: &str, domain: &str) {
        self.shared.world().directory.add_tenant(domain, id.to_owned());
    }

    /// One more domain of a tenant.
    pub fn add_domain(&self, tenant: &str, domain: &str) {
        let mut world = self.shared.world();
        let tenant = world.tenant(tenant);
        world.directory.tenants[tenant].others.push(domain.to_owned());
    }

    /// A tenant lives in the cloud of the US government.
    pub fn move_to_government(&self, tenant: &str) {
        let mut world = self.shared.world();
        let tenant = world.tenant(tenant);
        world.directory.tenants[tenant].elsewhere = Some(("login.microsoftonline.us", "MicrosoftOnline.US"));
    }

    /// Registers an application in its home tenant, which must be there.
    pub fn add_application(&self, application: Application) {
        let mut world = self.shared.world();
        let home = world.tenant(&application.home);
        world.directory.add_application(application, home);
    }

    /// A person of the tenant whose domain the user principal name ends in; shows Offline until told otherwise.
    pub fn add_person(&self, upn: &str, name: &str) -> ObjectId {
        let id = guid().parse().expect("a GUID");
        self.add_person_as(id, upn, name);
        id
    }

    /// The same, with this object id.
    pub fn add_person_as(&self, id: ObjectId, upn: &str, name: &str) {
        let mut world = self.shared.world();
        let tenant = world.tenant(upn.rsplit('@').next().unwrap_or_default());
        world.directory.add_person(id, upn, name, tenant);
    }

    /// A guest in a tenant, who keeps the user principal name that they have in their own.
    pub fn add_guest(&self, upn: &str, tenant: &str) -> ObjectId {
        let id = guid().parse().expect("a GUID");
        let mut world = self.shared.world();
        let tenant = world.tenant(tenant);
        world.directory.add_guest(id, upn, tenant);
        id
    }

    /// A tenant's id, by its domain.
    pub fn tenant_id(&self, domain: &str) -> ObjectId {
        let world = self.shared.world();
        world.directory.tenants[world.tenant(domain)].id.parse().expect("a GUID")
    }

    /// A person's object id.
    pub fn person_id(&self, upn: &str) -> ObjectId {
        let world = self.shared.world();
        world.directory.people[world.person(upn)].id
    }

    /// A tenant consents to delegated permissions of an application.
    pub fn consent(&self, client_id: &str, tenant: &str, scopes: &[&str]) {
        self.with_consent(client_id, tenant, |consent| {
            consent.delegated.extend(scopes.iter().map(|s| (*s).to_owned()))
        });
    }

    /// A tenant's administrator consents to application permissions.
    pub fn consent_roles(&self, client_id: &str, tenant: &str, roles: &[&str]) {
        self.with_consent(client_id, tenant, |consent| consent.roles.extend(roles.iter().map(|s| (*s).to_owned())));
    }

    /// A tenant takes back all that it has consented to. Tokens that are out stay good.
    pub fn withdraw_consent(&self, client_id: &str, tenant: &str) {
        self.with_consent(client_id, tenant, |consent| *consent = super::directory::Consent::default());
    }

    fn with_consent(&self, client_id: &str, tenant: &str, change: impl FnOnce(&mut super::directory::Consent)) {
        let mut world = self.shared.world();
        let (application, tenant) = (world.application(client_id), world.tenant(tenant));
        change(world.directory.consent_mut(application, tenant));
    }
}

/// What people show. Persons are named by user principal name or object id.
impl Cloud {
    /// Sets a person's status. The notes beside it stay.
    pub fn set_presence(&self, person: &str, availability: &str, activity: &str) {
        self.change(person, |shown| {
            shown.availability = availability.to_owned();
            shown.activity = activity.to_owned();
        });
    }

    /// Changes whatever a person shows, odd fields and words included.
    pub fn change(&self, person: &str, change: impl FnOnce(&mut Shown)) {
        let mut world = self.shared.world();
        let index = world.person(person);
        let person = &mut world.directory.people[index];
        change(&mut person.shown);
        person.show();
    }

    /// Lets Graph answer with this JSON as the person's presence, whatever it is, until the next change.
    pub fn set_raw_presence(&self, person: &str, json: &Value) {
        let mut world = self.shared.world();
        let index = world.person(person);
        world.directory.people[index].told = Told::raw(json);
    }

    /// When an answer of Graph first carried what the person shows now.
    pub fn first_told(&self, person: &str) -> Option<Instant> {
        let world = self.shared.world();
        world.directory.people[world.person(person)].first_told()
    }

    /// How many presences Graph has told, each counted once, over all people.
    pub fn told(&self) -> usize {
        self.shared.world().told
    }
}

/// What people and administrators grant and take.
impl Cloud {
    /// The user codes that wait for somebody to type them, the oldest first.
    pub fn pending_codes(&self) -> Vec<String> {
        self.shared.world().grants.devices.pending()
    }

    /// A person types the code and approves.
    pub fn approve(&self, user_code: &str, person: &str) -> Result<(), CodeError> {
        let mut world = self.shared.world();
        let person = world.person(person);
        world.approve(user_code, person)
    }

    /// A person types the code and declines.
    pub fn decline(&self, user_code: &str) -> Result<(), CodeError> {
        self.shared.world().grants.devices.decline(user_code)
    }

    /// The time of all device codes is over.
    pub fn expire_codes(&self) {
        self.shared.world().grants.devices.expire();
    }

    /// The time of all authorization codes is over.
    pub fn expire_authorization_codes(&self) {
        self.shared.world().grants.codes.expire();
    }

    /// Device codes of people of this tenant are refused by policy (53003), and the refreshes of what was signed in by
    /// one; or not any more.
    pub fn block_device_code(&self, tenant: &str, blocked: bool) {
        let mut world = self.shared.world();
        let tenant = world.tenant(tenant);
        world.directory.tenants[tenant].device_code_blocked = blocked;
    }

    /// "Allow public client flows" of an application is switched.
    pub fn allow_public_flows(&self, client_id: &str, allowed: bool) {
        let mut world = self.shared.world();
        let application = world.application(client_id);
        world.directory.applications[application].public = allowed;
    }

    /// What the token endpoint would answer, had the person signed in: `access_token`, `refresh_token`, `id_token`.
    ///
    /// By a device code: as a public client, or with the secret where the application has no public flows.
    pub fn sign_in(&self, client_id: &str, person: &str, scope: &str) -> Value {
        let mut world = self.shared.world();
        let (application, person) = (world.application(client_id), world.person(person));
        let scopes = Scopes::parse(scope).unwrap_or_else(|fail| panic!("{fail:?}"));
        let wanted = Wanted { scopes, nonce: None, claims: false };
        let answer = world.sign_in(self.shared.base(), person, application, By::Device, wanted);
        answer.unwrap_or_else(|fail| panic!("{fail:?}"))
    }

    /// Every access token, refresh token, device code and authorization code that is out: what nobody may read anywhere.
    pub fn secrets(&self) -> Vec<String> {
        let world = self.shared.world();
        world.grants.secrets().into_iter().chain(world.identities.confidential().cloned()).collect()
    }

    /// An administrator revokes a person's grants, or resets the password: every refresh token is refused (50173).
    pub fn revoke(&self, person: &str) {
        let mut world = self.shared.world();
        let person = world.person(person);
        world.revoke(person, false);
    }

    /// The person changes the password: only public clients lose their grants.
    pub fn change_password(&self, person: &str) {
        let mut world = self.shared.world();
        let person = world.person(person);
        world.revoke(person, true);
    }

    /// Entra gives the person no token for this reason, or gives them again (none).
    pub fn refuse(&self, person: &str, refusal: Option<Refusal>) {
        let mut world = self.shared.world();
        let person = world.person(person);
        world.directory.people[person].refusal = refusal;
    }

    /// Graph challenges the person's tokens that were not asked for with claims (401, insufficient_claims), or not any more.
    pub fn challenge(&self, person: &str, challenged: bool) {
        let mut world = self.shared.world();
        let person = world.person(person);
        world.directory.people[person].challenged = challenged;
    }

    /// The time of a person's access tokens is over.
    pub fn expire_access_tokens(&self, person: &str) {
        let mut world = self.shared.world();
        let holder = Holder::Person(world.person(person));
        world.grants.access.expire(|access| access.holder == holder);
    }

    /// The time of an application's own access tokens is over.
    pub fn expire_application_tokens(&self, client_id: &str) {
        let mut world = self.shared.world();
        let application = world.application(client_id);
        let own = |access: &Access| access.holder == Holder::Application && access.application == application;
        world.grants.access.expire(own);
    }
}

/// What Azure hands to processes on its machines.
impl Cloud {
    /// This machine has this managed identity from now on: its own (system-assigned), or one of several.
    pub fn assign_identity(&self, client_id: &str, system: bool) {
        let mut world = self.shared.world();
        let application = world.application(client_id);
        world.identities.assign(application, system);
    }

    /// What managed identities were handed out was handed out so much earlier; until shortly before its end it is again.
    pub fn age_identity_tokens(&self, by: std::time::Duration) {
        self.shared.world().identities.age(by);
    }

    /// What App Service and Container Apps put into `IDENTITY_HEADER`.
    pub fn identity_header(&self) -> String {
        self.shared.world().identities.header().to_owned()
    }

    /// Azure Arc's agent names this key file, whose content it wants to see.
    pub fn arc_key(&self, file: &str, content: &str) {
        self.shared.world().identities.set_arc(file, content);
    }

    /// A token about a subject as Kubernetes would write it to a pod's file.
    pub fn federated_token(&self, subject: &str) -> String {
        self.shared.world().identities.vouch(subject, "api://AzureADTokenExchange")
    }

    /// The URL of a key vault.
    pub fn vault(&self) -> String {
        self.shared.base().to_owned()
    }

    /// Puts a secret into the key vault, or a new version of it.
    pub fn put_secret(&self, name: &str, value: &str) {
        self.shared.world().identities.put(name, value);
    }

    /// The key vault knows these versions of its API, the newest last.
    pub fn vault_knows(&self, versions: &[&'static str]) {
        self.shared.world().identities.knows(versions);
    }

    /// An identity or application may read the key vault from now on.
    pub fn let_read_vault(&self, client_id: &str) {
        let mut world = self.shared.world();
        let application = world.application(client_id);
        world.identities.let_read(application);
    }
}
