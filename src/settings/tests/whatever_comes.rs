//! Whatever stands in a configuration: an answer, never a panic.

use proptest::prelude::*;

use super::*;

/// YAML trees out of keys that exist, keys that do not, and odd scalars.
fn tree() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        proptest::sample::select(
            keys::KEYS.iter().flat_map(|key| key.path.split('.')).filter(|part| *part != "*").collect::<Vec<_>>()
        )
        .prop_map(str::to_owned),
        proptest::sample::select(vec!["Busy", "desk", "5s", "'#ff0000'", "off", "~", "''", "<<", "*a", "&a b", "1e9"])
            .prop_map(str::to_owned),
        "[a-zA-Z0-9_@:/. -]{1,12}".prop_map(|text| format!("'{text}'")),
    ];
    let key = word.clone();
    word.prop_recursive(5, 40, 6, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("{key}: {value}"));
        prop_oneof![
            proptest::collection::vec(member, 0..6).prop_map(|members| format!("{{ {} }}", members.join(", "))),
            proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[ {} ]", items.join(", "))),
        ]
    })
}

proptest! {
    #[test]
    fn random_text_never_panics(text in "(?s).{0,200}") {
        let _ = from_yaml(&text, Path::new(""));
    }

    #[test]
    fn random_lines_of_yaml_never_panic(text in "([ ]{0,4}[a-z&*!|>'\"#\\[\\]{},:?-]{0,6}:? ?[a-z0-9\\n]{0,6}){0,40}") {
        let _ = from_yaml(&text, Path::new(""));
    }

    #[test]
    fn random_trees_never_panic(text in tree()) {
        let _ = from_yaml(&text, Path::new(""));
    }

    #[test]
    fn random_variables_never_panic(name in "[A-Z_]{0,20}", value in ".{0,30}", section in 0..keys::KEYS.len()) {
        let known = layers::variable(keys::KEYS[section].path).replace('*', "X");
        let variables = [(format!("GRAPH2MQTT_{name}"), value.clone()), (known, value)];
        let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let _ = load_with("", &variables, &[]);
    }
}
