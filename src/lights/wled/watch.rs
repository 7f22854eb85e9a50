//! What a strip tells of its lights by itself: nothing, so that it is asked again and again.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use super::{Device, state};
use crate::lights::stopped::was_stopped;
use crate::lights::{Event, Lamp, Seen, Source};

/// Between two readings: a person's hand is seen soon enough.
const PAUSE: Duration = Duration::from_secs(5);
/// How many first readings are passed over for a flash: a longer one is nobody's.
const MOST_FLASHING: u32 = 2;

/// A strip, asked again and again: one reading for all of its lights.
pub struct WledWatch {
    pub(super) device: Arc<Device>,
    /// Of each of its lights.
    pub(super) segments: Vec<Option<String>>,
}

impl WledWatch {
    async fn ask(&self, events: &Sender<Event>) {
        let (mut before, mut is_lost, mut flashing) = (None::<Vec<Vec<Lamp>>>, false, 0);
        loop {
            let mut now: Option<Vec<Vec<Lamp>>> = match self.device.state().await {
                Ok(state) => {
                    let lamps = |segment: &Option<String>| state::seen(&state, segment.as_deref()).0;
                    Some(self.segments.iter().map(lamps).collect())
                }
                Err(trouble) => {
                    tracing::debug!("no reading: {trouble}");
                    None
                }
            };
            match (&before, &mut now) {
                (Some(before), Some(now)) => forget_flashes(before, now),
                // What they showed before it is not known yet.
                (None, Some(lamps)) if flashing < MOST_FLASHING && lamps.iter().any(|lamps| flashes(lamps)) => {
                    flashing += 1;
                    now = None;
                }
                _ => flashing = 0,
            }
            let was_lost = std::mem::replace(&mut is_lost, now.is_none() && flashing == 0);
            for event in self.told(before.as_deref(), was_lost, now.as_deref()) {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            before = now.or(before);
            let began = tokio::time::Instant::now();
            tokio::select! {
                () = events.closed() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            if !is_lost && was_stopped(began, PAUSE) {
                before = None;
            }
        }
    }

    /// What a reading tells, by what the last one told. The lamps are those of each light.
    fn told(&self, before: Option<&[Vec<Lamp>]>, was_lost: bool, now: Option<&[Vec<Lamp>]>) -> Vec<Event> {
        let each = |event: fn(usize) -> Event| (0..self.segments.len()).map(event).collect();
        match (before, now) {
            (None, None) => Vec::new(),
            (None, Some(_)) => vec![Event::Missed],
            (Some(_), None) if was_lost => Vec::new(),
            (Some(_), None) => each(|light| Event::Lost { light, lamps: Vec::new() }),
            (Some(_), Some(_)) if was_lost => each(|light| Event::Back { light }),
            (Some(before), Some(now)) => {
                let changed = |(light, (before, now)): (usize, (&Vec<Lamp>, &Vec<Lamp>))| {
                    (before != now).then(|| Event::Changed { light, seen: Seen(now.clone()) })
                };
                before.iter().zip(now).enumerate().filter_map(changed).collect()
            }
        }
    }
}

/// What a flash shows is nobody's hand: until it is over the light is as it was.
fn forget_flashes(before: &[Vec<Lamp>], now: &mut [Vec<Lamp>]) {
    for (before, now) in before.iter().zip(now) {
        if flashes(now) {
            now.clone_from(before);
        }
    }
}

fn flashes(lamps: &[Lamp]) -> bool {
    state::is_flash(&Seen(lamps.to_vec()))
}

impl Source for WledWatch {
    fn watch(&self, events: Sender<Event>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move { self.ask(&events).await })
    }
}
