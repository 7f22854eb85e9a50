//! Linker settings that Cargo.toml cannot hold.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The first C library of GNU that understands packed relocations.
const NEW_ENOUGH: (u32, u32) = (2, 36);

/// Leaves out what only unwinding reads.
const WITHOUT_UNWINDING: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) } } INSERT AFTER .text;\n";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let Some(glibc) = native_glibc() else { return };
    // A megabyte less to read at each start, and to keep resident. With an older library the program
    // would not start, so it is asked for only where the program is built for the machine it is built on.
    if glibc >= NEW_ENOUGH {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // Another one: a release ends at a panic (panic = "abort"), with its message and place, and never unwinds.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let script = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("without-unwinding.ld");
        fs::write(&script, WITHOUT_UNWINDING).expect("cargo's own folder is writable");
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr,-T,{}", script.display());
    }
}

/// The version of this machine's GNU C library; none where it has another one, or the program is built for another machine.
fn native_glibc() -> Option<(u32, u32)> {
    if env::var("HOST").ok()? != env::var("TARGET").ok()? {
        return None;
    }
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let said = String::from_utf8(said.stdout).ok()?;
    let (major, minor) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
