//! What goes wrong, and which trouble it becomes; and that no secret is shown by it.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use graph2mqtt::entra::{Principal, Trouble};
use graph2mqtt::simulator::{Application, Fault, Refusal, What};
use graph2mqtt::store::Enrolment;
use secrecy::ExposeSecret;
use tracing_subscriber::fmt::MakeWriter;

use crate::world::{CLIENT, SECRET, SHORT, World, http, name, person, upn};

fn kind(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Retry { .. } => "retry",
        Trouble::SignIn { .. } => "sign in",
        Trouble::Consent { .. } => "consent",
        Trouble::Blocked { .. } => "blocked",
        Trouble::Misconfigured { .. } => "misconfigured",
    }
}

/// alex is signed in, and the next process that starts has to refresh.
async fn signed_in() -> World {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap();
    world
}

async fn trouble(world: &World) -> Trouble {
    world.start(&world.settings(&["alex"])).await.access(&person("alex")).await.unwrap_err()
}

#[tokio::test]
async fn each_refusal_of_a_refresh_says_who_can_do_what() {
    let world = signed_in().await;
    for (refusal, expected, words) in [
        (Refusal::Policy, "blocked", "Conditional Access"),
        (Refusal::MoreFactors, "sign in", "more factors"),
        (Refusal::PasswordExpired, "sign in", "password"),
        (Refusal::SignInFrequency, "sign in", "from time to time"),
        (Refusal::Disabled, "sign in", "disabled"),
        (Refusal::Transient, "retry", "tried again"),
    ] {
        world.cloud.refuse(&upn("alex"), Some(refusal));
        let trouble = trouble(&world).await;
        let text = trouble.to_string();
        assert_eq!(kind(&trouble), expected, "{text}");
        for part in [words, "account alex", "trace_id", "correlation_id"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
    }
    world.cloud.refuse(&upn("alex"), None);
    world.start(&world.settings(&["alex"])).await.access(&person("alex")).await.unwrap();

    world.cloud.withdraw_consent(CLIENT, "contoso.com");
    let Trouble::Consent { url, .. } = trouble(&world).await else { panic!("not consent") };
    assert_eq!(url, format!("{}/contoso.com/adminconsent?client_id={CLIENT}", world.cloud.authority()));

    world.cloud.consent(CLIENT, "contoso.com", &["Presence.Read"]);
    world.cloud.revoke(&upn("alex"));
    let revoked = trouble(&world).await;
    assert!(
        matches!(&revoked, Trouble::SignIn { .. }) && revoked.to_string().contains("graph2mqtt login alex"),
        "{revoked}"
    );
}

#[tokio::test]
async fn who_enrolled_is_sent_to_the_page_where_they_did_as_long_as_it_lets_them_in() {
    let world = World::new().await;
    world.cloud.add_tenant("northwind.com");
    let (kim, now, store) = (world.cloud.person_id(&upn("kim")), jiff::Timestamp::now(), world.store().await);
    let grant = crate::caches::grant(&world, "kim", kim);
    let held = store.hold(&grant.cache, now, now + jiff::SignedDuration::from_mins(1)).await.unwrap();
    let tenant_id = world.cloud.tenant_id("contoso.com");
    let person = Enrolment { tenant_id, object_id: kim, username: upn("kim"), confidential: false, granted_at: now };
    store.enrol(held, person, now).await.unwrap();
    world.cloud.revoke(&upn("kim"));
    for (tenants, remedy) in [
        ("contoso.com", "sign in again: this bridge's page /enrol".to_owned()),
        ("northwind.com", format!("graph2mqtt accounts remove {kim}")),
        ("", format!("graph2mqtt accounts remove {kim}")),
    ] {
        let accounts =
            format!("accounts:\n  alex: {{ user: alex@contoso.com }}\nweb: {{ enrol: {{ tenants: [{tenants}] }} }}\n");
        let tokens = world.start(&world.settings_of(&accounts, "")).await;
        let trouble = tokens.access(&person_of(kim)).await.unwrap_err();
        assert!(trouble.to_string().ends_with(&remedy), "{tenants}: {trouble}");
    }
}

fn person_of(id: graph2mqtt::presence::ObjectId) -> Principal {
    person(&id.as_str())
}

#[tokio::test]
async fn a_policy_against_codes_that_comes_later_stops_what_came_of_one_and_the_browser_mends_it() {
    let world = crate::browser::world().await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    world.cloud.block_device_code("contoso.com", true);
    let bridge = world.start(&settings).await;
    let trouble = bridge.access(&person("alex")).await.unwrap_err();
    assert_eq!(kind(&trouble), "blocked");
    let remedy = trouble.remedy().expect("the browser's way").as_str();
    assert!(remedy.contains("http://localhost:8480/sign-in/alex, in a browser on the machine"), "{trouble}");
    let kept = world.store().await.grant(&name("alex")).await.unwrap().unwrap().standing.words();
    assert!(kept.is_some_and(|words| words.ends_with(remedy)), "who lists the accounts is not told");

    crate::browser::way(&bridge, "alex").await.unwrap();
    bridge.access(&person("alex")).await.unwrap();
    world.start(&settings).await.access(&person("alex")).await.unwrap();
}

#[tokio::test]
async fn a_lost_sign_in_heals_without_a_restart() {
    let world = signed_in().await;
    world.cloud.revoke(&upn("alex"));
    let settings = world.settings(&["alex"]);
    let bridge = world.start(&settings).await;
    bridge.access(&person("alex")).await.unwrap_err();
    let asked = world.asked();
    bridge.access(&person("alex")).await.unwrap_err();
    assert_eq!(world.asked(), asked, "Entra is asked again for nothing");
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    bridge.reload(0).await.unwrap();
    bridge.access(&person("alex")).await.unwrap();
}

#[tokio::test]
async fn answers_that_are_none_are_tried_again_later_and_lose_nothing() {
    let world = signed_in().await;
    for what in [
        What::Html,
        What::Garbage,
        What::Cut,
        What::CutBody,
        What::Endless,
        What::status(200, "{}"),
        What::status(200, r#"{"access_token":7}"#),
        What::status(200, "[".repeat(100_000)),
        What::status(200, format!(r#"{{"access_token":"{}"}}"#, "x".repeat(2 << 20))),
        What::status(302, ""),
        What::status(400, "<html>"),
        What::status(404, ""),
        What::status(500, "{}"),
        What::status(503, r#"{"error":"temporarily_unavailable"}"#),
    ] {
        world.cloud.fault(Fault::new("/token", what.clone()));
        let trouble = trouble(&world).await;
        assert_eq!(kind(&trouble), "retry", "{what:?}: {trouble}");
        let text = trouble.to_string();
        assert!(text.contains("account alex: Entra ") && text.contains("; it is tried again"), "{what:?}: {text}");
        world.cloud.clear_faults();
    }
    world.start(&world.settings(&["alex"])).await.access(&person("alex")).await.unwrap();
}

#[tokio::test]
async fn retry_after_is_obeyed_and_meanwhile_entra_is_left_alone() {
    let world = signed_in().await;
    world.cloud.fault(Fault::new("/token", What::retry_after(429, 41)));
    let tokens = world.start(&world.settings(&["alex"])).await;
    let asked = world.asked();
    for _ in 0..3 {
        let Err(Trouble::Retry { after: Some(after), .. }) = tokens.access(&person("alex")).await else { panic!() };
        assert!((39..=41).contains(&after.as_secs()), "{after:?}");
    }
    assert_eq!(world.asked() - asked, 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for() {
    let world = signed_in().await;
    world.cloud.fault(Fault::new("/token", What::Hang));
    let tokens = world.start_with(&world.settings(&["alex"]), http(Duration::from_millis(300))).await;
    let trouble = tokens.access(&person("alex")).await.unwrap_err();
    assert!(matches!(&trouble, Trouble::Retry { reason, .. } if reason.contains("timed out")), "{trouble}");
}

#[tokio::test]
async fn nobody_listening_is_tried_again() {
    let world = signed_in().await;
    world.cloud.down().await;
    let trouble = trouble(&world).await;
    assert!(matches!(&trouble, Trouble::Retry { reason, .. } if reason.contains("does not answer")), "{trouble}");
}

#[tokio::test]
async fn what_is_wrong_with_the_registration_is_told_with_the_key_to_change() {
    let world = World::with(
        Application::confidential(CLIENT, "contoso.com", SECRET)
            .expired_secret("one-of-yesterday")
            .roles(&["Presence.Read.All"]),
    )
    .await;
    let accounts = "accounts:\n  alex: { user: alex@contoso.com, via: app }\n";
    for (secret, tenant, words) in [
        ("its-id-instead", "contoso.com", "entra.client_secret is wrong"),
        ("one-of-yesterday", "contoso.com", "entra.client_secret has expired"),
        (SECRET, "nowhere.com", "entra.tenant"),
        (SECRET, "organizations", "entra.tenant"),
    ] {
        let tokens = world.start(&world.settings_of(accounts, &format!(", client_secret: {secret}"))).await;
        let trouble = tokens.access(&Principal::Application(tenant.into())).await.unwrap_err();
        let text = trouble.to_string();
        assert_eq!(kind(&trouble), "misconfigured", "{text}");
        assert!(text.contains(words) && !text.contains(secret), "{words} is missing, or a secret is in: {text}");
    }
    let tokens = world.start(&world.settings_of("accounts:\n  alex: { user: alex@contoso.com }\n", "")).await;
    let trouble = world.sign_in(&tokens, "alex").await.unwrap_err();
    assert_eq!(kind(&trouble), "misconfigured", "{trouble}");
}

/// Everything that is logged from now on, at the most verbose level.
#[derive(Clone, Default)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Captured {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl MakeWriter<'_> for Captured {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_secret_reaches_a_log_an_error_or_a_debug_output() {
    let log = Captured::default();
    // For the whole process, what other crates and threads log included; other tests' lines do no harm.
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(log.clone()).init();

    let confidential = Application::confidential(CLIENT, "contoso.com", SECRET).delegated(&["Presence.Read"]);
    let world = World::with(confidential).await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\n";
    let settings = world.settings_of(accounts, &format!(", client_secret: {SECRET}"));
    let tokens = world.start(&settings).await;
    let grant = world.sign_in(&tokens, "alex").await.unwrap();
    let again = world.start(&settings).await;
    let access = again.access(&person("alex")).await.unwrap();
    let row = world.store().await.grant(&name("alex")).await.unwrap().unwrap();
    let cache: serde_json::Value = serde_json::from_str(row.cache.expose_secret()).unwrap();
    let refresh = cache["refresh_token"].as_str().unwrap().to_owned();

    let echo = serde_json::json!({"error": "x", "error_description": format!("you sent {refresh} and {SECRET}")});
    world.cloud.fault(Fault::new("/token", What::status(400, echo.to_string())));
    let trouble = world.start(&settings).await.access(&person("alex")).await.unwrap_err();
    let half_a_token = format!(r#"{{"access_token":"{}"}}"#, access.secret.expose_secret());
    world.cloud.fault(Fault::new("/token", What::status(200, half_a_token)));
    let odd = world.start(&settings).await.access(&person("alex")).await.unwrap_err();

    let shown = format!("{trouble} {trouble:?} {odd} {odd:?} {grant:?} {row:?} {access:?} {tokens:?} {settings:?}");
    let logged = log.text();
    assert!(logged.contains("has a new token"), "the log was not captured");
    for secret in [access.secret.expose_secret(), &refresh, SECRET] {
        assert!(!shown.contains(secret), "{secret} is shown");
        assert!(!logged.contains(secret), "{secret} is logged");
    }
}

#[tokio::test]
async fn what_differs_from_the_last_refusal_by_the_ids_alone_is_not_written_again() {
    let world = signed_in().await;
    let refused = async || {
        let reason = trouble(&world).await.reason().to_owned();
        (reason, world.store().await.grant(&name("alex")).await.unwrap().unwrap().standing)
    };
    world.cloud.refuse(&upn("alex"), Some(Refusal::Disabled));
    let ((first, kept), (next, still_kept)) = (refused().await, refused().await);
    assert!(first != next && kept.words().is_some_and(|words| words.contains(&first)), "{first} {next}");
    assert_eq!(still_kept, kept);
    world.cloud.revoke(&upn("alex"));
    assert_ne!(refused().await.1, kept);

    // A public client takes no secret.
    let refused = async || {
        let settings =
            world.settings_of("accounts:\n  alex: { user: alex@contoso.com, via: app }\n", ", client_secret: x");
        let app = Principal::Application("contoso.com".into());
        let trouble = world.start(&settings).await.access(&app).await.unwrap_err();
        (trouble.reason().to_owned(), world.store().await.applications(CLIENT).await.unwrap())
    };
    let ((first, kept), (next, still_kept)) = (refused().await, refused().await);
    assert!(first != next && kept["contoso.com"].words().as_deref() == Some(&*first), "{kept:?}");
    assert_eq!(still_kept, kept);
}
