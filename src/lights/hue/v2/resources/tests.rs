use serde_json::json;

use super::super::super::ability::Whites;
use super::super::super::color::{Gamut, Xy};
use super::*;

const ROOM_GROUP: &str = "11111111-0000-4000-8000-000000000001";

fn hub() -> Directory {
    let answer = json!({"errors": [], "data": [
        {"type": "bridge", "id": "b", "bridge_id": "001788FFFE010203"},
        {"type": "room", "id": "r1", "metadata": {"name": "Office"}, "children": [{"rid": "d1", "rtype": "device"}],
         "services": [{"rid": "x", "rtype": "other"}, {"rid": ROOM_GROUP, "rtype": "grouped_light"}]},
        {"type": "zone", "id": "z1", "metadata": {"name": "office"}, "children": [{"rid": "l2", "rtype": "light"}, {"rid": "l3"}],
         "services": [{"rid": "g2", "rtype": "grouped_light"}]},
        {"type": "zone", "id": "z2", "metadata": {"name": "Empty"}, "services": null},
        {"type": "light", "id": "l1", "owner": {"rid": "d1"}, "metadata": {"name": "Desk"}, "on": {"on": true},
         "dimming": {}, "color": {"gamut_type": "B"}, "color_temperature": {}},
        {"type": "light", "id": "l2", "owner": {"rid": "d2"}, "metadata": {"name": "Shelf"}, "dimming": {"brightness": 3},
         "color_temperature": {"mirek": null, "mirek_schema": {"mirek_minimum": 200, "mirek_maximum": 400}}},
        {"type": "light", "id": "l3", "owner": null, "metadata": {"name": "Plug"}, "color": null},
        {"type": "light", "id": "l4", "metadata": {"name": "Lamp"}, "dimming": {"brightness": 3}},
        {"type": "light", "id": "l5", "metadata": {"name": "Lamp"}, "color": {"gamut": {
            "red": {"x": 0.7, "y": 0.3}, "green": {"x": 0.2, "y": 0.7}, "blue": {"x": 0.1, "y": 0.1}}, "gamut_type": "other"}},
        {"type": "grouped_light", "id": ROOM_GROUP},
        {"type": "grouped_light", "id": "g9"},
        {"type": "levitation", "id": 7}, {"type": "light"}, {"id": "x"}, null, 7, "text", [],
    ]});
    Directory::read(answer.to_string().as_bytes()).unwrap()
}

fn target(text: &str) -> Target {
    let kinds = [
        ("room/", TargetKind::Room),
        ("zone/", TargetKind::Zone),
        ("light/", TargetKind::Light),
        ("group/", TargetKind::Group),
    ];
    let found = kinds.iter().find_map(|(prefix, kind)| Some((*kind, text.strip_prefix(prefix)?)));
    found.map_or_else(
        || Target { kind: None, name: text.into() },
        |(kind, name)| Target { kind: Some(kind), name: name.into() },
    )
}

const COLOR_B: Ability = Ability { dims: true, white: Some(Whites::USUAL), gamut: Some(Gamut::B) };

fn found(text: &str) -> (&'static str, String, Ability) {
    let endpoint = hub().find(&target(text)).unwrap();
    (endpoint.kind, endpoint.id, endpoint.ability)
}

fn missed(text: &str) -> String {
    hub().find(&target(text)).unwrap_err().to_string()
}

#[test]
fn a_room_or_zone_is_its_grouped_light() {
    assert_eq!(found("room/office"), ("grouped_light", ROOM_GROUP.into(), COLOR_B));
    assert_eq!(found("z1").1, "g2", "by the zone's id");
    assert_eq!(found(ROOM_GROUP), ("grouped_light", ROOM_GROUP.into(), COLOR_B));
    assert_eq!(found("group/g9").2, Ability::UNKNOWN, "a group of which nothing is known gets colours");
}

#[test]
fn a_group_is_sent_what_its_most_able_lamp_can() {
    assert_eq!(
        found("zone/Office").2,
        Ability { dims: true, white: Some(Whites { coldest: 200, warmest: 400 }), gamut: None }
    );
}

#[test]
fn a_light_is_found_by_name_without_case_and_by_id() {
    assert_eq!(found("dESK"), ("light", "l1".into(), COLOR_B));
    assert_eq!(found("L3"), ("light", "l3".into(), Ability::SWITCH));
    assert_eq!(found("l4").2, Ability { dims: true, white: None, gamut: None });
    let own = found("l5").2.gamut.unwrap();
    assert_eq!(own.0[2], Xy { x: 0.1, y: 0.1 }, "the lamp's own triangle");
}

#[test]
fn a_name_that_means_several_things_is_refused_with_what_to_write() {
    let text = missed("Office");
    assert!(text.contains("room/Office") && text.contains("zone/office"), "{text}");
    let text = missed("lamp");
    assert!(text.contains("light/l4") && text.contains("light/l5"), "twins are told apart by id: {text}");
}

#[test]
fn an_unknown_name_is_refused_with_what_there_is() {
    let text = missed("Kitchen");
    assert!(text.contains("\"Kitchen\"") && text.contains("room/Office") && text.contains("light/Desk"), "{text}");
    assert!(missed("room/Desk").starts_with("the hub has no room \"Desk\""));
    assert!(missed("Empty").contains("has no lights"));
    assert!(Directory::default().find(&target("x")).unwrap_err().to_string().contains("no rooms, zones or lights"));
}

#[test]
fn the_hub_says_its_id() {
    assert_eq!(hub().hub_id.as_deref(), Some("001788fffe010203"));
}

#[test]
fn what_is_not_a_hubs_answer_is_none() {
    for body in [&b""[..], b"<html></html>", b"{}", b"[]", br#"{"data": 7}"#, br#"{"data": [{"type": "light""#] {
        assert!(Directory::read(body).is_none());
    }
    assert!(Directory::read(br#"{"data": []}"#).is_some());
    assert!(Directory::read(&[b"{\"data\":".to_vec(), b"[".repeat(100_000)].concat()).is_none());
}
