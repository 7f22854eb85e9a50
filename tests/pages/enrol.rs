//! People whom the configuration does not name: they become an account by signing in, and leave by signing in.

use std::time::Duration;

use graph2mqtt::simulator::{Fault, Route, What};
use graph2mqtt::store::Origin;

use crate::browser::{Answer, Browser, Installation};
use crate::visitor;

pub async fn open(tenants: &str) -> Installation {
    open_at("http://localhost:PORT", tenants).await
}

/// With this `web.public_url`.
pub async fn open_at(public_url: &str, tenants: &str) -> Installation {
    let installation = Installation::with(public_url, &format!(", enrol: {{ tenants: [{tenants}] }}")).await;
    for (tenant, person) in [("northwind.com", "robin"), ("fabrikam.com", "mo")] {
        installation.cloud.add_tenant(tenant);
        installation.cloud.add_person(&format!("{person}@{tenant}"), person);
        installation.cloud.consent(crate::browser::CLIENT, tenant, &["Presence.Read"]);
    }
    installation
}

/// The whole way from a page's button and back.
pub async fn way(browser: &Browser, page: &str, person: &str) -> Answer {
    let to = browser.press(page, "start").await.location().parse().unwrap();
    let post = visitor::answer(&to, person, "sign_in").await.unwrap();
    let back = browser.post_from_entra(&post).await;
    browser.get(back.location()).await
}

#[tokio::test]
async fn who_enrols_is_an_account_named_by_object_id_until_they_leave() {
    let installation = open("contoso.com").await;
    let browser = installation.browser();
    browser.get("/enrol").await.says(200, "For people of contoso.com");
    way(&browser, "/enrol", "sam@contoso.com").await.says(200, "sam@contoso.com</strong> is an account now");
    way(&browser, "/enrol", "sam@contoso.com").await.says(200, "is an account now");
    let grants = installation.grants().await;
    assert_eq!((grants.len(), grants[0].origin, grants[0].account.as_str()), (1, Origin::Enrolled, &*grants[0].user));
    assert_eq!(grants[0].account.as_str(), grants[0].object_id.as_str());

    way(&browser, "/leave", "alex@contoso.com").await.says(403, "has not enrolled here");
    assert_eq!(installation.grants().await.len(), 1);
    way(&browser, "/leave", "sam@contoso.com").await.says(200, "no account any more");
    assert!(installation.grants().await.is_empty());
    way(&browser, "/leave", "sam@contoso.com").await.says(403, "has not enrolled here");
}

#[tokio::test]
async fn who_is_configured_is_signed_in_as_that_account_and_becomes_no_second_one() {
    let installation = open("contoso.com, northwind.com").await;
    let browser = installation.browser();
    way(&browser, "/enrol", "lee@contoso.com")
        .await
        .says(200, "lee@contoso.com</strong> is the account <strong>lee</strong> here already")
        .says(200, "It is signed in");
    let grants = installation.grants().await;
    assert_eq!((grants.len(), grants[0].account.as_str(), grants[0].origin), (1, "lee", Origin::Configured));

    // alex reads kim too, which nobody is asked for who enrols.
    way(&browser, "/enrol", "alex@contoso.com").await.says(409, "href=\"/sign-in/alex\"");
    // Who is read by another's right has nothing to sign in to.
    let page = way(&browser, "/enrol", "kim@contoso.com").await.says(409, "accounts.kim.via");
    assert!(!page.text.contains("href=\"/sign-in"), "{}", page.text);
    assert_eq!(installation.grants().await.len(), 1);
}

#[tokio::test]
async fn who_enrolled_before_the_configuration_named_them_is_one_account_from_then_on() {
    let installation = open("contoso.com").await;
    installation.enrolled("lee@contoso.com").await;
    assert_eq!(installation.grants().await[0].origin, Origin::Enrolled);
    way(&installation.browser(), "/enrol", "lee@contoso.com").await.says(200, "here already");
    let grants = installation.grants().await;
    assert_eq!((grants.len(), grants[0].account.as_str()), (1, "lee"));
}

#[tokio::test]
async fn the_same_name_in_another_tenant_is_somebody_else() {
    let installation = open("contoso.com, northwind.com").await;
    // A guest keeps the name of their own tenant.
    let guest = installation.cloud.add_guest("lee@contoso.com", "northwind.com");
    way(&installation.browser(), "/enrol", &guest.as_str()).await.says(200, "is an account now");
    assert_eq!(installation.grants().await[0].origin, Origin::Enrolled);
}

#[tokio::test]
async fn a_tenant_is_looked_up_once_a_day() {
    let installation = open("contoso.com, northwind.com").await;
    let browser = installation.browser();
    let looked_up = || installation.cloud.calls().count(|call| call.route == Route::Tenant);
    for person in ["sam@contoso.com", "robin@northwind.com", "sam@contoso.com", "mo@fabrikam.com"] {
        way(&browser, "/enrol", person).await;
    }
    assert_eq!(looked_up(), 2);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(24 * 3600 + 1)).await;
    tokio::time::resume();
    way(&browser, "/enrol", "sam@contoso.com").await.says(200, "is an account now");
    assert_eq!(looked_up(), 4, "it is not asked again after a day");
}

#[tokio::test]
async fn leaving_asks_for_nothing_but_who_it_is() {
    let installation = open("contoso.com").await;
    let to: url::Url = installation.browser().press("/leave", "start").await.location().parse().unwrap();
    let asked: std::collections::HashMap<String, String> = to.query_pairs().into_owned().collect();
    assert_eq!((&*asked["scope"], &*asked["prompt"]), ("openid profile", "select_account"));
}

#[tokio::test]
async fn of_several_tenants_only_their_people_enrol() {
    let installation = open("contoso.com, northwind.com").await;
    let browser = installation.browser();
    way(&browser, "/enrol", "mo@fabrikam.com").await.says(403, "web.enrol.tenants").says(403, "mo@fabrikam.com");
    assert!(installation.grants().await.is_empty());
    for person in ["robin@northwind.com", "sam@contoso.com"] {
        way(&browser, "/enrol", person).await.says(200, "is an account now");
    }
    assert_eq!(installation.grants().await.len(), 2);
}

#[tokio::test]
async fn a_tenant_of_the_list_that_is_none_keeps_nobody_of_the_others_out() {
    let installation = open("nowhere.com, contoso.com").await;
    let browser = installation.browser();
    way(&browser, "/enrol", "sam@contoso.com").await.says(200, "is an account now");
    way(&browser, "/enrol", "mo@fabrikam.com").await.says(500, "web.enrol.tenants: tenant nowhere.com");
    assert_eq!(installation.grants().await.len(), 1);
}

#[tokio::test]
async fn without_consent_nobody_enrols() {
    let installation = open("contoso.com, northwind.com").await;
    installation.cloud.withdraw_consent(crate::browser::CLIENT, "contoso.com");
    let browser = installation.browser();
    let to = browser.press("/enrol", "start").await.location().parse().unwrap();
    let post = visitor::answer(&to, "sam@contoso.com", "decline").await.unwrap();
    let back = browser.post_from_entra(&post).await;
    browser.get(back.location()).await.says(403, "declined").says(403, "href=\"/enrol\"");
    assert!(installation.grants().await.is_empty());
}

#[tokio::test]
async fn where_nobody_may_enrol_there_is_no_such_page() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let token = browser.token("/sign-in/alex").await;
    for page in ["/enrol", "/leave"] {
        browser.get(page).await.says(404, "no such page");
        browser.post(&format!("{page}/start"), &[("token", &token)]).await.says(404, "no such page");
    }
}

#[tokio::test]
async fn who_enrolled_leaves_though_nobody_of_their_tenant_may_enrol_any_more() {
    // Nobody may enrol at all, and nobody of theirs.
    for tenants in ["", "contoso.com"] {
        let installation = open(tenants).await;
        installation.enrolled("robin@northwind.com").await;
        let browser = installation.browser();
        browser.get("/enrol").await.says(if tenants.is_empty() { 404 } else { 200 }, "");
        way(&browser, "/leave", "robin@northwind.com").await.says(200, "no account any more");
        assert!(installation.grants().await.is_empty());
        browser.get("/leave").await.says(if tenants.is_empty() { 404 } else { 200 }, "");
    }
}

#[tokio::test]
async fn those_of_several_tenants_leave_by_a_code_too() {
    let installation = open("").await;
    for person in ["robin@northwind.com", "mo@fabrikam.com"] {
        installation.enrolled(person).await;
    }
    let browser = installation.browser();
    for person in ["mo@fabrikam.com", "robin@northwind.com"] {
        assert_eq!(browser.press("/leave", "device").await.location(), "/leave");
        browser.until("/leave", "Enter this code").await;
        installation.cloud.approve(&installation.cloud.pending_codes()[0], person).unwrap();
        browser.until("/leave", "no account any more").await;
    }
    installation.browser().get("/leave").await.says(404, "no such page");
}

#[tokio::test]
async fn who_begins_again_and_again_from_one_place_is_refused_and_drives_nobody_else_out() {
    let installation = open("contoso.com").await;
    let others = installation.browser().on("127.0.0.9");
    let to = others.press("/enrol", "start").await.location().parse().unwrap();
    let browser = installation.browser().on("127.0.0.2");
    let token = browser.token("/enrol").await;
    for _ in 0..64 {
        browser.post("/enrol/start", &[("token", &token)]).await.location();
    }
    let late = browser.post("/enrol/start", &[("token", &token)]).await.says(429, "begun from where you are");
    assert!(late.header("retry-after").parse::<u64>().unwrap() <= 601, "{late:?}");
    let post = visitor::answer(&to, "sam@contoso.com", "sign_in").await.unwrap();
    let back = others.post_from_entra(&post).await;
    others.get(back.location()).await.says(200, "is an account now");
}

#[tokio::test]
async fn the_pages_password_is_not_asked_of_who_enrols() {
    let web = ", password: open sesame, enrol: { tenants: [contoso.com] }";
    let installation = Installation::with("http://localhost:PORT", web).await;
    let browser = installation.browser();
    way(&browser, "/enrol", "sam@contoso.com").await.says(200, "is an account now");
    browser.get("/").await.says(401, "Password");
    browser.post("/enrol/start", &[]).await.says(403, "cookies");
}

#[tokio::test]
async fn who_breaks_leaving_off_is_not_sent_for_an_administrators_approval() {
    let installation = open("contoso.com").await;
    let browser = installation.browser();
    way(&browser, "/enrol", "sam@contoso.com").await.says(200, "is an account now");
    for (page, may_take_approval) in [("/leave", false), ("/enrol", true)] {
        let to = browser.press(page, "start").await.location().parse().unwrap();
        let post = visitor::answer(&to, "sam@contoso.com", "cancel").await.unwrap();
        let back = browser.post_from_entra(&post).await;
        let answer = browser.get(back.location()).await.says(403, "broken off on Microsoft");
        assert_eq!(answer.text.contains("adminconsent"), may_take_approval, "{page}: {}", answer.text);
    }
}

#[tokio::test]
async fn who_presses_the_button_is_soon_at_entra_whatever_is_slow_there() {
    let installation = open("contoso.com, fabrikam.com").await;
    installation.enrolled("robin@northwind.com").await;
    let browser = installation.browser();
    let at = |answer: Answer| answer.location().split('/').nth(3).unwrap().to_owned();
    let home = installation.cloud.tenant_id("northwind.com").to_string();
    assert_eq!(at(browser.press("/leave", "start").await), home);
    assert!(installation.cloud.calls().all().is_empty(), "nothing is to be found out");
    installation.cloud.fault(Fault::new("openid-configuration", What::Slow(Duration::from_secs(10))).times(1));
    assert_eq!(at(browser.press("/enrol", "start").await), "organizations");
}
