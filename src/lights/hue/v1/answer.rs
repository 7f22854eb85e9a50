//! CLIP v1's answers: always status 200, an array of successes and errors.

use serde_json::Value;

use super::super::v2::answer::plain;
use crate::lights::Obeyed;

/// The key is not known.
pub(in crate::lights::hue) const UNKNOWN_KEY: u64 = 1;
/// The link button was not pressed.
pub(in crate::lights::hue) const NOT_PRESSED: u64 = 101;
const NO_SUCH_RESOURCE: u64 = 3;
const NOT_AVAILABLE: u64 = 6;
const IS_OFF: u64 = 201;
/// From here on the hub itself failed.
const INTERNAL: u64 = 900;
/// Not available on this lamp, or a value that it does not take: a part of the command that it passes over.
const UNABLE: [u64; 2] = [NOT_AVAILABLE, 7];
/// What errors mean where nothing of a command was obeyed.
const MEANING: [(u64, &str); 4] = [
    (NO_SUCH_RESOURCE, "what the target was is gone (was it removed in the Hue app?)"),
    (NOT_AVAILABLE, "the light cannot do what is asked of it"),
    (7, "the light takes no such value"),
    (301, "the hub has no room left: delete groups, scenes or rules that nobody uses in the Hue app"),
];

/// The errors of an answer, by number and for people.
fn errors(answer: &[u8]) -> Option<(Vec<(u64, String)>, usize)> {
    let Value::Array(parts) = serde_json::from_slice(answer).ok()? else { return None };
    let of = |part: &Value| {
        let error = part.get("error")?;
        let number = error.get("type").and_then(Value::as_u64).unwrap_or_default();
        let text = error.get("description").and_then(Value::as_str).unwrap_or("an error without a text");
        Some((number, plain(text)))
    };
    let successes = parts.iter().filter(|part| part.get("success").is_some()).count();
    Some((parts.iter().filter_map(of).collect(), successes))
}

/// Whether an answer holds this error.
pub(in crate::lights::hue) fn has_error(answer: &[u8], number: u64) -> bool {
    errors(answer).is_some_and(|(errors, _)| errors.iter().any(|(it, _)| *it == number))
}

/// Whether the hub does not know a parameter of this name: `parameter, <name>, not available`.
pub(in crate::lights::hue) fn has_no_parameter(answer: &[u8], name: &str) -> bool {
    let says = |(number, text): &(u64, String)| *number == NOT_AVAILABLE && text.contains(name);
    errors(answer).is_some_and(|(errors, _)| errors.iter().any(says))
}

/// What the hub says of a failure of its own, for people.
pub(in crate::lights::hue) fn internal_error(answer: &[u8]) -> Option<String> {
    let (errors, _) = errors(answer)?;
    errors
        .into_iter()
        .find(|(number, _)| *number >= INTERNAL)
        .map(|(number, text)| format!("the hub failed: error {number}, {text}; should it last, restart the hub"))
}

/// The first error, for people.
pub(in crate::lights::hue) fn refusal(answer: &[u8]) -> Option<String> {
    errors(answer)?.0.into_iter().next().map(|(number, text)| format!("error {number}, {text}"))
}

/// What an answer to a command says; none when it is no hub's.
pub(in crate::lights::hue) fn obeyed(answer: &[u8], is_group: bool) -> Option<Result<Obeyed, String>> {
    let (mut errors, successes) = errors(answer)?;
    if errors.iter().any(|(number, _)| *number == NO_SUCH_RESOURCE) {
        return Some(Err(refused(&errors)));
    }
    let was_off = errors.iter().any(|(number, _)| *number == IS_OFF);
    if is_group {
        errors.retain(|(number, _)| !UNABLE.contains(number));
    }
    if successes == 0 && !errors.is_empty() && !was_off {
        return Some(Err(refused(&errors)));
    }
    let advice = (!errors.is_empty()).then(|| joined(&errors));
    Some(Ok(Obeyed { was_off, advice, ..Obeyed::default() }))
}

fn refused(errors: &[(u64, String)]) -> String {
    let known = |number: u64| MEANING.iter().find(|(it, _)| *it == number).map(|(_, meaning)| *meaning);
    let meaning = errors.iter().find_map(|(number, _)| known(*number)).unwrap_or("the hub refuses the command");
    format!("{meaning}: {}", joined(errors))
}

fn joined(errors: &[(u64, String)]) -> String {
    const MOST: usize = 5;
    let texts: Vec<String> = errors.iter().take(MOST).map(|(number, text)| format!("error {number}, {text}")).collect();
    texts.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(number: u64) -> Value {
        json!({"error": {"type": number, "address": "/lights/1/state/xy", "description": "says so"}})
    }

    fn of(parts: &[Value], is_group: bool) -> Option<Result<Obeyed, String>> {
        obeyed(json!(parts).to_string().as_bytes(), is_group)
    }

    #[test]
    fn errors_are_told_apart() {
        let success = || json!({"success": {"/lights/1/state/on": true}});
        assert_eq!(of(&[success()], false), Some(Ok(Obeyed::default())));
        assert!(of(&[success(), error(201)], false).unwrap().unwrap().was_off);
        assert!(of(&[error(201)], false).unwrap().unwrap().was_off);
        assert!(of(&[error(3)], false).unwrap().is_err());
        assert!(of(&[success(), error(6)], false).unwrap().unwrap().advice.is_some());
        assert_eq!(of(&[success(), error(6)], true), Some(Ok(Obeyed::default())));
        assert!(of(&[error(7)], false).unwrap().is_err());
        assert!(internal_error(json!([error(901)]).to_string().as_bytes()).unwrap().contains("901"));
        assert!(has_error(json!([error(1)]).to_string().as_bytes(), UNKNOWN_KEY));
    }

    #[test]
    fn what_is_not_a_hubs_answer_is_none() {
        for answer in [&b""[..], b"<html>", b"{}", b"7", b"["] {
            assert_eq!(obeyed(answer, false), None);
        }
    }
}
