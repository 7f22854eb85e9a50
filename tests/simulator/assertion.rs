//! Client assertions: what the simulated Entra refuses, as the real one does.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use graph2mqtt::simulator::{Application, Cloud};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

use super::{TENANT, error, token};

const CLIENT: &str = "11111111-0000-4000-8000-000000000003";
const KEY: &str = include_str!("../entra/keys/rsa.key");
const OTHER_KEY: &str = include_str!("../entra/keys/other.key");
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An application with a certificate, and the certificate's thumbprint.
async fn world() -> (Cloud, String) {
    let pair = KeyPair::from_pem_and_sign_algo(KEY, &PKCS_RSA_SHA256).unwrap();
    let certificate = CertificateParams::default().self_signed(&pair).unwrap();
    let cloud = Cloud::start().await.unwrap();
    cloud.add_tenant(TENANT);
    let application = Application::public(CLIENT, TENANT).certificate(certificate.der()).roles(&["Presence.Read.All"]);
    cloud.add_application(application);
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate.der());
    (cloud, URL_SAFE_NO_PAD.encode(digest))
}

fn sign(header: &Value, claims: &Value, key: &str, padding: &'static dyn RsaEncoding) -> String {
    use rustls::pki_types::pem::PemObject;
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn ask(cloud: &Cloud, assertion: &str) -> (u16, Value) {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("scope", "https://graph.microsoft.com/.default"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
    ];
    token(cloud, TENANT, &form).await
}

fn claims(cloud: &Cloud, id: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "aud": format!("{}/{TENANT}/oauth2/v2.0/token", cloud.authority()), "iss": CLIENT, "sub": CLIENT,
        "jti": id, "nbf": now, "exp": now + 540,
    })
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let (cloud, thumbprint) = world().await;
    let header = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
    let assertion = sign(&header, &claims(&cloud, "1"), KEY, &RSA_PSS_SHA256);
    assert_eq!(ask(&cloud, &assertion).await.0, 200);
    let (status, body) = ask(&cloud, &assertion).await;
    assert_eq!((status, error(&body)), (401, ("invalid_client", 700_027)));
}

#[tokio::test]
async fn an_assertion_that_says_anything_else_than_it_should_is_refused() {
    let (cloud, thumbprint) = world().await;
    let good = json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint});
    let now = jiff::Timestamp::now().as_second();
    let with = |base: &Value, name: &str, value: Value| {
        let mut changed = base.clone();
        changed[name] = value;
        changed
    };
    let own = claims(&cloud, "2");
    let cases: Vec<(Value, Value, &str, &'static dyn RsaEncoding, u64)> = vec![
        (with(&good, "alg", "RS256".into()), own.clone(), KEY, &RSA_PKCS1_SHA256, 700_027),
        (good.clone(), own.clone(), KEY, &RSA_PKCS1_SHA256, 700_027),
        (good.clone(), own.clone(), OTHER_KEY, &RSA_PSS_SHA256, 700_027),
        (with(&good, "x5t#S256", "AAAA".into()), own.clone(), KEY, &RSA_PSS_SHA256, 700_027),
        (good.clone(), with(&own, "iss", "another".into()), KEY, &RSA_PSS_SHA256, 700_027),
        (good.clone(), with(&own, "sub", "another".into()), KEY, &RSA_PSS_SHA256, 700_027),
        (good.clone(), with(&own, "aud", "https://elsewhere.example/".into()), KEY, &RSA_PSS_SHA256, 700_023),
        (good.clone(), with(&own, "exp", (now - 400).into()), KEY, &RSA_PSS_SHA256, 700_024),
        (good.clone(), with(&own, "nbf", (now + 400).into()), KEY, &RSA_PSS_SHA256, 700_024),
        (good.clone(), with(&own, "exp", (now + 3_600).into()), KEY, &RSA_PSS_SHA256, 700_024),
        (good.clone(), with(&own, "nbf", Value::Null), KEY, &RSA_PSS_SHA256, 700_024),
        (good.clone(), with(&own, "jti", Value::Null), KEY, &RSA_PSS_SHA256, 700_027),
    ];
    for (header, claims, key, padding, number) in cases {
        let (status, body) = ask(&cloud, &sign(&header, &claims, key, padding)).await;
        assert_eq!((status, error(&body)), (401, ("invalid_client", number)), "{header} {claims}");
    }
    for nonsense in ["", "a.b", "a.b.c", "eyJ9.e30.AA"] {
        assert_eq!(ask(&cloud, nonsense).await.0, 401, "{nonsense}");
    }
}
