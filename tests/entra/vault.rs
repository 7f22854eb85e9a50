//! The application's secret or certificate in a key vault, and nowhere else.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use graph2mqtt::entra::{Errand, Principal, Progress, Trouble};
use graph2mqtt::simulator::{Application, Call, Fault, Platform, Route, What};
use secrecy::ExposeSecret;

use crate::browser::{BACK, HERE, browser, enrol};
use crate::credentials::certificate;
use crate::identities::{BY_APP, IMDS, MACHINE, OWN, PATIENCE, app, asked, misconfigured, own_token};
use crate::sign_ins::newcomer;
use crate::world::{CLIENT, SECRET, World};

/// A world whose vault the machine's identity may read, and the keys that name it.
async fn vault(application: Application) -> (World, String) {
    let world = World::with(application.roles(&["Presence.Read.All"])).await;
    world.cloud.add_application(Application::identity(MACHINE, "contoso.com"));
    world.cloud.assign_identity(MACHINE, true);
    world.cloud.let_read_vault(MACHINE);
    let keys = format!(", key_vault: {{ vault: \"{}\", secret: graph2mqtt }}", world.cloud.vault());
    (world, keys)
}

#[tokio::test]
async fn a_secret_in_a_key_vault_is_kept_and_read_once_more_before_anybody_is_told() {
    let application = Application::confidential(CLIENT, "contoso.com", SECRET).expired_secret("of yesterday");
    let (world, keys) = vault(application).await;
    let base = world.cloud.authority();
    world.cloud.put_secret("graph2mqtt", "of yesterday");
    let settings = world.settings_in(BY_APP, &keys, &[(IMDS, &base)]);
    let tokens = world.start(&settings).await;
    let trouble = own_token(&tokens).await.unwrap_err();
    misconfigured(&trouble, &["entra.key_vault ", "secret graph2mqtt has expired"]);
    assert!(!trouble.to_string().contains("client_secret"), "{trouble}");
    assert_eq!((world.asked(), asked(&world, Route::Vault)), (1, 2), "what stayed the same is not tried again");

    let tokens = world.start(&settings).await;
    world.cloud.fault(Fault::new("POST /contoso.com", What::Slow(Duration::from_millis(300))).times(1));
    let (cloud, asking) = (world.cloud.clone(), tokio::spawn(async move { own_token(&tokens).await }));
    cloud
        .calls()
        .wait_for(PATIENCE, |calls: &[Call]| calls.iter().filter(|call| call.route == Route::Vault).count() == 3)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.cloud.put_secret("graph2mqtt", SECRET);
    asking.await.unwrap().unwrap();
    assert_eq!((world.asked(), asked(&world, Route::Vault)), (3, 4));
}

#[tokio::test]
async fn many_who_are_refused_at_once_read_the_vault_once() {
    let (world, keys) = vault(Application::confidential(CLIENT, "contoso.com", SECRET).multi_tenant()).await;
    let base = world.cloud.authority();
    world.cloud.put_secret("graph2mqtt", "wrong");
    let tokens = world.start(&world.settings_in(BY_APP, &keys, &[(IMDS, &base)])).await;
    let tenants: Vec<String> = (0..20).map(|number| format!("tenant{number}.example")).collect();
    tenants.iter().for_each(|tenant| drop(world.cloud.add_tenant(tenant)));
    let principals: Vec<Principal> =
        tenants.iter().map(|tenant| Principal::Application(tenant.as_str().into())).collect();
    for outcome in join_all(principals.iter().map(|who| tokens.access(who))).await {
        misconfigured(&outcome.unwrap_err(), &["secret"]);
    }
    assert_eq!(asked(&world, Route::Vault), 2);
}

#[tokio::test]
async fn a_vault_that_is_set_up_wrongly_is_not_asked_by_everybody_and_heals_by_itself() {
    let (world, keys) = vault(Application::confidential(CLIENT, "contoso.com", SECRET).multi_tenant()).await;
    let tokens = world.start(&world.settings_in(BY_APP, &keys, &[(IMDS, &world.cloud.authority())])).await;
    let principals: Vec<Principal> =
        (0..20).map(|number| Principal::Application(format!("tenant{number}.example").into())).collect();
    let all = async || {
        for outcome in join_all(principals.iter().map(|who| tokens.access(who))).await {
            misconfigured(&outcome.unwrap_err(), &["none of this name"]);
        }
    };
    all().await;
    assert_eq!((asked(&world, Route::Identity), asked(&world, Route::Vault)), (1, 1));

    world.cloud.put_secret("graph2mqtt", SECRET);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(40)).await;
    tokio::time::resume();
    own_token(&tokens).await.unwrap();
}

#[tokio::test]
async fn a_certificate_in_a_key_vault_comes_as_pem_or_pfx() {
    use rustls::pki_types::pem::PemObject;
    let pem = include_str!("keys/rsa.crt");
    let der = rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let (world, _) = vault(Application::public(CLIENT, "contoso.com").certificate(&der)).await;
    let base = world.cloud.authority();
    let keys = format!(", key_vault: {{ vault: \"{}\", certificate: app }}", world.cloud.vault());
    let settings = world.settings_in(BY_APP, &keys, &[(IMDS, &base)]);
    for value in [pem.to_owned() + include_str!("keys/rsa.key"), STANDARD.encode(include_bytes!("keys/vault.pfx"))] {
        world.cloud.put_secret("app", &value);
        own_token(&world.start(&settings).await).await.unwrap();
    }
    world.cloud.put_secret("app", pem);
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["entra.key_vault", "certificate app", "no private key", "exported"]);
}

#[tokio::test]
async fn a_certificate_that_was_renewed_in_the_vault_is_read_before_anybody_is_told() {
    let (old, new) = (include_str!("keys/rsa.key"), include_str!("keys/other.key"));
    let ((_, old), (registered, new)) = (certificate(old, 2039), certificate(new, 2040));
    let (world, _) = vault(Application::public(CLIENT, "contoso.com").certificate(&registered)).await;
    world.cloud.put_secret("app", &old);
    let keys = format!(", key_vault: {{ vault: \"{}\", certificate: app }}", world.cloud.vault());
    let tokens = world.start(&world.settings_in(BY_APP, &keys, &[(IMDS, &world.cloud.authority())])).await;
    world.cloud.fault(Fault::new("POST /contoso.com", What::Slow(Duration::from_millis(300))).times(1));
    let (cloud, asking) = (world.cloud.clone(), tokio::spawn(async move { own_token(&tokens).await }));
    let was_read = |calls: &[Call]| calls.iter().any(|call| call.route == Route::Vault);
    cloud.calls().wait_for(PATIENCE, was_read).await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    world.cloud.put_secret("app", &new);
    asking.await.unwrap().unwrap();
    assert_eq!((world.asked(), asked(&world, Route::Vault)), (2, 2));
}

#[tokio::test]
async fn what_is_wrong_with_the_vault_is_told_and_429_is_obeyed() {
    let (world, keys) = vault(Application::confidential(CLIENT, "contoso.com", SECRET)).await;
    let base = world.cloud.authority();
    let settings = world.settings_in(BY_APP, &keys, &[(IMDS, &base)]);
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["entra.key_vault", "secret graph2mqtt", "none of this name"]);

    world.cloud.put_secret("graph2mqtt", SECRET);
    world.cloud.fault(Fault::new("/metadata", What::status(400, "{}")).times(1));
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["entra.key_vault", "set AZURE_CLIENT_ID of the environment"]);
    assert!(!trouble.to_string().contains("entra.managed_identity"), "{trouble}");

    world.cloud.fault(Fault::new("/secrets", What::status(403, "{}")).times(1));
    misconfigured(&own_token(&world.start(&settings).await).await.unwrap_err(), &["Key Vault Secrets User"]);

    world.cloud.fault(Fault::new("/secrets", What::retry_after(429, 41)).times(1));
    let tokens = world.start(&settings).await;
    let trouble = own_token(&tokens).await.unwrap_err();
    assert!(matches!(trouble, Trouble::Retry { after: Some(after), .. } if after.as_secs() >= 40), "{trouble:?}");
    let before = asked(&world, Route::Vault);
    let other = tokens.access(&Principal::Application("other.example".into())).await.unwrap_err();
    assert!(matches!(other, Trouble::Retry { after: Some(_), .. }), "{other:?}");
    assert_eq!(asked(&world, Route::Vault), before, "the vault is asked again too soon");
}

#[tokio::test]
async fn a_vault_of_a_cloud_that_is_behind_is_asked_in_its_own_version_and_a_line_end_in_it_does_not_count() {
    let (world, keys) = vault(Application::confidential(CLIENT, "contoso.com", SECRET)).await;
    world.cloud.put_secret("graph2mqtt", &format!("{SECRET}\r\n"));
    let settings = world.settings_in(BY_APP, &keys, &[(IMDS, &world.cloud.authority())]);
    for versions in [&["7.4", "2025-07-01"][..], &["7.3", "7.4"]] {
        world.cloud.vault_knows(versions);
        own_token(&world.start(&settings).await).await.unwrap();
    }
    world.cloud.vault_knows(&["7.3"]);
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["entra.key_vault", "BadParameter: The specified version (7.4) is not recognized"]);
}

#[tokio::test]
async fn in_kubernetes_a_vault_is_reached_by_the_workloads_identity() {
    let world =
        World::with(Application::confidential(CLIENT, "contoso.com", SECRET).roles(&["Presence.Read.All"])).await;
    world.cloud.add_application(Application::identity(MACHINE, "contoso.com").trusts("pod"));
    world.cloud.let_read_vault(MACHINE);
    world.cloud.put_secret("graph2mqtt", SECRET);
    let file = world.folder().join("token");
    fs::write(&file, world.cloud.federated_token("pod")).unwrap();
    let keys = format!(", key_vault: {{ vault: \"{}\", secret: graph2mqtt }}", world.cloud.vault());
    let environment = [
        ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().unwrap()),
        ("AZURE_CLIENT_ID", MACHINE),
        ("AZURE_TENANT_ID", "contoso.com"),
    ];
    let settings = world.settings_in(BY_APP, &keys, &environment);
    let tokens = world.start(&settings).await;
    let token = tokens.access(&app()).await.unwrap();
    let shown = format!("{tokens:?} {token:?} {settings:?}");
    assert!(!shown.contains(SECRET) && !shown.contains(token.secret.expose_secret()), "{shown}");

    fs::write(&file, world.cloud.federated_token("another pod")).unwrap();
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["AZURE_CLIENT_ID", "federated credential"]);
}

#[tokio::test]
async fn a_code_that_could_not_be_redeemed_because_of_the_vault_is_not_said_to_be_unused() {
    let application = Application::confidential(CLIENT, "contoso.com", SECRET).delegated(&["Presence.Read"]);
    let (world, keys) = vault(application).await;
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    world.cloud.put_secret("graph2mqtt", SECRET);
    world.cloud.fault(Fault::new("/secrets/", What::status(503, "{}")));
    let yaml = format!("{OWN}web: {{ enrol: {{ tenants: [contoso.com] }} }}\n");
    let tokens = world.start(&world.settings_in(&yaml, &keys, &[(IMDS, &world.cloud.authority())])).await;
    let sign_ins = tokens.sign_ins();
    let mut progress = sign_ins.start(&crate::world::name("alex")).unwrap();
    sign_ins.ask_for_code(Errand::Enrol, browser(), HERE).unwrap();
    let code = |progress: &Progress| match progress {
        Progress::Waiting { prompt, .. } => Some(prompt.user_code.clone()),
        _ => None,
    };
    let first = code(&progress.wait_for(|progress| code(progress).is_some()).await.unwrap()).unwrap();
    newcomer(&sign_ins, &|progress| code(progress).is_some()).await;
    let tried = |calls: &[Call]| calls.iter().filter(|call| call.route == Route::Vault).count() > 1;
    world.cloud.calls().wait_for(PATIENCE, tried).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(901)).await;
    tokio::time::resume();
    // Of a newcomer's, the first was the last.
    let end = newcomer(&sign_ins, &Progress::has_ended).await;
    let Progress::Failed(trouble @ Trouble::Retry { .. }) = end else { panic!("{end:?}") };
    let said = trouble.to_string();
    assert!(said.contains("cannot prove itself") && said.contains("begin again") && !said.contains("vault"), "{said}");
    let is_next = |progress: &Progress| code(progress).is_some_and(|code| code != first) || progress.has_ended();
    let next = tokio::time::timeout(PATIENCE, progress.wait_for(is_next)).await.unwrap().unwrap().clone();
    assert!(code(&next).is_some(), "no other code follows: {next:?}");
}

#[tokio::test]
async fn who_is_no_account_is_not_told_what_the_vault_says_of_this_machine() {
    let application = Application::confidential(CLIENT, "contoso.com", SECRET).delegated(&["Presence.Read"]);
    let (world, keys) = vault(application.redirect(Platform::Web, BACK)).await;
    world.cloud.put_secret("graph2mqtt", SECRET);
    let yaml = format!("{OWN}web: {{ enrol: {{ tenants: [contoso.com] }} }}\n");
    let settings = world.settings_in(&yaml, &keys, &[(IMDS, &world.cloud.authority())]);
    let said = r#"{"error":{"code":"Forbidden","message":"Client address is not authorized: 203.0.113.7"}}"#;
    for (status, named) in [(403, true), (503, false)] {
        world.cloud.fault(Fault::new("/secrets/", What::status(status, said)));
        let sign_ins = world.start(&settings).await.sign_ins();
        let told = match named {
            true => sign_ins.send(Errand::Enrol, browser(), HERE, &BACK.parse().unwrap()).await.unwrap_err(),
            false => enrol(&sign_ins, "sam").await.0.unwrap_err(),
        };
        let told = told.to_string();
        assert!(told.contains("cannot prove itself") && !told.contains("203.0.113.7"), "{status}: {told}");
        let own = Errand::Account(crate::world::name("alex"));
        let sent = sign_ins.send(own, browser(), HERE, &BACK.parse().unwrap()).await;
        let told = sent.err().map(|trouble| trouble.to_string());
        assert_eq!(told.is_some_and(|told| told.contains("203.0.113.7")), named, "{status}");
    }
}
