//! A code on another device, begun from the page.

use crate::browser::{Browser, Installation};

const PAGE: &str = "/sign-in/alex";

/// The page, once it says this.
async fn until(browser: &Browser, words: &str) -> String {
    browser.until(PAGE, words).await.text
}

#[tokio::test]
async fn a_code_is_shown_and_looked_after_until_somebody_used_it() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    assert_eq!(browser.press(PAGE, "device").await.location(), PAGE);
    let page = until(&browser, "Enter this code").await;
    let code = installation.cloud.pending_codes().pop().unwrap();
    let place = format!("{}/devicelogin", installation.cloud.authority());
    for part in [code.as_str(), &place, "http-equiv=\"refresh\"", "<svg", "Cancel"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert!(!page.contains("Get a code"), "one at a time: {page}");
    // Pressed again, it is the same code.
    browser.post(&format!("{PAGE}/device"), &[("token", &browser.token(PAGE).await)]).await;
    assert!(until(&browser, "Enter this code").await.contains(&code));

    installation.cloud.approve(&code, "alex@contoso.com").unwrap();
    let page = until(&browser, "Signed in as <strong>alex@contoso.com</strong>").await;
    assert!(!page.contains(&code) && !page.contains("http-equiv=\"refresh\""), "{page}");
    assert_eq!(installation.grants().await.len(), 1);
}

#[tokio::test]
async fn a_code_can_be_cancelled() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    browser.press(PAGE, "device").await;
    until(&browser, "Enter this code").await;
    assert_eq!(browser.press(PAGE, "cancel").await.location(), PAGE);
    until(&browser, "The code was cancelled").await;
}

#[tokio::test]
async fn who_used_the_code_as_another_person_is_told_so() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    browser.press(PAGE, "device").await;
    until(&browser, "Enter this code").await;
    installation.cloud.approve(&installation.cloud.pending_codes()[0], "kim@contoso.com").unwrap();
    until(&browser, "kim@contoso.com").await;
    assert!(installation.grants().await.is_empty());
}

#[tokio::test]
async fn a_policy_against_codes_is_told_with_the_other_way_beside_it() {
    let installation = Installation::new().await;
    installation.cloud.block_device_code("contoso.com", true);
    let browser = installation.browser();
    browser.press(PAGE, "device").await;
    until(&browser, "Enter this code").await;
    installation.cloud.approve(&installation.cloud.pending_codes()[0], "alex@contoso.com").unwrap();
    assert!(until(&browser, "Conditional Access").await.contains("Sign in at Microsoft"));
}

#[tokio::test]
async fn above_its_buttons_a_page_sends_nobody_to_a_command() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    browser.press(PAGE, "device").await;
    until(&browser, "Enter this code").await;
    installation.cloud.decline(&installation.cloud.pending_codes()[0]).unwrap();
    let page = until(&browser, "the person declined").await;
    assert!(page.contains("Get a code") && !page.contains("graph2mqtt login"), "{page}");
}
