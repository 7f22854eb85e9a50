//! A test flash: over what is shown, and away again.

use super::*;

#[tokio::test]
async fn a_segment_flashes_alone_and_the_strip_is_off_again() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, ", target: Sign").await;
    let before = strip.state();
    let flash = async { hub.lights[0].1.flash().await.unwrap() };
    let flashes = until(&strip, "it flashes", |strip| strip.drawn() == ["dark", "#ffffff blinking"]);
    tokio::join!(flash, flashes);
    let look = |state: &serde_json::Value| json!([state["on"], state["bri"], state["seg"]]);
    assert_eq!(look(&strip.state()), look(&before));
}

#[tokio::test]
async fn what_is_wanted_during_a_flash_stands_after_it() {
    let strip = Wled::start().await.unwrap();
    let ((hub, _folder), (other, _other_folder)) = (light(&strip, "").await, light(&strip, "").await);
    for (member, look, drawn) in
        [(&hub, RED, "#ff0000"), (&other, Look::plain(Shade::Rgb([0, 0, 255])), "#0000ff"), (&hub, Look::Off, "dark")]
    {
        let wish = async {
            until(&strip, "it flashes", |strip| strip.drawn()[0] == "#ffffff blinking").await;
            show(member, look).await.unwrap();
        };
        let (flashed, ()) = tokio::join!(hub.lights[0].1.flash(), wish);
        flashed.unwrap();
        assert_eq!(strip.drawn(), [drawn, drawn]);
    }
    strip.hand(&json!({"on": true}));
    assert_eq!(strip.drawn(), ["#0000ff", "#0000ff"], "nothing is left of the flash");
}

#[tokio::test]
async fn a_flash_is_no_persons_hand() {
    let strip = Wled::start().await.unwrap();
    let (hub, _folder) = light(&strip, "").await;
    let light = &hub.lights[0].1;
    let before = light.read().await.unwrap();
    let meanwhile = async {
        until(&strip, "it flashes", |strip| strip.drawn()[0] == "#ffffff blinking").await;
        assert_eq!(light.read().await.unwrap(), before, "what it showed before comes back");
        light.flash().await.unwrap();
        assert_eq!(strip.drawn()[0], "#ffffff blinking", "it flashes already");
    };
    let (flashed, ()) = tokio::join!(light.flash(), meanwhile);
    flashed.unwrap();
    assert_eq!(light.read().await.unwrap(), before);
    let (sender, mut events) = tokio::sync::mpsc::channel(8);
    let source = hub.source.clone();
    tokio::spawn(async move { source.watch(sender).await });
    let mut next = async || tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap();
    assert_eq!(next().await, Event::Missed);
    // As another member lets it flash.
    let flash = &strip.commands()[0];
    strip.hand(flash);
    let readings = strip.readings();
    until(&strip, "it is read", |strip| strip.readings() > readings).await;
    strip.hand(&json!({"seg": [{"id": 0, "fx": 0, "col": [[0, 0, 255]]}, {"id": 1, "fx": 0, "col": [[0, 0, 255]]}]}));
    let Event::Changed { light: 0, seen } = next().await else { panic!("a change") };
    assert!(light.agrees(&Look::Seen(light.read().await.unwrap().into()), &seen), "{seen:?}");
}

#[tokio::test]
async fn anothers_flash_is_not_what_a_light_showed_before() {
    let strip = Wled::start().await.unwrap();
    for keys in ["", ", target: Sign"] {
        let ((hub, _folder), (other, _other_folder)) = (light(&strip, keys).await, light(&strip, keys).await);
        let before = hub.lights[0].1.read().await.unwrap();
        let meanwhile = async {
            until(&strip, "it flashes", |strip| strip.drawn()[1] == "#ffffff blinking").await;
            assert_eq!(hub.lights[0].1.read().await.unwrap(), before, "{keys}");
            assert_eq!(strip.drawn()[1], "dark", "it was waited for");
        };
        let (flashed, ()) = tokio::join!(other.lights[0].1.flash(), meanwhile);
        flashed.unwrap();
    }
}

#[tokio::test]
async fn a_flash_that_nobody_ends_is_nothing_to_be_shown_again() {
    let (strip, model) = (Wled::start().await.unwrap(), Wled::start().await.unwrap());
    let (hub, _folder) = light(&model, "").await;
    hub.lights[0].1.flash().await.unwrap();
    // Whoever sent it is gone.
    strip.hand(&model.commands()[0]);
    let (hub, _folder) = light(&strip, "").await;
    let before = hub.lights[0].1.read().await.unwrap();
    assert_eq!(before.0[0].on, Some(false), "{before:?}");
    show(&hub, RED).await.unwrap();
    show(&hub, Look::Seen(before.into())).await.unwrap();
    assert_eq!(strip.drawn(), ["dark", "dark"]);
    strip.hand(&json!({"on": true}));
    assert_eq!(strip.drawn(), ["#ffffff", "#ffffff"], "it blinks no more");
}

#[tokio::test]
async fn what_comes_back_after_anothers_flash_at_the_start_is_no_persons_hand() {
    let strip = Wled::start().await.unwrap();
    let ((hub, _folder), (other, _other_folder)) = (light(&strip, "").await, light(&strip, "").await);
    let listens = async {
        until(&strip, "it flashes", |strip| strip.drawn()[0] == "#ffffff blinking").await;
        let (sender, mut events) = tokio::sync::mpsc::channel(8);
        let source = hub.source.clone();
        tokio::spawn(async move { source.watch(sender).await });
        let mut next = async || tokio::time::timeout(WAIT, events.recv()).await.unwrap().unwrap();
        assert_eq!(next().await, Event::Missed);
        assert_eq!(strip.drawn()[0], "dark", "the flash is over");
        strip.hand(&json!({"on": true}));
        let Event::Changed { seen, .. } = next().await else { panic!("a change") };
        assert_eq!(seen.0[0].on, Some(true));
    };
    let (flashed, ()) = tokio::join!(other.lights[0].1.flash(), listens);
    flashed.unwrap();
}
