//! The look of Entra's pages, as far as they need one.

use axum::response::Html;

pub(super) fn show(body: &str) -> Html<String> {
    Html(format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>Simulated sign-in</title>\
         <body style=\"font-family:sans-serif;max-width:30em;margin:4em auto\"><h1>Simulated sign-in</h1>{body}</body></html>"
    ))
}

/// A field of a form that goes along unseen.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escape(name), escape(value))
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
