//! Effects that last as long as a status, whoever of the location's members keeps them going.

use std::time::Duration;

use graph2mqtt::simulator::Command;
use serde_json::Value;

use crate::world::{BLUE, PATIENCE, RED, World};

const DESK: &str = "  desk: { hub: office, target: light/Desk, follow: alex, colors: { Busy: { color: \"#ff0000\", effect: breathe }, Away: \"#0000ff\" } }\n";
const BLINKS: &str = "  desk: { hub: office, target: light/Desk, follow: alex, colors: { Busy: { color: \"#ff0000\", effect: blink }, Away: \"#0000ff\" } }\n";
/// A breath, a grace time, and the look that goes before the next one.
const NEXT_BREATH: Duration = Duration::from_secs(22);

fn is_breath(command: &Command) -> bool {
    command.body.get("alert").is_some()
}

async fn breathes(world: &World, times: usize) {
    let so_often = |commands: &[Command]| commands.iter().filter(|command| is_breath(command)).count() >= times;
    world.hub.commands().wait_for(NEXT_BREATH, so_often).await.unwrap();
}

#[tokio::test]
async fn an_effect_goes_on_when_the_member_that_kept_it_going_dies() {
    let mut world = World::with(&["alex"]).await;
    let first = world.actuator_with(DESK).await;
    world.presence("alex", "Busy").await;
    world.shows("Desk", RED).await;
    breathes(&world, 1).await;
    // Whoever starts sends its look and its effect: from now on it is the one.
    let second = world.actuator_with(DESK).await;
    breathes(&world, 2).await;
    world.published("desk", |light| light["by"]["again"] == 15).await;
    let at =
        world.hub.commands().all().iter().filter(|command| is_breath(command)).map(|command| command.at).next_back();
    second.kill();
    breathes(&world, 3).await;
    let breaths: Vec<_> = world.hub.commands().all().into_iter().filter(is_breath).collect();
    assert!(breaths[2].at - at.unwrap() > Duration::from_secs(14), "one at a time: {breaths:#?}");
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    first.stop().await;
}

#[tokio::test]
async fn a_signal_that_another_member_started_ends_with_the_next_look() {
    let mut world = World::with(&["alex"]).await;
    let first = world.actuator_with(BLINKS).await;
    world.presence("alex", "Busy").await;
    let blinks = |lamp: &graph2mqtt::simulator::LampState| {
        lamp.signal.as_ref().is_some_and(|signal| signal["signal"] == "on_off")
    };
    world.hub.wait_for("Desk", PATIENCE, blinks).await.unwrap();
    first.kill();
    let second = world.actuator_with(BLINKS).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    assert_eq!(world.hub.lamp("Desk").signal.map(|signal| signal["signal"].clone()), Some(Value::from("no_signal")));
    second.stop().await;
}
