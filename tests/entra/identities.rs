//! Without a secret in any file: managed identities and federated tokens.

use std::fs;
use std::time::Duration;

use graph2mqtt::entra::{Principal, Tokens, Trouble};
use graph2mqtt::graph;
use graph2mqtt::simulator::{Application, Call, Fault, Route, What};

use crate::world::{CLIENT, SHORT, World, http, person};

pub const MACHINE: &str = "00000000-0000-4000-8000-0000000000d1";
const OTHER: &str = "00000000-0000-4000-8000-0000000000d2";
pub const BY_APP: &str = "accounts:\n  alex: { user: alex@contoso.com, via: app }\n";
pub const OWN: &str = "accounts:\n  alex: { user: alex@contoso.com }\n";
pub const PATIENCE: Duration = Duration::from_secs(15);
pub const IMDS: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";

pub fn app() -> Principal {
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

pub fn asked(world: &World, route: Route) -> usize {
    world.cloud.calls().count(|call: &Call| call.route == route)
}

pub async fn own_token(tokens: &Tokens) -> Result<(), Trouble> {
    tokens.access(&app()).await.map(|_| ())
}

pub fn misconfigured(trouble: &Trouble, words: &[&str]) {
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
