//! Claims challenges: what Graph asks for is brought, by a person where it takes one, and never in a loop.

use graph2mqtt::entra::{Browser, Errand, Posted, Principal, Progress, Tokens, Trouble};
use graph2mqtt::graph;
use graph2mqtt::settings::Settings;
use graph2mqtt::simulator::{Application, Call, Fault, Platform, Refusal, Route, What};
use graph2mqtt::store::Standing;

use crate::sign_ins::newcomer;
use crate::visitor;
use crate::world::{CLIENT, SECRET, SHORT, World, http, name, person, upn};

const BACK: &str = "http://localhost:8480/sign-in/callback";

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

fn asked_graph(world: &World) -> usize {
    world.cloud.calls().count(|call: &Call| call.route == Route::MyPresence)
}

#[tokio::test]
async fn a_challenge_is_answered_with_its_claims_and_so_are_later_ones() {
    let world = World::new().await;
    let settings = world.settings(&["alex"]);
    let tokens = world.start(&settings).await;
    world.sign_in(&tokens, "alex").await.unwrap();
    let client = graph::Client::new(&settings.graph, http(PATIENCE), tokens.clone());
    client.mine(&person("alex"), "contoso.com").await.unwrap();

    world.cloud.challenge(&upn("alex"), true);
    let asked = world.asked();
    client.mine(&person("alex"), "contoso.com").await.unwrap();
    assert_eq!((world.asked() - asked, asked_graph(&world)), (1, 3), "one new token, one more question");
    client.mine(&person("alex"), "contoso.com").await.unwrap();
    assert_eq!((world.asked() - asked, asked_graph(&world)), (1, 4));

    // The next refresh brings them without being asked again.
    world.cloud.expire_access_tokens(&upn("alex"));
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    tokio::time::resume();
    client.mine(&person("alex"), "contoso.com").await.unwrap();
    assert_eq!((world.asked() - asked, asked_graph(&world)), (2, 6));
}

#[tokio::test]
async fn where_the_claims_take_a_person_the_person_is_asked_to_sign_in_once() {
    let world = World::new().await;
    let settings = world.settings(&["alex"]);
    let tokens = world.start(&settings).await;
    world.sign_in(&tokens, "alex").await.unwrap();
    let client = graph::Client::new(&settings.graph, http(PATIENCE), tokens.clone());
    world.cloud.challenge(&upn("alex"), true);
    world.cloud.refuse(&upn("alex"), Some(Refusal::MoreFactors));
    let asked = world.asked();
    for _ in 0..5 {
        let trouble = client.mine(&person("alex"), "contoso.com").await.unwrap_err();
        assert!(matches!(&trouble, graph::Trouble::Token(Trouble::SignIn { .. })), "{trouble:?}");
        let reason = trouble.to_string();
        assert!(reason.contains("more factors") && reason.contains("graph2mqtt login alex"), "{reason}");
    }
    assert_eq!((world.asked() - asked, asked_graph(&world)), (1, 1), "it asks in a loop");

    world.cloud.refuse(&upn("alex"), None);
    world.sign_in(&tokens, "alex").await.unwrap();
    client.mine(&person("alex"), "contoso.com").await.unwrap();
}

#[tokio::test]
async fn a_challenge_that_comes_again_and_again_is_left_alone_for_a_minute() {
    let world =
        World::with(Application::confidential(CLIENT, "contoso.com", SECRET).roles(&["Presence.Read.All"])).await;
    let accounts = "accounts:\n  alex: { user: alex@contoso.com, via: app }\n";
    let settings = world.settings_of(accounts, &format!(", client_secret: {SECRET}"));
    let client = graph::Client::new(&settings.graph, http(PATIENCE), world.start(&settings).await);
    let challenge = r#"Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
    let headers = vec![("www-authenticate".to_owned(), challenge.to_owned())];
    world.cloud.fault(Fault::new("getPresences", What::Answer { status: 401, headers, body: String::new() }));
    let app = Principal::Application("contoso.com".into());
    let first = client.presences(&app, "contoso.com", &[]).await.unwrap_err();
    assert!(first.to_string().contains("claims challenge"), "{first}");
    for _ in 0..5 {
        let later = client.presences(&app, "contoso.com", &[]).await.unwrap_err();
        let graph::Trouble::Token(Trouble::Retry { after: Some(_), reason }) = &later else { panic!("{later:?}") };
        assert!(reason.contains("claims challenge"), "{reason}");
    }
    assert_eq!(world.asked(), 2, "Entra is asked in a loop");
}

/// Entra takes no refresh of alex's any more: a sign-in has to bring the claims that it names.
async fn who_has_to_bring_claims() -> (World, Settings) {
    let application = Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]);
    let world = World::with(application.redirect(Platform::Desktop, BACK)).await;
    world.cloud.adjust(|rules| {
        rules.access_token = SHORT;
        rules.interval = std::time::Duration::from_secs(1);
    });
    let settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    world.cloud.refuse(&upn("alex"), Some(Refusal::Claims));
    (world, settings)
}

#[tokio::test]
async fn the_browser_is_sent_to_entra_with_the_claims_that_a_refresh_was_refused_for() {
    let (world, settings) = who_has_to_bring_claims().await;
    let tokens = world.start(&settings).await;
    let sign_ins = tokens.sign_ins();
    let send = async || {
        sign_ins
            .send(Errand::Account(name("alex")), Browser::of("cookie"), crate::browser::HERE, &BACK.parse().unwrap())
            .await
            .unwrap()
    };
    let asks = |url: &url::Url| url.query_pairs().any(|(key, value)| key == "claims" && value.contains("capolids"));
    assert!(!asks(&send().await), "nothing was asked for yet");
    assert!(matches!(tokens.access(&person("alex")).await, Err(Trouble::SignIn { .. })));
    let url = send().await;
    assert!(asks(&url), "{url}");

    let post = visitor::answer(&url, &upn("alex"), "sign_in").await.unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&post.fields).finish();
    let handle = sign_ins.receive(Posted::from_form(form.as_bytes()).unwrap()).unwrap();
    let arrival = sign_ins.arrive(&handle, Browser::of("cookie"), PATIENCE).await.unwrap();
    arrival.outcome.unwrap().unwrap();
    tokens.access(&person("alex")).await.unwrap();
    assert!(!asks(&send().await), "they were brought");
}

#[tokio::test]
async fn a_device_code_is_asked_for_with_the_claims_by_another_process_too() {
    let (world, settings) = who_has_to_bring_claims().await;
    world.start(&settings).await.access(&person("alex")).await.unwrap_err();
    let kept = world.store().await.grant(&name("alex")).await.unwrap().unwrap();
    assert!(kept.standing.claims().is_some_and(|claims| claims.contains("capolids")), "{:?}", kept.standing);

    let tokens = world.start(&settings).await;
    let mut codes = 0;
    let alex = name("alex");
    let signed_in = tokens.sign_in(&alex, |prompt| {
        codes += 1;
        world.cloud.approve(&prompt.user_code, &upn("alex")).unwrap();
    });
    signed_in.await.unwrap();
    assert_eq!(codes, 1, "the first code was asked for without them");
    tokens.access(&person("alex")).await.unwrap();
    let kept = world.store().await.grant(&name("alex")).await.unwrap().unwrap();
    assert_eq!(kept.standing, Standing::Ok);
}

#[tokio::test]
async fn where_entra_says_what_it_wants_only_when_the_code_was_used_the_next_code_asks_for_it() {
    let (world, settings) = who_has_to_bring_claims().await;
    world.store().await.remove_grant(&name("alex")).await.unwrap();
    let tokens = world.start(&settings).await;
    let mut codes = Vec::new();
    let alex = name("alex");
    let signed_in = tokens.sign_in(&alex, |prompt| {
        codes.push(prompt.user_code.clone());
        world.cloud.approve(&prompt.user_code, &upn("alex")).unwrap();
    });
    signed_in.await.unwrap();
    assert_eq!(codes.len(), 2);
}

#[tokio::test]
async fn what_graph_asks_for_is_brought_by_the_sign_in_that_it_takes() {
    let world = World::new().await;
    let settings = world.settings(&["alex"]);
    let tokens = world.start(&settings).await;
    world.sign_in(&tokens, "alex").await.unwrap();
    world.cloud.challenge(&upn("alex"), true);
    world.cloud.revoke(&upn("alex"));
    let client = graph::Client::new(&settings.graph, http(PATIENCE), tokens.clone());
    client.mine(&person("alex"), "contoso.com").await.unwrap_err();
    world.sign_in(&tokens, "alex").await.unwrap();
    let asked = (world.asked(), asked_graph(&world));
    client.mine(&person("alex"), "contoso.com").await.unwrap();
    assert_eq!((world.asked(), asked_graph(&world)), (asked.0, asked.1 + 1), "Graph had to ask again");
}

/// kim has enrolled in the browser; tokens live so long.
async fn who_enrolled(life: std::time::Duration) -> (World, Settings, Principal) {
    let world = crate::browser::world().await;
    world.cloud.adjust(|rules| {
        rules.access_token = life;
        rules.interval = std::time::Duration::from_secs(1);
    });
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\nweb: { enrol: { tenants: [contoso.com] } }\n";
    let settings = world.settings_of(accounts, "");
    let sign_ins = world.start(&settings).await.sign_ins();
    let (enrolled, _) = crate::browser::enrol(&sign_ins, "kim").await;
    let kim = Principal::Account(enrolled.unwrap().account);
    (world, settings, kim)
}

async fn ask(settings: &Settings, kim: &Principal, tokens: Tokens) -> Result<(), graph::Trouble> {
    graph::Client::new(&settings.graph, http(PATIENCE), tokens).mine(kim, "contoso.com").await.map(drop)
}

/// kim has enrolled, and Graph has asked for claims that no refresh brings; a process that is gone has noted it.
async fn who_has_enrolled_and_to_bring_what_graph_asks_for() -> (World, Settings, Principal) {
    let (world, settings, kim) = who_enrolled(HOUR).await;
    let before = world.start(&settings).await;
    world.cloud.challenge(&upn("kim"), true);
    world.cloud.revoke(&upn("kim"));
    ask(&settings, &kim, before).await.unwrap_err();
    (world, settings, kim)
}

#[tokio::test]
async fn who_enrolled_brings_in_the_same_browser_what_entra_asked_for() {
    let (world, settings, kim) = who_enrolled(SHORT).await;
    world.cloud.refuse(&upn("kim"), Some(Refusal::Claims));
    let tokens = world.start(&settings).await;
    tokens.access(&kim).await.unwrap_err();
    let sign_ins = tokens.sign_ins();
    let (first, asked) = crate::browser::enrol(&sign_ins, "kim").await;
    assert!(matches!(first, Err(Trouble::SignIn { .. })) && !asked, "nobody knew who it was: {first:?}");
    let (second, asked) = crate::browser::enrol(&sign_ins, "kim").await;
    second.unwrap();
    assert!(asked);
    tokens.access(&kim).await.unwrap();
    assert!(!crate::browser::enrol(&sign_ins, "kim").await.1, "they were brought");
}

#[tokio::test]
async fn who_enrolled_brings_what_graph_asked_for_and_what_the_store_remembers_of_it() {
    let (world, settings, kim) = who_has_enrolled_and_to_bring_what_graph_asks_for().await;
    let tokens = world.start(&settings).await;
    let (first, _) = crate::browser::enrol(&tokens.sign_ins(), "kim").await;
    assert!(first.is_err_and(|trouble| trouble.reason().contains("sign in once more")), "it is brought too late");
    crate::browser::enrol(&tokens.sign_ins(), "kim").await.0.unwrap();
    let asked = (world.asked(), asked_graph(&world));
    ask(&settings, &kim, tokens).await.unwrap();
    assert_eq!((world.asked(), asked_graph(&world)), (asked.0, asked.1 + 1), "Graph had to ask again");
}

#[tokio::test]
async fn who_enrolled_is_shown_a_second_code_that_asks_for_what_is_missing() {
    let (world, settings, kim) = who_has_enrolled_and_to_bring_what_graph_asks_for().await;
    let tokens = world.start(&settings).await;
    let sign_ins = tokens.sign_ins();
    sign_ins.ask_for_code(Errand::Enrol, crate::browser::browser(), crate::browser::HERE).unwrap();
    let mut shown = String::new();
    for _ in 0..2 {
        let is_next = |progress: &Progress| {
            progress.has_ended() || matches!(progress, Progress::Waiting { prompt, .. } if prompt.user_code != shown)
        };
        let progress = newcomer(&sign_ins, &is_next).await;
        let Progress::Waiting { prompt, .. } = progress else { panic!("{progress:?}") };
        shown = prompt.user_code;
        world.cloud.approve(&shown, &upn("kim")).unwrap();
    }
    let end = newcomer(&sign_ins, &Progress::has_ended).await;
    assert!(matches!(end, Progress::SignedIn(_)), "{end:?}");
    let asked = asked_graph(&world);
    ask(&settings, &kim, tokens).await.unwrap();
    assert_eq!(asked_graph(&world), asked + 1, "Graph had to ask again");
}
