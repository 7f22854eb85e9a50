//! The pages' password.

use reqwest::StatusCode;

use crate::browser::{Browser, Installation};
use crate::visitor;

async fn locked() -> Installation {
    Installation::with("http://localhost:PORT", ", password: open sesame").await
}

async fn enter(browser: &Browser, password: &str) -> crate::browser::Answer {
    let token = browser.token("/sign-in/alex").await;
    browser.post("/login", &[("token", &token), ("to", "/sign-in/alex"), ("password", password)]).await
}

#[tokio::test]
async fn without_the_password_nothing_is_shown_and_nothing_is_done() {
    let installation = locked().await;
    let browser = installation.browser();
    for path in ["/", "/sign-in/alex", "/sign-in/nobody", "/sign-in/callback"] {
        let page = browser.get(path).await.says(401, "type=\"password\"");
        assert!(!page.text.contains("alex@contoso.com") && !page.text.contains("Accounts"), "{}", page.text);
    }
    for query in ["", "?", "?x", "?back=", "?back=&back=x", "?back"] {
        browser.get(&format!("/sign-in/callback{query}")).await.says(401, "type=\"password\"");
    }
    let token = browser.token("/").await;
    for action in ["start", "device", "cancel"] {
        browser.post(&format!("/sign-in/alex/{action}"), &[("token", &token)]).await.says(401, "Password");
    }
    assert!(installation.sign_ins.progress(&"alex".parse().unwrap()).is_none());
    browser.get("/healthz").await.says(200, "\"status\"");
    browser.get("/style.css").await.says(200, "body");
}

#[tokio::test]
async fn the_password_opens_them_for_this_browser() {
    let installation = locked().await;
    let browser = installation.browser();
    enter(&browser, "Open sesame").await.says(403, "not the password");
    let entered = enter(&browser, "open sesame").await;
    assert_eq!(entered.location(), "/sign-in/alex");
    let cookie = entered.header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Lax") && !cookie.contains("open"), "{cookie}");
    browser.get("/").await.says(200, "Presence");
    installation.browser().get("/").await.says(401, "Password");

    let to = browser.press("/sign-in/alex", "start").await.location().parse().unwrap();
    let post = visitor::answer(&to, "alex@contoso.com", "sign_in").await.unwrap();
    let back = browser.post_from_entra(&post).await;
    browser.get(back.location()).await.says(200, "is signed in as");
}

#[tokio::test]
async fn nobody_is_led_to_another_site_by_the_password() {
    let installation = locked().await;
    for to in ["https://evil.example/", "//evil.example", "/\\evil.example"] {
        let browser = installation.browser();
        let token = browser.token("/").await;
        let entered = browser.post("/login", &[("token", &token), ("to", to), ("password", "open sesame")]).await;
        assert_eq!(entered.location(), "/");
    }
}

#[tokio::test]
async fn many_wrong_ones_are_slowed_down_for_everybody_and_those_inside_stay_inside() {
    let installation = locked().await;
    let inside = installation.browser();
    enter(&inside, "open sesame").await;
    let mut statuses = Vec::new();
    for number in 0..8 {
        statuses.push(enter(&installation.browser(), &format!("guess {number}")).await.status);
    }
    assert_eq!(statuses[..5], [StatusCode::FORBIDDEN; 5]);
    assert!(statuses[5..].contains(&StatusCode::TOO_MANY_REQUESTS), "{statuses:?}");
    let mut told = enter(&installation.browser(), "guess").await;
    while told.status != StatusCode::TOO_MANY_REQUESTS {
        told = enter(&installation.browser(), "guess").await;
    }
    assert!(told.header("retry-after").parse::<u64>().unwrap() >= 1 && told.text.contains("Wait"), "{told:?}");
    inside.get("/").await.says(200, "Presence");
}
