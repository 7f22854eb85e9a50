//! The options that rumqttc is given, all in one place.

use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Filter, LastWill};
use rumqttc::{NetworkOptions, TlsConfiguration, Transport};
use secrecy::ExposeSecret;

use super::{Message, Options, Subscription, Unusable, tls};
use crate::settings;

/// The largest packet taken, in bytes. The broker is told, so that it drops what is larger instead of
/// sending it: a retained giant of a stranger would end the connection after every reconnect.
pub(super) const LARGEST: u32 = 4 * 1024 * 1024;
/// How many QoS 1 messages may wait for their ack. The default keeps 65,536 places, 13 MB.
pub(super) const IN_FLIGHT: u16 = 200;
/// Time for TCP, TLS and ConnAck together, in seconds.
pub(super) const CONNECT: u64 = 10;
/// rumqttc takes no shorter keep-alive.
const SHORTEST_KEEP_ALIVE: std::time::Duration = std::time::Duration::from_secs(5);

/// Clean start, and a session that ends with the connection: MQTT 5's defaults.
pub(super) fn options(settings: &settings::Mqtt, options: &Options) -> Result<MqttOptions, Unusable> {
    let mut dialect = MqttOptions::new(&options.client_id, bare(&settings.host), settings.port);
    dialect
        .set_clean_start(true)
        .set_connect_properties(ConnectProperties { max_packet_size: Some(LARGEST), ..ConnectProperties::new() })
        .set_keep_alive(settings.keep_alive.max(SHORTEST_KEEP_ALIVE))
        .set_connection_timeout(CONNECT)
        .set_outgoing_inflight_upper_limit(IN_FLIGHT);
    if let Some(message) = &options.will {
        dialect.set_last_will(will(message));
    }
    let mut network = NetworkOptions::new();
    // Without it every QoS 1 publish waits for a delayed acknowledgement of TCP.
    network.set_tcp_nodelay(true);
    dialect.set_network_options(network);
    if let Some(name) = &settings.username {
        let password = settings.password.as_ref().map_or("", ExposeSecret::expose_secret);
        dialect.set_credentials(name, password);
    }
    if settings.tls {
        dialect.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls::config(settings)?)));
    }
    Ok(dialect)
}

/// An IPv6 address comes out of a URL in brackets; TLS takes none, and the resolver needs none.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn will(will: &Message) -> LastWill {
    LastWill::new(&will.topic, will.payload.clone(), QoS::AtLeastOnce, true, None)
}

pub(super) fn filter(subscription: &Subscription) -> Filter {
    Filter { nolocal: subscription.no_local, ..Filter::new(&subscription.filter, qos(subscription.qos)) }
}

pub(super) fn qos(number: u8) -> QoS {
    if number == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A broker on this machine, without TLS.
    pub(crate) fn settings() -> settings::Mqtt {
        settings::Mqtt {
            host: "localhost".into(),
            port: 1883,
            tls: false,
            username: None,
            password: None,
            base_topic: "graph2mqtt".into(),
            client_id: None,
            keep_alive: Duration::from_secs(30),
            ca_file: None,
            client_certificate_file: None,
            client_key_file: None,
            requests: settings::Requests::Safe,
        }
    }

    fn built(settings: &settings::Mqtt) -> MqttOptions {
        let will = Some(Message { topic: "t".into(), payload: b"offline".to_vec() });
        options(settings, &Options { client_id: "c".into(), may_be_taken: true, will, subscriptions: vec![] }).unwrap()
    }

    #[test]
    fn the_broker_is_told_how_much_we_take_and_to_forget_us() {
        let built = built(&settings());
        assert_eq!((built.max_packet_size(), built.clean_start()), (Some(LARGEST), true));
        assert_eq!(built.session_expiry_interval(), None, "absent means that the session ends with the connection");
    }

    #[test]
    fn an_address_of_ipv6_is_given_without_brackets() {
        let host = |host: &str| built(&settings::Mqtt { host: host.into(), ..settings() }).broker_address().0;
        assert_eq!((host("[::1]"), host("broker")), ("::1".to_owned(), "broker".to_owned()));
    }

    #[test]
    fn a_short_keep_alive_is_no_panic() {
        let short = settings::Mqtt { keep_alive: Duration::from_secs(1), ..settings() };
        assert_eq!(built(&short).keep_alive(), Duration::from_secs(5));
    }
}
