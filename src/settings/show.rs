//! The effective configuration as YAML, each value with its origin, secrets hidden.

use std::fmt::Write;

use super::reader::{Effective, Entry};
use super::types::{Account, User, Via};
use super::{Loaded, Origin};

/// What stands for a secret.
const HIDDEN: &str = "<hidden>";

/// Where the comments begin, if the line leaves room.
const COLUMN: usize = 52;

/// The effective configuration as YAML. Each value carries its origin as a comment.
pub fn show(loaded: &Loaded) -> String {
    let mut writer = Writer::default();
    let (before, behind): (Vec<&Entry>, Vec<&Entry>) = loaded.entries.iter().partition(|entry| is_before(&entry.key));
    for entry in before {
        writer.entry(entry);
    }
    for (name, account) in &loaded.settings.accounts {
        for (field, text) in fields(account) {
            let origin = loaded.origin_of_account(name.as_str(), field);
            writer.line(&format!("accounts.{name}.{field}"), &quoted(&text), &origin);
        }
    }
    for entry in behind {
        writer.entry(entry);
    }
    writer.text
}

/// Whether a key's section stands before `accounts`.
fn is_before(key: &str) -> bool {
    ["mqtt.", "home_assistant.", "entra.", "graph."].iter().any(|section| key.starts_with(section))
}

fn fields(account: &Account) -> impl Iterator<Item = (&'static str, String)> {
    let user = match &account.user {
        User::Name(name) => name.to_string(),
        User::Id(id) => id.to_string(),
    };
    let via = match &account.via {
        Via::SignIn => None,
        Via::App => Some("app".to_owned()),
        Via::Account(name) => Some(name.to_string()),
    };
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let fields = [
        ("user", Some(user)),
        ("name", text(&account.name)),
        ("area", text(&account.area)),
        ("tenant", text(&account.tenant)),
        ("via", via),
    ];
    fields.into_iter().filter_map(|(field, text)| Some((field, text?)))
}

#[derive(Default)]
struct Writer {
    text: String,
    sections: Vec<String>,
}

impl Writer {
    fn entry(&mut self, entry: &Entry) {
        let value = match &entry.value {
            Effective::Text(text) => quoted(text),
            Effective::List(items) => {
                format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
            }
            Effective::Hidden => quoted(HIDDEN),
        };
        self.line(&entry.key, &value, &entry.origin);
    }

    /// Opens the sections that are new, then writes the value.
    fn line(&mut self, key: &str, value: &str, origin: &Origin) {
        let mut parts: Vec<String> = key.split('.').map(str::to_owned).collect();
        let last = parts.pop().unwrap_or_default();
        let same = self.sections.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        for (depth, part) in parts.iter().enumerate().skip(same) {
            self.text.extend(std::iter::repeat_n("  ", depth));
            self.text.push_str(part);
            self.text.push_str(":\n");
        }
        let line = format!("{}{last}: {value}", "  ".repeat(parts.len()));
        // A comment must not end in the middle of an odd file name.
        let origin: String = origin.to_string().chars().filter(|c| !c.is_control()).collect();
        writeln!(self.text, "{line:<COLUMN$} # {origin}").expect("a text takes any text");
        self.sections = parts;
    }
}

/// A scalar as YAML: plain where every reader takes it for the same text, in quotes otherwise.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/' | '@' | '-' | '+' | ':');
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let odd = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    let is_switch = matches!(text, "true" | "false" | "off");
    let spelt = begins && !odd && text.chars().all(plain) && !text.ends_with(':');
    let duration = text.ends_with('s') && text.len() < 8 && text.starts_with(|c: char| c.is_ascii_digit());
    if spelt || is_switch || duration { text.to_owned() } else { serde_json::json!(text).to_string() }
}
