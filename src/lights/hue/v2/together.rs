//! Lights of a hub that are together all of a room, zone or group: one command serves them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::super::hub::HueHub;
use super::command;
use super::light::HueLight;
use super::resources::{Directory, Endpoint};
use super::shared::endpoints;
use crate::lights::{Asked, Look, Obeyed, Together, Trouble};
use crate::settings::TargetKind;

/// Lights of one hub, and what they are together.
pub struct HueTogether {
    hub: Arc<HueHub>,
    lights: Vec<Arc<HueLight>>,
    /// Of what the hub held when it was last looked.
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    directory: Arc<Directory>,
    sets: Arc<[Vec<usize>]>,
    /// Where the commands to each set go.
    endpoints: Arc<[Endpoint]>,
}

impl HueTogether {
    /// The lights in the order of their places.
    pub fn new(hub: Arc<HueHub>, lights: Vec<Arc<HueLight>>) -> Self {
        Self { hub, lights, known: Mutex::default() }
    }

    fn known(&self) -> Option<Known> {
        let directory = self.hub.directory()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.as_ref().is_some_and(|known| Arc::ptr_eq(&known.directory, &directory)) {
            let (sets, endpoints): (Vec<_>, Vec<_>) = self.sets_in(&directory).into_iter().unzip();
            *known = Some(Known { directory, sets: sets.into(), endpoints: endpoints.into() });
        }
        known.clone()
    }

    /// The sets, the largest first.
    fn sets_in(&self, directory: &Directory) -> Vec<(Vec<usize>, Endpoint)> {
        let lamps = self.lamps_in(directory);
        let is_place = |kind| matches!(kind, TargetKind::Room | TargetKind::Zone | TargetKind::Home);
        let places = directory.resources.iter().filter(|resource| is_place(resource.kind));
        let set = |endpoint: Endpoint| {
            let lights: Vec<usize> =
                endpoint.lamps.iter().map(|lamp| lamps.get(&lamp.id).copied()).collect::<Option<_>>()?;
            let is_alike = endpoint.lamps.windows(2).all(|pair| pair[0].ability.is_like(&pair[1].ability));
            (lights.len() > 1 && is_alike).then_some((lights, endpoint))
        };
        let mut sets: Vec<_> = places.filter_map(|place| set(directory.endpoint(place).ok()?)).collect();
        sets.sort_by_key(|(lights, _)| std::cmp::Reverse(lights.len()));
        sets
    }

    /// Which light is which lamp.
    fn lamps_in(&self, directory: &Directory) -> HashMap<String, usize> {
        let endpoints = endpoints(directory, self.lights.iter().map(|light| light.target()));
        let found = endpoints.into_iter().enumerate().filter_map(|(place, endpoint)| Some((place, endpoint.ok()?)));
        let single = found.filter(|(_, endpoint)| !endpoint.is_group());
        single.flat_map(|(place, endpoint)| endpoint.lamps.into_iter().map(move |lamp| (lamp.id, place))).collect()
    }

    async fn command(&self, set: &[usize], look: Look, on: bool) -> Result<Obeyed, Trouble> {
        let (link, _) = self.hub.session().await?;
        let gone = || self.hub.unfound("the lights are no room any more");
        let Known { directory, sets, endpoints } = self.known().ok_or_else(gone)?;
        let at = sets.iter().position(|known| known == set).ok_or_else(gone)?;
        let endpoint = &endpoints[at];
        let lights = || set.iter().filter_map(|place| self.lights.get(*place));
        if on && lights().all(|light| light.shows_already(&look, endpoint, &directory)) {
            return Ok(Obeyed::default());
        }
        let may_signal = endpoint.motions.blinks && lights().any(|light| light.may_signal());
        let puts = command::puts(&look, endpoint, &directory, on, may_signal)
            .map_err(|error| self.hub.unfound(&error.to_string()))?;
        let [put] = &puts[..] else { return Err(self.hub.unfound("the lights need commands of their own")) };
        let obeyed = self.hub.put(&link, put).await;
        let shown = obeyed.as_ref().is_ok_and(|obeyed| *obeyed == Obeyed::default()).then_some(&look);
        lights().for_each(|light| light.was_sent(shown));
        obeyed
    }
}

impl Together for HueTogether {
    fn sets(&self) -> Arc<[Vec<usize>]> {
        self.known().map(|known| known.sets).unwrap_or_default()
    }

    fn show<'a>(&'a self, set: &'a [usize], look: Look, on: bool) -> Asked<'a, Obeyed> {
        Box::pin(self.command(set, look, on))
    }
}
