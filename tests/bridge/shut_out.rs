//! Who enrolled and lost the sign-in, on the first page of the running program: what it says that they can do.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::installation::{Installation, user};
use super::support::Home;

const PATIENCE: Duration = Duration::from_secs(30);

/// A page, once it says this.
async fn until(url: &str, words: &str) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let page = match http.get(url).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        if page.contains(words) {
            return page;
        }
        assert!(Instant::now() < deadline, "never {words:?}: {page}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_tenant_alone_was_taken_off_the_list_is_told_so_and_may_leave() {
    for (tenants, said, unsaid) in [
        ("contoso.com, fabrikam.com", "href=\"/enrol\">Enrol again", "not on the list"),
        ("fabrikam.com", "Their tenant is not on the list of those who may enrol any more", "Enrol again"),
        ("", "Their tenant is not on the list of those who may enrol any more", "Enrol again"),
    ] {
        let installation = Installation::with(&["kim", "alex"]).await;
        installation.cloud.add_tenant("fabrikam.com");
        let observer = installation.observe().await;
        let kim = installation.enrol(&installation.store().await, &user("kim")).await;
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = installation.folder.path().display();
        let web = format!("web: {{ listen: \"127.0.0.1:{port}\", enrol: {{ tenants: [{tenants}] }} }}\n");
        let yaml = installation
            .yaml(&["alex"], &web)
            .replace("sqlite://store", &format!("sqlite://{folder}/store"))
            .replace("store/key", &format!("{folder}/store/key"));
        let home = Home::new(&yaml);
        let mut program = home.start(&["run"]);
        observer.until_is(&format!("g/account/{kim}/state"), "online").await;
        installation.cloud.revoke(&user("kim"));
        installation.cloud.expire_access_tokens(&user("kim"));
        observer.until_is(&format!("g/account/{kim}/state"), "offline").await;
        let first = format!("http://localhost:{port}");
        let page = until(&first, said).await;
        assert!(page.contains("kim@contoso.com") && !page.contains(unsaid), "{tenants}: {page}");
        assert_eq!(page.contains("href=\"/leave\""), unsaid == "Enrol again", "{tenants}: {page}");
        until(&format!("{first}/leave"), "Sign in at Microsoft and leave").await;
        assert!(program.stop().success());
    }
}
