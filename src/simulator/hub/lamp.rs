//! What a hub's resources are: lamps and their groups, and how they look as JSON.

use serde_json::{Map, Value, json};

use crate::simulator::guid::guid;

/// What a lamp can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Colour within a gamut, and colour temperature.
    Color(Gamut),
    /// The same, and several colours at once.
    Gradient(Gamut),
    /// White in warm and cold.
    Ambiance,
    /// The same by another maker: what whites it has, the hub does not know, and tells 0 and 65535.
    OtherAmbiance,
    /// White, dimmable.
    White,
    /// On and off alone.
    Plug,
}

/// The triangle of colours that a lamp can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gamut {
    /// Of LivingColors and the first Bloom.
    A,
    /// Of the first bulbs.
    B,
    /// Of everything since 2016.
    C,
}

impl Gamut {
    /// Red, green and blue, in xy.
    pub(super) fn corners(self) -> [(f64, f64); 3] {
        match self {
            Self::A => [(0.704, 0.296), (0.2151, 0.7106), (0.138, 0.08)],
            Self::B => [(0.675, 0.322), (0.409, 0.518), (0.167, 0.04)],
            Self::C => [(0.6915, 0.3083), (0.17, 0.7), (0.1532, 0.0475)],
        }
    }

    /// What a lamp shows of a colour: itself, or the nearest point of the triangle.
    pub(super) fn nearest(self, point: (f64, f64)) -> (f64, f64) {
        let [red, green, blue] = self.corners();
        let edges = [(red, green), (green, blue), (blue, red)];
        let side = |(from, to): ((f64, f64), (f64, f64))| {
            (to.0 - from.0) * (point.1 - from.1) - (to.1 - from.1) * (point.0 - from.0)
        };
        let sides = edges.map(side);
        if sides.iter().all(|side| *side >= 0.0) || sides.iter().all(|side| *side <= 0.0) {
            return point;
        }
        let on_edge = |(from, to): ((f64, f64), (f64, f64))| {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let along = ((point.0 - from.0) * dx + (point.1 - from.1) * dy) / (dx * dx + dy * dy);
            let along = along.clamp(0.0, 1.0);
            (from.0 + along * dx, from.1 + along * dy)
        };
        let away = |it: &(f64, f64)| (it.0 - point.0).hypot(it.1 - point.1);
        edges.map(on_edge).into_iter().min_by(|a, b| away(a).total_cmp(&away(b))).unwrap_or(point)
    }

    pub(super) fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}

impl Kind {
    /// Model, product name, archetype.
    fn product(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Color(Gamut::A) => ("LLC011", "Hue bloom", "hue_bloom"),
            Self::Color(Gamut::B) => ("LCT001", "Hue color lamp", "sultan_bulb"),
            Self::Color(Gamut::C) => ("LCA001", "Hue color lamp", "sultan_bulb"),
            Self::Gradient(_) => ("LCX004", "Hue gradient lightstrip", "hue_lightstrip"),
            Self::Ambiance => ("LTA001", "Hue ambiance lamp", "sultan_bulb"),
            Self::OtherAmbiance => ("TS0502B", "TS0502B", "classic_bulb"),
            Self::White => ("LWA001", "Hue white lamp", "sultan_bulb"),
            Self::Plug => ("LOM001", "Hue smart plug", "plug"),
        }
    }

    pub(super) fn gamut(self) -> Option<Gamut> {
        match self {
            Self::Color(gamut) | Self::Gradient(gamut) => Some(gamut),
            Self::Ambiance | Self::OtherAmbiance | Self::White | Self::Plug => None,
        }
    }

    fn is_ambiance(self) -> bool {
        matches!(self, Self::Ambiance | Self::OtherAmbiance)
    }

    /// The coldest and the warmest white, in mirek, as the hub tells them.
    pub(super) fn whites(self) -> (u64, u64) {
        if self == Self::OtherAmbiance { (0, 65_535) } else { (153, 500) }
    }

    /// The attributes of a command that such a lamp obeys, beside `on`, `dynamics` and what every lamp takes.
    pub(super) fn takes(self, attribute: &str) -> bool {
        match attribute {
            "color" => self.gamut().is_some(),
            "gradient" => matches!(self, Self::Gradient(_)),
            "color_temperature" => self.gamut().is_some() || self.is_ambiance(),
            "dimming" | "effects" => self != Self::Plug,
            _ => true,
        }
    }
}

/// What a lamp shows.
#[derive(Debug, Clone, PartialEq)]
pub struct LampState {
    /// Whether it is on.
    pub on: bool,
    /// Percent.
    pub brightness: f64,
    /// The colour, where that counts and not the temperature.
    pub xy: Option<(f64, f64)>,
    /// The colour temperature, where that counts.
    pub mirek: Option<u64>,
    /// Several colours at once; empty where it shows one.
    pub gradient: Vec<(f64, f64)>,
    /// `no_effect` or an effect's name; by CLIP v1 also `colorloop`.
    pub effect: String,
    /// The last signal or alert asked for, as it came.
    pub signal: Option<Value>,
}

pub(super) struct Lamp {
    pub name: String,
    pub kind: Kind,
    pub light: String,
    pub device: String,
    pub zigbee: String,
    pub number: usize,
    pub reachable: bool,
    /// Whether what it is sent while it is dark is kept for when it is switched on.
    pub keeps_for_later: bool,
    pub state: LampState,
    /// What was last told of it on the event stream.
    told: LampState,
}

impl Lamp {
    pub(super) fn new(name: &str, kind: Kind, number: usize) -> Self {
        let state = LampState {
            on: false,
            brightness: 100.0,
            xy: kind.gamut().map(|_| (0.4573, 0.41)),
            mirek: kind.is_ambiance().then_some(366),
            gradient: Vec::new(),
            effect: NO_EFFECT.to_owned(),
            signal: None,
        };
        let (name, told) = (name.to_owned(), state.clone());
        Self {
            name,
            kind,
            light: guid(),
            device: guid(),
            zigbee: guid(),
            number,
            reachable: true,
            keeps_for_later: false,
            state,
            told,
        }
    }

    fn id_v1(&self) -> String {
        format!("/lights/{}", self.number)
    }

    fn resource(&self, kind: &str, id: &str) -> Map<String, Value> {
        let mut resource = reference(kind, id);
        resource.insert("id_v1".to_owned(), self.id_v1().into());
        if kind != "device" {
            resource.insert("owner".to_owned(), json!({"rid": self.device, "rtype": "device"}));
        }
        resource
    }

    /// The `light`, `device` and `zigbee_connectivity` of this lamp.
    pub(super) fn resources(&self) -> [Value; 3] {
        let (model, product, archetype) = self.kind.product();
        let mut device = self.resource("device", &self.device);
        device.extend(members(json!({
            "product_data": {
                "model_id": model,
                "manufacturer_name": "Signify Netherlands B.V.",
                "product_name": product,
                "product_archetype": archetype,
                "certified": true,
                "software_version": "1.122.2",
            },
            "metadata": {"name": self.name, "archetype": archetype},
            "identify": {},
            "services": [
                {"rid": self.light, "rtype": "light"},
                {"rid": self.zigbee, "rtype": "zigbee_connectivity"},
            ],
        })));
        [self.light_resource(archetype), Value::Object(device), self.connectivity()]
    }

    /// Its `zigbee_connectivity`, which says whether it is reached.
    pub(super) fn connectivity(&self) -> Value {
        let mut zigbee = self.resource("zigbee_connectivity", &self.zigbee);
        zigbee.insert("status".to_owned(), if self.reachable { "connected" } else { "connectivity_issue" }.into());
        zigbee.insert("mac_address".to_owned(), format!("00:17:88:01:0c:00:00:{:02x}", self.number).into());
        Value::Object(zigbee)
    }

    fn light_resource(&self, archetype: &str) -> Value {
        let mut light = self.resource("light", &self.light);
        light.extend(members(json!({
            "metadata": {"name": self.name, "archetype": archetype, "function": "mixed"},
            "product_data": {"function": "mixed"},
            "identify": {},
            "service_id": 0,
            "dynamics": {"status": "none", "status_values": ["none"], "speed": 0.0, "speed_valid": false},
            "alert": {"action_values": ["breathe"]},
            "signaling": {"signal_values": self.signals()},
            "mode": "normal",
        })));
        light.extend(self.shown());
        if let Some(dimming) = light.get_mut("dimming") {
            dimming["min_dim_level"] = json!(0.2);
        }
        if let Some(temperature) = light.get_mut("color_temperature") {
            let (coldest, warmest) = self.kind.whites();
            temperature["mirek_schema"] = json!({"mirek_minimum": coldest, "mirek_maximum": warmest});
        }
        if let (Some(color), Some(gamut)) = (light.get_mut("color"), self.kind.gamut()) {
            let [red, green, blue] = gamut.corners().map(|(x, y)| json!({"x": x, "y": y}));
            color["gamut"] = json!({"red": red, "green": green, "blue": blue});
            color["gamut_type"] = gamut.letter().into();
        }
        if self.kind.takes("gradient") {
            let point = |(x, y): &(f64, f64)| json!({"color": {"xy": {"x": x, "y": y}}});
            let points: Vec<_> = self.state.gradient.iter().map(point).collect();
            let mode = "interpolated_palette";
            light.insert(
                "gradient".to_owned(),
                json!({"points": points, "mode": mode, "mode_values": [mode], "points_capable": 5, "pixel_count": 24}),
            );
        }
        if self.kind.takes("effects") {
            light.insert("effects".to_owned(), self.effects());
        }
        Value::Object(light)
    }

    fn signals(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Color(_) | Kind::Gradient(_) => SIGNALS,
            _ => &SIGNALS[..2],
        }
    }

    fn effects(&self) -> Value {
        json!({"status": self.state.effect, "status_values": EFFECTS, "effect_values": EFFECTS})
    }

    /// What changes about a light: the members of an event.
    pub(super) fn shown(&self) -> Map<String, Value> {
        self.shown_as(&self.state)
    }

    fn shown_as(&self, state: &LampState) -> Map<String, Value> {
        let LampState { on, brightness, xy, mirek, .. } = state;
        let mut shown = members(json!({"on": {"on": on}}));
        if self.kind.takes("dimming") {
            shown.insert("dimming".to_owned(), json!({"brightness": brightness}));
        }
        if self.kind.takes("color_temperature") {
            shown.insert("color_temperature".to_owned(), json!({"mirek": mirek, "mirek_valid": mirek.is_some()}));
        }
        if self.kind.takes("color") {
            let (x, y) = xy.unwrap_or((0.4573, 0.41));
            shown.insert("color".to_owned(), json!({"xy": {"x": x, "y": y}}));
        }
        shown
    }

    /// The light's part of an event: what changed since the last one, as real hubs tell it.
    pub(super) fn event(&mut self) -> Value {
        let now = self.shown();
        let told = std::mem::replace(&mut self.told, self.state.clone());
        let before = self.shown_as(&told);
        let mut event = self.resource("light", &self.light);
        event.extend(now.into_iter().filter(|(member, value)| before.get(member) != Some(value)));
        Value::Object(event)
    }
}

/// Signals that lamps know; lamps without colour know the first two.
pub(super) const SIGNALS: &[&str] = &["no_signal", "on_off", "on_off_color", "alternating"];
pub(super) const NO_EFFECT: &str = "no_effect";
/// Effects that lamps know.
pub(super) const EFFECTS: &[&str] = &[NO_EFFECT, "candle", "fire", "prism", "sparkle", "opal", "glisten"];

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupKind {
    Room,
    Zone,
    Home,
}

impl GroupKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Room => "room",
            Self::Zone => "zone",
            Self::Home => "bridge_home",
        }
    }
}

pub(super) struct Group {
    pub kind: GroupKind,
    pub name: String,
    pub id: String,
    pub grouped: String,
    pub number: usize,
    /// Indices of lamps.
    pub lamps: Vec<usize>,
}

impl Group {
    pub(super) fn new(kind: GroupKind, name: &str, number: usize) -> Self {
        Self { kind, name: name.to_owned(), id: guid(), grouped: guid(), number, lamps: Vec::new() }
    }

    fn lamps<'a>(&'a self, lamps: &'a [Lamp]) -> impl Iterator<Item = &'a Lamp> {
        self.lamps.iter().map(|index| &lamps[*index])
    }

    /// The room, zone or home itself. `rooms` are the children of the home.
    pub(super) fn resource(&self, lamps: &[Lamp], rooms: &[String]) -> Value {
        let mut group = reference(self.kind.name(), &self.id);
        let children: Vec<_> = match self.kind {
            GroupKind::Room => self.lamps(lamps).map(|lamp| json!({"rid": lamp.device, "rtype": "device"})).collect(),
            GroupKind::Zone => self.lamps(lamps).map(|lamp| json!({"rid": lamp.light, "rtype": "light"})).collect(),
            GroupKind::Home => rooms.iter().map(|room| json!({"rid": room, "rtype": "room"})).collect(),
        };
        group.extend(members(json!({
            "id_v1": format!("/groups/{}", self.number),
            "children": children,
            "services": [{"rid": self.grouped, "rtype": "grouped_light"}],
        })));
        if self.kind != GroupKind::Home {
            group.insert("metadata".to_owned(), json!({"name": self.name, "archetype": "office"}));
        }
        Value::Object(group)
    }

    /// Its `grouped_light`.
    pub(super) fn grouped_light(&self, lamps: &[Lamp]) -> Value {
        let mut light = reference("grouped_light", &self.grouped);
        let lit: Vec<_> = self.lamps(lamps).filter(|lamp| lamp.state.on).map(|lamp| lamp.state.brightness).collect();
        let brightness = if lit.is_empty() { 0.0 } else { lit.iter().sum::<f64>() / lit.len() as f64 };
        light.extend(members(json!({
            "id_v1": format!("/groups/{}", self.number),
            "owner": {"rid": self.id, "rtype": self.kind.name()},
            "on": {"on": !lit.is_empty()},
            "dimming": {"brightness": brightness},
            "dimming_delta": {},
            "color_temperature": {},
            "color_temperature_delta": {},
            "color": {},
            "alert": {"action_values": ["breathe"]},
            "signaling": {"signal_values": SIGNALS},
            "dynamics": {},
        })));
        Value::Object(light)
    }
}

fn reference(kind: &str, id: &str) -> Map<String, Value> {
    members(json!({"id": id, "type": kind}))
}

/// The members of a JSON object.
pub(super) fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
