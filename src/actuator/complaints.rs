//! The troubles of a hub and its lights that last: each is said once, and its end too.

use super::board::{Board, slot};
use super::drive::Manner;
use crate::lights::{Hub, Obeyed, Trouble};
use crate::mqtt::Connection;

pub(super) struct Complaints<'a> {
    hub: &'a Hub,
    manners: &'a [Manner],
    board: &'a Board,
    connection: &'a Connection,
    /// As they were said.
    of_hub: Option<String>,
    of_lights: Vec<Option<String>>,
}

impl<'a> Complaints<'a> {
    pub fn new(hub: &'a Hub, manners: &'a [Manner], board: &'a Board, connection: &'a Connection) -> Self {
        Self { hub, manners, board, connection, of_hub: None, of_lights: vec![None; manners.len()] }
    }

    pub fn obeyed(&mut self, light: usize, obeyed: &Obeyed) {
        let name = &self.hub.lights[light].0;
        self.answers();
        if self.of_lights[light].take().is_some() {
            tracing::info!(hub = %self.hub.name, light = %name, "the light obeys again");
        }
        if let Some(advice) = &obeyed.advice {
            tracing::debug!(hub = %self.hub.name, light = %name, advice, "the hub says beside it");
        }
    }

    pub fn failed(&mut self, light: usize, trouble: &Trouble) {
        let reason = trouble.to_string();
        let said = match trouble {
            Trouble::Light { .. } => {
                self.answers();
                self.unreachable(light, &reason);
                &mut self.of_lights[light]
            }
            Trouble::Hub { .. } | Trouble::Stop { .. } => {
                (0..self.manners.len()).for_each(|light| self.unreachable(light, &reason));
                &mut self.of_hub
            }
        };
        if said.as_ref() != Some(&reason) {
            match trouble {
                Trouble::Stop { .. } => tracing::error!("{reason}"),
                _ => tracing::warn!("{reason}; it is tried again"),
            }
            *said = Some(reason);
        }
    }

    /// The hub answers: what was said of it is over, and what was said of single lights is not.
    pub fn answers(&mut self) {
        if self.of_hub.take().is_none() {
            return;
        }
        tracing::info!(hub = %self.hub.name, "the hub obeys again");
        for (manner, said) in self.manners.iter().zip(&self.of_lights) {
            self.board.light(manner.place, |entry| {
                entry.unreachable = said.is_some();
                entry.error.clone_from(said);
            });
            self.connection.changed(slot(manner.place));
        }
    }

    fn unreachable(&self, light: usize, reason: &str) {
        let place = self.manners[light].place;
        self.board.light(place, |entry| entry.unreachable(reason));
        self.connection.changed(slot(place));
    }
}
