//! Gaps in what the hub tells, and lamps, rooms and names that come and go.

use graph2mqtt::lights::Source;
use graph2mqtt::lights::hue::{HueHub, Watch};

use super::*;

impl World {
    /// How often the hub was asked for all that it holds.
    fn reads(&self) -> usize {
        self.hub.requests().count(|it| it.route == "GET /clip/v2/resource")
    }

    /// How often its event stream was opened.
    fn streams(&self) -> usize {
        self.hub.requests().count(|it| it.route.contains("eventstream"))
    }

    async fn shows_red(&self, lamp: &str) {
        self.light().show(RED, false).await.unwrap();
        assert!(self.hub.lamp(lamp).on, "{lamp}");
    }

    async fn reason(&self) -> String {
        let Err(Trouble::Light { reason }) = self.light().prepare().await else { panic!("there is such a target") };
        reason
    }
}

/// The next event that is not of a lamp's look.
async fn next_but_looks(events: &mut mpsc::Receiver<Event>) -> Event {
    loop {
        match next(events).await {
            Event::Changed { .. } => {}
            event => return event,
        }
    }
}

/// The target is something else than before.
async fn is_another(events: &mut mpsc::Receiver<Event>) {
    assert_eq!(next_but_looks(events).await, Event::Rearranged);
    assert_eq!(next_but_looks(events).await, Event::Back { light: 0 });
}

#[tokio::test]
async fn after_every_gap_everything_is_read_anew_whether_the_hub_tells_what_was_missed_or_not() {
    let world = World::new("Desk").await;
    world.light().prepare().await.unwrap();
    let mut events = world.watch().await;
    for (tells, brightness) in [(true, 20.0), (false, 30.0)] {
        let dimmed = |by: f64| json!({"on": {"on": true}, "dimming": {"brightness": brightness + by}});
        world.hub.hand("Desk", &dimmed(0.0));
        let Event::Changed { .. } = next(&mut events).await else { panic!("a change") };
        let before = world.reads();
        world.hub.down().await;
        world.hub.hand("Desk", &dimmed(5.0));
        if !tells {
            world.hub.forget_events();
        }
        world.hub.up().await.unwrap();
        if tells {
            let Event::ChangedBefore { .. } = next(&mut events).await else { panic!("what was missed comes first") };
        }
        assert_eq!(next(&mut events).await, Event::Missed, "{tells}");
        assert!(world.reads() > before, "{tells}");
    }
}

#[tokio::test]
async fn what_a_process_that_was_stopped_hears_late_is_no_persons_hand() {
    let world = World::new("Desk").await;
    let mut events = world.watch().await;
    world.hub.hand("Desk", &hand());
    // The one thread of this test: everything stands still.
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(next(&mut events).await, Event::Missed);
    world.hub.hand("Desk", &json!({"on": {"on": false}}));
    let Event::Changed { light: 0, seen } = next(&mut events).await else { panic!("a change") };
    assert_eq!(seen.0[0].on, Some(false), "what comes later is heard");
}

#[tokio::test]
async fn a_hub_whose_clock_goes_back_is_heard_all_the_same() {
    let world = World::new("Desk").await;
    let mut events = world.watch().await;
    let changes = async |events: &mut mpsc::Receiver<Event>, on: bool| {
        world.hub.hand("Desk", &json!({"on": {"on": on}}));
        let Event::Changed { seen, .. } = next(events).await else { panic!("a change") };
        assert_eq!(seen.0[0].on, Some(on));
    };
    changes(&mut events, true).await;
    world.hub.set_clock_back(Duration::from_secs(60));
    changes(&mut events, false).await;
    world.hub.down().await;
    world.hub.forget_events();
    world.hub.set_clock_back(Duration::from_secs(3_600));
    world.hub.up().await.unwrap();
    assert_eq!(next(&mut events).await, Event::Missed);
    world.hub.unreachable("Desk");
    world.hub.reachable("Desk");
    assert!(matches!(next(&mut events).await, Event::Lost { light: 0, .. }));
    assert!(matches!(next(&mut events).await, Event::LampsBack { light: 0, .. }));
    changes(&mut events, true).await;
}

#[tokio::test]
async fn a_lamp_that_was_renamed_in_a_gap_is_known_after_it() {
    let world = World::new("Table").await;
    world.reason().await;
    let mut events = world.watch().await;
    world.hub.down().await;
    world.hub.rename("Desk", "Table");
    world.hub.forget_events();
    world.hub.up().await.unwrap();
    is_another(&mut events).await;
    assert_eq!(next(&mut events).await, Event::Missed);
    world.shows_red("Table").await;
}

#[tokio::test]
async fn a_connection_that_is_silent_for_too_long_is_made_anew() {
    let world = World::new("Desk").await;
    let (name, office) = world.settings.hubs.iter().next().unwrap();
    let target = world.settings.lights.values().next().unwrap().target.clone();
    let hub = HueHub::new(name, office.clone(), world.store.clone());
    let silence = Duration::from_secs(2);
    let watch = Watch::new(Arc::new(hub), vec![target]).with_silence(silence);
    let (sender, mut events) = mpsc::channel(16);
    tokio::spawn(async move { watch.watch(sender).await });
    assert_eq!(next(&mut events).await, Event::Missed);
    let began = tokio::time::Instant::now();
    for step in 1..=4 {
        world.hub.hand("Desk", &json!({"on": {"on": true}, "dimming": {"brightness": 10.0 * f64::from(step)}}));
        let Event::Changed { .. } = next(&mut events).await else { panic!("a change") };
        tokio::time::sleep_until(began + silence * step / 3).await;
    }
    assert_eq!(world.streams(), 1, "one that speaks is kept");
    assert_eq!(next(&mut events).await, Event::Missed);
    assert_eq!(world.streams(), 2);
}

#[tokio::test]
async fn a_target_by_name_is_whoever_bears_the_name_by_now() {
    let world = World::new("Table").await;
    assert!(!world.reason().await.contains("removed"), "it never was there");
    let mut events = world.watch().await;
    world.hub.rename("Desk", "Table");
    is_another(&mut events).await;
    world.shows_red("Table").await;
    world.hub.remove_lamp("Table");
    assert_eq!(next_but_looks(&mut events).await, Event::Rearranged);
    let reason = world.reason().await;
    for word in ["lights.one.target", "\"Table\"", "removed or renamed", "light/Shelf"] {
        assert!(reason.contains(word), "{word}: {reason}");
    }
    world.hub.add_lamp("Hall", "Table", Kind::White);
    is_another(&mut events).await;
    world.shows_red("Table").await;
    world.hub.hand("Table", &json!({"on": {"on": false}}));
    let is_dark = |event: &Event| matches!(event, Event::Changed { light: 0, seen } if seen.0[0].on == Some(false));
    while !is_dark(&next(&mut events).await) {}
}

#[tokio::test]
async fn rooms_and_zones_that_come_and_go_are_followed() {
    let world = World::new("Corner").await;
    world.reason().await;
    let mut events = world.watch().await;
    world.hub.add_zone("Corner", &["Desk", "Shelf"]);
    is_another(&mut events).await;
    world.shows_red("Shelf").await;
    assert!(!world.hub.lamp("Door").on);
    world.hub.rename("Corner", "Nook");
    assert_eq!(next_but_looks(&mut events).await, Event::Rearranged);
    assert!(world.reason().await.contains("zone/Nook"));
    world.hub.rename("Office", "Corner");
    is_another(&mut events).await;
    world.hub.add_lamp("Corner", "Window", Kind::White);
    is_another(&mut events).await;
    world.shows_red("Window").await;
    world.hub.remove_zone("Nook");
    world.hub.rename("Corner", "Office");
    assert_eq!(next_but_looks(&mut events).await, Event::Rearranged);
    let reason = world.reason().await;
    assert!(reason.contains("room/Office") && !reason.contains("Nook"), "{reason}");
}
