//! Signing in by device code: the person types a code elsewhere, and we ask until they have.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oauth2::{
    DeviceCodeErrorResponse, DeviceCodeErrorResponseType, RequestTokenError, Scope, StandardDeviceAuthorizationResponse,
};
use tokio::time::Instant;
use url::Url;

use super::Trouble;
use super::answers::Subject;
use super::application::Application;
use super::browser::{Browser, Came, Errand};
use super::claims::Whose;
use super::issued::Answer;
use super::redemption::Asking;
use super::transport::NoAnswer;

/// The shortest time between two questions, whatever Entra says.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// The longest time between two questions while Entra does not answer.
const LONGEST_INTERVAL: Duration = Duration::from_secs(30);

/// How long is waited, where Entra does not say it, before another code is asked for again that could not be had; and
/// how long such a trouble may last.
const WITHOUT_A_CODE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

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

/// What a person is offered: so many codes, one after the other, and none after a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Offer {
    pub codes: u32,
    pub until: Option<Instant>,
}

impl Offer {
    /// When the time of a code that begins now is over.
    fn end_of(&self, life: Duration) -> Instant {
        let end = Instant::now() + life;
        self.until.map_or(end, |until| end.min(until))
    }

    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

/// How the waiting for one code ended.
enum Ended {
    SignedIn {
        answer: Box<Answer>,
        confidential: bool,
    },
    /// With what kept it from being asked about at its end, where the person may have used it.
    Expired(Option<Trouble>),
    Failed(Trouble),
}

/// Signs a person in: a prompt for each code until one is used. `browser` is that of somebody who enrols. Dropping the
/// future cancels.
pub(super) async fn sign_in(
    application: &Application,
    errand: &Errand,
    browser: Option<Browser>,
    offer: Offer,
    mut show: impl FnMut(&Prompt),
) -> Result<Came, Trouble> {
    let whose = Whose::of(errand, browser);
    let mut unasked = None;
    for number in (0..offer.codes).take_while(|_| !offer.is_over()) {
        // What Entra asked for while the last code was out counts for the next one.
        tokio::time::sleep(unasked.as_ref().map_or(Duration::ZERO, Trouble::wait)).await;
        // Whoever waits for the first code is told what keeps it; later the person may be anywhere.
        let patience = if number == 0 { Duration::ZERO } else { WITHOUT_A_CODE.1 };
        let (asking, details) = code(application, errand, browser, patience).await?;
        show(&prompt(&asking.subject, &details)?);
        let end = offer.end_of(details.expires_in());
        match wait(application, whose, &asking, &details, end).await {
            Ended::SignedIn { answer, confidential } => {
                return Ok(Came { issued: (*answer).into(), nonce: None, confidential, brought: asking.claims });
            }
            Ended::Expired(trouble) => {
                match &trouble {
                    None => tracing::debug!(?errand, "the device code has expired"),
                    Some(trouble) => {
                        tracing::info!(?errand, %trouble, "the device code ended while it was not asked about")
                    }
                }
                unasked = trouble;
            }
            Ended::Failed(trouble) => {
                let wanted = application.asking_in(errand, browser)?.claims;
                if wanted.is_none() || wanted == asking.claims {
                    return Err(trouble);
                }
                // Only now Entra says what else it wants: the next code asks for that.
                tracing::debug!(?errand, "Entra asks for more proof; asking for a new device code with it");
            }
        }
    }
    match unasked {
        Some(trouble) => Err(trouble),
        None => Err(unused(application.asking(errand)?.subject)),
    }
}

/// Another code, as soon as it can be had.
async fn code(
    application: &Application,
    errand: &Errand,
    browser: Option<Browser>,
    patience: Duration,
) -> Result<(Asking, StandardDeviceAuthorizationResponse), Trouble> {
    let begun = Instant::now();
    loop {
        let got = async {
            let mut asking = application.ready(errand, browser).await?;
            asking.subject.browser = application.way_in().browser(errand);
            let details = ask_for_code(application, &asking).await?;
            Ok((asking, details))
        };
        match got.await {
            Err(trouble @ Trouble::Retry { .. }) if begun.elapsed() < patience => {
                tracing::info!(?errand, %trouble, "no other device code yet");
                let wait = Some(trouble.wait()).filter(|wait| !wait.is_zero());
                tokio::time::sleep(wait.unwrap_or(WITHOUT_A_CODE.0)).await;
            }
            got => return got,
        }
    }
}

/// Nobody came.
pub(super) fn unused(Subject { who, sign_in, .. }: Subject) -> Trouble {
    Trouble::sign_in_at(format!("{who}: nobody used the codes"), sign_in)
}

/// It is no secret who asks: the application is not proven here.
async fn ask_for_code(
    application: &Application,
    asking: &Asking,
) -> Result<StandardDeviceAuthorizationResponse, Trouble> {
    let transport = application.transport(&asking.tenant, false);
    let transport = transport.claiming(asking.claims.as_deref());
    let answer = application
        .device_client(&asking.tenant, &transport)
        .exchange_device_code()
        .add_scopes(asking.scopes.iter().cloned().map(Scope::new))
        .request_async(&transport)
        .await;
    answer.map_err(|error| application.trouble(&asking.subject, &transport, &[], error))
}

/// What to show, where the answer makes sense.
fn prompt(subject: &Subject, details: &StandardDeviceAuthorizationResponse) -> Result<Prompt, Trouble> {
    let odd = || Trouble::later(format!("{}: Entra's device code makes no sense; try again", subject.who));
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
    whose: Option<Whose<'_>>,
    asking: &Asking,
    details: &StandardDeviceAuthorizationResponse,
    end: Instant,
) -> Ended {
    let mut confidential = application.is_confidential();
    let secret = details.device_code().secret();
    let unasked = Mutex::new(None);
    loop {
        let transport = application.transport(&asking.tenant, confidential);
        let trouble = |error| application.trouble(&asking.subject, &transport, &[secret], error);
        let pause = |interval: Duration| {
            let unanswered = transport.unanswered().map(|no_answer| trouble(RequestTokenError::Request(no_answer)));
            *unasked.lock().unwrap_or_else(PoisonError::into_inner) = unanswered;
            tokio::time::sleep(interval.max(LEAST_INTERVAL).max(transport.retry_after().unwrap_or_default()))
        };
        let client = application.client(&transport);
        let asked = client.exchange_device_access_token(details).set_max_backoff_interval(LONGEST_INTERVAL);
        // The crate would end the code by the wall clock, which may be set meanwhile: for it, time stands.
        let asked = asked.set_time_fn(Default::default);
        let asked = asked.request_async(&transport, pause, None);
        let answer = tokio::select! {
            answer = asked => answer,
            // The crate takes it for a lost connection, and asks on.
            own = transport.stuck() => return Ended::Failed(application.told(&asking.subject, own)),
            () = tokio::time::sleep_until(end) => {
                return Ended::Expired(unasked.into_inner().unwrap_or_else(PoisonError::into_inner));
            }
        };
        match answer {
            Ok(answer) => return Ended::SignedIn { answer: Box::new(answer), confidential },
            Err(error) if is_expired(&error) => return Ended::Expired(None),
            Err(_) if confidential && application.is_the_other_kind(confidential, &transport) => {
                confidential = false;
                pause(details.interval()).await;
            }
            Err(error) => {
                let trouble = trouble(error);
                if let Some(whose) = whose {
                    application.remember_claims(whose, &trouble, &transport, asking.claims.as_deref());
                }
                let wait = trouble.wait().max(details.interval());
                let passes = transport.refusal().is_some_and(|refusal| refusal.passes());
                if !passes {
                    return Ended::Failed(trouble);
                }
                if Instant::now() + wait >= end {
                    return Ended::Expired(Some(trouble));
                }
                // The code is as good as before.
                pause(wait).await;
            }
        }
    }
}

/// Codes have been seen to die before their time: then Entra does not know them any more.
fn is_expired(error: &RequestTokenError<NoAnswer, DeviceCodeErrorResponse>) -> bool {
    let RequestTokenError::ServerResponse(answer) = error else { return false };
    *answer.error() == DeviceCodeErrorResponseType::ExpiredToken || answer.error().as_ref() == "bad_verification_code"
}
