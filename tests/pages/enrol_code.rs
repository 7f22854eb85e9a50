//! Enrolling and leaving by a code on another device: it belongs to the browser that asked for it, and there are few.

use std::time::Duration;

use graph2mqtt::simulator::{Fault, Route, What};
use graph2mqtt::store::Origin;
use reqwest::Method;

use crate::browser::{Answer, Browser, Installation};
use crate::enrol::{open, open_at, way};
use crate::visitor;

/// What people enter, as the page shows it.
fn shown(page: &Answer) -> String {
    visitor::between(&page.text, "<p class=\"code\">", "</p>").expect("a code").to_owned()
}

/// Presses the button, and reads the code that comes.
async fn ask(browser: &Browser, page: &str) -> String {
    assert_eq!(browser.press(page, "device").await.location(), page);
    shown(&browser.until(page, "Enter this code").await)
}

async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_person_enrols_by_a_code_and_leaves_by_another() {
    let installation = open("contoso.com").await;
    let browser = installation.browser();
    browser.get("/enrol").await.says(200, "Get a code");
    let code = ask(&browser, "/enrol").await;
    let page = browser.get("/enrol").await.says(200, "http-equiv=\"refresh\"").says(200, "<svg");
    assert!(page.text.contains(&format!("{}/devicelogin", installation.cloud.authority())), "{}", page.text);
    assert!(!page.text.contains("Get a code") && page.text.contains("Sign in at Microsoft"), "{}", page.text);
    installation.cloud.approve(&code, "sam@contoso.com").unwrap();
    let page = browser.until("/enrol", "sam@contoso.com</strong> is an account now").await;
    assert!(!page.text.contains("http-equiv=\"refresh\"") && !page.text.contains(&code), "{}", page.text);
    let grants = installation.grants().await;
    assert_eq!((grants.len(), grants[0].origin, grants[0].account.as_str()), (1, Origin::Enrolled, &*grants[0].user));

    let code = ask(&browser, "/leave").await;
    installation.cloud.approve(&code, "alex@contoso.com").unwrap();
    browser.until("/leave", "alex@contoso.com has not enrolled here").await;
    assert_eq!(installation.grants().await.len(), 1);
    let code = ask(&browser, "/leave").await;
    installation.cloud.approve(&code, "sam@contoso.com").unwrap();
    browser.until("/leave", "no account any more").await;
    assert!(installation.grants().await.is_empty());
    for secret in installation.cloud.secrets() {
        assert!(!page.text.contains(&secret));
    }
}

#[tokio::test]
async fn where_entra_would_not_send_back_to_the_page_a_code_is_the_way() {
    let installation = open_at("http://192.168.1.5:8480", "contoso.com").await;
    let browser = installation.browser();
    let page = browser.get("/enrol").await.says(200, "reverse proxy").says(200, "Get a code");
    assert!(!page.text.contains("action=\"/enrol/start\""), "{}", page.text);
    installation.cloud.approve(&ask(&browser, "/enrol").await, "sam@contoso.com").unwrap();
    browser.until("/enrol", "is an account now").await;
}

#[tokio::test]
async fn a_code_is_shown_to_the_browser_that_asked_for_it_alone() {
    let installation = open("contoso.com").await;
    let (one, other) = (installation.browser(), installation.browser());
    let code = ask(&one, "/enrol").await;
    for page in ["/enrol", "/leave", "/"] {
        let seen = other.get(page).await;
        assert!(!seen.text.contains(&code) && !seen.text.contains("Enter this code"), "{}", seen.text);
    }
    assert!(!one.get("/leave").await.text.contains(&code), "it is for enrolling");
    assert_ne!(ask(&other, "/enrol").await, code);
    // Nor is it another's to cancel, with or without that one's form.
    assert_eq!(other.press("/enrol", "cancel").await.location(), "/enrol");
    let stolen = one.token("/enrol").await;
    installation.browser().post("/enrol/cancel", &[("token", &stolen)]).await.says(403, "cookies");
    assert_eq!(shown(&one.get("/enrol").await), code);
    assert_eq!(ask(&one, "/enrol").await, code, "pressed again, it is the same");
    one.press("/enrol", "cancel").await;
    one.get("/enrol").await.says(200, "The code was cancelled").says(200, "Get a code");
    // What is entered afterwards comes to nothing.
    installation.cloud.approve(&code, "sam@contoso.com").unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(installation.grants().await.is_empty());
}

#[tokio::test]
async fn who_may_not_enrol_may_not_by_a_code() {
    let installation = open("contoso.com, northwind.com").await;
    let browser = installation.browser();
    installation.cloud.approve(&ask(&browser, "/enrol").await, "mo@fabrikam.com").unwrap();
    let page = browser.until("/enrol", "web.enrol.tenants").await.says(200, "mo@fabrikam.com");
    assert!(page.text.contains("Get a code"), "{}", page.text);
    installation.cloud.decline(&ask(&browser, "/enrol").await).unwrap();
    browser.until("/enrol", "declined").await;
    assert!(installation.grants().await.is_empty());
    // Who is configured is led to their own account.
    installation.cloud.approve(&ask(&browser, "/enrol").await, "lee@contoso.com").unwrap();
    browser.until("/enrol", "is the account <strong>lee</strong> here already").await;
    installation.cloud.approve(&ask(&browser, "/enrol").await, "alex@contoso.com").unwrap();
    browser.until("/enrol", "href=\"/sign-in/alex\"").await;
    let grants = installation.grants().await;
    assert_eq!((grants.len(), grants[0].account.as_str(), grants[0].origin), (1, "lee", Origin::Configured));
}

#[tokio::test]
async fn a_code_is_not_needed_any_more_when_its_browser_came_in_by_the_other_way() {
    let installation = open("contoso.com").await;
    let (browser, other) = (installation.browser(), installation.browser());
    let (code, others) = (ask(&browser, "/enrol").await, ask(&other, "/enrol").await);
    way(&browser, "/enrol", "sam@contoso.com").await.says(200, "is an account now");
    let page = browser.get("/enrol").await.says(200, "sam@contoso.com</strong> is an account now");
    assert!(!page.text.contains(&code), "{}", page.text);
    assert_eq!(shown(&other.get("/enrol").await), others);
}

#[tokio::test]
async fn a_code_that_dies_early_is_followed_by_a_few_others() {
    let installation = open("contoso.com").await;
    let browser = installation.browser();
    let mut codes = vec![ask(&browser, "/enrol").await];
    for _ in 0..2 {
        installation.cloud.expire_codes();
        let old = codes.last().unwrap().clone();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while shown(&browser.get("/enrol").await) == old {
            assert!(tokio::time::Instant::now() < deadline, "no new code");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        codes.push(shown(&browser.get("/enrol").await));
    }
    installation.cloud.expire_codes();
    browser.until("/enrol", "nobody used the codes").await.says(200, "Get a code");
    let asked = installation.cloud.calls().count(|call| call.route == Route::DeviceCode);
    assert_eq!(asked, codes.len());
}

#[tokio::test]
async fn after_a_quarter_of_an_hour_nobody_is_waited_for() {
    let installation = open("contoso.com").await;
    installation.cloud.adjust(|rules| rules.device_code = Duration::from_secs(24 * 3600));
    let browser = installation.browser();
    let code = ask(&browser, "/enrol").await;
    browser.get("/enrol").await.says(200, "Good for 15 min; then ask for a new one.");
    pass(Duration::from_secs(901)).await;
    browser.until("/enrol", "nobody used the codes").await;
    installation.cloud.approve(&code, "sam@contoso.com").unwrap();
    let asked = installation.cloud.calls().count(|call| call.route == Route::Token);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(installation.cloud.calls().count(|call| call.route == Route::Token), asked, "Entra is still asked");
    assert!(installation.grants().await.is_empty());
}

#[tokio::test]
async fn while_entra_does_not_answer_the_page_says_what_it_waits_for_and_what_came() {
    let installation = open("contoso.com").await;
    installation.cloud.fault(Fault::new("/devicecode", What::Slow(Duration::from_secs(1))).times(1));
    let browser = installation.browser();
    browser.press("/enrol", "device").await;
    browser.get("/enrol").await.says(200, "Microsoft is asked for a code").says(200, "http-equiv=\"refresh\"");
    browser.until("/enrol", "Enter this code").await;
    browser.press("/enrol", "cancel").await;
    installation.cloud.fault(Fault::new("/devicecode", What::status(503, "")).times(1));
    browser.press("/enrol", "device").await;
    browser.until("/enrol", "cannot serve the request now").await.says(200, "Get a code");
}

/// One more code, in a browser of its own.
async fn one_more(installation: &Installation, machine: &str) -> (Browser, Answer) {
    let browser = installation.browser().on(machine);
    let answer = browser.press("/enrol", "device").await;
    (browser, answer)
}

#[tokio::test]
async fn from_one_place_and_in_all_there_are_few_and_who_comes_too_late_is_told_when() {
    let installation = open("contoso.com").await;
    let mut first = None;
    for _ in 0..8 {
        let (browser, answer) = one_more(&installation, "127.0.0.2").await;
        answer.location();
        first.get_or_insert(browser);
    }
    let first = first.unwrap();
    first.press("/enrol", "cancel").await;
    // A code that was given up counts all the same: it was a question to Entra.
    for page in ["/enrol", "/leave"] {
        let late = first.press(page, "device").await.says(429, "8 codes were asked for from where you are");
        let wait: u64 = late.header("retry-after").parse().unwrap();
        assert!((800..=901).contains(&wait) && late.text.contains("try again in 15 min"), "{wait} {}", late.text);
    }
    for machine in ["127.0.0.3", "127.0.0.4", "127.0.0.5"] {
        for _ in 0..8 {
            one_more(&installation, machine).await.1.location();
        }
    }
    // One of the 32 was cancelled.
    one_more(&installation, "127.0.0.6").await.1.location();
    let (_, late) = one_more(&installation, "127.0.0.6").await;
    let late = late.says(429, "32 people are signing in by a code at this moment");
    assert!(late.header("retry-after").parse::<u64>().unwrap() <= 901, "{late:?}");
    // Accounts of the configuration have codes of their own.
    let alex = installation.browser();
    alex.press("/sign-in/alex", "device").await;
    alex.until("/sign-in/alex", "Enter this code").await;

    pass(Duration::from_secs(901)).await;
    ask(&first, "/enrol").await;
}

#[tokio::test]
async fn who_comes_in_counts_no_more() {
    let installation = open("contoso.com").await;
    let browser = installation.browser();
    for _ in 0..9 {
        installation.cloud.approve(&ask(&browser, "/enrol").await, "sam@contoso.com").unwrap();
        browser.until("/enrol", "is an account now").await;
    }
}

#[tokio::test]
async fn behind_a_reverse_proxy_it_says_for_whom_it_asks() {
    let installation = open_at("https://presence.example.net", "contoso.com").await;
    let ask = async |address: &str| {
        let browser = installation.browser();
        let page = browser.send(browser.request(Method::GET, "/enrol").header("host", "presence.example.net")).await;
        let token = visitor::hidden(&page.text).remove("token").unwrap();
        let request = browser.request(Method::POST, "/enrol/device").header("host", "presence.example.net");
        let request = request.header("x-forwarded-for", format!("203.0.113.9, {address}"));
        browser.send(request.form(&[("token", token)])).await
    };
    for _ in 0..8 {
        ask("198.51.100.7").await.location();
    }
    ask("198.51.100.7").await.says(429, "from where you are");
    ask("198.51.100.8").await.location();
}
