//! Turns `ha-discovery/*.yaml` into Home Assistant's device messages.
//!
//! A definition is read and checked once, against what Home Assistant takes (`rules`), and cut into
//! pieces between its placeholders (`template`); a payload is then a few copies, and nothing is kept.

mod identity;
mod rules;
mod template;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::Path;

use identity::object_id;
pub use identity::{bridge_id, device_id, topic};
use template::{Template, Values};

/// Far more than any definition needs, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The entity definitions, read once; payloads are rendered when they are sent.
#[derive(Debug)]
pub struct Definitions {
    account: Template,
    bridge: Template,
}

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

/// Why a definition cannot be used: file, place, remedy; one mistake a line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadDefinition(pub String);

impl Definitions {
    /// Those compiled in, each replaced by a file of the same name in `folder` where there is one.
    pub fn load(folder: Option<&Path>) -> Result<Self, BadDefinition> {
        Ok(Self {
            account: definition("account.yaml", include_str!("../../ha-discovery/account.yaml"), folder)?,
            bridge: definition("bridge.yaml", include_str!("../../ha-discovery/bridge.yaml"), folder)?,
        })
    }

    /// The payload of an account's device.
    pub fn account(&self, device: Device<'_>) -> Vec<u8> {
        self.account.render(&Values {
            base: device.base,
            account: device.account,
            object: &object_id(device.account),
            id: &device_id(device.base, device.account),
            bridge: &bridge_id(device.base),
            name: device.name,
            area: device.area,
        })
    }

    /// The payload of the bridge's own device; its id is [`bridge_id`].
    pub fn bridge(&self, base: &str) -> Vec<u8> {
        let bridge = bridge_id(base);
        self.bridge.render(&Values {
            base,
            account: "",
            object: "",
            id: &bridge,
            bridge: &bridge,
            name: "",
            area: None,
        })
    }
}

fn definition(name: &str, compiled_in: &str, folder: Option<&Path>) -> Result<Template, BadDefinition> {
    let Some(file) = folder.map(|folder| folder.join(name)).filter(|file| file.exists()) else {
        return Template::read(&format!("ha-discovery/{name}"), compiled_in);
    };
    let place = file.display().to_string();
    let unreadable =
        |why: &dyn std::fmt::Display| BadDefinition(format!("{place} (home_assistant.definitions): {why}"));
    let mut text = String::new();
    let opened = std::fs::File::open(&file).map_err(|error| unreadable(&error))?;
    opened.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| unreadable(&error))?;
    if text.len() as u64 > LARGEST {
        return Err(unreadable(&"more than 1 MiB; a definition is a few kilobytes"));
    }
    Template::read(&place, &text)
}
