//! The long-running roles of a process: prepared, run until they are told to stop, and ended cleanly.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Failure, Global, Log, parts, restart};
use crate::actuator::Actuator;
use crate::entra::Tokens;
use crate::settings::{self, Settings};
use crate::{bridge, graph, web};

/// Which roles a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Roles {
    /// Whatever the configuration has work for.
    Configured,
    /// The bridge alone.
    Bridge,
    /// The actuator alone.
    Actuator,
}

impl Roles {
    /// Whether the bridge and the actuator run, or why there is nothing to run.
    fn select(self, settings: &Settings) -> Result<(bool, bool), Failure> {
        let (accounts, lights) = (settings.has_people(), !settings.lights.is_empty());
        let (selected, missing) = match self {
            Self::Configured => {
                ((accounts, lights), "accounts or web.enrol.tenants (for the bridge) or lights (for the actuator)")
            }
            Self::Bridge => ((accounts, false), "accounts or web.enrol.tenants"),
            Self::Actuator => ((false, lights), "lights"),
        };
        if selected == (false, false) {
            return Err(Failure::Usage(format!(
                "there is nothing to run: the configuration has no {missing}; see config/graph2mqtt.example.yaml"
            )));
        }
        Ok(selected)
    }
}

/// Runs roles from the command line until a signal.
pub(super) async fn run(global: &Global, roles: Roles, log: Arc<Log>) -> Result<(), Failure> {
    let settings = Arc::new(parts::settings(global)?);
    let shutdown = CancellationToken::new();
    let restart = restart::Restart::new(global, &shutdown);
    let control = bridge::Control { log: Some(log), restart: Some(restart.asked()) };
    let process = Process::prepare(settings.clone(), roles, control).await?;
    let listeners = Listeners::bind(&settings.web).await;
    parts::cancel_at_signal(&shutdown)?;
    process.run(listeners, shutdown).await?;
    restart.if_asked()
}

/// Where the process is asked: for its pages, and for health and metrics where those are elsewhere.
#[derive(Default)]
pub(super) struct Listeners {
    pages: Option<TcpListener>,
    health: Option<TcpListener>,
}

impl Listeners {
    async fn bind(web: &settings::Web) -> Self {
        let pages = listen("web.listen", web.listen).await;
        let health = match web.metrics_listen {
            Some(address) => listen("web.metrics_listen", address).await,
            None => None,
        };
        Self { pages, health }
    }
}

async fn listen(key: &'static str, address: SocketAddr) -> Option<TcpListener> {
    let unbound = match web::bind(key, address).await {
        Ok(listener) => return Some(listener),
        Err(unbound) => unbound,
    };
    // Presence is worth more than its pages: a second role on one machine still does its work.
    tracing::warn!("{unbound}; going on without");
    None
}

/// The roles of this process, ready to run.
pub(super) struct Process {
    settings: Arc<Settings>,
    bridge: Option<bridge::Parts>,
    actuator: Option<Actuator>,
}

impl Process {
    /// Opens the store and makes what the roles need. `control` is what requests may do to the process.
    pub(super) async fn prepare(
        settings: Arc<Settings>,
        roles: Roles,
        control: bridge::Control,
    ) -> Result<Self, Failure> {
        let (with_bridge, with_actuator) = roles.select(&settings)?;
        let store = parts::store(&settings).await?;
        let bridge = if with_bridge {
            let http = parts::http(&settings)?;
            let tokens = Tokens::new(&settings, http.clone(), store.clone())
                .map_err(|trouble| Failure::Usage(trouble.to_string()))?;
            Some(bridge::Parts {
                settings: settings.clone(),
                store: store.clone(),
                graph: graph::Client::new(&settings.graph, http, tokens.clone()),
                tokens,
                monitor: bridge::Monitor::new(),
                shutdown: CancellationToken::new(),
                control,
            })
        } else {
            None
        };
        let actuator = with_actuator.then(|| Actuator::new(settings.clone(), store));
        Ok(Self { settings, bridge, actuator })
    }

    /// The bridge's view from outside.
    pub(super) fn monitor(&self) -> Option<bridge::Monitor> {
        self.bridge.as_ref().map(|bridge| bridge.monitor.clone())
    }

    /// What health and metrics show.
    fn status(&self) -> impl Fn() -> web::Status + Send + Sync + 'static {
        let monitor = self.monitor();
        let actuator = self.actuator.as_ref().map(Actuator::state);
        move || web::Status {
            bridge: monitor.as_ref().map(bridge::Monitor::snapshot),
            actuator: actuator.as_ref().map(|state| web::Actuator {
                connected: state.is_connected(),
                lights: state.lights(),
                hubs: state.hubs(),
            }),
        }
    }

    fn pages(&self) -> web::Site {
        let bridge = self.bridge.as_ref();
        let bridge =
            bridge.map(|bridge| web::Bridge { monitor: bridge.monitor.clone(), sign_ins: bridge.tokens.sign_ins() });
        let pairings = self.actuator.as_ref().map(|actuator| actuator.state().pairings());
        let (settings, status) = (self.settings.clone(), Arc::new(self.status()));
        web::Site::pages(web::Pages { settings, status, bridge, pairings })
    }

    fn health(&self) -> web::Site {
        let web = &self.settings.web;
        web::Site::health(web::Hosts::new(web.health_listen(), &web.hosts), self.status())
    }

    /// Runs until the shutdown, or until a role fails; then the others end cleanly too.
    pub(super) async fn run(self, listeners: Listeners, shutdown: CancellationToken) -> Result<(), Failure> {
        let mut running = JoinSet::<Result<(), Failure>>::new();
        let sites =
            [listeners.pages.map(|listener| (listener, self.pages())), listeners.health.map(|l| (l, self.health()))];
        for (listener, site) in sites.into_iter().flatten() {
            let stop = shutdown.clone();
            running.spawn(async move {
                web::serve(listener, site, stop.cancelled_owned()).await;
                Ok(())
            });
        }
        if let Some(parts) = self.bridge {
            running.spawn(bridge(bridge::Parts { shutdown: shutdown.clone(), ..parts }));
        }
        if let Some(actuator) = self.actuator {
            let shutdown = shutdown.clone();
            running
                .spawn(async move { actuator.run(shutdown).await.map_err(|error| Failure::Usage(error.to_string())) });
        }
        let mut outcome = Ok(());
        while let Some(ended) = running.join_next().await {
            shutdown.cancel();
            let ended = ended.context("a role ended by a fault of the program").map_err(Failure::from).flatten();
            outcome = outcome.and(ended);
        }
        outcome
    }
}

async fn bridge(parts: bridge::Parts) -> Result<(), Failure> {
    bridge::run(parts).await.map_err(|failure| match failure {
        bridge::Failure::Misconfigured(text) => Failure::Usage(text),
        bridge::Failure::Unable(text) => Failure::Runtime(anyhow::Error::msg(text)),
    })
}
