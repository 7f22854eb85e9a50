//! The authorization code's two requests: the page at Entra that a browser is sent to, and the code's redemption.

use std::borrow::Cow;

use oauth2::{AuthorizationCode, PkceCodeVerifier, RedirectUrl};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::Trouble;
use super::application::{Application, Issued};
use crate::presence::AccountName;
use crate::settings::User;

/// `the application is a public client and takes no credential`: its redirect URI stands under
/// "Mobile and desktop applications".
const PUBLIC: u32 = 700_025;

/// What a browser is sent to Entra with.
pub(super) struct Authorization<'a> {
    pub redirect_uri: &'a Url,
    pub state: &'a str,
    pub nonce: &'a str,
    /// The verifier's SHA-256.
    pub challenge: &'a str,
}

impl Application {
    /// Entra's page for an account's sign-in.
    pub(super) fn authorization_url(&self, name: &AccountName, with: &Authorization<'_>) -> Result<Url, Trouble> {
        let configured = self.account(name)?;
        let scopes: Vec<String> = self.scopes_of(configured).iter().map(|scope| scope.to_string()).collect();
        let mut url = self.at(self.tenant_of(configured), &["oauth2", "v2.0", "authorize"]);
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", self.client_id())
            .append_pair("response_type", "code")
            .append_pair("response_mode", "form_post")
            .append_pair("redirect_uri", with.redirect_uri.as_str())
            .append_pair("scope", &scopes.join(" "))
            .append_pair("state", with.state)
            .append_pair("nonce", with.nonce)
            .append_pair("code_challenge", with.challenge)
            .append_pair("code_challenge_method", "S256");
        match &configured.user {
            User::Name(user) => query.append_pair("login_hint", user),
            // Without a hint, a browser that is signed in as somebody would take that person without a question.
            User::Id(_) => query.append_pair("prompt", "select_account"),
        };
        drop(query);
        Ok(url)
    }

    /// Redeems a code; and says whether as a confidential client.
    ///
    /// An application can be both: which one counts is decided by the platform of the redirect URI.
    pub(super) async fn redeem(
        &self,
        name: &AccountName,
        code: &SecretString,
        verifier: &SecretString,
        redirect_uri: &Url,
    ) -> Result<(Issued, bool), Trouble> {
        let mut confidential = self.is_confidential();
        loop {
            let (client, transport) = self.client_of(name, confidential)?;
            let answer = client
                .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
                .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()))
                .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())))
                .request_async(&transport)
                .await;
            match answer {
                Ok(answer) => return Ok((Issued::from(answer), confidential)),
                Err(_) if confidential && transport.refusal().is_some_and(|refusal| refusal.has(PUBLIC)) => {
                    confidential = false;
                }
                Err(error) => {
                    let sent = [code.expose_secret(), verifier.expose_secret()];
                    return Err(self.trouble(&self.subject(name), &transport, &sent, error));
                }
            }
        }
    }
}
