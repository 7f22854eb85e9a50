//! Segments of a strip: lit and darkened by themselves, and the rest of the strip given back.

use super::*;

/// Two lights, each a segment of one strip.
async fn two(strip: &Wled) -> (lights::Hub, TempDir) {
    let light = |name: &str, segment: &str| {
        format!("  {name}: {{ wled: \"{}\", target: {segment}, follow: alex }}\n", strip.address())
    };
    let (mut hubs, folder) = hubs(&(light("left", "0") + &light("right", "Sign"))).await;
    (hubs.remove(0), folder)
}

/// The segments' own switches, and the strip's.
fn switches(strip: &Wled) -> [bool; 3] {
    let state = strip.state();
    [&state["on"], &state["seg"][0]["on"], &state["seg"][1]["on"]].map(|on| on == true)
}

#[tokio::test]
async fn a_segment_alone_is_lit_of_a_strip_that_was_off() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, ", target: Sign").await;
    show(&hub, RED).await.unwrap();
    assert_eq!((strip.drawn(), strip.commands().len()), (vec!["dark".into(), "#ff0000".to_owned()], 1));
    show(&hub, Look::Off).await.unwrap();
    assert_eq!(switches(&strip), [false, true, true], "as it was before");
    show(&hub, Look::Off).await.unwrap();
    strip.hand(&json!({"on": true}));
    assert_eq!(strip.drawn(), ["#ffa000", "#ff0000"], "whoever switches it on finds what they had");
    show(&hub, RED).await.unwrap();
    show(&hub, Look::Off).await.unwrap();
    assert_eq!(strip.drawn(), ["#ffa000", "dark"], "the strip is a person's now");
}

#[tokio::test]
async fn two_segments_of_one_strip_come_and_go_by_themselves() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = two(&strip).await;
    let [left, right] = [0, 1].map(|light| &hub.lights[light].1);
    let before = left.read().await.unwrap();
    left.show(RED, false).await.unwrap();
    right.show(Look::plain(Shade::Rgb([0, 0, 255])), false).await.unwrap();
    assert_eq!(strip.drawn(), ["#ff0000", "#0000ff"]);
    right.show(Look::Off, false).await.unwrap();
    assert_eq!(strip.drawn(), ["#ff0000", "dark"]);
    left.show(Look::Seen(before.clone().into()), false).await.unwrap();
    assert_eq!(switches(&strip), [false, true, true], "nothing is lit any more");
    assert_eq!(left.read().await.unwrap(), before);
    right.show(RED, false).await.unwrap();
    left.show(Look::Seen(before.into()), false).await.unwrap();
    assert_eq!(strip.drawn(), ["dark", "#ff0000"]);
    right.flash().await.unwrap();
    assert_eq!(strip.drawn(), ["dark", "#ff0000"]);
}

#[tokio::test]
async fn what_one_member_darkened_another_gives_back() {
    let strip = Wled::start().await.unwrap();
    let ((one, _folder), (other, _other_folder)) =
        (light(&strip, ", target: Sign").await, light(&strip, ", target: Sign").await);
    other.lights[0].1.read().await.unwrap();
    show(&one, RED).await.unwrap();
    other.lights[0].1.read().await.unwrap();
    show(&other, Look::Off).await.unwrap();
    assert_eq!(switches(&strip), [false, true, true]);
}

#[tokio::test]
async fn a_segment_gives_the_strip_back_also_after_a_restart() {
    let hands = [
        (json!({"seg": [{"id": 0, "on": true}]}), [false, true, true]),
        (json!({"seg": [{"id": 0, "on": false}]}), [false, false, true]),
    ];
    for (hand, switched) in hands {
        let strip = Wled::start().await.unwrap();
        strip.hand(&hand);
        let colors = json!([strip.state()["seg"][0]["col"], strip.state()["seg"][1]["col"]]);
        let (hub, _folder) = light(&strip, ", target: Sign").await;
        let before = kept(&hub.lights[0].1.read().await.unwrap());
        show(&hub, RED).await.unwrap();
        let (restarted, _other_folder) = light(&strip, ", target: Sign").await;
        show(&restarted, Look::Seen(before.into())).await.unwrap();
        assert_eq!(switches(&strip), switched);
        assert_eq!(json!([strip.state()["seg"][0]["col"], strip.state()["seg"][1]["col"]]), colors);
    }
}

/// As the light's topic keeps it.
fn kept(seen: &lights::Seen) -> lights::Seen {
    serde_json::from_str(&serde_json::to_string(seen).unwrap()).unwrap()
}

#[tokio::test]
async fn whichever_of_two_segments_is_given_back_last_after_a_restart_the_strip_is_as_it_was() {
    for last in [0, 1] {
        let strip = Wled::start().await.unwrap();
        let (hub, _folder) = two(&strip).await;
        let mut readings = Vec::new();
        for (_, light) in &hub.lights {
            readings.push(kept(&light.read().await.unwrap()));
            light.show(RED, false).await.unwrap();
        }
        let (restarted, _other_folder) = two(&strip).await;
        for at in [1 - last, last] {
            let look = Look::Seen(readings[at].clone().into());
            restarted.lights[at].1.show(look.clone(), false).await.unwrap();
            let seen = restarted.lights[at].1.read().await.unwrap();
            assert!(restarted.lights[at].1.agrees(&look, &seen), "{seen:?}");
        }
        assert_eq!(switches(&strip), [false, true, true], "{}", strip.state());
        assert!(strip.commands().iter().all(|command| command.get("rest").is_none()), "WLED knows no such member");
    }
}

#[tokio::test]
async fn a_strip_that_a_person_switched_off_during_a_restart_is_given_back_too() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, ", target: Sign").await;
    let before = kept(&hub.lights[0].1.read().await.unwrap());
    show(&hub, RED).await.unwrap();
    strip.hand(&json!({"on": false}));
    let (restarted, _other_folder) = light(&strip, ", target: Sign").await;
    restarted.lights[0].1.prepare().await.unwrap();
    show(&restarted, Look::Seen(before.into())).await.unwrap();
    assert_eq!(switches(&strip), [false, true, true]);
    assert_eq!(strip.state()["seg"][1]["col"][0], json!([255, 160, 0]));
}
