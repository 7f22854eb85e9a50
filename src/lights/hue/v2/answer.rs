//! What the answer to a PUT means.

use serde_json::Value;

use crate::lights::Obeyed;

/// How a hub says that a resource cannot do what was asked.
const UNABLE: [&str; 2] = ["client_error", "is not supported by resource"];

/// What an answer of 200 or 207 says; none when it is no JSON of a hub. That some lamps of a group cannot do
/// all of it is no news.
pub(in crate::lights::hue) fn obeyed(answer: &[u8], is_group: bool) -> Option<Obeyed> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    answer.as_object()?;
    let mut errors = errors(&answer);
    if is_group {
        errors.retain(|error| !UNABLE.iter().any(|word| error.contains(word)));
    }
    let says = |words: &[&str]| errors.iter().any(|error| words.iter().any(|word| error.contains(word)));
    Some(Obeyed {
        unreachable: says(&["communication_error", "communication issues"]),
        was_off: says(&["attribute_may_have_no_effect", "soft off"]),
        again: None,
        advice: (!errors.is_empty()).then(|| errors.join("; ")),
    })
}

/// The errors of an answer as texts, code first: they come as objects or as bare strings.
fn errors(answer: &Value) -> Vec<String> {
    const MOST: usize = 5;
    let text = |error: &Value| {
        let of = |key: &str| error.get(key).and_then(Value::as_str);
        match (error.as_str(), of("error_code"), of("description")) {
            (Some(text), ..) => plain(text),
            (None, Some(code), Some(text)) => format!("{}: {}", plain(code), plain(text)),
            (None, code, text) => plain(code.or(text).unwrap_or("an error without a text")),
        }
    };
    match answer.get("errors") {
        Some(Value::Array(errors)) => errors.iter().take(MOST).map(text).collect(),
        Some(Value::String(error)) => vec![plain(error)],
        _ => Vec::new(),
    }
}

/// The first error of an answer that refuses, for people.
pub(in crate::lights::hue) fn refusal(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    errors(&answer).into_iter().next()
}

/// A text of the hub's, cut and without control characters.
pub(in crate::lights::hue) fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn advice_is_told_apart() {
        let advice =
            |errors: Value| obeyed(json!({"errors": errors, "data": []}).to_string().as_bytes(), false).unwrap();
        assert_eq!(advice(json!([])), Obeyed::default());
        let lost = advice(json!([{"error_code": "communication_error", "description": "device (light) 1"}]));
        assert!(lost.unreachable && !lost.was_off && lost.advice.is_some());
        let off =
            advice(json!([{"description": "device (grouped_light) is \"soft off\", command may not have effect"}]));
        assert!(off.was_off && !off.unreachable);
        let odd = advice(json!(["attribute (.color) is not supported by resource", 7, null, {}]));
        assert!(!odd.was_off && !odd.unreachable && odd.advice.is_some());
        assert!(advice(json!("one\u{7}text")).advice.unwrap() == "onetext");
    }

    #[test]
    fn that_some_lamps_of_a_group_cannot_do_all_of_it_is_no_news() {
        let mixed = br#"{"errors": [{"error_code": "client_error", "description": "attribute (.color) is not supported by resource x"}]}"#;
        assert_eq!(obeyed(mixed, true), Some(Obeyed::default()));
        assert!(obeyed(mixed, false).unwrap().advice.is_some());
    }

    #[test]
    fn what_is_not_a_hubs_json_is_not_an_answer() {
        for answer in [&b""[..], b"<html>", b"[]", b"7", b"{"] {
            assert_eq!(obeyed(answer, false), None);
        }
    }
}
