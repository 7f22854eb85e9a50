//! The two APIs of hubs, behind one face: everything else thinks in CLIP v2's terms.

use serde_json::Value;

use super::v2::command::Put;
use super::v2::resources::Directory;
use super::{v1, v2};
use crate::lights::{Lamp, Obeyed};

/// The API that a hub speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V2,
    V1,
}

impl Dialect {
    /// What is asked to know what the hub holds.
    pub fn directory_paths(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &["/clip/v2/resource"],
            Self::V1 => &v1::DIRECTORY,
        }
    }

    /// What the answers say that the hub holds; none when they are no hub's.
    pub fn directory(self, answers: &[Vec<u8>]) -> Option<Directory> {
        match self {
            Self::V2 => Directory::read(answers.first()?),
            Self::V1 => v1::directory(answers),
        }
    }

    /// Where a scene is told that the hub does not tell with all that it holds.
    pub fn scene_path(self, id: &str) -> Option<String> {
        (self == Self::V1).then(|| v1::scene_path(id))
    }

    /// What the answer says that such a scene makes of its lamps; none when it is no hub's.
    pub fn scene_lamps(self, answer: &[u8], directory: &Directory) -> Option<Vec<Lamp>> {
        if self == Self::V1 { v1::scene_lamps(answer, directory) } else { None }
    }

    /// What is asked to know what every lamp shows. What comes behind the first says more of that, where it is answered.
    pub fn lamps_paths(self) -> &'static [&'static str] {
        match self {
            Self::V2 => &v2::LAMPS,
            Self::V1 => &[v1::LIGHTS],
        }
    }

    /// What the answers tell of the lamps; none when they are no hub's.
    pub fn lamps(self, answers: &[Vec<u8>]) -> Option<Vec<Lamp>> {
        match self {
            Self::V2 => v2::seen(answers),
            Self::V1 => v1::seen(answers.first()?),
        }
    }

    /// Where events come from; CLIP v1 has none.
    pub fn events_path(self) -> Option<&'static str> {
        (self == Self::V2).then_some("/eventstream/clip/v2")
    }

    /// Path and body of a command.
    pub fn request(self, put: &Put) -> (String, Value) {
        match self {
            Self::V2 => (format!("/clip/v2/resource/{}/{}", put.kind, put.id), put.body.clone()),
            Self::V1 => v1::request(put),
        }
    }

    /// What an answer to a command says: obeyed, or a complaint for people. None when it is no hub's.
    pub fn obeyed(self, answer: &[u8], is_group: bool) -> Option<Result<Obeyed, String>> {
        match self {
            Self::V2 => v2::answer::obeyed(answer, is_group).map(Ok),
            Self::V1 => v1::answer::obeyed(answer, is_group),
        }
    }

    /// CLIP v1 says with status 200 that it does not know the key.
    pub fn is_unknown_key(self, answer: &[u8]) -> bool {
        self == Self::V1 && v1::answer::has_error(answer, v1::answer::UNKNOWN_KEY)
    }

    /// CLIP v1 says with status 200 that it failed.
    pub fn overload(self, answer: &[u8]) -> Option<String> {
        if self == Self::V1 { v1::answer::internal_error(answer) } else { None }
    }

    /// The first error of an answer that refuses, for people.
    pub fn refusal(self, answer: &[u8]) -> Option<String> {
        match self {
            Self::V2 => v2::answer::refusal(answer),
            Self::V1 => v1::answer::refusal(answer),
        }
    }
}
