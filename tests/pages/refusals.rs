//! What no page of ours sends: each is answered with what to do, and changes nothing.

use reqwest::Method;
use reqwest::header;

use crate::browser::{Browser, Installation};

const START: &str = "/sign-in/alex/start";

async fn nothing_is_under_way(installation: &Installation) {
    assert!(installation.grants().await.is_empty());
    assert!(installation.sign_ins.progress(&"alex".parse().unwrap()).is_none());
    assert!(installation.cloud.calls().all().is_empty(), "Entra was asked");
}

fn form(browser: &Browser, path: &str, token: &str) -> reqwest::RequestBuilder {
    browser.request(Method::POST, path).header(header::ORIGIN, browser.origin()).form(&[("token", token)])
}

#[tokio::test]
async fn a_form_of_another_site_or_of_nobody_is_refused() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let token = browser.token("/sign-in/alex").await;
    for path in [START, "/sign-in/alex/device", "/sign-in/alex/cancel"] {
        for origin in ["https://evil.example", "http://localhost.evil.example", "http://localhost:1", "x"] {
            let request = browser.request(Method::POST, path).header(header::ORIGIN, origin).form(&[("token", &token)]);
            browser.send(request).await.says(403, "Another site sent this form");
        }
        browser.send(form(&browser, path, "")).await.says(403, "cookies");
        browser.send(form(&browser, path, &"A".repeat(43))).await.says(403, "cookies");
        let stranger = installation.browser();
        stranger.send(form(&stranger, path, &token)).await.says(403, "cookies");
    }
    nothing_is_under_way(&installation).await;
}

#[tokio::test]
async fn bodies_that_are_huge_or_no_form_are_refused() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    for path in [START, "/sign-in/callback"] {
        let huge = "x=".to_owned() + &"y".repeat(1 << 20);
        let sent =
            browser.request(Method::POST, path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        browser.send(sent.body(huge)).await.says(413, "far larger");
        for kind in ["application/json", "multipart/form-data; boundary=x", "text/plain", ""] {
            let request = browser.request(Method::POST, path).header(header::CONTENT_TYPE, kind).body("{}");
            browser.send(request).await.says(415, "not a form");
        }
    }
    let odd = browser.request(Method::POST, "/sign-in/callback");
    let odd = odd.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body("%ff%=&&==\u{0}");
    browser.send(odd).await.says(400, "Begin again");
    nothing_is_under_way(&installation).await;
}

#[tokio::test]
async fn a_page_asked_for_under_a_foreign_name_is_refused() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let token = browser.token("/sign-in/alex").await;
    for request in [
        browser.request(Method::GET, "/"),
        browser.request(Method::GET, "/sign-in/alex"),
        form(&browser, START, &token),
        form(&browser, "/sign-in/callback", &token),
    ] {
        let answer = browser.send(request.header(header::HOST, "evil.example")).await.says(421, "web.hosts");
        assert!(!answer.text.contains("alex@"), "{}", answer.text);
    }
    nothing_is_under_way(&installation).await;
}

#[tokio::test]
async fn an_account_that_is_not_there_or_does_not_sign_in_has_no_page() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let token = browser.token("/sign-in/alex").await;
    for (name, words) in [
        ("nobody", "No such account"),
        ("Alex", "No such account"),
        ("%3Cb%3E", "No such account"),
        ("kim", "needs no sign-in"),
    ] {
        browser.get(&format!("/sign-in/{name}")).await.says(404, words);
        for action in ["start", "device", "cancel"] {
            browser.send(form(&browser, &format!("/sign-in/{name}/{action}"), &token)).await.says(404, words);
        }
    }
    nothing_is_under_way(&installation).await;
}

#[tokio::test]
async fn nothing_is_done_by_reading_and_nothing_else_is_posted_to() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    for path in [START, "/sign-in/alex/device", "/sign-in/alex/cancel", "/nowhere"] {
        let status = browser.get(path).await.status;
        assert!(status == 404 || status == 405, "{path}: {status}");
    }
    let token = browser.token("/sign-in/alex").await;
    for path in ["/", "/sign-in/alex", "/style.css", "/healthz", "/login", "/sign-in/alex/other", "/sign-in//start/x"] {
        assert_eq!(browser.send(form(&browser, path, &token)).await.status, 405, "{path}");
    }
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::PATCH] {
        assert_eq!(browser.send(browser.request(method, START)).await.status, 405);
    }
    nothing_is_under_way(&installation).await;
}

#[tokio::test]
async fn every_page_has_the_strict_headers_and_no_script_or_style_of_its_own() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let entra = installation.cloud.authority();
    for path in ["/", "/?find=al", "/sign-in/alex", "/sign-in/nobody", "/sign-in/callback?back=x", "/nowhere"] {
        let answer = browser.get(path).await;
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
        ] {
            assert_eq!(answer.header(name), value, "{path}");
        }
        let policy = answer.header("content-security-policy");
        let forms = format!("form-action 'self' {entra};");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'self'", &forms] {
            assert!(policy.contains(part), "{part} is missing in {policy}");
        }
        for inline in ["<script", "<style", " style=", " onclick", "javascript:", "unsafe-inline"] {
            assert!(!answer.text.contains(inline) && !policy.contains(inline), "{path}: {inline}");
        }
        assert!(answer.text.contains("name=\"viewport\""), "{path}");
    }
}
