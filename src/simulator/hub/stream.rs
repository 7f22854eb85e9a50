//! The event stream: server-sent events, each a batch of resources' changed parts.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{Shared, State};
use crate::simulator::guid::guid;

/// How many events are kept for clients that come back.
const RECENT: usize = 64;

impl State {
    /// The event that these lamps, and the groups that hold them, show something else.
    pub(super) fn update(&mut self, lamps: &[usize]) -> String {
        let touched = |group: &&super::Group| group.lamps.iter().any(|lamp| lamps.contains(lamp));
        let groups = self.groups.iter().filter(touched).map(|group| {
            let mut light = group.grouped_light(&self.lamps);
            let members = light.as_object_mut().expect("an object");
            members.retain(|name, _| ["id", "id_v1", "type", "owner", "on", "dimming"].contains(&name.as_str()));
            light
        });
        let groups: Vec<_> = groups.collect();
        let data: Vec<_> = lamps.iter().map(|lamp| self.lamps[*lamp].event()).chain(groups).collect();
        self.frame(&data)
    }

    /// An event's frame, which is kept for clients that come back.
    pub(super) fn frame(&mut self, data: &[Value]) -> String {
        self.frame_of("update", data)
    }

    /// The same of what was added or deleted.
    pub(super) fn frame_of(&mut self, kind: &str, data: &[Value]) -> String {
        let now = jiff::Timestamp::now() - self.clock_is_behind;
        let second = now.as_second();
        let same = self.recent.iter().rev().take_while(|(id, _)| id.starts_with(&format!("{second}:"))).count();
        let id = format!("{second}:{same}");
        let created = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let batch = json!([{"creationtime": created, "data": data, "id": guid(), "type": kind}]);
        let frame = format!("id: {id}\ndata: {batch}\n\n");
        self.recent.push_back((id, frame.clone()));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        frame
    }

    /// The events after the one that the client saw last, or what a hub that replays sends to everyone.
    fn missed(&self, last: Option<&str>) -> String {
        let after = match last {
            Some(last) => self.recent.iter().position(|(id, _)| id == last).map(|at| at + 1),
            None => self.limits.replay.then_some(0),
        };
        after.into_iter().flat_map(|after| self.recent.iter().skip(after)).map(|(_, frame)| frame.as_str()).collect()
    }
}

impl super::Hub {
    /// Its clock is set back, as after a loss of power until it asks for the time again: ids of events are older than
    /// those before.
    pub fn set_clock_back(&self, by: Duration) {
        self.shared.state().clock_is_behind += by;
    }

    /// Forgets all events: a client that comes back is sent none of those that it missed.
    pub fn forget_events(&self) {
        self.shared.state().recent.clear();
    }
}

impl Shared {
    /// To all streams that are open. To be called while the state is locked, so that no stream misses it.
    pub(super) fn send(&self, frame: String) {
        // An error says only that nobody listens.
        let _ = self.events.send(frame);
    }
}

pub(super) async fn events(extract::State(shared): extract::State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (missed, live) = {
        let state = shared.state();
        (state.missed(last), shared.events.subscribe())
    };
    let hello = stream::once(async move { format!(": hi\n\n{missed}") });
    let body = hello.chain(stream::unfold(live, next)).map(Ok::<_, std::convert::Infallible>);
    ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")], Body::from_stream(body)).into_response()
}

async fn next(mut live: Receiver<String>) -> Option<(String, Receiver<String>)> {
    loop {
        match live.recv().await {
            Ok(frame) => return Some((frame, live)),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
