//! Without a secret in any file: managed identities, federated tokens, a key vault.

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use graph2mqtt::entra::{Principal, Progress, Tokens, Trouble};
use graph2mqtt::graph;
use graph2mqtt::simulator::{Application, Call, Fault, Route, What};
use secrecy::ExposeSecret;

use crate::credentials::certificate;
use crate::world::{CLIENT, SECRET, SHORT, World, http, person};

const MACHINE: &str = "00000000-0000-4000-8000-0000000000d1";
const OTHER: &str = "00000000-0000-4000-8000-0000000000d2";
const BY_APP: &str = "accounts:\n  alex: { user: alex@contoso.com, via: app }\n";
const OWN: &str = "accounts:\n  alex: { user: alex@contoso.com }\n";
const PATIENCE: Duration = Duration::from_secs(15);
const IMDS: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

fn app() -> Principal {
    Principal::Application("contoso.com".into())
}

/// An application that trusts the machine's own identity; another identity is assigned to the machine as well.
async fn world() -> World {
    let application = Application::public(CLIENT, "contoso.com").trusts(MACHINE);
    let world = World::with(application.delegated(&["Presence.Read"]).roles(&["Presence.Read.All"])).await;
    world.cloud.add_application(Application::identity(MACHINE, "contoso.com").roles(&["Presence.Read.All"]));
    world.cloud.add_application(Application::identity(OTHER, "contoso.com"));
    world.cloud.assign_identity(MACHINE, true);
    world.cloud.assign_identity(OTHER, false);
    world
}

fn asked(world: &World, route: Route) -> usize {
    world.cloud.calls().count(|call: &Call| call.route == route)
}

async fn own_token(tokens: &Tokens) -> Result<(), Trouble> {
    tokens.access(&app()).await.map(|_| ())
}

fn misconfigured(trouble: &Trouble, words: &[&str]) {
    let text = trouble.to_string();
    assert!(matches!(trouble, Trouble::Misconfigured { .. }), "{trouble:?}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

#[tokio::test]
async fn a_virtual_machines_identity_asks_graph_itself() {
    let world = world().await;
    let base = world.cloud.authority();
    let settings = world.settings_in(BY_APP, ", managed_identity: true", &[(IMDS, &base)]);
    let tokens = world.start(&settings).await;
    let client = graph::Client::new(&settings.graph, http(PATIENCE), tokens.clone());
    let ids = [world.cloud.add_person("pat@contoso.com", "Pat")];
    assert_eq!(client.presences(&app(), "contoso.com", &ids).await.unwrap().len(), 1);
    assert_eq!((asked(&world, Route::Identity), world.asked()), (1, 0), "Entra has nothing to do with it");

    let other = format!(", managed_identity: {{ client_id: {OTHER} }}");
    let settings = world.settings_in(BY_APP, &other, &[(IMDS, &base)]);
    let client = graph::Client::new(&settings.graph, http(PATIENCE), world.start(&settings).await);
    let trouble = client.presences(&app(), "contoso.com", &ids).await.unwrap_err();
    assert!(matches!(trouble, graph::Trouble::Forbidden { url: None, .. }), "it was the other identity: {trouble}");
    for words in ["Presence.Read.All to the managed identity", "appRoleAssignments", "up to a day"] {
        assert!(trouble.to_string().contains(words), "{words:?} is not in {trouble}");
    }
    world.cloud.consent_roles(OTHER, "contoso.com", &["Presence.Read.All"]);
    let again = async || {
        let client = graph::Client::new(&settings.graph, http(PATIENCE), world.start(&settings).await);
        client.presences(&app(), "contoso.com", &ids).await
    };
    again().await.expect_err("Azure keeps the token of before");
    world.cloud.age_identity_tokens(Duration::from_secs(24 * 3600));
    assert_eq!(again().await.unwrap().len(), 1);
}

#[tokio::test]
async fn where_the_identity_asks_graph_people_sign_in_to_a_public_client() {
    let world = World::new().await;
    let base = world.cloud.authority();
    let settings = world.settings_in(OWN, ", managed_identity: true", &[(IMDS, &base)]);
    assert!(!world.sign_in(&world.start(&settings).await, "alex").await.unwrap().confidential);
}

#[tokio::test]
async fn app_service_is_asked_with_its_header() {
    let world = world().await;
    let (endpoint, header) = (format!("{}/msi/token", world.cloud.authority()), world.cloud.identity_header());
    let right = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", &header)];
    let settings = world.settings_in(BY_APP, ", managed_identity: true", &right);
    own_token(&world.start(&settings).await).await.unwrap();
    let wrong = [("IDENTITY_ENDPOINT", endpoint.as_str()), ("IDENTITY_HEADER", "another")];
    let settings = world.settings_in(BY_APP, ", managed_identity: true", &wrong);
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["App Service", "401"]);
}

#[tokio::test]
async fn an_identity_that_is_not_assigned_or_not_answered_for_is_told() {
    let world = world().await;
    let base = world.cloud.authority();
    let unknown = format!(", managed_identity: {{ client_id: {CLIENT} }}");
    let settings = world.settings_in(BY_APP, &unknown, &[(IMDS, &base)]);
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["entra.managed_identity", "Identity not found", "client_id"]);

    let settings = world.settings_in(BY_APP, ", managed_identity: true", &[(IMDS, &base)]);
    for what in
        [What::status(404, ""), What::status(410, ""), What::status(429, "{}"), What::status(500, ""), What::Html]
    {
        world.cloud.fault(Fault::new("/metadata", what.clone()));
        let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
        assert!(matches!(trouble, Trouble::Retry { .. }), "{what:?}: {trouble}");
        world.cloud.clear_faults();
    }
    let settings = world.settings_in(
        BY_APP,
        ", managed_identity: true",
        &[("IDENTITY_ENDPOINT", "https://x"), ("IDENTITY_HEADER", "x")],
    );
    let trouble = Tokens::new(&settings, http(PATIENCE), world.store().await).unwrap_err();
    misconfigured(&trouble, &["IDENTITY_ENDPOINT"]);
}

#[tokio::test]
async fn as_application_the_identity_proves_the_application_for_everything() {
    let world = world().await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let base = world.cloud.authority();
    let as_application = ", managed_identity: { as: application }";
    let settings = world.settings_in(OWN, as_application, &[(IMDS, &base)]);
    let grant = world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    assert!(grant.confidential);
    let tokens = world.start(&settings).await;
    let before = asked(&world, Route::Identity);
    let (own, theirs) = tokio::join!(own_token(&tokens), async { tokens.access(&person("alex")).await });
    own.unwrap();
    assert_eq!(world.whose(&theirs.unwrap()).await, grant.object_id.as_str());
    assert_eq!(asked(&world, Route::Identity) - before, 1, "the identity's token is kept");

    let untrusted = format!(", managed_identity: {{ as: application, client_id: {OTHER} }}");
    let settings = world.settings_in(BY_APP, &untrusted, &[(IMDS, &base)]);
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["federated credential", "AADSTS700213"]);
}

/// Time passes for us alone.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_token_that_azure_handed_out_before_is_kept_no_longer_than_it_is_good_and_refused_fetched_again() {
    let world = world().await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let as_application = ", managed_identity: { as: application }";
    let settings = world.settings_in(BY_APP, as_application, &[(IMDS, &world.cloud.authority())]);
    own_token(&world.start(&settings).await).await.unwrap();
    world.cloud.age_identity_tokens(Duration::from_secs(23 * 3600));
    let tokens = world.start(&settings).await;
    own_token(&tokens).await.unwrap();
    assert_eq!(asked(&world, Route::Identity), 2);
    pass(Duration::from_secs(50 * 60)).await;
    own_token(&tokens).await.unwrap();
    assert_eq!(asked(&world, Route::Identity), 3, "an hour was left of a day, and it is kept longer");

    // As after a sleep of the machine, through which our clock stood still.
    world.cloud.age_identity_tokens(Duration::from_secs(2 * 3600));
    pass(SHORT).await;
    own_token(&tokens).await.unwrap();
    assert_eq!(asked(&world, Route::Identity), 4);

    let refused = r#"{"error":"invalid_client","error_codes":[700024]}"#;
    world.cloud.fault(Fault::new("POST /contoso.com", What::status(401, refused)));
    pass(SHORT).await;
    misconfigured(&own_token(&tokens).await.unwrap_err(), &["out of its time"]);
    assert_eq!(asked(&world, Route::Identity), 4, "what was just fetched is not fetched again");
}

#[tokio::test]
async fn a_federated_token_is_read_again_each_time() {
    let application = Application::public(CLIENT, "contoso.com").trusts("system:serviceaccount:home:graph2mqtt");
    let world = World::with(application.roles(&["Presence.Read.All"])).await;
    let file = world.folder().join("token");
    fs::write(&file, world.cloud.federated_token("system:serviceaccount:home:another")).unwrap();
    let settings = world.settings_of(BY_APP, ", federated_token_file: token");
    let tokens = world.start(&settings).await;
    misconfigured(&own_token(&tokens).await.unwrap_err(), &["federated credential"]);

    fs::write(&file, world.cloud.federated_token("system:serviceaccount:home:graph2mqtt") + "\n").unwrap();
    own_token(&world.start(&settings).await).await.unwrap();
    for broken in ["", "not a token"] {
        fs::write(&file, broken).unwrap();
        let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
        misconfigured(&trouble, &["entra.federated_token_file", "JWT"]);
    }
    fs::remove_file(&file).unwrap();
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    misconfigured(&trouble, &["entra.federated_token_file", "cannot be read"]);
}

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
    let tokens = world.start(&world.settings_in(OWN, &keys, &[(IMDS, &world.cloud.authority())])).await;
    let mut progress = tokens.sign_ins().start(&crate::world::name("alex")).unwrap();
    let shown = progress.wait_for(|progress| matches!(progress, Progress::Waiting { .. })).await.unwrap().clone();
    let Progress::Waiting { prompt, .. } = shown else { unreachable!() };
    world.cloud.approve(&prompt.user_code, &crate::world::upn("alex")).unwrap();
    let tried = |calls: &[Call]| calls.iter().filter(|call| call.route == Route::Vault).count() > 1;
    world.cloud.calls().wait_for(PATIENCE, tried).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(901)).await;
    tokio::time::resume();
    let end = tokio::time::timeout(PATIENCE, progress.wait_for(Progress::has_ended)).await.unwrap().unwrap().clone();
    let Progress::Failed(trouble @ Trouble::Retry { .. }) = end else { panic!("{end:?}") };
    for words in ["entra.key_vault", "the vault answers 503", "begin again"] {
        assert!(trouble.to_string().contains(words), "{trouble}");
    }
}
