//! The presence client against a simulated Graph that goes wrong in every way that real ones do.

use std::time::{Duration, Instant};

use graph2mqtt::entra::{self, Principal};
use graph2mqtt::graph::{Client, Trouble};
use graph2mqtt::presence::ObjectId;
use graph2mqtt::simulator::{Fault, Route, What};

use super::installation::{Installation, TENANT, name, user};

/// Alex, who has signed in, and a client.
async fn alex() -> (Installation, Client, Principal) {
    let installation = Installation::with(&["alex"]).await;
    let yaml = installation.yaml(&["alex"], "");
    installation.sign_in(&yaml, &["alex"]).await;
    let client = installation.client(&yaml).await;
    (installation, client, Principal::Account(name("alex")))
}

/// People and a client with the application's own right.
async fn application(people: &[&str]) -> (Installation, Client, Principal) {
    let installation = Installation::with(people).await;
    let accounts: String = people.iter().map(|p| format!("  {p}: {{ user: {}, via: app }}\n", user(p))).collect();
    let client = installation.client(&installation.yaml_by_application(&accounts)).await;
    (installation, client, Principal::Application(TENANT.into()))
}

fn calls(installation: &Installation, route: Route) -> usize {
    installation.cloud.calls().count(|call| call.route == route)
}

#[tokio::test]
async fn a_token_that_graph_refuses_is_renewed_once_and_the_question_asked_again() {
    let (installation, client, alex) = alex().await;
    client.mine(&alex, TENANT).await.unwrap();
    installation.cloud.expire_access_tokens(&user("alex"));
    let tokens = calls(&installation, Route::Token);
    client.mine(&alex, TENANT).await.unwrap();
    assert_eq!(calls(&installation, Route::Token), tokens + 1);
    assert_eq!(
        installation.polls().iter().map(|call| call.status).collect::<Vec<_>>(),
        [Some(200), Some(401), Some(200)]
    );
}

#[tokio::test]
async fn a_token_that_is_refused_twice_is_a_missing_right_and_no_loop() {
    let (installation, client, alex) = alex().await;
    installation.cloud.fault(Fault::new("/me/presence", What::status(401, "{}")));
    let refused = client.mine(&alex, TENANT).await.unwrap_err();
    assert!(
        matches!(&refused, Trouble::Forbidden { .. }) && refused.to_string().contains("graph2mqtt login alex"),
        "{refused}"
    );
    assert_eq!(installation.polls().len(), 2);
}

#[tokio::test]
async fn a_claims_challenge_is_answered_with_its_claims() {
    let (installation, client, alex) = alex().await;
    installation.cloud.challenge(&user("alex"), true);
    client.mine(&alex, TENANT).await.unwrap();
    let statuses: Vec<_> = installation.polls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(401), Some(200)]);
}

#[tokio::test]
async fn a_lost_sign_in_is_entras_trouble() {
    let (installation, client, alex) = alex().await;
    installation.cloud.revoke(&user("alex"));
    installation.cloud.expire_access_tokens(&user("alex"));
    let lost = client.mine(&alex, TENANT).await.unwrap_err();
    assert!(matches!(lost, Trouble::Token(entra::Trouble::SignIn { .. })), "{lost}");
}

#[tokio::test]
async fn refusals_and_outages_keep_graphs_words_its_request_id_and_its_time() {
    let error = r#"{"error":{"code":"Busy","message":"later","innerError":{"request-id":"4711-ab"}}}"#;
    let cases = [
        (503, "retry-after: 315", Some(315)),
        (503, "retry-after: Fri, 31 Dec 2100 00:00:00 GMT", Some(3_600)),
        (500, "x: y", None),
        (429, "retry-after: 41", Some(41)),
    ];
    for (status, header, expected) in cases {
        let (installation, client, alex) = alex().await;
        let headers = header.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
        let what = What::Answer { status, headers: headers.into_iter().collect(), body: error.into() };
        installation.cloud.fault(Fault::new("/me/presence", what));
        let trouble = client.mine(&alex, TENANT).await.unwrap_err();
        let Trouble::Retry { after, reason } = &trouble else { panic!("{trouble:?}") };
        assert_eq!(after.map(|after| after.as_secs()), expected, "{status} {header}");
        assert!(reason.contains("4711-ab") && reason.contains("later"), "{reason}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let (installation, client, application) = application(&["alex"]).await;
    installation.cloud.fault(Fault::new("getPresencesByUserId", What::status(403, "{}")));
    installation.cloud.fault(Fault::new("/users/", What::status(403, "{}")));
    let ids: Vec<ObjectId> = vec!["00000000-0000-4000-8000-000000000001".parse().unwrap()];
    let refused = client.presences(&application, TENANT, &ids).await.unwrap_err().to_string();
    assert!(refused.contains("Presence.Read.All"), "{refused}");
    let refused = client.user_id(&application, TENANT, &user("alex")).await.unwrap_err().to_string();
    assert!(refused.contains("User.ReadBasic.All"), "{refused}");
}

#[tokio::test]
async fn a_user_is_found_by_name_and_an_odd_name_stays_one_part_of_the_path() {
    let (installation, client, application) = application(&["alex"]).await;
    let id = client.user_id(&application, TENANT, &user("alex")).await.unwrap();
    let readings = client.presences(&application, TENANT, &[id]).await.unwrap();
    assert_eq!(readings[0].user_id, Some(id));
    for odd in ["../me/presence", "a/b?c#d", "ü@contoso.com", "%2e%2e"] {
        let trouble = client.user_id(&application, TENANT, odd).await.unwrap_err();
        assert!(matches!(trouble, Trouble::NoSuchUser { .. }), "{odd}: {trouble}");
    }
    assert!(installation.polls().iter().all(|call| call.route == Route::Presences));
}

#[tokio::test]
async fn a_server_that_answers_nonsense_or_nothing_is_a_trouble_that_passes_within_the_time_limit() {
    let cases = [What::Hang, What::Cut, What::CutBody, What::Html, What::Endless, What::Garbage];
    for what in cases {
        let (installation, client, alex) = alex().await;
        let case = format!("{what:?}");
        installation.cloud.fault(Fault::new("/me/presence", what).times(1));
        let begun = Instant::now();
        let trouble = client.mine(&alex, TENANT).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Retry { after: None, .. }), "{case}: {trouble}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{case} took {:?}", begun.elapsed());
        client.mine(&alex, TENANT).await.unwrap_or_else(|trouble| panic!("after {case}: {trouble}"));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_no_token_is_carried_away() {
    let (installation, client, alex) = alex().await;
    let elsewhere = format!("{}/elsewhere", installation.cloud.graph());
    let what = What::Answer { status: 302, headers: vec![("location".into(), elsewhere)], body: String::new() };
    installation.cloud.fault(Fault::new("/me/presence", what));
    let trouble = client.mine(&alex, TENANT).await.unwrap_err().to_string();
    assert!(trouble.contains("graph.endpoint"), "{trouble}");
    assert_eq!(calls(&installation, Route::Other), 0);
}

#[tokio::test]
async fn two_names_of_a_tenant_share_its_limit_and_other_tenants_do_not() {
    let (installation, client, alex) = alex().await;
    client.same_tenant(TENANT, "its id");
    let headers = vec![("retry-after".to_owned(), "2".to_owned())];
    let refusal = What::Answer { status: 429, headers, body: String::new() };
    installation.cloud.fault(Fault::new("/me/presence", refusal).times(1));
    client.mine(&alex, TENANT).await.unwrap_err();
    let begun = Instant::now();
    client.mine(&alex, "another").await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    client.mine(&alex, "its id").await.unwrap();
    assert!(begun.elapsed() > Duration::from_secs(1), "{:?}", begun.elapsed());
}
