//! What comes close together is done together: one statement for several rows, one commit for several saves.
//!
//! Whoever comes alone is served at once; those who come meanwhile stand in line, and are served together when
//! that is done. Each party is one statement: each crossing to the database's thread and back costs more than a
//! row does, and a commit far more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use sqlx::AssertSqlSafe;
use tokio::sync::oneshot;

/// The most that are served together.
const MOST: usize = 64;

/// A line of questions of one kind.
pub(super) struct Line<Q, A> {
    queue: Mutex<Queue<Q, A>>,
    /// Where several came together, more are on their way: so long the next party is waited for.
    gathering: Duration,
}

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
    /// How many were served last.
    party: usize,
}

impl<Q, A> Line<Q, A> {
    pub(super) fn new(gathering: Duration) -> Self {
        Self { queue: Mutex::new(Queue { waiting: VecDeque::new(), is_served: false }), gathering }
    }

    /// Stands in line: where the answer comes, and whether the asker has to see that the line is served.
    pub(super) fn ask(&self, question: Q) -> (oneshot::Receiver<A>, bool) {
        let (tell, told) = oneshot::channel();
        let mut queue = self.queue();
        queue.waiting.push_back((question, tell));
        let was_served = std::mem::replace(&mut queue.is_served, true);
        (told, !was_served)
    }

    pub(super) fn serve(&self) -> Serving<'_, Q, A> {
        Serving { line: self, at_work: true, party: 0 }
    }

    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q, A> Serving<'_, Q, A> {
    /// As [`Self::now`], after all whose turn it is at this moment had theirs: who asks then comes along.
    pub(super) async fn next(&mut self, apart: fn(&Q, &Q) -> bool) -> Option<Vec<Asked<Q, A>>> {
        if self.party > 1 && !self.line.gathering.is_zero() {
            tokio::time::sleep(self.line.gathering).await;
        }
        tokio::task::yield_now().await;
        let party = self.now(apart);
        self.party = party.as_ref().map_or(0, Vec::len);
        party
    }

    /// The next in line, up to the first that must not be served together with one of them. None: the line
    /// is at its end.
    fn now(&mut self, apart: fn(&Q, &Q) -> bool) -> Option<Vec<Asked<Q, A>>> {
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

/// Statements of one kind, by the number of their rows. They are kept, prepared, and so there are few: one for
/// each power of two. What a party lacks to the next one is filled up with rows that ask for nothing.
#[derive(Default)]
pub(super) struct Statements([OnceLock<Arc<str>>; MOST.ilog2() as usize + 1]);

impl Statements {
    /// The one for a party of so many, and its rows. `write` writes it for so many rows.
    pub(super) fn of(&self, party: usize, write: impl FnOnce(usize) -> String) -> (AssertSqlSafe<Arc<str>>, usize) {
        let rows = party.next_power_of_two();
        let text = self.0[rows.ilog2() as usize].get_or_init(|| write(rows).into());
        (AssertSqlSafe(text.clone()), rows)
    }
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
    use std::collections::BTreeSet;

    use tokio::time::Instant;

    use super::*;

    type Numbers = Line<u32, u32>;

    const GATHERING: Duration = Duration::from_millis(3);

    fn questions(party: Option<Vec<Asked<u32, u32>>>) -> Vec<u32> {
        party.into_iter().flatten().map(|(question, _)| question).collect()
    }

    #[test]
    fn the_first_sees_to_it_that_the_line_is_served_and_so_does_the_first_after_its_end() {
        let line = Numbers::new(GATHERING);
        let asked: Vec<bool> = (0..3).map(|number| line.ask(number).1).collect();
        assert_eq!(asked, [true, false, false]);
        let mut serving = line.serve();
        assert_eq!(questions(serving.now(|_, _| false)), [0, 1, 2]);
        assert!(!line.ask(3).1);
        assert_eq!(questions(serving.now(|_, _| false)), [3]);
        assert!(serving.now(|_, _| false).is_none());
        assert!(line.ask(4).1, "nobody serves it any more");
        drop(serving);
        assert_eq!(questions(line.serve().now(|_, _| false)), [4], "who ended has no say any more");
    }

    #[test]
    fn those_who_must_be_apart_are_served_one_after_the_other_and_nobody_is_passed_over() {
        let line = Numbers::new(GATHERING);
        for number in [1, 2, 1, 3] {
            line.ask(number);
        }
        let mut serving = line.serve();
        assert_eq!(questions(serving.now(|one, other| one == other)), [1, 2]);
        assert_eq!(questions(serving.now(|one, other| one == other)), [1, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_alone_is_served_at_once_and_those_behind_several_gather() {
        let (line, start) = (Numbers::new(GATHERING), Instant::now());
        line.ask(1);
        let mut serving = line.serve();
        assert_eq!(questions(serving.next(|_, _| false).await), [1]);
        line.ask(2);
        line.ask(3);
        assert_eq!(questions(serving.next(|_, _| false).await), [2, 3]);
        assert_eq!(start.elapsed(), Duration::ZERO);
        line.ask(4);
        let (party, ()) = tokio::join!(serving.next(|_, _| false), async {
            tokio::time::sleep(GATHERING / 2).await;
            line.ask(5);
        });
        assert_eq!((questions(party), start.elapsed()), (vec![4, 5], GATHERING));
    }

    #[tokio::test]
    async fn when_the_one_who_serves_is_gone_everybody_is_told_and_the_next_is_served() {
        let line = Numbers::new(GATHERING);
        let (first, _) = line.ask(1);
        let mut serving = line.serve();
        let party = serving.now(|_, _| false);
        let (second, _) = line.ask(2);
        drop((party, serving));
        assert!(first.await.is_err() && second.await.is_err());
        assert!(line.ask(3).1);
    }

    #[test]
    fn there_are_statements_of_few_sizes_and_each_is_written_once() {
        let statements = Statements::default();
        let rows = |party: usize| statements.of(party, |rows| rows.to_string()).1;
        let sizes: BTreeSet<usize> = (1..=MOST).map(rows).collect();
        assert_eq!(sizes, BTreeSet::from([1, 2, 4, 8, 16, 32, 64]));
        assert_eq!(rows(5), 8);
        let (text, _) = statements.of(7, |_| unreachable!("it was written for five"));
        assert_eq!(&*text.0, "8");
        assert_eq!(marks(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }
}
