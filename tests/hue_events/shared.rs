//! Lights of one hub that share lamps: the first has them, and the other is told why it has none.

use graph2mqtt::lights::Finding;

use super::*;

fn plan() -> graph2mqtt::simulator::Plan {
    let lamps = ["Desk", "Shelf", "Door"].map(|lamp| (lamp, Kind::Color(Gamut::C)));
    Hub::plan().room("Office", &lamps).room("Hall", &[("Ceiling", Kind::White)]).zone("Corner", &["Desk", "Shelf"])
}

impl World {
    /// The lights `a`, `b` and so on, with these targets.
    async fn of(plan: graph2mqtt::simulator::Plan, targets: &[&str]) -> Self {
        let light =
            |(name, target): (char, &&str)| format!("  {name}: {{ hub: office, target: {target}, follow: alex }}\n");
        let lights: String = ('a'..).zip(targets).map(light).collect();
        let hub = plan.start().await.unwrap();
        hub.adjust(|limits| limits.group_gap = Duration::ZERO);
        Self::around(hub, &lights).await
    }

    fn at(&self, light: usize) -> &dyn lights::Light {
        &*self.lights.lights[light].1
    }

    /// Everything that can be asked of a light, as it is refused.
    async fn refusals(&self, light: usize) -> Vec<String> {
        let it = self.at(light);
        let asked = [
            it.prepare().await,
            it.show(RED, false).await.map(drop),
            it.read().await.map(drop),
            it.flash().await.map(drop),
        ];
        let reason = |asked| match asked {
            Err(Trouble::Light { reason }) => reason,
            other => panic!("{other:?}"),
        };
        asked.into_iter().map(reason).collect()
    }
}

#[tokio::test]
async fn the_second_light_with_a_lamp_is_refused_by_its_name_and_the_lamps() {
    for (targets, refused, shared) in [
        (&["light/Desk", "room/Office"][..], 1, "lights.b.target has the lamp Desk in common with lights.a.target"),
        (&["Office", "light/Desk"], 1, "lights.b.target has the lamp Desk in common with lights.a.target"),
        (&["zone/Corner", "Office"], 1, "has the lamps Desk, Shelf in common with lights.a.target"),
        (&["home", "Hall"], 1, "has the lamp Ceiling in common with lights.a.target"),
        (&["Hall", "Desk", "room/office", "light/Shelf"], 2, "has the lamp Desk in common with lights.b.target"),
    ] {
        let world = World::of(plan(), targets).await;
        let is_told =
            |said: &str| [shared, "a person's hand", "can follow several accounts"].iter().all(|it| said.contains(it));
        for reason in world.refusals(refused).await {
            assert!(is_told(&reason) && reason.starts_with("hub office: "), "{reason}");
        }
        assert_eq!(world.hub.commands().count(|_| true), 0, "{targets:?}");
        let checked = lights::check(&world.settings, &world.store).await;
        let survey = lights::survey(&world.settings, &world.store).await.unwrap();
        let outcomes = checked[1..].iter().map(|Finding { outcome, .. }| outcome.clone().err());
        for (at, outcome) in outcomes.enumerate() {
            assert_eq!(outcome.is_some_and(|said| is_told(&said)), at == refused, "{targets:?}: {checked:?}");
            assert_eq!(survey.lights[at].error.is_some(), at == refused, "{targets:?}: {survey:?}");
            if at != refused {
                world.at(at).show(RED, false).await.unwrap();
            }
        }
    }
}

/// What it is told comes of the hub: whoever hears it knows that the hub answers.
#[tokio::test]
async fn a_refused_light_of_a_hub_that_is_down_is_told_that_of_the_hub() {
    let world = World::of(plan(), &["light/Desk", "room/Office"]).await;
    world.refusals(1).await;
    world.hub.down().await;
    let asked = world.at(1).show(RED, false).await;
    assert!(matches!(asked, Err(Trouble::Hub { .. })), "{asked:?}");
}

#[tokio::test]
async fn lights_without_a_lamp_in_common_are_left_in_peace() {
    let world = World::of(plan(), &["zone/Corner", "light/Door", "Hall"]).await;
    let checked = lights::check(&world.settings, &world.store).await;
    assert!(checked.len() == 4 && checked.iter().all(|it| it.outcome.is_ok()), "{checked:?}");
    for light in 0..3 {
        world.at(light).show(RED, false).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_lamp_shows_is_told_to_the_light_that_has_it_alone_until_people_part_them() {
    let world = World::of(plan(), &["light/Desk", "zone/Corner"]).await;
    let mut events = world.watch().await;
    let hand = |lamp: &str, on: bool| world.hub.hand(lamp, &json!({"on": {"on": on}}));
    hand("Desk", true);
    hand("Shelf", true);
    hand("Desk", false);
    for on in [true, false] {
        let Event::Changed { light: 0, seen } = next(&mut events).await else { panic!("of the desk alone") };
        assert_eq!(seen.0[0].on, Some(on));
    }
    world.hub.remove_zone("Corner");
    world.hub.add_zone("Corner", &["Shelf"]);
    assert_eq!(next(&mut events).await, Event::Rearranged);
    assert_eq!(next(&mut events).await, Event::Back { light: 1 });
    world.at(1).prepare().await.unwrap();
    hand("Shelf", false);
    assert!(matches!(next(&mut events).await, Event::Changed { light: 1, .. }));
    world.hub.remove_zone("Corner");
    assert_eq!(next(&mut events).await, Event::Rearranged);
    world.hub.add_zone("Corner", &["Desk"]);
    assert_eq!(next(&mut events).await, Event::Rearranged, "it is told that it is another's");
    hand("Desk", true);
    assert!(matches!(next(&mut events).await, Event::Changed { light: 0, .. }), "it is together with the desk again");
    assert!(world.refusals(1).await[0].contains("the lamp Desk"));
}

#[tokio::test]
async fn a_hub_that_tells_no_events_is_asked_whether_lamps_are_still_shared() {
    let world = World::of(plan().v1(), &["light/Desk", "zone/Corner"]).await;
    assert!(world.refusals(1).await[0].contains("the lamp Desk"));
    world.hub.remove_zone("Corner");
    world.hub.add_zone("Corner", &["Shelf"]);
    world.at(1).prepare().await.unwrap();
    world.at(1).show(RED, false).await.unwrap();
    assert!(world.hub.lamp("Shelf").on && !world.hub.lamp("Desk").on);
}

#[tokio::test]
async fn lights_together_are_no_set_with_a_lamp_that_another_light_has() {
    let world = World::of(plan(), &["zone/Corner", "light/Desk", "light/Shelf", "light/Door"]).await;
    world.at(0).prepare().await.unwrap();
    assert!(world.lights.together.as_ref().unwrap().sets().is_empty());
    let world = World::of(plan(), &["light/Desk", "light/Shelf", "light/Door", "light/Desk"]).await;
    world.at(0).prepare().await.unwrap();
    assert_eq!(world.lights.together.as_ref().unwrap().sets()[..], [vec![0, 1, 2], vec![0, 1]]);
}
