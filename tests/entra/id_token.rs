//! An id token that is not the one asked for: each is refused with what to do, and nothing is kept. The name in the right
//! one, Entra is told the next time.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph2mqtt::entra::{Browser, Errand, Posted, SignedIn, Tokens, Trouble};
use graph2mqtt::simulator::{Application, Fault, Platform, What};
use serde_json::{Value, json};

use crate::visitor;
use crate::world::{CLIENT, World, name, upn};

const BACK: &str = "http://localhost:8480/sign-in/callback";
const ELSEWHERE: &str = "33333333-0000-4000-8000-000000000003";

async fn world() -> (World, Tokens) {
    let application = Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]);
    let world = World::with(application.redirect(Platform::Desktop, BACK)).await;
    let answer = world.cloud.sign_in(CLIENT, &upn("alex"), "openid profile offline_access Presence.Read");
    let tenant = claims(&answer)["tid"].as_str().unwrap().to_owned();
    let accounts = format!("accounts:\n  alex: {{ user: alex@contoso.com, tenant: {tenant} }}\n");
    let tokens = world.start(&world.settings_of(&accounts, "")).await;
    (world, tokens)
}

fn claims(answer: &Value) -> Value {
    let payload = answer["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// alex signs in, and Entra answers with this id token.
async fn way(world: &World, tokens: &Tokens, change: impl FnOnce(&mut Value)) -> Result<SignedIn, Trouble> {
    let sign_ins = tokens.sign_ins();
    let browser = Browser::of("cookie");
    let back = BACK.parse().unwrap();
    let url = sign_ins.send(Errand::Account(name("alex")), browser, crate::browser::HERE, &back).await.unwrap();
    let mut answer = world.cloud.sign_in(CLIENT, &upn("alex"), "openid profile offline_access Presence.Read");
    let mut claims = claims(&answer);
    claims["nonce"] = url.query_pairs().find(|(key, _)| key == "nonce").unwrap().1.into();
    change(&mut claims);
    answer["id_token"] = json!(format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string())));
    world.cloud.fault(Fault::new("/token", What::status(200, answer.to_string())).times(1));
    let post = visitor::answer(&url, &upn("alex"), "sign_in").await.unwrap();
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&post.fields).finish();
    let handle = sign_ins.receive(Posted::from_form(form.as_bytes()).unwrap()).unwrap();
    sign_ins.arrive(&handle, browser, Duration::from_secs(20)).await.unwrap().outcome.unwrap()
}

#[tokio::test]
async fn an_id_token_of_another_tenant_audience_person_sign_in_or_time_is_refused_and_nothing_is_kept() {
    type Change = fn(&mut Value);
    let (world, tokens) = world().await;
    let wrong: [(Change, &str); 8] = [
        (|claims| claims["aud"] = ELSEWHERE.into(), "another application"),
        (|claims| claims["iss"] = "https://evil.example/v2.0".into(), "check entra.authority"),
        (
            |claims| {
                let issuer = claims["iss"].as_str().unwrap().replace(claims["tid"].as_str().unwrap(), ELSEWHERE);
                claims["iss"] = issuer.into();
                claims["tid"] = ELSEWHERE.into();
            },
            "signed in to the tenant",
        ),
        (|claims| claims["preferred_username"] = "kim@contoso.com".into(), "accounts.alex.user is alex@contoso.com"),
        (|claims| claims["nonce"] = "another".into(), "another sign-in"),
        (|claims| claims["nonce"] = Value::Null, "another sign-in"),
        (|claims| claims["exp"] = 1_600_000_000.into(), "clock"),
        (|claims| claims["oid"] = "alex".into(), "not readable"),
    ];
    for (change, words) in wrong {
        let reason = way(&world, &tokens, change).await.unwrap_err().to_string();
        assert!(reason.contains(words), "{words}: {reason}");
        assert!(world.store().await.grants().await.unwrap().is_empty(), "{words}: it was kept");
    }
    way(&world, &tokens, |_| ()).await.expect("the right one is taken");
}

#[tokio::test]
async fn who_is_configured_by_object_id_is_named_to_entra_once_they_have_signed_in() {
    let world = crate::browser::world().await;
    let id = world.cloud.person_id(&upn("alex"));
    let settings = world.settings_of(&format!("accounts:\n  alex: {{ user: {id} }}\n"), "");
    let tokens = world.start(&settings).await;
    let hint = async || {
        let url = crate::browser::begin(&tokens.sign_ins()).await;
        url.query_pairs().find(|(key, _)| key == "login_hint").map(|(_, hint)| hint.into_owned())
    };
    assert_eq!(hint().await, None);
    crate::browser::way(&tokens, "alex").await.unwrap();
    assert_eq!(hint().await.as_deref(), Some("alex@contoso.com"));
}
