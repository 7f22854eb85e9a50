//! Which certificates the broker's is checked against, and which one we show.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, client::WantsClientCert};
use rustls_platform_verifier::BuilderVerifierExt;

use super::Unusable;
use crate::settings;

/// TLS by rustls on ring. `mqtt.ca_file` replaces the system's authorities.
pub(super) fn config(settings: &settings::Mqtt) -> Result<Arc<ClientConfig>, Unusable> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers TLS 1.2 and 1.3");
    let builder = trust(builder, settings.ca_file.as_deref())?;
    let config = match (&settings.client_certificate_file, &settings.client_key_file) {
        (None, None) => builder.with_no_client_auth(),
        (None, Some(_)) => {
            return Err(Unusable("mqtt.client_key_file is set without mqtt.client_certificate_file".into()));
        }
        // One file may hold both.
        (Some(certificate), key) => show(builder, certificate, key.as_deref().unwrap_or(certificate))?,
    };
    Ok(Arc::new(config))
}

fn trust(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    ca_file: Option<&Path>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Unusable> {
    let Some(file) = ca_file else {
        return builder
            .with_platform_verifier()
            .map_err(|error| Unusable(format!("the system's certificate authorities cannot be used: {error}")));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("mqtt.ca_file", file)? {
        roots.add(certificate).map_err(|error| unreadable("mqtt.ca_file", file, &error))?;
    }
    Ok(builder.with_root_certificates(roots))
}

fn show(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate: &Path,
    key: &Path,
) -> Result<ClientConfig, Unusable> {
    let chain = certificates("mqtt.client_certificate_file", certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| {
        Unusable(format!("mqtt.client_key_file {}: {error}; expected an unencrypted key in PEM", key.display()))
    })?;
    let unfit = |error: rustls::Error| {
        Unusable(format!(
            "mqtt.client_certificate_file {} and the key in {} do not fit each other: {error}",
            certificate.display(),
            key.display()
        ))
    };
    let shown = CertifiedKey::new(chain, any_supported_type(&private).map_err(unfit)?);
    match shown.keys_match() {
        // What rustls cannot read is the broker's to judge: `openssl x509 -req`, as Mosquitto's manual
        // has it, makes certificates of X.509 version 1.
        Ok(()) | Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) => {
            Ok(builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(shown))))
        }
        Err(error) => Err(unfit(error)),
    }
}

fn certificates(setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(setting, file, &error))?;
    if found.is_empty() {
        return Err(unreadable(setting, file, &"no certificate is in it"));
    }
    Ok(found)
}

fn unreadable(setting: &str, file: &Path, error: &dyn std::fmt::Display) -> Unusable {
    Unusable(format!("{setting} {}: {error}; expected certificates in PEM", file.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::mqtt::dialect::tests::settings;

    #[test]
    fn every_unusable_file_is_named_with_its_setting() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let garbled = file("garbled.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        let empty = file("empty.pem", "nothing\n");
        let missing = folder.path().join("missing.pem");
        for path in [garbled, empty, missing] {
            let said = config(&settings::Mqtt { ca_file: Some(path.clone()), ..settings() }).unwrap_err().to_string();
            assert!(said.contains("mqtt.ca_file") && said.contains(path.to_str().unwrap()), "{said}");
        }
        let key_alone = settings::Mqtt { client_key_file: Some("key.pem".into()), ..settings() };
        assert!(config(&key_alone).unwrap_err().to_string().contains("client_certificate_file"));
    }
}
