//! Claims challenges: what Graph asks for is brought, by a person where it takes one, and never in a loop.

use graph2mqtt::entra::{Principal, Trouble};
use graph2mqtt::graph;
use graph2mqtt::simulator::{Application, Call, Fault, Refusal, Route, What};

use crate::world::{CLIENT, SECRET, World, http, person, upn};

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);

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
        let graph::Trouble::Token(Trouble::SignIn { reason }) = &trouble else { panic!("{trouble:?}") };
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
