//! A device code as it is shown: what to enter, and where.

use maud::{Markup, html};
use qrcode::QrCode;
use tokio::time::Instant;

use super::Shared;
use crate::entra::Prompt;
use crate::web::cookies::Visitor;

/// Seconds between two looks at a code that is out.
pub(super) const LOOK: u32 = 5;

/// Entra was asked, and has not answered.
pub(super) fn starting() -> Markup {
    html! { section.card { p { "Microsoft is asked for a code …" } } }
}

pub(super) fn cancelled() -> Markup {
    html! { section.card { p { "The code was cancelled." } } }
}

/// The code waits until then; `cancel` is where its end is posted to, `then` what follows when its time is over.
pub(super) fn waiting(
    shared: &Shared,
    visitor: &Visitor,
    prompt: &Prompt,
    until: Instant,
    then: &str,
    cancel: &str,
) -> Markup {
    let minutes = until.saturating_duration_since(Instant::now()).as_secs().div_ceil(60);
    html! {
        section.card {
            h2 { "Enter this code at Microsoft" }
            p.code { (prompt.user_code) }
            @if let Some(picture) = picture(prompt) { (picture) }
            p { a.button href=(prompt.url) target="_blank" rel="noreferrer" { "Open " (place(prompt)) } }
            p.soft { "Good for " (minutes) " min; " (then) " This page notices when you have signed in." }
            (shared.button(visitor, cancel, "second", "Cancel"))
        }
    }
}

/// The button that gets one.
pub(super) fn offer(shared: &Shared, visitor: &Visitor, path: &str) -> Markup {
    html! {
        section.card {
            h2 { "On another device" }
            (shared.button(visitor, path, "second", "Get a code"))
            p.soft { "You enter the code at Microsoft’s page, on a phone or any other machine." }
        }
    }
}

fn place(prompt: &Prompt) -> String {
    format!("{}{}", prompt.url.host_str().unwrap_or_default(), prompt.url.path().trim_end_matches('/'))
}

/// The address as a QR code, for a phone's camera.
fn picture(prompt: &Prompt) -> Option<Markup> {
    let code = QrCode::new(prompt.url.as_str()).ok()?;
    let width = code.width();
    let dark = code.to_colors().into_iter().enumerate().filter(|(_, color)| *color == qrcode::Color::Dark);
    let path: String = dark.map(|(at, _)| format!("M{} {}h1v1h-1z", at % width, at / width)).collect();
    let size = format!("0 0 {width} {width}");
    Some(html! {
        svg.picture viewBox=(size) role="img" aria-label="QR code of the address" { path d=(path) {} }
    })
}
