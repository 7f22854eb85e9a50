//! The http client of one strip: no proxy, no redirect, bounded in time and size.

use std::time::Duration;

use reqwest::{Method, redirect};
use serde_json::Value;

use crate::lights::Trouble;
use crate::lights::body::{self, Unread};
use crate::presence::Name;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);
/// A strip with all its presets stays below.
const LARGEST_ANSWER: usize = 1 << 20;

/// One strip.
pub(super) struct Client {
    light: Name,
    base: String,
    http: Option<reqwest::Client>,
}

impl Client {
    /// `light` is the name in the configuration of a light on it. Connects nowhere yet.
    pub fn new(light: &Name, host: &str) -> Self {
        let http = reqwest::Client::builder()
            .tls_certs_only([])
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .pool_max_idle_per_host(1)
            .build();
        Self { light: light.clone(), base: format!("http://{host}"), http: http.ok() }
    }

    pub async fn get(&self, path: &str) -> Result<Value, Trouble> {
        self.exchange(Method::GET, path, None).await
    }

    /// Changes the state for a light. The strip answers `{"success":true}`, or with an error.
    pub async fn post(&self, light: &Name, body: &Value) -> Result<(), Trouble> {
        tracing::debug!(%light, %body, "command");
        let answer = self.exchange(Method::POST, "/json/state", Some(body)).await?;
        match answer.get("error") {
            Some(error) => Err(impossible(light, &format!("WLED refuses the command: error {error}"))),
            None => Ok(()),
        }
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Trouble> {
        let http = self.http.as_ref().ok_or_else(|| self.busy("the HTTP client cannot be made"))?;
        let request = http.request(method, format!("{}{path}", self.base));
        let request = if let Some(body) = body { request.json(body) } else { request };
        let failed = |error: reqwest::Error| {
            let why = if error.is_timeout() { "does not answer in time" } else { "cannot be talked to" };
            self.busy(&format!("{} {why}: is it on, and lights.{}.wled right?", self.base, self.light))
        };
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        let body = body::read(response, LARGEST_ANSWER).await.map_err(|unread| match unread {
            Unread::Broken(error) => failed(error),
            Unread::TooLarge => self.busy("the answer has no end: this is no WLED"),
        })?;
        if !status.is_success() {
            return Err(self.busy(&format!("{} answers {status}", self.base)));
        }
        let answer = serde_json::from_slice(&body).ok().filter(Value::is_object);
        let odd =
            || self.busy(&format!("{} answers, but not as WLED does: is lights.{}.wled right?", self.base, self.light));
        answer.ok_or_else(odd)
    }

    /// The strip cannot be used now.
    fn busy(&self, what: &str) -> Trouble {
        Trouble::Hub { after: None, reason: format!("light {}: {what}", self.light) }
    }
}

/// What is asked of a light cannot be done.
pub(super) fn impossible(light: &Name, what: &str) -> Trouble {
    Trouble::Light { reason: format!("light {light}: {what}") }
}
