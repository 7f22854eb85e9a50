//! Which hub it is: what it says of itself, what it speaks, and on what terms it gives out application keys.

use super::Plan;

/// A hub of one kind.
#[derive(Debug)]
pub(super) struct Model {
    /// `modelid`, `swversion`, `apiversion` and `datastoreversion`, as `GET /api/config` has them.
    pub id: &'static str,
    pub software: &'static str,
    pub api: &'static str,
    pub datastore: &'static str,
    /// Whether it speaks CLIP v2 beside v1.
    pub has_v2: bool,
    /// Whether it speaks http alone.
    pub is_plain: bool,
    pub client_key: ClientKey,
}

/// What a hub makes of `generateclientkey`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientKey {
    /// It gives out no application key without it.
    Wanted,
    /// It gives out a client's key where asked.
    Given,
    /// API versions below 1.22 know no such parameter.
    Unknown,
}

/// The square hub, with current software.
pub(super) const SQUARE: Model = Model {
    id: "BSB002",
    software: "1968096020",
    api: "1.68.0",
    datastore: "172",
    has_v2: true,
    is_plain: false,
    client_key: ClientKey::Given,
};
const PRO: Model =
    Model { id: "BSB003", software: "2071537020", api: "1.72.0", client_key: ClientKey::Wanted, ..SQUARE };
const OLD_SQUARE: Model = Model { software: "1940094000", api: "1.40.0", datastore: "98", has_v2: false, ..SQUARE };
const ROUND: Model = Model {
    id: "BSB001",
    software: "01041302",
    api: "1.16.0",
    datastore: "59",
    has_v2: false,
    is_plain: true,
    client_key: ClientKey::Unknown,
};

impl Plan {
    /// CLIP v1 alone, by https, as the square hub with software of old.
    pub fn v1(self) -> Self {
        Self { model: &OLD_SQUARE, ..self }
    }

    /// CLIP v1 alone, by http, as the round hub and look-alikes.
    pub fn plain_v1(self) -> Self {
        Self { model: &ROUND, ..self }
    }

    /// The Bridge Pro: its certificate stands under a root.
    pub fn pro(self) -> Self {
        Self { model: &PRO, chained: true, ..self }
    }
}
