//! The members of a request, read strictly: a slip is an error that names it, not another meaning.

use serde_json::{Map, Value};

/// The longest piece of somebody's own words that is repeated in an answer, in characters.
const LONGEST_QUOTE: usize = 64;

/// The members of a request's JSON object.
#[derive(Debug)]
pub struct Arguments(Map<String, Value>);

impl Arguments {
    /// Refuses members that the command does not take.
    pub fn new(members: Map<String, Value>, takes: &[&str]) -> Result<Self, String> {
        let Some(unknown) = members.keys().find(|key| !takes.contains(&key.as_str())) else {
            return Ok(Self(members));
        };
        let takes: Vec<&str> = takes.iter().copied().chain(["transaction"]).collect();
        Err(format!("{} is no member of this request; it takes {}", quoted(unknown), takes.join(", ")))
    }

    /// A text, where it is there.
    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("{name} is a text")),
        }
    }

    /// A yes or no; no where it is not there.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(format!("{name} is true or false")),
        }
    }

    /// A text that has to be there.
    pub fn required(&self, name: &str) -> Result<&str, String> {
        self.text(name)?.ok_or_else(|| format!("{name} is missing"))
    }
}

/// The beginning of somebody's words, as it may stand in an answer.
pub fn quoted(text: &str) -> String {
    let start: String = text.chars().take(LONGEST_QUOTE).collect();
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arguments(json: Value, takes: &[&str]) -> Result<Arguments, String> {
        let Value::Object(members) = json else { panic!("an object") };
        Arguments::new(members, takes)
    }

    #[test]
    fn a_member_that_is_not_taken_is_named_with_those_that_are() {
        let wrong = arguments(json!({"akount": "alex"}), &["account"]).unwrap_err();
        assert_eq!(wrong, "\"akount\" is no member of this request; it takes account, transaction");
        let long = arguments(json!({"x".repeat(9_000): 1}), &[]).unwrap_err();
        assert!(long.len() < 200, "{long}");
    }

    #[test]
    fn a_text_is_a_text() {
        let read = arguments(json!({"a": "x", "b": 1, "c": null}), &["a", "b", "c"]).unwrap();
        assert_eq!((read.text("a"), read.text("c"), read.text("d")), (Ok(Some("x")), Ok(None), Ok(None)));
        assert!(read.text("b").unwrap_err().contains("b is a text"));
        assert!(read.required("d").unwrap_err().contains("d is missing"));
    }

    #[test]
    fn a_flag_is_true_or_false_and_false_where_it_is_not_there() {
        let read = arguments(json!({"a": true, "b": "true", "c": false, "d": null}), &["a", "b", "c", "d"]).unwrap();
        assert_eq!(
            (read.flag("a"), read.flag("c"), read.flag("d"), read.flag("e")),
            (Ok(true), Ok(false), Ok(false), Ok(false))
        );
        assert!(read.flag("b").unwrap_err().contains("b is true or false"));
    }
}
