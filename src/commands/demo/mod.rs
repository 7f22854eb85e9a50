//! `graph2mqtt demo`: the whole chain in one process, over real sockets.
//!
//! # Layout
//! - `day`: the people and their day, as data.
//! - `stage`: what stands around the program: simulated Entra, Graph and hub, a broker, a configuration.
//! - `witness`: what is seen from outside; `view`: how it is shown.

mod day;
mod stage;
mod view;
mod witness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

use super::roles::{Listeners, Process, Roles};
use super::{Failure, parts};
use crate::bridge;
use crate::mqtt::{Connection, Event, Options, Subscription};
use crate::settings::Settings;
use stage::Stage;
use view::Summary;
use witness::Witness;

/// How long what is on its way at the end may still take.
const LAST_WAY: Duration = Duration::from_secs(5);
/// How long the witness' disconnect may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// `demo`
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Ends by itself after this time, such as 20s
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    how_long: Option<Duration>,
    /// Where the broker listens; another free port of 127.0.0.1 where this one is taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:1883")]
    listen: SocketAddr,
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: jiff::SignedDuration = text.parse().map_err(|_| "write a number and a unit, such as 20s or 5m")?;
    Duration::try_from(parsed).map_err(|_| "a time is not negative".to_owned())
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let stage = Stage::build(arguments.listen).await?;
    // The roles go on at a signal until what is on its way has arrived.
    let (signal, shutdown) = (CancellationToken::new(), CancellationToken::new());
    parts::cancel_at_signal(&signal)?;
    let began = Instant::now();
    let mut witness = Witness::new(began, &stage.cloud, &stage.hub, &stage.settings);
    let (connection, mut events) = watch(&stage.settings, &witness)?;
    let broker = stage::reachable(stage.broker.address());
    view::line(view::heading(&format!("mqtt://{broker}"), broker.port(), &stage.settings.mqtt.base_topic));

    let process = Process::prepare(stage.settings.clone(), Roles::Configured, bridge::Control::default()).await?;
    let running = tokio::spawn(process.run(Listeners::default(), shutdown.clone()));
    let day = tokio::spawn(stage::play(stage.cloud.clone()));
    tokio::select! {
        () = tell(&mut events, &mut witness) => {}
        () = signal.cancelled() => {}
        () = after(arguments.how_long) => {}
    }
    day.abort();
    let (changes, lost) = wind_down(&mut events, &mut witness, &shutdown).await;
    running.await.context("the demo's program ended by a fault")??;
    connection.close(FAREWELL).await;

    let summary = Summary {
        ran: began.elapsed(),
        changes,
        lost,
        commands: witness.commands(),
        ways: std::mem::take(&mut witness.ways),
    };
    view::line(&summary);
    if summary.is_good() { Ok(()) } else { Err(Failure::Reported) }
}

async fn after(how_long: Option<Duration>) {
    match how_long {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Connects the witness to the broker, as any other client.
fn watch(settings: &Settings, witness: &Witness<'_>) -> Result<(Connection, Receiver<Event>), Failure> {
    let subscription = |filter| Subscription { filter, qos: 1, no_local: false };
    let options = Options {
        client_id: format!("graph2mqtt-demo-{:08x}", fastrand::u32(..)),
        may_be_taken: false,
        will: None,
        subscriptions: witness.filters().map(subscription).into(),
    };
    let opened = Connection::open(&settings.mqtt, options, Arc::new(()));
    opened.map_err(|unusable| Failure::Runtime(unusable.into()))
}

/// Shows each change that arrives, until the broker is gone.
async fn tell(events: &mut Receiver<Event>, witness: &mut Witness<'_>) {
    while let Some(event) = events.recv().await {
        show(event, witness);
    }
}

/// Ends the roles when what is on its way has arrived, or takes too long. Answers with how many changes there
/// were, and how many did not arrive.
async fn wind_down(
    events: &mut Receiver<Event>,
    witness: &mut Witness<'_>,
    roles: &CancellationToken,
) -> (usize, usize) {
    let _ = tokio::time::timeout(LAST_WAY, tell_the_rest(events, witness)).await;
    let counted = (witness.changes(), witness.on_the_way());
    roles.cancel();
    counted
}

/// Shows what was on its way when the day ended.
async fn tell_the_rest(events: &mut Receiver<Event>, witness: &mut Witness<'_>) {
    while witness.on_the_way() > 0 {
        match events.recv().await {
            Some(event) => show(event, witness),
            None => return,
        }
    }
}

fn show(event: Event, witness: &mut Witness<'_>) {
    if let Event::Received(message) = event {
        witness.saw(message).iter().for_each(view::line);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::witness::tests::{LIGHT, PRESENCE, graph_tells, message};
    use super::*;

    #[tokio::test]
    async fn the_roles_go_on_until_what_is_on_its_way_has_arrived() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let stage = Stage::build("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let mut witness = Witness::new(Instant::now(), &stage.cloud, &stage.hub, &stage.settings);
        graph_tells(&stage).await;
        let (sender, mut events) = tokio::sync::mpsc::channel(2);
        let roles = CancellationToken::new();
        let mut ending = std::pin::pin!(wind_down(&mut events, &mut witness, &roles));
        for (topic, payload) in [PRESENCE, LIGHT] {
            let waits = futures_util::poll!(&mut ending) == Poll::Pending;
            assert!(waits && !roles.is_cancelled(), "{topic} is still to come");
            sender.send(Event::Received(message(topic, payload))).await.unwrap();
        }
        assert_eq!(ending.await, (1, 0));
        assert!(roles.is_cancelled());
    }
}
