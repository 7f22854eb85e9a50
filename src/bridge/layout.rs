//! Which slot of the connection stands for which topic: lower ones are sent first, so urgent things
//! come first, and the bridge says `online` behind every account's state.

use super::agenda::Index;
use super::topics::{LEAVES, Leaf};
use crate::mqtt::Slot;

/// What a slot stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `bridge/info`
    Info,
    /// One of an account's topics.
    Account(Index, Leaf),
    /// `bridge/state`
    State,
    /// `bridge/health`
    Health,
    /// The bridge's own device in Home Assistant, which the accounts' devices hang on.
    Bridge,
    /// An account's device in Home Assistant.
    Device(Index),
    /// A last word on a topic of an account that has no place.
    Word(usize),
}

/// The slots for so many accounts at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    accounts: u32,
}

const WIDTH: u32 = LEAVES.len() as u32;

/// The least room for accounts that come.
const ROOM: usize = 64;

impl Layout {
    pub(super) fn new(accounts: usize) -> Self {
        Self { accounts: u32::try_from(accounts).expect("accounts are counted in millions at most") }
    }

    /// With room for as many as there are and a quarter more: what is kept for a slot is a bit, but with
    /// every other layout all slots stand for something else.
    pub(super) fn with_room(accounts: usize) -> Self {
        Self::new(accounts + (accounts / 4).max(ROOM))
    }

    /// How many accounts have a place.
    pub(super) fn room(self) -> u32 {
        self.accounts
    }

    pub(super) fn slots(self, words: usize) -> Slot {
        self.slot(Place::Word(words))
    }

    pub(super) fn slot(self, place: Place) -> Slot {
        let state = 1 + WIDTH * self.accounts;
        match place {
            Place::Info => 0,
            Place::Account(index, leaf) => 1 + WIDTH * index + leaf as u32,
            Place::State => state,
            Place::Health => state + 1,
            Place::Bridge => state + 2,
            Place::Device(index) => state + 3 + index,
            Place::Word(at) => state + 3 + self.accounts + at as u32,
        }
    }

    pub(super) fn place(self, slot: Slot) -> Place {
        let state = 1 + WIDTH * self.accounts;
        match slot {
            0 => Place::Info,
            _ if slot < state => Place::Account((slot - 1) / WIDTH, LEAVES[((slot - 1) % WIDTH) as usize].0),
            _ if slot == state => Place::State,
            _ if slot == state + 1 => Place::Health,
            _ if slot == state + 2 => Place::Bridge,
            _ if slot < state + 3 + self.accounts => Place::Device(slot - state - 3),
            _ => Place::Word((slot - state - 3 - self.accounts) as usize),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_slot_of_its_own_in_the_order_of_urgency() {
        let layout = Layout::new(2);
        let places: Vec<Place> = (0..layout.slots(2)).map(|slot| layout.place(slot)).collect();
        let of = |index| LEAVES.map(|(leaf, _)| Place::Account(index, leaf));
        let mut expected = vec![Place::Info];
        expected.extend([of(0), of(1)].concat());
        expected.extend([Place::State, Place::Health, Place::Bridge, Place::Device(0), Place::Device(1)]);
        expected.extend([Place::Word(0), Place::Word(1)]);
        assert_eq!(places, expected);
        for (slot, place) in places.into_iter().enumerate() {
            assert_eq!(layout.slot(place), slot as Slot);
        }
    }
}
