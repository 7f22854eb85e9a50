//! What people have granted to applications: refresh tokens, their rotation, and their end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::World;
use super::authorize::Codes;
use super::device::Devices;
use super::directory::{Consent, Directory, Refusal};
use super::errors::Fail;
use super::tokens::{Access, AccessTokens, Holder, id_token, opaque};

/// How many of a grant's used refresh tokens are remembered.
const REMEMBERED: usize = 16;

/// Permissions that Graph knows, as far as presence needs them.
pub(super) const GRAPH: &[&str] = &[
    "Presence.Read",
    "Presence.Read.All",
    "Presence.ReadWrite",
    "Presence.ReadWrite.All",
    "User.Read",
    "User.Read.All",
    "User.ReadBasic.All",
];
/// Scopes of OpenID Connect, which need no consent of their own.
const OPENID: &[&str] = &["openid", "profile", "email", "offline_access"];
/// Graph in each cloud: a scope may be written with its resource.
pub(super) const RESOURCES: &[&str] = &[
    "https://graph.microsoft.com/",
    "https://graph.microsoft.us/",
    "https://dod-graph.microsoft.us/",
    "https://microsoftgraph.chinacloudapi.cn/",
];

/// Scopes that were asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Scopes {
    graph: Vec<String>,
    openid: bool,
    offline: bool,
    profile: bool,
}

impl Scopes {
    pub(super) fn parse(text: &str) -> Result<Self, Fail> {
        let mut scopes = Self::default();
        for word in text.split_whitespace() {
            let bare = RESOURCES.iter().find_map(|resource| word.strip_prefix(resource)).unwrap_or(word);
            if let Some(known) = OPENID.iter().find(|known| known.eq_ignore_ascii_case(bare)) {
                scopes.openid |= *known == "openid";
                scopes.offline |= *known == "offline_access";
                scopes.profile |= *known == "profile";
            } else if bare == ".default" {
                scopes.graph.push(bare.to_owned());
            } else {
                let known = GRAPH.iter().find(|known| known.eq_ignore_ascii_case(bare));
                scopes.graph.push((*known.ok_or_else(|| Fail::unknown_scope(bare))?).to_owned());
            }
        }
        Ok(scopes)
    }

    /// The permissions among them to which nobody has consented.
    pub(super) fn missing(&self, consent: Option<&Consent>) -> Vec<String> {
        let has = |scope: &String| scope == ".default" || consent.is_some_and(|c| c.delegated.contains(scope));
        self.graph.iter().filter(|scope| !has(scope)).cloned().collect()
    }
}

/// What a sign-in is asked for.
pub(super) struct Wanted<'a> {
    pub scopes: Scopes,
    pub nonce: Option<&'a str>,
    /// Whether it brings the claims of a challenge.
    pub claims: bool,
}

/// One sign-in of a person to an application.
struct Grant {
    person: usize,
    application: usize,
    by: By,
    scopes: Scopes,
    /// Whether the sign-in brought the claims of a challenge: then its refreshes do.
    claims: bool,
    revoked: bool,
    issued: VecDeque<String>,
}

/// By which way a person signed in: it decides which kind of client may refresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// By an authorization code: the platform of the redirect URI has decided for good.
    Code { public: bool },
    /// By a device code, which has no redirect URI: what counts is whether the application allows public client
    /// flows now (AADSTS700025 with a credential, AADSTS7000218 without one).
    Device,
}

struct Refresh {
    grant: usize,
    expires: Instant,
    used: bool,
}

/// Everything that was granted, and what is out because of it.
#[derive(Default)]
pub(super) struct Grants {
    pub access: AccessTokens,
    pub devices: Devices,
    pub codes: Codes,
    all: Vec<Grant>,
    refresh: HashMap<String, Refresh>,
}

impl Grant {
    fn is_public(&self, directory: &Directory) -> bool {
        match self.by {
            By::Code { public } => public,
            By::Device => directory.applications[self.application].public,
        }
    }
}

impl Grants {
    pub(super) fn secrets(&self) -> Vec<String> {
        let codes = self.devices.codes().chain(self.codes.all());
        self.access.all().chain(self.refresh.keys()).chain(codes).cloned().collect()
    }

    /// Whether a public client may refresh with this token.
    pub(super) fn is_public(&self, token: &str, application: usize, directory: &Directory) -> Result<bool, Fail> {
        let grant = self.refresh.get(token).map(|known| &self.all[known.grant]);
        let grant = grant.filter(|grant| grant.application == application).ok_or_else(Fail::grant_unknown)?;
        Ok(grant.is_public(directory))
    }
}

impl World {
    /// Ends a person's grants; only those of public clients where `public_only`.
    pub(super) fn revoke(&mut self, person: usize, public_only: bool) {
        let Self { directory, grants, .. } = self;
        for grant in grants.all.iter_mut().filter(|grant| grant.person == person) {
            grant.revoked |= !public_only || grant.is_public(directory);
        }
    }

    /// A person signs in to an application: the answer of the token endpoint.
    pub(super) fn sign_in(
        &mut self,
        base: &str,
        person: usize,
        application: usize,
        by: By,
        wanted: Wanted<'_>,
    ) -> Result<Value, Fail> {
        let Wanted { scopes, nonce, claims } = wanted;
        let scopes_now = scopes.clone();
        let grant = Grant { person, application, by, scopes, claims, revoked: false, issued: VecDeque::new() };
        self.grants.all.push(grant);
        let answer = self.issue(base, self.grants.all.len() - 1, &scopes_now, claims, nonce);
        if answer.is_err() {
            self.grants.all.pop();
        }
        answer
    }

    /// The answer of the token endpoint to a refresh token.
    pub(super) fn refresh(
        &mut self,
        base: &str,
        token: &str,
        scopes: Option<Scopes>,
        claims: bool,
    ) -> Result<Value, Fail> {
        let known = self.grants.refresh.get(token).ok_or_else(Fail::grant_unknown)?;
        let index = known.grant;
        let grant = &self.grants.all[index];
        let fail = match () {
            () if grant.revoked => Some(Fail::grant_revoked()),
            () if known.expires <= Instant::now() => Some(Fail::grant_expired()),
            () if known.used && self.rules.revoke_used => Some(Fail::grant_unknown()),
            // Microsoft's "Conditional Access: Authentication flows": protocol tracking is sustained through refreshes.
            () if grant.by == By::Device && self.bars_codes(grant.person) => Some(Fail::refused(Refusal::Policy)),
            () => None,
        };
        if let Some(fail) = fail {
            return Err(fail);
        }
        let mut scopes = scopes.unwrap_or_else(|| grant.scopes.clone());
        scopes.offline |= grant.scopes.offline;
        let claims = claims || grant.claims;
        let answer = self.issue(base, index, &scopes, claims, None)?;
        if let Some(known) = self.grants.refresh.get_mut(token) {
            known.used = true;
        }
        Ok(answer)
    }

    /// Whether a policy of the person's tenant forbids device codes.
    pub(super) fn bars_codes(&self, person: usize) -> bool {
        self.directory.tenants[self.directory.people[person].tenant].device_code_blocked
    }

    fn issue(
        &mut self,
        base: &str,
        index: usize,
        asked: &Scopes,
        claims: bool,
        nonce: Option<&str>,
    ) -> Result<Value, Fail> {
        let Self { rules, directory, grants, .. } = self;
        let grant = &grants.all[index];
        let person = &directory.people[grant.person];
        if let Some(refusal) = person.refusal {
            return Err(Fail::refused(refusal));
        }
        let application = &directory.applications[grant.application];
        let granted = granted(asked, directory.consent(grant.application, person.tenant).map(|c| &c.delegated))
            .ok_or_else(|| Fail::consent_needed(&application.client_id))?;
        let now = Instant::now();
        let access_token = opaque("eyJ0", rules.token_length);
        let mut answer = json!({
            "token_type": "Bearer",
            "scope": scope_text(&granted, asked),
            "expires_in": rules.access_token.as_secs(),
            "ext_expires_in": rules.access_token.as_secs(),
            "access_token": access_token,
        });
        if asked.offline {
            answer["refresh_token"] = json!(opaque("1.AX", rules.token_length));
        }
        if asked.openid {
            let tenant = &directory.tenants[person.tenant];
            let mut claims = json!({
                "aud": &*application.client_id,
                "iss": format!("{base}/{}/v2.0", tenant.id),
                "iat": jiff::Timestamp::now().as_second(),
                "exp": jiff::Timestamp::now().as_second() + 3_600,
                "sub": opaque("", 43),
                "tid": tenant.id,
                "ver": "2.0",
            });
            if let Some(nonce) = nonce {
                claims["nonce"] = json!(nonce);
            }
            if asked.profile {
                claims["oid"] = json!(person.id.as_str());
                claims["name"] = json!(person.name);
                claims["preferred_username"] = json!(&*person.upn);
            }
            answer["id_token"] = json!(id_token(&claims));
        }
        let access = Access {
            holder: Holder::Person(grant.person),
            application: grant.application,
            tenant: person.tenant,
            scopes: Arc::from(granted),
            expires: now + rules.access_token,
            claims,
        };
        grants.access.add(access_token, access);
        if let Some(token) = answer["refresh_token"].as_str() {
            grants.remember(index, token, now + rules.refresh_token);
        }
        Ok(answer)
    }
}

impl Grants {
    fn remember(&mut self, grant: usize, token: &str, expires: Instant) {
        let issued = &mut self.all[grant].issued;
        issued.push_back(token.to_owned());
        if issued.len() > REMEMBERED {
            issued.pop_front().map(|old| self.refresh.remove(&old));
        }
        self.refresh.insert(token.to_owned(), Refresh { grant, expires, used: false });
    }
}

/// What of the scopes asked for is granted: all, or nothing where consent is missing.
fn granted(asked: &Scopes, consented: Option<&HashSet<String>>) -> Option<Vec<String>> {
    let everything = || {
        let mut all: Vec<_> = consented.into_iter().flatten().cloned().collect();
        all.sort();
        all
    };
    if asked.graph.iter().any(|scope| scope == ".default") {
        return Some(everything()).filter(|all| !all.is_empty());
    }
    let missing = asked.graph.iter().any(|scope| !consented.is_some_and(|consented| consented.contains(scope)));
    (!missing).then(|| asked.graph.clone())
}

fn scope_text(granted: &[String], asked: &Scopes) -> String {
    let openid = [(asked.profile, "profile"), (asked.openid, "openid")];
    let openid = openid.into_iter().filter(|(asked, _)| *asked).map(|(_, word)| word);
    granted.iter().map(String::as_str).chain(openid).collect::<Vec<_>>().join(" ")
}
