//! What others ask the bridge for on `<base>/bridge/request/<command>`.
//!
//! [`COMMANDS`] is the table. What needs no more than the bridge itself is answered at once; what asks
//! Entra, Graph or the store becomes a job, so that polling never waits for it.

mod accounts;
mod house;
mod person;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::jobs::{Done, Job};
use super::running::Bridge;
use crate::mqtt::{Arguments, Received, Refused, Request, Ticket};
use crate::settings::Requests;

/// One thing that can be asked for.
pub(super) struct Command {
    name: &'static str,
    /// The members that the JSON object may have, besides `transaction`.
    takes: &'static [&'static str],
    /// Whether it acts as a person, which `mqtt.requests: all` alone allows.
    as_person: bool,
    run: fn(&mut Bridge, &Arguments) -> Result<Outcome, String>,
}

/// What a command comes to.
enum Outcome {
    /// It was done; the answer's data.
    Done(Value),
    /// It is being done.
    Later(Work),
}

/// A command that is being done.
pub(super) type Work = std::pin::Pin<Box<dyn Future<Output = Finished> + Send>>;

/// What a command that took a while brought. The error is for people, and holds no secret.
pub(super) enum Finished {
    /// The answer's data.
    Answer(Result<Value, String>),
    /// Graph was told to show something else of a person, and asked what it shows.
    Written(Box<person::Written>),
}

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { name: "poll", takes: &["account"], as_person: false, run: accounts::poll },
    Command { name: "account/login", takes: &["account"], as_person: true, run: accounts::login },
    Command { name: "account/cancel_login", takes: &["account"], as_person: true, run: accounts::cancel_login },
    Command { name: "account/remove", takes: &["account"], as_person: true, run: accounts::remove },
    Command { name: "account/set_presence", takes: &["account", "availability", "activity", "expires_in"], as_person: true, run: person::set_presence },
    Command { name: "account/set_status_message", takes: &["account", "message", "expires_in"], as_person: true, run: person::set_status_message },
    Command { name: "discovery/publish", takes: &[], as_person: false, run: house::publish_discovery },
    Command { name: "discovery/clear", takes: &[], as_person: false, run: house::clear_discovery },
    Command { name: "log_level", takes: &["level"], as_person: false, run: house::log_level },
    Command { name: "restart", takes: &[], as_person: false, run: house::restart },
    Command { name: "health_check", takes: &[], as_person: false, run: house::health_check },
];

impl Bridge {
    /// Takes a message where it is a request; answers whether it was.
    pub(super) fn on_request(&mut self, message: &Received) -> bool {
        let Some(taken) = self.requests.take(message, Instant::now()) else { return false };
        match taken {
            Ok(request) => self.obey(request),
            Err(Refused::Answered(answer)) => self.connection.answer(answer),
            Err(Refused::Silently(why)) => tracing::debug!("{why}"),
        }
        true
    }

    fn obey(&mut self, request: Request) {
        let Request { command, members, ticket } = request;
        tracing::debug!(command, "asked for");
        match self.allowed(&command).and_then(|known| {
            let arguments = Arguments::new(members, known.takes)?;
            (known.run)(self, &arguments)
        }) {
            Ok(Outcome::Done(data)) => self.connection.answer(ticket.ok(data)),
            Ok(Outcome::Later(work)) => self.jobs.push(later(ticket, work)),
            Err(wrong) => self.connection.answer(ticket.error(&wrong)),
        }
    }

    fn allowed(&self, name: &str) -> Result<&'static Command, String> {
        let known = COMMANDS.iter().find(|command| command.name == name).ok_or_else(|| {
            let names: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
            format!("there is no such command; known are {}", names.join(", "))
        })?;
        if known.as_person && self.settings.mqtt.requests != Requests::All {
            return Err(format!("{name} acts as a person, and is switched off; mqtt.requests: all switches it on"));
        }
        Ok(known)
    }

    /// A command that took a while has ended.
    pub(super) fn on_finished(&mut self, ticket: Ticket, finished: Finished) {
        let outcome = match finished {
            Finished::Answer(outcome) => outcome,
            Finished::Written(written) => self.on_written(*written),
        };
        self.connection.answer(match outcome {
            Ok(data) => ticket.ok(data),
            Err(wrong) => ticket.error(&wrong),
        });
    }

    /// Says how many requests were passed over, not more often than the rounds come.
    pub(super) fn sum_up_requests(&mut self) {
        let passed_over = self.requests.passed_over();
        if passed_over > 0 {
            tracing::warn!("{passed_over} requests were passed over: more than ten a second came in");
        }
    }
}

fn later(ticket: Ticket, work: Work) -> Job {
    Box::pin(async move { Done::Asked { ticket, finished: work.await } })
}

fn done(data: Value) -> Result<Outcome, String> {
    Ok(Outcome::Done(data))
}

/// Nothing to tell but that it was done.
fn nothing() -> Result<Outcome, String> {
    done(json!({}))
}
