//! Signing in by device code.

use std::cell::RefCell;

use graph2mqtt::entra::Trouble;
use graph2mqtt::simulator::{Application, Fault, Route, What};
use serde_json::json;

use crate::world::{CLIENT, SECRET, World, name, person, upn};

#[tokio::test]
async fn who_approves_the_code_that_is_shown_is_signed_in() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let shown = RefCell::new(Vec::new());
    let grant = tokens
        .sign_in(&name("alex"), |prompt| {
            shown.borrow_mut().push(prompt.clone());
            world.cloud.approve(&prompt.user_code, &upn("alex")).unwrap();
        })
        .await
        .unwrap();
    let shown = shown.into_inner();
    assert_eq!((shown.len(), shown[0].expires_in.as_secs()), (1, 900));
    assert_eq!((&*grant.username, &*grant.user, grant.confidential), ("alex@contoso.com", "alex@contoso.com", false));
    let token = tokens.access(&person("alex")).await.unwrap();
    assert_eq!(world.whose(&token).await, grant.object_id.as_str());
}

#[tokio::test]
async fn another_person_than_the_configured_one_is_refused_and_nothing_is_kept() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let trouble = world.sign_in_as(&tokens, "alex", "kim").await.unwrap_err();
    let text = trouble.to_string();
    assert!(matches!(trouble, Trouble::SignIn { .. }), "{text}");
    for part in ["kim@contoso.com", "alex@contoso.com", "accounts.alex.user"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(world.store().await.grants().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_code_that_expires_is_followed_by_a_new_one() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let codes = RefCell::new(Vec::new());
    tokens
        .sign_in(&name("alex"), |prompt| {
            codes.borrow_mut().push(prompt.user_code.clone());
            match codes.borrow().len() {
                1 => world.cloud.expire_codes(),
                _ => world.cloud.approve(&prompt.user_code, &upn("alex")).unwrap(),
            }
        })
        .await
        .unwrap();
    let codes = codes.into_inner();
    assert!(codes.len() == 2 && codes[0] != codes[1], "{codes:?}");
}

#[tokio::test]
async fn who_declines_is_not_signed_in() {
    let world = World::new().await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    let declined = tokens.sign_in(&name("alex"), |prompt| world.cloud.decline(&prompt.user_code).unwrap()).await;
    let trouble = declined.unwrap_err();
    assert!(matches!(&trouble, Trouble::SignIn { reason, .. } if reason.contains("declined")), "{trouble}");
}

#[tokio::test]
async fn where_a_policy_forbids_device_codes_it_says_so() {
    let world = World::new().await;
    world.cloud.block_device_code("contoso.com", true);
    let tokens = world.start(&world.settings(&["alex"])).await;
    let trouble = world.sign_in(&tokens, "alex").await.unwrap_err();
    let is_told =
        |reason: &str| reason.contains("Conditional Access") && reason.contains("show this to an administrator");
    assert!(matches!(&trouble, Trouble::Blocked { reason, .. } if is_told(reason)), "{trouble}");
    let page = "the browser's way in: http://localhost:8480/sign-in/alex, in a browser on the machine";
    assert!(trouble.to_string().contains(page), "{trouble}");

    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\nweb: { public_url: 'https://presence.example' }\n";
    let trouble = world.sign_in(&world.start(&world.settings_of(accounts, "")).await, "alex").await.unwrap_err();
    let page = "the browser's way in: https://presence.example/sign-in/alex";
    assert!(trouble.to_string().ends_with(page), "{trouble}");
}

#[tokio::test]
async fn while_the_person_takes_time_entra_may_stumble() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    let busy = r#"{"error":"temporarily_unavailable","error_description":"AADSTS90033: x","error_codes":[90033]}"#;
    for what in [
        What::Html,
        What::retry_after(503, 1),
        What::status(400, busy),
        What::status(400, r#"{"error":"something_new","error_codes":[90006]}"#),
    ] {
        world.cloud.fault(Fault::new("/token", what).times(1));
    }
    let tokens = world.start(&world.settings(&["alex"])).await;
    let shown = std::cell::Cell::new(0);
    let approve = |prompt: &graph2mqtt::entra::Prompt| {
        shown.set(shown.get() + 1);
        world.cloud.approve(&prompt.user_code, &upn("alex")).unwrap();
    };
    tokens.sign_in(&name("alex"), approve).await.unwrap();
    assert_eq!((world.asked(), shown.get()), (5, 1), "another code than the one that was entered");
}

#[tokio::test]
async fn another_code_follows_though_entra_cannot_give_it_at_once() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    let tokens = world.start(&world.settings(&["alex"])).await;
    let mut shown = 0;
    let late = |prompt: &graph2mqtt::entra::Prompt| {
        shown += 1;
        if shown == 1 {
            world.cloud.fault(Fault::new("/devicecode", What::retry_after(503, 1)).times(2));
            world.cloud.expire_codes();
            return;
        }
        world.cloud.approve(&prompt.user_code, &upn("alex")).unwrap();
    };
    tokens.sign_in(&name("alex"), late).await.unwrap();
    world.cloud.fault(Fault::new("/devicecode", What::retry_after(503, 1)).times(1));
    let first = tokens.sign_in(&name("alex"), |_| ()).await.unwrap_err();
    assert!(matches!(first, Trouble::Retry { .. }), "who waits for the first one is told: {first}");
}

#[tokio::test]
async fn the_next_code_follows_one_that_ended_after_a_question_without_an_answer() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    let expired = r#"{"error":"expired_token","error_description":"AADSTS70020: x","error_codes":[70020]}"#;
    for what in [What::status(400, expired), What::Cut] {
        world.cloud.fault(Fault::new("/token", what).times(1));
    }
    let shown = std::cell::RefCell::new(Vec::new());
    let approve = |prompt: &graph2mqtt::entra::Prompt| {
        shown.borrow_mut().push(prompt.user_code.clone());
        world.cloud.approve(&prompt.user_code, &upn("alex")).unwrap();
    };
    world.start(&world.settings(&["alex"])).await.sign_in(&name("alex"), approve).await.unwrap();
    let shown = shown.into_inner();
    assert!(shown.len() == 2 && shown[0] != shown[1], "{shown:?}");
}

#[tokio::test]
async fn an_error_that_nobody_has_heard_of_is_told_while_the_person_waits() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    world.cloud.fault(Fault::new("/token", What::status(400, r#"{"error":"something_new"}"#)).times(1));
    let trouble = world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap_err();
    assert!(trouble.to_string().contains("something_new") && world.asked() == 1, "{trouble}");
}

#[tokio::test]
async fn who_is_told_to_slow_down_asks_five_seconds_later_than_before() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    let slow_down = r#"{"error":"slow_down","error_description":"AADSTS70016: slow down","error_codes":[70016]}"#;
    world.cloud.fault(Fault::new("/token", What::status(400, slow_down)).times(1));
    world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap();
    let calls = world.cloud.calls().all();
    let at: Vec<_> = calls.iter().filter(|call| call.route == Route::Token).map(|call| call.at).collect();
    assert!(at.len() == 2 && at[1] - at[0] >= std::time::Duration::from_secs(6), "{at:?}");
}

#[tokio::test]
async fn an_application_with_a_secret_signs_in_and_refreshes_as_what_it_is() {
    let confidential = Application::confidential(CLIENT, "contoso.com", SECRET).delegated(&["Presence.Read"]);
    let world = World::with(confidential).await;
    world.cloud.adjust(|rules| rules.access_token = crate::world::SHORT);
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\n";
    let with_secret = world.settings_of(accounts, &format!(", client_secret: {SECRET}"));
    let grant = world.sign_in(&world.start(&with_secret).await, "alex").await.unwrap();
    assert!(grant.confidential);
    world.start(&with_secret).await.access(&person("alex")).await.unwrap();

    let without = world.start(&world.settings_of(accounts, "")).await.access(&person("alex")).await.unwrap_err();
    let says = |words| without.reason().contains(words);
    assert!(matches!(&without, Trouble::SignIn { .. }) && says("not configured under entra any more"), "{without}");
    assert!(without.to_string().ends_with("graph2mqtt login alex"), "{without}");
}

#[tokio::test]
async fn a_grant_of_the_public_client_is_refreshed_without_the_secret_that_came_later() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.access_token = crate::world::SHORT);
    world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap();
    let accounts = "accounts:\n  alex: { user: alex@contoso.com }\n";
    let later = world.settings_of(accounts, &format!(", client_secret: {SECRET}"));
    world.start(&later).await.access(&person("alex")).await.unwrap();
}

#[tokio::test]
async fn a_device_code_that_makes_no_sense_is_not_shown() {
    let good = json!({"device_code": "d", "user_code": "ABCD", "verification_uri": "https://x.example/", "expires_in": 900, "interval": 5});
    for (key, value) in [
        ("verification_uri", json!("javascript:alert(1)")),
        ("verification_uri", json!("nowhere")),
        ("user_code", json!("\u{1b}[2J")),
        ("user_code", json!("")),
        ("expires_in", json!(0)),
        ("expires_in", json!(u64::MAX)),
        ("interval", json!(u64::MAX)),
    ] {
        let world = World::new().await;
        let mut answer = good.clone();
        answer[key] = value.clone();
        world.cloud.fault(Fault::new("/devicecode", What::status(200, answer.to_string())));
        let tokens = world.start(&world.settings(&["alex"])).await;
        let trouble = tokens.sign_in(&name("alex"), |_| panic!("{key}: {value} was shown")).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Retry { .. }), "{key}: {value}: {trouble}");
    }
}
