//! Where the pages are: under which address and path, with which roles, and beside which metrics.

use std::sync::Arc;

use graph2mqtt::actuator::{Condition, HubState, LightState};
use graph2mqtt::lights::Standing;
use graph2mqtt::settings;
use graph2mqtt::web::{self, Actuator, Pages, Site, Status};
use reqwest::Method;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::browser::{Browser, Installation};
use crate::visitor;

/// A request as a reverse proxy hands it on.
async fn through_proxy(browser: &Browser, method: Method, path: &str, token: Option<&str>) -> crate::browser::Answer {
    let request = browser.request(method, path).header("host", "presence.example.net");
    let request = request.header("origin", "https://presence.example.net");
    browser.send(token.iter().fold(request, |request, token| request.form(&[("token", token)]))).await
}

#[tokio::test]
async fn behind_a_reverse_proxy_under_a_path_the_whole_way_leads_through_it() {
    let installation = Installation::with("https://presence.example.net/at/work/", "").await;
    let browser = installation.browser();
    // Some proxies leave their path in front, some take it away.
    for (front, status) in [("", 200), ("/at/work", 200)] {
        for path in ["/", "/sign-in/alex", "/style.css"] {
            let answer = through_proxy(&browser, Method::GET, &format!("{front}{path}"), None).await;
            assert_eq!(answer.status, status, "{front}{path}: {answer:?}");
        }
    }
    through_proxy(&browser, Method::GET, "/at/work", None).await.says(200, "href=\"/at/work/style.css\"");
    let stranger = installation.browser();
    let page = through_proxy(&stranger, Method::GET, "/sign-in/alex", None).await;
    let cookie = page.header("set-cookie");
    assert!(cookie.contains("; Path=/at/work; HttpOnly; SameSite=Lax; Secure"), "{cookie}");
    assert!(page.text.contains("action=\"/at/work/sign-in/alex/start\""), "{}", page.text);

    let token = visitor::hidden(&page.text).remove("token").unwrap();
    for front in ["", "/at/work"] {
        let path = format!("{front}/sign-in/alex/start");
        let to = through_proxy(&stranger, Method::POST, &path, Some(&token)).await;
        let post = visitor::answer(&to.location().parse().unwrap(), "alex@contoso.com", "sign_in").await.unwrap();
        assert_eq!(post.to, "https://presence.example.net/at/work/sign-in/callback");
        let here = visitor::Post { to: format!("{}{front}/sign-in/callback", stranger.origin()), ..post };
        let back = stranger.post_from_entra(&here).await;
        let location = back.location();
        assert!(location.starts_with("/at/work/sign-in/callback?back="), "{location}");
        stranger.get(location).await.says(200, "is signed in as");
    }
}

#[tokio::test]
async fn where_entra_would_not_send_back_to_the_page_says_so_and_offers_a_code() {
    let installation = Installation::with("http://192.168.1.5:8480", "").await;
    let browser = installation.browser();
    let page = browser.get("/sign-in/alex").await.says(200, "reverse proxy").says(200, "Get a code");
    assert!(!page.text.contains("Sign in at Microsoft"), "{}", page.text);
    browser.press("/sign-in/alex", "start").await.says(409, "web.public_url");
}

#[tokio::test]
async fn a_page_under_another_name_than_the_public_one_points_there() {
    let installation = Installation::new().await;
    let browser = installation.browser();
    let here = format!("http://127.0.0.1:{}", installation.port);
    let page = browser.get(&format!("{here}/sign-in/alex")).await;
    let token = visitor::hidden(&page.text).remove("token").unwrap();
    let request = browser.request(Method::POST, &format!("{here}/sign-in/alex/start")).header("origin", &here);
    let there = format!("href=\"http://localhost:{}/sign-in/alex\"", installation.port);
    browser.send(request.form(&[("token", &token)])).await.says(409, &there);
}

#[tokio::test]
async fn by_plain_http_a_page_whose_address_is_https_says_where_its_forms_work() {
    let installation = Installation::with("https://presence.example.net", "").await;
    let browser = installation.browser();
    let token = browser.token("/sign-in/alex").await;
    // A browser keeps no Secure cookie that came by plain http.
    let request = installation.browser().request(Method::POST, "/sign-in/alex/device").form(&[("token", &token)]);
    let request = request.header("origin", browser.origin());
    browser.send(request).await.says(403, "Forms work at https://presence.example.net alone");
}

#[tokio::test]
async fn metrics_with_a_listener_of_their_own_are_not_among_the_pages() {
    let installation = Installation::with("http://localhost:PORT", ", metrics_listen: '127.0.0.1:1'").await;
    let browser = installation.browser();
    for path in ["/healthz", "/metrics"] {
        browser.get(path).await.says(404, "no such page");
    }
}

/// The pages of an actuator alone that stands so; where they are.
async fn alone(yaml: &str, actuator: Actuator) -> (u16, DropGuard) {
    let listener = web::bind("web.listen", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let status = Status { bridge: None, actuator: Some(actuator) };
    let settings = Arc::new(settings::from_yaml(yaml, std::path::Path::new("/")).unwrap());
    let site = Site::pages(Pages { settings, status: Arc::new(move || status.clone()), bridge: None, pairings: None });
    let stop = CancellationToken::new();
    tokio::spawn(web::serve(listener, site, stop.clone().cancelled_owned()));
    (port, stop.drop_guard())
}

fn lost(error: &str) -> LightState {
    let name = "desk".parse().unwrap();
    LightState { name, reachable: false, commands: 3, failures: 1, error: Some(error.to_owned()) }
}

#[tokio::test]
async fn an_actuator_alone_shows_its_lights_and_has_no_page_to_sign_in() {
    let lights = vec![lost("no answer from <hub>")];
    let (port, _guard) = alone("", Actuator { connected: true, lights, hubs: Vec::new() }).await;
    let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let url = |path: &str| format!("http://localhost:{port}{path}");
    let page = http.get(url("/")).send().await.unwrap().text().await.unwrap();
    for part in ["desk", "cannot be reached", "no answer from &lt;hub&gt;"] {
        assert!(page.contains(part), "{part} is missing in {page}");
    }
    assert!(!page.contains("Accounts"), "{page}");
    for path in ["/sign-in/alex", "/sign-in/callback", "/enrol", "/leave", "/login"] {
        assert_eq!(http.get(url(path)).send().await.unwrap().status(), 404, "{path}");
    }
    for path in ["/sign-in/alex/start", "/sign-in/callback", "/login", "/"] {
        assert_eq!(http.post(url(path)).send().await.unwrap().status(), 405, "{path}");
    }
}

#[tokio::test]
async fn a_light_whose_hub_has_its_remedy_on_its_page_points_there_and_names_no_command() {
    let yaml =
        "hubs: { office: { host: 192.168.1.20 } }\nlights: { desk: { hub: office, target: Desk, follow: alex } }\n";
    let error = "hub office: there is no application key for it yet. Pair it: graph2mqtt pair office";
    let states = [
        (Condition::NoKey, "is to be paired"),
        (Condition::KeyRefused, "is to be paired"),
        (Condition::CertificateChanged, "is to be paired"),
        (Condition::AnotherHub, "is not what answers at its address"),
    ];
    for (condition, words) in states {
        let standing = Standing { condition, reason: Some(error.to_owned()) };
        let hubs = vec![HubState { name: "office".parse().unwrap(), lights: 1, standing }];
        let (port, _guard) = alone(yaml, Actuator { connected: true, lights: vec![lost(error)], hubs }).await;
        let page = Browser::at(port).get("/").await.says(200, "href=\"/hub/office\"").says(200, words);
        assert!(!page.text.contains("graph2mqtt pair"), "{condition:?}: {}", page.text);
    }
}
