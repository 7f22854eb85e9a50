//! Entra's admin consent page.

use graph2mqtt::simulator::{Application, Cloud, Platform};
use reqwest::Response;

use super::{TENANT, client, token, world};

const APPLICATION: &str = "11111111-0000-4000-8000-000000000003";
const BACK: &str = "https://presence.example.net/sign-in/callback";

async fn answer(cloud: &Cloud, more: &[(&str, &str)]) -> Response {
    let form = [&[("client_id", APPLICATION), ("user", "alex@contoso.com")], more].concat();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    http.post(format!("{}/{TENANT}/adminconsent", cloud.authority())).form(&form).send().await.unwrap()
}

fn location(answer: &Response) -> &str {
    assert_eq!(answer.status(), 302);
    answer.headers()["location"].to_str().unwrap()
}

#[tokio::test]
async fn it_grants_what_stands_under_api_permissions_and_sends_to_the_registered_address() {
    let cloud = world().await;
    let application = Application::confidential(APPLICATION, TENANT, "s").roles(&["Presence.Read.All"]);
    cloud.add_application(application.redirect(Platform::Web, BACK));
    cloud.withdraw_consent(APPLICATION, TENANT);
    let page = client().get(format!("{}/{TENANT}/adminconsent?client_id={APPLICATION}", cloud.authority()));
    assert!(page.send().await.unwrap().text().await.unwrap().contains("<li>Presence.Read.All</li>"));

    let declined = answer(&cloud, &[("answer", "decline"), ("state", "s")]).await;
    let start = format!("{BACK}?admin_consent=True&error=consent_required&error_description=AADSTS65004");
    assert!(location(&declined).starts_with(&start) && location(&declined).ends_with("&state=s"), "{declined:?}");
    let allowed = async || {
        let scope = ("scope", "https://graph.microsoft.com/.default");
        let form = [("grant_type", "client_credentials"), ("client_id", APPLICATION), ("client_secret", "s"), scope];
        let (_, body) = token(&cloud, TENANT, &form).await;
        let url = format!("{}/users/{}/presence", cloud.graph(), cloud.person_id("alex@contoso.com").as_str());
        client().get(url).bearer_auth(body["access_token"].as_str().unwrap()).send().await.unwrap().status()
    };
    assert_eq!(allowed().await, 403);
    let given = answer(&cloud, &[("answer", "consent")]).await;
    let tenant = cloud.tenant_id(TENANT);
    assert_eq!(location(&given), format!("{BACK}?admin_consent=True&tenant={}", tenant.as_str()));
    assert_eq!(allowed().await, 200);
}

#[tokio::test]
async fn without_a_registered_address_the_consent_counts_and_an_unregistered_one_is_refused_before() {
    let cloud = world().await;
    cloud.add_application(Application::public(APPLICATION, TENANT).delegated(&["Presence.Read"]));
    cloud.withdraw_consent(APPLICATION, TENANT);
    let asked = format!("{}/{TENANT}/adminconsent?client_id={APPLICATION}", cloud.authority());
    let refused = client().get(format!("{asked}&redirect_uri={BACK}")).send().await.unwrap();
    assert!(refused.text().await.unwrap().contains("AADSTS50011"));
    let given = answer(&cloud, &[("answer", "consent")]).await;
    assert!(given.text().await.unwrap().contains("AADSTS500113"));
}
