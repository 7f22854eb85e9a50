//! A colour as people write it, and what becomes of it on every kind of lamp: each its best, in one group, by CLIP
//! v2 and by v1, over the hub's sockets.
#![cfg(test)]
#![cfg(feature = "demo")]

mod support;

use graph2mqtt::lights::{self, Look};
use graph2mqtt::simulator::{Gamut, Hub, Kind, Plan};
use support::one_light::OneLight;

/// Colour of each gamut, white in warm and cold, the same by another maker, white alone, and a plug.
const LAMPS: [(&str, Kind); 7] = [
    ("Bloom", Kind::Color(Gamut::A)),
    ("Bulb", Kind::Color(Gamut::B)),
    ("Lamp", Kind::Color(Gamut::C)),
    ("Shelf", Kind::Ambiance),
    ("Stairs", Kind::OtherAmbiance),
    ("Door", Kind::White),
    ("Fan", Kind::Plug),
];

type Point = (f64, f64);

/// As it is written; then xy in the gamuts A, B and C (none where the lamp shows a white), the white lamps' mirek,
/// and the brightness.
type Row = (&'static str, Option<[Point; 3]>, u64, f64);

const TABLE: [Row; 7] = [
    ("\"#ff0000\"", Some([(0.7006, 0.2993), (0.675, 0.322), (0.6915, 0.3083)]), 500, 100.0),
    ("red", Some([(0.7006, 0.2993), (0.675, 0.322), (0.6915, 0.3083)]), 500, 100.0),
    ("{ color: lime, brightness: 40% }", Some([(0.2151, 0.7106), (0.409, 0.518), (0.17, 0.7)]), 0, 40.0),
    ("{ color: blue, brightness: 7% }", Some([(0.138, 0.08), (0.167, 0.04), (0.1532, 0.0475)]), 153, 7.0),
    ("\"xy:0.4,0.4\"", Some([(0.4, 0.4); 3]), 0, 100.0),
    ("{ color: temperature:2700, brightness: 60% }", None, 370, 60.0),
    ("temperature:1500", None, 500, 100.0),
];

fn plan() -> Plan {
    Hub::plan().room("Office", &LAMPS)
}

/// The office showing this, as the light `one`.
async fn shown(plan: Plan, keys: &str, written: &str) -> Hub {
    let light = format!("target: Office, colors: {{ Busy: {written} }}");
    let OneLight { hub, settings, lights, .. } = &OneLight::on(plan, keys, &light).await;
    let look = Look::of(settings.lights["one"].colors.0.values().next().unwrap()).unwrap();
    let obeyed = lights.lights[0].1.show(look, false).await.unwrap_or_else(|trouble| panic!("{written}: {trouble}"));
    assert_eq!(obeyed, lights::Obeyed::default(), "{written}: that a lamp cannot do all of it is no news");
    hub.clone()
}

fn is_near(a: Option<Point>, b: Point) -> bool {
    a.is_some_and(|a| (a.0 - b.0).abs() < 0.015 && (a.1 - b.1).abs() < 0.015)
}

fn every_lamp_shows_its_best(hub: &Hub, (written, points, mirek, brightness): Row) {
    let lamp = |name: &str| hub.lamp(name);
    for (at, name) in ["Bloom", "Bulb", "Lamp"].into_iter().enumerate() {
        let shown = lamp(name);
        let fits = match points {
            Some(points) => is_near(shown.xy, points[at]),
            None => shown.mirek == Some(mirek),
        };
        assert!(shown.on && fits, "{written} on {name}: {shown:?}");
    }
    for name in ["Shelf", "Stairs"] {
        let fits = mirek == 0 || lamp(name).mirek == Some(mirek);
        assert!(lamp(name).on && fits, "{written} on {name}: {:?}", lamp(name));
    }
    for name in ["Bloom", "Bulb", "Lamp", "Shelf", "Stairs", "Door"] {
        assert!((lamp(name).brightness - brightness).abs() < 0.5, "{written} on {name}: {:?}", lamp(name));
    }
    assert!(lamp("Door").on && lamp("Fan").on, "{written}");
    assert!(hub.commands().all().iter().all(|command| command.status < 300), "{:?}", hub.commands().all());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_becomes_each_lamps_best_by_v2() {
    for row in TABLE {
        every_lamp_shows_its_best(&shown(plan(), "", row.0).await, row);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_becomes_each_lamps_best_by_v1() {
    for row in TABLE {
        every_lamp_shows_its_best(&shown(plan().plain_v1(), ", api: v1", row.0).await, row);
    }
}
