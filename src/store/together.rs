//! What comes close together is done together: one statement for several rows, one commit for several saves.
//!
//! Nobody waits for company. Whoever comes alone is served at once; those who come meanwhile stand in line,
//! and are served together when that is done.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The most that are served together.
const MOST: usize = 64;

/// The most rows in one statement. Statements are kept, prepared: there is one for each power of two.
const ROWS: usize = 32;

/// A line of questions of one kind.
pub(super) struct Line<Q, A>(Mutex<Queue<Q, A>>);

/// A question, and where its answer goes.
pub(super) type Asked<Q, A> = (Q, oneshot::Sender<A>);

struct Queue<Q, A> {
    waiting: VecDeque<Asked<Q, A>>,
    is_served: bool,
}

/// Serves a line to its end. Should it go before, nobody is left waiting.
pub(super) struct Serving<'a, Q, A> {
    line: &'a Line<Q, A>,
    at_work: bool,
}

impl<Q, A> Default for Line<Q, A> {
    fn default() -> Self {
        Self(Mutex::new(Queue { waiting: VecDeque::new(), is_served: false }))
    }
}

impl<Q, A> Line<Q, A> {
    /// Stands in line: where the answer comes, and whether the asker has to see that the line is served.
    pub(super) fn ask(&self, question: Q) -> (oneshot::Receiver<A>, bool) {
        let (tell, told) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push_back((question, tell));
        let was_served = std::mem::replace(&mut queue.is_served, true);
        (told, !was_served)
    }

    pub(super) fn serve(&self) -> Serving<'_, Q, A> {
        Serving { line: self, at_work: true }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, A> Serving<'_, Q, A> {
    /// The next in line, up to the first that must not be served together with one of them. None: the line
    /// is at its end.
    pub(super) fn next(&mut self, apart: fn(&Q, &Q) -> bool) -> Option<Vec<Asked<Q, A>>> {
        let mut queue = self.line.queue();
        let mut party: Vec<Asked<Q, A>> = Vec::new();
        while let Some((question, _)) = queue.waiting.front()
            && party.len() < MOST
            && !party.iter().any(|(other, _)| apart(other, question))
        {
            party.extend(queue.waiting.pop_front());
        }
        if party.is_empty() {
            queue.is_served = false;
            self.at_work = false;
        }
        (!party.is_empty()).then_some(party)
    }
}

impl<Q, A> Drop for Serving<'_, Q, A> {
    fn drop(&mut self) {
        if self.at_work {
            let mut queue = self.line.queue();
            queue.waiting.clear();
            queue.is_served = false;
        }
    }
}

/// All of them, in the sizes for which there are statements: the largest power of two that is left.
pub(super) fn in_statements<T>(mut all: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let rows = 1 << all.len().min(ROWS).checked_ilog2()?;
        let (now, later) = all.split_at(rows);
        all = later;
        Some(now)
    })
}

/// Such as `($1, $2), ($3, $4)`: so many rows of so many columns.
pub(super) fn marks(rows: usize, columns: usize) -> String {
    let row = |row: usize| {
        let marks: Vec<String> = (1..=columns).map(|column| format!("${}", row * columns + column)).collect();
        format!("({})", marks.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Numbers = Line<u32, u32>;

    fn questions(party: Option<Vec<Asked<u32, u32>>>) -> Vec<u32> {
        party.into_iter().flatten().map(|(question, _)| question).collect()
    }

    #[test]
    fn the_first_sees_to_it_that_the_line_is_served_and_so_does_the_first_after_its_end() {
        let line = Numbers::default();
        let asked: Vec<bool> = (0..3).map(|number| line.ask(number).1).collect();
        assert_eq!(asked, [true, false, false]);
        let mut serving = line.serve();
        assert_eq!(questions(serving.next(|_, _| false)), [0, 1, 2]);
        assert!(!line.ask(3).1);
        assert_eq!(questions(serving.next(|_, _| false)), [3]);
        assert!(serving.next(|_, _| false).is_none());
        assert!(line.ask(4).1, "nobody serves it any more");
        drop(serving);
        assert_eq!(questions(line.serve().next(|_, _| false)), [4], "who ended has no say any more");
    }

    #[test]
    fn those_who_must_be_apart_are_served_one_after_the_other_and_nobody_is_passed_over() {
        let line = Numbers::default();
        for number in [1, 2, 1, 3] {
            line.ask(number);
        }
        let mut serving = line.serve();
        assert_eq!(questions(serving.next(|one, other| one == other)), [1, 2]);
        assert_eq!(questions(serving.next(|one, other| one == other)), [1, 3]);
    }

    #[tokio::test]
    async fn when_the_one_who_serves_is_gone_everybody_is_told_and_the_next_is_served() {
        let line = Numbers::default();
        let (first, _) = line.ask(1);
        let mut serving = line.serve();
        let party = serving.next(|_, _| false);
        let (second, _) = line.ask(2);
        drop((party, serving));
        assert!(first.await.is_err() && second.await.is_err());
        assert!(line.ask(3).1);
    }

    #[test]
    fn there_are_statements_of_few_sizes() {
        let sizes = |count: usize| in_statements(&vec![(); count]).map(<[()]>::len).collect::<Vec<_>>();
        assert_eq!((sizes(0), sizes(1), sizes(7)), (vec![], vec![1], vec![4, 2, 1]));
        assert_eq!(sizes(64 + 3), [32, 32, 2, 1]);
        assert_eq!(marks(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }
}
