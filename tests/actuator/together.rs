//! One command for several lights that are together a room.

use graph2mqtt::simulator::{Command, Gamut, Hub, Kind};

use crate::world::{BLUE, GREEN, RED, Running, World};

const LAMPS: [&str; 3] = ["Desk", "Shelf", "Door"];

/// An office with three lamps, each a light of its own, and a hall beside it that nobody follows.
async fn office(more: &str) -> (World, Running) {
    let lamps = LAMPS.map(|lamp| (lamp, Kind::Color(Gamut::C)));
    let hub = Hub::plan().room("Office", &lamps).room("Hall", &[("Ceiling", Kind::Color(Gamut::C))]);
    let world = World::around(hub.start().await.unwrap()).await;
    world.online(&["alex"]).await;
    let light =
        |lamp: &str| format!("  {}: {{ hub: office, target: light/{lamp}, follow: alex }}\n", lamp.to_lowercase());
    let lights: String = LAMPS.iter().map(|lamp| light(lamp)).chain([more.to_owned()]).collect();
    let actuator = world.actuator_with(&lights).await;
    world.read_ahead().await;
    (world, actuator)
}

async fn all_show(world: &World, xy: (f64, f64)) {
    for lamp in LAMPS {
        world.shows(lamp, xy).await;
        world
            .published(&lamp.to_lowercase(), |light| light["shown"].is_object() && light["shown"] == light["wanted"])
            .await;
    }
}

fn targets(world: &World) -> Vec<String> {
    world.hub.commands().all().into_iter().map(|command| command.target).collect()
}

#[tokio::test]
async fn lights_that_are_together_a_room_get_one_command_where_it_can_go_at_once() {
    let (mut world, actuator) = office("").await;
    world.presence("alex", "Busy").await;
    for lamp in LAMPS {
        world.shows(lamp, RED).await;
    }
    // The group's second is not waited for: lamps go sooner.
    world.presence("alex", "Away").await;
    all_show(&world, BLUE).await;
    let commands = world.hub.commands().all();
    let mut singles: Vec<&str> = commands[1..].iter().map(|command| command.target.as_str()).collect();
    singles.sort_unstable();
    assert_eq!(
        (commands[0].target.as_str(), &singles[..]),
        ("Office", &["Desk", "Door", "Shelf"][..]),
        "{commands:#?}"
    );
    assert!(!world.hub.lamp("Ceiling").on);
    actuator.stop().await;
}

#[tokio::test]
async fn where_one_of_them_does_not_obey_each_is_asked_by_itself() {
    let (mut world, actuator) = office("").await;
    world.hub.unreachable("Shelf");
    world.presence("alex", "Busy").await;
    world.published("shelf", |light| light["reachable"] == false).await;
    for lamp in ["Desk", "Door"] {
        world.shows(lamp, RED).await;
        let light = world.published(&lamp.to_lowercase(), |light| light["shown"].is_object()).await;
        assert_eq!(light["reachable"], true, "{light}");
    }
    assert_eq!(targets(&world)[0], "Office");
    let alone = |command: &Command| command.target == "Shelf" && !command.group;
    assert_eq!(world.hub.commands().count(alone), 1, "{:?}", targets(&world));
    actuator.stop().await;
}

#[tokio::test]
async fn lights_that_want_different_things_or_share_the_hub_with_a_group_go_by_themselves() {
    for more in [
        "  lamp: { hub: office, target: light/Mirror, follow: alex }\n  hall: { hub: office, target: Hall, follow: sam }\n",
        "    colors: { Busy: \"#00ff00\" }\n",
    ] {
        let hub = Hub::plan().room("Office", &LAMPS.map(|lamp| (lamp, Kind::Color(Gamut::C))));
        let hub = hub.room("Hall", &[("Ceiling", Kind::Color(Gamut::C))]);
        let hub = hub.room("Bath", &[("Mirror", Kind::Color(Gamut::C))]).start().await.unwrap();
        let mut world = World::around(hub).await;
        world.online(&["alex"]).await;
        let lights = "  desk: { hub: office, target: light/Desk, follow: alex }\n  shelf: { hub: office, target: light/Shelf, follow: alex }\n";
        let door = "  door:\n    hub: office\n    target: light/Door\n    follow: alex\n";
        let actuator = world.actuator_with(&format!("{lights}{door}{more}")).await;
        world.read_ahead().await;
        world.presence("alex", "Busy").await;
        world.shows("Desk", RED).await;
        world.shows("Shelf", RED).await;
        world.shows("Door", if more.contains("00ff00") { GREEN } else { RED }).await;
        assert_eq!(world.hub.commands().count(|command| command.group), 0, "{:?}", targets(&world));
        actuator.stop().await;
    }
}
