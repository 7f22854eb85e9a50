//! The wanted retained state: what the connection renders when it sends, and thus the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::account::{Account, Changes, Known};
use super::agenda::Index;
use super::codes::Code;
use super::crew::Crew;
use super::devices;
use super::layout::{Layout, Place};
use super::topics::{LEAVES, Leaf, Topics};
use crate::discovery::{self, Definitions, Device, Gone};
use crate::mqtt::{Message, Slot, Wanted};
use crate::presence::{AccountName, Name};
use crate::settings::Settings;

/// Shared by the bridge, which writes on it, and the connection, which reads.
pub(super) struct Board {
    topics: Topics,
    /// For how many accounts there are slots; changes together with what stands under the lock.
    room: AtomicU32,
    settings: Arc<Settings>,
    /// None where discovery is off.
    definitions: Option<Definitions>,
    state: Mutex<State>,
}

/// Whose device a discovery message describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Described {
    Bridge,
    Account(AccountName),
}

/// What changes.
pub(super) struct State {
    /// Those of the configuration in the order of their names, then the others. Some may be gone.
    pub(super) accounts: Vec<Account>,
    /// How many are configured.
    configured: usize,
    /// The accounts that are not.
    pub(super) enrolled: BTreeMap<AccountName, Enrolled>,
    /// Whether anything is wanted yet: not before what the broker holds was read.
    pub(super) open: bool,
    /// Whether every account's state is written.
    pub(super) online: bool,
    pub(super) info: Vec<u8>,
    pub(super) health: Option<Vec<u8>>,
    /// Topics of accounts that have no place among ours.
    pub(super) words: Vec<LastWord>,
    /// Whether our devices are to leave Home Assistant.
    pub(super) withdrawn: bool,
    /// Codes that wait to be used.
    pub(super) codes: BTreeMap<AccountName, Code>,
    /// Accounts whose grant lets them set their presence.
    pub(super) writers: BTreeSet<AccountName>,
    /// What devices have lost, by topic, while Home Assistant is told.
    pub(super) retiring: BTreeMap<String, Vec<Gone>>,
}

/// Where an account stands that is not configured.
#[derive(Debug)]
pub(super) struct Enrolled {
    pub(super) index: Index,
    /// The name that the person signed in with.
    pub(super) username: Box<str>,
}

/// What is to be retained on a topic of an account that has no place among ours.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LastWord {
    pub(super) topic: String,
    /// Empty: the topic is to be cleared.
    pub(super) payload: &'static [u8],
}

impl Board {
    pub(super) fn new(settings: Arc<Settings>, definitions: Option<Definitions>, crew: Crew) -> Self {
        let Crew { accounts, enrolled } = crew;
        let room = Layout::with_room(accounts.len()).room();
        let state = State {
            configured: accounts.len() - enrolled.len(),
            accounts,
            enrolled,
            open: false,
            online: false,
            info: Vec::new(),
            health: None,
            words: Vec::new(),
            withdrawn: false,
            codes: BTreeMap::new(),
            writers: BTreeSet::new(),
            retiring: BTreeMap::new(),
        };
        Self {
            topics: Topics::new(&settings.mqtt.base_topic),
            room: AtomicU32::new(room),
            state: Mutex::new(state),
            definitions,
            settings,
        }
    }

    /// Puts an account in a place: a new one behind all others, or that of one that is gone. Answers
    /// whether every slot stands for something else now.
    pub(super) fn seat(&self, index: Index, account: Account, username: Box<str>) -> bool {
        let mut state = self.write();
        let name = account.name.clone();
        match state.accounts.get_mut(index as usize) {
            Some(seat) => {
                let before = std::mem::replace(seat, account).name;
                state.enrolled.remove(&before);
            }
            None => state.accounts.push(account),
        }
        state.enrolled.insert(name, Enrolled { index, username });
        let moved = state.accounts.len() > self.room.load(Ordering::Relaxed) as usize;
        if moved {
            self.room.store(Layout::with_room(state.accounts.len()).room(), Ordering::Relaxed);
        }
        moved
    }

    pub(super) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::new(self.room.load(Ordering::Relaxed) as usize)
    }

    pub(super) fn write(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a discovery message describes, where it is one that a bridge on our base topic published:
    /// the topic and the payload both say so. A location that has an account's name gives way to it.
    pub(super) fn described(&self, topic: &str, payload: &[u8]) -> Option<Described> {
        if topic == self.bridge_topic() {
            return self.topics.is_bridge_in(payload).then_some(Described::Bridge);
        }
        let namesake = || self.topics.location_in(payload).filter(|name| self.write().index(name).is_some());
        let account = self.topics.account_in(payload).or_else(namesake)?;
        (topic == self.device_topic(&account)).then_some(Described::Account(account))
    }

    /// Whether a discovery message describes a location of our base topic: topic and payload both say so.
    pub(super) fn is_location(&self, topic: &str, payload: &[u8]) -> bool {
        let prefix = &self.settings.home_assistant.prefix;
        let is_its = |location: Name| {
            let id = |beside| discovery::actuator_id(self.topics.base(), location.as_str(), beside);
            [false, true].into_iter().any(|beside| topic == discovery::topic(prefix, &id(beside)))
        };
        self.topics.location_in(payload).is_some_and(is_its)
    }

    /// The slot of a device; none where that is not wanted.
    pub(super) fn slot_of_device(&self, described: &Described) -> Option<Slot> {
        self.definitions.as_ref()?;
        let place = match described {
            Described::Bridge => Place::Bridge,
            Described::Account(account) => Place::Device(self.write().index(account)?),
        };
        Some(self.layout().slot(place))
    }

    fn bridge_topic(&self) -> String {
        discovery::topic(&self.settings.home_assistant.prefix, &discovery::bridge_id(self.topics.base()))
    }

    fn device_topic(&self, account: &AccountName) -> String {
        let id = discovery::device_id(self.topics.base(), account.as_str());
        discovery::topic(&self.settings.home_assistant.prefix, &id)
    }

    /// A device as it is wanted; empty where it is to leave. Whether the bridge is online is not asked.
    pub(super) fn render_device(&self, slot: Slot) -> Option<Message> {
        self.device(self.layout().place(slot), &self.write())
    }

    fn device(&self, place: Place, state: &State) -> Option<Message> {
        let definitions = self.definitions.as_ref()?;
        let with = devices::with(&self.settings, state.accounts.len());
        let Place::Device(index) = place else {
            let payload = if state.withdrawn { Vec::new() } else { definitions.bridge(self.topics.base(), with) };
            return Some(self.told(Message { topic: self.bridge_topic(), payload }, state));
        };
        let account = state.accounts.get(index as usize)?;
        let topic = self.device_topic(&account.name);
        if state.withdrawn || account.is_gone() {
            return Some(Message { topic, payload: Vec::new() });
        }
        let settings = self.settings.accounts.get(&account.name);
        let device = Device {
            base: self.topics.base(),
            account: account.name.as_str(),
            name: settings.and_then(|settings| settings.name.as_deref()).unwrap_or(state.readable(&account.name)),
            area: settings.and_then(|settings| settings.area.as_deref()),
            with: devices::with_account(with, settings, state.writers.contains(&account.name)),
        };
        Some(self.told(Message { topic, payload: definitions.account(device) }, state))
    }

    /// With what Home Assistant is to be told of components that are gone.
    fn told(&self, message: Message, state: &State) -> Message {
        match state.retiring.get(&message.topic).filter(|_| !message.payload.is_empty()) {
            Some(gone) => Message { payload: discovery::retiring(&message.payload, gone), ..message },
            None => message,
        }
    }

    /// What is to be said last on a topic, unless it is one of an account that came meanwhile.
    fn last_word(&self, at: usize, state: &State) -> Option<Message> {
        let LastWord { topic, payload } = state.words.get(at)?;
        let account = self.topics.account_leaf(topic).map(|(account, _)| account).or_else(|| self.device_in(topic));
        let is_ours = account.is_some_and(|account| state.index(&account).is_some());
        (!is_ours).then(|| Message { topic: topic.clone(), payload: payload.to_vec() })
    }

    /// The account whose device a discovery topic of this base topic describes, where devices are wanted.
    fn device_in(&self, topic: &str) -> Option<AccountName> {
        self.definitions.as_ref()?;
        let any =
            discovery::topic(&self.settings.home_assistant.prefix, &discovery::device_id(self.topics.base(), "+"));
        let (before, behind) = any.split_once('+')?;
        topic.strip_prefix(before)?.strip_suffix(behind)?.parse().ok()
    }
}

impl State {
    /// The place of an account; of one that is gone, while its topics are being cleared.
    pub(super) fn index(&self, name: &AccountName) -> Option<Index> {
        if let Some(enrolled) = self.enrolled.get(name) {
            return Some(enrolled.index);
        }
        let configured = &self.accounts[..self.configured];
        configured.binary_search_by(|account| account.name.cmp(name)).ok().map(|index| index as Index)
    }

    /// Time passed: the accounts whose presence cannot be known any more.
    pub(super) fn aged(&mut self, now: Instant, bound: Duration) -> Vec<(Index, Changes)> {
        let aged = |(index, account): (usize, &mut Account)| (index as Index, account.aged(now, bound));
        self.accounts.iter_mut().enumerate().map(aged).filter(|(_, changes)| changes.state).collect()
    }

    /// What people read for an account that enrolled.
    fn readable<'a>(&'a self, name: &'a AccountName) -> &'a str {
        self.enrolled.get(name).map_or(name.as_str(), |enrolled| &enrolled.username)
    }

    /// Says this last on a topic. Answers with its place.
    pub(super) fn say_last(&mut self, topic: &str, payload: &'static [u8]) -> usize {
        let at = self.words.iter().position(|word| word.topic == topic).unwrap_or_else(|| {
            self.words.push(LastWord { topic: topic.to_owned(), payload });
            self.words.len() - 1
        });
        self.words[at].payload = payload;
        at
    }

    fn leaf(&self, index: Index, leaf: Leaf) -> Option<Vec<u8>> {
        let account = self.accounts.get(index as usize)?;
        if account.is_gone() {
            return Some(Vec::new());
        }
        match leaf {
            Leaf::Presence => account.report().map(|report| report.to_json()),
            Leaf::State => match account.known() {
                Known::NotYet | Known::Gone => None,
                Known::Yes => Some(b"online".to_vec()),
                Known::No => Some(b"offline".to_vec()),
            },
            Leaf::SignIn => match self.codes.get(&account.name) {
                Some(code) => Some(code.to_json()),
                None => account.sign_in().map(super::sign_in::SignIn::to_json),
            },
        }
    }
}

impl Wanted for Board {
    fn slots(&self) -> Slot {
        self.layout().slots(self.write().words.len())
    }

    fn render(&self, slot: Slot) -> Option<Message> {
        let state = self.write();
        if !state.open {
            return None;
        }
        let bridge = |leaf: &str, payload: Vec<u8>| Message { topic: self.topics.bridge(leaf), payload };
        match self.layout().place(slot) {
            Place::Info => Some(bridge("info", state.info.clone())),
            Place::Account(index, leaf) => {
                let payload = state.leaf(index, leaf)?;
                let name = LEAVES[leaf as usize].1;
                Some(Message {
                    topic: self.topics.account(state.accounts[index as usize].name.as_str(), name),
                    payload,
                })
            }
            Place::State => state.online.then(|| bridge("state", b"online".to_vec())),
            Place::Health => state.health.clone().map(|health| bridge("health", health)),
            // Behind the state: a device whose bridge is not online yet would be unavailable anyhow.
            place @ (Place::Bridge | Place::Device(_)) if state.online => self.device(place, &state),
            Place::Bridge | Place::Device(_) => None,
            Place::Word(at) => self.last_word(at, &state),
        }
    }
}
