//! Server-sent events, as a hub writes them: `id: <unix>:<n>`, `data: [ … ]`, comments, blank lines.

use std::mem;

/// The largest event that is read; what is larger is passed over to its end.
const LARGEST: usize = 1 << 20;

/// An event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    /// As the hub wrote it, to be sent as `last-event-id`.
    pub id: Option<String>,
    pub data: Vec<u8>,
}

/// Puts events together from what comes in pieces.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    frame: Frame,
    /// The event is too large, or the line is.
    is_spoilt: bool,
}

impl Reader {
    /// Takes a piece; answers with the events that it completes.
    pub fn take(&mut self, piece: &[u8]) -> Vec<Frame> {
        let mut frames = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() + self.frame.data.len() > LARGEST {
                self.is_spoilt = true;
                self.line.clear();
                self.frame.data = Vec::new();
            } else {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                frames.extend(self.line_ended());
            }
        }
        frames
    }

    fn line_ended(&mut self) -> Option<Frame> {
        let line = mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            let frame = mem::take(&mut self.frame);
            let is_spoilt = mem::take(&mut self.is_spoilt);
            return (!is_spoilt && (frame.id.is_some() || !frame.data.is_empty())).then_some(frame);
        }
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let (field, value) = line.split_at(at);
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii_start();
        match field {
            b"id" => self.frame.id = std::str::from_utf8(value).ok().map(str::to_owned),
            b"data" => {
                if !self.frame.data.is_empty() {
                    self.frame.data.push(b'\n');
                }
                self.frame.data.extend_from_slice(value);
            }
            _ => {}
        }
        None
    }
}

/// A hub's event id as a number pair that grows; none for ids of another form.
pub(super) fn order(id: &str) -> Option<(u64, u64)> {
    let (second, count) = id.split_once(':')?;
    Some((second.trim().parse().ok()?, count.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: &str, data: &str) -> Frame {
        Frame { id: Some(id.into()), data: data.into() }
    }

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text = b": hi\n\nid: 1:0\ndata: [1]\n\nid: 2:0\r\ndata: [2,\r\ndata: 3]\r\n\r\n";
        let expected = [frame("1:0", "[1]"), frame("2:0", "[2,\n3]")];
        for size in 1..text.len() {
            let mut reader = Reader::default();
            let frames: Vec<Frame> = text.chunks(size).flat_map(|piece| reader.take(piece)).collect();
            assert_eq!(frames, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_an_end_costs_no_memory_and_the_next_one_is_read() {
        let mut reader = Reader::default();
        for _ in 0..100 {
            assert!(reader.take(&vec![b'x'; LARGEST / 10]).is_empty());
        }
        assert!(reader.line.len() <= LARGEST);
        assert!(reader.take(b"\n\n").is_empty(), "half an event is none");
        assert_eq!(reader.take(b"data: []\n\n"), [Frame { id: None, data: b"[]".to_vec() }]);
    }

    #[test]
    fn ids_have_an_order() {
        assert!(order("1700000000:9") < order("1700000000:10") && order("1700000000:10") < order("1700000001:0"));
        assert_eq!(order("x"), None);
    }
}
