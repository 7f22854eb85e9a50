//! A new start that somebody asked for over MQTT: a clean end, and then the same program with the same
//! arguments in the same process, so that no supervisor has to be there.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use super::{Failure, Global, parts};
use crate::bridge;

/// Whether a new start was asked for.
pub(super) struct Restart {
    global: Global,
    shutdown: CancellationToken,
    asked: CancellationToken,
}

impl Restart {
    /// Whoever asks also cancels `shutdown`.
    pub(super) fn new(global: &Global, shutdown: &CancellationToken) -> Self {
        Self { global: global.clone(), shutdown: shutdown.clone(), asked: CancellationToken::new() }
    }

    /// Asks. A configuration with mistakes would be the end of the program, so it is read first.
    pub(super) fn asked(&self) -> Arc<bridge::Restart> {
        let (global, shutdown, asked) = (self.global.clone(), self.shutdown.clone(), self.asked.clone());
        Arc::new(move || {
            if let Err(mistakes) = parts::settings(&global) {
                tracing::warn!("the program was asked to start anew, and goes on: {mistakes}");
                return Err("the configuration has mistakes, so the program goes on with the one that it has; \
                            its log and `graph2mqtt config show` name them"
                    .into());
            }
            tracing::info!("starting anew, as asked");
            asked.cancel();
            shutdown.cancel();
            Ok(())
        })
    }

    /// Becomes the new start, where it was asked for.
    pub(super) fn if_asked(&self) -> Result<(), Failure> {
        if !self.asked.is_cancelled() {
            return Ok(());
        }
        let program = std::env::current_exe().context("the program does not find itself to start anew")?;
        let error = Command::new(program).args(std::env::args_os().skip(1)).exec();
        Err(anyhow::Error::new(error).context("the program cannot start anew").into())
    }
}
