//! Reading Graph's presences: every field can be missing, null, of another type or unheard of.
//!
//! Parsed straight from the body into what is kept, text borrowed until it is: a sweep of 20,000
//! people costs little more than the requests.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use super::BATCH;
use super::lenient::{Flag, Maybe, Text, list};
use super::mended::mended;
use super::text::{expiry, plain};
use crate::presence::{Activity, Availability, GraphNumber, ObjectId, OutOfOffice, Presence, Reading, StatusMessage};

/// The longest note kept, in characters. Teams takes 280 for a status message; automatic replies can be letters.
const LONGEST_NOTE: usize = 2_000;

/// The longest sequenceNumber and work location believed, in bytes; Graph's own are shorter than 40.
const LONGEST_WORD: usize = 128;

/// The answer about one person is not one: it has no availability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAPresence;

/// Reads the answer of `/me/presence`.
pub(super) fn one(body: &[u8]) -> Result<Reading, NotAPresence> {
    read::<Answer>(body).and_then(Answer::into_reading).ok_or(NotAPresence)
}

/// Reads the answer of `getPresencesByUserId`. What is not a presence with an id is left out.
pub(super) fn many(body: &[u8]) -> Result<Vec<Reading>, NotAPresence> {
    read::<Answers>(body).and_then(|answers| answers.value).ok_or(NotAPresence)
}

/// Reads the id in the answer of `/users/{name}`.
pub(super) fn user_id(body: &[u8]) -> Option<ObjectId> {
    read::<User>(body)?.id
}

/// That a body is text is found out at once: word by word, it would take a fifth of the reading.
/// What is not whole is read once more, with what is odd in it replaced.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    let whole = str::from_utf8(body).ok().and_then(|text| serde_json::from_str::<Maybe<T>>(text).ok());
    whole.or_else(|| Maybe::deserialize(mended(body)?).ok())?.0
}

#[derive(Deserialize)]
struct User {
    #[serde(default, deserialize_with = "id")]
    id: Option<ObjectId>,
}

#[derive(Deserialize)]
struct Answers {
    #[serde(default, deserialize_with = "readings")]
    value: Option<Vec<Reading>>,
}

/// Each field is turned into what is kept as soon as it is read, so that a list of them is small.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    #[serde(default, deserialize_with = "id")]
    id: Option<ObjectId>,
    #[serde(default, deserialize_with = "availability")]
    availability: Option<Availability>,
    #[serde(default, deserialize_with = "activity")]
    activity: Option<Activity>,
    #[serde(default, deserialize_with = "status_message")]
    status_message: Option<Box<StatusMessage>>,
    #[serde(default, deserialize_with = "out_of_office")]
    out_of_office_settings: Option<Box<OutOfOffice>>,
    #[serde(default, deserialize_with = "work_location")]
    work_location: Option<Box<str>>,
    #[serde(default, deserialize_with = "number")]
    sequence_number: Option<GraphNumber>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Note<'a> {
    #[serde(default)]
    message: Maybe<Content<'a>>,
    #[serde(default)]
    expiry_date_time: Maybe<ZonedTime<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Content<'a> {
    #[serde(default)]
    content: Text<'a>,
    #[serde(default)]
    content_type: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct ZonedTime<'a> {
    #[serde(default)]
    date_time: Text<'a>,
    #[serde(default)]
    time_zone: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct OutOfOfficeSettings<'a> {
    #[serde(default)]
    is_out_of_office: Flag,
    #[serde(default)]
    message: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct WorkLocation<'a> {
    #[serde(default)]
    work_location_type: Text<'a>,
}

impl Answer {
    fn into_reading(self) -> Option<Reading> {
        let availability = self.availability?;
        // Without an activity the base state says as much as is known: the vocabularies share most words.
        let base = || Some(Activity::parse(availability.as_str())).filter(Activity::is_known);
        let activity = self.activity.or_else(base).unwrap_or(Activity::PRESENCE_UNKNOWN);
        let presence = Presence {
            availability,
            activity,
            status_message: self.status_message,
            out_of_office: self.out_of_office_settings,
            work_location: self.work_location,
        };
        Some(Reading { user_id: self.id, presence, number: self.sequence_number })
    }
}

/// Turned into readings one by one: a list of answers would only be copied once more.
fn readings<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Vec<Reading>>, D::Error> {
    list(field, BATCH, |answer: Maybe<Answer>| answer.0?.into_reading().filter(|reading| reading.user_id.is_some()))
}

fn id<'de, D: Deserializer<'de>>(field: D) -> Result<Option<ObjectId>, D::Error> {
    Ok(Text::deserialize(field)?.0.and_then(|id| id.parse().ok()))
}

fn availability<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Availability>, D::Error> {
    Ok(Text::deserialize(field)?.0.map(|word| Availability::parse(&word)))
}

fn activity<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Activity>, D::Error> {
    Ok(Text::deserialize(field)?.0.map(|word| Activity::parse(&word)))
}

fn status_message<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Box<StatusMessage>>, D::Error> {
    Ok(Maybe::<Note<'_>>::deserialize(field)?.0.and_then(Note::into_message).map(Box::new))
}

fn out_of_office<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Box<OutOfOffice>>, D::Error> {
    let settings = Maybe::<OutOfOfficeSettings<'_>>::deserialize(field)?.0;
    Ok(settings.and_then(OutOfOfficeSettings::into_setting).map(Box::new))
}

fn work_location<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Box<str>>, D::Error> {
    let location = Maybe::<WorkLocation<'_>>::deserialize(field)?.0;
    Ok(location.and_then(|location| word(location.work_location_type)).map(Into::into))
}

fn number<'de, D: Deserializer<'de>>(field: D) -> Result<Option<GraphNumber>, D::Error> {
    Ok(word(Text::deserialize(field)?).map(|number| (*number).into()))
}

impl Note<'_> {
    fn into_message(self) -> Option<StatusMessage> {
        let message = self.message.0?;
        let html = message.content_type.0.is_some_and(|kind| kind.eq_ignore_ascii_case("html"));
        let content = plain(&message.content.0?, html, LONGEST_NOTE)?;
        let expires = self.expiry_date_time.0.and_then(|time| expiry(&time.date_time.0?, &time.time_zone.0?));
        Some(StatusMessage { content, expires })
    }
}

impl OutOfOfficeSettings<'_> {
    /// Nothing where Graph says no more than "not out of office": most people, all the time.
    fn into_setting(self) -> Option<OutOfOffice> {
        let message = self.message.0.and_then(|text| plain(&text, looks_like_html(&text), LONGEST_NOTE));
        let active = self.is_out_of_office.0;
        (active || message.is_some()).then_some(OutOfOffice { active, message })
    }
}

/// Automatic replies carry no content type, and are HTML all the same.
fn looks_like_html(text: &str) -> bool {
    text.contains("</") || text.contains("<br")
}

fn word(text: Text<'_>) -> Option<Cow<'_, str>> {
    text.0.filter(|word| !word.is_empty() && word.len() <= LONGEST_WORD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_presence_is_read() {
        let reading = one(
            br#"{"@odata.context":"x","id":"0000000A-0000-4000-8000-00000000000f","availability":"Busy","activity":"InACall",
            "statusMessage":{"message":{"content":"<p>In town<br></p>","contentType":"html"},"publishedDateTime":"2026-11-24T08:00:00Z",
            "expiryDateTime":{"dateTime":"2026-11-24T12:00:00.0000000","timeZone":"UTC"}},
            "outOfOfficeSettings":{"isOutOfOffice":true,"message":"<div>Away</div>"},
            "workLocation":{"workLocationType":"office","source":"manual","placeId":null},"sequenceNumber":"A0001"}"#,
        )
        .unwrap();
        assert_eq!(reading.user_id, Some("0000000a-0000-4000-8000-00000000000f".parse().unwrap()));
        assert_eq!(reading.number.as_deref(), Some("A0001"));
        let presence = reading.presence;
        assert_eq!((&presence.availability, &presence.activity), (&Availability::BUSY, &Activity::IN_A_CALL));
        let note = presence.status_message.unwrap();
        assert_eq!((note.content.as_str(), note.expires), ("In town", "2026-11-24T12:00:00Z".parse().ok()));
        let out = presence.out_of_office.unwrap();
        assert_eq!((out.active, out.message.as_deref()), (true, Some("Away")));
        assert_eq!(presence.work_location.as_deref(), Some("office"));
    }

    #[test]
    fn every_field_but_the_availability_can_be_missing_null_or_odd() {
        let plain = Presence::new(Availability::AWAY, Activity::AWAY);
        let odd = [
            "null",
            "7",
            "-7",
            "7.5",
            "true",
            "\"\"",
            "[]",
            "[[1],{\"a\":2}]",
            "{}",
            "{\"message\":null}",
            "{\"message\":[]}",
        ];
        let fields = ["id", "statusMessage", "outOfOfficeSettings", "workLocation", "unheardOf"];
        for (field, value) in fields.iter().flat_map(|field| odd.iter().map(move |value| (field, value))) {
            let body = format!(r#"{{"{field}":{value},"availability":"away","activity":"away"}}"#);
            let reading = one(body.as_bytes()).unwrap_or_else(|_| panic!("{body} was not read"));
            assert_eq!((reading.presence, reading.user_id), (plain.clone(), None), "{body}");
        }
        assert_eq!(one(br#"{"availability":"Away"}"#).unwrap().presence, plain);
        assert_eq!(
            one(br#"{"availability":"AvailableIdle","activity":null}"#).unwrap().presence.activity,
            Activity::PRESENCE_UNKNOWN
        );
        assert_eq!(
            one(br#"{"availability":"Hovering","activity":"Levitating"}"#).unwrap().presence.activity.as_str(),
            "Levitating"
        );
    }

    #[test]
    fn the_sequence_number_is_text_or_a_number() {
        let number = |json: &str| {
            one(format!(r#"{{"availability":"Away","sequenceNumber":{json}}}"#).as_bytes()).unwrap().number
        };
        assert_eq!(number("\"A0001\"").as_deref(), Some("A0001"));
        assert_eq!(number("4711").as_deref(), Some("4711"));
        for odd in ["null", "{}", "[]", "true", "\"\"", &format!("{:?}", "9".repeat(500))] {
            assert_eq!(number(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_answer_that_is_no_presence_is_refused() {
        for body in [
            &b""[..],
            b"<html>",
            b"[]",
            b"null",
            b"{}",
            br#"{"availability":null}"#,
            b"{\"availability\":\"Aw",
            b"\xff",
        ] {
            assert_eq!(one(body), Err(NotAPresence), "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn one_odd_person_does_not_cost_the_others() {
        let body = br#"{"value":[null,7,"x",[],{},{"id":"00000000-0000-0000-0000-000000000001"},
            {"id":"not a guid","availability":"Busy"},{"availability":"Busy"},
            {"id":"00000000-0000-0000-0000-000000000002","availability":"Busy","activity":"Busy"}]}"#;
        let readings = many(body).unwrap();
        assert_eq!(readings.len(), 1);
        assert_eq!(readings[0].user_id, "00000000-0000-0000-0000-000000000002".parse().ok());
        for body in [&b"{}"[..], br#"{"value":null}"#, br#"{"value":{}}"#, b"[]", b"<html>", b"{\"value\":[{\"id\""] {
            assert!(many(body).is_err(), "{:?}", String::from_utf8_lossy(body));
        }
        assert_eq!(many(br#"{"value":[]}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_cut_emoji_or_a_number_without_bounds_costs_nobody_the_presence() {
        let person = |number: u8, more: &str| {
            format!(
                r#"{{"id":"00000000-0000-0000-0000-00000000000{number}","availability":"Busy","activity":"Busy"{more}}}"#
            )
        };
        let note = r#","statusMessage":{"message":{"content":"Back soon \ud83d","contentType":"text"}}"#;
        for odd in [note, r#","unheardOf":1e999"#, r#","sequenceNumber":-1e999"#, r#","activity":"Busy""#] {
            let people = [person(1, ""), person(2, odd), person(3, "")].join(",");
            let readings = many(format!(r#"{{"value":[{people}]}}"#).as_bytes()).unwrap_or_default();
            assert_eq!(readings.len(), 3, "{odd}");
            let presence = one(person(2, odd).as_bytes()).unwrap().presence;
            let expected = (odd == note).then_some("Back soon \u{fffd}");
            assert_eq!(presence.status_message.map(|note| note.content.clone()).as_deref(), expected);
        }
    }

    #[test]
    fn a_users_id_is_read_or_missing() {
        assert!(user_id(br#"{"id":"00000000-0000-0000-0000-000000000001"}"#).is_some());
        for body in [&b"{}"[..], br#"{"id":null}"#, br#"{"id":"x"}"#, b"<html>", b"[]"] {
            assert_eq!(user_id(body), None);
        }
    }
}
