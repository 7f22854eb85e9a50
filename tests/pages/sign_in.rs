//! The browser's way in, step by step.

use std::time::Duration;

use graph2mqtt::simulator::{Fault, What};
use url::Url;

use crate::browser::Installation;
use crate::visitor::{self, Post};

const PAGE: &str = "/sign-in/alex";

/// From the button to Entra's post.
async fn at_entra(browser: &crate::browser::Browser, person: &str, answer: &str) -> Post {
    let to = browser.press(PAGE, "start").await;
    let url: Url = to.location().parse().unwrap();
    visitor::answer(&url, &format!("{person}@contoso.com"), answer).await.unwrap()
}

#[tokio::test]
async fn a_person_signs_in_and_no_code_stands_in_a_url_or_on_a_page() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let page = browser.get(PAGE).await.says(200, "Sign in at Microsoft").says(200, "alex@contoso.com");
    assert!(!page.text.contains("<b>W</b>"), "names are text: {}", page.text);

    let post = at_entra(&browser, "alex", "sign_in").await;
    let back = browser.post_from_entra(&post).await;
    let location = back.location().to_owned();
    assert!(location.starts_with("/sign-in/callback?back=") && !location.contains(post.field("code")), "{location}");
    assert!(installation.grants().await.is_empty(), "nothing happens before the cookie is there");
    let done = browser.get(&location).await.says(200, "is signed in as <strong>alex@contoso.com</strong>");
    let again = browser.get(&location).await.says(200, "is signed in as");
    assert_eq!(installation.grants().await[0].username, "alex@contoso.com");
    for secret in installation.cloud.secrets() {
        for answer in [&page, &back, &done, &again] {
            assert!(!answer.text.contains(&secret) && !format!("{:?}", answer.headers).contains(&secret));
        }
    }
}

#[tokio::test]
async fn without_the_cookie_that_began_it_nothing_is_redeemed_and_who_has_it_still_may() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let back = browser.post_from_entra(&at_entra(&browser, "alex", "sign_in").await).await;
    let location = back.location();
    let stranger = installation.browser();
    stranger.get(location).await.says(403, "another browser began this sign-in").says(403, "cookies");
    stranger.get(PAGE).await;
    stranger.get(location).await.says(403, "another browser began this sign-in");
    assert!(installation.grants().await.is_empty());
    browser.get(location).await.says(200, "is signed in as");
}

#[tokio::test]
async fn a_forged_or_replayed_post_changes_nothing() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let post = at_entra(&browser, "alex", "sign_in").await;
    for state in ["", "x", &"x".repeat(43)] {
        let mut forged = post.clone();
        forged.fields.insert("state".to_owned(), state.to_owned());
        browser.post_from_entra(&forged).await.says(400, "Begin again");
    }
    let mut twice: Vec<(&str, &str)> =
        post.fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    twice.push(("code", "another"));
    let callback = format!("{}/sign-in/callback", browser.origin());
    browser.send(browser.request(reqwest::Method::POST, &callback).form(&twice)).await.says(400, "incomplete");

    let location = browser.post_from_entra(&post).await.location().to_owned();
    browser.post_from_entra(&post).await.says(400, "used already");
    browser.get(&location).await.says(200, "is signed in as");
    browser.post_from_entra(&post).await.says(400, "used already");
    browser.get("/sign-in/callback?back=nothing").await.says(400, "Begin again");
    assert_eq!(installation.grants().await.len(), 1);
}

#[tokio::test]
async fn another_person_is_refused_with_both_names() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let back = browser.post_from_entra(&at_entra(&browser, "kim", "sign_in").await).await;
    let page = browser.get(back.location()).await.says(403, "kim@contoso.com").says(403, "alex@contoso.com");
    assert!(page.text.contains("Try again") && page.text.contains("href=\"/sign-in/alex\""), "{}", page.text);
    assert!(installation.grants().await.is_empty());
}

#[tokio::test]
async fn every_error_that_entra_lets_a_browser_post_ends_in_a_page_that_says_what_to_do() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let back = browser.post_from_entra(&at_entra(&browser, "alex", "cancel").await).await;
    let page = browser.get(back.location()).await.says(403, "broken off on Microsoft's page").says(403, "Try again");
    page.says(403, "For administrators: consent at Microsoft");
    for (error, description, status, words) in [
        ("access_denied", "AADSTS65004: x", 403, "declined to consent"),
        ("consent_required", "AADSTS90094: x", 403, "adminconsent"),
        ("server_error", "", 502, "begin again"),
        ("temporarily_unavailable", "AADSTS90033: x", 502, "passing fault"),
        ("interaction_required", "AADSTS53003: x", 403, "Conditional Access"),
        ("unauthorized_client", "AADSTS700016: x", 500, "entra.client_id"),
        ("invalid_resource", "<script>alert(1)</script>", 500, "&lt;script&gt;"),
        ("<script>", "", 502, "&lt;script&gt;"),
    ] {
        let to = browser.press(PAGE, "start").await;
        let url: Url = to.location().parse().unwrap();
        let state = url.query_pairs().find(|(key, _)| key == "state").unwrap().1.into_owned();
        let fields = [("state", state.as_str()), ("error", error), ("error_description", description)];
        let fields = fields.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let post = Post { to: format!("{}/sign-in/callback", browser.origin()), fields };
        let page = browser.get(browser.post_from_entra(&post).await.location()).await.says(status, words);
        assert!(!page.text.contains("<script") && page.text.contains("Try again"), "{error}: {}", page.text);
    }
    assert!(installation.grants().await.is_empty());
}

#[tokio::test]
async fn while_entra_takes_its_time_the_page_says_so_and_looks_again() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    installation.cloud.fault(Fault::new("/token", What::Slow(Duration::from_secs(4))).times(1));
    let back = browser.post_from_entra(&at_entra(&browser, "alex", "sign_in").await).await;
    let location = back.location();
    let page = browser.get(location).await.says(200, "Microsoft is asked");
    assert!(page.text.contains("http-equiv=\"refresh\""), "{}", page.text);
    browser.get(location).await.says(200, "is signed in as");
}

#[tokio::test]
async fn an_answer_in_the_url_is_that_sign_ins_by_its_state_and_no_other_is_taken_for_a_consent() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let sent: Url = browser.press(PAGE, "start").await.location().parse().unwrap();
    let (_, state) = sent.query_pairs().find(|(name, _)| name == "state").unwrap();
    let error = "error=access_denied&error_description=AADSTS65004%3A+x&state=";
    let back = browser.get(&format!("/sign-in/callback?{error}{state}")).await;
    let location = back.location().to_owned();
    assert!(location.starts_with("/sign-in/callback?back=") && !location.contains(&*state), "{location}");
    installation.browser().get(&location).await.says(403, "another browser began this sign-in");
    let page = browser.get(&location).await.says(403, "is not signed in").says(403, "declined to consent");
    assert!(!page.text.contains("Consent was not given"), "{}", page.text);
    for old in [&*state, "forged"] {
        browser.get(&format!("/sign-in/callback?{error}{old}")).await.says(400, "used already");
    }

    let post = at_entra(&browser, "alex", "sign_in").await;
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&post.fields).finish();
    let back = browser.get(&format!("/sign-in/callback?{query}")).await;
    browser.get(back.location()).await.says(200, "is signed in as <strong>alex@contoso.com</strong>");
}
