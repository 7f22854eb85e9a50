//! What others ask a role: `<room>/request/<command>` with JSON, answered on `<room>/response/<command>`
//! and, where the sender gave one, on MQTT 5's response topic with its correlation data.
//!
//! A room is `<base>/bridge` or `<base>/actuator/<location>`. The shape is zigbee2mqtt's, which people know:
//!
//! ```json
//! {"data":{"account":"alex"},"status":"ok","transaction":"t1"}
//! {"data":{},"status":"error","error":"what is wrong and what to do","transaction":"t1"}
//! ```
//! Anybody may send anything here, as fast as they can: what is odd is answered by an error, what is too
//! much, or cannot be answered, by silence.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::pending::Once;
use super::{Message, Received, Reply, Subscription};

/// The largest payload that is read, in bytes. A status message of Teams is 280 characters.
const LARGEST: usize = 8 << 10;
/// The longest name of a command, in bytes.
const LONGEST_COMMAND: usize = 64;
/// The longest response topic that is used, in bytes.
const LONGEST_TOPIC: usize = 512;
/// The most correlation data that is sent back, in bytes.
const LARGEST_CORRELATION: usize = 1024;
/// How many requests may come at once; a dashboard or an automation for a whole team.
const BURST: u32 = 50;
/// How long one of them takes to be allowed again.
const REFILL: Duration = Duration::from_millis(100);

/// Where the requests of one room come in.
#[derive(Debug)]
pub struct Requests {
    room: String,
    /// Where nobody else's word makes us write.
    guarded: Vec<String>,
    /// When the bucket will be full again.
    full_at: Instant,
    passed_over: u32,
}

/// A request in the expected form.
#[derive(Debug)]
pub struct Request {
    /// What is asked for, such as `account/login`.
    pub command: String,
    /// The members of the JSON object, without `transaction`; none where the payload was empty.
    pub members: Map<String, Value>,
    /// How it is answered.
    pub ticket: Ticket,
}

/// How one request is to be answered.
#[derive(Debug)]
pub struct Ticket {
    topic: String,
    also: Option<Reply>,
    transaction: Option<Value>,
}

/// A request that comes to nothing.
#[derive(Debug)]
pub enum Refused {
    /// It is answered by this.
    Answered(Answer),
    /// It is not answered. The text is for the log, and quotes nothing.
    Silently(&'static str),
}

/// An answer on its way.
#[derive(Debug)]
pub struct Answer {
    payload: Vec<u8>,
    topic: String,
    also: Option<Reply>,
}

impl Requests {
    /// `room` is `<base>/bridge` or the like. Below `guarded` (our topics, Home Assistant's) nothing is
    /// answered, whatever response topic a stranger names, but on the room's own `response/`.
    pub fn new(room: String, guarded: Vec<String>) -> Self {
        Self { room, guarded, full_at: Instant::now(), passed_over: 0 }
    }

    /// What to subscribe to.
    pub fn subscription(&self) -> Subscription {
        Subscription { filter: format!("{}/request/#", self.room), qos: 1, no_local: true }
    }

    /// Takes a message; none where its topic is no request of this room.
    pub fn take(&mut self, received: &Received, now: Instant) -> Option<Result<Request, Refused>> {
        let command = received.topic.strip_prefix(&*self.room)?.strip_prefix("/request/")?;
        Some(self.check(command, received, now))
    }

    /// How many were passed over since this was last asked, because there were too many.
    pub fn passed_over(&mut self) -> u32 {
        std::mem::take(&mut self.passed_over)
    }

    fn check(&mut self, command: &str, received: &Received, now: Instant) -> Result<Request, Refused> {
        if received.retained {
            return Err(Refused::Silently(
                "a request was retained at the broker, and is not obeyed; publish requests without retain, and clear it",
            ));
        }
        if !is_command(command) {
            return Err(Refused::Silently("a request whose topic names no command was passed over"));
        }
        if !self.has_room(now) {
            self.passed_over += 1;
            return Err(Refused::Silently("too many requests: this one was passed over"));
        }
        let also = received.reply.as_deref().filter(|reply| self.may_answer(reply)).cloned();
        let topic = format!("{}/response/{command}", self.room);
        let mut ticket = Ticket { topic, also, transaction: None };
        if received.payload.len() > LARGEST {
            return Err(Refused::Answered(ticket.error(&format!("the request is larger than {LARGEST} bytes"))));
        }
        let mut members = match members(&received.payload) {
            Ok(members) => members,
            Err(wrong) => return Err(Refused::Answered(ticket.error(&wrong))),
        };
        ticket.transaction = members.shift_remove("transaction");
        Ok(Request { command: command.to_owned(), members, ticket })
    }

    /// A leaky bucket.
    fn has_room(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + REFILL;
        let fits = full_at.duration_since(now) <= REFILL * BURST;
        if fits {
            self.full_at = full_at;
        }
        fits
    }

    /// Whether an answer may go where the sender wants it: not over what we or Home Assistant live by, not
    /// as a command to anything else on the broker.
    fn may_answer(&self, reply: &Reply) -> bool {
        let topic = reply.topic.as_str();
        let fits = !topic.is_empty() && topic.len() <= LONGEST_TOPIC && !topic.starts_with('$');
        let plain = !topic.contains(['+', '#']) && !topic.contains(char::is_control);
        let commands = topic.split('/').any(|part| matches!(part, "request" | "set"));
        let own = topic.strip_prefix(&*self.room).is_some_and(|rest| rest.starts_with("/response/"));
        let guarded = self.guarded.iter().any(|guarded| is_below(topic, guarded));
        let small = reply.correlation.as_ref().is_none_or(|data| data.len() <= LARGEST_CORRELATION);
        fits && plain && small && !commands && (own || !guarded)
    }
}

impl Ticket {
    /// It was done.
    pub fn ok(self, data: Value) -> Answer {
        self.answer(data, None)
    }

    /// It was not: what is wrong, and what to do.
    pub fn error(self, wrong: &str) -> Answer {
        self.answer(Value::Object(Map::new()), Some(wrong))
    }

    fn answer(self, data: Value, error: Option<&str>) -> Answer {
        #[derive(Serialize)]
        struct Payload<'a> {
            data: Value,
            status: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            transaction: Option<Value>,
        }
        let status = if error.is_some() { "error" } else { "ok" };
        let payload = Payload { data, status, error, transaction: self.transaction };
        let payload = serde_json::to_vec(&payload).expect("JSON values are JSON");
        Answer { payload, topic: self.topic, also: self.also }
    }
}

impl Answer {
    /// Where the sender asks for the very topic that is answered on anyhow, there is one message.
    pub(super) fn messages(self) -> impl Iterator<Item = Once> {
        let Self { payload, topic, also } = self;
        let same = also.as_ref().is_some_and(|reply| reply.topic == topic);
        let message = |topic: String, correlation: Option<Bytes>, payload: Vec<u8>| Once {
            message: Message { topic, payload },
            qos: 1,
            correlation,
            retain: false,
        };
        let (first, second) = match also {
            Some(reply) if same => (message(topic, reply.correlation, payload), None),
            Some(reply) => {
                (message(topic, None, payload.clone()), Some(message(reply.topic, reply.correlation, payload)))
            }
            None => (message(topic, None, payload), None),
        };
        std::iter::once(first).chain(second)
    }
}

fn members(payload: &[u8]) -> Result<Map<String, Value>, String> {
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(payload) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err("the request is JSON, but no object; send one such as {\"transaction\":\"1\"}, or nothing".into()),
        Err(error) => Err(format!(
            "the request is not JSON (line {}, column {}); send an object such as {{\"transaction\":\"1\"}}, or nothing",
            error.line(),
            error.column()
        )),
    }
}

fn is_command(command: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'/');
    (1..=LONGEST_COMMAND).contains(&command.len()) && command.bytes().all(plain)
}

fn is_below(topic: &str, above: &str) -> bool {
    topic.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn requests() -> Requests {
        Requests::new("g/bridge".into(), vec!["g".into(), "homeassistant".into()])
    }

    fn received(topic: &str, payload: &[u8], reply: Option<(&str, &[u8])>) -> Received {
        let reply = reply.map(|(topic, data)| {
            Box::new(Reply { topic: topic.into(), correlation: Some(Bytes::copy_from_slice(data)) })
        });
        Received { topic: topic.into(), payload: Bytes::copy_from_slice(payload), retained: false, given: true, reply }
    }

    /// The messages of the answer to a request that is done.
    fn done(received: &Received) -> Vec<(String, Value, Option<Bytes>)> {
        let request = requests().take(received, Instant::now()).unwrap().unwrap();
        let answer = request.ticket.ok(json!({}));
        let read =
            |once: Once| (once.message.topic, serde_json::from_slice(&once.message.payload).unwrap(), once.correlation);
        answer.messages().map(read).collect()
    }

    fn refused(payload: &[u8]) -> Value {
        let received = received("g/bridge/request/poll", payload, None);
        match requests().take(&received, Instant::now()).unwrap().unwrap_err() {
            Refused::Answered(answer) => serde_json::from_slice(&answer.payload).unwrap(),
            Refused::Silently(why) => panic!("{why}"),
        }
    }

    #[tokio::test]
    async fn a_request_is_its_command_and_its_members_and_the_answer_carries_the_transaction() {
        let payload = br#"{"account":"alex","transaction":{"id":7}}"#;
        let received = received("g/bridge/request/account/login", payload, None);
        let request = requests().take(&received, Instant::now()).unwrap().unwrap();
        assert_eq!((request.command.as_str(), request.members.len()), ("account/login", 1));
        let mut messages = request.ticket.error("no").messages();
        let once = messages.next().unwrap();
        assert_eq!(once.message.topic, "g/bridge/response/account/login");
        assert_eq!(
            String::from_utf8(once.message.payload).unwrap(),
            r#"{"data":{},"status":"error","error":"no","transaction":{"id":7}}"#
        );
        assert_eq!(messages.next(), None);
    }

    #[tokio::test]
    async fn whoever_gave_a_response_topic_is_answered_there_too_with_the_correlation_data() {
        let asked = received("g/bridge/request/poll", b"", Some(("app/42", b"c1")));
        let topics: Vec<_> = done(&asked).into_iter().map(|(topic, _, data)| (topic, data)).collect();
        assert_eq!(
            topics,
            [("g/bridge/response/poll".to_owned(), None), ("app/42".to_owned(), Some(Bytes::from_static(b"c1")))]
        );
        let same = received("g/bridge/request/poll", b"", Some(("g/bridge/response/poll", b"c2")));
        let messages = done(&same);
        assert_eq!((messages.len(), messages[0].2.as_deref()), (1, Some(&b"c2"[..])));
    }

    #[tokio::test]
    async fn no_response_topic_makes_us_write_over_what_others_live_by() {
        for topic in [
            "g/bridge/state",
            "g/bridge/request/restart",
            "g/account/alex/presence",
            "g",
            "homeassistant/device/g_alex/config",
            "homeassistant/status",
            "zigbee2mqtt/lamp/set",
            "other/bridge/request/restart",
            "a/+/b",
            "#",
            "$SYS/x",
            "$share/a/b",
            "a\u{0}b",
            "",
            &"x".repeat(600),
        ] {
            let asked = received("g/bridge/request/poll", b"{}", Some((topic, b"")));
            assert_eq!(done(&asked).len(), 1, "{topic:?} was written to");
        }
        let heavy = received("g/bridge/request/poll", b"{}", Some(("app/42", &[0; 2000])));
        assert_eq!(done(&heavy).len(), 1);
        for topic in ["g/bridge/response/mine", "g2/x", "app/g/bridge"] {
            let asked = received("g/bridge/request/poll", b"{}", Some((topic, b"")));
            assert_eq!(done(&asked).len(), 2, "{topic:?} is nobody's");
        }
    }

    #[tokio::test]
    async fn what_is_odd_is_answered_by_an_error_that_says_what_was_expected() {
        for payload in [&b"{"[..], b"[1]", b"poll", b"\xff", b"42", b"null", &[b' '; 9000]] {
            let answer = refused(payload);
            assert_eq!(answer["status"], "error");
            let error = answer["error"].as_str().unwrap();
            assert!(error.contains("object") || error.contains("8192 bytes"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_answered_is_met_by_silence() {
        let now = Instant::now();
        let silent = |received: &Received| matches!(requests().take(received, now), Some(Err(Refused::Silently(_))));
        assert!(silent(&Received { retained: true, ..received("g/bridge/request/restart", b"{}", None) }));
        for command in ["", "Poll", "a b", "a\u{0}", &"x".repeat(65), "ü", "a+b"] {
            assert!(silent(&received(&format!("g/bridge/request/{command}"), b"{}", None)), "{command:?}");
        }
        for other in ["g/bridge/response/poll", "g/bridge2/request/poll", "g/bridge/request", "g/bridge"] {
            assert!(requests().take(&received(other, b"{}", None), now).is_none(), "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_gets_a_few_answers_and_ends_without_a_trace() {
        let mut requests = requests();
        let poll = received("g/bridge/request/poll", b"{}", None);
        let start = Instant::now();
        let mut answered = 0;
        for tick in 0..1000 {
            let now = start + Duration::from_millis(10 * tick);
            answered += u32::from(requests.take(&poll, now).is_some_and(|taken| taken.is_ok()));
        }
        assert!((140..=160).contains(&answered), "{answered} of 1,000 in 10 s");
        assert_eq!((requests.passed_over(), requests.passed_over()), (1000 - answered, 0));
        assert!(requests.take(&poll, start + Duration::from_secs(11)).unwrap().is_ok());
    }
}
