//! The life of tokens: who gets which, when Entra is asked, and what survives.

use std::time::Duration;

use futures_util::future::join_all;
use graph2mqtt::entra::{Principal, Trouble};
use graph2mqtt::simulator::{Application, Call, Route};
use graph2mqtt::store::Origin;
use secrecy::ExposeSecret;

use crate::world::{CLIENT, SECRET, SHORT, World, name, person, upn};

#[tokio::test]
async fn a_restart_needs_no_refresh_while_the_token_is_good() {
    let world = World::new().await;
    let settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    let asked = world.asked();
    let tokens = world.start(&settings).await;
    let token = tokens.access(&person("alex")).await.unwrap();
    world.whose(&token).await;
    assert_eq!(world.asked(), asked);
    assert_eq!(tokens.access(&person("alex")).await.unwrap().generation, token.generation);
}

#[tokio::test]
async fn a_rotated_refresh_token_is_durable_so_that_no_restart_loses_the_account() {
    let world = World::new().await;
    world.cloud.adjust(|rules| {
        rules.access_token = SHORT;
        rules.revoke_used = true;
    });
    let settings = world.settings(&["alex"]);
    let grant = world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    for version in 2..6 {
        let token = world.start(&settings).await.access(&person("alex")).await.unwrap();
        assert_eq!(world.whose(&token).await, grant.object_id.as_str());
        let row = world.store().await.grant(&name("alex")).await.unwrap().unwrap();
        assert_eq!((row.version, &row.id), (version, &grant.id));
    }
}

#[tokio::test]
async fn however_many_ask_at_once_entra_is_asked_once() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    let asked = world.asked();
    let tokens = world.start(&settings).await;
    let who = person("alex");
    let all = join_all((0..50).map(|_| tokens.access(&who))).await;
    let first = all[0].as_ref().unwrap().generation;
    assert!(all.iter().all(|token| token.as_ref().unwrap().generation == first));
    assert_eq!(world.asked() - asked, 1);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all_who_saw_it_refused() {
    let world = World::new().await;
    let settings = world.settings(&["alex"]);
    let tokens = world.start(&settings).await;
    let grant = world.sign_in(&tokens, "alex").await.unwrap();
    let who = person("alex");
    let refused = tokens.access(&who).await.unwrap();
    let asked = world.asked();
    world.cloud.expire_access_tokens(&upn("alex"));
    let renewed = join_all((0..20).map(|_| tokens.renew(&who, &refused, None))).await;
    assert_eq!(world.asked() - asked, 1);
    for token in &renewed {
        assert_ne!(token.as_ref().unwrap().secret.expose_secret(), refused.secret.expose_secret());
    }
    let renewed = renewed[0].as_ref().unwrap();
    assert_eq!(world.whose(renewed).await, grant.object_id.as_str());
    assert_eq!(tokens.renew(&who, &refused, None).await.unwrap().generation, renewed.generation);

    let again = tokens.renew(&who, renewed, None).await.unwrap_err();
    assert!(matches!(again, Trouble::Retry { after: Some(_), .. }), "a loop with Entra: {again}");
    assert_eq!(world.asked() - asked, 1);
}

#[tokio::test]
async fn what_another_process_refreshed_is_used_instead_of_refreshing_again() {
    let world = World::new().await;
    let settings = world.settings(&["alex"]);
    let (ours, theirs) = (world.start(&settings).await, world.start(&settings).await);
    world.sign_in(&ours, "alex").await.unwrap();
    let who = person("alex");
    let (old, same) = (ours.access(&who).await.unwrap(), theirs.access(&who).await.unwrap());
    assert_eq!(old.secret.expose_secret(), same.secret.expose_secret());
    world.cloud.expire_access_tokens(&upn("alex"));
    let asked = world.asked();
    let first = theirs.renew(&who, &same, None).await.unwrap();
    let second = ours.renew(&who, &old, None).await.unwrap();
    assert_eq!(first.secret.expose_secret(), second.secret.expose_secret());
    assert_eq!(world.asked() - asked, 1);
}

#[tokio::test]
async fn two_processes_that_refresh_at_once_both_go_on_and_keep_one_grant() {
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let settings = world.settings(&["alex"]);
    let grant = world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    for _ in 0..5 {
        let (ours, theirs) = (world.start(&settings).await, world.start(&settings).await);
        let who = person("alex");
        let (a, b) = tokio::join!(ours.access(&who), theirs.access(&who));
        for token in [a.unwrap(), b.unwrap()] {
            assert_eq!(world.whose(&token).await, grant.object_id.as_str());
        }
    }
    assert_eq!(world.store().await.grants().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_grant_of_another_user_under_the_same_name_is_never_used() {
    let world = World::new().await;
    world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap();
    let asked = world.asked();
    let changed = world.settings_of("accounts:\n  alex: { user: kim@contoso.com }\n", "");
    let tokens = world.start(&changed).await;
    let trouble = tokens.access(&person("alex")).await.unwrap_err();
    assert!(matches!(&trouble, Trouble::SignIn { reason, .. } if reason.contains("kim@contoso.com")), "{trouble}");
    assert_eq!(world.asked(), asked);

    world.sign_in_as(&tokens, "alex", "kim").await.unwrap();
    tokens.access(&person("alex")).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_and_a_removal_by_another_process_are_noticed() {
    let world = World::new().await;
    let settings = world.settings(&["alex", "kim"]);
    let bridge = world.start(&settings).await;
    let missing = bridge.access(&person("alex")).await.unwrap_err();
    assert!(
        matches!(&missing, Trouble::SignIn { .. }) && missing.to_string().contains("graph2mqtt login alex"),
        "{missing}"
    );
    let start = world.store().await.grants_revision().await.unwrap();
    assert_eq!(bridge.reload(start).await.unwrap().came, []);

    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    let came = bridge.reload(start).await.unwrap();
    assert_eq!(came.came.iter().map(|holder| &holder.account).collect::<Vec<_>>(), [&name("alex")]);
    bridge.access(&person("alex")).await.unwrap();
    assert_eq!(bridge.reload(came.revision).await.unwrap().came, []);

    world.store().await.remove_grant(&name("alex")).await.unwrap();
    let gone = bridge.reload(came.revision).await.unwrap().gone;
    assert_eq!(gone, [(name("alex"), Origin::Configured)]);
    assert!(matches!(bridge.access(&person("alex")).await, Err(Trouble::SignIn { .. })));
}

#[tokio::test]
async fn the_application_has_one_token_for_each_tenant() {
    let application =
        Application::confidential(CLIENT, "contoso.com", SECRET).multi_tenant().roles(&["Presence.Read.All"]);
    let world = World::with(application).await;
    world.cloud.add_tenant("fabrikam.com");
    world.cloud.consent_roles(CLIENT, "fabrikam.com", &["Presence.Read.All"]);
    let settings = world.settings_of(
        "accounts:\n  alex: { user: alex@contoso.com, via: app }\n",
        &format!(", client_secret: {SECRET}"),
    );
    let tokens = world.start(&settings).await;
    let (contoso, fabrikam) =
        (Principal::Application("contoso.com".into()), Principal::Application("fabrikam.com".into()));
    let all = join_all((0..100).map(|_| tokens.access(&contoso))).await;
    let other = tokens.access(&fabrikam).await.unwrap();
    assert!(all.iter().all(|token| token.as_ref().unwrap().generation != other.generation));
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn a_domain_and_an_id_name_one_tenant() {
    let world = World::new().await;
    let id = world.cloud.add_tenant("fabrikam.com");
    let tokens = world.start(&world.settings(&["alex"])).await;
    let calls = || world.cloud.calls().all().len();
    let before = calls();
    assert_eq!(tokens.tenant_id(&id).await.unwrap().as_str(), id);
    assert_eq!(calls(), before, "an id needs no question");
    assert_eq!(tokens.tenant_id("fabrikam.com").await.unwrap().as_str(), id);
    assert!(matches!(tokens.tenant_id("nobody.example").await, Err(Trouble::Misconfigured { .. })));
    assert!(matches!(tokens.tenant_id("organizations").await, Err(Trouble::Retry { .. })));
}

#[tokio::test]
async fn a_tenant_is_of_another_cloud_where_entra_was_asked_in_another() {
    let world = World::new().await;
    let id = world.cloud.add_tenant("northwind.us");
    world.cloud.move_to_government("northwind.us");
    let entra = world.cloud.address();
    let ask = async |host: &str| {
        let mut settings = world.settings(&["alex"]);
        settings.entra.as_mut().unwrap().authority = format!("http://{host}:{}", entra.port()).parse().unwrap();
        let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().resolve(host, entra).build().unwrap();
        world.start_with(&settings, http).await.tenant_id("northwind.us").await
    };
    for host in ["login.microsoftonline.us", "proxy.example"] {
        assert_eq!(ask(host).await.unwrap().as_str(), id, "{host}");
    }
    let Err(Trouble::Misconfigured { reason }) = ask("login.microsoftonline.com").await else { panic!("taken") };
    assert!(
        reason.contains("tenant northwind.us is of another cloud: set entra.cloud to us_government (or"),
        "{reason}"
    );
}

#[tokio::test]
async fn refreshes_that_began_together_spread_over_the_last_quarter() {
    const PEOPLE: usize = 60;
    let world = World::new().await;
    world.cloud.adjust(|rules| rules.access_token = Duration::from_secs(1_000));
    let names: Vec<String> = (0..PEOPLE).map(|number| format!("person{number}")).collect();
    let settings = world.settings(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let store = world.store().await;
    for who in &names {
        let id = world.cloud.add_person(&upn(who), who);
        store.put_grant(crate::caches::grant(&world, who, id)).await.unwrap();
    }
    let tokens = world.start(&settings).await;
    let ask_all = async || {
        for who in &names {
            tokens.access(&person(who)).await.unwrap();
        }
    };
    ask_all().await;
    assert_eq!(world.asked(), PEOPLE);
    // So much later of the tokens' thousand seconds: how many were refreshed at least and at most.
    for (after, fewest, most) in [(740, 0, 0), (110, 15, 45)] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(after)).await;
        tokio::time::resume();
        ask_all().await;
        let at_least = |count: usize| {
            move |calls: &[Call]| calls.iter().filter(|call| call.route == Route::Token).count() >= PEOPLE + count
        };
        world.cloud.calls().wait_for(Duration::from_secs(20), at_least(fewest)).await.unwrap();
        let more = world.cloud.calls().wait_for(Duration::from_secs(2), at_least(most + 1)).await;
        assert!(more.is_err(), "more than {most} were refreshed after another {after} s");
    }
}
