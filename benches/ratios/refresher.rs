//! Refreshing many accounts' tokens in a process of its own: by the program's tokens and store, or by a bare
//! loop of the same requests, which may keep what it got.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use graph2mqtt::entra::{Principal, Tokens};
use graph2mqtt::presence::{AccountName, ObjectId};
use graph2mqtt::settings;
use graph2mqtt::store::{Grant, Origin, Standing, Store};
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, SqlitePool};

use crate::table;

/// How many requests are under way at a time.
const AT_ONCE: usize = 64;
/// How many caches are read one after the other.
const READ: usize = 1_000;
const CLOCK_TICKS: f64 = 100.0;

/// Who does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    /// A loop that does nothing besides.
    Bare,
    /// A loop that makes each pair of tokens durable.
    Keeping,
    /// graph2mqtt.
    Program,
}

/// What is to be done; handed over as a JSON file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Errand {
    /// Who does it.
    pub side: Side,
    /// Entra.
    pub authority: String,
    /// Graph, which is not asked.
    pub graph: String,
    /// The accounts' tenant.
    pub tenant: String,
    /// The application, a public one.
    pub client_id: String,
    /// What is asked for.
    pub scope: String,
    /// For the store.
    pub folder: PathBuf,
    /// Whose tokens.
    pub accounts: Vec<Account>,
}

/// One account.
#[derive(Debug, Serialize, Deserialize)]
pub struct Account {
    /// User principal name.
    pub user: String,
    /// What its sign-in left.
    pub refresh_token: String,
    /// The same; it has expired by now.
    pub access_token: String,
}

/// What it took.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Said {
    /// CPU seconds of all refreshes.
    pub cpu: f64,
    /// Seconds to read one account's cache, the median.
    pub reading: f64,
    /// Bytes resident for each account after its refresh.
    pub memory: f64,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    refresh_token: String,
}

impl From<&Account> for Answer {
    fn from(account: &Account) -> Self {
        Self { access_token: account.access_token.clone(), refresh_token: account.refresh_token.clone() }
    }
}

/// Does the errand and says what it took.
pub fn run(errand: &Path) -> anyhow::Result<()> {
    let errand: Errand = serde_json::from_slice(&std::fs::read(errand)?)?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let said = runtime.block_on(async {
        match errand.side {
            Side::Program => program(errand).await,
            Side::Bare => bare(&errand, None).await,
            Side::Keeping => bare(&errand, Some(Kept::open(&errand).await?)).await,
        }
    })?;
    table::say(&serde_json::to_string(&said)?);
    Ok(())
}

async fn bare(errand: &Errand, kept: Option<Kept>) -> anyhow::Result<Said> {
    let http = client()?;
    let url = format!("{}/{}/oauth2/v2.0/token", errand.authority, errand.tenant);
    let before = cpu()?;
    let requests = stream::iter(errand.accounts.iter().enumerate()).map(|(number, account)| {
        let form = [
            ("grant_type", "refresh_token"),
            ("refresh_token", &account.refresh_token),
            ("scope", &errand.scope),
            ("client_id", &errand.client_id),
        ];
        let request = http.post(&url).form(&form).send();
        async move {
            let body = request.await?.error_for_status()?.bytes().await?;
            anyhow::Ok((number as i64, serde_json::from_slice::<Answer>(&body)?))
        }
    });
    let mut answers = requests.buffer_unordered(AT_ONCE).ready_chunks(AT_ONCE);
    let mut refreshed = 0;
    while let Some(together) = answers.next().await {
        let together: Vec<(i64, Answer)> = together.into_iter().collect::<anyhow::Result<_>>()?;
        anyhow::ensure!(together.iter().all(|(_, answer)| answer.access_token != answer.refresh_token), "no tokens");
        refreshed += together.len();
        if let Some(kept) = &kept {
            kept.keep(&together).await?;
        }
    }
    let cpu = cpu()? - before;
    anyhow::ensure!(refreshed == errand.accounts.len(), "{refreshed} were refreshed");
    Ok(Said { cpu, ..Said::default() })
}

/// Where a bare loop keeps tokens.
struct Kept(SqlitePool);

impl Kept {
    /// With what the sign-ins left.
    async fn open(errand: &Errand) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(errand.folder.join("bare.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        let kept = Self(SqlitePoolOptions::new().max_connections(1).connect_with(options).await?);
        sqlx::query("CREATE TABLE tokens (id INTEGER PRIMARY KEY, refresh TEXT NOT NULL, access TEXT NOT NULL)")
            .execute(&kept.0)
            .await?;
        let numbered: Vec<(i64, Answer)> = (0..).zip(errand.accounts.iter().map(Answer::from)).collect();
        for some in numbered.chunks(AT_ONCE) {
            kept.keep(some).await?;
        }
        Ok(kept)
    }

    /// Returns when they are durable.
    async fn keep(&self, together: &[(i64, Answer)]) -> anyhow::Result<()> {
        let rows = vec!["(?, ?, ?)"; together.len()].join(", ");
        let text = format!(
            "INSERT INTO tokens VALUES {rows} ON CONFLICT (id) DO UPDATE SET refresh = excluded.refresh, \
             access = excluded.access"
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for (number, answer) in together {
            query = query.bind(number).bind(&answer.refresh_token).bind(&answer.access_token);
        }
        query.execute(&self.0).await?;
        Ok(())
    }
}

async fn program(errand: Errand) -> anyhow::Result<Said> {
    let accounts: String = (0..errand.accounts.len())
        .map(|number| format!("  p{number}: {{ user: p{number}@{} }}\n", errand.tenant))
        .collect();
    let yaml = format!(
        "entra: {{ authority: '{}', tenant: {}, client_id: {} }}\ngraph: {{ endpoint: '{}' }}\naccounts:\n{accounts}",
        errand.authority, errand.tenant, errand.client_id, errand.graph
    );
    let settings = settings::from_yaml(&yaml, &errand.folder).map_err(|mistakes| anyhow::anyhow!("{mistakes}"))?;
    let store = Store::open(&settings.store.url, &settings.store.key_file).await?;
    let names: Vec<AccountName> =
        (0..errand.accounts.len()).map(|number| Ok(format!("p{number}").parse()?)).collect::<anyhow::Result<_>>()?;
    for (name, account) in names.iter().zip(&errand.accounts) {
        store.put_grant(grant(name, account)?).await?;
    }
    drop((errand, yaml, accounts));
    let tokens = Tokens::new(&settings, client()?, store.clone())?;
    let principals: Vec<Principal> = names.iter().cloned().map(Principal::Account).collect();
    // One refresh beforehand opens what is opened once.
    tokens.access(&principals[0]).await?;
    let (before, resident_before) = (cpu()?, resident()?);
    stream::iter(&principals)
        .map(|who| tokens.access(who))
        .buffer_unordered(AT_ONCE)
        .try_for_each(|_| std::future::ready(Ok(())))
        .await?;
    let (cpu, resident) = (cpu()? - before, resident()? - resident_before);
    let mut readings = Vec::with_capacity(READ);
    for name in names.iter().step_by(names.len() / READ) {
        let start = Instant::now();
        store.grant(name).await?.context("a grant")?;
        readings.push(start.elapsed().as_secs_f64());
    }
    readings.sort_by(f64::total_cmp);
    let memory = resident / principals.len() as f64;
    Ok(Said { cpu, reading: table::percentile(&readings, 0.5), memory })
}

fn grant(name: &AccountName, account: &Account) -> anyhow::Result<Grant> {
    let cache = json!({
        "refresh_token": account.refresh_token, "access_token": account.access_token, "permissions": ["Presence.Read"],
        "obtained_at": "2020-01-01T00:00:00Z", "expires_at": "2020-01-01T01:00:00Z",
    });
    let id: ObjectId = "00000000-0000-4000-8000-000000000001".parse()?;
    Ok(Grant {
        id: String::new(),
        account: name.clone(),
        origin: Origin::Configured,
        tenant_id: id,
        object_id: id,
        username: account.user.clone(),
        user: account.user.clone(),
        confidential: false,
        version: 0,
        refreshed_at: jiff::Timestamp::UNIX_EPOCH,
        standing: Standing::Ok,
        cache: cache.to_string().into(),
    })
}

fn client() -> anyhow::Result<Client> {
    Ok(Client::builder().no_proxy().tls_certs_only([]).timeout(Duration::from_secs(30)).build()?)
}

/// CPU seconds of this process, the kernel's work for it included.
fn cpu() -> anyhow::Result<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).context("/proc/self/stat");
    Ok((ticks(11)? + ticks(12)?) / CLOCK_TICKS)
}

/// Bytes resident.
fn resident() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0)
}
