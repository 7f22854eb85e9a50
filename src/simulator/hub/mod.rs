//! A Hue hub that speaks CLIP v2 over https, or CLIP v1, with rooms, zones, lamps and scenes.
//!
//! It keeps what lamps show, checks commands, refuses what is too fast, and tells changes on its
//! event stream. Source of the facts: Signify's CLIP v2 pages and public dumps of real hubs.

mod certificate;
mod command;
mod control;
mod inventory;
mod lamp;
mod model;
mod pairing;
mod put;
mod routes;
mod scene;
mod stream;
mod v1;

use std::collections::{HashSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::broadcast;

pub use certificate::{Certificate, Root};
pub use lamp::{Gamut, Kind, LampState};

use super::fallible::fallible;
use super::fault::Faults;
use super::guid::guid;
use super::log::Log;
use super::server::Server;
use lamp::{Group, GroupKind, Lamp};
use model::Model;

/// A hub's limits, to be changed by [`Hub::adjust`].
#[derive(Debug, Clone)]
pub struct Limits {
    /// Commands to single lights within a second.
    pub light_commands: usize,
    /// The shortest time between two commands to groups. Clients are asked for a second; a hub is refused
    /// nothing at 0.9 s, and stutters at 0.8 s.
    pub group_gap: Duration,
    /// Requests that may be answered at once, beside event streams.
    pub at_once: usize,
    /// Whether every new event stream begins with the events of the last minutes, as some hubs do.
    pub replay: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { light_commands: 10, group_gap: Duration::from_millis(800), at_once: 3, replay: false }
    }
}

/// A command to a light or a group that the hub understood.
#[derive(Debug, Clone)]
pub struct Command {
    /// When it came.
    pub at: Instant,
    /// The lamp's, room's or zone's name.
    pub target: String,
    /// Whether it went to a group.
    pub group: bool,
    /// As it came.
    pub body: Value,
    /// The answer: 200, 207, 400 or 429.
    pub status: u16,
}

/// One request, whatever became of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it came.
    pub at: Instant,
    /// Method, a blank, and the path.
    pub route: String,
    /// The answer's status; none where the answer never comes.
    pub status: Option<u16>,
}

/// A lamp shows something else than before.
#[derive(Debug, Clone)]
pub struct Change {
    /// When.
    pub at: Instant,
    /// Its name.
    pub lamp: String,
    /// What it shows now.
    pub state: LampState,
}

/// A hub. Cheap to clone; the listener ends with the last clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
    server: Arc<Server>,
}

fallible!(Hub);

/// What the handle and the requests share.
struct Shared {
    state: Mutex<State>,
    commands: Log<Command>,
    requests: Log<Request>,
    changes: Log<Change>,
    faults: Faults,
    /// Frames of the event stream.
    events: broadcast::Sender<String>,
}

struct State {
    model: &'static Model,
    bridge_id: String,
    name: String,
    keys: HashSet<String>,
    lamps: Vec<Lamp>,
    groups: Vec<Group>,
    /// Ids of the bridge's own `bridge` and `device`.
    bridge: [String; 2],
    scenes: Vec<scene::Scene>,
    /// Until when the link button counts.
    button: Option<Instant>,
    limits: Limits,
    /// When commands to lights came, at most a second ago.
    light_commands: VecDeque<Instant>,
    group_command: Option<Instant>,
    at_once: usize,
    clock_is_behind: Duration,
    /// Events of the last minutes: their id and the frame.
    recent: VecDeque<(String, String)>,
    certificate: Certificate,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a hub is to be.
pub struct Plan {
    bridge_id: String,
    key: String,
    rooms: Vec<(String, Vec<(String, Kind)>)>,
    zones: Vec<(String, Vec<String>)>,
    scenes: Vec<PlannedScene>,
    chained: bool,
    keeps_for_later: bool,
    model: &'static Model,
}

/// A scene, by names.
struct PlannedScene {
    place: String,
    name: String,
    /// Lamps, and what each is sent.
    actions: Vec<(String, Value)>,
    /// Whether its colours move.
    dynamic: bool,
}

impl Plan {
    /// The bridge id, 16 hex digits; `001788fffe102030` by default.
    pub fn bridge_id(self, bridge_id: &str) -> Self {
        Self { bridge_id: bridge_id.to_lowercase(), ..self }
    }

    /// The application key that it knows; a random one by default.
    pub fn key(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
    }

    /// A room with lamps.
    pub fn room(mut self, name: &str, lamps: &[(&str, Kind)]) -> Self {
        self.rooms.push((name.to_owned(), lamps.iter().map(|(lamp, kind)| ((*lamp).to_owned(), *kind)).collect()));
        self
    }

    /// A zone of lamps that stand in rooms.
    pub fn zone(mut self, name: &str, lamps: &[&str]) -> Self {
        self.zones.push((name.to_owned(), lamps.iter().map(|lamp| (*lamp).to_owned()).collect()));
        self
    }

    /// With a certificate under a root, as newer hubs have it, instead of one signed by itself.
    pub fn chained(self) -> Self {
        Self { chained: true, ..self }
    }

    /// A scene of a room or zone: what each lamp is sent, as a PUT would hold it. Its other lamps go dark.
    pub fn scene(mut self, place: &str, name: &str, lamps: &[(&str, Value)]) -> Self {
        let actions = lamps.iter().map(|(lamp, action)| ((*lamp).to_owned(), action.clone())).collect();
        self.scenes.push(PlannedScene { place: place.to_owned(), name: name.to_owned(), actions, dynamic: false });
        self
    }

    /// The same, whose colours move from lamp to lamp once it is shown.
    pub fn dynamic_scene(self, place: &str, name: &str, lamps: &[(&str, Value)]) -> Self {
        let mut plan = self.scene(place, name, lamps);
        plan.scenes.iter_mut().rev().take(1).for_each(|scene| scene.dynamic = true);
        plan
    }

    /// With software since the autumn of 2025: what a dark lamp is sent it shows once it is switched on. Before, it had no
    /// effect.
    pub fn keeps_for_later(self) -> Self {
        Self { keeps_for_later: true, ..self }
    }

    /// Starts the hub on a free port of 127.0.0.1.
    pub async fn start(self) -> io::Result<Hub> {
        let certificate = match self.chained {
            true => Certificate::chained(&self.bridge_id),
            false => Certificate::self_signed(&self.bridge_id),
        };
        let tls = (!self.model.is_plain).then(|| certificate.tls());
        let has_v2 = self.model.has_v2;
        let shared = Arc::new(Shared {
            state: Mutex::new(self.state(certificate)),
            commands: Log::new(),
            requests: Log::new(),
            changes: Log::new(),
            faults: Faults::default(),
            events: broadcast::Sender::new(1024),
        });
        let server = Server::start(routes::routes(&shared, has_v2), tls).await?;
        Ok(Hub { shared, server: Arc::new(server) })
    }

    fn state(self, certificate: Certificate) -> State {
        let mut lamps: Vec<Lamp> = Vec::new();
        let mut home = Group::new(GroupKind::Home, "", 0);
        let mut groups = Vec::new();
        for (name, inside) in self.rooms {
            let mut room = Group::new(GroupKind::Room, &name, groups.len() + 1);
            for (lamp, kind) in inside {
                room.lamps.push(lamps.len());
                home.lamps.push(lamps.len());
                let mut lamp = Lamp::new(&lamp, kind, lamps.len() + 1);
                lamp.keeps_for_later = self.keeps_for_later;
                lamps.push(lamp);
            }
            groups.push(room);
        }
        for (name, inside) in self.zones {
            let mut zone = Group::new(GroupKind::Zone, &name, groups.len() + 1);
            let index = |lamp: &String| lamps.iter().position(|known| known.name == *lamp);
            zone.lamps = inside.iter().map(|lamp| index(lamp).expect("a zone's lamps stand in rooms")).collect();
            groups.push(zone);
        }
        groups.push(home);
        let lamp_at =
            |name: &String| lamps.iter().position(|lamp| lamp.name == *name).expect("a scene's lamps stand in rooms");
        let scenes = self.scenes.iter().enumerate().map(|(at, PlannedScene { place, name, actions, dynamic })| {
            let group = groups.iter().position(|group| group.name == *place);
            let group = group.expect("a scene belongs to a room or zone");
            let named: Vec<_> = actions.iter().map(|(lamp, action)| (lamp_at(lamp), action.clone())).collect();
            scene::Scene {
                id: guid(),
                short: format!("scene{at:010}"),
                name: name.clone(),
                group,
                actions: scene::of_all(&groups[group].lamps, named),
                dynamic: *dynamic,
            }
        });
        let scenes = scenes.collect();
        State {
            scenes,
            button: None,
            model: self.model,
            bridge_id: self.bridge_id,
            name: "Simulated Hue".to_owned(),
            keys: HashSet::from([self.key]),
            lamps,
            groups,
            bridge: [guid(), guid()],
            limits: Limits::default(),
            light_commands: VecDeque::new(),
            group_command: None,
            at_once: 0,
            clock_is_behind: Duration::ZERO,
            recent: VecDeque::new(),
            certificate,
        }
    }
}

impl Hub {
    /// A hub without rooms, to be filled and started.
    pub fn plan() -> Plan {
        Plan {
            bridge_id: "001788fffe102030".to_owned(),
            key: std::iter::repeat_with(fastrand::alphanumeric).take(40).collect(),
            rooms: Vec::new(),
            zones: Vec::new(),
            scenes: Vec::new(),
            chained: false,
            keeps_for_later: false,
            model: &model::SQUARE,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Every command that it understood, refused ones included.
    pub fn commands(&self) -> &Log<Command> {
        &self.shared.commands
    }

    /// Every request, whatever became of it.
    pub fn requests(&self) -> &Log<Request> {
        &self.shared.requests
    }

    /// Every change of what a lamp shows.
    pub fn changes(&self) -> &Log<Change> {
        &self.shared.changes
    }

    /// Whether commands, requests and changes are kept (the default) or only counted.
    pub fn keep(&self, keeping: bool) {
        self.shared.commands.keep(keeping);
        self.shared.requests.keep(keeping);
        self.shared.changes.keep(keeping);
    }

    /// Ends every connection, event streams included.
    pub fn disconnect(&self) {
        self.server.disconnect();
    }

    /// Changes the limits.
    pub fn adjust(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut self.shared.state().limits);
    }
}

impl State {
    /// Everything that `GET /clip/v2/resource` answers.
    fn resources(&self) -> Vec<Value> {
        let rooms: Vec<_> =
            self.groups.iter().filter(|group| group.kind == GroupKind::Room).map(|room| room.id.clone()).collect();
        let lamps = self.lamps.iter().flat_map(Lamp::resources);
        let groups = self
            .groups
            .iter()
            .flat_map(|group| [group.resource(&self.lamps, &rooms), group.grouped_light(&self.lamps)]);
        let [bridge, device] = &self.bridge;
        let Model { id: model_id, software, api, .. } = self.model;
        let own = [
            json!({
                "id": bridge,
                "type": "bridge",
                "owner": {"rid": device, "rtype": "device"},
                "bridge_id": self.bridge_id,
                "time_zone": {"time_zone": "Europe/Amsterdam"},
            }),
            json!({
                "id": device,
                "type": "device",
                "product_data": {
                    "model_id": model_id,
                    "manufacturer_name": "Signify Netherlands B.V.",
                    "product_name": "Hue Bridge",
                    "product_archetype": "bridge_v2",
                    "certified": true,
                    "software_version": format!("{}.{software}", api.trim_end_matches(".0")),
                },
                "metadata": {"name": self.name, "archetype": "bridge_v2"},
                "identify": {},
                "services": [{"rid": bridge, "rtype": "bridge"}],
            }),
        ];
        let scenes = self.scenes.iter().map(|scene| self.scene_resource(scene));
        lamps.chain(groups).chain(scenes).chain(own).collect()
    }
}
