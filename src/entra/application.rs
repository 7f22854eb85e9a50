//! The application in Entra: what it is configured as, and what it asks for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use oauth2::basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse};
use oauth2::{
    AuthType, ClientId, DeviceAuthorizationUrl, EndpointNotSet, EndpointSet, StandardRevocableToken, TokenUrl,
};
use url::Url;

use super::claims::Claims;
use super::clock::Watch;
use super::codes;
use super::credential::Own;
use super::issued::Answer;
use super::person;
use super::scopes::{Reads, Resource};
use super::subjects::Complaints;
use super::tenants::TenantIds;
use super::transport::{Proving, Transport};
use super::way_in::WayIn;
use super::{Trouble, reads};
use crate::presence::{AccountName, ObjectId};
use crate::settings::{Account, Settings, User, Via};
use crate::store::{Grant, Origin};

/// The oauth2 crate's client with Entra's token endpoint, and for codes with that of devices.
pub(super) type Client<Device = EndpointNotSet> = oauth2::Client<
    BasicErrorResponse,
    Answer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    Device,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// An account that signs in, as it is configured.
#[derive(Clone)]
pub(super) struct Configured {
    pub user: User,
    pub reads: Reads,
    /// Whether it may set its own presence; asked for at a sign-in, and kept where it was granted.
    pub writes: bool,
    tenant: Option<Box<str>>,
}

/// The application, and the accounts that sign in to it.
pub(super) struct Application {
    authority: Url,
    tenant: String,
    client_id: String,
    own: Own,
    resource: Resource,
    accounts: HashMap<AccountName, Configured>,
    /// Where people may enrol: those whom the configuration names besides.
    others: Vec<(AccountName, Account)>,
    enrolment: Vec<String>,
    enrolled: Mutex<Vec<ObjectId>>,
    way_in: WayIn,
    /// What Entra or Graph asks of somebody's next sign-in.
    claims: Claims,
    complaints: Complaints,
    tenants: TenantIds,
    http: reqwest::Client,
    /// The wall clock, by which assertions are dated.
    clock: fn() -> Timestamp,
    watch: Watch,
}

impl Application {
    pub(super) fn new(settings: &Settings, http: reqwest::Client, clock: fn() -> Timestamp) -> Result<Self, Trouble> {
        let entra = settings.entra.as_ref().ok_or_else(|| {
            Trouble::misconfigured("entra: missing, but accounts need it: set entra.tenant and entra.client_id")
        })?;
        let reads = reads(settings);
        let signing_in = settings.accounts.iter().filter(|(_, account)| account.via == Via::SignIn);
        let accounts = signing_in.map(|(name, account)| {
            let reads = reads.get(name).copied().unwrap_or_default();
            let writes = settings.graph.write;
            (name.clone(), Configured { user: account.user.clone(), tenant: account.tenant.clone(), reads, writes })
        });
        // Whoever enrols may be one of them; nobody else asks.
        let enrols = !settings.web.enrol.is_empty();
        let others = settings.accounts.iter().filter(|(_, account)| enrols && account.via != Via::SignIn);
        Ok(Self {
            authority: entra.authority.clone(),
            tenant: entra.tenant.clone(),
            client_id: entra.client_id.clone(),
            own: Own::new(entra, &http)?,
            resource: Resource::of(&settings.graph.endpoint),
            accounts: accounts.collect(),
            others: others.map(|(name, account)| (name.clone(), account.clone())).collect(),
            enrolment: settings.web.enrol.clone(),
            enrolled: Mutex::default(),
            way_in: WayIn::of(settings),
            claims: Claims::default(),
            complaints: Complaints::default(),
            tenants: TenantIds::default(),
            http,
            clock,
            watch: Watch::new(clock),
        })
    }

    /// An account that signs in.
    pub(super) fn account(&self, name: &AccountName) -> Result<&Configured, Trouble> {
        self.accounts.get(name).ok_or_else(|| {
            Trouble::misconfigured(format!("account {name}: not configured as one that signs in itself"))
        })
    }

    /// Whether this machine's clock is right.
    pub(super) fn watch(&self) -> &Watch {
        &self.watch
    }

    /// Whether the application proves itself.
    pub(super) fn is_confidential(&self) -> bool {
        self.own.credential().is_some()
    }

    /// Whether Entra refuses the application because it takes it for the other kind of client than the one that
    /// asked, and it can come as that: one application can be both. Nothing is used up by such a refusal.
    pub(super) fn is_the_other_kind(&self, confidential: bool, transport: &Transport<'_>) -> bool {
        let is = |number| transport.refusal().is_some_and(|refusal| refusal.has(number));
        if confidential { is(codes::PUBLIC) } else { is(codes::CONFIDENTIAL) && self.is_confidential() }
    }

    /// What somebody is asked for who reads this, and perhaps sets their own.
    pub(super) fn scopes_for(&self, reads: Reads, writes: bool) -> Vec<String> {
        self.resource.delegated(reads, writes)
    }

    /// Whoever holds a grant: the account as it is configured, or somebody who enrolled and reads their
    /// own presence in their own tenant.
    pub(super) fn party(&self, grant: &Grant) -> Result<Cow<'_, Configured>, Trouble> {
        match grant.origin {
            Origin::Configured => self.account(&grant.account).map(Cow::Borrowed),
            Origin::Enrolled => Ok(Cow::Owned(Configured {
                user: User::Id(grant.object_id),
                reads: Reads::Itself,
                writes: false,
                tenant: Some(grant.tenant_id.as_str().into()),
            })),
        }
    }

    /// The user of an account as the configuration names them.
    pub(super) fn user_text(&self, name: &AccountName) -> Result<String, Trouble> {
        Ok(person::text(&self.account(name)?.user))
    }

    /// Where people are told to sign in.
    pub(super) fn way_in(&self) -> &WayIn {
        &self.way_in
    }

    /// The tenant of accounts that name none.
    pub(super) fn home(&self) -> &str {
        &self.tenant
    }

    /// The tenants of those who enrolled, as the store said last: they may leave, whoever may enrol now.
    pub(super) fn enrolled(&self) -> MutexGuard<'_, Vec<ObjectId>> {
        self.enrolled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is asked of people's next sign-in.
    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What strangers are not told.
    pub(super) fn complaints(&self) -> &Complaints {
        &self.complaints
    }

    pub(super) fn tenants(&self) -> &TenantIds {
        &self.tenants
    }

    /// Where people may enrol: everybody whom the configuration names, and their tenant.
    pub(super) fn configured(&self) -> impl Iterator<Item = (&AccountName, &User, &str)> {
        let own = self.accounts.iter().map(|(name, own)| (name, &own.user, self.tenant_of(own)));
        own.chain(
            self.others
                .iter()
                .map(|(name, other)| (name, &other.user, other.tenant.as_deref().unwrap_or(&self.tenant))),
        )
    }

    /// Whether the configuration has an account of this name.
    pub(super) fn names(&self, account: &AccountName) -> bool {
        self.configured().any(|(name, ..)| name == account)
    }

    /// The application's credential or what stands in its place.
    pub(super) fn own(&self) -> &Own {
        &self.own
    }

    pub(super) fn resource(&self) -> Resource {
        self.resource
    }

    pub(super) fn authority(&self) -> &Url {
        &self.authority
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The tenants whose people may add themselves.
    pub(super) fn enrolment(&self) -> &[String] {
        &self.enrolment
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(super) fn tenant_of<'a>(&'a self, configured: &'a Configured) -> &'a str {
        configured.tenant.as_deref().unwrap_or(&self.tenant)
    }

    /// Where administrators consent to what stands under API permissions. Not `/v2.0/adminconsent`, though it could ask
    /// for less: it wants a registered redirect URI, and an application for codes alone has none.
    pub(super) fn consent_url(&self, tenant: &str) -> String {
        let mut url = self.at(tenant, &["adminconsent"]);
        url.query_pairs_mut().append_pair("client_id", &self.client_id);
        url.into()
    }

    /// Makes the requests that `transport` carries.
    pub(super) fn client(&self, transport: &Transport<'_>) -> Client {
        oauth2::Client::new(ClientId::new(self.client_id.clone()))
            .set_auth_type(AuthType::RequestBody)
            .set_token_uri(TokenUrl::from_url(transport.token_endpoint().clone()))
    }

    /// The same where a code is asked for.
    pub(super) fn device_client(&self, tenant: &str, transport: &Transport<'_>) -> Client<EndpointSet> {
        let device = self.at(tenant, &["oauth2", "v2.0", "devicecode"]);
        self.client(transport).set_device_authorization_url(DeviceAuthorizationUrl::from_url(device))
    }

    /// What carries a tenant's requests. A public client's shows no credential, even where there is one.
    pub(super) fn transport(&self, tenant: &str, confidential: bool) -> Transport<'_> {
        let credential = self.own.credential().filter(|_| confidential);
        let proving =
            credential.map(|credential| Proving { credential, client_id: &self.client_id, clock: self.clock });
        Transport::new(&self.http, &self.watch, self.at(tenant, &["oauth2", "v2.0", "token"]), proving)
    }

    pub(super) fn at(&self, tenant: &str, path: &[&str]) -> Url {
        let mut url = self.authority.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(tenant).extend(path);
        }
        url
    }
}
