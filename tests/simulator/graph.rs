//! Graph: presences, permissions, the limit, and what goes wrong on request.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use graph2mqtt::simulator::{Cloud, Fault, Route, What};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::{ALEX, PUBLIC, SCOPE, SECRET, TENANT, client, read, token, world};

async fn application_token(cloud: &Cloud) -> String {
    let scope = "https://graph.microsoft.com/.default";
    let form =
        [("grant_type", "client_credentials"), ("client_id", SECRET), ("scope", scope), ("client_secret", "s3cret+/=")];
    token(cloud, TENANT, &form).await.1["access_token"].as_str().unwrap().to_owned()
}

fn persons_token(cloud: &Cloud, client_id: &str, scope: &str) -> String {
    cloud.sign_in(client_id, ALEX, scope)["access_token"].as_str().unwrap().to_owned()
}

fn get(cloud: &Cloud, path: &str, token: &str) -> RequestBuilder {
    client().get(format!("{}{path}", cloud.graph())).bearer_auth(token)
}

fn batch(cloud: &Cloud, ids: &[String], token: &str) -> RequestBuilder {
    let url = format!("{}/communications/getPresencesByUserId", cloud.graph());
    client().post(url).bearer_auth(token).json(&json!({"ids": ids}))
}

async fn ask(request: RequestBuilder) -> (u16, Value) {
    read(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_person_reads_the_own_presence_in_graphs_shape() {
    let cloud = world().await;
    let token = persons_token(&cloud, PUBLIC, SCOPE);
    let (status, before) = ask(get(&cloud, "/me/presence", &token)).await;
    assert_eq!((status, &before["availability"]), (200, &"Offline".into()));
    cloud.change(ALEX, |shown| {
        shown.availability = "Busy".to_owned();
        shown.activity = "InACall".to_owned();
        shown.out_of_office = json!({"isOutOfOffice": false, "message": ""});
        shown.overrides.insert("workLocation".to_owned(), Value::Null);
    });
    assert!(cloud.first_told(ALEX).is_none());
    let asked = Instant::now();
    let (_, after) = ask(get(&cloud, "/me/presence", &token)).await;
    assert!(cloud.first_told(ALEX).is_some_and(|told| told > asked));
    assert_eq!((&after["availability"], &after["activity"]), (&"Busy".into(), &"InACall".into()));
    assert_eq!(
        (&after["statusMessage"], &after["outOfOfficeSettings"]["isOutOfOffice"]),
        (&Value::Null, &false.into())
    );
    assert!(after.as_object().unwrap().contains_key("workLocation"));
    assert!(after["sequenceNumber"].as_str() > before["sequenceNumber"].as_str());
    assert!(
        after["@odata.context"]
            .as_str()
            .unwrap()
            .ends_with(&format!("#users('{}')/presence/$entity", after["id"].as_str().unwrap()))
    );
}

#[tokio::test]
async fn a_test_can_let_graph_say_anything() {
    let cloud = world().await;
    let token = persons_token(&cloud, PUBLIC, SCOPE);
    cloud.set_raw_presence(ALEX, &json!({"availability": "Levitating", "sequenceNumber": "A0"}));
    assert_eq!(ask(get(&cloud, "/me/presence", &token)).await.1["sequenceNumber"], "A0");
    cloud.set_raw_presence(ALEX, &json!([null]));
    assert_eq!(ask(get(&cloud, "/me/presence", &token)).await.1, json!([null]));
}

#[tokio::test]
async fn a_batch_takes_650_ids_and_leaves_unknown_ones_out() {
    let cloud = world().await;
    let token = application_token(&cloud).await;
    let ids: Vec<_> = (0..648).map(|n| cloud.add_person(&format!("p{n}@contoso.com"), "P").as_str()).collect();
    cloud.add_tenant("fabrikam.com");
    let others = [cloud.add_person("x@fabrikam.com", "X").as_str(), "00000000-0000-0000-0000-000000000000".to_owned()];
    let all = [&ids[..], &others[..]].concat();
    let (status, body) = ask(batch(&cloud, &all, &token)).await;
    let told: Vec<_> = body["value"].as_array().unwrap().iter().map(|p| p["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((status, told), (200, ids));
    let (status, body) = ask(batch(&cloud, &[&all[..], &all[..1]].concat(), &token)).await;
    assert_eq!((status, &body["error"]["code"]), (400, &"BadRequest".into()));
    assert_eq!(cloud.calls().all().last().unwrap().size, 651);
}

#[tokio::test]
async fn permissions_are_checked_as_documented() {
    let cloud = world().await;
    let own = persons_token(&cloud, PUBLIC, SCOPE);
    let all = persons_token(&cloud, SECRET, "Presence.Read.All");
    let application = application_token(&cloud).await;
    let id = ask(get(&cloud, "/me/presence", &own)).await.1["id"].as_str().unwrap().to_owned();
    let one = format!("/users/{id}/presence");
    let unknown = "/users/00000000-0000-0000-0000-000000000000/presence";
    let cases = [
        ("/me/presence", &all, 200),
        ("/me/presence", &application, 400),
        (&one, &own, 200),
        (&one, &application, 200),
        (unknown, &own, 403),
        (unknown, &all, 404),
        ("/users/alex@contoso.com/presence", &all, 400),
        ("/users/alex@contoso.com?$select=id", &all, 403),
        ("/users/alex@contoso.com?$select=id", &application, 403),
    ];
    for (path, token, expected) in cases {
        let (status, body) = ask(get(&cloud, path, token)).await;
        assert_eq!(status, expected, "{path} {body}");
        assert!(status == 200 || body["error"]["innerError"]["request-id"].is_string(), "{path} {body}");
    }
    assert_eq!(ask(batch(&cloud, std::slice::from_ref(&id), &own)).await.0, 403);
    cloud.consent_roles(SECRET, TENANT, &["User.ReadBasic.All"]);
    let application = application_token(&cloud).await;
    assert_eq!(ask(get(&cloud, "/users/ALEX@contoso.com?$select=id", &application)).await.1["id"], id);
    let (status, body) = ask(get(&cloud, "/users/nobody@contoso.com", &application)).await;
    assert_eq!((status, &body["error"]["code"]), (404, &"Request_ResourceNotFound".into()));
}

#[tokio::test]
async fn a_token_is_refused_when_it_is_unknown_expired_or_challenged() {
    let cloud = world().await;
    let token = persons_token(&cloud, PUBLIC, SCOPE);
    for refused in ["", "nonsense"] {
        let response = get(&cloud, "/me/presence", refused).send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
    }
    cloud.challenge(ALEX, true);
    let response = get(&cloud, "/me/presence", &token).send().await.unwrap();
    let challenge = response.headers()["www-authenticate"].to_str().unwrap();
    assert!(challenge.contains("error=\"insufficient_claims\"") && challenge.contains("claims=\"ey"), "{challenge}");
    let wanted = challenge.split("claims=\"").nth(1).unwrap().trim_end_matches('"');
    let wanted = String::from_utf8(STANDARD.decode(wanted).unwrap()).unwrap();
    let granted = cloud.sign_in(PUBLIC, ALEX, SCOPE);
    for (claims, status) in [("{}", 401), (&*wanted, 200)] {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", PUBLIC),
            ("refresh_token", granted["refresh_token"].as_str().unwrap()),
            ("claims", claims),
        ];
        let answered = super::token(&cloud, TENANT, &form).await.1;
        assert_eq!(
            ask(get(&cloud, "/me/presence", answered["access_token"].as_str().unwrap())).await.0,
            status,
            "{claims}"
        );
    }
    cloud.challenge(ALEX, false);
    cloud.expire_access_tokens(ALEX);
    assert_eq!(ask(get(&cloud, "/me/presence", &token)).await.1["error"]["code"], "InvalidAuthenticationToken");
}

#[tokio::test]
async fn what_a_person_sets_is_shown_until_its_time_is_over() {
    let cloud = world().await;
    cloud.consent(PUBLIC, TENANT, &["Presence.ReadWrite"]);
    cloud.set_presence(ALEX, "Available", "Available");
    let token = persons_token(&cloud, PUBLIC, "Presence.ReadWrite");
    let write = async |action: &str, body: Value| {
        let url = format!("{}/users/{ALEX}/presence/{action}", cloud.graph());
        ask(client().post(url).bearer_auth(&token).json(&body)).await.0
    };
    let shown = async || ask(get(&cloud, "/me/presence", &token)).await.1;
    let until = async |fits: fn(&Value) -> bool| {
        let begun = Instant::now();
        while !fits(&shown().await) {
            assert!(begun.elapsed() < Duration::from_secs(10), "{}", shown().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        begun.elapsed()
    };
    let away = |lasts: &str| json!({"availability": "Away", "activity": "Away", "expirationDuration": lasts});
    assert_eq!(write("setUserPreferredPresence", away("PT1S")).await, 200);
    assert_eq!(shown().await["availability"], "Away");
    assert!(until(|shown| shown["availability"] == "Available").await > Duration::from_millis(500));
    assert_eq!(write("setUserPreferredPresence", away("P1D")).await, 200);
    assert_eq!(write("setUserPreferredPresence", away("soon")).await, 400);
    assert_eq!(shown().await["availability"], "Away");
    assert_eq!(write("clearUserPreferredPresence", json!({})).await, 200);
    assert_eq!(shown().await["availability"], "Available");

    let at = (jiff::Timestamp::now() + Duration::from_secs(2)).strftime("%Y-%m-%dT%H:%M:%S").to_string();
    let message = json!({"message": {"content": "In the lab", "contentType": "text"}, "expiryDateTime": {"dateTime": at, "timeZone": "UTC"}});
    assert_eq!(write("setStatusMessage", json!({"statusMessage": message})).await, 200);
    assert_eq!(shown().await["statusMessage"]["message"]["content"], "In the lab");
    until(|shown| shown["statusMessage"].is_null()).await;
}

#[tokio::test]
async fn the_limit_counts_every_presence_call_of_an_application_in_a_tenant() {
    let cloud = world().await;
    cloud.adjust(|rules| rules.limit = 3);
    let own = persons_token(&cloud, PUBLIC, "Presence.Read User.Read");
    let other = persons_token(&cloud, SECRET, "Presence.Read.All");
    for _ in 0..3 {
        assert_eq!(ask(get(&cloud, "/me/presence", &own)).await.0, 200);
    }
    let refused = get(&cloud, "/me/presence", &own).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=30).contains(&wait));
    assert_eq!(ask(get(&cloud, "/me/presence", &other)).await.0, 200, "another application has its own");
    assert_eq!(ask(get(&cloud, "/users/alex@contoso.com", &own)).await.0, 200, "looking a person up is not counted");
    assert_eq!(cloud.calls().count(|call| call.status == Some(429)), 1);
}

#[tokio::test]
async fn a_call_is_waited_for_and_need_not_be_kept() {
    let cloud = world().await;
    let token = persons_token(&cloud, PUBLIC, SCOPE);
    let mut live = cloud.calls().subscribe();
    let asked = tokio::spawn(ask(get(&cloud, "/me/presence", &token)));
    let seen = cloud.calls().wait_for(Duration::from_secs(5), |calls| calls.len() == 1).await.unwrap();
    assert_eq!((seen[0].route, seen[0].principal.as_deref()), (Route::MyPresence, Some(ALEX)));
    assert_eq!(live.recv().await.unwrap().status, Some(200));
    asked.await.unwrap();
    cloud.calls().keep(false);
    ask(get(&cloud, "/me/presence", &token)).await;
    assert_eq!((cloud.calls().all().len(), cloud.calls().total()), (0, 2));
    let late = cloud.calls().wait_for(Duration::from_millis(1), |calls| !calls.is_empty()).await;
    assert!(late.unwrap_err().to_string().starts_with("not within 1ms; 2 so far"));
}

#[tokio::test]
async fn faults_happen_where_and_as_often_as_asked() {
    let cloud = world().await;
    let token = persons_token(&cloud, PUBLIC, SCOPE);
    let mine = || get(&cloud, "/me/presence", &token).timeout(Duration::from_millis(500)).send();
    let fault = |what| cloud.fault(Fault::new("GET /v1.0/me/presence", what).times(1));

    fault(What::retry_after(503, 41));
    let answer = mine().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["retry-after"]), (503, &"41".parse().unwrap()));
    fault(What::Html);
    assert!(mine().await.unwrap().text().await.unwrap().starts_with("<!DOCTYPE"));
    fault(What::Garbage);
    assert!(mine().await.unwrap().json::<Value>().await.is_err());
    fault(What::Hang);
    assert!(mine().await.unwrap_err().is_timeout());
    fault(What::Cut);
    assert!(mine().await.is_err());
    fault(What::CutBody);
    assert!(mine().await.unwrap().bytes().await.is_err());
    fault(What::Endless);
    let mut endless = mine().await.unwrap();
    let mut length = 0;
    while length < 1 << 20 {
        length += endless.chunk().await.unwrap().unwrap().len();
    }
    fault(What::Slow(Duration::from_millis(50)));
    let asked = Instant::now();
    assert_eq!(mine().await.unwrap().status(), 200);
    assert!(asked.elapsed() >= Duration::from_millis(50));
    assert_eq!(mine().await.unwrap().status(), 200, "no fault is left");
}

#[tokio::test]
async fn an_answer_that_is_lost_had_its_effect() {
    let cloud = world().await;
    cloud.adjust(|rules| rules.revoke_used = true);
    let granted = cloud.sign_in(PUBLIC, ALEX, SCOPE)["refresh_token"].as_str().unwrap().to_owned();
    cloud.fault(Fault::new("/token", What::Lost));
    let form = [("grant_type", "refresh_token"), ("client_id", PUBLIC), ("refresh_token", &granted)];
    let url = format!("{}/{TENANT}/oauth2/v2.0/token", cloud.authority());
    assert!(client().post(url).form(&form).send().await.is_err());
    cloud.clear_faults();
    assert_eq!(token(&cloud, TENANT, &form).await.0, 400);
}

#[tokio::test]
async fn the_cloud_goes_down_and_comes_back_on_the_same_port() {
    let cloud = world().await;
    let token = persons_token(&cloud, PUBLIC, SCOPE);
    let kept = client();
    let mine = || kept.get(format!("{}/me/presence", cloud.graph())).bearer_auth(&token).send();
    assert_eq!(mine().await.unwrap().status(), 200);
    cloud.down().await;
    assert!(mine().await.is_err());
    cloud.up().await.unwrap();
    assert_eq!(mine().await.unwrap().status(), 200);
}
