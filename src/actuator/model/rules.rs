//! By which rules the model's light follows, and what it is to show by them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::world::ACCOUNTS;
use crate::lights::Look;
use crate::presence::{Activity, Availability, Busyness};
use crate::settings::{self, Settings, Show};

/// The model's clock begins twenty seconds before this minute.
const BOUNDARY: Duration = Duration::from_secs(20);
/// Clocks of members differ by less.
const SKEW: Duration = Duration::from_secs(5);

/// The light's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    pub show: Show,
    pub hours: Hours,
    /// Whether a person's hand counts for an hour, and not until the next status.
    pub lasting_hand: bool,
}

/// The light's hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hours {
    All,
    Begin,
    End,
}

pub(super) const PLAIN: Rules = Rules { show: Show::Latest, hours: Hours::All, lasting_hand: false };

pub(super) fn rules() -> impl Strategy<Value = Rules> {
    let show = prop_oneof![2 => Just(Show::Latest), 1 => Just(Show::Busiest), 1 => Just(Show::First)];
    let hours = prop_oneof![2 => Just(Hours::All), 1 => Just(Hours::Begin), 1 => Just(Hours::End)];
    let rules = (show, hours, proptest::bool::weighted(0.25));
    rules.prop_map(|(show, hours, lasting_hand)| Rules { show, hours, lasting_hand })
}

impl Rules {
    pub fn settings(self) -> Settings {
        let show = match self.show {
            Show::Latest => "latest",
            Show::Busiest => "busiest",
            Show::First => "first",
        };
        let hours =
            |from: &str, to: &str| format!(", hours: {{ from: '{from}', to: '{to}', time_zone: UTC, outside: off }}");
        let hours = match self.hours {
            Hours::All => String::new(),
            Hours::Begin => hours("11:07", "13:00"),
            Hours::End => hours("09:00", "11:07"),
        };
        let hand = if self.lasting_hand { "1h" } else { "until_change" };
        let yaml = format!(
            "hubs: {{ office: {{ host: h }} }}\n\
             lights: {{ desk: {{ hub: office, target: light/Desk, follow: [alex, sam], show: {show}, hand: {hand}{hours} }} }}\n\
             colors: {{ Available: '#00ff00', Busy: '#ff0000', Away: '#0000ff', DoNotDisturb: '#ff00ff' }}\n"
        );
        settings::from_yaml(&yaml, std::path::Path::new("")).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    /// What the light is to show at a time, by what each account showed last and which that was; none where that
    /// cannot be told.
    pub fn wanted(self, shown: &BTreeMap<&'static str, (u64, &'static str)>, now: Duration) -> Option<Look> {
        if self.hours != Hours::All {
            if now.abs_diff(BOUNDARY) < 2 * SKEW {
                return None;
            }
            if (now < BOUNDARY) == (self.hours == Hours::Begin) {
                return (!shown.is_empty()).then_some(Look::Off);
            }
        }
        let known = ACCOUNTS.iter().filter_map(|account| shown.get(account)).copied();
        let (_, status) = match self.show {
            Show::First => known.min_by_key(|_| 0),
            Show::Latest => known.max_by_key(|(sequence, _)| *sequence),
            Show::Busiest => known.rev().max_by_key(|(_, status)| busyness(status)),
        }?;
        Look::of(&self.settings().colors.0[status])
    }
}

fn busyness(status: &str) -> Busyness {
    Busyness::of(&Availability::parse(status), &Activity::parse(status))
}
