//! The shape of the configuration after it was read and checked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::color::Color;
use super::entra::Entra;
use super::hours::{Hours, OnHand};
use super::web::Web;
use crate::presence::{AccountName, Name, ObjectId};

/// Everything that a user can set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The broker.
    pub mqtt: Mqtt,
    /// Home Assistant's discovery.
    pub home_assistant: HomeAssistant,
    /// The application in Entra; none where no account is configured.
    pub entra: Option<Entra>,
    /// Polling.
    pub graph: Graph,
    /// Whose presence is read.
    pub accounts: BTreeMap<AccountName, Account>,
    /// Where grants are kept.
    pub store: Store,
    /// The pages, health and metrics.
    pub web: Web,
    /// Where the lights are.
    pub actuator: Actuator,
    /// Hue hubs.
    pub hubs: BTreeMap<Name, Hub>,
    /// Lights that follow accounts.
    pub lights: BTreeMap<Name, Light>,
    /// Colours for every light.
    pub colors: Colors,
}

impl Settings {
    /// Whether the bridge has work: accounts, or people who may become some.
    pub fn has_people(&self) -> bool {
        !self.accounts.is_empty() || !self.web.enrol.is_empty()
    }

    /// Every colour that the rules may give a light. Its own hide the installation's of the same word, its `default` all.
    pub fn colors_of<'a>(&'a self, light: &'a Light) -> impl Iterator<Item = &'a Color> {
        let outside = light.hours.iter().map(|hours| &hours.outside);
        let own = &light.colors.0;
        let is_hidden = |word: &str| own.contains_key(word) || own.contains_key("default");
        let common = self.colors.0.iter().filter(move |(word, _)| !is_hidden(word)).map(|(_, color)| color);
        own.values().chain(common).chain(outside).chain([&light.offline, &light.on_stop])
    }
}

/// `mqtt`
#[derive(Debug, Clone)]
pub struct Mqtt {
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// Port; 1883, or 8883 with TLS, where the URL names none.
    pub port: u16,
    /// Whether the URL is `mqtts://`.
    pub tls: bool,
    /// User name.
    pub username: Option<String>,
    /// Password.
    pub password: Option<SecretString>,
    /// First part of every topic; may hold slashes, no wildcards.
    pub base_topic: String,
    /// Prefix of the client id.
    pub client_id: Option<String>,
    /// Keep-alive; 5 s at least.
    pub keep_alive: Duration,
    /// PEM file of the authorities to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// PEM file of our certificate.
    pub client_certificate_file: Option<PathBuf>,
    /// PEM file of our key.
    pub client_key_file: Option<PathBuf>,
    /// What others may ask for.
    pub requests: Requests,
}

/// `mqtt.requests`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requests {
    /// Everything.
    All,
    /// Nothing that acts as a person.
    Safe,
    /// Nothing.
    None,
}

/// `home_assistant`
#[derive(Debug, Clone)]
pub struct HomeAssistant {
    /// Whether discovery is published.
    pub discovery: bool,
    /// Discovery prefix.
    pub prefix: String,
    /// Where Home Assistant's birth message comes.
    pub status_topic: String,
    /// Folder of entity definitions that replace those compiled in, file by file.
    pub definitions: Option<PathBuf>,
    /// What happens to the devices at a clean stop.
    pub on_stop: OnStop,
}

/// `home_assistant.on_stop`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// They stay, and are unavailable.
    Keep,
    /// They leave Home Assistant until the next start.
    Clear,
}

/// `graph`
#[derive(Debug, Clone)]
pub struct Graph {
    /// Such as `https://graph.microsoft.com/v1.0`, without a slash at its end.
    pub endpoint: Url,
    /// PEM file of further authorities for Entra and Graph.
    pub ca_file: Option<PathBuf>,
    /// Interval between polls of an account that changed lately or is at work; 1 s at least.
    pub active: Duration,
    /// Interval between polls of an account that is offline or away; not under `active`.
    pub quiet: Duration,
    /// Whether people may set their presence and status message through us.
    pub write: bool,
}

/// `accounts.<name>`. Boxed texts: there can be tens of thousands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who it is.
    pub user: User,
    /// What people read; the account's name where it is not set.
    pub name: Option<Box<str>>,
    /// Home Assistant's suggested area.
    pub area: Option<Box<str>>,
    /// Another tenant than `entra.tenant`.
    pub tenant: Option<Box<str>>,
    /// By whose right the presence is read.
    pub via: Via,
}

/// A person, as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    /// User principal name; needs a look-up unless the account signs in itself.
    Name(Box<str>),
    /// Object id.
    Id(ObjectId),
}

/// `accounts.<name>.via`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// The person signed in.
    SignIn,
    /// The application's own right.
    App,
    /// Another account that signed in.
    Account(AccountName),
}

/// `store`
#[derive(Debug, Clone)]
pub struct Store {
    /// `sqlite://<path>`, the path absolute or from the working folder after loading.
    pub url: String,
    /// The key that seals; made at the first start.
    pub key_file: PathBuf,
}

/// `actuator`
#[derive(Debug, Clone)]
pub struct Actuator {
    /// The location's name.
    pub location: Name,
}

/// `hubs.<name>`
#[derive(Debug, Clone)]
pub struct Hub {
    /// Host name or address; may carry a port (443 otherwise).
    pub host: String,
    /// The bridge id, 16 hex digits in lower case.
    pub id: Option<String>,
    /// The application key.
    pub key: Option<SecretString>,
    /// SHA-256 of the leaf certificate.
    pub certificate_sha256: Option<[u8; 32]>,
    /// The API to speak; none: found out, by https alone.
    pub api: Option<Api>,
}

/// `hubs.<name>.api`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// CLIP v2, by https.
    V2,
    /// CLIP v1: by http, or by https where a certificate is given.
    V1,
}

/// `lights.<name>`
#[derive(Debug, Clone)]
pub struct Light {
    /// The hub that it hangs on; the light itself, where it is a WLED.
    pub hub: Name,
    /// Which room, zone or light; of a WLED, which segment, its name empty for all.
    pub target: Target,
    /// Host of the WLED that it is, perhaps with a port.
    pub wled: Option<String>,
    /// The accounts followed; never empty.
    pub follow: Vec<AccountName>,
    /// Which of several accounts counts.
    pub show: Show,
    /// What happens when no followed account is known.
    pub offline: Color,
    /// When it follows; always, where there are none.
    pub hours: Option<Hours>,
    /// What a person's hand means.
    pub hand: OnHand,
    /// What it does at a clean stop of the location's last actuator: keep, off or restore.
    pub on_stop: Color,
    /// This light's own colours, looked up before the installation's.
    pub colors: Colors,
}

/// `lights.<name>.target`: `Office`, or `room/Office` where a name is both; `home` (or `home/all`, where
/// something is called so) is the whole home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The kind, where it is given.
    pub kind: Option<TargetKind>,
    /// Name (compared without case) or id.
    pub name: String,
}

/// What a target can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// A room.
    Room,
    /// A zone.
    Zone,
    /// One light.
    Light,
    /// A grouped_light, by id.
    Group,
    /// The whole home: every light of the hub.
    Home,
}

/// `lights.<name>.show`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// The busiest of them.
    Busiest,
    /// The one that changed last.
    Latest,
    /// The first that is known, in the order of `follow`.
    First,
}

/// What is shown for an activity, an availability or `default`, in Graph's documented spelling; other
/// words are mistakes. The installation's hold the built-in colours too, a light's only its own.
#[derive(Debug, Clone, Default)]
pub struct Colors(pub BTreeMap<String, Color>);
