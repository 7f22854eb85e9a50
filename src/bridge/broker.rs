//! The broker's side of a running bridge: what was found there at the start, and what it tells later.

use tokio::time::Instant;

use super::Failure;
use super::account::Moment;
use super::board::Described;
use super::contest::{Contest, Step};
use super::info::Owner;
use super::layout::Place;
use super::readback::{ReadBack, Reading, last_word};
use super::running::{Bridge, Phase};
use super::sign_in::SignIn;
use super::topics::{Leaf, Topics};
use crate::discovery;
use crate::mqtt::{self, Event, Message, Options, Received, Slot, Subscription, Wanted};
use crate::presence::{AccountName, Report};
use crate::settings::{Requests, Settings};

/// The largest payload of our own topics that is read. Ours are far smaller.
const LARGEST: usize = 64 << 10;

/// What a bridge subscribes to.
pub fn subscriptions(settings: &Settings) -> Vec<Subscription> {
    let topics = Topics::new(&settings.mqtt.base_topic);
    let subscribe = |filter: String, no_local: bool| Subscription { filter, qos: 0, no_local };
    let mut subscriptions = vec![
        subscribe(topics.bridge("info"), true),
        subscribe(topics.bridge("health"), true),
        // A half-open connection's will comes under our own name, and so does what we ask in a contest.
        subscribe(topics.bridge("state"), false),
        subscribe(topics.account("+", "+"), true),
        subscribe(crate::discovery::topic(&settings.home_assistant.prefix, "+"), true),
        // Behind all of these: when it comes back, they have been read.
        subscribe(topics.bridge("marker"), false),
    ];
    if settings.mqtt.requests != Requests::None {
        subscriptions.push(requests(settings).subscription());
    }
    if settings.home_assistant.discovery {
        subscriptions.push(subscribe(settings.home_assistant.status_topic.clone(), true));
    }
    subscriptions
}

/// How a bridge connects.
pub(super) fn options(settings: &Settings, topics: &Topics, instance: &str) -> Options {
    let will = Message { topic: topics.bridge("state"), payload: b"offline".to_vec() };
    let subscriptions = subscriptions(settings);
    Options { client_id: client_id(settings, instance), may_be_taken: true, will: Some(will), subscriptions }
}

/// Where requests come in.
pub(super) fn requests(settings: &Settings) -> mqtt::Requests {
    let (base, home_assistant) = (settings.mqtt.base_topic.as_str(), &settings.home_assistant);
    let guarded = [base, &home_assistant.prefix, &home_assistant.status_topic].map(str::to_owned);
    mqtt::Requests::new(Topics::new(base).bridge("").trim_end_matches('/').to_owned(), guarded.into())
}

/// Stable for a base, a role and an instance.
fn client_id(settings: &Settings, instance: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let base: String = settings.mqtt.base_topic.chars().map(plain).collect();
    let prefix = settings.mqtt.client_id.as_deref().map_or_else(String::new, |prefix| format!("{prefix}-"));
    let instance: String = instance.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
    format!("{prefix}{base}-bridge-{instance}")
}

/// A marker of this process.
pub(super) fn marker() -> String {
    format!("{:016x}", fastrand::u64(..))
}

impl Bridge {
    pub(super) fn on_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Connected => self.on_connected(),
            Event::Disconnected(_) => {
                self.monitor.connected(false);
                self.places.connected(None);
                if matches!(self.phase, Phase::Reading(_) | Phase::Contested(_)) {
                    self.phase = Phase::Connecting;
                }
            }
            Event::Refused(_) => {}
            Event::Received(received) => {
                if let Phase::Reading(reading) = &mut self.phase
                    && received.retained
                {
                    reading.goes_on(Instant::now());
                }
                self.on_message(&received)?;
                self.hurry();
            }
        }
        Ok(())
    }

    fn on_connected(&mut self) {
        self.monitor.connected(true);
        self.places.connected(Some(Instant::now()));
        if !matches!(self.phase, Phase::Connecting | Phase::Reading(_) | Phase::Contested(_)) {
            // Everything is on its way again, and what was once found counts no more.
            self.found = None;
            return;
        }
        self.found = Some(ReadBack::new(self.board.slots()));
        self.phase = Phase::Reading(Reading::new(Instant::now()));
        self.send_marker();
    }

    /// Mosquitto keeps what stands behind what it sent until that is acknowledged (Nagle's algorithm),
    /// which our side puts off by 40 ms unless it sends something meanwhile: another marker.
    fn hurry(&mut self) {
        let all_taken = self.events.is_empty();
        if let Phase::Reading(reading) = &mut self.phase
            && all_taken
            && reading.hurries()
        {
            self.send_marker();
        }
    }

    fn send_marker(&self) {
        let topic = self.board.topics().bridge("marker");
        self.connection.publish(Message { topic, payload: self.marker.clone().into_bytes() }, 0);
    }

    fn on_message(&mut self, message: &Received) -> Result<(), Failure> {
        if message.topic == self.settings.home_assistant.status_topic {
            self.on_home_assistant(message);
            return Ok(());
        }
        if self.on_request(message) {
            return Ok(());
        }
        match self.board.topics().bridge_leaf(&message.topic) {
            Some("marker") => return self.on_marker(&message.payload),
            Some("state") => return self.on_state(message),
            Some("info") => return self.on_info(message),
            Some("health") => return self.on_health(message),
            Some(_) => return Ok(()),
            None => {}
        }
        match self.board.topics().account_leaf(&message.topic) {
            Some((account, leaf)) => self.on_account(message, account, leaf),
            None => self.on_device(message),
        }
        Ok(())
    }

    fn on_home_assistant(&mut self, message: &Received) {
        if !message.retained && &*message.payload == b"online" {
            self.births.heard(Instant::now(), &mut self.rng);
        }
    }

    fn on_marker(&mut self, payload: &[u8]) -> Result<(), Failure> {
        if matches!(self.phase, Phase::Reading(_)) && payload == self.marker.as_bytes() {
            self.all_read()?;
        }
        Ok(())
    }

    /// All that the broker holds of ours was read, or is not waited for any longer.
    pub(super) fn all_read(&mut self) -> Result<(), Failure> {
        let owner = self.found.as_ref().and_then(|found| found.owner.clone().filter(|_| found.online));
        match owner.filter(|owner| *owner != self.instance) {
            None => self.open(),
            Some(owner) => {
                tracing::info!(
                    "another bridge, instance {owner}, stands on this base topic; waiting whether it is alive"
                );
                self.phase = Phase::Contested(Contest::new(owner, self.settings.mqtt.keep_alive, Instant::now()));
            }
        }
        Ok(())
    }

    fn on_info(&mut self, message: &Received) -> Result<(), Failure> {
        self.found_at(Place::Info, &message.payload);
        let owner = serde_json::from_slice::<Owner>(&message.payload).ok().map(|owner| owner.instance);
        if self.is_open() && !message.retained {
            self.disturbed.insert(self.board.layout().slot(Place::Info));
            return owner.map_or(Ok(()), |owner| self.on_rival(owner));
        }
        if let Some(found) = &mut self.found {
            found.owner = owner;
        }
        Ok(())
    }

    /// Two that started at once, or while the broker was away, did not see each other in time. Ours is
    /// written again with the next round: who answers that is alive, and of two the greater instance goes.
    fn on_rival(&mut self, owner: String) -> Result<(), Failure> {
        if owner == self.instance {
            return Ok(());
        }
        let answered = self.rival.as_ref() == Some(&owner);
        if answered && self.instance > owner {
            return Err(self.not_ours(&owner));
        }
        if !answered {
            tracing::warn!("another bridge, instance {owner}, wrote on this base topic");
        }
        self.rival = Some(owner);
        Ok(())
    }

    fn not_ours(&self, owner: &str) -> Failure {
        Failure::Misconfigured(format!(
            "mqtt.base_topic {:?} belongs to another bridge that is running (instance {owner}); \
             stop that one, or set another mqtt.base_topic here",
            self.settings.mqtt.base_topic
        ))
    }

    fn on_state(&mut self, message: &Received) -> Result<(), Failure> {
        let online = &*message.payload == b"online";
        match &self.phase {
            Phase::Running if !online && !message.retained => {
                tracing::debug!("somebody said offline in our name");
                self.connection.changed(self.board.layout().slot(Place::State));
            }
            Phase::Contested(contest) => {
                let step = contest.heard(online, !message.retained);
                return self.step(step);
            }
            _ => {
                self.found_at(Place::State, &message.payload);
                if let Some(found) = &mut self.found {
                    found.online = online;
                }
            }
        }
        Ok(())
    }

    fn on_health(&mut self, message: &Received) -> Result<(), Failure> {
        match &self.phase {
            Phase::Contested(contest) => {
                let step = contest.heard_health(!message.retained);
                self.step(step)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn contest_at(&mut self, now: Instant) -> Result<(), Failure> {
        let Phase::Contested(contest) = &mut self.phase else { return Ok(()) };
        let step = contest.at(now);
        self.step(step)
    }

    fn step(&mut self, step: Step) -> Result<(), Failure> {
        let Phase::Contested(contest) = &self.phase else { return Ok(()) };
        match step {
            Step::Wait => {}
            Step::Ask => {
                let topic = self.board.topics().bridge("state");
                self.connection.publish(Message { topic, payload: b"offline".to_vec() }, 0);
            }
            Step::Take => {
                tracing::info!("the other bridge is gone; taking the base topic over");
                // Whatever it left there: our question, or its will, has told everybody that it is offline.
                self.found_at(Place::State, b"");
                self.open();
            }
            Step::Yield => return Err(self.not_ours(&contest.owner)),
        }
        Ok(())
    }

    fn on_account(&mut self, message: &Received, account: AccountName, leaf: Leaf) {
        let index = self.board.write().index(&account);
        let Some(index) = index else { return self.found_orphan(message, Some(account)) };
        let slot = self.board.layout().slot(Place::Account(index, leaf));
        let open = self.is_open();
        if open && !message.retained && self.board.render(slot).is_none_or(|ours| ours.payload != message.payload) {
            tracing::debug!(topic = message.topic, "somebody else wrote on our topic; it is written again soon");
            self.disturbed.insert(slot);
        }
        self.found_slot(slot, &message.payload);
        if message.payload.len() > LARGEST {
            return;
        }
        match leaf {
            Leaf::Presence => self.found_presence(index, &message.payload, open),
            Leaf::SignIn if !open => {
                if let Ok(found) = serde_json::from_slice::<SignIn>(&message.payload) {
                    self.update(index, |account, _| account.found_sign_in(found));
                }
            }
            Leaf::SignIn | Leaf::State => {}
        }
    }

    fn found_presence(&mut self, index: u32, payload: &[u8], open: bool) {
        let Ok(report) = Report::from_json(payload) else { return };
        let now = Moment::now();
        self.counter.learn(report.sequence);
        let changes = {
            let mut board = self.board.write();
            let account = &mut board.accounts[index as usize];
            if account.name != report.account {
                return;
            }
            account.found(report, now, open.then_some(&mut self.counter))
        };
        if open {
            self.apply(index, changes);
        }
    }

    /// A topic of ours that nobody wants. What comes after the reading is cleared all the same.
    fn found_orphan(&mut self, message: &Received, account: Option<AccountName>) {
        let late = message.retained && !message.payload.is_empty();
        let word = last_word(&message.topic, account.as_ref());
        match (&mut self.found, word) {
            (Some(found), _) if !is_open(&self.phase) => found.orphan(&message.topic, account, &message.payload),
            (_, Some(word)) if late && message.payload != word => self.say_last(&message.topic, word),
            _ => {}
        }
    }

    pub(super) fn say_last(&mut self, topic: &str, word: &'static [u8]) {
        let at = self.board.write().say_last(topic, word);
        self.connection.changed(self.board.layout().slot(Place::Word(at)));
    }

    fn on_device(&mut self, message: &Received) {
        if message.payload.len() > discovery::LARGEST_DEVICE {
            return;
        }
        let Some(described) = self.board.described(&message.topic, &message.payload) else {
            return self.note_location(message);
        };
        match (self.board.slot_of_device(&described), described) {
            (Some(slot), _) => {
                self.found_device(slot, &message.payload);
                let differs = |ours: Message| ours.payload != message.payload;
                if self.is_open() && !message.retained && self.board.render(slot).is_some_and(differs) {
                    tracing::debug!(topic = message.topic, "somebody else wrote our device; it is written again soon");
                    self.disturbed.insert(slot);
                }
                self.found_slot(slot, &message.payload);
            }
            (None, Described::Bridge) => self.found_orphan(message, None),
            (None, Described::Account(account)) => self.found_orphan(message, Some(account)),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        is_open(&self.phase)
    }

    fn found_at(&mut self, place: Place, payload: &[u8]) {
        self.found_slot(self.board.layout().slot(place), payload);
    }

    fn found_slot(&mut self, slot: Slot, payload: &[u8]) {
        if let Some(found) = &mut self.found {
            found.holds(slot, payload);
        }
    }
}

/// Whether presences are published already.
fn is_open(phase: &Phase) -> bool {
    matches!(phase, Phase::Settling { .. } | Phase::Running)
}
