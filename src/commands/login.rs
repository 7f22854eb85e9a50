//! `graph2mqtt login`: a person signs in to an account by device code.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::anyhow;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use tokio::time::Instant;

use super::{Failure, Global, parts};
use crate::entra::{Prompt, Tokens, Trouble};
use crate::presence::{AccountName, ObjectId};
use crate::settings::Via;
use crate::store::{Holder, Store};

/// `login`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The account's name in the configuration
    account: String,
}

pub(super) async fn run(global: &Global, arguments: Arguments) -> Result<(), Failure> {
    let settings = parts::settings(global)?;
    let (name, account) = parts::account(&settings, &arguments.account)?;
    match &account.via {
        Via::SignIn => {}
        Via::App => return parts::print(&format!("{name} is read by the application (via: app): it needs no sign-in")),
        Via::Account(reader) => {
            return parts::print(&format!(
                "{name} is read through {reader}: it needs no sign-in of its own; {reader} signs in by: graph2mqtt \
                 login {reader}"
            ));
        }
    }
    let store = parts::store(&settings).await?;
    let tokens = Tokens::new(&settings, parts::http(&settings)?, store.clone()).map_err(|trouble| failed(&trouble))?;
    let (username, object_id) = sign_in(&tokens, &store, name, &Screen::new()).await?;
    parts::print(&format!(
        "{name} is signed in as {username} (object id {object_id}). A running bridge takes it up within 10 s."
    ))
}

/// Waits for the person, and shows that it does.
async fn sign_in(
    tokens: &Tokens,
    store: &Store,
    name: &AccountName,
    screen: &Screen,
) -> Result<(String, ObjectId), Failure> {
    let before = store.holder(name).await.map_err(anyhow::Error::new)?.map(|holder| holder.id);
    let signing_in = tokens.sign_in(name, |prompt| screen.show(name, prompt));
    tokio::pin!(signing_in);
    let mut second = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            grant = &mut signing_in => {
                screen.clear_progress();
                return grant.map(|grant| (grant.username, grant.object_id)).map_err(|trouble| failed(&trouble));
            }
            _ = second.tick() => {
                screen.progress();
                // On the page or over MQTT, perhaps: the code is not needed any more.
                if let Some(holder) = row(store, name).await.filter(|holder| Some(&holder.id) != before.as_ref()) {
                    screen.clear_progress();
                    return Ok((holder.username, holder.object_id));
                }
            }
            _ = tokio::signal::ctrl_c() => {
                screen.clear_progress();
                return Err(Failure::Runtime(anyhow!("cancelled; nothing was changed")));
            }
        }
    }
}

/// What the store holds for the account; nothing where it cannot be asked now.
async fn row(store: &Store, name: &AccountName) -> Option<Holder> {
    store.holder(name).await.ok().flatten()
}

fn failed(trouble: &Trouble) -> Failure {
    match trouble {
        Trouble::Misconfigured { reason } => Failure::Usage(reason.clone()),
        other => Failure::Runtime(anyhow!("{other}")),
    }
}

/// Where the person looks: a terminal gets a QR code and a line that counts down, anything else plain lines.
struct Screen {
    is_rich: bool,
    expires: Cell<Option<Instant>>,
}

impl Screen {
    fn new() -> Self {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { is_rich: terminal && !plain, expires: Cell::new(None) }
    }

    fn show(&self, name: &AccountName, prompt: &Prompt) {
        self.clear_progress();
        if self.expires.get().is_some() {
            say("That code has expired; here is a new one.");
        }
        self.expires.set(Some(Instant::now() + prompt.expires_in));
        say(&invitation(name, prompt, self.is_rich));
    }

    fn progress(&self) {
        let Some(expires) = self.expires.get().filter(|_| self.is_rich) else { return };
        let left = expires.saturating_duration_since(Instant::now()).as_secs();
        self.draw(&format!("\r\x1b[KWaiting for the sign-in, {}:{:02} left", left / 60, left % 60));
    }

    fn clear_progress(&self) {
        if self.is_rich {
            self.draw("\r\x1b[K");
        }
    }

    fn draw(&self, text: &str) {
        let mut terminal = std::io::stderr().lock();
        // A terminal that went away is noticed by what is printed to stdout.
        let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
    }
}

/// Nobody waits for a prompt that cannot be printed: the sign-in ends with its code.
fn say(text: &str) {
    let _ = parts::print(text);
}

fn invitation(name: &AccountName, prompt: &Prompt, with_picture: bool) -> String {
    let Prompt { url, user_code, expires_in } = prompt;
    let minutes = expires_in.as_secs().div_ceil(60);
    let picture = with_picture.then(|| picture(url.as_str())).flatten();
    let picture = picture.map(|picture| format!("{picture}\n")).unwrap_or_default();
    format!(
        "To sign {name} in, open\n\n    {url}\n\nand enter the code\n\n    {user_code}\n\n\
         {picture}The code is good for {minutes} min. Press Ctrl-C to cancel."
    )
}

/// A QR code in half blocks, its light parts drawn: most terminals are dark.
fn picture(url: &str) -> Option<String> {
    let code = QrCode::new(url).ok()?;
    Some(code.render::<Dense1x2>().dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt() -> Prompt {
        Prompt {
            url: "https://microsoft.com/devicelogin".parse().unwrap(),
            user_code: "A1B2C3D4".to_owned(),
            expires_in: Duration::from_secs(900),
        }
    }

    #[test]
    fn a_person_is_told_where_to_go_what_to_enter_and_how_long() {
        let text = invitation(&"alex".parse().unwrap(), &prompt(), false);
        for part in ["alex", "https://microsoft.com/devicelogin", "A1B2C3D4", "15 min"] {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
        assert!(text.is_ascii(), "a plain text has blocks:\n{text}");
    }

    #[test]
    fn on_a_terminal_the_address_is_a_picture_too() {
        let text = invitation(&"alex".parse().unwrap(), &prompt(), true);
        assert!(text.lines().filter(|line| line.contains('█') || line.contains('▀')).count() > 10, "{text}");
    }
}
