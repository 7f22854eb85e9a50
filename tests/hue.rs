//! One Hue hub over https: its certificate, its key, what it holds, what it is sent, what its answers mean.
#![cfg(test)]
#![cfg(feature = "demo")]

use std::time::Duration;

use graph2mqtt::lights::{self, Load, Look, Obeyed, Trouble};
use graph2mqtt::settings::{self, Settings, Shade};
use graph2mqtt::simulator::{Certificate, Fault, Gamut, Hub, Kind, Request, What};
use graph2mqtt::store::Store;
use tempfile::TempDir;

const RED: Look =
    Look::On { shade: Shade::Rgb([255, 0, 0]), brightness: 80, transition: Duration::from_millis(400), effect: None };
const ID: &str = "001788fffe102030";

async fn hub() -> Hub {
    Hub::plan()
        .room("Office", &[("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::White), ("Fan", Kind::Plug)])
        .room("Hall", &[("Ceiling", Kind::Ambiance)])
        .zone("Office", &["Ceiling"])
        .start()
        .await
        .unwrap()
}

/// A configuration folder with its store; the store is where pins are kept.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    async fn store(&self) -> Store {
        let url = format!("sqlite://{}", self.folder.path().join("store.db").display());
        Store::open(&url, &self.folder.path().join("store.key")).await.unwrap()
    }

    /// The settings with this hub's other keys, and one light with this target.
    fn settings(&self, hub: &Hub, keys: &str, target: &str) -> Settings {
        let yaml = format!(
            "hubs:\n  office: {{ host: \"{}\", {keys} }}\nlights:\n  desk: {{ hub: office, target: \"{target}\", follow: alex }}\n",
            hub.address()
        );
        settings::from_yaml(&yaml, self.folder.path()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }

    async fn light(&self, hub: &Hub, keys: &str, target: &str) -> lights::Hub {
        lights::hubs(&self.settings(hub, keys, target), &self.store().await).remove(0)
    }
}

async fn show(hub: &lights::Hub, look: Look) -> Result<Obeyed, Trouble> {
    hub.lights[0].1.show(look, false).await
}

/// With the id and the key, as most people configure it.
fn usual(hub: &Hub) -> String {
    format!("id: \"{}\", key: \"{}\"", hub.bridge_id(), hub.key())
}

/// Shows red on a target, with the usual keys.
async fn red_on(hub: &Hub, target: &str) -> Result<Obeyed, Trouble> {
    let place = Place::new();
    let light = place.light(hub, &usual(hub), target).await;
    show(&light, RED).await
}

/// Whether the hub ever saw a request that needs the key.
fn was_told_the_key(hub: &Hub) -> bool {
    hub.requests().count(|request| request.route.contains("/clip/")) > 0
}

#[tokio::test]
async fn a_room_shows_the_colour_with_each_lamp_as_it_can() {
    let hub = hub().await;
    assert_eq!(red_on(&hub, "room/office").await, Ok(Obeyed::default()), "that the plug cannot do colours is no news");
    let desk = hub.lamp("Desk");
    assert_eq!((desk.on, desk.brightness, desk.xy), (true, 80.0, Some((0.6915, 0.3083))));
    assert!(hub.lamp("Shelf").on && hub.lamp("Fan").on && !hub.lamp("Ceiling").on);
}

#[tokio::test]
async fn a_zone_shows_the_colour_and_the_room_of_its_name_does_not() {
    let hub = hub().await;
    assert_eq!(red_on(&hub, "zone/office").await, Ok(Obeyed::default()));
    assert!(hub.lamp("Ceiling").on && !hub.lamp("Desk").on && !hub.lamp("Shelf").on);
}

#[tokio::test]
async fn a_lamp_is_sent_only_what_it_can() {
    let hub = hub().await;
    for lamp in ["Desk", "Shelf", "Fan", "Ceiling"] {
        assert_eq!(red_on(&hub, lamp).await, Ok(Obeyed::default()), "{lamp}");
    }
    assert_eq!(hub.lamp("Ceiling").mirek, Some(500), "red is as warm as the lamp can");
    assert!(hub.commands().all().iter().all(|command| command.status == 200));
}

#[tokio::test]
async fn a_target_that_is_not_there_is_an_error_that_lists_what_is() {
    let hub = hub().await;
    let Err(Trouble::Light { reason }) = red_on(&hub, "Office").await else { panic!("a room and a zone") };
    assert!(reason.contains("lights.desk.target") && reason.contains("room/Office, zone/Office"), "{reason}");
    let Err(Trouble::Light { reason }) = red_on(&hub, "Kitchen").await else { panic!("no such room") };
    assert!(reason.contains("room/Hall") && reason.contains("light/Desk"), "{reason}");
}

#[tokio::test]
async fn a_light_by_its_id_and_a_group_by_its_id_are_found() {
    let hub = hub().await;
    hub.adjust(|limits| limits.group_gap = Duration::ZERO);
    for (kind, name) in [("light", "Desk"), ("grouped_light", "Hall"), ("room", "Hall")] {
        let id = hub.resource_id(kind, name).unwrap();
        assert!(red_on(&hub, &id).await.is_ok(), "{kind}");
    }
}

#[tokio::test]
async fn at_first_contact_the_certificate_is_kept_and_another_one_is_refused_from_then_on() {
    let hub = hub().await;
    let place = Place::new();
    let light = place.light(&hub, &usual(&hub), "Desk").await;
    show(&light, RED).await.unwrap();
    assert!(place.store().await.hub_pin(ID).await.unwrap().is_some());
    let first = hub.certificate_sha256();

    hub.present(Certificate::self_signed(ID));
    hub.requests().clear();
    for light in [light, place.light(&hub, &usual(&hub), "Desk").await] {
        let Err(Trouble::Hub { reason, .. }) = show(&light, RED).await else { panic!("another certificate") };
        assert!(reason.contains(&first) && reason.contains(&hub.certificate_sha256()), "{reason}");
        assert!(reason.contains("hubs.office.certificate_sha256"), "the remedy: {reason}");
    }
    assert_eq!(hub.requests().count(|_| true), 0, "nothing was asked over a connection that was not trusted");

    let told = format!("{}, certificate_sha256: \"{}\"", usual(&hub), hub.certificate_sha256());
    show(&place.light(&hub, &told, "Desk").await, RED).await.unwrap();
}

#[tokio::test]
async fn the_key_is_never_sent_to_a_hub_that_is_not_the_one_meant() {
    let hub = hub().await;
    let key = hub.key();
    let another = format!("id: 001788fffe999999, key: \"{key}\"");
    let wrong_pin = format!("key: \"{key}\", certificate_sha256: \"{}\"", "ab".repeat(32));
    let nothing = format!("key: \"{key}\"");
    for (keys, remedy) in [
        (another.as_str(), "hubs.office.id is 001788fffe999999"),
        (wrong_pin.as_str(), "hubs.office.certificate_sha256"),
        (nothing.as_str(), "set hubs.office.id to 001788fffe102030 or hubs.office.certificate_sha256"),
    ] {
        let place = Place::new();
        let Err(Trouble::Hub { reason, .. }) = show(&place.light(&hub, keys, "Desk").await, RED).await else {
            panic!("{keys} was taken")
        };
        assert!(reason.contains(remedy) && !reason.contains(&key), "{reason}");
        assert!(place.store().await.hub_pin("001788fffe999999").await.unwrap().is_none());
    }
    assert!(!was_told_the_key(&hub));
}

#[tokio::test]
async fn a_key_that_the_hub_does_not_know_stops_with_the_remedy() {
    let hub = hub().await;
    hub.revoke_key();
    let place = Place::new();
    let keys = format!("id: {ID}, key: not-a-key-of-this-hub");
    let Err(Trouble::Stop { reason }) = show(&place.light(&hub, &keys, "Desk").await, RED).await else { panic!("403") };
    assert!(reason.contains("link button") && !reason.contains("not-a-key"), "{reason}");
}

#[tokio::test]
async fn a_key_revoked_later_stops_too() {
    let hub = hub().await;
    let place = Place::new();
    let light = place.light(&hub, &usual(&hub), "Desk").await;
    show(&light, RED).await.unwrap();
    hub.revoke_key();
    assert!(matches!(show(&light, Look::Off).await, Err(Trouble::Stop { .. })));
}

#[tokio::test]
async fn a_hub_without_a_key_in_the_configuration_stops_with_the_remedy() {
    let hub = hub().await;
    let place = Place::new();
    let Ok(settings) = settings::from_yaml(
        &format!(
            "hubs:\n  office: {{ host: \"{}\", id: {ID} }}\nlights:\n  desk: {{ hub: office, target: Desk, follow: alex }}\n",
            hub.address()
        ),
        place.folder.path(),
    ) else {
        return; // the configuration refuses it already
    };
    let light = lights::hubs(&settings, &place.store().await).remove(0);
    assert!(matches!(show(&light, RED).await, Err(Trouble::Stop { reason }) if reason.contains("hubs.office.key")));
}

#[tokio::test]
async fn overload_says_when_to_come_again() {
    let hub = hub().await;
    let place = Place::new();
    let light = place.light(&hub, &usual(&hub), "Desk").await;
    for status in [429, 503] {
        hub.fault(Fault::new("PUT", What::retry_after(status, 7)).times(1));
        let answer = show(&light, RED).await;
        assert!(
            matches!(answer, Err(Trouble::Hub { after: Some(after), .. }) if after == Duration::from_secs(7)),
            "{answer:?}"
        );
    }
    hub.fault(Fault::new("PUT", What::status(507, "{}")).times(1));
    assert!(matches!(show(&light, RED).await, Err(Trouble::Hub { after: None, .. })));
    show(&light, RED).await.unwrap();
}

#[tokio::test]
async fn a_target_that_is_gone_is_looked_up_again() {
    let hub = hub().await;
    let place = Place::new();
    let light = place.light(&hub, &usual(&hub), "Desk").await;
    show(&light, RED).await.unwrap();
    hub.fault(Fault::new("PUT", What::status(404, r#"{"errors":[{"description":"Not Found"}],"data":[]}"#)).times(1));
    assert!(matches!(show(&light, RED).await, Err(Trouble::Light { .. })));
    hub.requests().clear();
    show(&light, RED).await.unwrap();
    assert_eq!(hub.requests().count(|request| request.route == "GET /clip/v2/resource"), 1);
}

#[tokio::test]
async fn a_missing_target_costs_the_hubs_other_lights_nothing() {
    let hub = hub().await;
    let place = Place::new();
    let mut settings = place.settings(&hub, &usual(&hub), "Desk");
    let typo = settings::Light {
        target: settings::Target { kind: None, name: "Dekc".into() },
        ..settings.lights["desk"].clone()
    };
    settings.lights.insert("typo".parse().unwrap(), typo);
    let lights = lights::hubs(&settings, &place.store().await).remove(0).lights;
    lights[0].1.prepare().await.unwrap();
    assert_eq!(hub.commands().count(|_| true), 0, "getting ready changes no lamp");
    assert!(
        matches!(lights[1].1.prepare().await, Err(Trouble::Light { reason }) if reason.contains("lights.typo.target"))
    );
    assert_eq!(lights[0].1.load(), Load::Single, "what is known of the desk stays known");
    hub.requests().clear();
    lights[0].1.show(RED, false).await.unwrap();
    assert_eq!(hub.requests().count(|_| true), 1, "nothing is read again for the desk");
    assert!(matches!(lights[1].1.show(RED, false).await, Err(Trouble::Light { .. })));
    assert_eq!(hub.requests().count(|_| true), 2, "for the other one it is: it may have been added");
}

#[tokio::test]
async fn a_lamp_without_power_is_advice() {
    let hub = hub().await;
    hub.unreachable("Desk");
    let obeyed = red_on(&hub, "Desk").await.unwrap();
    assert!(obeyed.unreachable && !obeyed.was_off);
}

#[tokio::test]
async fn a_plug_that_is_on_is_not_switched_on_again_for_another_colour() {
    let hub = hub().await;
    let place = Place::new();
    let light = place.light(&hub, &usual(&hub), "Fan").await;
    let blue = Look::On { shade: Shade::Rgb([0, 0, 255]), brightness: 20, transition: Duration::ZERO, effect: None };
    for (look, on, commands) in
        [(RED, false, 1), (blue.clone(), true, 1), (blue, false, 2), (Look::Off, true, 3), (RED, false, 4)]
    {
        assert_eq!(light.lights[0].1.show(look.clone(), on).await, Ok(Obeyed::default()));
        assert_eq!(hub.commands().count(|_| true), commands, "{look:?}");
    }
}

#[tokio::test]
async fn what_was_off_after_all_is_noticed() {
    let hub = hub().await;
    let place = Place::new();
    let light = place.light(&hub, &usual(&hub), "Desk").await;
    show(&light, Look::Off).await.unwrap();
    assert!(light.lights[0].1.show(RED, true).await.unwrap().was_off);
}

#[tokio::test]
async fn odd_answers_are_troubles_and_never_a_success() {
    let hub = hub().await;
    let place = Place::new();
    let light = place.light(&hub, &usual(&hub), "Desk").await;
    for route in ["GET /clip", "PUT"] {
        for what in [
            What::Html,
            What::Garbage,
            What::Cut,
            What::CutBody,
            What::Endless,
            What::status(301, ""),
            What::status(500, "{}"),
        ] {
            let text = format!("{route} {what:?}");
            hub.fault(Fault::new(route, what));
            let answer = show(&light, RED).await;
            assert!(matches!(answer, Err(Trouble::Hub { .. })), "{text}: {answer:?}");
            hub.clear_faults();
        }
        show(&light, RED).await.unwrap();
    }
}

#[tokio::test]
async fn check_names_hub_and_light_and_what_is_wrong() {
    let hub = hub().await;
    let place = Place::new();
    let store = place.store().await;
    let findings = lights::check(&place.settings(&hub, &usual(&hub), "Kitchen"), &store).await;
    assert_eq!(findings[0].subject, "hub office");
    assert!(findings[0].outcome.as_ref().unwrap().contains(ID));
    assert_eq!(findings[1].subject, "light desk");
    assert!(findings[1].outcome.as_ref().unwrap_err().contains("room/Hall"));
    hub.down().await;
    let findings = lights::check(&place.settings(&hub, &usual(&hub), "Desk"), &store).await;
    assert!(findings[0].outcome.as_ref().unwrap_err().contains(&format!("https://{}", hub.address())));
    assert!(findings[0].outcome.as_ref().unwrap_err().contains("is the hub on, and hubs.office.host right?"));
    assert_eq!(findings[1].outcome, Err("not looked up: mend hub office first".into()));
    hub.up().await.unwrap();
    hub.fault(Fault::new("GET", What::status(404, "{}")));
    let findings = lights::check(&place.settings(&hub, &usual(&hub), "Desk"), &store).await;
    assert!(findings[0].outcome.as_ref().unwrap_err().contains("no CLIP v2"), "{findings:?}");
}

#[tokio::test]
async fn check_tries_hubs_beside_one_another() {
    let (ill, well) = (hub().await, hub().await);
    ill.fault(Fault::new("", What::Hang));
    let place = Place::new();
    let mut settings = place.settings(&ill, &usual(&ill), "Desk");
    let other = place.settings(&well, &usual(&well), "Desk").hubs.remove("office").unwrap();
    settings.hubs.insert("zoo".parse().unwrap(), other);
    let store = place.store().await;
    let checking = tokio::spawn(async move { lights::check(&settings, &store).await });
    // Sooner than anybody gives up waiting for the other one.
    let soon = Duration::from_secs(6);
    let asked = |requests: &[Request]| requests.iter().any(|it| it.route == "GET /clip/v2/resource");
    well.requests().wait_for(soon, asked).await.expect("it waits for the other one");
    checking.abort();
}
