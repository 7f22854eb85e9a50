//! What went wrong, in words for people: what failed, where, and what to do.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, ErrorKind};

use rumqttc::v5::mqttbytes::Error as Protocol;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode, PubAckReason, SubscribeReasonCode};
use rumqttc::v5::{ConnectionError, StateError, TlsError};
use rustls::CertificateError;

use super::backoff::Ending;
use super::{Event, dialect};
use crate::settings;

/// How many kinds of refused topics are remembered; further refusals are in the log at debug.
const KINDS: usize = 64;

/// Where we connect to, and as whom; nothing secret.
#[derive(Debug, Clone)]
pub(super) struct Place {
    url: String,
    client_id: String,
    username: Option<String>,
    authorities: String,
    tls: bool,
    keep_alive: std::time::Duration,
}

impl Place {
    pub(super) fn new(settings: &settings::Mqtt, client_id: &str) -> Self {
        let scheme = if settings.tls { "mqtts" } else { "mqtt" };
        Self {
            url: format!("{scheme}://{}:{}", settings.host, settings.port),
            client_id: client_id.to_owned(),
            username: settings.username.clone(),
            authorities: settings.ca_file.as_ref().map_or_else(
                || "the system's certificate authorities (mqtt.ca_file names others)".to_owned(),
                |file| format!("mqtt.ca_file {}", file.display()),
            ),
            tls: settings.tls,
            keep_alive: settings.keep_alive,
        }
    }

    /// Who the broker takes us for.
    fn user(&self) -> String {
        self.username.as_ref().map_or_else(|| "anonymous clients".to_owned(), |name| format!("the user {name:?}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) text: String,
    pub(super) ending: Ending,
}

impl Trouble {
    /// The connection could not be made.
    pub(super) fn connecting(error: &ConnectionError, place: &Place) -> Self {
        let why = match error {
            ConnectionError::Io(error) | ConnectionError::Tls(TlsError::Io(error)) => network(error, place),
            ConnectionError::Tls(error) => format!("TLS failed: {error}"),
            ConnectionError::ConnectionRefused(code) => refused(*code, place),
            ConnectionError::MqttState(error) => match within_tls(error) {
                Some(error) => tls(error, place),
                None => silent(place),
            },
            ConnectionError::Timeout(_) => unanswered(place),
            ConnectionError::NotConnAck(_) | ConnectionError::RequestsDone => silent(place),
        };
        Self { text: format!("no connection to {place}: {why}"), ending: Ending::Other }
    }

    /// The connection ended.
    pub(super) fn connected(error: &ConnectionError, place: &Place) -> Self {
        let (why, ending) = match error {
            ConnectionError::MqttState(error) if is_wordless(error) => (wordless(place), Ending::Wordless),
            ConnectionError::MqttState(error) => (state(error, place), ending(error)),
            ConnectionError::Io(error) => (network(error, place), Ending::Other),
            other => (other.to_string(), Ending::Other),
        };
        Self { text: format!("connection to {place} ended: {why}"), ending }
    }
}

fn ending(error: &StateError) -> Ending {
    match error {
        StateError::ServerDisconnect { reason_code: DisconnectReasonCode::SessionTakenOver, .. } => Ending::TakenOver,
        _ => Ending::Other,
    }
}

fn io_error(error: &StateError) -> Option<&io::Error> {
    match error {
        StateError::Io(error) | StateError::Deserialization(Protocol::Io(error)) => Some(error),
        _ => None,
    }
}

/// A refusal of our certificate arrives with the first answer.
fn within_tls(error: &StateError) -> Option<&rustls::Error> {
    io_error(error)?.get_ref()?.downcast_ref()
}

fn is_wordless(error: &StateError) -> bool {
    let closed = |error: &io::Error| matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe);
    matches!(error, StateError::ConnectionAborted) || io_error(error).is_some_and(closed)
}

/// A killed broker, a stopped one and a take-over look the same here: Mosquitto 2.0 closes a taken-over
/// connection without a word, and rumqttc 0.25 reads no DISCONNECT whose properties are left out.
fn wordless(place: &Place) -> String {
    format!(
        "the broker closed it without a reason; did it stop, or has another process connected with the same client id {:?}?",
        place.client_id
    )
}

/// The time is one for TCP, TLS and ConnAck together: whether anything took the connection is not known.
fn unanswered(place: &Place) -> String {
    let port = if place.tls { "with TLS" } else { "without TLS" };
    format!(
        "no answer within {} s; is the host up, is mqtt.url right, does a firewall drop it, and is the port that of an MQTT \
         broker {port}?",
        dialect::CONNECT
    )
}

/// What an old broker, a TLS port, and something that is no broker have in common.
fn silent(place: &Place) -> String {
    let port = if place.tls { "is it a port without TLS (mqtt://)?" } else { "is it a port for TLS (mqtts://)?" };
    format!(
        "something answers there, but not as an MQTT 5 broker does; does the broker speak MQTT 5 (Mosquitto from 1.6, for one)? {port}"
    )
}

fn network(error: &io::Error, place: &Place) -> String {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls(error, place);
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused; is the broker running, and is mqtt.url right?".to_owned(),
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            format!("{error}; is the host up, and is mqtt.url right?")
        }
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof if place.tls => {
            format!("{error}; does the port speak TLS, and does the broker ask for a client certificate?")
        }
        _ if error.to_string().contains("lookup") || error.to_string().contains("resolve") => {
            format!("{error}; is the host's name in mqtt.url right?")
        }
        _ => error.to_string(),
    }
}

fn tls(error: &rustls::Error, place: &Place) -> String {
    let authorities = &place.authorities;
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("TLS: the broker's certificate was not issued by {authorities}")
        }
        rustls::Error::InvalidCertificate(why) if why.to_string().contains("UnsupportedCertVersion") => {
            "TLS: the broker's certificate is of X.509 version 1, which holds no host's name; \
             make it anew with a subjectAltName"
                .to_owned()
        }
        rustls::Error::InvalidCertificate(why) => {
            format!("TLS: the broker's certificate is refused: {why} (checked against {authorities})")
        }
        rustls::Error::InvalidMessage(_) => format!("TLS: {error}; is it a port without TLS (mqtt://)?"),
        rustls::Error::AlertReceived(alert) => format!(
            "TLS: the broker refuses us ({alert:?}); check mqtt.client_certificate_file and whether the broker knows its issuer"
        ),
        other => format!("TLS: {other}"),
    }
}

fn state(error: &StateError, place: &Place) -> String {
    match error {
        StateError::Io(error) | StateError::Deserialization(Protocol::Io(error)) => network(error, place),
        StateError::AwaitPingResp => {
            format!("no answer to a ping within {:?} (mqtt.keep_alive)", place.keep_alive)
        }
        StateError::ServerDisconnect { reason_code, reason_string } => {
            let said = reason_string.as_ref().map(|reason| format!(" ({reason:?})")).unwrap_or_default();
            format!("{}{said}", disconnected(*reason_code, place))
        }
        StateError::Deserialization(Protocol::PayloadSizeLimitExceeded { pkt_size, .. }) => format!(
            "a message of {pkt_size} bytes came, and {} are taken; if it is retained, find it with mosquitto_sub and clear it",
            dialect::LARGEST
        ),
        other => format!("not as MQTT 5 has it: {other}"),
    }
}

fn refused(code: ConnectReturnCode, place: &Place) -> String {
    use ConnectReturnCode as C;
    match code {
        // Mosquitto answers a wrong password with NotAuthorized.
        C::BadUserNamePassword | C::NotAuthorized => {
            format!("the broker refuses {}; check mqtt.username and mqtt.password", place.user())
        }
        C::UnsupportedProtocolVersion | C::RefusedProtocolVersion => "the broker does not speak MQTT 5".to_owned(),
        C::ClientIdentifierNotValid | C::BadClientId => {
            format!("the broker refuses the client id {:?}; set mqtt.client_id", place.client_id)
        }
        C::Banned => format!("the broker has banned {}", place.user()),
        C::BadAuthenticationMethod => {
            "the broker wants another way of authentication than name and password".to_owned()
        }
        C::TopicNameInvalid => "the broker refuses the last will's topic; check mqtt.base_topic".to_owned(),
        C::RetainNotSupported => "the broker keeps no retained messages; graph2mqtt needs them".to_owned(),
        C::QoSNotSupported => "the broker does not take QoS 1 for the last will".to_owned(),
        C::ServerUnavailable | C::ServerBusy | C::ServiceUnavailable => "the broker is busy or starting".to_owned(),
        C::QuotaExceeded | C::ConnectionRateExceeded => "the broker's limit on connections is reached".to_owned(),
        C::UseAnotherServer | C::ServerMoved => "the broker points to another one; change mqtt.url".to_owned(),
        other => format!("the broker refuses the connection: {other:?}"),
    }
}

fn disconnected(code: DisconnectReasonCode, place: &Place) -> String {
    use DisconnectReasonCode as D;
    match code {
        D::SessionTakenOver => format!(
            "another process has connected with the same client id {:?}; stop it, or give one of them another mqtt.client_id",
            place.client_id
        ),
        D::ServerShuttingDown => "the broker is shutting down".to_owned(),
        D::KeepAliveTimeout => {
            format!("the broker heard nothing for too long (mqtt.keep_alive {:?})", place.keep_alive)
        }
        D::PacketTooLarge => "the broker found a message too large".to_owned(),
        D::NotAuthorized => format!("the broker withdrew the rights of {}", place.user()),
        D::AdministrativeAction => "an administrator ended it".to_owned(),
        D::QuotaExceeded | D::MessageRateTooHigh => "a limit of the broker is reached".to_owned(),
        D::RetainNotSupported => "the broker keeps no retained messages; graph2mqtt needs them".to_owned(),
        D::UseAnotherServer | D::ServerMoved => "the broker points to another one; change mqtt.url".to_owned(),
        other => format!("the broker ended it: {other:?}"),
    }
}

/// Why one message or one subscription was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    NotAuthorized,
    Quota,
    Unspecified,
    BadTopic,
    PayloadFormat,
    TooLarge { size: usize, largest: usize },
    NotRetained,
    SharedSubscriptions,
    Wildcards,
}

impl Answer {
    /// `None`: it was taken.
    pub(super) fn of_publish(reason: PubAckReason) -> Option<Self> {
        use PubAckReason as P;
        Some(match reason {
            P::Success | P::NoMatchingSubscribers => return None,
            P::NotAuthorized => Self::NotAuthorized,
            P::QuotaExceeded => Self::Quota,
            P::TopicNameInvalid => Self::BadTopic,
            P::PayloadFormatInvalid => Self::PayloadFormat,
            P::UnspecifiedError | P::ImplementationSpecificError | P::PacketIdentifierInUse => Self::Unspecified,
        })
    }

    /// `None`: it was taken.
    pub(super) fn of_subscribe(code: SubscribeReasonCode) -> Option<Self> {
        use SubscribeReasonCode as S;
        Some(match code {
            S::Success(_) => return None,
            S::NotAuthorized => Self::NotAuthorized,
            S::TopicFilterInvalid => Self::BadTopic,
            S::QuotaExceeded => Self::Quota,
            S::SharedSubscriptionsNotSupported => Self::SharedSubscriptions,
            S::WildcardSubscriptionsNotSupported => Self::Wildcards,
            S::Failure | S::Unspecified | S::ImplementationSpecific | S::PkidInUse | S::SubscriptionIdNotSupported => {
                Self::Unspecified
            }
        })
    }

    /// Whether the same message may be taken later.
    pub(super) fn passes(self) -> bool {
        matches!(self, Self::Quota | Self::Unspecified)
    }

    fn words(self, to: &str, place: &Place) -> String {
        match self {
            Self::NotAuthorized => format!("not authorized; allow {} to {to} it", place.user()),
            Self::Quota => "a quota of the broker is used up; raise it".to_owned(),
            Self::Unspecified => "without a reason; the broker's log may say more".to_owned(),
            Self::BadTopic => "the topic is not valid; check mqtt.base_topic and home_assistant.prefix".to_owned(),
            Self::PayloadFormat => "the broker does not like the payload; relax its schema check".to_owned(),
            Self::TooLarge { size, largest } => {
                format!("its {size} bytes are more than the broker takes ({largest}); raise its max_packet_size")
            }
            Self::NotRetained => "the broker keeps no retained messages; graph2mqtt needs them".to_owned(),
            Self::SharedSubscriptions => "the broker has no shared subscriptions".to_owned(),
            Self::Wildcards => "the broker has no wildcard subscriptions; graph2mqtt needs them".to_owned(),
        }
    }
}

/// What was refused and said already: once for topics of one kind, not once an account.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    said: HashSet<(String, usize, std::mem::Discriminant<Answer>)>,
}

impl Refusals {
    pub(super) fn publish(&mut self, topic: &str, answer: Answer, place: &Place) -> Option<Event> {
        self.say("publish", topic, answer, place)
    }

    pub(super) fn subscribe(&mut self, filter: &str, answer: Answer, place: &Place) -> Option<Event> {
        self.say("subscribe to", filter, answer, place)
    }

    /// Topics of one kind are as deep as each other and end alike.
    fn say(&mut self, to: &str, topic: &str, answer: Answer, place: &Place) -> Option<Event> {
        let text = format!("{place} does not let us {to} {topic}: {}", answer.words(to, place));
        let last = topic.rsplit('/').next().unwrap_or_default();
        let kind = (format!("{to} {last}"), topic.split('/').count(), std::mem::discriminant(&answer));
        if self.said.len() >= KINDS || !self.said.insert(kind) {
            tracing::debug!("{text}");
            return None;
        }
        tracing::warn!("{text}");
        Some(Event::Refused(text))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_host_that_does_not_answer_is_not_told_as_one_that_answers_otherwise() {
        let elapsed = tokio::time::timeout(Duration::ZERO, std::future::pending::<()>()).await.unwrap_err();
        let place = Place::new(&dialect::tests::settings(), "under-test");
        let text = Trouble::connecting(&ConnectionError::Timeout(elapsed), &place).text;
        assert!(text.contains("no answer within 10 s") && text.contains("mqtt.url"), "{text}");
        assert!(text.contains("firewall") && !text.contains("something answers"), "{text}");
    }
}
