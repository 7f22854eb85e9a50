//! What Home Assistant is told of devices: what each has, when they leave, what they have lost.

use std::time::Duration;

use tokio::time::Instant;

use super::agenda::{Index, Way};
use super::layout::Place;
use super::running::Bridge;
use crate::discovery::{Gone, With, gone};
use crate::mqtt::{Received, Slot, Wanted};
use crate::settings::{self, OnStop, Requests, Settings, Via};

/// Up to so many accounts, `bridge/health` tells when each was last asked for: a few kilobytes a minute.
pub(super) const FEW: usize = 100;

/// How many devices of locations are remembered: a stranger may write any number.
const MOST_LOCATIONS: usize = 1_000;

/// How long a clean stop may take to clear the devices of tens of thousands.
const CLEARING: Duration = Duration::from_secs(20);

/// What the devices of this installation have. `accounts`: how many there are.
pub fn with(settings: &Settings, accounts: usize) -> With {
    With::default()
        .and(With::REQUESTS, settings.mqtt.requests != Requests::None)
        .and(With::PERSON, settings.mqtt.requests == Requests::All)
        .and(With::FEW, accounts <= FEW)
}

/// What an account's device has besides; one without a configuration enrolled.
pub fn with_account(with: With, account: Option<&settings::Account>, may_write: bool) -> With {
    let signs_in = account.is_none_or(|account| account.via == Via::SignIn);
    with.and(With::SIGN_IN, signs_in).and(With::WRITE, may_write)
}

impl Bridge {
    /// Every device is to be sent again.
    pub(super) fn touch_devices(&mut self) {
        self.touch(Place::Bridge);
        let count = self.board.write().accounts.len();
        for index in 0..count as Index {
            self.touch(Place::Device(index));
        }
    }

    /// What accounts that enrolled with a lost store have left behind is cleared.
    pub(super) fn clear_strangers(&mut self) {
        for topic in std::mem::take(&mut self.strangers) {
            self.say_last(&topic, b"");
        }
    }

    /// Locations of our base topic have devices too, which their actuators publish; where one is, is remembered.
    pub(super) fn note_location(&mut self, message: &Received) {
        if !self.board.is_location(&message.topic, &message.payload) {
            self.locations.remove(&message.topic);
        } else if self.locations.len() < MOST_LOCATIONS {
            self.locations.insert(message.topic.clone());
        }
    }

    /// The devices of locations leave Home Assistant, whether or not an actuator runs there to see to it.
    pub(super) fn clear_locations(&mut self) {
        for topic in std::mem::take(&mut self.locations) {
            self.connection.clear(topic);
        }
    }

    /// What Home Assistant's births have sent again.
    pub(super) fn send_again(&mut self, now: Instant) {
        let slots = self.births.take(self.board.slots(), now);
        if slots.start == 0 && !slots.is_empty() {
            tracing::debug!("everything is published again for Home Assistant");
        }
        slots.for_each(|slot| self.connection.changed(slot));
    }

    /// A device of ours was found at the broker. What it had and has no more is remembered, to be told.
    pub(super) fn found_device(&mut self, slot: Slot, payload: &[u8]) {
        let Some(ours) = self.board.render_device(slot) else { return };
        if ours.payload.is_empty() || ours.payload == payload {
            return;
        }
        let mut lost = gone(payload, &ours.payload);
        if !lost.is_empty() {
            lost = self.may_still_write(slot, payload, &lost).unwrap_or(lost);
        }
        if !lost.is_empty() {
            self.board.write().retiring.insert(ours.topic, lost);
            self.retired = false;
        }
    }

    /// Whether an account may set its presence is known with its first token, which may be long in coming. Until
    /// then it may where the device at the broker says so: entities do not leave only to come back. Answers with
    /// what the device has lost all the same.
    fn may_still_write(&mut self, slot: Slot, payload: &[u8], lost: &[Gone]) -> Option<Vec<Gone>> {
        let Place::Device(index) = self.board.layout().place(slot) else { return None };
        let (_, way) = self.agenda.way_of(index)?;
        if !self.settings.graph.write || *way != Way::Own {
            return None;
        }
        let name = {
            let mut board = self.board.write();
            let account = board.accounts.get(index as usize).filter(|account| account.last_answer().is_none())?;
            let name = account.name.clone();
            board.writers.insert(name.clone()).then_some(name)?
        };
        let still_lost = gone(payload, &self.board.render_device(slot)?.payload);
        if still_lost.len() == lost.len() {
            self.board.write().writers.remove(&name);
            return None;
        }
        Some(still_lost)
    }

    /// A round after it was told which components are gone, devices are sent without a word of them.
    pub(super) fn retire(&mut self) {
        if self.board.write().retiring.is_empty() || !self.board.write().online {
            return;
        }
        if std::mem::replace(&mut self.retired, true) {
            self.board.write().retiring.clear();
            self.touch_devices();
        }
    }

    /// An account's grant may let it set its presence since its last token, or not any more.
    pub(super) fn note_writer(&mut self, index: Index) {
        if !self.settings.graph.write {
            return;
        }
        let name = self.board.write().accounts[index as usize].name.clone();
        let may = self.tokens.may_write(&name);
        if may == self.board.write().writers.contains(&name) {
            return;
        }
        let slot = self.board.layout().slot(Place::Device(index));
        let before = self.board.render_device(slot);
        match may {
            true => self.board.write().writers.insert(name),
            false => self.board.write().writers.remove(&name),
        };
        if let Some(before) = before {
            self.found_device(slot, &before.payload);
        }
        self.touch(Place::Device(index));
    }

    /// The end of a clean stop.
    pub(super) async fn farewell(&mut self, limit: Duration) {
        let clears = self.settings.home_assistant.on_stop == OnStop::Clear && self.board.write().online;
        if clears {
            self.board.write().withdrawn = true;
            self.touch_devices();
        }
        self.connection.clone().close(if clears { CLEARING } else { limit }).await;
    }
}
