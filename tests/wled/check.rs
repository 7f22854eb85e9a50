//! `check` at strips: one reading for all lights of a strip, and what is wrong with each.

use super::*;

#[tokio::test]
async fn check_asks_for_the_scenes_that_a_light_may_show() {
    let strip = Wled::start().await.unwrap();
    let cases = [
        ("", "", Ok("WLED answers")),
        ("", "Away: scene:Relax", Ok("WLED answers")),
        ("", "Away: scene:Sunset", Err("no preset \"Sunset\"; it has Relax, Work, Party")),
        (", target: Sign", "Away: scene:Relax", Err("lights.sign.colors")),
        (", target: Sign, colors: { Away: scene:Relax }", "", Err("lights.sign.colors")),
        (", target: Sign, colors: { Away: \"#ff0000\" }", "Away: scene:Relax", Ok("WLED answers")),
        (", target: Sign, colors: { default: \"#ff0000\" }", "Away: scene:Relax", Ok("WLED answers")),
        (", target: Door", "", Err("no segment \"Door\"; it has 0, 1")),
    ];
    for (keys, colors, expected) in cases {
        let (settings, store, _folder) = settings(&format!(
            "lights: {{ sign: {{ wled: \"{}\", follow: alex{keys} }} }}\ncolors: {{ {colors} }}\n",
            strip.address()
        ))
        .await;
        let found = lights::check(&settings, &store).await;
        let outcome = found[0].outcome.as_deref().map_err(String::as_str);
        let is_so = match (outcome, expected) {
            (Ok(said), Ok(expected)) => said == expected,
            (Err(said), Err(expected)) => said.contains(expected),
            _ => false,
        };
        assert!(is_so && found.len() == 1, "{keys}, {colors}: {found:?}");
    }
}

async fn checked(yaml: &str) -> Vec<lights::Finding> {
    let (settings, store, _folder) = settings(yaml).await;
    lights::check(&settings, &store).await
}

#[tokio::test]
async fn a_strip_is_asked_once_for_all_of_its_lights_and_their_scenes() {
    let strip = Wled::start().await.unwrap();
    let colors = "colors: { Away: scene:Relax, Busy: scene:Work, Offline: { color: scene:5, brightness: 40 } }";
    let whole = format!("lights: {{ sign: {{ wled: '{}', follow: alex }} }}\n{colors}\n", strip.address());
    let found = checked(&whole).await;
    assert!(found[0].outcome.is_ok(), "{found:?}");
    assert_eq!((strip.readings(), strip.listings()), (1, 1));
    let light = |target: u8| format!("{{ wled: '{}', target: {target}, follow: alex }}", strip.address());
    let found = checked(&format!("lights: {{ left: {}, right: {} }}\n", light(0), light(1))).await;
    assert!(found.len() == 2 && found.iter().all(|it| it.outcome.is_ok()), "{found:?}");
    assert_eq!((strip.readings(), strip.listings()), (2, 1), "presets are of no use to segments");
    strip.down().await;
    let found = checked(&format!("lights: {{ left: {}, right: {} }}\n", light(0), light(1))).await;
    let says = |at: usize, what: &str| found[at].outcome.as_ref().is_err_and(|error| error.contains(what));
    assert!(says(0, "lights.left.wled right?") && says(1, "mend light left first"), "{found:?}");
}

#[tokio::test]
async fn a_segment_by_its_number_and_by_its_name_is_one_and_the_second_light_on_it_is_refused() {
    let strip = Wled::start().await.unwrap();
    let address = strip.address();
    let lights = format!(
        "  left: {{ wled: '{address}', target: Sign, follow: alex }}\n  right: {{ wled: '{address}', target: 1, follow: alex }}\n"
    );
    let says = |reason: &str| {
        let parts = ["lights.right.target is segment 1", "lights.left.target", "a segment of its own"];
        parts.iter().all(|part| reason.contains(part))
    };
    let found = checked(&format!("lights:\n{lights}")).await;
    assert!(found[0].outcome.is_ok() && found[1].outcome.as_ref().is_err_and(|error| says(error)), "{found:?}");
    let (hubs, _folder) = hubs(&lights).await;
    let [left, right] = [0, 1].map(|light| &hubs[0].lights[light].1);
    left.prepare().await.unwrap();
    let asked = [
        right.prepare().await,
        right.show(RED, false).await.map(drop),
        right.read().await.map(drop),
        right.flash().await.map(drop),
    ];
    for refused in asked {
        assert!(matches!(&refused, Err(Trouble::Light { reason }) if says(reason)), "{refused:?}");
    }
    left.show(RED, false).await.unwrap();
    assert_eq!((strip.drawn(), strip.commands().len()), (vec!["dark".into(), "#ff0000".to_owned()], 1));
    strip.hand(&json!({"seg": [{"id": 0, "n": "Sign"}, {"id": 1, "n": ""}]}));
    right.show(Look::Off, false).await.expect("a person gave the name to another segment");
    assert_eq!(strip.drawn(), ["dark", "dark"]);
}
