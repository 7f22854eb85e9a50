//! Ten thousand accounts whose tokens fall due in one window: what their refreshes cost, what reading one
//! account's cache takes, and what memory an account takes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use graph2mqtt::simulator::{Application, Cloud};
use serde_json::Value;

use crate::refresher::{Account, Errand, Said};
use crate::table::{Bar, Figure, Row, Unit};
use crate::world::{on, runtime};

/// What comes of it. The bare loop sends the same requests over as many connections, reads the tokens out of the
/// answers and keeps nothing: that graph2mqtt reads each grant from the store, and makes the new one durable before
/// it forgets the old one, counts against it.
pub const ROWS: &[&str] =
    &["refreshes of 10,000 accounts, CPU", "reading one account's cache, p50", "memory for each account's token"];

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
    let (mut bare, mut program) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        for (bare_side, results) in [(true, &mut bare), (false, &mut program)] {
            let folder = folder.join(format!("refresh-{turn}-{bare_side}"));
            fs::create_dir_all(&folder)?;
            results.push(one_turn(&cloud, &people, bare_side, &folder)?);
        }
    }
    Ok(rows(&bare, &program))
}

fn one_turn(cloud: &Cloud, people: &[String], bare: bool, folder: &Path) -> anyhow::Result<Said> {
    let account = |upn: &String| -> anyhow::Result<Account> {
        let answer: Value = cloud.sign_in(CLIENT_ID, upn, SCOPE);
        let refresh_token = answer["refresh_token"].as_str().context("a refresh token")?.to_owned();
        Ok(Account { user: upn.clone(), refresh_token })
    };
    let errand = Errand {
        bare,
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

fn rows(bare: &[Said], program: &[Said]) -> Vec<Row> {
    let figure = |said: &[Said], value: fn(&Said) -> f64| Figure::of_runs(&said.iter().map(value).collect::<Vec<_>>());
    let row = |name, unit, bar, with_bare: bool, value: fn(&Said) -> f64| {
        let bare = with_bare.then(|| figure(bare, value)).flatten();
        figure(program, value).map(|program| Row { name, unit, bare, program, bar })
    };
    [
        row(ROWS[0], Unit::Seconds, Bar::Ratio(1.5), true, |said| said.cpu),
        row(ROWS[1], Unit::Seconds, Bar::AtMost(0.2e-3), false, |said| said.reading),
        row(ROWS[2], Unit::Bytes, Bar::AtMost(3e3), false, |said| said.memory),
    ]
    .into_iter()
    .flatten()
    .collect()
}
