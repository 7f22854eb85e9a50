//! How the bridge is: what `bridge/health` tells, once a minute.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::account::Moment;
use super::devices::FEW;
use super::info;
use super::layout::Place;
use super::monitor::Snapshot;
use super::running::Bridge;
use crate::graph;
use crate::presence::AccountName;

/// A round minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The payload of `bridge/health`.
#[derive(Debug, Serialize)]
pub(super) struct Vitals {
    uptime_seconds: u64,
    #[serde(flatten)]
    snapshot: Snapshot,
    graph_calls: u64,
    /// In the last minute.
    requests_per_minute: u64,
    /// The share of what Graph allows that the busiest tenant used in the last minute.
    limit_percent: u64,
    last_error: Option<LastError>,
    /// When Graph last answered about each account, where they are few.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    last_poll: BTreeMap<AccountName, Timestamp>,
}

/// The newest trouble with Graph or Entra.
#[derive(Debug, Clone, Serialize)]
pub(super) struct LastError {
    text: String,
    at: Timestamp,
}

/// What the last minute is measured against.
#[derive(Debug)]
pub(super) struct Pulse {
    began: Instant,
    calls: u64,
    requests_per_minute: u64,
    limit_percent: u64,
    last_error: Option<LastError>,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, calls: 0, requests_per_minute: 0, limit_percent: 0, last_error: None }
    }

    /// A minute is over, or the first part of one.
    fn beat(&mut self, graph: &graph::Client, now: Instant) {
        let minutes = now.duration_since(self.began).as_secs_f64().max(MINUTE.as_secs_f64()) / MINUTE.as_secs_f64();
        let calls = graph.calls().made;
        let a_minute = |count: u64| (count as f64 / minutes).round() as u64;
        self.requests_per_minute = a_minute(calls - self.calls);
        self.limit_percent = a_minute(graph.take_busiest() * 100) / graph::MOST_CALLS_A_MINUTE;
        (self.calls, self.began) = (calls, now);
    }

    /// Something went wrong. The text is for people, and holds no secret.
    pub(super) fn failed(&mut self, text: &str, at: Timestamp) {
        self.last_error = Some(LastError { text: text.to_owned(), at });
    }
}

impl Bridge {
    /// How it is now.
    pub(super) fn vitals(&self) -> Vitals {
        Vitals {
            uptime_seconds: self.begun.elapsed().as_secs(),
            snapshot: self.monitor.snapshot(),
            graph_calls: self.graph.calls().made,
            requests_per_minute: self.pulse.requests_per_minute,
            limit_percent: self.pulse.limit_percent,
            last_error: self.pulse.last_error.clone(),
            last_poll: self.last_polls(),
        }
    }

    fn last_polls(&self) -> BTreeMap<AccountName, Timestamp> {
        let now = Moment::now();
        let board = self.board.write();
        let told = |instant: Instant| now.wall.checked_sub(now.instant.duration_since(instant)).ok();
        let last = board.accounts.iter().take(if board.accounts.len() <= FEW { FEW } else { 0 });
        last.filter_map(|account| Some((account.name.clone(), account.last_answer().and_then(told)?))).collect()
    }

    pub(super) fn write_health(&mut self) {
        self.pulse.beat(&self.graph, Instant::now());
        let health = info::health(&self.vitals());
        self.board.write().health = Some(health);
        self.touch(Place::Health);
    }
}
