//! The architecture, held: which room uses which (the map in CONTRIBUTING.md), and the house rules that no lint knows.

#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What each room may use besides itself. `main.rs` and `lib.rs` stand outside: they name the rooms.
const MAP: &[(&str, &[&str])] = &[
    ("presence", &[]),
    ("settings", &["presence"]),
    ("store", &["presence"]),
    ("entra", &["presence", "settings", "store"]),
    ("graph", &["presence", "settings", "entra"]),
    ("mqtt", &["presence", "settings"]),
    ("discovery", &["presence"]),
    ("bridge", &["presence", "settings", "store", "entra", "graph", "mqtt", "discovery"]),
    ("lights", &["presence", "settings", "store"]),
    ("actuator", &["presence", "settings", "store", "mqtt", "discovery", "lights"]),
    ("web", &["presence", "settings", "entra", "bridge", "actuator"]),
    ("simulator", &["presence"]),
    (
        "commands",
        &[
            "presence",
            "settings",
            "store",
            "entra",
            "graph",
            "mqtt",
            "discovery",
            "bridge",
            "lights",
            "actuator",
            "web",
            "simulator",
        ],
    ),
];

const MOST_LINES: usize = 400;

#[test]
fn every_room_is_on_the_map() {
    let rooms: BTreeSet<String> =
        sources().iter().map(|path| room(path)).filter(|room| room != "main" && room != "lib").collect();
    let map: BTreeSet<String> = MAP.iter().map(|(room, _)| (*room).to_owned()).collect();
    assert_eq!(rooms, map, "src/ (left) and MAP (right) differ: a new room belongs into MAP and CONTRIBUTING.md");
}

#[test]
fn each_room_uses_only_the_rooms_that_the_map_gives_it() {
    let mut trespasses = Vec::new();
    for path in sources() {
        let room = room(&path);
        let Some((_, may)) = MAP.iter().find(|(name, _)| *name == room) else { continue };
        for (line, used) in rooms_used(&without_tests(&fs::read_to_string(&path).unwrap()).join("\n")) {
            if used != room && !may.contains(&used.as_str()) && MAP.iter().any(|(name, _)| *name == used) {
                trespasses.push(format!("{}:{line}: {room} must not use {used}", path.display()));
            }
        }
    }
    assert!(trespasses.is_empty(), "{}", trespasses.join("\n"));
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    let mut faults = Vec::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        if !text.starts_with("//! ") && !is_test_file(&path) {
            faults.push(format!("{}: open it with `//! ` and what it is for", path.display()));
        }
        let lines = text.lines().count();
        if lines > MOST_LINES && !is_test_file(&path) {
            faults.push(format!("{}: {lines} lines; split it along an idea", path.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn outside_tests_nothing_is_unwrapped_and_nothing_is_left_for_later() {
    const BANNED: &[&str] = &[".unwrap()", "todo!(", "unimplemented!(", "dbg!(", "#[allow(", "unsafe {"];
    let mut faults = Vec::new();
    for path in sources().into_iter().filter(|path| !is_test_file(path)) {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in
            without_tests(&text).iter().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            if let Some(banned) = BANNED.iter().find(|banned| line.contains(**banned)) {
                faults.push(format!("{}:{}: {banned}", path.display(), number + 1));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_map_in_contributing_is_this_one() {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    for (room, may) in MAP.iter().filter(|(room, _)| *room != "commands") {
        let row = text.lines().find(|line| line.starts_with(&format!("| `{room}` |"))).unwrap_or_default();
        let listed: BTreeSet<&str> =
            row.split('|').nth(3).unwrap_or_default().split(',').map(str::trim).filter(|name| *name != "–").collect();
        assert_eq!(listed, may.iter().copied().collect(), "CONTRIBUTING.md (left) on {room} differs from MAP (right)");
    }
}

#[test]
fn what_is_looked_for_is_found() {
    let used = |text| rooms_used(text).into_iter().map(|(_, room)| room).collect::<Vec<_>>();
    assert_eq!(used("use crate::store::Store;"), ["store"]);
    assert_eq!(used("use crate::{\n    mqtt::{self, Message},\n    settings,\n};"), ["mqtt", "settings"]);
    assert_eq!(used("    let x = crate::graph::BATCH + graph2mqtt::web::Y;"), ["graph", "web"]);
    assert_eq!(used("//! See [`crate::bridge`].\n// crate::web"), Vec::<String>::new());
}

/// A file's lines before its own tests, which may use what they like.
fn without_tests(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    let tests = lines.windows(2).position(|pair| is_test_attribute(pair[0]) && pair[1].ends_with("mod tests {"));
    lines.truncate(tests.unwrap_or(lines.len()));
    lines
}

/// The rooms that a file names, with the line: `crate::room`, and the members of `crate::{…}`.
fn rooms_used(text: &str) -> Vec<(usize, String)> {
    let code: String = text
        .lines()
        .map(|line| if line.trim_start().starts_with("//") { "" } else { line }.to_owned() + "\n")
        .collect();
    let mut used = Vec::new();
    for prefix in ["crate::", "graph2mqtt::"] {
        for (at, _) in code.match_indices(prefix) {
            let line = code[..at].lines().count().max(1);
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                None => used.push((line, word(rest))),
                Some(group) => used.extend(members(group).into_iter().map(|room| (line, room))),
            }
        }
    }
    used
}

/// The first words of a brace group's members, such as of `a::{b, c}, d}`.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut starts) = (0_i32, vec![0]);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => starts.push(at + 1),
            _ => {}
        }
    }
    starts.into_iter().map(|at| word(group[at..].trim_start())).filter(|room| !room.is_empty()).collect()
}

fn word(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

/// Whether a file holds tests, or is declared for them alone (`#[cfg(test)] mod name;`).
fn is_test_file(path: &Path) -> bool {
    let named = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests.rs" | "tests")));
    named || {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        let parents = [folder.join("mod.rs"), folder.with_extension("rs"), folder.join("lib.rs")];
        parents.iter().filter_map(|parent| fs::read_to_string(parent).ok()).any(|text| {
            let lines: Vec<&str> = text.lines().map(str::trim).collect();
            let declares = |line: &str| line.ends_with(&format!("mod {name};"));
            lines.windows(2).any(|pair| is_test_attribute(pair[0]) && declares(pair[1]))
        })
    }
}

fn is_test_attribute(line: &str) -> bool {
    line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test,")
}

/// `src/mqtt/link.rs` is of `mqtt`, `src/main.rs` of `main`.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(root().join("src")).unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                false => {}
            }
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
