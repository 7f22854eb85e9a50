//! The authorization code's two requests: the page at Entra that a browser is sent to, and the code's redemption.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use oauth2::{AuthorizationCode, PkceCodeVerifier, RedirectUrl};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::answers::Subject;
use super::application::Application;
use super::browser::{Browser, Errand};
use super::claims::Whose;
use super::codes;
use super::issued::Issued;
use super::{Reads, Tokens, Trouble};
use crate::settings::User;

/// The pauses before a code is shown again that Entra could not take: it is good for ten minutes, and somebody waits.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// The longest pause that Entra may ask for, that somebody who waits is let wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// For what somebody is asked to sign in.
pub(super) struct Asking {
    pub tenant: String,
    pub scopes: Vec<String>,
    hint: Option<String>,
    /// What the sign-in has to bring besides, JSON.
    pub claims: Option<Arc<str>>,
    /// Whom troubles name.
    pub subject: Subject,
}

/// What a browser is sent to Entra with.
pub(super) struct Authorization<'a> {
    pub redirect_uri: &'a Url,
    pub state: &'a str,
    pub nonce: &'a str,
    /// The verifier's SHA-256.
    pub challenge: &'a str,
}

impl Tokens {
    /// Whom Entra's page is to begin with where the configuration names an id: whoever signed in last, if it was them.
    pub(super) async fn hinted(&self, errand: &Errand, asking: Asking) -> Asking {
        let Errand::Account(name) = errand else { return asking };
        let Ok(User::Id(id)) = self.application().account(name).map(|account| account.user.clone()) else {
            return asking;
        };
        let held = self.caches().holder(name).await.ok().flatten().filter(|held| held.object_id == id);
        Asking { hint: held.map(|held| held.username), ..asking }
    }
}

impl Application {
    /// What an errand asks for: exactly what it needs.
    pub(super) fn asking(&self, errand: &Errand) -> Result<Asking, Trouble> {
        if let Errand::Account(name) = errand {
            let configured = self.account(name)?;
            return Ok(Asking {
                tenant: self.tenant_of(configured).to_owned(),
                scopes: self.scopes_for(configured.reads, configured.writes),
                hint: match &configured.user {
                    User::Name(user) => Some(user.to_string()),
                    User::Id(_) => None,
                },
                claims: self.claims().of(name),
                subject: self.subject(name),
            });
        }
        if *errand == Errand::Leave {
            let tenant = self.leaving_tenant();
            let tenant = tenant.ok_or_else(|| Trouble::misconfigured("nobody has enrolled here who could leave"))?;
            let scopes = ["openid", "profile"].map(str::to_owned).to_vec();
            // It reads nothing: nobody's approval is missing.
            let subject = Subject { may_take_approval: false, ..self.newcomer() };
            return Ok(Asking { tenant, scopes, hint: None, claims: None, subject });
        }
        if self.enrolment().is_empty() {
            return Err(Trouble::misconfigured("nobody may enrol here: web.enrol.tenants is empty"));
        }
        let scopes = self.scopes_for(Reads::Itself, false);
        let tenant = self.enrolment_tenant().to_owned();
        Ok(Asking { tenant, scopes, hint: None, claims: None, subject: self.newcomer() })
    }

    /// The same for whoever has this browser: what was found to be asked of them when they last came, they bring now.
    pub(super) fn asking_in(&self, errand: &Errand, browser: Option<Browser>) -> Result<Asking, Trouble> {
        let claims = Whose::of(errand, browser).and_then(|whose| self.claims().of(whose));
        Ok(Asking { claims, ..self.asking(errand)? })
    }

    /// The same once all is there that it takes: nobody is sent to Microsoft with or for a code that could not be redeemed.
    pub(super) async fn ready(&self, errand: &Errand, browser: Option<Browser>) -> Result<Asking, Trouble> {
        self.find_tenant(errand).await;
        let asking = self.asking_in(errand, browser)?;
        self.transport(&asking.tenant, true).rehearse().await.map_err(|own| self.told(&asking.subject, own))?;
        Ok(asking)
    }

    /// Entra's page for a sign-in. `prompt` is Entra's own word for what it is to ask in any case.
    pub(super) fn authorization_url(&self, asking: &Asking, with: &Authorization<'_>, prompt: Option<&str>) -> Url {
        let mut url = self.at(&asking.tenant, &["oauth2", "v2.0", "authorize"]);
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", self.client_id())
            .append_pair("response_type", "code")
            .append_pair("response_mode", "form_post")
            .append_pair("redirect_uri", with.redirect_uri.as_str())
            .append_pair("scope", &asking.scopes.join(" "))
            .append_pair("state", with.state)
            .append_pair("nonce", with.nonce)
            .append_pair("code_challenge", with.challenge)
            .append_pair("code_challenge_method", "S256");
        match (&asking.hint, prompt) {
            (Some(hint), None) => query.append_pair("login_hint", hint),
            // Without a hint, a browser that is signed in as somebody would take that person without a question.
            (_, prompt) => query.append_pair("prompt", prompt.unwrap_or("select_account")),
        };
        if let Some(claims) = &asking.claims {
            query.append_pair("claims", claims);
        }
        drop(query);
        url
    }

    /// Redeems a code; and says whether as a confidential client.
    ///
    /// An application can be both: which one counts is decided by the platform of the redirect URI.
    pub(super) async fn redeem(
        &self,
        whose: Option<Whose<'_>>,
        asking: &Asking,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &Url,
    ) -> Result<(Issued, bool), Trouble> {
        let mut confidential = self.is_confidential();
        let mut pauses = PAUSES.into_iter();
        let mut first = None;
        loop {
            let transport = self.transport(&asking.tenant, confidential);
            let answer = self
                .client(&transport)
                .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
                .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()))
                .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())))
                .request_async(&transport)
                .await;
            match answer {
                Ok(answer) => return Ok((Issued::from(answer), confidential)),
                Err(_) if confidential && self.is_the_other_kind(confidential, &transport) => confidential = false,
                Err(error) => {
                    let sent = [code.expose_secret(), verifier.expose_secret()];
                    let trouble = self.trouble(&asking.subject, &transport, &sent, error);
                    if transport.refusal().is_some_and(|refusal| refusal.has(codes::REDEEMED)) {
                        // By us, whatever was said then: the person did nothing wrong.
                        return Err(first.unwrap_or(trouble));
                    }
                    if transport.may_try_again(&trouble)
                        && trouble.wait() <= LONGEST_PAUSE
                        && let Some(pause) = pauses.next()
                    {
                        tokio::time::sleep(pause.max(trouble.wait())).await;
                        first.get_or_insert(trouble);
                        continue;
                    }
                    if let Some(whose) = whose {
                        self.remember_claims(whose, &trouble, &transport, asking.claims.as_deref());
                    }
                    return Err(trouble);
                }
            }
        }
    }
}
