//! Signing in with a browser, from our side: what it is sent with, and what comes of what it brings back.

use std::time::Duration;

use graph2mqtt::entra::{Arrival, Browser, Errand, Posted, Progress, SignIns, SignedIn, Tokens, Trouble, Unexpected};
use graph2mqtt::simulator::{Application, Fault, Platform, Route, What};
use url::Url;

use crate::identities::asked;
use crate::sign_ins::newcomer;
use crate::visitor::{self, Post};
use crate::world::{CLIENT, SECRET, World, name, person, upn};

const PATIENCE: Duration = Duration::from_secs(20);
/// From where browsers ask.
pub const HERE: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
pub const BACK: &str = "http://localhost:8480/sign-in/callback";

fn application(platform: Platform) -> Application {
    Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]).redirect(platform, BACK)
}

pub async fn world() -> World {
    World::with(application(Platform::Desktop)).await
}

pub fn browser() -> Browser {
    Browser::of("the cookie of alex's browser")
}

pub async fn begin(sign_ins: &SignIns) -> Url {
    sign_ins.send(Errand::Account(name("alex")), browser(), HERE, &BACK.parse().unwrap()).await.unwrap()
}

pub fn posted(post: &Post) -> Posted {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&post.fields).finish();
    Posted::from_form(form.as_bytes()).unwrap()
}

async fn outcome(sign_ins: &SignIns, handle: &str) -> Result<SignedIn, Trouble> {
    let Arrival { errand, outcome } = sign_ins.arrive(handle, browser(), PATIENCE).await.unwrap();
    assert_eq!(errand, Errand::Account(name("alex")));
    outcome.expect("Entra has answered")
}

/// The whole way of a person who enrols, and whether Entra was asked with claims.
pub async fn enrol(sign_ins: &SignIns, who: &str) -> (Result<SignedIn, Trouble>, bool) {
    go(sign_ins, Errand::Enrol, who).await
}

/// The same for another errand.
pub async fn go(sign_ins: &SignIns, errand: Errand, who: &str) -> (Result<SignedIn, Trouble>, bool) {
    let url = sign_ins.send(errand, browser(), HERE, &BACK.parse().unwrap()).await.unwrap();
    let post = visitor::answer(&url, &upn(who), "sign_in").await.unwrap();
    let handle = sign_ins.receive(posted(&post)).unwrap();
    let outcome = sign_ins.arrive(&handle, browser(), PATIENCE).await.unwrap().outcome;
    (outcome.expect("Entra has answered"), url.query_pairs().any(|(key, _)| key == "claims"))
}

/// The whole way of a person who signs in as `who`.
pub async fn way(tokens: &Tokens, who: &str) -> Result<SignedIn, Trouble> {
    let sign_ins = tokens.sign_ins();
    let post = visitor::answer(&begin(&sign_ins).await, &upn(who), "sign_in").await.unwrap();
    assert_eq!(post.to, BACK);
    outcome(&sign_ins, &sign_ins.receive(posted(&post)).unwrap()).await
}

#[tokio::test]
async fn who_signs_in_at_entra_is_signed_in_here_and_stays_so() {
    let world = world().await;
    world.cloud.adjust(|rules| rules.access_token = crate::world::SHORT);
    let tokens = world.start(&world.settings(&["alex"])).await;
    let signed_in = way(&tokens, "alex").await.unwrap();
    assert_eq!(signed_in.username, "alex@contoso.com");
    let token = world.start(&world.settings(&["alex"])).await.access(&person("alex")).await.unwrap();
    assert_eq!(world.whose(&token).await, signed_in.object_id.as_str());
}

#[tokio::test]
async fn why_entra_refused_a_browser_is_told_beyond_its_page_and_what_a_browser_brings_is_not() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let mut steps = sign_ins.steps();
    let declined = visitor::answer(&begin(&sign_ins).await, &upn("alex"), "decline").await.unwrap();
    outcome(&sign_ins, &sign_ins.receive(posted(&declined)).unwrap()).await.unwrap_err();
    assert!(steps.is_empty());
    let refusal = r#"{"error":"invalid_grant","error_description":"AADSTS53003: no"}"#;
    world.cloud.fault(Fault::new("/token", What::status(400, refusal)).times(1));
    let trouble = way(&tokens, "alex").await.unwrap_err();
    let step = steps.try_recv().unwrap();
    assert_eq!(step.account, name("alex"));
    assert!(matches!(&step.progress, Progress::Failed(told) if *told == trouble), "{step:?}");
}

#[tokio::test]
async fn entra_is_asked_for_what_is_needed_and_no_more_and_nothing_secret_is_in_the_url() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let url = begin(&tokens.sign_ins()).await;
    let asked: std::collections::BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (key, value) in [
        ("client_id", CLIENT),
        ("response_type", "code"),
        ("response_mode", "form_post"),
        ("redirect_uri", BACK),
        ("scope", "openid profile offline_access Presence.Read"),
        ("code_challenge_method", "S256"),
        ("login_hint", "alex@contoso.com"),
    ] {
        assert_eq!(asked[key], value);
    }
    for random in ["state", "nonce", "code_challenge"] {
        assert_eq!(asked[random].len(), 43, "{random}");
    }
    assert_eq!((asked.len(), url.path()), (10, "/contoso.com/oauth2/v2.0/authorize"));
    assert_ne!(begin(&tokens.sign_ins()).await.query(), url.query());
}

#[tokio::test]
async fn the_platform_of_the_redirect_uri_decides_which_kind_of_client_it_is_and_that_is_remembered() {
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\n";
    for (platform, confidential) in [(Platform::Web, true), (Platform::Desktop, false)] {
        let world = World::with(application(platform).secret(SECRET)).await;
        world.cloud.adjust(|rules| rules.access_token = crate::world::SHORT);
        let settings = world.settings_of(accounts, &format!(", client_secret: {SECRET}"));
        way(&world.start(&settings).await, "alex").await.unwrap();
        assert_eq!(world.store().await.grants().await.unwrap()[0].confidential, confidential, "{platform:?}");
        world.start(&settings).await.access(&person("alex")).await.unwrap();
    }
}

#[tokio::test]
async fn a_redirect_uri_of_the_wrong_platform_says_which_is_right() {
    for (platform, words) in [(Platform::Web, "Mobile and desktop"), (Platform::SinglePage, "Single-page application")]
    {
        let world = World::with(application(platform)).await;
        let trouble = way(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap_err();
        assert!(matches!(&trouble, Trouble::Misconfigured { reason } if reason.contains(words)), "{trouble}");
    }
}

#[tokio::test]
async fn another_person_is_refused_and_nothing_is_kept() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let trouble = way(&tokens, "kim").await.unwrap_err();
    assert!(matches!(&trouble, Trouble::SignIn { reason, .. } if reason.contains("kim@contoso.com")), "{trouble}");
    assert!(world.store().await.grants().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_personal_account_is_refused() {
    let application = application(Platform::Desktop).multi_tenant();
    let world = World::with(application).await;
    world.cloud.add_tenant_as("9188040d-6c67-4c5b-b112-36a304b66dad", "outlook.com");
    world.cloud.add_person("alex@outlook.com", "Alex at home");
    world.cloud.consent(CLIENT, "outlook.com", &["Presence.Read"]);
    let accounts = "accounts:\n  alex: { user: alex@outlook.com, tenant: organizations }\n";
    let tokens = world.start(&world.settings_of(accounts, "")).await;
    let sign_ins = tokens.sign_ins();
    let post = visitor::answer(&begin(&sign_ins).await, "alex@outlook.com", "sign_in").await.unwrap();
    let trouble = outcome(&sign_ins, &sign_ins.receive(posted(&post)).unwrap()).await.unwrap_err();
    assert!(trouble.to_string().contains("personal Microsoft account"), "{trouble}");
}

#[tokio::test]
async fn a_guest_elsewhere_under_the_same_name_is_somebody_else() {
    let world = World::with(application(Platform::Desktop).multi_tenant()).await;
    world.cloud.add_tenant("northwind.com");
    world.cloud.consent(CLIENT, "northwind.com", &["Presence.Read"]);
    let guest = world.cloud.add_guest("alex@contoso.com", "northwind.com");
    let accounts = "accounts:\n  alex: { user: alex@contoso.com, tenant: organizations }\n";
    let sign_ins = world.start(&world.settings_of(accounts, "")).await.sign_ins();
    let post = visitor::answer(&begin(&sign_ins).await, &guest.as_str(), "sign_in").await.unwrap();
    let trouble = outcome(&sign_ins, &sign_ins.receive(posted(&post)).unwrap()).await.unwrap_err();
    assert!(trouble.to_string().contains("but contoso.com is configured"), "{trouble}");
    assert!(world.store().await.grants().await.unwrap().is_empty());

    let post = visitor::answer(&begin(&sign_ins).await, "alex@contoso.com", "sign_in").await.unwrap();
    outcome(&sign_ins, &sign_ins.receive(posted(&post)).unwrap()).await.unwrap();
}

#[tokio::test]
async fn who_turns_back_or_declines_is_told_so_and_where_an_administrator_consents() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let page = format!("{}/contoso.com/adminconsent?client_id={CLIENT}", world.cloud.authority());
    // What Entra sends of a bare "back" is a subcode. It has no number, so none is shown.
    for (answer, words, is_said) in
        [("cancel", "if an administrator's approval was asked for", false), ("decline", "declined to consent", true)]
    {
        let post = visitor::answer(&begin(&sign_ins).await, &upn("alex"), answer).await.unwrap();
        assert_eq!(post.fields.contains_key("error_description"), is_said, "{post:?}");
        let trouble = outcome(&sign_ins, &sign_ins.receive(posted(&post)).unwrap()).await.unwrap_err();
        assert!(matches!(&trouble, Trouble::Consent { url, .. } if *url == page), "{trouble:?}");
        assert!(trouble.to_string().contains(words) && trouble.to_string().contains(&page), "{trouble}");
        assert_eq!(trouble.to_string().contains("AADSTS65004"), is_said, "{trouble}");
        assert!(!trouble.to_string().contains("AADSTS7"), "{trouble}");
    }

    world.cloud.withdraw_consent(CLIENT, "contoso.com");
    let url = begin(&sign_ins).await;
    let page = visitor::answer(&url, &upn("alex"), "sign_in").await.unwrap_err();
    assert!(page.contains("Permissions requested") && page.contains("Presence.Read"), "{page}");
    let post = visitor::answer(&url, &upn("alex"), "consent").await.unwrap();
    outcome(&sign_ins, &sign_ins.receive(posted(&post)).unwrap()).await.unwrap();
}

#[tokio::test]
async fn each_error_that_entra_lets_a_browser_post_says_what_to_do() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    for (error, subcode, description, words) in [
        ("access_denied", "", "AADSTS65004: User declined", "declined to consent"),
        ("access_denied", "cancel", "AADSTS65004: User declined", "declined to consent"),
        ("access_denied", "cancel", "AADSTS90094: x", "only an administrator may consent"),
        ("access_denied", "cancel", "The user has cancelled", "Entra says: The user has cancelled; if an admin"),
        ("access_denied", "other", "", "Entra says: access_denied"),
        ("consent_required", "", "AADSTS65001: x", "adminconsent"),
        ("server_error", "", "AADSTS90033: x", "begin again"),
        ("temporarily_unavailable", "", "", "begin again"),
        ("login_required", "", "AADSTS50058: x", "sign in again"),
        ("interaction_required", "", "AADSTS53003: x Trace ID: trace-1 Correlation ID: corr-1", "Conditional Access"),
        ("invalid_resource", "", "AADSTS500011: x", "AADSTS500011"),
        ("unauthorized_client", "", "AADSTS700016: x", "entra.client_id"),
        ("<script>", "", "<b>\u{1b}", "Entra says"),
    ] {
        let state = begin(&sign_ins).await.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
        let said = [("error", error), ("error_subcode", subcode), ("error_description", description)];
        let said = said.into_iter().filter(|(_, value)| !value.is_empty());
        let fields = said.chain([("state", &*state)]).map(|(key, value)| (key.to_owned(), value.to_owned()));
        let post = Post { to: BACK.to_owned(), fields: fields.collect() };
        let reason = outcome(&sign_ins, &sign_ins.receive(posted(&post)).unwrap()).await.unwrap_err().to_string();
        assert!(reason.contains(words) && !reason.contains('\u{1b}'), "{error}: {reason}");
        assert_eq!(reason.contains("corr-1"), error == "interaction_required", "{reason}");
    }
}

#[tokio::test]
async fn a_state_is_taken_once_and_only_if_it_was_given_out() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let post = visitor::answer(&begin(&sign_ins).await, &upn("alex"), "sign_in").await.unwrap();
    let mut forged = post.clone();
    forged.fields.insert("state".to_owned(), "x".repeat(43));
    assert_eq!(sign_ins.receive(posted(&forged)), Err(Unexpected::Unknown));
    forged.fields.remove("state");
    assert_eq!(sign_ins.receive(posted(&forged)), Err(Unexpected::Unknown));
    let handle = sign_ins.receive(posted(&post)).unwrap();
    assert_eq!(sign_ins.receive(posted(&post)), Err(Unexpected::Unknown), "the post again");
    assert_eq!(world.asked(), 0, "nothing was redeemed yet");
    outcome(&sign_ins, &handle).await.unwrap();
    outcome(&sign_ins, &handle).await.expect("who loads the page again sees the same");
    assert_eq!(world.asked(), 1);
}

#[tokio::test]
async fn what_one_browser_began_another_does_not_end() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let post = visitor::answer(&begin(&sign_ins).await, &upn("alex"), "sign_in").await.unwrap();
    let handle = sign_ins.receive(posted(&post)).unwrap();
    let stranger = sign_ins.arrive(&handle, Browser::of("another"), PATIENCE).await;
    assert_eq!(stranger.unwrap_err(), Unexpected::AnotherBrowser);
    assert_eq!(sign_ins.arrive("nothing", browser(), PATIENCE).await.unwrap_err(), Unexpected::Unknown);
    assert_eq!(world.asked(), 0);
    outcome(&sign_ins, &handle).await.expect("and the stranger took nothing away");
}

#[tokio::test]
async fn a_code_that_was_used_or_has_expired_or_belongs_to_another_sign_in_is_refused() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let used = visitor::answer(&begin(&sign_ins).await, &upn("alex"), "sign_in").await.unwrap();
    let used = used.field("code").to_owned();
    // The code of one sign-in under the state of another: PKCE tells them apart.
    let mut mixed = visitor::answer(&begin(&sign_ins).await, &upn("alex"), "sign_in").await.unwrap();
    mixed.fields.insert("code".to_owned(), used);
    let trouble = outcome(&sign_ins, &sign_ins.receive(posted(&mixed)).unwrap()).await.unwrap_err();
    assert!(trouble.to_string().contains("another sign-in"), "{trouble}");

    let late = visitor::answer(&begin(&sign_ins).await, &upn("alex"), "sign_in").await.unwrap();
    world.cloud.expire_authorization_codes();
    let trouble = outcome(&sign_ins, &sign_ins.receive(posted(&late)).unwrap()).await.unwrap_err();
    assert!(matches!(&trouble, Trouble::SignIn { reason, .. } if reason.contains("AADSTS70008")), "{trouble}");
    assert!(world.store().await.grants().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_state_is_good_for_ten_minutes_in_all() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let sign_ins = tokens.sign_ins();
    let [late, later] = [begin(&sign_ins).await, begin(&sign_ins).await];
    let late = visitor::answer(&late, &upn("alex"), "sign_in").await.unwrap();
    let later = visitor::answer(&later, &upn("alex"), "sign_in").await.unwrap();
    let handle = sign_ins.receive(posted(&late)).unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(601)).await;
    tokio::time::resume();
    assert_eq!(sign_ins.arrive(&handle, browser(), PATIENCE).await.unwrap_err(), Unexpected::Unknown);
    assert_eq!(sign_ins.receive(posted(&later)).unwrap_err(), Unexpected::Unknown);
    assert_eq!(world.asked(), 0, "a code was redeemed");
}

#[tokio::test]
async fn a_device_code_ends_when_the_browser_was_quicker() {
    let world = world().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let mut code = tokens.sign_ins().start(&name("alex")).unwrap();
    way(&tokens, "alex").await.unwrap();
    let end = tokio::time::timeout(PATIENCE, code.wait_for(Progress::has_ended)).await.unwrap().unwrap().clone();
    assert!(matches!(&end, Progress::SignedIn(by) if by.username == "alex@contoso.com"), "{end:?}");
}

#[tokio::test]
async fn people_of_one_tenant_with_several_names_enrol_in_the_browser_and_by_a_code() {
    let world = world().await;
    world.cloud.add_domain("contoso.com", "contoso.de");
    world.cloud.adjust(|rules| rules.interval = Duration::from_secs(1));
    let enrols = |tenants: &str| world.settings_of(&format!("web: {{ enrol: {{ tenants: [{tenants}] }} }}\n"), "");
    let sign_ins = world.start(&enrols("contoso.com, contoso.de")).await.sign_ins();
    assert_eq!(enrol(&sign_ins, "sam").await.0.unwrap().username, "sam@contoso.com");

    sign_ins.ask_for_code(Errand::Enrol, browser(), HERE).unwrap();
    let is_out = |progress: &Progress| !matches!(progress, Progress::Starting);
    let Progress::Waiting { prompt, .. } = newcomer(&sign_ins, &is_out).await else { panic!("no code") };
    world.cloud.approve(&prompt.user_code, &upn("kim")).unwrap();
    let end = newcomer(&sign_ins, &Progress::has_ended).await;
    assert!(matches!(&end, Progress::SignedIn(by) if by.username == "kim@contoso.com"), "{end:?}");

    world.cloud.add_tenant("northwind.com");
    let sign_ins = world.start(&enrols("contoso.com, northwind.com")).await.sign_ins();
    let url = sign_ins.send(Errand::Enrol, browser(), HERE, &BACK.parse().unwrap()).await.unwrap();
    let page = visitor::answer(&url, &upn("sam"), "sign_in").await.unwrap_err();
    assert!(page.contains("AADSTS50194"), "an application of one tenant is not known to people of several: {page}");
}

#[tokio::test]
async fn a_code_is_redeemed_where_its_page_was_whatever_is_found_out_meanwhile() {
    let world = World::with(application(Platform::Desktop).multi_tenant()).await;
    world.cloud.add_domain("contoso.com", "contoso.de");
    world.cloud.fault(Fault::new("openid-configuration", What::status(503, "")));
    let enrols = "web: { enrol: { tenants: [contoso.com, contoso.de] } }\n";
    let sign_ins = world.start(&world.settings_of(enrols, "")).await.sign_ins();
    let send = async || sign_ins.send(Errand::Enrol, browser(), HERE, &BACK.parse().unwrap()).await.unwrap();
    let url = send().await;
    world.cloud.clear_faults();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let tenants = [url.path(), send().await.path()].map(|path| path.split('/').nth(1).unwrap().to_owned());
    assert_eq!(tenants, ["organizations", "contoso.com"]);
    let post = visitor::answer(&url, &upn("sam"), "sign_in").await.unwrap();
    let handle = sign_ins.receive(posted(&post)).unwrap();
    let outcome = sign_ins.arrive(&handle, browser(), PATIENCE).await.unwrap().outcome.expect("Entra has answered");
    assert_eq!(outcome.unwrap().username, "sam@contoso.com");
}

#[tokio::test]
async fn whoever_comes_by_makes_us_ask_entra_once_a_minute_and_not_where_they_are_refused() {
    let world = world().await;
    world.cloud.fault(Fault::new("openid-configuration", What::status(503, "")));
    let enrols = "web: { enrol: { tenants: [contoso.com, contoso.de] } }\n";
    let sign_ins = world.start(&world.settings_of(enrols, "")).await.sign_ins();
    let send = async |from: &str| {
        let sent = sign_ins.send(Errand::Enrol, browser(), from.parse().unwrap(), &BACK.parse().unwrap()).await;
        (sent.map(drop), asked(&world, Route::Tenant))
    };
    for _ in 0..64 {
        assert_eq!(send("192.0.2.1").await, (Ok(()), 1));
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    let (refused, asked) = send("192.0.2.1").await;
    assert!(matches!(refused, Err(Trouble::Retry { .. })) && asked == 1, "{refused:?} {asked}");
    assert_eq!(send("192.0.2.2").await, (Ok(()), 2));
}

#[tokio::test]
async fn nobody_is_sent_to_entra_for_a_code_that_could_not_be_redeemed() {
    let world = World::with(application(Platform::Web).trusts("pod")).await;
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\n";
    let tokens = world.start(&world.settings_of(accounts, ", federated_token_file: token")).await;
    let sign_ins = tokens.sign_ins();
    let sent = sign_ins.send(Errand::Account(name("alex")), browser(), HERE, &BACK.parse().unwrap()).await;
    let trouble = sent.unwrap_err();
    let is_told = |reason: &str| reason.contains("entra.federated_token_file") && reason.contains("cannot be read");
    assert!(matches!(&trouble, Trouble::Misconfigured { reason } if is_told(reason)), "{trouble}");
    std::fs::write(world.folder().join("token"), world.cloud.federated_token("pod")).unwrap();
    way(&tokens, "alex").await.unwrap();
}
