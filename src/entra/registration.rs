//! What Entra's sign-in page lets know of the application's registration before anybody signs in.

use std::time::Duration;

use url::Url;

use super::browser::Errand;
use super::codes;
use super::redemption::Authorization;
use super::tenants::ANY;
use super::{Tokens, Trouble, http};

/// The longest page of Entra that is looked at.
const LARGEST: usize = 512 << 10;

/// How long Entra may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// `the redirect URI is not registered`
const REDIRECT: u32 = 50_011;

/// The application is not in the tenant: not, or not yet.
const UNKNOWN: [u32; 2] = [700_016, 7_000_229];

/// What is known of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// Entra does not say.
    Unsaid,
    /// The redirect URI is registered with it.
    Whole,
    /// All but the redirect URI.
    NoRedirect,
    /// There is no such application or tenant, or they do not fit: what to change.
    Wrong(&'static str),
}

impl Tokens {
    /// Asks Entra's page for an errand, as a browser would in which nobody is signed in; in this tenant instead of
    /// the errand's own, where one is given.
    pub async fn registration(&self, errand: &Errand, tenant: Option<&str>, redirect_uri: &Url) -> Registration {
        let page = self.page(errand, tenant, redirect_uri).await.unwrap_or_default();
        let numbers: Vec<u32> = numbers_in(&page).collect();
        match codes::known(&numbers) {
            _ if numbers.contains(&REDIRECT) => Registration::NoRedirect,
            Some(code) if code.is_of_configuration() => Registration::Wrong(code.words),
            _ if page.contains("login_required") || page.contains("interaction_required") => Registration::Whole,
            _ => Registration::Unsaid,
        }
    }

    /// Whether the application can prove itself where it is at home in no tenant: to Entra in this one (true), which need
    /// not know the application before somebody signs in; otherwise that what it proves itself by is there (false).
    pub async fn credential(&self, tenant: Option<&str>) -> Result<bool, Trouble> {
        let application = self.application();
        let transport = application.transport(tenant.unwrap_or(ANY), true);
        transport.try_proof().await?;
        if tenant.is_none() {
            return Ok(false);
        }
        let issued = application.own_token_by(&transport).await;
        match issued {
            Ok(_) => Ok(true),
            Err(_) if transport.refusal().is_some_and(|refusal| UNKNOWN.iter().any(|number| refusal.has(*number))) => {
                Ok(false)
            }
            Err(error) => {
                let subject = application.itself(tenant.unwrap_or(ANY));
                Err(application.trouble(&subject, &transport, &[], error))
            }
        }
    }

    async fn page(&self, errand: &Errand, tenant: Option<&str>, redirect_uri: &Url) -> Option<String> {
        let application = self.application();
        application.find_tenant(errand).await;
        let mut asking = application.asking(errand).ok()?;
        asking.tenant = tenant.map_or(asking.tenant, str::to_owned);
        // Nobody comes back from there: nothing of it has to be a secret.
        let fixed = "check-check-check-check-check-check-check-c";
        let with = Authorization { redirect_uri, state: fixed, nonce: fixed, challenge: fixed };
        let url = application.authorization_url(&asking, &with, Some("none"));
        let response = application.http().get(url).timeout(PATIENCE).send().await.ok()?;
        let page = http::body(response, LARGEST).await.ok()?;
        Some(String::from_utf8_lossy(&page).into_owned())
    }
}

/// Every AADSTS number on a page.
fn numbers_in(page: &str) -> impl Iterator<Item = u32> {
    page.split("AADSTS").skip(1).filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_wherever_they_stand() {
        let page = r#"<title>AADSTS50011</title>{"strServiceExceptionMessage":"AADSTS700016: x"} AADSTS AADSTSx"#;
        assert_eq!(numbers_in(page).collect::<Vec<_>>(), [50_011, 700_016]);
    }
}
