//! The wanted retained state: what the connection renders when it sends, and thus the newest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::account::{Account, Known};
use super::agenda::Index;
use super::layout::{Layout, Place};
use super::topics::{LEAVES, Leaf, Topics};
use crate::discovery::{self, Definitions, Device};
use crate::mqtt::{Message, Slot, Wanted};
use crate::presence::AccountName;
use crate::settings::Settings;

/// Shared by the bridge, which writes on it, and the connection, which reads.
pub(super) struct Board {
    topics: Topics,
    layout: Layout,
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
    /// In the order of their names.
    pub(super) accounts: Vec<Account>,
    /// Whether anything is wanted yet: not before what the broker holds was read.
    pub(super) open: bool,
    /// Whether every account's state is written.
    pub(super) online: bool,
    pub(super) info: Vec<u8>,
    pub(super) health: Option<Vec<u8>>,
    /// Topics of ours that nobody wants any more.
    pub(super) clears: Vec<String>,
}

impl Board {
    pub(super) fn new(settings: Arc<Settings>, definitions: Option<Definitions>, accounts: Vec<Account>) -> Self {
        let state = State {
            open: false,
            online: false,
            info: Vec::new(),
            health: None,
            clears: Vec::new(),
            accounts: Vec::new(),
        };
        Self {
            topics: Topics::new(&settings.mqtt.base_topic),
            layout: Layout::new(accounts.len()),
            state: Mutex::new(State { accounts, ..state }),
            definitions,
            settings,
        }
    }

    pub(super) fn topics(&self) -> &Topics {
        &self.topics
    }

    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    pub(super) fn write(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a discovery message describes, where it is one that a bridge on our base topic published:
    /// the topic and the payload both say so.
    pub(super) fn described(&self, topic: &str, payload: &[u8]) -> Option<Described> {
        if topic == self.bridge_topic() {
            return self.topics.is_bridge_in(payload).then_some(Described::Bridge);
        }
        let account = self.topics.account_in(payload)?;
        (topic == self.device_topic(&account)).then_some(Described::Account(account))
    }

    /// The slot of a device; none where that is not wanted.
    pub(super) fn slot_of_device(&self, described: &Described) -> Option<Slot> {
        self.definitions.as_ref()?;
        let place = match described {
            Described::Bridge => Place::Bridge,
            Described::Account(account) => Place::Device(self.write().index(account)?),
        };
        Some(self.layout.slot(place))
    }

    fn bridge_topic(&self) -> String {
        discovery::topic(&self.settings.home_assistant.prefix, &discovery::bridge_id(self.topics.base()))
    }

    fn device_topic(&self, account: &AccountName) -> String {
        let id = discovery::device_id(self.topics.base(), account.as_str());
        discovery::topic(&self.settings.home_assistant.prefix, &id)
    }

    fn device(&self, account: &AccountName) -> Option<Message> {
        let settings = self.settings.accounts.get(account);
        let device = Device {
            base: self.topics.base(),
            account: account.as_str(),
            name: settings.and_then(|settings| settings.name.as_deref()).unwrap_or(account.as_str()),
            area: settings.and_then(|settings| settings.area.as_deref()),
        };
        let payload = self.definitions.as_ref()?.account(device);
        Some(Message { topic: self.device_topic(account), payload })
    }
}

impl State {
    /// The place of an account.
    pub(super) fn index(&self, name: &AccountName) -> Option<Index> {
        self.accounts.binary_search_by(|account| account.name.cmp(name)).ok().map(|index| index as Index)
    }

    /// Adds a topic that is to be cleared, unless it is there. Answers with its place.
    pub(super) fn clear(&mut self, topic: &str) -> usize {
        self.clears.iter().position(|clear| clear == topic).unwrap_or_else(|| {
            self.clears.push(topic.to_owned());
            self.clears.len() - 1
        })
    }

    fn leaf(&self, index: Index, leaf: Leaf) -> Option<Vec<u8>> {
        let account = &self.accounts[index as usize];
        match leaf {
            Leaf::Presence => account.report().map(|report| report.to_json()),
            Leaf::State => match account.known() {
                Known::NotYet => None,
                Known::Yes => Some(b"online".to_vec()),
                Known::No => Some(b"offline".to_vec()),
            },
            Leaf::SignIn => account.sign_in().map(super::sign_in::SignIn::to_json),
        }
    }
}

impl Wanted for Board {
    fn slots(&self) -> Slot {
        self.layout.slots(self.write().clears.len())
    }

    fn render(&self, slot: Slot) -> Option<Message> {
        let state = self.write();
        if !state.open {
            return None;
        }
        let bridge = |leaf: &str, payload: Vec<u8>| Message { topic: self.topics.bridge(leaf), payload };
        match self.layout.place(slot) {
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
            Place::Bridge if state.online => {
                let payload = self.definitions.as_ref()?.bridge(self.topics.base());
                Some(Message { topic: self.bridge_topic(), payload })
            }
            Place::Device(index) if state.online => self.device(&state.accounts[index as usize].name),
            Place::Bridge | Place::Device(_) => None,
            Place::Clear(at) => Some(Message { topic: state.clears.get(at)?.clone(), payload: Vec::new() }),
        }
    }
}
