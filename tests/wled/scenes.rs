//! Presets, which are a strip's scenes.

use super::*;

fn scene(name: &str, brightness: Option<u8>) -> Look {
    Look::Scene { name: name.into(), brightness, transition: Duration::ZERO }
}

#[tokio::test]
async fn a_preset_has_the_brightness_that_is_named_beside_it_whatever_it_was_saved_with() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    for (name, drawn) in [("Relax", "#ff7828"), ("Work", "#ffffff")] {
        show(&hub, scene(name, Some(80))).await.unwrap();
        assert_eq!((&strip.drawn()[0][..], &strip.state()["bri"]), (drawn, &json!(204)), "{name}");
        strip.hand(&json!({"ps": 4}));
        until(&strip, "Relax, as it was saved", |strip| strip.state()["ps"] == 4 && strip.state()["bri"] == 50).await;
    }
    // As it is shown already, the strip does not load it again.
    show(&hub, scene("Relax", Some(30))).await.unwrap();
    assert_eq!((&strip.drawn()[0][..], &strip.state()["bri"]), ("#ff7828", &json!(77)));
    let refused = show(&hub, scene("Party", Some(80))).await;
    assert!(
        matches!(&refused, Err(Trouble::Light { reason }) if reason.contains("leave brightness out")),
        "{refused:?}"
    );
    show(&hub, scene("Party", None)).await.unwrap();
    until(&strip, "the playlist", |strip| strip.state()["pl"] == 6).await;
}

#[tokio::test]
async fn a_segment_shows_no_preset_which_would_be_the_whole_strips() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, ", target: Sign").await;
    let refused = show(&hub, scene("Relax", None)).await;
    let says = |reason: &str| {
        ["light sign", "\"Relax\"", "segment \"Sign\"", "lights.sign.colors"].iter().all(|it| reason.contains(it))
    };
    assert!(matches!(&refused, Err(Trouble::Light { reason }) if says(reason)), "{refused:?}");
    assert_eq!(strip.commands().len(), 0);
}
