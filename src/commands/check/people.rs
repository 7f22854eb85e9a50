//! Entra and Graph: every right by which somebody is read, and the people read by it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Report};
use crate::commands::{Failure, parts};
use crate::entra::{Errand, OwnRight, Principal, Registration, Tokens};
use crate::graph::{self, BATCH, Client};
use crate::presence::{AccountName, ObjectId, Presence};
use crate::settings::{Account, Settings, User, Via};
use crate::store::Store;

/// The most accounts that are tried one by one for each right: enough to see what is missing, few
/// enough beside a bridge that runs. (By object id, up to 650 are tried in one call.)
const ONE_BY_ONE: usize = 25;

/// Where the application's own right is a managed identity's.
const IDENTITY: &str = "the managed identity has a token for Graph";

/// The accounts that are read by one right in one tenant.
type Readers<'a> = BTreeMap<(Option<&'a AccountName>, &'a str), Vec<(&'a AccountName, &'a Account)>>;

pub(super) async fn check(settings: &Settings, store: &Store, report: &mut Report) -> Result<(), Failure> {
    let http = match parts::http(settings) {
        Ok(http) => http,
        Err(failure) => return report.add(&Finding::new("entra and graph", Err(format!("not tried: {failure}")))),
    };
    let tokens = match Tokens::new(settings, http.clone(), store.clone()) {
        Ok(tokens) => tokens,
        Err(trouble) => return report.add(&Finding::new("entra", Err(trouble.to_string()))),
    };
    let check = Check { client: Client::new(&settings.graph, http, tokens.clone()), tokens, report };
    check.all(settings).await
}

struct Check<'a> {
    tokens: Tokens,
    client: Client,
    report: &'a mut Report,
}

impl Check<'_> {
    async fn all(mut self, settings: &Settings) -> Result<(), Failure> {
        let default = settings.entra.as_ref().map(|entra| entra.tenant.as_str()).unwrap_or_default();
        let tenant = |account: &'_ Account| -> String { account.tenant.as_deref().unwrap_or(default).to_owned() };
        let own = settings.accounts.iter().filter(|(_, account)| account.via == Via::SignIn);
        for (count, (name, account)) in own.enumerate() {
            if count == ONE_BY_ONE {
                self.leave_out("accounts that sign in")?;
                break;
            }
            self.signed_in(name, &tenant(account), settings.graph.write).await?;
        }
        let signs_in = settings.accounts.values().any(|account| account.via == Via::SignIn);
        let together = match settings.web.enrol.len() {
            0 => Registration::Unsaid,
            1 if signs_in => Registration::Unsaid,
            _ => self.tokens.registration(&Errand::Enrol, None, &settings.web.public_url.redirect_uri()).await,
        };
        let known = if signs_in { self.registration(settings, default).await? } else { together };
        self.way_back(settings, known)?;
        self.enrolment(settings, together).await?;
        self.credential(settings).await?;
        let mut readers = Readers::new();
        for (name, account) in &settings.accounts {
            let via = match &account.via {
                Via::SignIn => continue,
                Via::App => None,
                Via::Account(other) => Some(other),
            };
            readers.entry((via, account.tenant.as_deref().unwrap_or(default))).or_default().push((name, account));
        }
        for ((via, tenant), people) in readers {
            let who = match via {
                None => Principal::Application(tenant.into()),
                Some(account) => Principal::Account(account.clone()),
            };
            self.read_by(&who, tenant, &people).await?;
        }
        match self.tokens.clock_complaint() {
            Some(off) => {
                let wrong = format!("this machine's clock is {off}; set it, such as by timedatectl set-ntp true");
                self.report.add(&Finding::new("clock", Err(wrong)))
            }
            None => Ok(()),
        }
    }

    /// Whether each tenant whose people sign in knows the application; and what the first that does says of it.
    async fn registration(&mut self, settings: &Settings, default: &str) -> Result<Registration, Failure> {
        let uri = settings.web.public_url.redirect_uri();
        let mut tenants = BTreeSet::new();
        let own = settings.accounts.iter().filter(|(_, account)| account.via == Via::SignIn);
        let of_each = own.filter(|(_, account)| tenants.insert(account.tenant.as_deref().unwrap_or(default)));
        let mut known = None;
        for (count, (name, account)) in of_each.enumerate() {
            if count == ONE_BY_ONE {
                self.leave_out("tenants whose people sign in")?;
                break;
            }
            let registration = self.tokens.registration(&Errand::Account(name.clone()), None, &uri).await;
            let Registration::Wrong(words) = registration else {
                known.get_or_insert(registration);
                continue;
            };
            let wrong = match &account.tenant {
                Some(tenant) => format!("accounts.{name}.tenant: {tenant}: {words}"),
                None => words.to_owned(),
            };
            self.report.add(&Finding::new("entra", Err(wrong)))?;
        }
        Ok(known.unwrap_or(Registration::Wrong("no tenant knows the application")))
    }

    /// Whether Entra would send a browser back to the pages. Who does not know the application, is told elsewhere.
    fn way_back(&mut self, settings: &Settings, registration: Registration) -> Result<(), Failure> {
        let nobody = settings.web.enrol.is_empty() && !settings.accounts.values().any(|own| own.via == Via::SignIn);
        if nobody || matches!(registration, Registration::Wrong(_)) {
            return Ok(());
        }
        let public_url = &settings.web.public_url;
        let uri = public_url.redirect_uri();
        let outcome = match (public_url.unusable(), registration) {
            (Some(reason), _) => Err(format!("web.public_url: {reason}")),
            (None, Registration::Whole) => Ok(format!("people can sign in in a browser; {uri} is registered")),
            // Whoever sets nothing may never want it: a code needs no redirect URI.
            (None, known) if public_url.is_local() || known == Registration::Unsaid => {
                Ok(format!("to sign in in a browser, register the redirect URI {uri}; a code needs none"))
            }
            (None, _) => Err(format!(
                "web.public_url: the application has no redirect URI {uri}; add it under Authentication, platform \
                 \"Mobile and desktop applications\", or \"Web\" where a secret or certificate is set"
            )),
        };
        self.report.add(&Finding::new("pages", outcome))
    }

    /// Whether each tenant whose people may add themselves is one and knows the application, and whether there is one
    /// place where all of them sign in.
    async fn enrolment(&mut self, settings: &Settings, together: Registration) -> Result<(), Failure> {
        let uri = settings.web.public_url.redirect_uri();
        // Of one alone, it is the same that is asked of each.
        let together = if settings.web.enrol.len() > 1 { together } else { Registration::Unsaid };
        if let Registration::Wrong(words) = together {
            self.report.add(&Finding::new("entra enrol", Err(format!("web.enrol.tenants: {words}"))))?;
        }
        for tenant in settings.web.enrol.iter().take(ONE_BY_ONE) {
            let outcome = match self.tokens.tenant_id(tenant).await {
                Err(trouble) => Err(format!("web.enrol.tenants: {trouble}")),
                Ok(_) => match self.tokens.registration(&Errand::Enrol, Some(tenant), &uri).await {
                    Registration::Wrong(words) => Err(format!("web.enrol.tenants: {tenant}: {words}")),
                    _ if matches!(together, Registration::Wrong(_)) => continue,
                    _ => Ok(format!("people of {tenant} may add themselves")),
                },
            };
            self.report.add(&Finding::new("entra enrol", outcome))?;
        }
        if settings.web.enrol.len() > ONE_BY_ONE {
            self.leave_out("tenants of web.enrol.tenants")?;
        }
        Ok(())
    }

    /// Whether the application can prove itself, where no account is read by its own right: otherwise the
    /// first to notice would be somebody who signs in.
    async fn credential(&mut self, settings: &Settings) -> Result<(), Failure> {
        let Some(entra) = settings.entra.as_ref().filter(|entra| entra.credential.is_some()) else { return Ok(()) };
        if settings.accounts.values().any(|account| account.via == Via::App) {
            return Ok(());
        }
        let is_identity = self.tokens.own_right(&entra.tenant) == OwnRight::Identity;
        if is_identity || entra.tenant != "organizations" {
            let who = Principal::Application(entra.tenant.as_str().into());
            let good = match is_identity {
                true => IDENTITY.to_owned(),
                false => format!("the application proves itself in tenant {}", entra.tenant),
            };
            return self.token(&who, "entra app".to_owned(), good).await.map(|_| ());
        }
        let tenants = settings.accounts.values().filter_map(|account| account.tenant.as_deref());
        let tenant = tenants.chain(settings.web.enrol.iter().map(|tenant| &**tenant)).next();
        let outcome = match (self.tokens.credential(tenant).await, tenant) {
            (Err(trouble), _) => Err(trouble.to_string()),
            (Ok(true), Some(tenant)) => Ok(format!("the application proves itself in tenant {tenant}")),
            (Ok(_), _) => Ok("the application's credential is there; Entra sees it when somebody signs in".to_owned()),
        };
        self.report.add(&Finding::new("entra app", outcome))
    }

    /// An account that reads its own presence.
    async fn signed_in(&mut self, name: &AccountName, tenant: &str, writes: bool) -> Result<(), Failure> {
        let who = Principal::Account(name.clone());
        if self.token(&who, format!("entra {name}"), "is signed in".to_owned()).await? {
            if let (true, Err(wrong)) = (writes, self.tokens.must_write(name)) {
                self.report.add(&Finding::new(format!("entra {name}"), Err(wrong)))?;
            }
            let outcome = self.client.mine(&who, tenant).await.map(|reading| said(&reading.presence));
            self.graph(format!("graph {name}"), outcome)?;
        }
        Ok(())
    }

    /// Accounts that are read by the right of the application or of another account.
    async fn read_by(
        &mut self,
        who: &Principal,
        tenant: &str,
        people: &[(&AccountName, &Account)],
    ) -> Result<(), Failure> {
        if let Principal::Application(_) = who {
            let text = match self.tokens.own_right(tenant) {
                OwnRight::Identity => IDENTITY.to_owned(),
                OwnRight::Application { .. } => format!("the application has a token for tenant {tenant}"),
            };
            if !self.token(who, "entra app".to_owned(), text).await? {
                return Ok(());
            }
        }
        let mut ids = Vec::new();
        let mut looked_up = 0;
        for (name, account) in people {
            match &account.user {
                User::Id(id) => ids.push((*name, *id)),
                User::Name(_) if looked_up == ONE_BY_ONE => {}
                User::Name(user) => {
                    looked_up += 1;
                    match self.client.user_id(who, tenant, user).await {
                        Ok(id) => ids.push((*name, id)),
                        Err(trouble) => self.graph(format!("graph {name}"), Err(trouble))?,
                    }
                }
            }
        }
        if looked_up == ONE_BY_ONE {
            self.leave_out("accounts given by name")?;
        }
        for batch in ids.chunks(BATCH).take(1) {
            self.batch(who, tenant, batch).await?;
        }
        if ids.len() > BATCH {
            self.leave_out("accounts given by object id")?;
        }
        Ok(())
    }

    async fn batch(
        &mut self,
        who: &Principal,
        tenant: &str,
        people: &[(&AccountName, ObjectId)],
    ) -> Result<(), Failure> {
        let ids: Vec<ObjectId> = people.iter().map(|(_, id)| *id).collect();
        let readings = match self.client.presences(who, tenant, &ids).await {
            Ok(readings) => readings,
            Err(trouble) => {
                let subject = match people {
                    [(only, _)] => format!("graph {only}"),
                    _ => format!("graph {} people", people.len()),
                };
                return self.graph(subject, Err(trouble));
            }
        };
        let presences: BTreeMap<ObjectId, Presence> =
            readings.into_iter().filter_map(|reading| Some((reading.user_id?, reading.presence))).collect();
        let mut found = 0;
        for (name, id) in people {
            match presences.get(id) {
                Some(_) if people.len() > ONE_BY_ONE => found += 1,
                Some(presence) => self.report.add(&Finding::new(format!("graph {name}"), Ok(said(presence))))?,
                None => {
                    let wrong = format!(
                        "Graph knows no presence of {id}; is accounts.{name}.user the object id of somebody in this \
                         tenant who has Teams?"
                    );
                    self.report.add(&Finding::new(format!("graph {name}"), Err(wrong)))?;
                }
            }
        }
        if found > 0 {
            self.report.add(&Finding::new("graph", Ok(format!("the presence of {found} people can be read"))))?;
        }
        Ok(())
    }

    /// Whether this right has a token.
    async fn token(&mut self, who: &Principal, subject: String, good: String) -> Result<bool, Failure> {
        let outcome = self.tokens.access(who).await.map(|_| good).map_err(|trouble| trouble.to_string());
        let usable = outcome.is_ok();
        self.report.add(&Finding::new(subject, outcome))?;
        Ok(usable)
    }

    fn graph(&mut self, subject: String, outcome: Result<String, graph::Trouble>) -> Result<(), Failure> {
        self.report.add(&Finding::new(subject, outcome.map_err(|trouble| trouble.to_string())))
    }

    fn leave_out(&mut self, whom: &str) -> Result<(), Failure> {
        self.report.add(&Finding::new("graph", Ok(format!("the other {whom} are not tried"))))
    }
}

fn said(presence: &Presence) -> String {
    format!("{}, {}", presence.availability, presence.activity)
}
