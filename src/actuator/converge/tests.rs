mod retry;
mod together;

use proptest::prelude::*;

use super::*;
use crate::lights::hue::LIMITS;
use crate::settings::Shade;

const SECOND: Duration = Duration::from_secs(1);

fn look(shade: u8) -> Look {
    Look::plain(Shade::Rgb([shade, 0, 0]))
}

fn obeyed() -> Result<Obeyed, Trouble> {
    Ok(Obeyed::default())
}

fn no_hub(after: Option<Duration>) -> Result<Obeyed, Trouble> {
    Err(Trouble::Hub { after, reason: "no hub".into() })
}

/// One group light, at a time that the test moves.
struct One {
    convergence: Convergence,
    now: Instant,
}

impl One {
    fn new() -> Self {
        Self { convergence: Convergence::new(LIMITS, 1), now: Instant::now() }
    }

    fn next(&mut self) -> Step {
        self.convergence.next(self.now, |_| Load::Group)
    }

    fn want(&mut self, shade: u8) {
        self.convergence.want(0, Aim::Show(look(shade)));
    }

    /// Waits as told, and sends; answers with the look, whether `on` was known, and the time waited.
    fn send(&mut self) -> (Look, bool, Duration) {
        let before = self.now;
        loop {
            match self.next() {
                Step::Send { look, on, .. } => return (look, on, self.now - before),
                Step::Wait(Some(at)) => self.now = at,
                Step::Wait(None) | Step::Together { .. } => panic!("nothing to send"),
            }
        }
    }

    fn end(&mut self, result: &Result<Obeyed, Trouble>) {
        self.convergence.ended(self.now, 0, result);
    }
}

#[test]
fn the_first_command_goes_at_once_and_the_next_keeps_the_limit_with_the_newest_wish() {
    let mut one = One::new();
    one.want(1);
    assert_eq!(one.send(), (look(1), false, Duration::ZERO));
    one.end(&obeyed());
    (2..=40).for_each(|shade| one.want(shade));
    assert_eq!(one.send(), (look(40), true, SECOND));
    one.end(&obeyed());
    assert_eq!(one.next(), Step::Wait(None));
}

#[test]
fn a_slow_answer_does_not_bring_commands_closer_together() {
    let mut one = One::new();
    one.want(1);
    one.send();
    one.now += Duration::from_millis(700);
    one.end(&obeyed());
    one.want(2);
    assert_eq!(one.send().2, Duration::from_millis(900));
}

#[test]
fn what_is_shown_is_not_sent_again() {
    let mut one = One::new();
    one.want(1);
    one.send();
    one.end(&obeyed());
    one.want(2);
    one.convergence.want(
        0,
        Aim::Show(Look::On { shade: Shade::Rgb([1, 0, 0]), brightness: 100, transition: SECOND, effect: None }),
    );
    assert_eq!(one.next(), Step::Wait(None), "back before it was sent, on another way");
}

#[test]
fn what_was_off_after_all_is_sent_once_more_with_on() {
    let mut one = One::new();
    one.want(1);
    one.send();
    one.end(&obeyed());
    one.want(2);
    one.send();
    one.end(&Ok(Obeyed { was_off: true, ..Obeyed::default() }));
    assert_eq!(one.send(), (look(2), false, SECOND));
    one.end(&Ok(Obeyed { was_off: true, ..Obeyed::default() }));
    assert_eq!(one.next(), Step::Wait(None), "a lamp that stays off is no reason to go on");
}

#[test]
fn a_light_that_was_left_alone_is_sent_the_same_look_again() {
    let mut one = One::new();
    one.want(1);
    one.send();
    one.end(&obeyed());
    one.convergence.want(0, Aim::LeaveAlone);
    assert_eq!(one.next(), Step::Wait(None));
    one.want(1);
    assert_eq!(one.send(), (look(1), false, SECOND));
}

#[test]
fn a_light_whose_accounts_were_unknown_for_a_while_is_not_sent_the_same_look_again() {
    let mut one = One::new();
    one.want(1);
    one.send();
    one.end(&obeyed());
    one.convergence.want(0, Aim::Wait);
    assert_eq!(one.next(), Step::Wait(None));
    one.want(1);
    assert_eq!(one.next(), Step::Wait(None));
}

#[test]
fn a_stopped_hub_is_left_alone() {
    let mut one = One::new();
    one.want(1);
    one.send();
    one.end(&Err(Trouble::Stop { reason: "unknown key".into() }));
    one.want(2);
    one.now += 3600 * SECOND;
    assert_eq!(one.next(), Step::Wait(None));
}

#[test]
fn lights_take_turns() {
    let mut now = Instant::now();
    let mut convergence = Convergence::new(LIMITS, 3);
    let mut turns = Vec::new();
    for shade in 0..9 {
        (0..3).for_each(|light| convergence.want(light, Aim::Show(look(shade))));
        now += SECOND;
        let Step::Send { light, .. } = convergence.next(now, |_| Load::Group) else { panic!("a turn each second") };
        turns.push(light);
        convergence.ended(now, light, &obeyed());
    }
    assert_eq!(turns, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
}

#[test]
fn a_light_that_changes_all_the_time_takes_no_others_turn() {
    let mut now = Instant::now();
    let mut convergence = Convergence::new(LIMITS, 3);
    let mut waited = [0; 3];
    for step in 0..200_u8 {
        convergence.want(0, Aim::Show(look(step)));
        // The others want something else now and then.
        if step % 10 == 0 {
            (1..3).for_each(|light| convergence.want(light, Aim::Show(look(step))));
        }
        now += LIMITS.single;
        let Step::Send { light, .. } = convergence.next(now, |_| Load::Single) else { panic!("a turn each time") };
        convergence.ended(now, light, &obeyed());
        for (other, waited) in waited.iter_mut().enumerate() {
            let waits = other != light && convergence.lights[other].due().is_some();
            *waited = if waits { *waited + 1 } else { 0 };
            assert!(*waited <= 2, "light {other} waits for {waited} turns of others");
        }
    }
}

#[test]
fn groups_and_lamps_do_not_wait_for_each_other() {
    let now = Instant::now();
    let mut convergence = Convergence::new(LIMITS, 4);
    (0..4).for_each(|light| convergence.want(light, Aim::Show(look(1))));
    let mut sent = Vec::new();
    while let Step::Send { light, .. } = convergence.next(now, |light| MIXED[light]) {
        sent.push(light);
        convergence.ended(now, light, &obeyed());
    }
    assert_eq!(sent, [0, 2], "one of each kind at once");
    let Step::Wait(Some(at)) = convergence.next(now, |light| MIXED[light]) else { panic!("two wait") };
    assert_eq!(at - now, LIMITS.single, "the lamp does not wait for the group");
}

/// What happens to a hub's lights.
#[derive(Debug, Clone)]
enum Happening {
    Want(usize, Aim),
    Pass(u64),
    /// The oldest command under way ends.
    End(u8),
}

fn aim() -> impl Strategy<Value = Aim> {
    prop_oneof![8 => (0..5_u8).prop_map(|shade| Aim::Show(look(shade))), 1 => Just(Aim::LeaveAlone), 1 => Just(Aim::Wait)]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..4_usize, aim()).prop_map(|(light, aim)| Happening::Want(light, aim)),
        3 => (0..2_000_u64).prop_map(Happening::Pass),
        3 => (0..8_u8).prop_map(Happening::End),
    ]
}

fn result(kind: u8) -> Result<Obeyed, Trouble> {
    match kind {
        0 => no_hub(None),
        1 => no_hub(Some(5 * SECOND)),
        2 => Err(Trouble::Light { reason: "gone".into() }),
        3 => Ok(Obeyed { was_off: true, ..Obeyed::default() }),
        _ => obeyed(),
    }
}

/// The limits of four lights.
type Loads = [Load; 4];
/// Two groups and two lamps.
const MIXED: Loads = [Load::Group, Load::Group, Load::Single, Load::Single];
/// Four lamps; the last three are all of a room, and all four of the home.
const LAMPS: Loads = [Load::Single; 4];

fn sets() -> Arc<[Vec<usize>]> {
    [vec![0, 1, 2, 3], vec![1, 2, 3]].into()
}

/// A hub that keeps book of what reaches it.
struct Book {
    convergence: Convergence,
    now: Instant,
    loads: Loads,
    /// Each command with its lights.
    under_way: Vec<(Vec<usize>, Look, bool)>,
    wanted: [Aim; 4],
    /// What each light is certain to show.
    shown: [Option<Look>; 4],
    /// Since when no group command can have reached the hub.
    last_group: Option<Instant>,
}

impl Book {
    fn new(loads: Loads) -> Self {
        let mut convergence = Convergence::new(LIMITS, 4);
        convergence.know_sets(sets());
        let now = Instant::now();
        Self {
            convergence,
            now,
            loads,
            under_way: Vec::new(),
            wanted: Default::default(),
            shown: Default::default(),
            last_group: None,
        }
    }

    fn want(&mut self, light: usize, aim: Aim) {
        self.wanted[light] = aim.clone();
        self.convergence.want(light, aim);
    }

    fn end(&mut self, result: &Result<Obeyed, Trouble>) {
        if self.under_way.is_empty() {
            return;
        }
        let (lights, look, on) = self.under_way.remove(0);
        if self.is_group(&lights) {
            self.last_group = Some(self.now);
        }
        let is_clean = matches!(result, Ok(obeyed) if *obeyed == Obeyed::default());
        for light in &lights {
            if lights.len() > 1 && !is_clean && !matches!(result, Err(Trouble::Hub { .. })) {
                self.convergence.parted(self.now, *light);
                self.shown[*light] = None;
            } else {
                self.convergence.ended(self.now, *light, result);
                self.shown[*light] = matches!(result, Ok(obeyed) if !(on && obeyed.was_off)).then(|| look.clone());
            }
        }
    }

    fn is_group(&self, lights: &[usize]) -> bool {
        lights.len() > 1 || self.loads[lights[0]] == Load::Group
    }

    /// Sends all that may be sent now; answers with the time to wait for.
    fn send(&mut self) -> Option<Instant> {
        let loads = self.loads;
        loop {
            let (lights, look, on) = match self.convergence.next(self.now, |light| loads[light]) {
                Step::Send { light, look, on } => (vec![light], look, on),
                Step::Together { lights, look, on } => (lights, look, on),
                Step::Wait(at) => return at,
            };
            assert!(self.under_way.len() < LIMITS.at_once, "too many at once");
            for light in &lights {
                assert!(self.under_way.iter().all(|(others, ..)| !others.contains(light)), "one command a light");
                assert_eq!(Aim::Show(look.clone()), self.wanted[*light], "the newest wish and no other");
            }
            if self.is_group(&lights) {
                assert!(self.under_way.iter().all(|(others, ..)| !self.is_group(others)), "one group at a time");
                let since = self.last_group.map(|last| self.now - last);
                assert!(since.is_none_or(|since| since >= Duration::from_millis(900)), "groups {since:?} apart");
            }
            self.under_way.push((lights, look, on));
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_every_light_ends_at_the_newest_wish(
        loads in prop_oneof![Just(MIXED), Just(LAMPS)],
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let mut book = Book::new(loads);
        for happening in happenings {
            match happening {
                Happening::Want(light, aim) => book.want(light, aim),
                Happening::Pass(milliseconds) => book.now += Duration::from_millis(milliseconds),
                Happening::End(kind) => book.end(&result(kind)),
            }
            book.send();
        }
        let mut commands = 0;
        loop {
            let at = book.send();
            if !book.under_way.is_empty() {
                book.end(&obeyed());
                commands += 1;
            } else if let Some(at) = at {
                prop_assert!(at > book.now, "waiting for the past is a busy loop");
                book.now = at;
            } else {
                break;
            }
        }
        prop_assert!(commands <= 4 + LIMITS.at_once, "once all is well, a command for each light is enough");
        for light in 0..4 {
            if let Aim::Show(wanted) = &book.wanted[light] {
                prop_assert_eq!(book.shown[light].as_ref(), Some(wanted));
            }
        }
    }
}
