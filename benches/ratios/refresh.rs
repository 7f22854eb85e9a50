//! Ten thousand accounts whose tokens fall due in one window: what their refreshes cost, what reading one
//! account's cache takes, and what memory an account takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use graph2mqtt::simulator::{Application, Cloud};
use serde_json::Value;

use crate::refresher::{Account, Errand, Said, Side};
use crate::table::{Bar, Figure, Row, Unit};
use crate::world::{on, runtime};

/// What comes of it. The bare loop of the first row sends the same requests, plain http, over as many connections,
/// reads the tokens out of the answers and keeps nothing: that graph2mqtt reads each grant from the store and opens
/// its seal, and seals the new one and makes it durable before it forgets the old one, counts against it. The bare
/// loop of the second row also makes each pair of tokens durable, unsealed, in SQLite with the same care
/// (write-ahead log, `synchronous = FULL`): what has been answered at one time is one statement and one commit.
pub const ROWS: &[&str] = &[
    "refreshes of 10,000 accounts, CPU",
    "refreshes beside a bare loop that keeps the tokens, CPU",
    "reading one account's cache, p50",
    "memory for each account's token",
];

const PEOPLE: usize = 10_000;
/// How often each side takes its turn.
const TURNS: usize = 2;
const TENANT: &str = "example.com";
const CLIENT_ID: &str = "6731de76-14a6-49ae-97bc-6eba6914391e";
const SCOPE: &str = "openid profile offline_access Presence.Read";

/// Both sides as children of this file, so that the simulator's work is not counted.
pub fn measure(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let cloud = on(&runtime()?, Cloud::start())??;
    cloud.add_tenant(TENANT);
    cloud.add_application(Application::public(CLIENT_ID, TENANT).delegated(&["Presence.Read"]));
    let people: Vec<String> = (0..PEOPLE).map(|number| format!("p{number}@{TENANT}")).collect();
    for upn in &people {
        cloud.add_person(upn, upn);
    }
    let (mut bare, mut keeping, mut program) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        for (side, results) in [(Side::Bare, &mut bare), (Side::Keeping, &mut keeping), (Side::Program, &mut program)] {
            let folder = folder.join(format!("refresh-{turn}-{side:?}"));
            fs::create_dir_all(&folder)?;
            results.push(one_turn(&cloud, &people, side, &folder)?);
        }
    }
    Ok(rows(&bare, &keeping, &program))
}

fn one_turn(cloud: &Cloud, people: &[String], side: Side, folder: &Path) -> anyhow::Result<Said> {
    let account = |upn: &String| -> anyhow::Result<Account> {
        let answer: Value = cloud.sign_in(CLIENT_ID, upn, SCOPE);
        let token = |name: &str| anyhow::Ok(answer[name].as_str().with_context(|| name.to_owned())?.to_owned());
        let (refresh_token, access_token) = (token("refresh_token")?, token("access_token")?);
        anyhow::Ok(Account { user: upn.clone(), refresh_token, access_token })
    };
    let errand = Errand {
        side,
        authority: cloud.authority(),
        graph: cloud.graph(),
        tenant: TENANT.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        scope: SCOPE.to_owned(),
        folder: folder.to_owned(),
        accounts: people.iter().map(account).collect::<anyhow::Result<_>>()?,
    };
    let file = folder.join("errand.json");
    fs::write(&file, serde_json::to_vec(&errand)?)?;
    let mut command = Command::new(std::env::current_exe().context("this file")?);
    let output = command.arg("--refresh").arg(&file).output()?;
    if !output.status.success() {
        bail!("the refreshes failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("what the refreshes showed")
}

fn rows(bare: &[Said], keeping: &[Said], program: &[Said]) -> Vec<Row> {
    let figure = |said: &[Said], value: fn(&Said) -> f64| Figure::of_runs(&said.iter().map(value).collect::<Vec<_>>());
    let row = |name, unit, bar, bare: &[Said], value: fn(&Said) -> f64| {
        let bare = figure(bare, value);
        figure(program, value).map(|program| Row { name, unit, bare, program, bar })
    };
    [
        row(ROWS[0], Unit::Seconds, Bar::Ratio(1.5), bare, |said| said.cpu),
        row(ROWS[1], Unit::Seconds, Bar::None, keeping, |said| said.cpu),
        row(ROWS[2], Unit::Seconds, Bar::AtMost(0.2e-3), &[], |said| said.reading),
        row(ROWS[3], Unit::Bytes, Bar::AtMost(3e3), &[], |said| said.memory),
    ]
    .into_iter()
    .flatten()
    .collect()
}
