//! Entra's refusals, read into [`Trouble`]: what, why, and what to do.

use std::time::Duration;

use serde_json::Value;

use super::claims::is_claims_request;
use super::codes::{self, Kind};
use super::{Remedy, Trouble};
use crate::presence::ObjectId;

/// How long nothing is asked after Entra saw a loop (AADSTS50196).
const AFTER_A_LOOP: Duration = Duration::from_secs(15 * 60);

/// Of who turned back, where Entra says no more than that.
const TURNED_BACK: &str = "the sign-in was broken off on Microsoft's page";

/// The longest piece of Entra's own text that is shown, in characters.
const LONGEST: usize = 300;

/// The body of a refusal. Every field but `error` is optional and may be odd.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    pub error: String,
    suberror: Option<String>,
    numbers: Vec<u32>,
    description: String,
    trace: Option<String>,
    correlation: Option<String>,
    /// What the person's next sign-in has to bring (a claims request, JSON).
    pub claims: Option<String>,
}

/// On whose behalf Entra was asked: what the remedies name.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    /// Such as `account alex`.
    pub who: String,
    /// What to do when a sign-in is needed.
    pub sign_in: String,
    /// The admin consent page of the tenant.
    pub consent_url: String,
    /// What follows a passing trouble.
    pub then: &'static str,
    /// Where the application's secret stands.
    pub secret: String,
    /// Where a browser is sent from, in words, where a policy may forbid this way and let that one in.
    pub browser: Option<String>,
    /// Whether what is asked for may take an administrator's approval.
    pub may_take_approval: bool,
    /// Whether it is anybody who comes by: how this installation is set up is nothing for them.
    pub is_stranger: bool,
}

impl Refusal {
    /// `None`: not one of Entra's error bodies.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let raw = |key: &str| value.get(key).and_then(Value::as_str);
        let text = |key: &str| raw(key).map(plain);
        let description = text("error_description").unwrap_or_default();
        let listed = value.get("error_codes").and_then(Value::as_array).into_iter().flatten();
        let mut numbers: Vec<u32> = listed.filter_map(|number| number.as_u64()?.try_into().ok()).collect();
        numbers.extend(number_in(&description));
        Some(Self {
            error: text("error")?,
            suberror: text("suberror"),
            numbers,
            description,
            trace: text("trace_id"),
            correlation: text("correlation_id"),
            claims: raw("claims").filter(|claims| is_claims_request(claims)).map(str::to_owned),
        })
    }

    /// From an error that a browser brought.
    pub(super) fn posted(error: &str, description: &str, subcode: Option<&str>) -> Self {
        let description = plain(description);
        let after = |label: &str| {
            let (_, rest) = description.split_once(label)?;
            rest.split_whitespace().next().map(str::to_owned)
        };
        Self {
            error: plain(error),
            suberror: subcode.filter(|subcode| *subcode == codes::CANCEL).map(str::to_owned),
            numbers: number_in(&description).into_iter().collect(),
            trace: after("Trace ID: "),
            correlation: after("Correlation ID: "),
            claims: None,
            description,
        }
    }

    /// What it is about, where anybody may have written it: our words for it, and of its own nothing but numbers and ids.
    pub(super) fn words_for_anybody(&self) -> String {
        let code = codes::known(&self.numbers);
        let words = match (code, codes::kind(&self.error, None, code)) {
            (Some(code), _) => code.words.replace(codes::SECRET, codes::SOME_SECRET),
            (None, Kind::Consent | Kind::SignIn) => "no administrator has consented".to_owned(),
            (None, Kind::Retry | Kind::RetryMuchLater) => "it did not work this time".to_owned(),
            (None, _) => "the application's registration does not allow it".to_owned(),
        };
        let number = self.numbers.first().map(|number| format!("AADSTS{number}"));
        let named = |name: &str, id: &Option<String>| {
            Some(format!("{name} {}", id.as_deref().filter(|id| id.parse::<ObjectId>().is_ok())?))
        };
        let details = [number, named("trace_id", &self.trace), named("correlation_id", &self.correlation)];
        let details: Vec<String> = details.into_iter().flatten().collect();
        if details.is_empty() { words } else { format!("{words} ({})", details.join(", ")) }
    }

    /// What it comes to. `secrets` are what was sent: none of them is ever shown, whatever Entra echoes.
    pub(super) fn trouble(&self, subject: &Subject, secrets: &[&str], after: Option<Duration>) -> Trouble {
        let code = codes::known(&self.numbers);
        let kind = codes::kind(&self.error, self.suberror.as_deref(), code);
        let shown = self.without(secrets);
        let why = match code {
            Some(code) => code.words.replace(codes::SECRET, &subject.secret),
            None if kind == Kind::TurnedBack && self.description.is_empty() => TURNED_BACK.to_owned(),
            None => shown.own_words(),
        };
        let Subject { who, sign_in, consent_url, then, browser, .. } = subject;
        let details = shown.details();
        let say = |remedy: &str| format!("{who}: {why}{remedy}{details}");
        match kind {
            Kind::SignIn => Trouble::sign_in_at(say(""), sign_in.as_str()),
            Kind::TurnedBack if !subject.may_take_approval => Trouble::sign_in_at(say(""), sign_in.as_str()),
            Kind::Consent | Kind::TurnedBack => Trouble::Consent {
                url: consent_url.clone(),
                reason: say(&match kind {
                    Kind::TurnedBack => {
                        format!("; if an administrator's approval was asked for there, it is given at {consent_url}")
                    }
                    _ => format!("; an administrator can consent at {consent_url}"),
                }),
                remedy: Some(Remedy::new(format!("then {sign_in}"))),
            },
            Kind::Blocked => {
                let other = browser.as_ref().filter(|_| !code.is_some_and(|code| code.shuts_every_way()));
                let told = match other {
                    Some(_) => "; where the browser's way is blocked too, show this to an administrator",
                    None => "; signing in again from here does not help: show this to an administrator",
                };
                let remedy = other.map(|page| Remedy::new(format!("a policy may let the browser's way in: {page}")));
                Trouble::Blocked { reason: say(told), remedy }
            }
            Kind::Misconfigured => Trouble::Misconfigured { reason: say("") },
            Kind::Retry => Trouble::Retry { after, reason: say(&format!("; {then}")) },
            Kind::RetryMuchLater => {
                Trouble::Retry { after: Some(after.unwrap_or(AFTER_A_LOOP).max(AFTER_A_LOOP)), reason: say("") }
            }
        }
    }

    /// Whether it is the application that is refused, and not who signs in.
    pub(super) fn is_of_client(&self) -> bool {
        self.error == "invalid_client" || self.is_of_kind()
    }

    /// Whether it is about the kind of client that the application came as.
    pub(super) fn is_of_kind(&self) -> bool {
        self.has(codes::PUBLIC) || self.has(codes::CONFIDENTIAL)
    }

    /// Whether the same request may go through soon.
    pub(super) fn passes(&self) -> bool {
        codes::passes(&self.error, codes::known(&self.numbers))
    }

    /// Whether the request that was refused so had surely no effect, and may have one soon.
    pub(super) fn had_no_effect(&self) -> bool {
        codes::had_no_effect(&self.error, codes::known(&self.numbers))
    }

    /// Whether it carries this AADSTS number.
    pub(super) fn has(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    /// The same without these secrets, however Entra writes them: before anything of it is cut.
    pub(super) fn without(&self, secrets: &[&str]) -> Self {
        let clean = |text: &String| secrets.iter().fold(text.clone(), |text, secret| struck(text, secret));
        Self {
            error: clean(&self.error),
            suberror: self.suberror.as_ref().map(clean),
            description: clean(&self.description),
            trace: self.trace.as_ref().map(clean),
            correlation: self.correlation.as_ref().map(clean),
            ..self.clone()
        }
    }

    /// Entra's own text, for what has no words here.
    fn own_words(&self) -> String {
        let said = self.description.split(" Trace ID:").next().unwrap_or_default().trim();
        let said = if said.is_empty() { &self.error } else { said };
        format!("Entra says: {}", said.chars().take(LONGEST).collect::<String>())
    }

    /// What administrators need to find the request in their logs.
    pub(super) fn details(&self) -> String {
        let named = |name: &str, id: &Option<String>| id.as_ref().map(|id| format!(", {name} {}", short(id)));
        format!(
            " ({}{}{}{})",
            short(&self.error),
            self.numbers.first().map(|number| format!(", AADSTS{number}")).unwrap_or_default(),
            named("trace_id", &self.trace).unwrap_or_default(),
            named("correlation_id", &self.correlation).unwrap_or_default(),
        )
    }
}

/// Without a secret: as it is, and as it stands in a form or a URL.
fn struck(text: String, secret: &str) -> String {
    if secret.is_empty() {
        return text;
    }
    let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let url = form.replace('+', "%20");
    let lower = |text: &str| {
        let mut parts = text.split('%');
        let first = parts.next().unwrap_or_default().to_owned();
        parts.fold(first, |text, part| {
            let (hex, rest) = part.split_at_checked(2).unwrap_or((part, ""));
            format!("{text}%{}{rest}", hex.to_ascii_lowercase())
        })
    };
    let spellings = [secret.to_owned(), lower(&form), lower(&url), form, url];
    spellings.iter().fold(text, |text, spelling| text.replace(spelling, "…"))
}

/// Without line breaks and other characters that steer a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The number in a text that begins `AADSTS50076: …`.
fn number_in(description: &str) -> Option<u32> {
    let digits = description.strip_prefix("AADSTS")?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject() -> Subject {
        Subject {
            who: "account alex".to_owned(),
            sign_in: "sign in again: graph2mqtt login alex".to_owned(),
            consent_url: "https://login.example/contoso.com/adminconsent?client_id=1".to_owned(),
            then: "begin again",
            secret: "entra.key_vault https://vault.example, secret x".to_owned(),
            browser: None,
            may_take_approval: true,
            is_stranger: false,
        }
    }

    fn trouble(body: &str, secrets: &[&str]) -> Trouble {
        Refusal::read(body.as_bytes()).unwrap().trouble(&subject(), secrets, None)
    }

    #[test]
    fn a_reason_says_who_why_what_to_do_and_what_an_administrator_looks_for() {
        let reason = trouble(
            r#"{"error":"invalid_grant","error_description":"AADSTS50173: The provided grant…","error_codes":[50173],
                "suberror":"bad_token","trace_id":"trace-1","correlation_id":"correlation-1"}"#,
            &[],
        )
        .to_string();
        for part in ["account alex", "revoked", "graph2mqtt login alex", "AADSTS50173", "trace-1", "correlation-1"] {
            assert!(reason.contains(part), "{part} is missing in {reason}");
        }
    }

    #[test]
    fn where_a_sign_in_mends_it_is_apart_from_the_reason_and_told_behind_it() {
        for body in [
            r#"{"error":"invalid_grant","error_codes":[50173],"trace_id":"trace-1"}"#,
            r#"{"error":"invalid_grant","suberror":"consent_required","error_codes":[65001],"trace_id":"trace-1"}"#,
        ] {
            let found = trouble(body, &[]);
            assert!(!found.reason().contains("login alex") && found.reason().contains("trace-1"), "{found:?}");
            let remedy = found.remedy().unwrap().as_str();
            assert!(remedy.ends_with("sign in again: graph2mqtt login alex"), "{remedy}");
            assert_eq!(found.to_string(), format!("{}; {remedy}", found.reason()));
        }
        let blocked = trouble(r#"{"error":"invalid_grant","error_codes":[53003]}"#, &[]);
        assert_eq!((blocked.remedy(), blocked.reason()), (None, &*blocked.to_string()));
    }

    #[test]
    fn missing_consent_names_the_page_where_it_is_given() {
        let found = trouble(r#"{"error":"invalid_grant","suberror":"consent_required","error_codes":[65001]}"#, &[]);
        let Trouble::Consent { url, reason, .. } = found else { panic!("{found:?}") };
        assert_eq!(url, subject().consent_url);
        assert!(reason.contains(&url), "{reason}");
    }

    #[test]
    fn the_number_is_found_in_the_description_where_the_list_lacks_it() {
        let reason = trouble(r#"{"error":"invalid_client","error_description":"AADSTS7000222: …"}"#, &[]).to_string();
        assert!(reason.contains("entra.key_vault https://vault.example, secret x has expired"), "{reason}");
        for number in [50_097, 53_003] {
            let body = format!(r#"{{"error":"invalid_grant","error_codes":[{number}]}}"#);
            let refusal = Refusal::read(body.as_bytes()).unwrap();
            let subject = Subject { browser: Some("https://x.example/sign-in/alex".to_owned()), ..subject() };
            let blocked = refusal.trouble(&subject, &[], None);
            let remedy = blocked.remedy().unwrap().as_str();
            assert!(remedy.ends_with("let the browser's way in: https://x.example/sign-in/alex"), "{remedy}");
            assert!(blocked.reason().contains("administrator"), "{blocked}");
        }
        let body = br#"{"error":"invalid_grant","error_codes":[50105]}"#;
        let subject = Subject { browser: Some("https://x.example/sign-in/alex".to_owned()), ..subject() };
        assert_eq!(Refusal::read(body).unwrap().trouble(&subject, &[], None).remedy(), None, "no way helps");
    }

    #[test]
    fn what_was_sent_is_not_shown_even_if_entra_echoes_it() {
        let body = r#"{"error":"invalid_grant","error_description":"AADSTS9: no such token 0.SECRET-A and SECRET-B"}"#;
        let reason = trouble(body, &["0.SECRET-A", "SECRET-B", ""]).to_string();
        assert!(!reason.contains("SECRET") && reason.contains("no such token"), "{reason}");
    }

    #[test]
    fn no_field_shows_it_whole_or_in_part_however_it_is_written() {
        let secret = "0.SECRET/A+ and more ".repeat(10);
        let form: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        let small = form.replace("%2F", "%2f").replace("%2B", "%2b");
        for echo in [secret.clone(), form.clone(), form.replace('+', "%20"), small] {
            let body = serde_json::json!({
                "error": format!("x {echo}"), "error_description": format!("AADSTS9: {echo}"),
                "trace_id": &echo, "correlation_id": format!("id {echo}"),
            });
            let reason = trouble(&body.to_string(), &[&secret]).to_string();
            assert!(!reason.contains("SECRET"), "{echo}: {reason}");
        }
    }

    #[test]
    fn an_error_body_may_be_odd_in_every_field_but_error() {
        for body in [
            r#"{"error":"invalid_grant","error_codes":"50173","suberror":7,"trace_id":null,"error_description":{}}"#,
            r#"{"error":"invalid_grant","error_codes":[-1,1.5,99999999999999999999,null]}"#,
            r#"{"error":"","error_description":"\u001b[2J\n\r"}"#,
        ] {
            let reason = trouble(body, &[]).to_string();
            assert!(reason.starts_with("account alex") && !reason.chars().any(char::is_control), "{reason:?}");
        }
        for body in ["", "[]", "null", "{}", r#"{"error":{"code":"x"}}"#, "<html>", r#"{"error":"a""#] {
            assert_eq!(Refusal::read(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn the_claims_that_entra_asks_for_are_kept_where_they_are_such() {
        let claims = |value: serde_json::Value| {
            let body = serde_json::json!({"error": "interaction_required", "claims": value}).to_string();
            Refusal::read(body.as_bytes()).unwrap().claims
        };
        let asked = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
        assert_eq!(claims(asked.into()).as_deref(), Some(asked));
        for odd in [serde_json::json!({}), 7.into(), "".into(), "c1".into(), "[]".into(), "x".repeat(1 << 20).into()] {
            assert_eq!(claims(odd.clone()), None, "{odd}");
        }
    }

    #[test]
    fn a_loop_that_entra_saw_is_left_alone_for_long() {
        let found = trouble(r#"{"error":"invalid_grant","error_codes":[50196]}"#, &[]);
        assert!(matches!(found, Trouble::Retry { after: Some(after), .. } if after >= AFTER_A_LOOP), "{found:?}");
    }

    #[test]
    fn an_endless_description_is_cut() {
        let body =
            serde_json::json!({"error": "x", "error_description": "y".repeat(100_000), "trace_id": "z".repeat(9999)});
        assert!(trouble(&body.to_string(), &[]).to_string().len() < 600);
    }
}
