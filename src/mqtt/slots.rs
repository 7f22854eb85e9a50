//! A set of slots that gives the lowest first: a bit a slot, so that 80,000 of them take 10 kB.

use super::Slot;

/// Bits a word.
const WIDTH: u32 = u64::BITS;

/// A set of slots.
#[derive(Debug, Default)]
pub(super) struct Slots {
    words: Vec<u64>,
    /// No word below this one has a bit set.
    low: usize,
}

impl Slots {
    pub(super) fn insert(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= bit;
        self.low = self.low.min(word);
    }

    pub(super) fn remove(&mut self, slot: Slot) {
        let (word, bit) = place(slot);
        if let Some(word) = self.words.get_mut(word) {
            *word &= !bit;
        }
    }

    /// Takes the lowest slot out.
    pub(super) fn pop(&mut self) -> Option<Slot> {
        let at = (self.low..self.words.len()).find(|&at| self.words[at] != 0);
        self.low = at.unwrap_or(self.words.len());
        let word = &mut self.words[at?];
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        Some(at? as Slot * WIDTH + bit)
    }

    /// Puts `0..count` in.
    pub(super) fn fill(&mut self, count: Slot) {
        let whole = (count / WIDTH) as usize;
        let words = count.div_ceil(WIDTH) as usize;
        if words > self.words.len() {
            self.words.resize(words, 0);
        }
        self.words[..whole].fill(u64::MAX);
        if words > whole {
            self.words[whole] |= (1 << (count % WIDTH)) - 1;
        }
        self.low = 0;
    }

    pub(super) fn clear(&mut self) {
        self.words.fill(0);
        self.low = self.words.len();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words[self.low.min(self.words.len())..].iter().all(|&word| word == 0)
    }
}

fn place(slot: Slot) -> (usize, u64) {
    ((slot / WIDTH) as usize, 1 << (slot % WIDTH))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn filling_puts_in_every_slot_and_no_other() {
        for count in [0, 1, 63, 64, 65, 128, 1000] {
            let mut slots = Slots::default();
            slots.fill(count);
            assert_eq!(std::iter::from_fn(|| slots.pop()).collect::<Vec<_>>(), (0..count).collect::<Vec<_>>());
            assert!(slots.is_empty());
        }
    }

    proptest! {
        #[test]
        fn it_is_a_set_that_gives_the_lowest_first(steps in proptest::collection::vec((0..4u8, 0..300u32), 0..200)) {
            let (mut slots, mut model) = (Slots::default(), BTreeSet::new());
            for (step, slot) in steps {
                match step {
                    0 | 1 => { slots.insert(slot); model.insert(slot); }
                    2 => { slots.remove(slot); model.remove(&slot); }
                    _ => prop_assert_eq!(slots.pop(), model.pop_first()),
                }
                prop_assert_eq!(slots.is_empty(), model.is_empty());
            }
        }
    }
}
