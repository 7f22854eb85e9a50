//! What a device's payload has lost against the one that the broker holds: Home Assistant keeps such
//! components as ghosts, unless a payload says once that they are gone.

use serde_json::{Map, Value, json};

/// A component that is gone: its key and its platform.
pub type Gone = (String, String);

/// The components of an older payload that a newer one has no more. A payload that is not readable has none.
pub fn gone(older: &[u8], newer: &[u8]) -> Vec<Gone> {
    if components(older) == components(newer) {
        return Vec::new();
    }
    let read = |payload: &[u8]| -> Map<String, Value> {
        let mut payload: Value = serde_json::from_slice(payload).unwrap_or_default();
        payload.get_mut("components").and_then(Value::as_object_mut).map(std::mem::take).unwrap_or_default()
    };
    let newer = read(newer);
    let platform = |component: &Value| component.get("platform").and_then(Value::as_str).map(str::to_owned);
    let lost = read(older).into_iter().filter(|(key, _)| !newer.contains_key(key));
    lost.filter_map(|(key, component)| Some((key, platform(&component)?))).collect()
}

/// A payload that says of these components that they are gone: nothing but their platform.
pub fn retiring(payload: &[u8], gone: &[Gone]) -> Vec<u8> {
    let mut payload: Value = serde_json::from_slice(payload).unwrap_or_default();
    if let Some(components) = payload.get_mut("components").and_then(Value::as_object_mut) {
        components.extend(gone.iter().map(|(key, platform)| (key.clone(), json!({ "platform": platform }))));
    }
    payload.to_string().into_bytes()
}

/// A mark of which components there are, without reading all of a payload: their ids. There may be tens
/// of thousands of payloads at a start.
fn components(payload: &[u8]) -> Option<Vec<&str>> {
    const ID: &str = "\"unique_id\":\"";
    let text = str::from_utf8(payload).ok()?;
    Some(text.match_indices(ID).map(|(at, _)| text[at + ID.len()..].split('"').next().unwrap_or_default()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_that_is_no_more_is_retired_by_its_platform_alone() {
        let component = |id: &str, platform: &str| json!({ "platform": platform, "unique_id": id });
        let older = json!({ "components": { "a": component("1", "sensor"), "b": component("2", "button") } });
        let newer = json!({ "components": { "a": component("1", "sensor") } });
        let (older, newer) = (older.to_string().into_bytes(), newer.to_string().into_bytes());
        let lost = gone(&older, &newer);
        assert_eq!(lost, [("b".to_owned(), "button".to_owned())]);
        let payload: Value = serde_json::from_slice(&retiring(&newer, &lost)).unwrap();
        assert_eq!(payload["components"]["b"], json!({ "platform": "button" }));
        assert_eq!(payload["components"]["a"]["unique_id"], "1");
        assert_eq!((gone(&newer, &newer), gone(&newer, &older)), (vec![], vec![]));
        for junk in [&b""[..], b"\xff", b"[]", b"{\"components\":7}"] {
            assert_eq!(gone(junk, &newer), vec![]);
        }
    }
}
