//! People whom the configuration does not name: they become an account by signing in, and leave by signing in.

use graph2mqtt::store::Origin;

use crate::browser::{Answer, Browser, Installation};
use crate::visitor;

async fn open(tenants: &str) -> Installation {
    let installation =
        Installation::with("http://localhost:PORT", &format!(", enrol: {{ tenants: [{tenants}] }}")).await;
    for (tenant, person) in [("northwind.com", "robin"), ("fabrikam.com", "mo")] {
        installation.cloud.add_tenant(tenant);
        installation.cloud.add_person(&format!("{person}@{tenant}"), person);
        installation.cloud.consent(crate::browser::CLIENT, tenant, &["Presence.Read"]);
    }
    installation
}

/// The whole way from a page's button and back.
async fn way(browser: &Browser, page: &str, person: &str) -> Answer {
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
    way(&browser, "/enrol", "kim@contoso.com").await.says(200, "kim@contoso.com</strong> is an account now");
    way(&browser, "/enrol", "kim@contoso.com").await.says(200, "is an account now");
    let grants = installation.grants().await;
    assert_eq!((grants.len(), grants[0].origin, grants[0].account.as_str()), (1, Origin::Enrolled, &*grants[0].user));
    assert_eq!(grants[0].account.as_str(), grants[0].object_id.as_str());

    way(&browser, "/leave", "alex@contoso.com").await.says(403, "has not enrolled here");
    assert_eq!(installation.grants().await.len(), 1);
    way(&browser, "/leave", "kim@contoso.com").await.says(200, "no account any more");
    assert!(installation.grants().await.is_empty());
    way(&browser, "/leave", "kim@contoso.com").await.says(403, "has not enrolled here");
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
    for person in ["robin@northwind.com", "kim@contoso.com"] {
        way(&browser, "/enrol", person).await.says(200, "is an account now");
    }
    assert_eq!(installation.grants().await.len(), 2);
}

#[tokio::test]
async fn without_consent_nobody_enrols() {
    let installation = open("contoso.com, northwind.com").await;
    installation.cloud.withdraw_consent(crate::browser::CLIENT, "contoso.com");
    let browser = installation.browser();
    let to = browser.press("/enrol", "start").await.location().parse().unwrap();
    let post = visitor::answer(&to, "kim@contoso.com", "cancel").await.unwrap();
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
async fn the_pages_password_is_not_asked_of_who_enrols() {
    let web = ", password: open sesame, enrol: { tenants: [contoso.com] }";
    let installation = Installation::with("http://localhost:PORT", web).await;
    let browser = installation.browser();
    way(&browser, "/enrol", "kim@contoso.com").await.says(200, "is an account now");
    browser.get("/").await.says(401, "Password");
    browser.post("/enrol/start", &[]).await.says(403, "cookies");
}
