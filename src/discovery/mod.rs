//! Turns `ha-discovery/*.yaml` into Home Assistant's device messages.
//!
//! A definition is read and checked once, against what Home Assistant takes (`rules`), and cut into
//! pieces between its placeholders (`template`); a payload is then a few copies, and nothing is kept.
//! `words` is what is put in for good, `with` what a component needs to be there, `changes` what a
//! payload has lost against an older one. `births` says when Home Assistant's births have all of it sent again.

mod births;
mod changes;
mod identity;
mod rules;
mod template;
#[cfg(test)]
mod tests;
mod with;
mod words;

use std::io::Read;
use std::path::Path;

pub use births::Births;
pub use changes::{Gone, gone, retiring};
use identity::object_id;
pub use identity::{actuator_id, bridge_id, device_id, topic};
use template::{Template, Values};
pub use with::With;
pub use words::Rhythm;

use crate::presence::Name;

/// The largest device message that is read back from a broker, in bytes: a location's tells of all its lights, and
/// is far smaller.
pub const LARGEST_DEVICE: usize = 256 << 10;

/// Far more than any definition needs, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// The entity definitions, read once; payloads are rendered when they are sent.
#[derive(Debug)]
pub struct Definitions {
    account: Template,
    bridge: Template,
    actuator: Template,
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
    /// What holds of the account and of this process.
    pub with: With,
}

/// What the definitions of a location's actuators are filled with.
#[derive(Debug, Clone, Copy)]
pub struct Location<'a> {
    /// The base topic.
    pub base: &'a str,
    /// The location's name.
    pub name: &'a str,
    /// From [`actuator_id`].
    pub id: &'a str,
    /// Its lights.
    pub lights: &'a [Name],
    /// What holds of this process.
    pub with: With,
}

/// Why a definition cannot be used: file, place, remedy; one mistake a line.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadDefinition(pub String);

impl Definitions {
    /// Those compiled in, each replaced by a file of the same name in `folder` where there is one.
    pub fn load(folder: Option<&Path>, rhythm: Rhythm) -> Result<Self, BadDefinition> {
        let read = |name: &str, compiled_in| definition(name, compiled_in, folder, rhythm);
        Ok(Self {
            account: read("account.yaml", include_str!("../../ha-discovery/account.yaml"))?,
            bridge: read("bridge.yaml", include_str!("../../ha-discovery/bridge.yaml"))?,
            actuator: read("actuator.yaml", include_str!("../../ha-discovery/actuator.yaml"))?,
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
            with: device.with,
            lights: &[],
        })
    }

    /// The payload of the bridge's own device; its id is [`bridge_id`].
    pub fn bridge(&self, base: &str, with: With) -> Vec<u8> {
        let bridge = bridge_id(base);
        self.bridge.render(&Values { base, id: &bridge, bridge: &bridge, with, ..Values::default() })
    }

    /// The payload of the device of a location's actuators.
    pub fn actuator(&self, location: Location<'_>) -> Vec<u8> {
        let lights: Vec<_> = location.lights.iter().map(|light| (light.as_str(), readable(light.as_str()))).collect();
        self.actuator.render(&Values {
            base: location.base,
            account: location.name,
            object: &object_id(location.name),
            id: location.id,
            bridge: &bridge_id(location.base),
            name: &readable(location.name),
            area: None,
            with: location.with,
            lights: &lights,
        })
    }
}

/// `desk_lamp` as people read it: `Desk lamp`.
fn readable(name: &str) -> String {
    let words = name.replace('_', " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn definition(name: &str, compiled_in: &str, folder: Option<&Path>, rhythm: Rhythm) -> Result<Template, BadDefinition> {
    let Some(file) = folder.map(|folder| folder.join(name)).filter(|file| file.exists()) else {
        return Template::read(&format!("ha-discovery/{name}"), compiled_in, rhythm);
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
    Template::read(&place, &text, rhythm)
}
