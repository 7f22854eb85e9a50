//! What others ask the location's actuators: `<base>/actuator/<location>/request/<command>`. One member answers.
//!
//! | command | asks | answers with |
//! |---|---|---|
//! | `health_check` | nothing | `healthy`, and of each light whether it is reachable |
//! | `test` | `{"light":"desk"}` | the light, once its hub took the flash |

use std::future::Future;
use std::pin::Pin;

use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use super::board::LightState;
use super::drive::Flash;
use crate::mqtt::{Answer, Arguments, Request, Ticket};
use crate::presence::Name;

const COMMANDS: &str = "health_check, test";

/// Where each light's hub listens, and which of its lights it is.
pub(super) type Ways = Vec<(Name, mpsc::Sender<Flash>, usize)>;

/// An answer that takes its time.
pub(super) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Does what is asked.
pub(super) fn answer(request: Request, ways: &Ways, lights: &[LightState]) -> Answering {
    let Request { command, members, ticket } = request;
    match command.as_str() {
        "health_check" => at_once(match Arguments::new(members, &[]) {
            Ok(_) => ticket.ok(health(lights)),
            Err(wrong) => ticket.error(&wrong),
        }),
        "test" => test(members, ticket, ways),
        _ => at_once(ticket.error(&format!("there is no such request here; there are {COMMANDS}"))),
    }
}

fn at_once(answer: Answer) -> Answering {
    Box::pin(std::future::ready(answer))
}

fn health(lights: &[LightState]) -> Value {
    let light =
        |light: &LightState| (light.name.to_string(), json!({ "reachable": light.reachable, "error": light.error }));
    let healthy = lights.iter().all(|light| light.reachable);
    json!({ "healthy": healthy, "lights": lights.iter().map(light).collect::<Map<_, _>>() })
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
