//! How much is logged: read strictly from the command line, and changed while the program runs.

use std::sync::Mutex;
use std::sync::PoisonError;

use tracing_subscriber::Registry;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::reload;

use super::Failure;
use crate::bridge::{LEVELS, LogLevel};

/// The log's filter, which takes effect at once.
pub struct Log {
    handle: reload::Handle<Targets, Registry>,
    level: Mutex<LevelFilter>,
}

impl Log {
    /// The layer for the subscriber, and the handle to it.
    ///
    /// # Errors
    /// A filter that names no level: it would silence what was to be seen.
    pub fn new(filter: &str) -> Result<(reload::Layer<Targets, Registry>, Self), Failure> {
        let targets = read(filter).map_err(|wrong| Failure::Usage(format!("--log {filter}: {wrong}")))?;
        let level = Mutex::new(targets.default_level().unwrap_or(LevelFilter::OFF));
        let (layer, handle) = reload::Layer::new(targets);
        Ok((layer, Self { handle, level }))
    }
}

impl LogLevel for Log {
    fn level(&self) -> &'static str {
        let level = *self.level.lock().unwrap_or_else(PoisonError::into_inner);
        LEVELS
            .iter()
            .find(|name| name.parse().is_ok_and(|known: LevelFilter| known == level))
            .copied()
            .unwrap_or("info")
    }

    fn set(&self, level: &str) -> Result<(), String> {
        let filter: LevelFilter = level.parse().map_err(|_| unknown(level))?;
        // As at the start: what rumqttc warns of is said by the connection in its own words.
        let targets = Targets::new().with_default(filter).with_target("rumqttc", filter.min(LevelFilter::ERROR));
        self.handle.reload(targets).map_err(|error| format!("the log's level cannot be changed: {error}"))?;
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = filter;
        Ok(())
    }
}

/// A filter such as `info,graph2mqtt::mqtt=debug`. A bare word that is no level would be taken for a
/// module's name by tracing, and everything else would be silent.
fn read(filter: &str) -> Result<Targets, String> {
    for part in filter.split(',') {
        let level = part.rsplit('=').next().unwrap_or_default().trim();
        if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            return Err(unknown(level));
        }
    }
    filter
        .replace(' ', "")
        .parse()
        .map_err(|error| format!("{error}; use a level, or module=level, separated by commas"))
}

fn unknown(level: &str) -> String {
    let levels = LEVELS.join(", ");
    format!("{level:?} is no level; use one of {levels}, or a filter such as info,graph2mqtt::mqtt=debug")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_is_no_level_is_refused_and_the_levels_are_named() {
        for filter in ["verbose", "", "info,verbose", "graph2mqtt::mqtt", "graph2mqtt=loud", "info,", "3", "a=b=info="]
        {
            let wrong = read(filter).unwrap_err();
            assert!(wrong.contains("error, warn, info, debug, trace, off"), "{filter}: {wrong}");
        }
        for filter in ["info", "DEBUG", "off", "info,rumqttc=error", "info, graph2mqtt::mqtt=debug", "graph2mqtt=trace"]
        {
            assert!(read(filter).is_ok(), "{filter}");
        }
    }

    #[test]
    fn the_level_is_changed_while_the_program_runs() {
        use tracing_subscriber::layer::SubscriberExt;
        let (layer, log) = Log::new("info,rumqttc=error").unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            assert_eq!((log.level(), tracing::enabled!(tracing::Level::DEBUG)), ("info", false));
            log.set("debug").unwrap();
            assert_eq!((log.level(), tracing::enabled!(tracing::Level::DEBUG)), ("debug", true));
            assert!(!tracing::enabled!(target: "rumqttc", tracing::Level::WARN));
            assert!(log.set("verbose").unwrap_err().contains("trace"));
            assert_eq!(log.level(), "debug");
        });
    }
}
