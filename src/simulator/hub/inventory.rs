//! Lamps and zones that come, go and are renamed, as somebody does it in an app, with the events that hubs tell
//! then: `add` with whole resources, `delete` with what names them, `update` with the members that changed.
//!
//! What the hub does not have is a mistake of the caller: these methods panic.

use serde_json::{Value, json};

use super::lamp::{Group, GroupKind, Kind, Lamp};
use super::{Hub, State};

/// What is left of a resource in an event.
fn parts(resource: &Value, members: &[&str]) -> Value {
    let mut part = resource.clone();
    let left = |name: &str| ["id", "id_v1", "type"].contains(&name) || members.contains(&name);
    part.as_object_mut().expect("a resource is an object").retain(|name, _| left(name));
    part
}

impl State {
    fn group_named(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.kind != GroupKind::Home && group.name == name)
    }

    /// What a group that has other lamps than before tells, and its scenes with it.
    fn regrouped(&self, groups: &[usize]) -> Vec<Value> {
        let children = groups.iter().map(|at| parts(&self.groups[*at].resource(&self.lamps, &[]), &["children"]));
        let scenes = self.scenes.iter().filter(|scene| groups.contains(&scene.group));
        children.chain(scenes.map(|scene| parts(&self.scene_resource(scene), &["actions"]))).collect()
    }

    fn holding(&self, lamp: usize) -> Vec<usize> {
        let holds = |at: &usize| self.groups[*at].kind != GroupKind::Home && self.groups[*at].lamps.contains(&lamp);
        (0..self.groups.len()).filter(holds).collect()
    }

    fn take_out(&mut self, lamp: usize) {
        self.lamps.remove(lamp);
        let behind = |at: usize| if at > lamp { at - 1 } else { at };
        for group in &mut self.groups {
            group.lamps.retain(|it| *it != lamp);
            group.lamps.iter_mut().for_each(|it| *it = behind(*it));
        }
        for scene in &mut self.scenes {
            scene.actions.retain(|(it, _)| *it != lamp);
            scene.actions.iter_mut().for_each(|(it, _)| *it = behind(*it));
        }
    }
}

impl Hub {
    /// A new lamp is found, and put into a room.
    pub fn add_lamp(&self, room: &str, name: &str, kind: Kind) {
        let mut state = self.shared.state();
        let room = state.group_named(room).expect("the simulated hub has this room");
        let number = state.lamps.iter().map(|lamp| lamp.number).max().unwrap_or_default() + 1;
        let lamp = state.lamps.len();
        state.lamps.push(Lamp::new(name, kind, number));
        let added = state.lamps[lamp].resources();
        let frame = state.frame_of("add", &added);
        self.shared.send(frame);
        let home = state.groups.iter().position(|group| group.kind == GroupKind::Home).expect("a hub has a home");
        [room, home].into_iter().for_each(|group| state.groups[group].lamps.push(lamp));
        let regrouped = state.regrouped(&[room]);
        let frame = state.frame(&regrouped);
        self.shared.send(frame);
    }

    /// A lamp is deleted in the app.
    pub fn remove_lamp(&self, name: &str) {
        let mut state = self.shared.state();
        let lamp = state.named(name);
        let groups = state.holding(lamp);
        let gone = state.lamps[lamp].resources().map(|resource| parts(&resource, &["owner"]));
        state.take_out(lamp);
        let frame = state.frame_of("delete", &gone);
        self.shared.send(frame);
        let regrouped = state.regrouped(&groups);
        let frame = state.frame(&regrouped);
        self.shared.send(frame);
    }

    /// A lamp, room or zone gets another name.
    pub fn rename(&self, name: &str, to: &str) {
        let mut state = self.shared.state();
        let renamed = match state.group_named(name) {
            Some(group) => {
                state.groups[group].name = to.to_owned();
                vec![state.groups[group].resource(&state.lamps, &[])]
            }
            None => {
                let lamp = state.named(name);
                state.lamps[lamp].name = to.to_owned();
                let [light, device, _] = state.lamps[lamp].resources();
                vec![device, light]
            }
        };
        let renamed: Vec<Value> = renamed.iter().map(|resource| parts(resource, &["metadata", "owner"])).collect();
        let frame = state.frame(&renamed);
        self.shared.send(frame);
    }

    /// A zone of lamps comes into being.
    pub fn add_zone(&self, name: &str, lamps: &[&str]) {
        let mut state = self.shared.state();
        let number = state.groups.iter().map(|group| group.number).max().unwrap_or_default() + 1;
        let mut zone = Group::new(GroupKind::Zone, name, number);
        zone.lamps = lamps.iter().map(|lamp| state.named(lamp)).collect();
        let added = [zone.grouped_light(&state.lamps), zone.resource(&state.lamps, &[])];
        state.groups.push(zone);
        let frame = state.frame_of("add", &added);
        self.shared.send(frame);
    }

    /// A zone is deleted in the app, and its scenes with it.
    pub fn remove_zone(&self, name: &str) {
        let mut state = self.shared.state();
        let zone = state.group_named(name).expect("the simulated hub has this zone");
        let gone = state.groups.remove(zone);
        let of_it = |scene: &super::scene::Scene| scene.group == zone;
        let scenes =
            state.scenes.iter().filter(|scene| of_it(scene)).map(|scene| json!({"id": scene.id, "type": "scene"}));
        let mut deleted: Vec<Value> = scenes.collect();
        deleted.push(json!({"id": gone.grouped, "type": "grouped_light"}));
        deleted.push(json!({"id": gone.id, "type": gone.kind.name()}));
        state.scenes.retain(|scene| !of_it(scene));
        state.scenes.iter_mut().filter(|scene| scene.group > zone).for_each(|scene| scene.group -= 1);
        let frame = state.frame_of("delete", &deleted);
        self.shared.send(frame);
    }
}
