//! What others ask the location's actuators: `<base>/actuator/<location>/request/<command>`. One member answers.
//! Each has a store of its own, so that those whose hub wants a key join when one is asked to pair it.
//!
//! | command | asks | answers with |
//! |---|---|---|
//! | `health_check` | nothing | `healthy`, and of each light and each hub whether it is reachable and what is wrong |
//! | `test` | `{"light":"desk"}` | the light, once its hub took the flash |
//! | `pair` | `{"hub":"office"}`, with `"new_certificate":true` where it may have changed | the hub and its bridge id, once somebody pressed its link button |

use std::future::Future;
use std::pin::Pin;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::board::LightState;
use super::drive::Flash;
use super::topics::Topics;
use crate::lights::{Condition, HubState, NotPaired, Pairings, Progress};
use crate::mqtt::{Answer, Arguments, Received, Request, Ticket};
use crate::presence::Name;

const COMMANDS: &str = "health_check, test, pair";
/// A request to pair that is larger is none.
const LARGEST: usize = 1 << 10;

/// Where each light's hub listens, and which of its lights it is.
pub(super) type Ways = Vec<(Name, mpsc::Sender<Flash>, usize)>;

/// An answer that takes its time.
pub(super) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Does what is asked.
pub(super) fn answer(request: Request, ways: &Ways, lights: &[LightState], pairings: &Pairings) -> Answering {
    let Request { command, members, ticket } = request;
    match command.as_str() {
        "health_check" => at_once(match Arguments::new(members, &[]) {
            Ok(_) => ticket.ok(health(lights, &pairings.hubs())),
            Err(wrong) => ticket.error(&wrong),
        }),
        "test" => test(members, ticket, ways),
        "pair" => pair(members, ticket, pairings),
        _ => at_once(ticket.error(&format!("there is no such request here; there are {COMMANDS}"))),
    }
}

fn at_once(answer: Answer) -> Answering {
    Box::pin(std::future::ready(answer))
}

/// Of a hub on which no light hangs nothing is asked: it is neither well nor ill.
fn health(lights: &[LightState], hubs: &[HubState]) -> Value {
    let light =
        |light: &LightState| (light.name.to_string(), json!({ "reachable": light.reachable, "error": light.error }));
    let hub = |HubState { name, standing, .. }: &HubState| {
        let about = json!({ "reachable": standing.condition.is_reachable(), "error": standing.reason });
        (name.to_string(), about)
    };
    let is_well = |hub: &HubState| matches!(hub.standing.condition, Condition::Well | Condition::NotAsked);
    json!({
        "healthy": lights.iter().all(|light| light.reachable) && hubs.iter().all(is_well),
        "lights": lights.iter().map(light).collect::<Map<_, _>>(),
        "hubs": hubs.iter().map(hub).collect::<Map<_, _>>(),
    })
}

fn test(members: Map<String, Value>, ticket: Ticket, ways: &Ways) -> Answering {
    let names = || ways.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>().join(", ");
    let asked = Arguments::new(members, &["light"]).and_then(|arguments| {
        let name = arguments.text("light")?;
        let name = name.ok_or_else(|| format!(r#"say which light, such as {{"light":"…"}}; there are {}"#, names()))?;
        let way = ways.iter().find(|(known, ..)| known.as_str() == name);
        way.ok_or_else(|| format!("there is no such light here; there are {}", names()))
    });
    let (name, hub, light) = match asked {
        Ok((name, hub, light)) => (name.clone(), hub.clone(), *light),
        Err(wrong) => return at_once(ticket.error(&wrong)),
    };
    Box::pin(async move {
        let (answer, answered) = oneshot::channel();
        let sent = hub.send(Flash { light, answer }).await;
        match (sent, answered.await) {
            (Ok(()), Ok(Ok(obeyed))) => ticket.ok(json!({ "light": name.as_str(), "advice": obeyed.advice })),
            (Ok(()), Ok(Err(trouble))) => ticket.error(&trouble.to_string()),
            _ => ticket.error("the actuator is stopping; ask again"),
        }
    })
}

/// The hub to pair, and whether another certificate than the one known is taken.
fn to_pair(members: Map<String, Value>, pairings: &Pairings) -> Result<(Name, bool), String> {
    let arguments = Arguments::new(members, &["hub", "new_certificate"])?;
    let names = || pairings.hubs().iter().map(|hub| hub.name.to_string()).collect::<Vec<_>>().join(", ");
    let name = arguments.text("hub")?;
    let name = name.ok_or_else(|| format!(r#"say which hub, such as {{"hub":"…"}}; there are {}"#, names()))?;
    let hub = pairings.hub(name).ok_or_else(|| format!("there is no such hub here; there are {}", names()))?;
    Ok((hub.name, arguments.flag("new_certificate")?))
}

fn pair(members: Map<String, Value>, ticket: Ticket, pairings: &Pairings) -> Answering {
    let begun = to_pair(members, pairings).and_then(|(hub, new_certificate)| {
        let progress = pairings.start(hub.as_str(), new_certificate);
        progress.map(|progress| (hub, progress)).ok_or_else(|| "there is no such hub here any more".to_owned())
    });
    let (hub, mut progress) = match begun {
        Ok(begun) => begun,
        Err(wrong) => return at_once(ticket.error(&wrong)),
    };
    Box::pin(async move {
        let ended = progress.wait_for(|progress| !progress.is_under_way()).await.map(|ended| ended.clone());
        match ended {
            Ok(Progress::Paired { id, name }) => ticket.ok(json!({ "hub": hub.as_str(), "id": id, "name": name })),
            Ok(Progress::Failed(changed @ NotPaired::Changed { .. })) => ticket.error(&format!(
                r#"{changed}. Only if you know why, ask again with "new_certificate":true, or: graph2mqtt pair {hub}"#
            )),
            Ok(Progress::Failed(not_paired)) => ticket.error(&not_paired.to_string()),
            Ok(Progress::Cancelled) => ticket.error("somebody cancelled it on the page"),
            _ => ticket.error("the actuator is stopping; ask again"),
        }
    })
}

/// A request that another member was given. What is odd is for that one to say.
pub(super) fn overhear(received: &Received, topics: &Topics, pairings: &Pairings) {
    let is_pair = received.topic.strip_prefix(&topics.room()) == Some("/request/pair");
    if !is_pair || received.retained || received.payload.len() > LARGEST {
        return;
    }
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&received.payload) else { return };
    members.remove("transaction");
    if let Ok((hub, new_certificate)) = to_pair(members, pairings) {
        pairings.overhear(hub.as_str(), new_certificate);
    }
}
