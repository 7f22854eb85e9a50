//! The body of a hub's or a strip's answer, bounded: one that has no end costs no memory.

use reqwest::Response;

/// Why a body was not read to its end.
#[derive(Debug)]
pub(super) enum Unread {
    /// The answer broke off, or took too long.
    Broken(reqwest::Error),
    /// It is larger than what was asked for can be.
    TooLarge,
}

/// An answer's body, of at most so many bytes.
pub(super) async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > most {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
