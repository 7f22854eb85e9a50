//! Linker settings that Cargo.toml cannot hold.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The first C library of GNU that understands packed relocations.
const NEW_ENOUGH: (u32, u32) = (2, 36);

/// Leaves out what only unwinding reads.
const WITHOUT_UNWINDING: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) } } INSERT AFTER .text;\n";

/// The functions that a bridge or an actuator runs, recorded by `cargo bench -- --record-order`.
const ORDER: &str = "build/order.txt";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={ORDER}");
    let Some(glibc) = native_glibc() else { return };
    // A megabyte less to read at each start, and to keep resident. With an older library the program
    // would not start, so it is asked for only where the program is built for the machine it is built on.
    if glibc >= NEW_ENOUGH {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // Another one: a release ends at a panic (panic = "abort"), with its message and place, and never unwinds.
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let order = fs::read_to_string(ORDER).expect("it comes with the sources");
        let script = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("release.ld");
        fs::write(&script, used_first(&order) + WITHOUT_UNWINDING).expect("cargo's own folder is writable");
        println!("cargo:rustc-link-arg-bins=-Wl,--no-eh-frame-hdr,-T,{}", script.display());
    }
}

/// Puts the functions that are used side by side, before those that a normal run never reaches.
///
/// The kernel maps the program by 64 KiB around each page that is touched: with what is used strewn
/// over the whole of it, all of it is resident. A name in the list that no longer exists does no harm,
/// and a new function that is missing costs at most its 64 KiB until the list is recorded again.
fn used_first(order: &str) -> String {
    let mut script = String::from("SECTIONS { .text.used : {\n");
    for name in order.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        writeln!(script, "*(.text.{name} .text.unlikely.{name})").expect("a String takes everything");
    }
    script + "} } INSERT BEFORE .text;\n"
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
