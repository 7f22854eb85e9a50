//! The ids under which Home Assistant knows a device for ever.

use std::fmt::Write;

/// The id of an account's device: `<base>_<account>`.
///
/// Home Assistant takes `[a-zA-Z0-9_-]+`. Each other byte of a base topic is written as `-` and two
/// hexadecimal digits: `home/teams` gives `home-2fteams_alex`. Bases of letters, digits and slashes never
/// share an id; of `a` with account `b_c` and `a_b` with account `c`, at one broker, one needs another base.
pub fn device_id(base: &str, account: &str) -> String {
    format!("{}_{account}", plain(base))
}

/// The id of the bridge's own device: `<base>-bridge`, which is no account's.
pub fn bridge_id(base: &str) -> String {
    format!("{}-bridge", plain(base))
}

/// The id of the device of a location's actuators: `<base>_<location>`. An account of the same name has
/// that id already: then it ends in `-actuator`, which no account's does. (No component of an account is called as
/// one of a light, so that account `home_desk` and the light `desk` at `home` share nothing. Of the light `b_c` at `a`
/// and `c` at `a_b`, on one base, one needs another name.)
pub fn actuator_id(base: &str, location: &str, is_account: bool) -> String {
    let id = device_id(base, location);
    if is_account { format!("{id}-actuator") } else { id }
}

/// `<prefix>/device/<id>/config`
pub fn topic(prefix: &str, id: &str) -> String {
    format!("{prefix}/device/{id}/config")
}

/// The account within an entity id, which holds no hyphens.
pub(super) fn object_id(account: &str) -> String {
    account.replace('-', "_")
}

fn plain(base: &str) -> String {
    let mut id = String::with_capacity(base.len());
    for byte in base.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            id.push(char::from(byte));
        } else {
            write!(id, "-{byte:02x}").expect("a string takes it");
        }
    }
    id
}
