//! One application can be a public and a confidential client, and Entra decides which it is at each request: with
//! "Allow public client flows", device codes are a public client's, whatever credential there is besides.

use graph2mqtt::entra::{Principal, Trouble};
use graph2mqtt::settings::Settings;
use graph2mqtt::simulator::{Application, Call, Route};

use crate::world::{CLIENT, SECRET, SHORT, World, name, person};

const BOTH: &str = "accounts:\n  alex: { user: alex@contoso.com }\n  kim: { user: kim@contoso.com, via: app }\n";

/// An application with a secret that allows public client flows, too.
async fn world() -> World {
    let application = Application::confidential(CLIENT, "contoso.com", SECRET).public_flows();
    let world = World::with(application.delegated(&["Presence.Read"]).roles(&["Presence.Read.All"])).await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    world
}

fn with_secret(world: &World) -> Settings {
    world.settings_of(BOTH, &format!(", client_secret: {SECRET}"))
}

async fn stored_as_confidential(world: &World) -> bool {
    world.store().await.grant(&name("alex")).await.unwrap().unwrap().confidential
}

/// A process that has just started has to refresh.
async fn refreshes(world: &World, settings: &Settings) -> Result<(), Trouble> {
    world.start(settings).await.access(&person("alex")).await.map(|_| ())
}

#[tokio::test]
async fn where_public_flows_are_allowed_a_device_code_shows_no_secret_though_there_is_one() {
    let world = world().await;
    let settings = with_secret(&world);
    let tokens = world.start(&settings).await;
    let grant = world.sign_in(&tokens, "alex").await.unwrap();
    assert!(!grant.confidential && !stored_as_confidential(&world).await);
    tokens.access(&Principal::Application("contoso.com".into())).await.unwrap();

    let asked = world.asked();
    refreshes(&world, &settings).await.unwrap();
    assert_eq!(world.asked() - asked, 1, "the kind that worked is remembered");
}

#[tokio::test]
async fn after_a_refusal_for_its_secret_a_code_is_asked_for_no_sooner_than_before() {
    let world = world().await;
    world.sign_in(&world.start(&with_secret(&world)).await, "alex").await.unwrap();
    let of_tokens = |call: &&Call| call.route == Route::Token;
    let at: Vec<_> = world.cloud.calls().all().iter().filter(of_tokens).map(|call| call.at).collect();
    assert!(at.len() == 2 && at[1] - at[0] >= std::time::Duration::from_secs(1), "{at:?}");
}

#[tokio::test]
async fn when_public_flows_are_switched_the_other_kind_refreshes_and_is_remembered() {
    let world = world().await;
    let settings = with_secret(&world);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    for allowed in [false, true] {
        world.cloud.allow_public_flows(CLIENT, allowed);
        let asked = world.asked();
        refreshes(&world, &settings).await.unwrap();
        assert_eq!((world.asked() - asked, stored_as_confidential(&world).await), (2, !allowed));
        refreshes(&world, &settings).await.unwrap();
        assert_eq!(world.asked() - asked, 3, "the kind that worked is remembered");
    }
}

#[tokio::test]
async fn without_a_credential_a_switch_of_public_flows_asks_for_a_sign_in_and_names_no_key() {
    let world = world().await;
    let settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    world.cloud.allow_public_flows(CLIENT, false);
    let trouble = refreshes(&world, &settings).await.unwrap_err();
    let text = trouble.to_string();
    assert!(matches!(trouble, Trouble::SignIn { .. }) && text.ends_with("graph2mqtt login alex"), "{text}");
    for part in ["Allow public client flows", "AADSTS7000218", "trace_id"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(!text.contains("client_secret"), "{text}");
}
