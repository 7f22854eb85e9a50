//! Entra: device codes, refresh tokens, client credentials, and why there is no token.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph2mqtt::simulator::{Application, Cloud, Refusal, Route};
use serde_json::Value;

use super::{ALEX, DEVICE, PUBLIC, SCOPE, SECRET, TENANT, client, error, post, read, token, world};

async fn device_code(cloud: &Cloud, client_id: &str) -> Value {
    let url = format!("{}/{TENANT}/oauth2/v2.0/devicecode", cloud.authority());
    let (status, body) = post(url, &[("client_id", client_id), ("scope", SCOPE)]).await;
    assert_eq!(status, 200, "{body}");
    body
}

async fn poll(cloud: &Cloud, client_id: &str, code: &Value) -> (u16, Value) {
    let code = code["device_code"].as_str().unwrap();
    token(cloud, TENANT, &[("grant_type", DEVICE), ("client_id", client_id), ("device_code", code)]).await
}

async fn refresh(cloud: &Cloud, client_id: &str, refresh_token: &Value, more: &[(&str, &str)]) -> (u16, Value) {
    let granted = refresh_token.as_str().unwrap();
    let form =
        [&[("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", granted)], more].concat();
    token(cloud, TENANT, &form).await
}

#[tokio::test]
async fn a_device_code_is_pending_until_the_person_approves_and_good_once() {
    let cloud = world().await;
    cloud.adjust(|rules| rules.interval = Duration::from_secs(5));
    let code = device_code(&cloud, PUBLIC).await;
    assert_eq!((&code["expires_in"], &code["interval"]), (&900.into(), &5.into()));
    assert!(code.get("verification_uri_complete").is_none());
    assert!(code["message"].as_str().unwrap().contains(code["user_code"].as_str().unwrap()));

    cloud.adjust(|rules| rules.interval = Duration::ZERO);
    let code = device_code(&cloud, PUBLIC).await;
    let (status, body) = poll(&cloud, PUBLIC, &code).await;
    assert_eq!((status, error(&body)), (400, ("authorization_pending", 70016)));

    assert_eq!(cloud.pending_codes().last().unwrap(), code["user_code"].as_str().unwrap());
    cloud.approve(code["user_code"].as_str().unwrap(), ALEX).unwrap();
    let (status, body) = poll(&cloud, PUBLIC, &code).await;
    assert_eq!((status, &body["token_type"], &body["expires_in"]), (200, &"Bearer".into(), &3900.into()));
    assert_eq!(body["scope"], "Presence.Read profile openid");
    assert!(body["refresh_token"].is_string());
    let claims = body["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!((&claims["aud"], &claims["preferred_username"]), (&PUBLIC.into(), &ALEX.into()));
    assert_eq!(claims["iss"], format!("{}/{}/v2.0", cloud.authority(), claims["tid"].as_str().unwrap()));

    let (_, body) = poll(&cloud, PUBLIC, &code).await;
    assert_eq!(error(&body), ("invalid_grant", 54005));
    assert!(cloud.approve(code["user_code"].as_str().unwrap(), ALEX).is_err());
}

#[tokio::test]
async fn a_device_code_is_declined_expires_and_is_unknown() {
    let cloud = world().await;
    let declined = device_code(&cloud, PUBLIC).await;
    cloud.decline(declined["user_code"].as_str().unwrap()).unwrap();
    assert_eq!(error(&poll(&cloud, PUBLIC, &declined).await.1).0, "authorization_declined");
    let expired = device_code(&cloud, PUBLIC).await;
    cloud.expire_codes();
    assert_eq!(error(&poll(&cloud, PUBLIC, &expired).await.1).0, "expired_token");
    let unknown = serde_json::json!({"device_code": "nonsense"});
    assert_eq!(error(&poll(&cloud, PUBLIC, &unknown).await.1).0, "bad_verification_code");
}

#[tokio::test]
async fn polling_too_fast_is_slowed_down_and_then_blocked() {
    let cloud = world().await;
    cloud.adjust(|rules| rules.interval = Duration::from_secs(5));
    let code = device_code(&cloud, PUBLIC).await;
    assert_eq!(error(&poll(&cloud, PUBLIC, &code).await.1).0, "authorization_pending");
    for _ in 0..20 {
        assert_eq!(error(&poll(&cloud, PUBLIC, &code).await.1).0, "slow_down");
    }
    assert_eq!(error(&poll(&cloud, PUBLIC, &code).await.1).1, 50196);
}

#[tokio::test]
async fn a_person_can_type_the_code_on_a_page() {
    let cloud = world().await;
    let code = device_code(&cloud, PUBLIC).await;
    let page = code["verification_uri"].as_str().unwrap().to_owned();
    let html = client().get(&page).send().await.unwrap().text().await.unwrap();
    assert!(html.contains("<form") && html.contains(ALEX));
    let typed = [("code", code["user_code"].as_str().unwrap()), ("user", ALEX), ("answer", "approve")];
    let answer = client().post(&page).form(&typed).send().await.unwrap().text().await.unwrap();
    assert!(answer.contains("You have signed in"), "{answer}");
    assert_eq!(poll(&cloud, PUBLIC, &code).await.0, 200);
}

#[tokio::test]
async fn a_refresh_token_is_replaced_on_every_use_and_the_old_one_stays_good() {
    let cloud = world().await;
    let first = cloud.sign_in(PUBLIC, ALEX, SCOPE)["refresh_token"].clone();
    let (status, body) = refresh(&cloud, PUBLIC, &first, &[]).await;
    assert_eq!(status, 200);
    assert_ne!(body["refresh_token"], first);
    assert_eq!(refresh(&cloud, PUBLIC, &first, &[]).await.0, 200);
    cloud.adjust(|rules| rules.revoke_used = true);
    assert_eq!(error(&refresh(&cloud, PUBLIC, &first, &[]).await.1).0, "invalid_grant");
    assert_eq!(refresh(&cloud, PUBLIC, &body["refresh_token"], &[]).await.0, 200);
}

#[tokio::test]
async fn a_refresh_token_is_bound_to_its_client_and_to_the_kind_of_client() {
    let cloud = world().await;
    cloud.add_application(Application::public("both", TENANT).secret("x").delegated(&["Presence.Read"]));
    let public = cloud.sign_in("both", ALEX, SCOPE)["refresh_token"].clone();
    let confidential = cloud.sign_in(SECRET, ALEX, SCOPE)["refresh_token"].clone();
    assert_eq!(error(&refresh(&cloud, PUBLIC, &public, &[]).await.1), ("invalid_grant", 70000));
    let (status, body) = refresh(&cloud, "both", &public, &[("client_secret", "x")]).await;
    assert_eq!((status, error(&body)), (401, ("invalid_client", 700_025)));
    assert_eq!(error(&refresh(&cloud, SECRET, &confidential, &[]).await.1), ("invalid_client", 7_000_218));
    assert_eq!(refresh(&cloud, SECRET, &confidential, &[("client_secret", "s3cret+/=")]).await.0, 200);
}

#[tokio::test]
async fn a_person_whose_grants_end_gets_the_documented_error() {
    type Case<'a> = (&'a dyn Fn(&Cloud), &'a str, u64, Value);
    let cases: [Case; 7] = [
        (&|c| c.revoke(ALEX), "invalid_grant", 50173, "bad_token".into()),
        (&|c| c.change_password(ALEX), "invalid_grant", 50173, "bad_token".into()),
        (&|c| c.refuse(ALEX, Some(Refusal::Policy)), "invalid_grant", 53003, "message_only".into()),
        (&|c| c.refuse(ALEX, Some(Refusal::MoreFactors)), "interaction_required", 50076, "basic_action".into()),
        (&|c| c.refuse(ALEX, Some(Refusal::PasswordExpired)), "invalid_grant", 50055, "user_password_expired".into()),
        (&|c| c.refuse(ALEX, Some(Refusal::Transient)), "temporarily_unavailable", 90033, Value::Null),
        (&|c| c.withdraw_consent(PUBLIC, TENANT), "invalid_grant", 65001, "consent_required".into()),
    ];
    for (change, expected, code, suberror) in cases {
        let cloud = world().await;
        let granted = cloud.sign_in(PUBLIC, ALEX, SCOPE)["refresh_token"].clone();
        change(&cloud);
        let (_, body) = refresh(&cloud, PUBLIC, &granted, &[]).await;
        assert_eq!((error(&body), &body["suberror"]), ((expected, code), &suberror));
    }
}

#[tokio::test]
async fn a_changed_password_spares_a_confidential_clients_grant_and_time_spares_none() {
    let cloud = world().await;
    let granted = cloud.sign_in(SECRET, ALEX, SCOPE)["refresh_token"].clone();
    cloud.change_password(ALEX);
    cloud.adjust(|rules| rules.refresh_token = Duration::ZERO);
    let (status, body) = refresh(&cloud, SECRET, &granted, &[("client_secret", "s3cret+/=")]).await;
    assert_eq!(status, 200);
    let (_, body) = refresh(&cloud, SECRET, &body["refresh_token"], &[("client_secret", "s3cret+/=")]).await;
    assert_eq!(error(&body), ("invalid_grant", 700_082));
}

#[tokio::test]
async fn a_wrong_configuration_gets_the_documented_error() {
    let cloud = world().await;
    cloud.add_tenant("fabrikam.com");
    cloud.add_application(Application::confidential("many", TENANT, "x").multi_tenant());
    let all = "https://graph.microsoft.com/.default";
    let cases = [
        ("nowhere.com", SECRET, "s3cret+/=", all, 400, "invalid_request", 90002),
        (TENANT, "nobody", "s3cret+/=", all, 400, "unauthorized_client", 700_016),
        ("fabrikam.com", SECRET, "s3cret+/=", all, 400, "unauthorized_client", 700_016),
        ("organizations", SECRET, "s3cret+/=", all, 400, "invalid_request", 50194),
        ("organizations", "many", "x", all, 400, "invalid_request", 50059),
        (TENANT, SECRET, "wrong", all, 401, "invalid_client", 7_000_215),
        (TENANT, SECRET, "old", all, 401, "invalid_client", 7_000_222),
        (TENANT, SECRET, "", all, 401, "invalid_client", 7_000_218),
        (TENANT, PUBLIC, "any", all, 401, "invalid_client", 700_025),
        (TENANT, SECRET, "s3cret+/=", "Presence.Read.All", 400, "invalid_scope", 1_002_012),
    ];
    for (tenant, client_id, secret, scope, status, expected, code) in cases {
        let form = [("grant_type", "client_credentials"), ("client_id", client_id), ("scope", scope)];
        let form = if secret.is_empty() { form.to_vec() } else { [&form[..], &[("client_secret", secret)]].concat() };
        let (got, body) = token(&cloud, tenant, &form).await;
        assert_eq!((got, error(&body)), (status, (expected, code)), "{tenant} {client_id} {secret}");
    }
    assert_eq!(error(&token(&cloud, TENANT, &[("client_id", PUBLIC)]).await.1), ("invalid_request", 900_144));
}

#[tokio::test]
async fn a_confidential_client_learns_only_after_the_approval_that_its_secret_is_missing() {
    let cloud = world().await;
    let code = device_code(&cloud, SECRET).await;
    assert_eq!(error(&poll(&cloud, SECRET, &code).await.1).0, "authorization_pending");
    cloud.approve(code["user_code"].as_str().unwrap(), ALEX).unwrap();
    assert_eq!(error(&poll(&cloud, SECRET, &code).await.1), ("invalid_client", 7_000_218));
}

#[tokio::test]
async fn a_policy_can_forbid_device_codes() {
    let cloud = world().await;
    cloud.block_device_code(TENANT, true);
    let code = device_code(&cloud, PUBLIC).await;
    cloud.approve(code["user_code"].as_str().unwrap(), ALEX).unwrap();
    assert_eq!(error(&poll(&cloud, PUBLIC, &code).await.1), ("invalid_grant", 53003));
}

#[tokio::test]
async fn a_policy_against_device_codes_holds_for_what_came_of_one_before() {
    let cloud = world().await;
    let granted = cloud.sign_in(PUBLIC, ALEX, SCOPE)["refresh_token"].clone();
    cloud.block_device_code(TENANT, true);
    assert_eq!(error(&refresh(&cloud, PUBLIC, &granted, &[]).await.1), ("invalid_grant", 53003));
    cloud.block_device_code(TENANT, false);
    assert_eq!(refresh(&cloud, PUBLIC, &granted, &[]).await.0, 200);
}

#[tokio::test]
async fn a_secret_may_come_in_the_form_or_in_the_header() {
    let cloud = world().await;
    let scope = "https://graph.microsoft.com/.default";
    let form = [("grant_type", "client_credentials"), ("client_id", SECRET), ("scope", scope)];
    let (status, body) = token(&cloud, TENANT, &[&form[..], &[("client_secret", "s3cret+/=")]].concat()).await;
    assert_eq!(status, 200);
    assert!(body.get("refresh_token").is_none());
    let url = format!("{}/{TENANT}/oauth2/v2.0/token", cloud.authority());
    let basic = client().post(url).basic_auth(SECRET, Some("s3cret%2B%2F%3D")).form(&form[..]);
    assert_eq!(read(basic.send().await.unwrap()).await.0, 200);
    let calls = cloud.calls().all();
    assert!(calls.iter().all(|call| call.route == Route::Token && call.principal.as_deref() == Some(SECRET)));
}
