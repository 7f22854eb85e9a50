//! `check` names each step of README's "Registering the application" that somebody forgot.

use std::fs;
use std::process::{Command, Output, Stdio};

use graph2mqtt::simulator::{Application, Fault, Platform, What};

use crate::identities::{IMDS, MACHINE};
use crate::world::{CLIENT, SECRET, World, upn};

const PUBLIC_URL: &str = "https://presence.example.net";
const BACK: &str = "https://presence.example.net/sign-in/callback";
const KEY: &str = include_str!("keys/rsa.key");
const CERTIFICATE: &str = include_str!("keys/rsa.crt");

/// A configuration of which one thing differs from how it should be.
struct Configuration<'a> {
    tenant: &'a str,
    client_id: &'a str,
    /// Further keys of `entra`.
    credential: &'a str,
    accounts: &'a str,
    /// Whose people may add themselves.
    enrol: &'a str,
    /// Further keys of `graph`.
    graph: &'a str,
}

const OWN: Configuration<'_> = Configuration {
    tenant: "contoso.com",
    client_id: CLIENT,
    credential: "",
    accounts: "alex: { user: alex@contoso.com }",
    enrol: "",
    graph: "",
};

fn application() -> Application {
    Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]).redirect(Platform::Desktop, BACK)
}

fn confidential() -> Application {
    Application::confidential(CLIENT, "contoso.com", SECRET).roles(&["Presence.Read.All", "User.ReadBasic.All"])
}

/// What the command says, as people see it.
async fn check(world: &World, with: &Configuration<'_>) -> String {
    let Configuration { tenant, client_id, credential, accounts, enrol, graph } = with;
    let (authority, endpoint) = (world.cloud.authority(), world.cloud.graph());
    let yaml = format!(
        "mqtt: {{ url: 'mqtt://127.0.0.1:9' }}\nweb: {{ public_url: '{PUBLIC_URL}', enrol: {{ tenants: [{enrol}] }} }}\n\
         entra: {{ authority: '{authority}', tenant: {tenant}, client_id: {client_id}{credential} }}\n\
         graph: {{ endpoint: '{endpoint}'{graph} }}\naccounts: {{ {accounts} }}\n"
    );
    fs::write(world.folder().join("graph2mqtt.yaml"), yaml).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_graph2mqtt"));
    command.current_dir(world.folder()).args(["--config", "graph2mqtt.yaml", "check"]).stdin(Stdio::null());
    command.env("no_proxy", "*").env(IMDS, world.cloud.authority());
    let Output { stdout, stderr, .. } = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The line that fails about a subject has these words.
#[track_caller]
fn fails(said: &str, subject: &str, words: &str) {
    let is_it = |line: &&str| line.starts_with("FAIL") && line.contains(subject) && line.contains(words);
    assert!(said.lines().any(|line| is_it(&line)), "no FAIL {subject} with {words:?} in:\n{said}");
}

#[track_caller]
fn succeeds(said: &str, subject: &str, words: &str) {
    let is_it = |line: &&str| line.starts_with("ok") && line.contains(subject) && line.contains(words);
    assert!(said.lines().any(|line| is_it(&line)), "no ok {subject} with {words:?} in:\n{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anybody_signs_in_it_tells_what_of_the_registration_is_missing() {
    let world = World::with(application()).await;
    let said = check(&world, &OWN).await;
    fails(
        &said,
        "entra alex",
        &format!("nobody has signed in; sign in: {PUBLIC_URL}/sign-in/alex or graph2mqtt login"),
    );
    succeeds(&said, "pages", "is registered");

    let nobody = "99999999-0000-4000-8000-000000000009";
    fails(&check(&world, &Configuration { client_id: nobody, ..OWN }).await, "entra", "check entra.client_id");
    fails(&check(&world, &Configuration { tenant: "nowhere.com", ..OWN }).await, "entra", "check entra.tenant");
    let many = Configuration { tenant: "organizations", ..OWN };
    fails(&check(&world, &many).await, "entra", "registered for one tenant");

    let world = World::with(Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"])).await;
    fails(&check(&world, &OWN).await, "pages", &format!("no redirect URI {BACK}; add it under Authentication"));
}

#[tokio::test(flavor = "multi_thread")]
async fn once_somebody_has_signed_in_it_tells_whose_consent_or_right_is_missing() {
    let world = World::with(application()).await;
    let tokens = world.start(&world.settings(&["alex"])).await;
    world.cloud.adjust(|rules| rules.access_token = crate::world::SHORT);
    world.sign_in(&tokens, "alex").await.unwrap();
    succeeds(&check(&world, &OWN).await, "graph alex", "Offline");
    world.cloud.withdraw_consent(CLIENT, "contoso.com");
    fails(&check(&world, &OWN).await, "entra alex", "an administrator can consent at");
    world.cloud.revoke(&upn("alex"));
    fails(&check(&world, &OWN).await, "entra alex", "was revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_credential_is_tried_though_people_sign_in_themselves() {
    let world = World::with(confidential().expired_secret("one-of-yesterday")).await;
    fs::write(world.folder().join("entra.pem"), format!("{CERTIFICATE}{KEY}")).unwrap();
    for (credential, words) in [
        (", client_secret: its-id-instead", "entra.client_secret is wrong: enter the secret's value"),
        (", client_secret: one-of-yesterday", "make a new one under Certificates & secrets"),
        (", certificate_file: entra.pem", "upload it under Certificates & secrets"),
    ] {
        fails(&check(&world, &Configuration { credential, ..OWN }).await, "entra app", words);
    }
    let good = format!(", client_secret: {SECRET}");
    succeeds(&check(&world, &Configuration { credential: &good, ..OWN }).await, "entra app", "proves itself");

    let token = world.cloud.federated_token("system:serviceaccount:home:graph2mqtt");
    fs::write(world.folder().join("token"), token).unwrap();
    let federated = Configuration { credential: ", federated_token_file: token", ..OWN };
    fails(&check(&world, &federated).await, "entra app", "add a federated credential for it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_by_the_applications_own_right_is_told_which_permission_lacks() {
    const BY_NAME: &str = "alex: { user: alex@contoso.com, via: app }";
    let secret = format!(", client_secret: {SECRET}");
    let by_name = Configuration { credential: &secret, accounts: BY_NAME, ..OWN };
    let world = World::with(Application::confidential(CLIENT, "contoso.com", SECRET)).await;
    let said = check(&world, &by_name).await;
    fails(&said, "graph alex", "application permission User.ReadBasic.All");
    fails(&said, "graph alex", &format!("consent at {}/contoso.com/adminconsent?client_id=", world.cloud.authority()));
    world.cloud.consent_roles(CLIENT, "contoso.com", &["User.ReadBasic.All"]);
    fails(&check(&world, &by_name).await, "graph alex", "application permission Presence.Read.All");
    world.cloud.consent_roles(CLIENT, "contoso.com", &["Presence.Read.All"]);
    succeeds(&check(&world, &by_name).await, "graph alex", "Offline");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_people_only_add_themselves_each_of_their_tenants_is_asked() {
    let world = World::with(application().multi_tenant()).await;
    world.cloud.add_tenant("northwind.com");
    let enrol = Configuration { accounts: "", enrol: "contoso.com, northwind.com", ..OWN };
    let said = check(&world, &enrol).await;
    for tenant in ["contoso.com", "northwind.com"] {
        succeeds(&said, "entra enrol", &format!("people of {tenant} may add themselves"));
    }
    succeeds(&said, "pages", "is registered");

    let said = check(&world, &Configuration { enrol: "contoso.com, nowhere.com", ..enrol }).await;
    fails(&said, "entra enrol", "web.enrol.tenants: tenant nowhere.com: there is no such tenant");
    succeeds(&said, "entra enrol", "people of contoso.com");
    let nobody = "99999999-0000-4000-8000-000000000009";
    fails(&check(&world, &Configuration { client_id: nobody, ..enrol }).await, "entra enrol", "check entra.client_id");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_several_tenants_add_themselves_to_an_application_of_many_and_of_one_with_several_names_to_any() {
    let world = World::with(application()).await;
    world.cloud.add_tenant("northwind.com");
    for accounts in ["", OWN.accounts] {
        let several = Configuration { accounts, enrol: "contoso.com, northwind.com", ..OWN };
        let said = check(&world, &several).await;
        fails(&said, "entra enrol", "web.enrol.tenants: the application is registered for one tenant");
        fails(&said, "entra enrol", "choose multitenant under Authentication, Supported account types");
        fails(&said, "entra enrol", "northwind.com: the tenant does not know the application");
        assert!(!said.contains("may add themselves"), "{said}");

        world.cloud.add_domain("contoso.com", "contoso.de");
        let said = check(&world, &Configuration { enrol: "contoso.com, contoso.de", ..several }).await;
        for name in ["contoso.com", "contoso.de"] {
            succeeds(&said, "entra enrol", &format!("people of {name} may add themselves"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_of_another_cloud_is_told_with_the_key_to_change() {
    let world = World::with(application().multi_tenant()).await;
    world.cloud.add_tenant("northwind.us");
    world.cloud.move_to_government("northwind.us");
    let said = check(&world, &Configuration { tenant: "northwind.us", ..OWN }).await;
    fails(&said, "entra", "the tenant is of another cloud: set entra.cloud to us_government, us_government_dod or");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_told() {
    let world = World::with(application()).await;
    world.cloud.adjust(|rules| rules.access_token = crate::world::SHORT);
    world.sign_in(&world.start(&world.settings(&["alex"])).await, "alex").await.unwrap();
    let headers = vec![("date".to_owned(), "Mon, 23 Nov 2020 08:00:00 GMT".to_owned())];
    world.cloud.fault(Fault::new("/token", What::Answer { status: 503, headers, body: String::new() }));
    fails(&check(&world, &OWN).await, "clock", "days ahead; set it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_to_set_their_presence_and_may_not_is_told_so() {
    let world = World::with(application()).await;
    let mut settings = world.settings(&["alex"]);
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    assert!(!check(&world, &OWN).await.contains("Presence.ReadWrite"));
    let writing = Configuration { graph: ", write: true", ..OWN };
    let said = check(&world, &writing).await;
    fails(&said, "entra alex", "has not granted Presence.ReadWrite; add it to the application in Entra");
    fails(&said, "entra alex", &format!("sign in again: {PUBLIC_URL}/sign-in/alex or graph2mqtt login"));
    succeeds(&said, "graph alex", "Offline");

    world.cloud.consent(CLIENT, "contoso.com", &["Presence.ReadWrite"]);
    settings.graph.write = true;
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    let said = check(&world, &writing).await;
    assert!(!said.contains("Presence.ReadWrite"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_whose_people_sign_in_is_asked() {
    let world = World::with(application()).await;
    world.cloud.add_tenant("northwind.com");
    for (tenant, words) in
        [("nowhere.com", "there is no such tenant"), ("northwind.com", "the tenant does not know the application")]
    {
        let accounts = format!("alex: {{ user: alex@contoso.com }}, sam: {{ user: sam@{tenant}, tenant: {tenant} }}");
        let said = check(&world, &Configuration { accounts: &accounts, ..OWN }).await;
        fails(&said, "entra", &format!("accounts.sam.tenant: {tenant}: {words}"));
        succeeds(&said, "pages", "is registered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_vault_that_does_not_let_the_machine_in_is_told_wherever_the_application_is_at_home() {
    let world = World::with(confidential().multi_tenant()).await;
    world.cloud.add_application(Application::identity(MACHINE, "contoso.com"));
    world.cloud.assign_identity(MACHINE, true);
    world.cloud.put_secret("graph2mqtt", SECRET);
    let credential = format!(", key_vault: {{ vault: '{}', secret: graph2mqtt }}", world.cloud.vault());
    const IN_TENANT: &str = "alex: { user: alex@contoso.com, tenant: contoso.com }";
    const THERE: &str = "credential is there";
    const PROVED: &str = "proves itself in tenant contoso.com";
    let each = [
        ("contoso.com", OWN.accounts, "", PROVED),
        ("organizations", "", "contoso.com", PROVED),
        ("organizations", IN_TENANT, "", PROVED),
        ("organizations", OWN.accounts, "", THERE),
    ]
    .map(|(tenant, accounts, enrol, good)| {
        (Configuration { tenant, accounts, enrol, credential: &credential, ..OWN }, good)
    });
    for (with, _) in &each {
        fails(&check(&world, with).await, "entra app", "Key Vault Secrets User");
    }
    world.cloud.let_read_vault(MACHINE);
    for (with, good) in &each {
        succeeds(&check(&world, with).await, "entra app", good);
    }
    world.cloud.put_secret("graph2mqtt", "of yesterday");
    fails(&check(&world, &each[1].0).await, "entra app", "secret graph2mqtt");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_identity_is_named_as_one_and_the_role_that_it_lacks() {
    let world = World::with(application()).await;
    world.cloud.add_application(Application::identity(MACHINE, "contoso.com"));
    world.cloud.assign_identity(MACHINE, true);
    let identity = Configuration { credential: ", managed_identity: true", ..OWN };
    succeeds(&check(&world, &identity).await, "entra app", "the managed identity has a token for Graph");
    let by_app = "alex: { user: 00000000-0000-4000-8000-0000000000a1, via: app }";
    let said = check(&world, &Configuration { accounts: by_app, ..identity }).await;
    succeeds(&said, "entra app", "the managed identity has a token for Graph");
    fails(&said, "graph alex", "Presence.Read.All");
}
