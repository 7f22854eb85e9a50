//! What lies between the members, and what can go wrong there: the broker, the links, the hub, the clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::member::{Letter, Member, Under};
use super::{Conditions, Events, Reached};
use crate::actuator::board::{Board, slot};
use crate::actuator::converge::Step;
use crate::actuator::entry::{ECHO, News, Now};
use crate::actuator::mind::{Came, Mind, Todo};
use crate::actuator::topics::{About, Topics};
use crate::lights::{Lamp, Load, Look, Obeyed, Seen, Trouble};
use crate::mqtt::Wanted;
use crate::settings::Settings;

/// How many actuators share the location.
pub(super) const MEMBERS: usize = 3;
/// Whom the light follows.
pub(super) const ACCOUNTS: [&str; 2] = ["alex", "sam"];

pub(super) struct World {
    settings: Settings,
    topics: Topics,
    abouts: BTreeMap<String, About>,
    start: Instant,
    pub(super) now: Duration,
    pub(super) members: Vec<Option<Member>>,
    pub(super) retained: BTreeMap<String, Vec<u8>>,
    turn: usize,
    pub(super) sequence: u64,
    chance: fastrand::Rng,
    conditions: Conditions,
    pub(super) shown: Vec<Reached>,
}

/// An event that tells everything of a lamp.
fn seen() -> Seen {
    let lamp = Lamp { on: Some(true), brightness: Some(10_000), xy: Some((1, 1)), ..Lamp::default() };
    Seen(vec![lamp])
}

/// Where the presence of an account is.
pub(super) fn presence_topic(account: &str) -> String {
    format!("graph2mqtt/account/{account}/presence")
}

fn named(number: u64) -> String {
    format!("{number:08x}")
}

impl World {
    pub(super) fn new(seed: u64, conditions: Conditions, settings: Settings) -> Self {
        let topics = Topics::new(&settings);
        let abouts = topics.listened().into_iter().collect();
        let mut world = Self {
            topics,
            settings,
            abouts,
            start: Instant::now(),
            now: Duration::ZERO,
            members: (0..MEMBERS).map(|_| None).collect(),
            retained: BTreeMap::new(),
            turn: 0,
            sequence: 1_000,
            chance: fastrand::Rng::with_seed(seed),
            conditions,
            shown: Vec::new(),
        };
        world.retain("graph2mqtt/bridge/state", b"online");
        for account in ACCOUNTS {
            world.retain(&format!("graph2mqtt/account/{account}/state"), b"online");
        }
        (0..MEMBERS).for_each(|member| world.begin(member));
        world
    }

    fn retain(&mut self, topic: &str, payload: &[u8]) {
        self.retained.insert(topic.to_owned(), payload.to_vec());
    }

    /// A member's clocks: each is a second or two ahead of the one before.
    fn clock(&self, at: usize) -> Now {
        let begin: Timestamp = "2026-11-18T11:06:40Z".parse().expect("the model begins at a time that there is");
        let skew = Duration::from_millis(1_500 * at as u64);
        Now { instant: self.start + self.now, time: begin + self.now + skew }
    }

    /// Somebody pauses the light, or lets it go: everybody who is connected will hear it.
    pub(super) fn pause(&mut self, paused: bool) {
        let topic = format!("{}/set", self.topics.light(0));
        self.send(&topic, format!(r#"{{"paused":{paused}}}"#).as_bytes());
    }

    pub(super) fn begin(&mut self, at: usize) {
        if self.members[at].is_some() {
            return;
        }
        let me = named(self.chance.u64(..));
        let chance = fastrand::Rng::with_seed(self.chance.u64(..));
        let board = Arc::new(Board::new(self.topics.clone(), me, chance, Arc::new(Timestamp::now)));
        let lights = self.settings.lights.values().cloned().collect();
        let mind = Mind::new(&self.topics, lights, self.settings.colors.clone(), board.clone());
        self.members[at] = Some(Member::new(mind, board, self.now));
        self.connect(at);
    }

    /// Subscribes: what is retained comes, in the order of the subscriptions.
    pub(super) fn connect(&mut self, at: usize) {
        let letters: Vec<Letter> = self
            .topics
            .listened()
            .iter()
            .filter_map(|(topic, _)| Some((topic, self.retained.get(topic)?)))
            .map(|(topic, payload)| Letter {
                topic: topic.clone(),
                payload: payload.clone(),
                came: Came::Retained,
                arrives: self.now,
            })
            .collect();
        let now = self.clock(at);
        let Some(member) = &mut self.members[at] else { return };
        if member.is_connected {
            return;
        }
        member.is_connected = true;
        member.inbox.extend(letters);
        let todo = member.mind.connected(now);
        self.apply(at, todo);
    }

    pub(super) fn freeze(&mut self, at: usize, midway: bool) {
        let time = self.now;
        self.members[at].iter_mut().for_each(|member| member.freeze(time, midway));
    }

    pub(super) fn thaw(&mut self, at: usize) {
        let time = self.now;
        self.members[at].iter_mut().for_each(|member| member.thaw(time));
    }

    pub(super) fn kill(&mut self, at: usize) {
        self.members[at] = None;
    }

    /// The broker restarts without what it had retained. The bridge is back at once, members a little later.
    pub(super) fn restart_broker(&mut self) {
        self.retained.clear();
        for member in self.members.iter_mut().flatten() {
            member.inbox.clear();
            if member.is_connected {
                member.is_connected = false;
                member.mind.disconnected();
            }
        }
    }

    /// What the bridge wants retained.
    pub(super) fn bridge_again(&mut self, presences: &BTreeMap<&'static str, Vec<u8>>) {
        self.publish("graph2mqtt/bridge/state", b"online");
        for account in ACCOUNTS {
            self.publish(&format!("graph2mqtt/account/{account}/state"), b"online");
            if let Some(presence) = presences.get(account) {
                self.publish(&presence_topic(account), &presence.clone());
            }
        }
    }

    pub(super) fn publish(&mut self, topic: &str, payload: &[u8]) {
        self.retain(topic, payload);
        self.send(topic, payload);
    }

    fn send(&mut self, topic: &str, payload: &[u8]) {
        let there: Vec<usize> =
            (0..MEMBERS).filter(|at| self.members[*at].as_ref().is_some_and(|m| m.is_connected)).collect();
        let is_report = matches!(self.abouts.get(topic), Some(About::Light(_)));
        if self.conditions.shares && !is_report && !there.is_empty() {
            self.turn += 1;
            let to = there[self.turn % there.len()];
            self.post(to, topic, payload, Came::Given);
        }
        there.into_iter().for_each(|to| self.post(to, topic, payload, Came::ToAll));
    }

    /// Letters of one topic keep their order; others may overtake them.
    fn post(&mut self, to: usize, topic: &str, payload: &[u8], came: Came) {
        let delay = Duration::from_micros(self.chance.u64(0..=self.conditions.disorder.as_micros() as u64));
        let Some(member) = &mut self.members[to] else { return };
        let last =
            member.inbox.iter().rev().find(|letter| letter.topic == topic).map_or(Duration::ZERO, |it| it.arrives);
        let arrives = (self.now + self.conditions.link + delay).max(last);
        let letter = Letter { topic: topic.to_owned(), payload: payload.to_vec(), came, arrives };
        let behind = member.inbox.iter().rposition(|letter| letter.arrives <= arrives).map_or(0, |at| at + 1);
        member.inbox.insert(behind, letter);
    }

    fn apply(&mut self, at: usize, todo: Todo) {
        for light in todo.publish {
            self.report(at, light);
        }
    }

    fn report(&mut self, at: usize, light: usize) {
        let message = self.members[at]
            .as_ref()
            .filter(|member| member.is_connected)
            .and_then(|member| member.board.render(slot(light)));
        if let Some(message) = message {
            self.publish(&message.topic, &message.payload);
        }
    }

    /// Everything that is due now, of every member that runs.
    pub(super) fn run(&mut self, fails: bool) {
        for at in 0..MEMBERS {
            while self.step(at, fails) {}
        }
    }

    /// A frozen member runs again: its command reaches the hub, and it reports that, before it knows anything newer.
    /// That is all it comes to.
    pub(super) fn wakes_and_dies(&mut self, at: usize) {
        self.thaw(at);
        self.step(at, false);
        self.kill(at);
    }

    /// One step of a member; answers whether there may be another.
    fn step(&mut self, at: usize, fails: bool) -> bool {
        let (now, time) = (self.clock(at), self.now);
        self.land(at);
        let shown = self.shown.last().map(|reached| reached.look.clone());
        let Some(member) = self.members[at].as_mut().filter(|member| member.frozen.is_none()) else { return false };
        if member.under.as_ref().is_some_and(|under| under.lands.is_none() && under.back <= time) {
            let under = member.under.take().expect("it is under way");
            let result = match under.fails {
                false => Ok(Obeyed::default()),
                true => Err(Trouble::Hub { after: None, reason: "no hub".into() }),
            };
            let shows = member.convergence.ended(now.instant, 0, &result);
            let grace = member.board.grace();
            member.board.light(0, |entry| match &result {
                Ok(obeyed) => entry.obeyed(&under.wish, shows, obeyed, grace, now),
                Err(_) => entry.failed(now),
            });
            self.report(at, 0);
            return true;
        }
        if let Some((_, told)) = member.told.pop_front_if(|(told, _)| *told <= time) {
            if member.reads.is_some() {
                return true;
            }
            let look = shown.filter(|_| self.conditions.events == Events::Asked).unwrap_or(told);
            if self.conditions.events == Events::Asked && member.has_read.replace(look.clone()) == Some(look.clone()) {
                return true;
            }
            let (grace, on_hand) =
                (member.board.grace(), self.settings.lights.values().next().expect("there is one").hand);
            let agrees = |other: &Look| other.looks_like(&look);
            let effects = member.board.light(0, |entry| entry.changed((&seen(), ECHO), agrees, on_hand, grace, now));
            let mut todo = member.mind.look(now);
            if effects.publish {
                todo.publish.push(0);
            }
            self.apply(at, todo);
            return true;
        }
        if member.reads.take_if(|at| *at <= time).is_some() {
            member.read(shown.as_ref(), now);
            return true;
        }
        if let Some(letter) = member.inbox.pop_front_if(|letter| letter.arrives <= time) {
            let about = self.abouts[&letter.topic].clone();
            let todo =
                member.mind.take(&about, &letter.payload, letter.came, now).expect("what the model says is taken");
            self.apply(at, todo);
            return true;
        }
        if member.mind.deadline(now).is_some_and(|due| due <= now.instant) {
            let todo = member.mind.pass(now);
            self.apply(at, todo);
            return true;
        }
        self.drive(at, fails)
    }

    /// The hub's loop of a member.
    fn drive(&mut self, at: usize, fails: bool) -> bool {
        let (now, time) = (self.clock(at), self.now);
        let takes = Duration::from_millis(self.chance.u64(1..=40));
        let Some(member) = &mut self.members[at] else { return false };
        let (wish, aim, news) = member.board.light(0, |entry| (entry.wish.clone(), entry.aim(), entry.take_news()));
        match news {
            Some(News::Doubt) => member.convergence.doubt(0),
            Some(News::Shows(look)) => member.convergence.shows(0, look),
            None => {}
        }
        member.convergence.want(0, aim);
        if !member.is_connected {
            return false;
        }
        member.wakes = None;
        let look = match member.convergence.next(now.instant, |_| Load::Single) {
            Step::Send { look, .. } => look,
            Step::Together { .. } => unreachable!("there is one light"),
            Step::Wait(at) => {
                member.wakes = at.map(|at| at - self.start);
                return false;
            }
        };
        member.board.light(0, |entry| entry.sent());
        let wish = wish.expect("only what is wished for is sent");
        member.under = Some(Under { look, wish, lands: Some(time + takes / 2), back: time + takes, fails });
        false
    }

    /// A command reaches the hub, also of a member that is frozen once it is on its way.
    fn land(&mut self, at: usize) {
        let time = self.now;
        let Some(under) = self.members[at].as_mut().and_then(|member| member.under.as_mut()) else { return };
        if let Some(lands) = under.lands.take_if(|lands| *lands <= time)
            && !under.fails
        {
            let newest = under.wish.inputs.values().map(|sequence| sequence.get()).max().unwrap_or_default();
            let look = under.look.clone();
            self.shown.push(Reached { at: lands, by: at, inputs: newest, look: look.clone() });
            let told = time + self.conditions.events.after();
            self.members.iter_mut().flatten().for_each(|member| member.told.push_back((told, look.clone())));
        }
    }

    pub(super) fn pass(&mut self, time: Duration, fails: bool) {
        let until = self.now + time;
        while self.now < until {
            self.now = self.next_due().unwrap_or(until).max(self.now + Duration::from_micros(100)).min(until);
            self.run(fails);
        }
    }

    /// When something happens next.
    fn next_due(&mut self) -> Option<Duration> {
        let start = self.start;
        let clocks: Vec<Now> = (0..MEMBERS).map(|at| self.clock(at)).collect();
        let mut soonest: Option<Duration> = None;
        let mut at = |due: Option<Duration>| soonest = [soonest, due].into_iter().flatten().min();
        for (member, now) in self.members.iter_mut().zip(clocks) {
            let Some(member) = member else { continue };
            at(member.under.as_ref().and_then(|under| under.lands));
            if member.frozen.is_some() {
                continue;
            }
            at(member.under.as_ref().map(|under| under.back));
            at(member.told.front().map(|(told, _)| *told));
            at(member.reads);
            at(member.inbox.front().map(|letter| letter.arrives));
            at(member.mind.deadline(now).map(|due| due - start));
            at(member.wakes);
        }
        soonest
    }
}
