//! The YAML file, read event by event: every scalar stays the text that was written, and every key
//! knows its line. Anchors, aliases and tags are refused, so a small file stays small in memory.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::mistake::{Mistake, Mistakes, Origin};

/// A value.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing: `key:`, `~` or `null`.
    Null,
    Text(String),
    List(Vec<Content>),
    Map(Vec<Member>),
}

#[derive(Debug)]
pub(super) struct Member {
    pub key: String,
    pub line: u32,
    pub value: Content,
}

/// Deeper than any key goes.
const DEEPEST: usize = 8;

/// Reads a document. The members of `accounts`, of which there can be tens of thousands, are handed
/// out one at a time; the rest comes back. None where the text is not YAML.
pub(super) fn read(
    text: &str,
    file: &Arc<str>,
    mistakes: &mut Mistakes,
    mut account: impl FnMut(Member, &mut Mistakes),
) -> Option<Vec<Member>> {
    let mut reader = Reader { parser: Parser::new_from_str(text), file, mistakes };
    match reader.document(&mut account) {
        Ok(members) => Some(members),
        Err(error) => {
            let line = Some(error.marker().line() as u32);
            let problem = format!("is not YAML: {} (column {})", error.info(), error.marker().col() + 1);
            let remedy = "Mind the indentation, and put texts that hold : or # into quotes.";
            mistakes.add(Mistake::new("", problem, remedy).at(Origin::File { file: Arc::clone(file), line }));
            None
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'a Arc<str>,
    mistakes: &'a mut Mistakes,
}

type Read<T> = Result<T, ScanError>;

impl<'a> Reader<'a> {
    fn document(&mut self, account: &mut impl FnMut(Member, &mut Mistakes)) -> Read<Vec<Member>> {
        let mut members = Vec::new();
        let mut seen = false;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(members),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                _ if seen => {
                    self.mistake("", &span, "holds a second document", "Keep one document, without a second ---.");
                    self.skip(event)?;
                }
                Event::MappingStart(anchor, tag) => {
                    seen = true;
                    self.refuse_marks("", &span, anchor, tag.is_some());
                    members = self.sections(account)?;
                }
                event => {
                    seen = true;
                    let empty = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if is_null(text));
                    if !empty {
                        let remedy = "Write sections such as mqtt: with keys below them.";
                        self.mistake("", &span, "is not a map of sections", remedy);
                    }
                    self.skip(event)?;
                }
            }
        }
    }

    /// The outermost map.
    fn sections(&mut self, account: &mut impl FnMut(Member, &mut Mistakes)) -> Read<Vec<Member>> {
        let mut members = Vec::new();
        let mut seen = Seen::default();
        while let Some((key, line)) = self.key("", &mut seen)? {
            let (event, span) = self.next()?;
            if key.eq_ignore_ascii_case("accounts")
                && let Event::MappingStart(anchor, tag) = &event
            {
                self.refuse_marks(&key, &span, *anchor, tag.is_some());
                self.accounts(account)?;
                continue;
            }
            let value = self.node(event, &span, &key, 1)?;
            members.push(Member { key, line, value });
        }
        Ok(members)
    }

    fn accounts(&mut self, account: &mut impl FnMut(Member, &mut Mistakes)) -> Read<()> {
        let mut seen = Seen::default();
        while let Some((key, line)) = self.key("accounts", &mut seen)? {
            let (event, span) = self.next()?;
            let path = format!("accounts.{key}");
            let value = self.node(event, &span, &path, 2)?;
            account(Member { key, line, value }, self.mistakes);
        }
        Ok(())
    }

    /// The next key of the map at `path`, or none at its end. One that cannot be a key is reported
    /// and passed over with its value.
    fn key(&mut self, path: &str, seen: &mut Seen) -> Read<Option<(String, u32)>> {
        loop {
            let (event, span) = self.next()?;
            let text = match event {
                Event::MappingEnd => return Ok(None),
                Event::Scalar(text, _, anchor, tag) => {
                    self.refuse_marks(path, &span, anchor, tag.is_some());
                    text.into_owned()
                }
                event => {
                    self.mistake(path, &span, "has a key that is not a text", "Write keys as plain words.");
                    self.skip(event)?;
                    self.skip_next()?;
                    continue;
                }
            };
            let remedy = if text == "<<" {
                Some("is a merge key, which is not read here")
            } else if !seen.insert(&text) {
                Some("is there twice")
            } else {
                None
            };
            match remedy {
                Some(problem) => {
                    let whole = if path.is_empty() { text } else { format!("{path}.{text}") };
                    self.mistake(&whole, &span, problem, "Write each key once, with all its values below it.");
                    self.skip_next()?;
                }
                None => return Ok(Some((text, line_of(&span)))),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: &Span, path: &str, depth: usize) -> Read<Content> {
        Ok(match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_marks(path, span, anchor, tag.is_some());
                scalar(text, style)
            }
            Event::Alias(_) => {
                self.refuse_marks(path, span, 1, false);
                Content::Null
            }
            event if depth > DEEPEST => {
                self.mistake(path, span, "is nested too deeply", "No key lies that deep.");
                self.skip(event)?;
                Content::Null
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_marks(path, span, anchor, tag.is_some());
                Content::List(self.list(path, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_marks(path, span, anchor, tag.is_some());
                Content::Map(self.map(path, depth)?)
            }
            _ => Content::Null,
        })
    }

    fn list(&mut self, path: &str, depth: usize) -> Read<Vec<Content>> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            items.push(self.node(event, &span, path, depth + 1)?);
        }
    }

    fn map(&mut self, path: &str, depth: usize) -> Read<Vec<Member>> {
        let mut members = Vec::new();
        let mut seen = Seen::default();
        while let Some((key, line)) = self.key(path, &mut seen)? {
            let (event, span) = self.next()?;
            // Most values are plain scalars: their paths are not even written down.
            let value = match event {
                Event::Scalar(text, style, 0, None) => scalar(text, style),
                event => self.node(event, &span, &format!("{path}.{key}"), depth + 1)?,
            };
            members.push(Member { key, line, value });
        }
        Ok(members)
    }

    fn next(&mut self) -> Read<(Event<'a>, Span)> {
        self.parser.next_event().unwrap_or_else(|| Ok((Event::StreamEnd, Span::default())))
    }

    fn skip_next(&mut self) -> Read<()> {
        let (event, _) = self.next()?;
        self.skip(event)
    }

    /// Passes over the rest of what an event began.
    fn skip(&mut self, event: Event<'a>) -> Read<()> {
        let mut open = opens(&event);
        while open > 0 {
            let (event, _) = self.next()?;
            open += opens(&event);
            if matches!(event, Event::StreamEnd) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn refuse_marks(&mut self, path: &str, span: &Span, anchor: usize, tagged: bool) {
        if anchor > 0 {
            let remedy = "Write the value out wherever it is wanted.";
            self.mistake(path, span, "uses an anchor or alias (& or *), which are not read here", remedy);
        }
        if tagged {
            let remedy = "Write the value plainly; a secret can stand in a file that <key>_file names.";
            self.mistake(path, span, "uses a tag (such as !secret), which is not read here", remedy);
        }
    }

    fn mistake(&mut self, path: &str, span: &Span, problem: &str, remedy: &str) {
        let origin = Origin::File { file: Arc::clone(self.file), line: Some(line_of(span)) };
        self.mistakes.add(Mistake::new(path, problem, remedy).at(origin));
    }
}

fn opens(event: &Event) -> isize {
    match event {
        Event::MappingStart(..) | Event::SequenceStart(..) => 1,
        Event::MappingEnd | Event::SequenceEnd => -1,
        _ => 0,
    }
}

fn scalar(text: Cow<str>, style: ScalarStyle) -> Content {
    if style == ScalarStyle::Plain && is_null(&text) { Content::Null } else { Content::Text(text.into_owned()) }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

fn line_of(span: &Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

/// The keys of one map, compared without case. Eight bytes stand for each, however many there are.
#[derive(Default)]
struct Seen {
    few: Vec<u64>,
    many: HashSet<u64>,
}

impl Seen {
    /// Up to so many, looking through a list is faster than a set.
    const FEW: usize = 8;

    /// Takes a key, and says whether it is new.
    fn insert(&mut self, key: &str) -> bool {
        let mut hasher = DefaultHasher::new();
        key.bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        let fingerprint = hasher.finish();
        if self.few.contains(&fingerprint) {
            return false;
        }
        if self.few.len() < Self::FEW {
            self.few.push(fingerprint);
            return true;
        }
        self.many.insert(fingerprint)
    }
}
