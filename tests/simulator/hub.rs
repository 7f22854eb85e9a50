//! The hub: resources, commands, limits, events, and what goes wrong.

use std::time::{Duration, Instant};

use graph2mqtt::simulator::{Fault, Gamut, Hub, Kind, What};
use reqwest::{Client, Response};
use serde_json::{Value, json};

use super::read;

const WAIT: Duration = Duration::from_secs(5);

/// An office with a lamp of every kind.
async fn office() -> Hub {
    let lamps =
        [("Desk", Kind::Color(Gamut::C)), ("Shelf", Kind::Ambiance), ("Door", Kind::White), ("Fan", Kind::Plug)];
    Hub::plan().key("the-key").room("Office", &lamps).zone("Work", &["Desk", "Shelf"]).start().await.unwrap()
}

fn client(key: &str) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let headers = [("hue-application-key".parse().unwrap(), key.parse().unwrap())].into_iter().collect();
    Client::builder().no_proxy().tls_danger_accept_invalid_certs(true).default_headers(headers).build().unwrap()
}

async fn get(hub: &Hub, path: &str) -> (u16, Value) {
    let url = format!("https://{}{path}", hub.address());
    read(client("the-key").get(url).send().await.unwrap()).await
}

async fn put(hub: &Hub, kind: &str, name: &str, body: Value) -> (u16, Value) {
    let id = hub.resource_id(kind, name).unwrap();
    let url = format!("https://{}/clip/v2/resource/{kind}/{id}", hub.address());
    read(client("the-key").put(url).json(&body).send().await.unwrap()).await
}

fn red() -> Value {
    json!({"on": {"on": true}, "dimming": {"brightness": 80}, "color": {"xy": {"x": 0.6, "y": 0.3}}})
}

#[tokio::test]
async fn anybody_learns_who_the_hub_is_and_nothing_else() {
    let hub = office().await;
    for path in ["/api/config", "/api/0/config"] {
        let answer = client("nobody").get(format!("https://{}{path}", hub.address())).send().await.unwrap();
        let (status, config) = read(answer).await;
        assert_eq!((status, &config["bridgeid"]), (200, &"001788FFFE102030".into()));
        assert_eq!((&config["mac"], &config["modelid"]), (&"00:17:88:10:20:30".into(), &"BSB002".into()));
    }
    let answer = client("nobody").get(format!("https://{}/clip/v2/resource", hub.address())).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().len()), (403, 0));
    assert_eq!(get(&hub, "/clip/v2/resource/light").await.0, 200);
    hub.revoke_key();
    assert_eq!(get(&hub, "/clip/v2/resource/light").await.0, 403);
    hub.add_key("the-key");
    assert_eq!(get(&hub, "/clip/v2/resource/nonsense").await.0, 404);
    assert_eq!(get(&hub, "/clip/v2/resource/light/nonsense").await.0, 404);
}

#[tokio::test]
async fn resources_refer_to_each_other_as_a_real_hubs_do() {
    let hub = office().await;
    let (_, body) = get(&hub, "/clip/v2/resource").await;
    let all = body["data"].as_array().unwrap();
    let find = |id: &Value| all.iter().find(|resource| resource["id"] == *id).unwrap();
    let named =
        |kind: &str, name: &str| all.iter().find(|one| one["type"] == kind && one["metadata"]["name"] == name).unwrap();
    let room = named("room", "Office");
    let grouped = find(&room["services"][0]["rid"]);
    assert_eq!((&grouped["type"], &grouped["owner"]["rid"]), (&"grouped_light".into(), &room["id"]));
    let device = find(&room["children"][0]["rid"]);
    let desk = find(&device["services"][0]["rid"]);
    assert_eq!((&desk["metadata"]["name"], &desk["owner"]["rid"]), (&"Desk".into(), &device["id"]));
    assert_eq!(find(&named("zone", "Work")["children"][1]["rid"])["metadata"]["name"], "Shelf");
    assert_eq!((&desk["color"]["gamut_type"], &desk["color_temperature"]["mirek_valid"]), (&"C".into(), &false.into()));
    assert_eq!(desk["signaling"]["signal_values"][2], "on_off_color");
    let members = ["color", "color_temperature", "dimming", "on"];
    for (lamp, has) in [("Desk", 4), ("Shelf", 3), ("Door", 2), ("Fan", 1)] {
        let lamp = named("light", lamp);
        assert_eq!(members.map(|member| lamp.get(member).is_some()), [has > 3, has > 2, has > 1, true], "{lamp}");
    }
    let home = all.iter().find(|one| one["type"] == "bridge_home").unwrap();
    assert_eq!((&home["children"][0]["rid"], home["services"].as_array().unwrap().len()), (&room["id"], 1));
}

#[tokio::test]
async fn a_light_obeys_and_the_hub_remembers() {
    let hub = office().await;
    let (status, body) = put(&hub, "light", "Desk", red()).await;
    assert_eq!((status, &body["errors"]), (200, &json!([])));
    assert_eq!(body["data"][0]["rid"], hub.resource_id("light", "Desk").unwrap());
    let desk = hub.wait_for("Desk", WAIT, |desk| desk.on).await.unwrap();
    assert_eq!((desk.brightness, desk.xy, desk.mirek), (80.0, Some((0.6, 0.3)), None));
    let command = hub.commands().all().pop().unwrap();
    assert_eq!((command.target.as_str(), command.group, command.body), ("Desk", false, red()));
    put(&hub, "light", "Desk", json!({"color_temperature": {"mirek": 200}})).await;
    assert_eq!((hub.lamp("Desk").mirek, hub.lamp("Desk").xy), (Some(200), None));
    assert_eq!(hub.changes().total(), 2);
}

#[tokio::test]
async fn a_group_reaches_each_lamp_with_what_it_can() {
    let hub = office().await;
    let (status, body) = put(&hub, "grouped_light", "Office", red()).await;
    assert_eq!((status, &body["data"][0]["rtype"]), (207, &"grouped_light".into()));
    let errors = body["errors"].as_array().unwrap();
    assert!(errors.iter().all(|error| error["error_code"] == "client_error"));
    assert_eq!(hub.lamp("Desk").xy, Some((0.6, 0.3)));
    assert_eq!((hub.lamp("Shelf").on, hub.lamp("Shelf").brightness), (true, 80.0));
    assert_eq!((hub.lamp("Fan").on, hub.lamp("Fan").brightness), (true, 100.0));
    let (_, light) =
        get(&hub, &format!("/clip/v2/resource/grouped_light/{}", hub.resource_id("grouped_light", "Office").unwrap()))
            .await;
    assert_eq!(light["data"][0]["on"]["on"], true);
}

#[tokio::test]
async fn a_command_that_a_hub_does_not_understand_has_no_effect() {
    let hub = office().await;
    let cases = [
        (json!({}), "any attribute"),
        (json!([1]), "invalid json"),
        (json!({"on": true}), "(.on)"),
        (json!({"on": {"on": 1}}), "(.on.on)"),
        (json!({"colour": {"xy": {"x": 0, "y": 0}}}), "(.colour)"),
        (json!({"on": {"on": true, "off": false}}), "(.on.off)"),
        (json!({"dimming": {"brightness": 101}}), "(.dimming.brightness)"),
        (json!({"color": {"xy": {"x": 0.3}}}), "(.color.xy.y)"),
        (json!({"color_temperature": {"mirek": 100}}), "(.color_temperature.mirek)"),
        (json!({"on": {"on": true}, "dynamics": {"duration": 6_000_001}}), "(.dynamics.duration)"),
        (json!({"signaling": {"signal": "disco", "duration": 1000}}), "(.signaling.signal)"),
    ];
    hub.adjust(|limits| limits.light_commands = 100);
    for (body, blamed) in cases {
        let (status, answer) = put(&hub, "light", "Desk", body.clone()).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["errors"][0]["description"].as_str().unwrap().contains(blamed), "{body} {answer}");
    }
    let longest = json!({"on": {"on": true}, "dynamics": {"duration": 6_000_000}});
    assert_eq!(put(&hub, "light", "Desk", longest).await.0, 200);
    assert_eq!(hub.changes().total(), 1);
}

#[tokio::test]
async fn a_lamp_complains_of_what_it_cannot_do() {
    let hub = office().await;
    let (status, body) = put(&hub, "light", "Door", red()).await;
    assert_eq!((status, &body["errors"][0]["error_code"]), (207, &"client_error".into()));
    assert_eq!((hub.lamp("Door").on, hub.lamp("Door").brightness), (true, 80.0));
    let (status, body) = put(&hub, "light", "Fan", json!({"dimming": {"brightness": 5}})).await;
    assert_eq!((status, &body["data"]), (400, &json!([])));
    let (status, body) = put(&hub, "light", "Desk", json!({"dimming": {"brightness": 5}})).await;
    assert_eq!((status, &body["errors"][0]["error_code"]), (207, &"attribute_may_have_no_effect".into()));
    hub.unreachable("Desk");
    let (status, body) = put(&hub, "light", "Desk", red()).await;
    assert_eq!((status, &body["errors"][0]["error_code"]), (207, &"communication_error".into()));
    assert!(!hub.lamp("Desk").on);
    hub.reachable("Desk");
    assert_eq!(put(&hub, "light", "Desk", red()).await.0, 200);
}

#[tokio::test]
async fn a_lamp_that_fades_to_off_remembers_the_dimmest_step() {
    let hub = office().await;
    put(&hub, "light", "Desk", red()).await;
    put(&hub, "light", "Desk", json!({"on": {"on": false}, "dynamics": {"duration": 400}})).await;
    put(&hub, "light", "Desk", json!({"on": {"on": true}})).await;
    assert_eq!(hub.lamp("Desk").brightness, 1.0);
}

#[tokio::test]
async fn too_many_commands_are_refused() {
    let hub = office().await;
    hub.adjust(|limits| {
        assert_eq!((limits.light_commands, limits.group_gap), (10, Duration::from_millis(800)));
        // So that a busy machine does not take longer than the limit's second.
        limits.light_commands = 2;
        limits.group_gap = Duration::from_secs(60);
    });
    for on in [true, false] {
        assert_eq!(put(&hub, "light", "Desk", json!({"on": {"on": on}})).await.0, 200);
    }
    let (status, body) = put(&hub, "light", "Desk", red()).await;
    assert_eq!((status, body["data"].as_array().map(Vec::len)), (429, Some(0)));
    assert_eq!(put(&hub, "grouped_light", "Work", json!({"on": {"on": true}})).await.0, 200);
    assert_eq!(put(&hub, "grouped_light", "Office", json!({"on": {"on": true}})).await.0, 429);
    let statuses: Vec<_> = hub.commands().all().iter().map(|command| command.status).collect();
    assert_eq!(statuses, [200, 200, 429, 200, 429]);
}

#[tokio::test]
async fn a_fourth_request_at_once_is_refused() {
    let hub = office().await;
    hub.fault(Fault::new("/clip/v2/resource/room", What::Hang));
    let hung: Vec<_> = (0..3)
        .map(|_| {
            tokio::spawn({
                let hub = hub.clone();
                async move { get(&hub, "/clip/v2/resource/room").await }
            })
        })
        .collect();
    hub.requests().wait_for(WAIT, |requests| requests.len() == 3).await.unwrap();
    assert_eq!(get(&hub, "/clip/v2/resource/light").await.0, 429);
    hung.iter().for_each(tokio::task::JoinHandle::abort);
    let deadline = Instant::now() + WAIT;
    while get(&hub, "/clip/v2/resource/light").await.0 != 200 {
        assert!(Instant::now() < deadline, "a request that its client gave up still counts");
    }
}

/// The next event of a stream: its id and its batch.
async fn event(stream: &mut Response, text: &mut String) -> (String, Value) {
    loop {
        if let Some((frame, rest)) = text.split_once("\n\n") {
            let (frame, rest) = (frame.to_owned(), rest.to_owned());
            *text = rest;
            let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                return (id, serde_json::from_str(&data).unwrap());
            }
        } else {
            let chunk = tokio::time::timeout(WAIT, stream.chunk()).await.unwrap().unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn changes_are_told_on_the_event_stream_whoever_made_them() {
    let hub = office().await;
    let open = |last: Option<String>| {
        let url = format!("https://{}/eventstream/clip/v2", hub.address());
        let request = client("the-key").get(url).header("accept", "text/event-stream");
        last.into_iter().fold(request, |request, id| request.header("last-event-id", id)).send()
    };
    let (mut stream, mut text) = (open(None).await.unwrap(), String::new());
    assert!(stream.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    put(&hub, "light", "Desk", red()).await;
    let (first, batch) = event(&mut stream, &mut text).await;
    let data = batch[0]["data"].as_array().unwrap();
    assert_eq!(
        (&batch[0]["type"], &data[0]["type"], &data[0]["on"]["on"]),
        (&"update".into(), &"light".into(), &true.into())
    );
    assert!(data.iter().any(|part| part["type"] == "grouped_light" && part["on"]["on"] == true));
    put(&hub, "light", "Desk", red()).await;
    hub.hand("Desk", &json!({"on": {"on": false}}));
    let (second, batch) = event(&mut stream, &mut text).await;
    assert_eq!(batch[0]["data"][0]["on"]["on"], false, "a command that changes nothing tells nothing");
    hub.unreachable("Desk");
    let (_, batch) = event(&mut stream, &mut text).await;
    assert_eq!(
        (&batch[0]["data"][0]["type"], &batch[0]["data"][0]["status"]),
        (&"zigbee_connectivity".into(), &"connectivity_issue".into())
    );
    assert!(second != first);
    let (mut again, mut text) = (open(Some(first)).await.unwrap(), String::new());
    assert_eq!(event(&mut again, &mut text).await.0, second, "what was missed comes again");
    hub.disconnect();
    assert!(again.chunk().await.is_err() && stream.chunk().await.is_err());
}

#[tokio::test]
async fn the_hub_goes_down_comes_back_and_fails_on_request() {
    let hub = office().await;
    put(&hub, "light", "Desk", red()).await;
    hub.down().await;
    let url = format!("https://{}/clip/v2/resource/light", hub.address());
    assert!(client("the-key").get(&url).send().await.unwrap_err().is_connect());
    hub.up().await.unwrap();
    assert!(hub.lamp("Desk").on);
    for status in [503, 507] {
        hub.fault(Fault::new("PUT /clip/v2/resource/light", What::status(status, "")).times(1));
        assert_eq!(put(&hub, "light", "Desk", json!({"on": {"on": false}})).await.0, status);
    }
    assert!(hub.lamp("Desk").on, "a fault has no effect on lamps");
    assert_eq!(put(&hub, "light", "Desk", json!({"on": {"on": false}})).await.0, 200);
    assert_eq!(hub.requests().count(|request| request.status == Some(503)), 1);
}
