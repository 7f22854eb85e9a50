//! Scenes: shown, and told from a person's hand.

use super::*;

fn scene(name: &str, brightness: Option<u8>) -> Look {
    Look::Scene { name: name.into(), brightness, transition: Duration::ZERO }
}

/// What the hub tells of the desk once somebody did this to it.
async fn told_after(world: &World, events: &mut mpsc::Receiver<Event>, hand: Value) -> lights::Seen {
    world.hub.hand("Desk", &hand);
    let Event::Changed { seen, .. } = next(events).await else { panic!("a change") };
    seen
}

#[tokio::test]
async fn an_echo_of_a_scene_agrees_with_it_and_a_persons_hand_does_not() {
    let world = World::new("Office").await;
    world.light().show(RED, false).await.unwrap();
    let mut events = world.watch().await;
    let relax = scene("Relax", None);
    world.light().show(relax.clone(), true).await.unwrap();
    for _ in 0..4 {
        let Event::Changed { seen, .. } = next(&mut events).await else { panic!("a change") };
        assert!(
            world.light().agrees(&relax, &seen) && world.light().agrees(&scene("relax", Some(40)), &seen),
            "{seen:?}"
        );
        assert!(!world.light().agrees(&RED, &seen), "{seen:?}");
    }
    assert!(world.light().agrees(&relax, &world.light().read().await.unwrap()));
    let table = [
        (json!({"color": {"xy": {"x": 0.17, "y": 0.7}}}), false),
        (json!({"color": {"xy": {"x": 0.505, "y": 0.395}}}), true),
        (json!({"on": {"on": false}}), false),
    ];
    for (hand, agrees) in table {
        let seen = told_after(&world, &mut events, hand.clone()).await;
        assert_eq!(world.light().agrees(&relax, &seen), agrees, "{hand}");
    }
    world.hub.hand("Fan", &json!({"on": {"on": true}}));
    let Event::Changed { seen, .. } = next(&mut events).await else { panic!("a change") };
    assert!(!world.light().agrees(&relax, &seen), "the scene leaves it dark");
}

#[tokio::test]
async fn what_changes_by_itself_in_a_scene_is_no_hand() {
    let world = World::new("Office").await;
    let mut events = world.watch().await;
    world.light().show(scene("Fireplace", None), false).await.unwrap();
    let Event::Changed { .. } = next(&mut events).await else { panic!("it is switched on") };
    let flicker = json!({"dimming": {"brightness": 31.0}, "color": {"xy": {"x": 0.6, "y": 0.38}}});
    let seen = told_after(&world, &mut events, flicker.clone()).await;
    assert!(
        world.light().agrees(&scene("Fireplace", None), &seen) && !world.light().agrees(&scene("Relax", None), &seen)
    );
    assert!(world.light().agrees(&scene("Party", None), &seen), "its colours move");
    let seen = told_after(&world, &mut events, json!({"on": {"on": false}})).await;
    for moving in ["Fireplace", "Party"] {
        assert!(!world.light().agrees(&scene(moving, None), &seen), "nothing in {moving} switches a lamp off");
    }
}

#[tokio::test]
async fn a_scene_of_the_room_is_shown_and_another_is_refused_with_what_there_is() {
    let scene = |name: &str| Look::Scene { name: name.into(), brightness: None, transition: Duration::from_secs(1) };
    let world = World::new("Office").await;
    world.light().show(scene("relax"), false).await.unwrap();
    assert_eq!(world.hub.lamp("Desk").xy, Some((0.5, 0.4)));
    assert_eq!(world.sent()[0], json!({"recall": {"action": "active", "duration": 1000}}));
    let Err(Trouble::Light { reason }) = world.light().show(scene("Sunset"), true).await else { panic!("no scene") };
    assert!(reason.contains("\"Sunset\"") && reason.contains("Relax"), "{reason}");
    let desk = World::new("Desk").await;
    let Err(Trouble::Light { reason }) = desk.light().show(scene("Relax"), true).await else { panic!("no room") };
    assert!(reason.contains("rooms and zones"), "{reason}");
}
