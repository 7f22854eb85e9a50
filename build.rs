//! Linker settings that Cargo.toml cannot hold.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Packed relocations: a megabyte less to read at each start, and to keep resident. Debian 12's C
    // library and linker know them, and musl's since 1.2.4.
    if std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux") {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
