//! How the application proves itself: by a secret or a certificate, in a file that can be replaced at any time.

use std::fs;
use std::path::Path;

use graph2mqtt::entra::{Principal, Tokens, Trouble};
use graph2mqtt::simulator::{Application, Platform};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, date_time_ymd};

use crate::browser::{BACK, enrol, way};
use crate::troubles::Captured;
use crate::world::{CLIENT, SHORT, World, http, person};

const KEY: &str = include_str!("keys/rsa.key");
const OTHER_KEY: &str = include_str!("keys/other.key");
const BY_APP: &str = "accounts:\n  alex: { user: alex@contoso.com, via: app }\n";
const OWN: &str = "accounts:\n  alex: { user: alex@contoso.com }\n";

/// A certificate for a key, good until this year: DER, and PEM with the key.
pub fn certificate(key: &str, until: i32) -> (Vec<u8>, String) {
    let pair = KeyPair::from_pem_and_sign_algo(key, &PKCS_RSA_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.not_after = date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&pair).unwrap();
    (certificate.der().to_vec(), certificate.pem() + key)
}

fn registered(certificates: &[&[u8]]) -> Application {
    let application =
        Application::public(CLIENT, "contoso.com").delegated(&["Presence.Read"]).roles(&["Presence.Read.All"]);
    certificates.iter().fold(application, |application, der| application.certificate(der))
}

/// Another content in the place of a file's, as secret stores and people put it there.
fn replace(file: &Path, content: impl AsRef<[u8]>) {
    let draft = file.with_extension("new");
    fs::write(&draft, content).unwrap();
    fs::rename(draft, file).unwrap();
}

async fn own_token(tokens: &Tokens) -> Result<(), Trouble> {
    tokens.access(&Principal::Application("contoso.com".into())).await.map(|_| ())
}

#[tokio::test]
async fn a_certificate_proves_the_application_for_itself_and_for_people() {
    let (der, pem) = certificate(KEY, 2040);
    let world = World::with(registered(&[&der])).await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    fs::write(world.folder().join("entra.pem"), pem).unwrap();
    let settings = world.settings_of(BY_APP, ", certificate_file: entra.pem");
    own_token(&world.start(&settings).await).await.unwrap();

    let settings = world.settings_of(OWN, ", certificate_file: entra.pem");
    let grant = world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    assert!(grant.confidential);
    let token = world.start(&settings).await.access(&person("alex")).await.unwrap();
    assert_eq!(world.whose(&token).await, grant.object_id.as_str());
}

#[tokio::test]
async fn a_pfx_with_its_password_in_a_file_does_as_well() {
    let der = rcgen_der(include_str!("keys/rsa.crt"));
    let world = World::with(registered(&[&der])).await;
    fs::write(world.folder().join("entra.pfx"), include_bytes!("keys/aes.pfx")).unwrap();
    fs::write(world.folder().join("password"), "swordfish\n").unwrap();
    let settings = world.settings_of(BY_APP, ", certificate_file: entra.pfx, certificate_password_file: password");
    own_token(&world.start(&settings).await).await.unwrap();
}

fn rcgen_der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::pem::PemObject;
    rustls::pki_types::CertificateDer::from_pem_slice(pem.as_bytes()).unwrap().to_vec()
}

#[tokio::test]
async fn a_certificate_that_is_replaced_counts_from_the_next_request_on() {
    let ((old, old_pem), (new, new_pem)) = (certificate(KEY, 2039), certificate(OTHER_KEY, 2040));
    let world = World::with(registered(&[&new])).await;
    let file = world.folder().join("entra.pem");
    fs::write(&file, &old_pem).unwrap();
    let settings = world.settings_of(BY_APP, ", certificate_file: entra.pem");
    let trouble = own_token(&world.start(&settings).await).await.unwrap_err();
    let text = trouble.to_string();
    assert!(matches!(trouble, Trouble::Misconfigured { .. }) && text.contains("not registered"), "{text}");

    let tokens = world.start(&settings).await;
    replace(&file, &new_pem);
    own_token(&tokens).await.unwrap();
    assert_ne!(old, new);
}

#[tokio::test]
async fn a_secret_that_is_replaced_counts_from_the_next_request_on() {
    let world =
        World::with(Application::confidential(CLIENT, "contoso.com", "new").roles(&["Presence.Read.All"])).await;
    let file = world.folder().join("secret");
    fs::write(&file, "old").unwrap();
    let settings = world.settings_of(BY_APP, ", client_secret_file: secret");
    let tokens = world.start(&settings).await;
    let asked = world.asked();
    replace(&file, "new\n");
    own_token(&tokens).await.unwrap();
    assert_eq!(world.asked() - asked, 1);
}

#[tokio::test]
async fn a_secret_that_is_replaced_while_entra_is_asked_is_tried_before_anybody_is_told() {
    let world =
        World::with(Application::confidential(CLIENT, "contoso.com", "new").roles(&["Presence.Read.All"])).await;
    let file = world.folder().join("secret");
    fs::write(&file, "old").unwrap();
    let tokens = world.start(&world.settings_of(BY_APP, ", client_secret_file: secret")).await;
    let slow = graph2mqtt::simulator::What::Slow(std::time::Duration::from_millis(300));
    world.cloud.fault(graph2mqtt::simulator::Fault::new("/token", slow).times(1));
    let asking = tokio::spawn(async move { own_token(&tokens).await });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    replace(&file, "new");
    asking.await.unwrap().unwrap();
    assert_eq!(world.asked(), 2);
}

#[tokio::test]
async fn what_is_wrong_with_the_secret_the_log_says_once_and_who_is_no_account_is_not_told() {
    let application = Application::confidential(CLIENT, "contoso.com", "new").delegated(&["Presence.Read"]);
    let world = World::with(application.redirect(Platform::Web, BACK)).await;
    fs::write(world.folder().join("secret"), "old").unwrap();
    let yaml = format!("{OWN}web: {{ enrol: {{ tenants: [contoso.com] }} }}\n");
    let tokens = world.start(&world.settings_of(&yaml, ", client_secret_file: secret")).await;
    let log = Captured::default();
    let _here = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(log.clone()).finish());
    for _ in 0..2 {
        let told = enrol(&tokens.sign_ins(), "sam").await.0.unwrap_err().to_string();
        assert!(told.contains("cannot prove itself") && !told.contains("7000215"), "{told}");
    }
    let logged = log.text();
    let warned: Vec<&str> = logged.lines().filter(|line| line.contains("WARN")).collect();
    assert!(warned.len() == 1 && warned[0].contains("client_secret_file"), "once, and where: {logged}");
    let told = way(&tokens, "alex").await.unwrap_err().to_string();
    assert!(told.contains("client_secret_file"), "{told}");
}

#[tokio::test]
async fn an_expired_certificate_says_since_when_and_heals_without_a_restart() {
    let (der, pem) = certificate(KEY, 2024);
    let (good, good_pem) = certificate(KEY, 2040);
    let world = World::with(registered(&[&der, &good])).await;
    world.cloud.adjust(|rules| rules.access_token = SHORT);
    let file = world.folder().join("entra.pem");
    fs::write(&file, good_pem.as_str()).unwrap();
    let settings = world.settings_of(OWN, ", certificate_file: entra.pem");
    world.sign_in(&world.start(&settings).await, "alex").await.unwrap();
    replace(&file, &pem);
    let asked = world.asked();
    let tokens = world.start(&settings).await;
    let trouble = tokens.access(&person("alex")).await.unwrap_err();
    let text = trouble.to_string();
    assert!(matches!(trouble, Trouble::Misconfigured { .. }), "{text}");
    for part in ["entra.certificate_file", "entra.pem", "2024-01-01"] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert_eq!(world.asked(), asked, "Entra is asked with what it cannot take");
}

/// Far less than a code's life.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

#[tokio::test]
async fn nobody_is_sent_for_a_code_that_the_application_could_not_redeem() {
    let (der, pem) = certificate(KEY, 2024);
    let world = World::with(registered(&[&der])).await;
    fs::write(world.folder().join("entra.pem"), &pem).unwrap();
    let tokens = world.start(&world.settings_of(OWN, ", certificate_file: entra.pem")).await;
    let alex = crate::world::name("alex");
    let trouble = tokens.sign_in(&alex, |_| panic!("a code is shown")).await.unwrap_err();
    let text = trouble.to_string();
    assert!(matches!(trouble, Trouble::Misconfigured { .. }) && text.contains("2024-01-01"), "{text}");
}

#[tokio::test]
async fn what_becomes_unusable_while_a_code_is_out_ends_the_waiting_and_is_told() {
    let application = Application::public(CLIENT, "contoso.com").trusts("pod").delegated(&["Presence.Read"]);
    let world = World::with(application).await;
    world.cloud.adjust(|rules| rules.interval = std::time::Duration::from_secs(1));
    let file = world.folder().join("token");
    fs::write(&file, world.cloud.federated_token("pod")).unwrap();
    let tokens = world.start(&world.settings_of(OWN, ", federated_token_file: token")).await;
    let alex = crate::world::name("alex");
    let signing_in = tokens.sign_in(&alex, |_| fs::remove_file(&file).unwrap());
    let trouble = tokio::time::timeout(PATIENCE, signing_in).await.expect("it ends").unwrap_err();
    let text = trouble.to_string();
    let is_told = text.contains("entra.federated_token_file") && text.contains("cannot be read");
    assert!(matches!(trouble, Trouble::Misconfigured { .. }) && is_told, "{text}");

    fs::write(&file, world.cloud.federated_token("pod")).unwrap();
    world.sign_in(&tokens, "alex").await.unwrap();
}

#[tokio::test]
async fn an_unusable_file_stops_the_start_and_is_named() {
    let world = World::with(registered(&[])).await;
    for (content, words) in [("", "neither PEM nor a PFX"), (KEY, "no certificate")] {
        fs::write(world.folder().join("entra.pem"), content).unwrap();
        let settings = world.settings_of(BY_APP, ", certificate_file: entra.pem");
        let trouble = Tokens::new(&settings, http(std::time::Duration::from_secs(5)), world.store().await).unwrap_err();
        let text = trouble.to_string();
        assert!(matches!(trouble, Trouble::Misconfigured { .. }), "{text}");
        assert!(
            text.contains("entra.certificate_file") && text.contains("entra.pem") && text.contains(words),
            "{text}"
        );
    }
}
