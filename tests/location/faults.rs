//! What goes wrong: with nothing changing behind it, so that what is lost stays lost unless the members see to it.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::TIMES;
use crate::people::{LIGHTS, Light};
use crate::world::{Location, MEMBERS};

/// For so long nothing may happen any more behind a fault: longer than a member's grace time at its shortest.
const CALM: Duration = Duration::from_millis(1_500);
/// Longer than members wait for what others have acted upon.
const PATIENCE: Duration = Duration::from_secs(11);

#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Members are frozen, with the messages that the broker gave them.
    Frozen,
    /// A member dies with the messages that the broker gave it.
    Killed,
    /// The broker dies, forgets everything, and misses changes.
    Broker,
    /// The broker comes back with what it had on its disk, which is older than what was acted upon.
    Stale,
    /// A light is paused and let go while a member cannot hear of it.
    Paused,
}

impl Fault {
    pub const ALL: [Self; 5] = [Self::Frozen, Self::Killed, Self::Broker, Self::Stale, Self::Paused];
}

impl Location {
    pub async fn suffers(&mut self, fault: Fault) {
        match fault {
            Fault::Frozen => self.freeze().await,
            Fault::Killed => self.lose_a_member().await,
            Fault::Broker => self.lose_the_broker().await,
            Fault::Stale => self.hear_old_news().await,
            Fault::Paused => self.pause_unheard().await,
        }
    }

    /// Up to so many changes, while a member is frozen or killed and comes back.
    pub async fn turmoil(&mut self, until: usize) {
        let (member, kills) = (self.any(), self.chance.bool());
        let [from, to] = [self.chance.usize(0..10), self.chance.usize(10..20)];
        for change in 0..until.saturating_sub(self.changes) {
            match (change, kills) {
                (it, true) if it == from => self.kill(member),
                (it, true) if it == to => self.begin(member),
                (it, false) if it == from => self.signal(member, Signal::SIGSTOP),
                (it, false) if it == to => self.signal(member, Signal::SIGCONT),
                (5 | 15, _) => self.sam_goes(change == 15).await,
                _ => {}
            }
            self.change_often(1).await;
        }
        self.begin(member);
        self.signal(member, Signal::SIGCONT);
        self.sam_goes(true).await;
    }

    async fn freeze(&mut self) {
        let (spared, both) = (self.any(), self.chance.bool());
        let frozen = (0..MEMBERS).filter(|member| *member != spared).take(if both { 2 } else { 1 });
        frozen.clone().for_each(|member| self.signal(member, Signal::SIGSTOP));
        for _ in 0..3 {
            let times = self.chance.usize(1..3);
            self.change_often(times).await;
            self.ends_right().await;
        }
        frozen.for_each(|member| self.signal(member, Signal::SIGCONT));
        self.ends_right().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        self.ends_right().await;
        self.stays_right(CALM).await;
    }

    async fn lose_a_member(&mut self) {
        let member = self.any();
        let times = self.chance.usize(1..4);
        self.change_often(times).await;
        // Whatever it was given with the last of them, and had no time to do.
        self.kill(member);
        self.ends_right().await;
        self.change().await;
        self.ends_right().await;
        self.begin(member);
        tokio::time::sleep(Duration::from_millis(self.chance.u64(0..400))).await;
        self.change().await;
        self.ends_right().await;
    }

    async fn lose_the_broker(&mut self) {
        let member = self.any();
        let kills = self.chance.bool();
        if kills {
            self.kill(member);
        }
        self.broker.kill();
        self.change_unheard(3);
        self.restart_broker().await;
        tokio::time::sleep(Duration::from_millis(self.chance.u64(0..1_500))).await;
        self.begin(member);
        self.bridge_is_back().await;
        self.ends_right().await;
    }

    async fn hear_old_news(&mut self) {
        let member = self.any();
        let old: Vec<_> = self.people.all.iter().map(|(name, person)| (*name, person.sequence)).collect();
        self.change_unheard(2);
        self.bridge_is_back().await;
        self.ends_right().await;
        self.kill(member);
        self.restart_broker().await;
        self.bridge.publish("graph2mqtt/bridge/state", "online", true).await;
        for (name, sequence) in old {
            self.bridge.publish(&format!("graph2mqtt/account/{name}/state"), "online", true).await;
            self.present(name, sequence).await;
        }
        // The members that live keep to what was acted upon and say so, and one that starts now heeds it.
        self.is_known().await;
        let long = if self.chance.usize(0..TIMES) == 0 { PATIENCE } else { CALM };
        self.stays_right(long).await;
        self.begin(member);
        self.stays_right(PATIENCE / 2).await;
        self.bridge_is_back().await;
        self.ends_right().await;
    }

    async fn pause_unheard(&mut self) {
        let lights: Vec<&Light> = LIGHTS.iter().filter(|light| !light.has_hours).collect();
        let light = lights[self.chance.usize(0..lights.len())];
        for paused in [true, false] {
            let (killed, freezes) = (self.any(), self.chance.bool());
            let frozen = (killed + 1) % MEMBERS;
            self.kill(killed);
            if freezes {
                self.signal(frozen, Signal::SIGSTOP);
            }
            self.pause(light, paused).await;
            if paused {
                self.is_known().await;
                let before = self.people.wanted(light);
                while self.people.wanted(light) == before {
                    self.change_often(1).await;
                }
            }
            self.ends_right().await;
            // Neither who starts with another store nor who wakes up heard it by itself.
            self.begin(killed);
            self.signal(frozen, Signal::SIGCONT);
            tokio::time::sleep(2 * CALM).await;
            self.ends_right().await;
        }
    }
}
