//! `graph2mqtt pair`: waits for a hub's link button and keeps the application key that it gives out.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use secrecy::ExposeSecret;

use super::{Failure, Global, parts};
use crate::lights::hue::{self, NotPaired, Paired, Pairing, Terms};
use crate::lights::{NoSuchHub, hub_named};

/// `pair`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The hub's name in the configuration, its bridge id, or its address
    hub: String,
    /// How long to wait for the button, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    wait: u64,
    /// Print the application key for a key_file, and keep nothing in the store
    #[arg(long)]
    print_key: bool,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    let (name, hub) = hub_named(&settings, &arguments.hub).await.map_err(|no_such_hub| match no_such_hub {
        NoSuchHub::Unknown(text) => Failure::Usage(text),
        NoSuchHub::Away(text) => Failure::Runtime(anyhow!(text)),
    })?;
    let store = parts::store(&settings).await?;
    let mut screen = Screen::new();
    let mut show = |pairing: Pairing| screen.show(&pairing);
    // Whoever types this reads the warning, and presses the button or does not.
    let terms = Terms { within: Duration::from_secs(arguments.wait), new_certificate: true };
    let pairing = hue::pair(&hub, &name, &store, terms, &mut show);
    let paired = tokio::select! {
        paired = pairing => paired,
        _ = tokio::signal::ctrl_c() => {
            screen.clear();
            return Err(Failure::Runtime(anyhow!("cancelled; nothing was changed")));
        }
    };
    screen.clear();
    let paired = paired.map_err(failed)?;
    if arguments.print_key {
        eprint_line(&format!("Hub {} gave out this application key:", paired.id));
        parts::print(paired.key.expose_secret())?;
        eprint_line(&settings_of(&name, &paired, true));
        return Ok(());
    }
    paired.keep(&name, &store, Timestamp::now()).await.map_err(failed)?;
    parts::print(&format!("Hub {} is paired; its application key is kept in the store, sealed.", paired.id))?;
    match name.is_empty() {
        true => parts::print(&settings_of(&name, &paired, false)),
        false => parts::print("A running actuator takes it up within 10 s. See its rooms: graph2mqtt lights"),
    }
}

fn failed(not_paired: NotPaired) -> Failure {
    Failure::Runtime(anyhow!("{not_paired}"))
}

/// What is to be written in the configuration.
fn settings_of(name: &str, paired: &Paired, with_key: bool) -> String {
    let name = if name.is_empty() { "office" } else { name };
    let mut fields = format!("host: {}, id: {}", paired.host, paired.id);
    if paired.is_plain {
        fields.push_str(", api: v1");
    }
    if let (true, Some(pin)) = (with_key, &paired.certificate_sha256) {
        fields.push_str(&format!(", certificate_sha256: {pin}"));
    }
    if with_key {
        fields.push_str(", key_file: secrets/hue");
    }
    format!("In the configuration:\n\nhubs:\n  {name}: {{ {fields} }}\n\nSee its rooms: graph2mqtt lights")
}

/// To stderr, beside a result that is piped.
fn eprint_line(text: &str) {
    // Whoever closed stderr does not want to read it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Where the person looks: on a terminal a line that counts down, anything else a plain line.
struct Screen {
    is_rich: bool,
    asked: bool,
}

impl Screen {
    fn new() -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_rich: std::io::stderr().is_terminal() && !is_dumb, asked: false }
    }

    fn show(&mut self, pairing: &Pairing) {
        match pairing {
            Pairing::Found { id, name } => {
                eprint_line(&format!("Hub {id}{}", name.as_ref().map(|name| format!(", {name}")).unwrap_or_default()));
            }
            Pairing::Changed { before, now } => eprint_line(&format!(
                "Its certificate is another one than before (then {before}, now {now}). Press the button only if you \
                 know why, such as after a reset."
            )),
            Pairing::Press { left } => {
                let seconds = left.as_millis().div_ceil(1000);
                if !std::mem::replace(&mut self.asked, true) {
                    eprint_line(&format!("Press the round link button on the hub within {seconds} s. Ctrl-C cancels."));
                }
                if self.is_rich {
                    draw(&format!("\r\x1b[KWaiting for the button, {seconds} s left"));
                }
            }
        }
    }

    fn clear(&self) {
        if self.is_rich && self.asked {
            draw("\r\x1b[K");
        }
    }
}

fn draw(text: &str) {
    let mut terminal = std::io::stderr().lock();
    // A terminal that went away is noticed by what is printed to stdout.
    let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
}
