//! Signing in by device code: the person types a code elsewhere, and we ask until they have.

use std::time::Duration;

use oauth2::{
    DeviceCodeErrorResponse, DeviceCodeErrorResponseType, RequestTokenError, StandardDeviceAuthorizationResponse,
};
use url::Url;

use super::Trouble;
use super::application::{Answer, Application, Issued};
use super::transport::NoAnswer;
use crate::presence::AccountName;

/// So many codes are offered before nobody is expected to come any more: some hours.
const CODES: u32 = 12;

/// The shortest time between two questions, whatever Entra says.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time between two questions while Entra does not answer.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);

/// What Entra may say of a code and of the interval, and still be understood.
const SANE: (Duration, Duration) = (Duration::from_secs(24 * 3600), Duration::from_secs(120));

/// What the person is shown: where to go, and what to type there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The page that asks for the code.
    pub url: Url,
    /// Shown until it is used.
    pub user_code: String,
    /// How long the code is good.
    pub expires_in: Duration,
}

/// How the waiting for one code ended.
enum Ended {
    SignedIn(Box<Answer>),
    Expired,
    Failed(Trouble),
}

/// Signs a person in: a prompt for each code until one is used. Dropping the future cancels.
pub(super) async fn sign_in(
    application: &Application,
    account: &AccountName,
    mut show: impl FnMut(&Prompt),
) -> Result<Issued, Trouble> {
    for _ in 0..CODES {
        let claims = application.claims().of(account);
        let details = ask_for_code(application, account, claims.as_deref()).await?;
        show(&prompt(account, &details)?);
        match wait(application, account, &details, claims.as_deref()).await? {
            Ended::SignedIn(answer) => return Ok(Issued::from(*answer)),
            // Only now Entra says what else it wants: the next code asks for that.
            Ended::Failed(_) if application.claims().of(account).is_some_and(|wanted| Some(wanted) != claims) => {
                tracing::debug!(%account, "Entra asks for more proof; asking for a new device code with it");
            }
            Ended::Failed(trouble) => return Err(trouble),
            Ended::Expired => tracing::debug!(%account, "the device code has expired; asking for a new one"),
        }
    }
    let way_in = application.way_in().account(account);
    Err(Trouble::sign_in(format!("account {account}: nobody used the codes; start again: {way_in}")))
}

async fn ask_for_code(
    application: &Application,
    account: &AccountName,
    claims: Option<&str>,
) -> Result<StandardDeviceAuthorizationResponse, Trouble> {
    let (client, transport) = application.client_of(account, application.is_confidential())?;
    let transport = transport.claiming(claims);
    let answer = client
        .exchange_device_code()
        .add_scopes(application.scopes_of(application.account(account)?))
        .request_async(&transport)
        .await;
    answer.map_err(|error| application.trouble(&application.subject(account), &transport, &[], error))
}

/// What to show, where the answer makes sense.
fn prompt(account: &AccountName, details: &StandardDeviceAuthorizationResponse) -> Result<Prompt, Trouble> {
    let odd = || Trouble::later(format!("account {account}: Entra's device code makes no sense; try again"));
    let url = Url::parse(details.verification_uri()).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let user_code = details.user_code().secret().clone();
    let expires_in = details.expires_in();
    let sane = !expires_in.is_zero()
        && expires_in <= SANE.0
        && details.interval() <= SANE.1
        && (1..=32).contains(&user_code.len())
        && user_code.chars().all(|c| c.is_ascii_graphic());
    Ok(Prompt { url: url.filter(|_| sane).ok_or_else(odd)?, user_code, expires_in })
}

async fn wait(
    application: &Application,
    account: &AccountName,
    details: &StandardDeviceAuthorizationResponse,
    claims: Option<&str>,
) -> Result<Ended, Trouble> {
    let (client, transport) = application.client_of(account, application.is_confidential())?;
    let asking = client.exchange_device_access_token(details).set_max_backoff_interval(LONGEST_INTERVAL).request_async(
        &transport,
        |interval| tokio::time::sleep(interval.max(LEAST_INTERVAL).max(transport.retry_after().unwrap_or_default())),
        None,
    );
    // The wall clock, by which the crate ends the code's time, may be set meanwhile.
    let Ok(answer) = tokio::time::timeout(details.expires_in(), asking).await else { return Ok(Ended::Expired) };
    Ok(match answer {
        Ok(answer) => Ended::SignedIn(Box::new(answer)),
        Err(error) if is_expired(&error) => Ended::Expired,
        Err(error) => {
            let secret = details.device_code().secret();
            let trouble = application.trouble(&application.subject(account), &transport, &[secret], error);
            application.remember_claims(account, &trouble, &transport, claims);
            Ended::Failed(trouble)
        }
    })
}

/// Codes have been seen to die before their time: then Entra does not know them any more.
fn is_expired(error: &RequestTokenError<NoAnswer, DeviceCodeErrorResponse>) -> bool {
    let RequestTokenError::ServerResponse(answer) = error else { return false };
    *answer.error() == DeviceCodeErrorResponseType::ExpiredToken || answer.error().as_ref() == "bad_verification_code"
}
