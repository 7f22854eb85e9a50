//! Where Entra sends an administrator who opened the consent page that our texts name.

use url::Url;

use crate::browser::{Browser, CLIENT, Installation};

/// The administrator answers Entra's consent page; where that leads.
async fn consent(installation: &Installation, browser: &Browser, answer: &str) -> String {
    let form = [("client_id", CLIENT), ("user", "kim@contoso.com"), ("answer", answer)];
    let url = format!("{}/contoso.com/adminconsent", installation.cloud.authority());
    let answer = browser.send(browser.request(reqwest::Method::POST, &url).form(&form)).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    answer.header("location").to_owned()
}

#[tokio::test]
async fn an_administrator_who_consents_or_does_not_is_told_what_comes_next() {
    let installation = Installation::with("http://localhost:PORT", ", password: open sesame").await;
    let browser = installation.browser();
    installation.cloud.withdraw_consent(CLIENT, "contoso.com");
    let refused = consent(&installation, &browser, "decline").await;
    let page = browser.get(&refused).await.says(403, "Consent was not given").says(403, "declined to consent");
    assert!(page.text.contains("AADSTS65004") && page.text.contains("correlation_id"), "{}", page.text);
    let given = consent(&installation, &browser, "consent").await;
    let query: Vec<_> = Url::parse(&given).unwrap().query_pairs().into_owned().map(|(name, _)| name).collect();
    assert_eq!(query, ["admin_consent", "tenant"]);
    let page = browser.get(&given).await.says(200, "Consent was given").says(200, "whoever was to sign in does so");
    assert!(!page.text.contains("enrols") && !page.text.contains("No such account"), "{}", page.text);
    for header in ["set-cookie", "location"] {
        assert_eq!(page.header(header), "");
    }
    assert!(installation.grants().await.is_empty());
}

#[tokio::test]
async fn what_a_url_says_of_a_consent_is_told_in_our_words_and_changes_nothing() {
    let installation = Installation::with("http://localhost:PORT", ", enrol: { tenants: [contoso.com] }").await;
    let browser = installation.browser();
    browser.get("/sign-in/callback?admin_consent=True").await.says(200, "or enrols").says(200, "href=\"/enrol\"");
    for (query, status, words) in [
        ("admin_consent=False", 403, "no administrator has consented"),
        ("error=access_denied", 403, "no administrator has consented"),
        (
            "error=permission_denied&error_description=The+admin+canceled+the+request",
            403,
            "no administrator has consented",
        ),
        ("admin_consent=True&error=consent_required&error_description=AADSTS7000222:x", 403, "secret has expired"),
        (
            "admin_consent=True&error=%3Cscript%3E&error_description=%3Cb%3E%1b+call+555-0100",
            403,
            "it did not work this time",
        ),
        ("error=invalid_request&error_description=call+555-0100", 403, "registration does not allow it"),
        (
            "admin_consent=True&error=x&error_description=AADSTS9:+call+555-0100%0d%0aTrace+ID:+555-0100%0d%0a\
             Correlation+ID:+7d1f5a02-0000-4000-8000-00000000000c",
            403,
            "this time (AADSTS9, correlation_id 7d1f5a02-0000-4000-8000-00000000000c)",
        ),
        ("admin_consent=&error=", 404, "No such account"),
        ("admin_consent=True&admin_consent=True", 404, "No such account"),
        ("back=x&admin_consent=True", 400, "Begin again"),
    ] {
        let page = browser.get(&format!("/sign-in/callback?{query}")).await.says(status, words);
        let is_odd = |c: char| c.is_control() && c != '\n';
        assert!(!page.text.contains("555-0100"), "anybody's words are shown: {}", page.text);
        assert!(!page.text.contains("<script") && !page.text.contains("<b>") && !page.text.contains(is_odd), "{query}");
    }
    let long = format!("/sign-in/callback?error=x&error_description={}", "y".repeat(4_000));
    assert!(!browser.get(&long).await.says(403, "it did not work this time").text.contains("yyy"));
    assert!(installation.grants().await.is_empty());
    assert!(installation.cloud.calls().all().is_empty(), "Entra was asked");
}
