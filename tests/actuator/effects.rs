//! Effects that last as long as a status, whoever of the location's members keeps them going.

use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Command, LampState};
use serde_json::Value;

use crate::support::observer::Seen;
use crate::world::{BLUE, PATIENCE, World};

const DESK: &str = "  desk: { hub: office, target: light/Desk, follow: alex, colors: { Busy: { color: \"#ff0000\", effect: breathe }, Away: \"#0000ff\" } }\n";
const BLINKS: &str = "  desk: { hub: office, target: light/Desk, follow: alex, colors: { Busy: { color: \"#ff0000\", effect: blink }, Away: \"#0000ff\" } }\n";
/// A breath, a grace time, and the look that goes before the next one.
const NEXT_BREATH: Duration = Duration::from_secs(22);

fn is_breath(command: &Command) -> bool {
    command.body.get("alert").is_some()
}

/// Who said last that it keeps the light's effect going, such as is meant.
async fn keeper(world: &World, is_meant: impl Fn(&str) -> bool) -> String {
    let keeps = |seen: &Seen| {
        let light: Value = serde_json::from_str(&seen.payload).ok().filter(|_| seen.topic.ends_with("/light/desk"))?;
        let who = light["by"]["actuator"].as_str().filter(|who| light["by"]["again"].is_u64() && is_meant(who))?;
        Some(who.to_owned())
    };
    world.bridge.wait("somebody keeps the effect going", |seen| seen.iter().rev().find_map(keeps)).await
}

#[tokio::test]
async fn an_effect_goes_on_when_the_member_that_kept_it_going_dies() {
    let mut world = World::with(&["alex"]).await;
    let first = world.actuator_with(DESK).await;
    world.presence("alex", "Busy").await;
    let name = keeper(&world, |_| true).await;
    let second = world.actuator_with(DESK).await;
    world.published("desk", |light| light["by"]["actuator"] != name.as_str()).await;
    let dying = keeper(&world, |_| true).await;
    let (dies, lives) = if dying == name { (first, second) } else { (second, first) };
    dies.kill();
    world.hub.commands().clear();
    world.hub.commands().wait_for(NEXT_BREATH, |commands| commands.iter().any(is_breath)).await.unwrap();
    keeper(&world, |who| who != dying).await;
    world.presence("alex", "Away").await;
    world.shows("Desk", BLUE).await;
    lives.stop().await;
}

#[tokio::test]
async fn one_member_at_a_time_keeps_an_effect_going() {
    let mut world = World::with(&["alex"]).await;
    let first = world.actuator_with(DESK).await;
    world.presence("alex", "Busy").await;
    let name = keeper(&world, |_| true).await;
    // Whoever starts sends its look, and would renew it too.
    let second = world.actuator_with(DESK).await;
    world.published("desk", |light| light["by"]["actuator"] != name.as_str()).await;
    world.hub.commands().clear();
    let twice = |commands: &[Command]| commands.iter().filter(|command| is_breath(command)).count() == 2;
    world.hub.commands().wait_for(2 * NEXT_BREATH, twice).await.unwrap();
    let breaths: Vec<_> = world.hub.commands().all().into_iter().filter(is_breath).collect();
    assert!(breaths[1].at - breaths[0].at > Duration::from_secs(14), "{breaths:#?}");
    for member in [first, second] {
        member.stop().await;
    }
}

#[tokio::test]
async fn the_look_of_a_member_that_starts_ends_no_effect() {
    let mut world = World::with(&["alex"]).await;
    let first = world.actuator_with(BLINKS).await;
    world.presence("alex", "Busy").await;
    let blinks = |command: &Command| command.body["signaling"]["signal"] == "on_off";
    world.hub.commands().wait_for(PATIENCE, |commands| commands.iter().any(blinks)).await.unwrap();
    world.hub.commands().clear();
    let second = world.actuator_with(BLINKS).await;
    // Its first look ends whatever signal may run: the effect has to begin behind it, whoever sends that.
    let ends = |command: &Command| command.body["signaling"]["signal"] == "no_signal";
    world.hub.commands().wait_for(PATIENCE, |commands| commands.iter().any(ends)).await.unwrap();
    let blinks_again = |commands: &[Command]| commands.iter().skip_while(|command| !ends(command)).any(blinks);
    world.hub.commands().wait_for(PATIENCE, blinks_again).await.unwrap();
    for member in [first, second] {
        member.stop().await;
    }
}

#[tokio::test]
async fn a_signal_ends_with_the_next_look_however_long_it_was_to_last_and_whoever_started_it() {
    let looks = ["Away: \"#0000ff\"", "Away: off"];
    for (lasts, dies, next) in
        [("blink", true, looks[0]), ("blink:30m", true, looks[1]), ("blink:30m", false, looks[0])]
    {
        let mut world = World::with(&["alex"]).await;
        let lights = BLINKS.replace("blink", &format!("\"{lasts}\"")).replace(looks[0], next);
        let first = world.actuator_with(&lights).await;
        world.presence("alex", "Busy").await;
        let blinks = |lamp: &LampState| lamp.signal.as_ref().is_some_and(|signal| signal["signal"] == "on_off");
        world.hub.wait_for("Desk", PATIENCE, blinks).await.unwrap();
        let member = if dies {
            first.kill();
            world.actuator_with(&lights).await
        } else {
            first
        };
        world.presence("alex", "Away").await;
        let is_next = |lamp: &LampState| if next == looks[0] { lamp.xy == Some(BLUE) } else { !lamp.on };
        world.hub.wait_for("Desk", PATIENCE, is_next).await.unwrap();
        let signal = world.hub.lamp("Desk").signal.map(|signal| signal["signal"].clone());
        assert_eq!(signal, Some(Value::from("no_signal")), "{lasts}, {next}");
        member.stop().await;
    }
}

fn blinks_for(time: &str) -> String {
    format!(
        "  desk: {{ hub: office, target: light/Desk, follow: alex, colors: {{ Busy: {{ color: \"#ff0000\", effect: \"blink:{time}\" }}, Away: \"#0000ff\" }} }}\n"
    )
}

/// When a command's blinking is to end.
fn ends_at(command: &Command) -> Option<Instant> {
    let lasting = command.body["signaling"]["duration"].as_u64()?;
    Some(command.at + Duration::from_millis(lasting))
}

#[tokio::test]
async fn an_effect_for_a_while_ends_when_it_was_to_end_whoever_goes_on_with_it() {
    let mut world = World::with(&["alex"]).await;
    let lights = blinks_for("20s");
    let first = world.actuator_with(&lights).await;
    world.presence("alex", "Busy").await;
    let blinking = |commands: &[Command]| commands.iter().any(|it| ends_at(it).is_some());
    let commands = world.hub.commands().wait_for(PATIENCE, blinking).await.unwrap();
    let ends = commands.iter().find_map(ends_at).unwrap();
    world.published("desk", |light| light["shown"].is_object() && light["by"]["commands"] == 2).await;
    first.kill();
    world.hub.commands().clear();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let second = world.actuator_with(&lights).await;
    let commands = world.hub.commands().wait_for(PATIENCE, blinking).await.unwrap();
    let then = commands.iter().find_map(ends_at).unwrap();
    // It is the look that is known to have begun, a second before its effect.
    let off = if then > ends { then - ends } else { ends - then };
    assert!(off < Duration::from_millis(2_500), "{off:?} off: {commands:#?}");
    second.stop().await;
}

#[tokio::test]
async fn an_effect_for_a_while_that_is_over_does_not_begin_anew_with_a_member_that_starts() {
    let mut world = World::with(&["alex"]).await;
    let lights = blinks_for("1s");
    let first = world.actuator_with(&lights).await;
    world.presence("alex", "Busy").await;
    let through = |light: &Value| light["shown"].is_object() && light["by"]["again"].is_null();
    let light = world.published("desk", |light| through(light) && light["by"]["commands"] == 2).await;
    let (name, since) = (light["by"]["actuator"].clone(), light["since"].clone());
    first.kill();
    world.hub.commands().clear();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let second = world.actuator_with(&lights).await;
    let light = world.published("desk", |light| through(light) && light["by"]["actuator"] != name).await;
    assert_eq!(light["since"], since, "since when it is shown, by whomever");
    let commands = world.hub.commands().all();
    assert!(!commands.is_empty() && commands.iter().all(|it| ends_at(it).is_none()), "{commands:#?}");
    second.stop().await;
}

#[tokio::test]
async fn a_signal_without_an_end_ends_within_a_minute_once_nobody_keeps_it_going() {
    let mut world = World::with(&["alex"]).await;
    let lights = BLINKS.replace("Away: \"#0000ff\"", "Away: keep");
    let actuator = world.actuator_with(&lights).await;
    world.presence("alex", "Busy").await;
    let blinking = |commands: &[Command]| commands.iter().any(|it| ends_at(it).is_some());
    world.hub.commands().wait_for(PATIENCE, blinking).await.unwrap();
    world.published("desk", |light| light["by"]["again"].is_u64() && light["by"]["commands"] == 2).await;
    world.presence("alex", "Away").await;
    world.published("desk", |light| light["wanted"]["color"] == "keep" && light["by"]["again"].is_null()).await;
    let commands = world.hub.commands().all();
    let ends = commands.iter().filter_map(ends_at).max().unwrap();
    assert!(ends <= Instant::now() + Duration::from_secs(60), "{commands:#?}");
    actuator.stop().await;
}
