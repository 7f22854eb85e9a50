//! Accounts are read one at a time and kept small: there can be tens of thousands.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Content, Member};
use super::layers::{self, Overrides};
use super::mistake::{Mistake, Mistakes, Origin};
use super::parse::{self, Parsed, Wrong};
use super::types::{Account, User, Via};
use crate::presence::{AccountName, Name};

/// Where accounts' values came from: a line each, and what was set outside of the file.
#[derive(Debug, Default)]
pub(super) struct AccountOrigins {
    pub file: Option<Arc<str>>,
    pub lines: BTreeMap<AccountName, u32>,
    pub overrides: Overrides,
}

impl AccountOrigins {
    /// The origin of one value.
    pub fn of(&self, account: &str, field: &str) -> Origin {
        if let Some((_, origin)) = self.overrides.get(account).and_then(|fields| fields.get(field)) {
            return origin.clone();
        }
        match (&self.file, self.lines.get(account)) {
            (Some(file), Some(line)) => Origin::File { file: Arc::clone(file), line: Some(*line) },
            _ => Origin::Default,
        }
    }
}

/// Collects accounts while the file is read.
pub(super) struct Reader {
    pub accounts: BTreeMap<AccountName, Account>,
    pub origins: AccountOrigins,
    /// How many were named, the wrong ones included.
    pub named: usize,
}

/// The texts of one account.
#[derive(Default)]
struct Texts {
    user: Option<Text>,
    name: Option<Text>,
    area: Option<Text>,
    tenant: Option<Text>,
    via: Option<Text>,
}

struct Text {
    text: String,
    origin: Origin,
}

impl Texts {
    fn field(&mut self, name: &str) -> Option<&mut Option<Text>> {
        match name {
            "user" => Some(&mut self.user),
            "name" => Some(&mut self.name),
            "area" => Some(&mut self.area),
            "tenant" => Some(&mut self.tenant),
            "via" => Some(&mut self.via),
            _ => None,
        }
    }
}

impl Reader {
    pub fn new(file: Option<Arc<str>>, overrides: Overrides) -> Self {
        let origins = AccountOrigins { file, lines: BTreeMap::new(), overrides };
        Self { accounts: BTreeMap::new(), origins, named: 0 }
    }

    /// Takes one account of the file.
    pub fn take(&mut self, member: Member, mistakes: &mut Mistakes) {
        let path = || format!("accounts.{}", member.key);
        let origin = self.at(member.line);
        self.named += 1;
        if !layers::is_chosen_name(&member.key) {
            return mistakes.add(layers::bad_name(&path(), origin));
        }
        let mut texts = Texts::default();
        match member.value {
            Content::Map(fields) => self.fields(&member.key, fields, &mut texts, mistakes),
            Content::Null => {}
            _ => {
                let remedy = format!("Write {}: {{ user: alex@contoso.com }}.", member.key);
                return mistakes.add(Mistake::new(path(), "takes keys of its own, not a value", remedy).at(origin));
            }
        }
        let name: Name = member.key.parse().expect("the name was looked at");
        self.origins.lines.insert(name.clone(), member.line);
        self.add(name, texts, origin, mistakes);
    }

    /// Takes the accounts that were set outside of the file alone.
    pub fn finish(&mut self, mistakes: &mut Mistakes) {
        let only: Vec<(String, Origin)> = (self.origins.overrides.iter())
            .filter(|(name, _)| !self.origins.lines.contains_key(name.as_str()))
            .filter_map(|(name, fields)| Some((name.clone(), fields.values().next()?.1.clone())))
            .collect();
        for (name, origin) in only {
            self.named += 1;
            if let Ok(name) = name.parse() {
                self.add(name, Texts::default(), origin, mistakes);
            }
        }
    }

    fn fields(&self, name: &str, fields: Vec<Member>, texts: &mut Texts, mistakes: &mut Mistakes) {
        for Member { key, value, line } in fields {
            let (origin, key) = (self.at(line), key.to_ascii_lowercase());
            let whole = || format!("accounts.{name}.{key}");
            match (texts.field(&key), value) {
                (Some(field), Content::Text(text)) => *field = Some(Text { text, origin }),
                (Some(_), Content::Null) => {}
                (Some(_), _) => mistakes.add(layers::wrong_type(&whole(), "one value", origin)),
                (None, content) => mistakes.add(layers::unknown(&whole(), &content, origin)),
            }
        }
    }

    fn add(&mut self, name: AccountName, mut texts: Texts, origin: Origin, mistakes: &mut Mistakes) {
        for (field, (text, origin)) in self.origins.overrides.get(name.as_str()).into_iter().flatten() {
            if let Some(field) = texts.field(field) {
                *field = Some(Text { text: text.clone(), origin: origin.clone() });
            }
        }
        if matches!(name.as_str(), "app" | "sign_in") {
            let remedy = "Give the account another name.";
            let path = format!("accounts.{name}");
            mistakes.add(Mistake::new(path, "has a name that means something else in via", remedy).at(origin.clone()));
        }
        let mut parser = Parser { name: &name, mistakes };
        let user = parser.field("user", texts.user.as_ref(), parse::user);
        let readable = parser.field("name", texts.name.as_ref(), parse::text);
        let area = parser.field("area", texts.area.as_ref(), parse::text);
        let tenant = parser.field("tenant", texts.tenant.as_ref(), parse::tenant);
        let via = parser.field("via", texts.via.as_ref(), via);
        if texts.user.is_none() {
            let remedy = "Add user: and a user name, such as alex@contoso.com, or an object id.";
            mistakes.add(Mistake::new(format!("accounts.{name}.user"), "is missing", remedy).at(origin));
        }
        let boxed = |text: Option<String>| text.map(String::into_boxed_str);
        let account = Account {
            // A placeholder of a wrong user keeps the name known to the lights; the mistake stops the program.
            user: user.unwrap_or_else(|| User::Name("".into())),
            name: boxed(readable),
            area: boxed(area),
            tenant: boxed(tenant),
            via: via.unwrap_or(Via::SignIn),
        };
        self.accounts.insert(name, account);
    }

    fn at(&self, line: u32) -> Origin {
        let file = self.origins.file.clone().unwrap_or_else(|| "".into());
        Origin::File { file, line: Some(line) }
    }

    /// Looks at what `via` names.
    pub fn check_via(&self, mistakes: &mut Mistakes) {
        for (name, account) in &self.accounts {
            let Via::Account(reader) = &account.via else { continue };
            let (problem, remedy) = match self.accounts.get(reader) {
                _ if reader == name => ("names the account itself", "Leave via out: the person then signs in."),
                None => ("names an account that is not there", "Name an account under accounts, or app, or sign_in."),
                Some(Account { via: Via::SignIn, .. }) => continue,
                Some(_) => ("names an account that does not sign in itself", "Name one without a via of its own."),
            };
            let origin = self.origins.of(name.as_str(), "via");
            let mistake = Mistake::new(format!("accounts.{name}.via"), problem, remedy).at(origin);
            mistakes.add(mistake.with_value(reader.as_str()));
        }
    }

    /// The first account that is read by the application's own right.
    pub fn first_by_application(&self) -> Option<(&AccountName, &Account)> {
        self.accounts.iter().find(|(_, account)| account.via == Via::App)
    }
}

struct Parser<'a> {
    name: &'a AccountName,
    mistakes: &'a mut Mistakes,
}

impl Parser<'_> {
    fn field<T>(&mut self, field: &str, text: Option<&Text>, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        let Text { text, origin } = text?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(Wrong { problem, remedy }) => {
                let path = format!("accounts.{}.{field}", self.name);
                self.mistakes.add(Mistake::new(path, problem, remedy).at(origin.clone()).with_value(text));
                None
            }
        }
    }
}

fn via(text: &str) -> Parsed<Via> {
    match text.trim() {
        "sign_in" => Ok(Via::SignIn),
        "app" => Ok(Via::App),
        name => match parse::name(name) {
            Ok(name) => Ok(Via::Account(name)),
            Err(_) => parse::wrong("is not a way to read a presence", "Write sign_in, app, or an account's name."),
        },
    }
}
