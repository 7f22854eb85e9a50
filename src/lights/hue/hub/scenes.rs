//! What scenes make of their lamps, on a hub that tells it only of one scene at a time.

use std::sync::Arc;

use reqwest::Method;

use super::super::dialect::Dialect;
use super::super::v2::resources::Directory;
use super::{HueHub, Link, lock};
use crate::settings::Target;

impl HueHub {
    /// Reads what these scenes make of their lamps by now, each told by its target and its name: people change scenes in
    /// apps, which is told nowhere. What cannot be read stays as it was known.
    pub(in crate::lights::hue) async fn learn_scenes(&self, link: &Link, scenes: &[(Target, String)]) {
        let Some(directory) = self.directory().filter(|_| !scenes.is_empty()) else { return };
        let mut learned = Directory::clone(&directory);
        for at in places(&directory, scenes) {
            let Some(path) = link.dialect.scene_path(&directory.scenes[at].id) else { return };
            let Ok(answer) = self.ask(link, Method::GET, &path, None).await else { continue };
            if let Some(lamps) = link.dialect.scene_lamps(&answer.body, &directory) {
                learned.scenes[at].lamps = lamps;
            }
        }
        let mut known = lock(&self.directory);
        let is_same = known.as_ref().is_some_and(|known| Arc::ptr_eq(known, &directory));
        if is_same && learned.scenes != directory.scenes {
            *known = Some(Arc::new(learned));
        }
    }

    /// What was learned of scenes that are still there is known on, until it is learned anew.
    pub(super) fn keep_learned_scenes(&self, link: &Link, directory: &mut Directory) {
        let Some(before) = self.directory().filter(|_| link.dialect == Dialect::V1) else { return };
        for scene in &mut directory.scenes {
            if let Some(known) = before.scenes.iter().find(|known| known.id == scene.id) {
                scene.lamps.clone_from(&known.lamps);
            }
        }
    }
}

/// Where these scenes stand among all, each once.
fn places(directory: &Directory, scenes: &[(Target, String)]) -> Vec<usize> {
    let place = |(target, name): &(Target, String)| {
        let endpoint = directory.find(target).ok()?;
        let scene = directory.scene(name, endpoint.place.as_deref()).ok()?;
        directory.scenes.iter().position(|known| known.id == scene.id)
    };
    let mut places: Vec<usize> = scenes.iter().filter_map(place).collect();
    places.sort_unstable();
    places.dedup();
    places
}
