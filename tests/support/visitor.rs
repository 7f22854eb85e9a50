//! A person with a browser at the simulated Entra, without the browser: what it would send, and what it is given.

use std::collections::HashMap;

use url::Url;

/// What Entra lets the browser post: to where, and the fields.
#[derive(Debug, Clone)]
pub struct Post {
    pub to: String,
    pub fields: HashMap<String, String>,
}

impl Post {
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

/// The person opens Entra's page and answers it: `sign_in`, `consent`, `decline` (to consent) or `cancel`. An
/// error where Entra keeps the person: its page.
pub async fn answer(url: &Url, person: &str, answer: &str) -> Result<Post, String> {
    let http = reqwest::Client::builder().tls_certs_only([]).no_proxy().build().unwrap();
    let page = http.get(url.clone()).send().await.unwrap().text().await.unwrap();
    if !page.contains("name=\"user\"") {
        return form_post(&page).ok_or(page);
    }
    let tenant = url.path_segments().unwrap().next().unwrap();
    let mut login = url.clone();
    login.set_query(None);
    login.set_path(&format!("/{tenant}/login"));
    let carried = url.query_pairs().into_owned();
    let fields: Vec<(String, String)> =
        carried.chain([("user".into(), person.into()), ("answer".into(), answer.into())]).collect();
    let page = http.post(login).form(&fields).send().await.unwrap().text().await.unwrap();
    form_post(&page).ok_or(page)
}

/// The form that posts itself.
fn form_post(page: &str) -> Option<Post> {
    page.contains("hiddenform")
        .then(|| Post { to: between(page, "action=\"", "\"").map(unescape).unwrap_or_default(), fields: hidden(page) })
}

/// The hidden fields of a page.
pub fn hidden(page: &str) -> HashMap<String, String> {
    page.split("<input type=\"hidden\"")
        .skip(1)
        .filter_map(|input| {
            Some((unescape(between(input, "name=\"", "\"")?), unescape(between(input, "value=\"", "\"")?)))
        })
        .collect()
}

/// The first text between two others.
pub fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(inner, _)| inner)
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}
