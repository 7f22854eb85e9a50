//! What one member of a location makes of what it hears: the wishes for its lights. Pure: time and chance are
//! passed in, and what is to be done is the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::board::Board;
use super::common::{Hand, Hours as Mark, Paused, Until, milliseconds, next_version};
use super::entry::{Effects, Entry, Now, Why, Wish};
use super::knowledge::Knowledge;
use super::payload::Report;
use super::topics::{About, Topics};
use super::{hours, rules};
use crate::lights::Look;
use crate::settings::{Color, Colors, Light, OnHand};

/// After a connection: when the lights' topics are published even if nothing was read there.
const READING: Duration = Duration::from_secs(2);
/// How long a light waits for presences that its topic says somebody acted upon. They are on their way by
/// the subscription to the presences; what does not come is no bridge's.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same, while it is not known whether there is a bridge: whoever acted may know more than we.
const LONG_PATIENCE: Duration = Duration::from_secs(70);
/// The longest time without a look at the clock, which may be set while we wait for a time of day.
const CLOCK: Duration = Duration::from_secs(60);
/// How far ahead of our clock another member's may be.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// How far members' clocks may differ that are set by the network.
const BEHIND: SignedDuration = SignedDuration::from_secs(5);

/// A light, and how long it waits for presences that others have acted upon.
struct Followed {
    light: Light,
    behind_since: Option<Instant>,
    /// When the wish changes by the clock alone.
    turns_at: Option<Timestamp>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// The hubs' loops look again.
    pub act: bool,
    /// Lights whose topics are published.
    pub publish: Vec<usize>,
    /// Lights that were paused or let go, to be kept.
    pub keep: Vec<(usize, Paused)>,
    /// The own state is published again.
    pub say_online: bool,
    /// What the broker holds was read.
    pub opens: bool,
}

impl Todo {
    fn add(&mut self, light: usize, effects: Effects) {
        self.act |= effects.act;
        if effects.publish && !self.publish.contains(&light) {
            self.publish.push(light);
        }
    }
}

/// One member of a location.
pub(super) struct Mind {
    board: Arc<Board>,
    colors: Colors,
    knowledge: Knowledge,
    lights: Vec<Followed>,
    /// When the lights' topics count as read.
    read_at: Option<Instant>,
    /// Whether another member was heard since the start; none while we were never connected.
    has_company: Option<bool>,
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// The broker gave it to us, to act upon first.
    Given,
    /// As to every member, when it was published.
    ToAll,
    /// It was there before we came.
    Retained,
}

impl Mind {
    /// Of these lights, in the order of their places.
    pub fn new(topics: &Topics, lights: Vec<Light>, colors: Colors, board: Arc<Board>) -> Self {
        let knowledge = Knowledge::new(topics.accounts().iter().cloned());
        let followed = |light| Followed { light, behind_since: None, turns_at: None };
        let lights = lights.into_iter().map(followed).collect();
        Self { board, colors, knowledge, lights, read_at: None, has_company: None }
    }

    /// The connection stands, and what is retained is on its way.
    pub fn connected(&mut self, now: Now) -> Todo {
        self.knowledge.connected(now.instant);
        self.read_at = Some(now.instant + READING);
        for light in 0..self.lights.len() {
            let grace = self.board.grace();
            self.board.light(light, |entry| entry.duty.connected(now.instant, grace));
        }
        self.has_company.get_or_insert(false);
        self.board.set_connected(true);
        Todo { act: true, ..Todo::default() }
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.board.set_connected(false);
        self.knowledge.disconnected();
        self.read_at = None;
        (0..self.lights.len()).for_each(|light| self.board.light(light, |entry| entry.duty.disconnected()));
    }

    /// Whether we have been connected, and heard no other member meanwhile.
    pub fn is_alone(&self) -> bool {
        self.has_company == Some(false)
    }

    /// A message came. The error says what is odd, and quotes nothing.
    pub fn take(&mut self, about: &About, payload: &[u8], came: Came, now: Now) -> Result<Todo, String> {
        let (mut todo, given) = (Todo::default(), came == Came::Given);
        let odd = |odd: super::knowledge::Odd| odd.to_string();
        match about {
            About::Own => todo.say_online = payload == b"offline",
            About::Bridge => self.knowledge.bridge_said(payload).map_err(odd)?,
            About::State(account) => self.knowledge.account_said(account, payload).map_err(odd)?,
            About::Presence(account) => self.knowledge.presence(account, payload).map(drop).map_err(odd)?,
            About::Light(light) => self.read(*light, payload, came, now, &mut todo)?,
            About::Set(light) => self.set(*light, payload, given, now, &mut todo)?,
        }
        for light in 0..self.lights.len() {
            if about.concerns(light, &self.lights[light].light.follow) {
                self.decide(light, given, now, &mut todo);
            }
        }
        Ok(todo)
    }

    /// What a member of the location, or our forerunner, published of a light.
    fn read(&mut self, light: usize, payload: &[u8], came: Came, now: Now, todo: &mut Todo) -> Result<(), String> {
        if payload.is_empty() {
            return Ok(());
        }
        let mut report = Report::read(payload, &self.lights[light].light.follow, now.time)
            .ok_or("JSON with inputs was expected, as an actuator publishes it")?;
        report.is_live = came != Came::Retained;
        if report.is_live && report.is_of_another(self.board.me()) {
            self.has_company = Some(true);
        }
        let grace = self.board.grace();
        let (effects, paused) = self.board.light(light, |entry| {
            let before = entry.common.paused;
            let effects = entry.read(report, self.board.me(), grace, now);
            (effects, Some(entry.common.paused).filter(|paused| *paused != before))
        });
        todo.add(light, effects);
        todo.keep.extend(paused.map(|paused| (light, paused)));
        Ok(())
    }

    /// Somebody pauses a light, or lets it go.
    fn set(&mut self, light: usize, payload: &[u8], given: bool, now: Now, todo: &mut Todo) -> Result<(), String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Set {
            paused: bool,
        }
        let set: Set =
            serde_json::from_slice(payload).map_err(|_| r#"{"paused":true} or {"paused":false} was expected"#)?;
        let changed = self.board.light(light, |entry| {
            let known = &mut entry.common.paused;
            if known.value == set.paused {
                return None;
            }
            *known = Paused { version: next_version(known.version, now.time), value: set.paused };
            Some(*known)
        });
        todo.keep.extend(changed.map(|paused| (light, paused)));
        todo.add(light, Effects { act: false, publish: given || changed.is_some() });
        Ok(())
    }

    /// What a light was paused or let go by, before this start.
    pub fn paused(&mut self, light: usize, paused: Paused) {
        self.board.light(light, |entry| entry.common.paused = entry.common.paused.max(paused));
    }

    /// Looks at every light again, such as after its hub told something.
    pub fn look(&mut self, now: Now) -> Todo {
        let mut todo = Todo::default();
        (0..self.lights.len()).for_each(|light| self.decide(light, false, now, &mut todo));
        todo
    }

    /// What the lights do at the end. `last`: no other member is there to go on.
    pub fn stop(&mut self, last: bool, now: Now) -> Todo {
        let mut todo = Todo::default();
        for (light, followed) in self.lights.iter().enumerate() {
            let color = Some(followed.light.on_stop.clone()).filter(|color| last && *color != Color::Keep);
            let effects = self.board.light(light, |entry| {
                let paused = matches!(entry.wish.as_deref(), Some(Wish { why: Why::Paused | Why::Hand, .. }));
                let inputs = entry.common.inputs.clone();
                let wish = color.filter(|_| !paused).map(|color| {
                    let look = look_of(&color, entry);
                    Wish { status: None, color, why: Why::Stop, look, inputs }
                });
                entry.wish(wish, true, Duration::ZERO, now)
            });
            todo.add(light, effects);
        }
        todo.act = true;
        todo
    }

    /// When [`Self::pass`] is due next.
    pub fn deadline(&self, now: Now) -> Option<Instant> {
        let patience = self.lights.iter().filter_map(|light| Some(light.behind_since? + self.patience(light)));
        let graces = (0..self.lights.len()).filter_map(|light| self.board.light(light, |entry| entry.deadline()));
        let turns = self.lights.iter().filter_map(|light| light.turns_at).map(|at| {
            let wait = Duration::try_from(at.duration_since(now.time)).unwrap_or_default();
            now.instant + wait.min(CLOCK)
        });
        patience.chain(graces).chain(turns).chain(self.knowledge.deadline()).chain(self.read_at).min()
    }

    /// Time passes.
    pub fn pass(&mut self, now: Now) -> Todo {
        let mut todo = Todo::default();
        self.knowledge.pass(now.instant);
        if self.read_at.take_if(|at| *at <= now.instant).is_some() {
            self.board.set_read();
            todo.publish = (0..self.lights.len()).collect();
            todo.opens = true;
        }
        for light in 0..self.lights.len() {
            let patience = self.patience(&self.lights[light]);
            let behind = &mut self.lights[light].behind_since;
            if behind.take_if(|since| *since + patience <= now.instant).is_some() {
                self.board.light(light, |entry| entry.common.inputs.clear());
            }
            self.decide(light, false, now, &mut todo);
            let effects = self.board.light(light, |entry| entry.pass(now));
            todo.add(light, effects);
        }
        todo
    }

    fn patience(&self, light: &Followed) -> Duration {
        let known = light.light.follow.iter().all(|account| self.knowledge.is_confirmed(account));
        if known { PATIENCE } else { LONG_PATIENCE }
    }

    /// Wishes anew for a light.
    fn decide(&mut self, light: usize, given: bool, now: Now, todo: &mut Todo) {
        let grace = self.board.grace();
        let board = self.board.clone();
        let effects = board.light(light, |entry| {
            let mut effects = Effects::NONE;
            let wish = self.wish(light, entry, now, &mut effects);
            effects |= entry.wish(wish, given, grace, now);
            effects
        });
        todo.add(light, effects);
    }

    /// What a light is to do; none while that cannot be told yet.
    fn wish(&mut self, light: usize, entry: &mut Entry, now: Now, effects: &mut Effects) -> Option<Wish> {
        let Followed { light: rules_of, behind_since, turns_at } = &mut self.lights[light];
        let knowledge = &self.knowledge;
        let mut acted_upon = entry.common.inputs.iter();
        if acted_upon.any(|(account, sequence)| knowledge.sequence(account) < Some(*sequence)) {
            behind_since.get_or_insert(now.instant);
            return None;
        }
        *behind_since = None;
        if !rules_of.follow.iter().all(|account| knowledge.is_decided(account)) {
            return None;
        }
        let known = rules_of.follow.iter().filter_map(|account| Some((account, knowledge.known(account)?)));
        let chosen = rules::chosen(rules_of.show, known);
        let color = match chosen {
            Some((_, status)) => rules::color(rules_of, &self.colors, status),
            None => rules_of.offline.clone(),
        };
        let inputs = rules_of.follow.iter().filter_map(|account| Some((account.clone(), knowledge.sequence(account)?)));
        let status = chosen.map(|(account, status)| (account.clone(), status.clone()));
        let mut wish = Wish { status, color, why: Why::Status, look: None, inputs: inputs.collect() };
        *turns_at = None;
        outside(rules_of, entry, &mut wish, now, turns_at);
        if hand_holds(rules_of, entry, &wish, now, turns_at, effects) {
            (wish.color, wish.why) = (Color::Keep, Why::Hand);
        }
        if entry.common.paused.value {
            (wish.color, wish.why) = (Color::Keep, Why::Paused);
        }
        wish.look = look_of(&wish.color, entry);
        Some(wish)
    }
}

fn look_of(color: &Color, entry: &Entry) -> Option<Look> {
    match color {
        Color::Restore => entry.restoring(),
        color => Look::of(color),
    }
}

/// By the hour. Whoever's clock was there first tells the others: nobody goes back over it.
fn outside(light: &Light, entry: &mut Entry, wish: &mut Wish, now: Now, turns_at: &mut Option<Timestamp>) {
    let Some(rule) = &light.hours else { return };
    let mark = &mut entry.common.hours;
    let marked = i64::try_from(mark.version).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    let time = marked.filter(|marked| *marked <= now.time + SKEW).map_or(now.time, |marked| now.time.max(marked));
    let stretch = hours::at(rule, time);
    *mark = (*mark).max(Mark { version: milliseconds(stretch.since), inside: stretch.inside });
    *turns_at = Some(stretch.until);
    if !stretch.inside {
        if time < stretch.since + BEHIND {
            // Whoever's clock is behind does not know yet.
            entry.others_may_want(Look::of(&wish.color), now.instant);
        }
        (wish.color, wish.why) = (rule.outside.clone(), Why::Outside);
    }
}

/// Whether a person's hand still counts. Its end is told to the others.
fn hand_holds(
    light: &Light,
    entry: &mut Entry,
    wish: &Wish,
    now: Now,
    turns_at: &mut Option<Timestamp>,
    effects: &mut Effects,
) -> bool {
    let hand = &mut entry.common.hand;
    // No status counts outside the hours, so none ends the hand: their begin does. Every member comes to the same.
    if let (Until::Change(_), Why::Outside, Some(begin)) = (&hand.until, wish.why, *turns_at) {
        *hand = Hand { version: hand.version, until: Until::Time(begin) }.bounded();
        effects.publish = true;
    }
    let holds = match &entry.common.hand.until {
        Until::Over => return false,
        // It was seen by other rules.
        _ if light.hand == OnHand::Ignore => false,
        Until::Time(until) => {
            let may_be_news = matches!(light.hand, OnHand::For(_));
            *until > now.time && !(may_be_news && entry.came_before_the_news(&wish.inputs, now))
        }
        Until::Change(which) => {
            let nothing_to_show = wish.status.is_none() && light.offline == Color::Keep;
            *which == wish.which() || nothing_to_show
        }
    };
    if !holds {
        entry.end_hand(now);
        *effects |= Effects::ALL;
    } else if let Until::Time(until) = entry.common.hand.until {
        *turns_at = Some(turns_at.map_or(until, |at| at.min(until)));
    }
    holds
}
