//! Turns `ha-discovery/*.yaml` into Home Assistant's device messages.

use std::path::Path;

/// The entity definitions, read once; payloads are rendered when they are sent.
pub struct Definitions {}

/// What a device's definitions are filled with.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    /// The base topic.
    pub base: &'a str,
    /// The account's name.
    pub account: &'a str,
    /// What people read.
    pub name: &'a str,
    /// Home Assistant's suggested area.
    pub area: Option<&'a str>,
}

/// Why a definition cannot be used: file, place, remedy.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadDefinition(pub String);

impl Definitions {
    /// Those compiled in, each replaced by a file of the same name in `folder` where there is one.
    pub fn load(_folder: Option<&Path>) -> Result<Self, BadDefinition> {
        todo!()
    }
    /// The payload of an account's device.
    pub fn account(&self, _device: Device<'_>) -> Vec<u8> {
        todo!()
    }
    /// The payload of the bridge's own device.
    pub fn bridge(&self, _base: &str) -> Vec<u8> {
        todo!()
    }
}

/// The id of an account's device: `<base>_<account>`, with what Home Assistant does not take replaced.
pub fn device_id(_base: &str, _account: &str) -> String {
    todo!()
}

/// `<prefix>/device/<id>/config`
pub fn topic(_prefix: &str, _id: &str) -> String {
    todo!()
}
