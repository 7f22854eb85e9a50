//! Linker settings that Cargo.toml cannot hold.

use std::env;
use std::process::Command;

/// The first C library of GNU that understands packed relocations.
const NEW_ENOUGH: (u32, u32) = (2, 36);

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // A megabyte less to read at each start, and to keep resident. With an older library the program
    // would not start, so it is asked for only where the program is built for the machine it is built on.
    let native = env::var("HOST").is_ok_and(|host| env::var("TARGET").is_ok_and(|target| target == host));
    if native && glibc().is_some_and(|version| version >= NEW_ENOUGH) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's GNU C library; none where it has another one.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
