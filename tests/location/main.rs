//! A location with three actuators, as processes of their own, on a real Mosquitto: whatever is killed, frozen
//! or restarted, every light ends at the newest presences of all whom it follows, with no change behind that
//! would mend what was lost, and never goes back for longer than a command.
//!
//! `LOCATION_SEED=<seed> cargo test --test location` runs a schedule once more.
#![cfg(test)]
#![cfg(feature = "demo")]

mod faults;
mod people;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::time::{Duration, Instant};

use faults::Fault;
use people::Hours;
use support::Broker;
use world::{Location, MEMBERS};

const CHANGES: usize = 500;
/// Every fault comes so often, in an order by chance.
const TIMES: usize = 3;
/// A light that was set back is set right again within this time: a command, and a hub that takes ten a second.
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn three_actuators_over_500_changes_with_kills_freezes_and_broker_restarts() {
    let Some(broker) = Broker::builder().start_mosquitto() else { return };
    let seed = std::env::var("LOCATION_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("LOCATION_SEED={seed}");
    let (began, mut location) = (Instant::now(), Location::start(broker, seed, Hours::ahead(1)).await);
    let mut faults: Vec<Fault> = Fault::ALL.iter().cycle().take(TIMES * Fault::ALL.len()).copied().collect();
    location.chance.shuffle(&mut faults);
    for (round, fault) in faults.iter().enumerate() {
        // Here later changes may mend what is lost; behind it, nothing but the members themselves.
        location.turmoil((round + 1) * CHANGES / faults.len()).await;
        location.tell(&format!("{fault:?}"));
        location.ends_right().await;
        location.suffers(*fault).await;
        location.ends_right().await;
        println!("{:?}: {fault:?}", began.elapsed());
    }
    location.turmoil(CHANGES.max(location.changes + 1)).await;
    location.ends_right().await;
    // Nobody sets it back later: all that is on its way, the grace times included, passes.
    location.stays_right(Duration::from_secs(4)).await;
    assert!(location.people.hours.have_begun(), "the hours were to begin meanwhile");
    let set_back = location.set_back();
    let (looks, commands) = (location.people.looks(), location.hub.commands().all().len());
    println!("{} changes, {looks} looks, {commands} commands, set back {set_back:?}", location.changes);
    let is_short = |(times, long): &(usize, Duration)| *times < MEMBERS && *long < SOON;
    assert!(set_back.iter().all(is_short), "for longer than a command of each other: {set_back:?}; {}", location.told);
    location.nobody_panicked();
}

#[tokio::test]
async fn changes_that_come_apart_cost_one_command_each() {
    let Some(broker) = Broker::builder().start_mosquitto() else { return };
    let mut location = Location::start(broker, 7, Hours::ahead(60)).await;
    // Every member's first look, and the first report, are through.
    tokio::time::sleep(Duration::from_secs(4)).await;
    location.hub.commands().clear();
    let mut looks = 0;
    for _ in 0..6 {
        let before = location.people.looks();
        location.change().await;
        location.ends_right().await;
        looks += location.people.looks() - before;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    let commands = location.hub.commands().all();
    assert_eq!(commands.len(), looks, "{commands:#?}");
}
