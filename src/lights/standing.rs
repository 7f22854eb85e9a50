//! How a hub stands, for people.

/// How a hub stands, by what was last asked of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// In a word.
    pub condition: Condition,
    /// What is wrong, with the remedy; none where nothing is.
    pub reason: Option<String>,
}

/// What is the matter with a hub.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing was asked of it yet.
    #[default]
    NotAsked,
    /// It answers, and takes the key.
    Well,
    /// There is no application key for it.
    NoKey,
    /// It does not know the key any more.
    KeyRefused,
    /// It shows another certificate than the one known.
    CertificateChanged,
    /// Another hub, or none, answers at its address.
    AnotherHub,
    /// Nobody answers there.
    Unreachable,
    /// What it answers does not help: too busy, or no hub's answer.
    Odd,
}

impl Condition {
    /// Whether the hub itself answers; none where that is not known, since nothing can be asked of it.
    pub fn is_reachable(self) -> Option<bool> {
        match self {
            Self::NotAsked | Self::NoKey => None,
            Self::Well | Self::KeyRefused | Self::Odd => Some(true),
            Self::CertificateChanged | Self::AnotherHub | Self::Unreachable => Some(false),
        }
    }

    /// Whether pairing mends it.
    pub fn wants_pairing(self) -> bool {
        matches!(self, Self::NoKey | Self::KeyRefused | Self::CertificateChanged)
    }
}
