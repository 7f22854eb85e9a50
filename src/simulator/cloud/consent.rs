//! Entra's admin consent page: `/<tenant>/adminconsent`, and back to the application with the word that it was given.
//!
//! As Microsoft documents it: it grants what stands under the registration's API permissions, whatever is asked for at
//! a sign-in, and sends the browser to `redirect_uri`, or without one to the registered reply address, by GET.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use url::Url;

use super::authorize::page_of;
use super::directory::Realm;
use super::entra::{Form, client};
use super::errors::Fail;
use super::html::{escape, hidden, show};
use super::{Shared, World};

/// What of a request goes along through the page.
const CARRIED: &[&str] = &["client_id", "redirect_uri", "state"];

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new().route("/{tenant}/adminconsent", get(asked).post(answered))
}

async fn asked(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>, Query(form): Query<Form>) -> Response {
    shared.world().admin_asked(&tenant, &form).unwrap_or_else(|fail| page_of(&fail))
}

async fn answered(State(shared): State<Arc<Shared>>, Path(tenant): Path<String>, form: Form) -> Response {
    shared.world().admin_answered(&tenant, &form).unwrap_or_else(|fail| page_of(&fail))
}

impl World {
    /// The page that asks. Whoever signs in on it is taken for an administrator of their tenant.
    fn admin_asked(&self, tenant: &str, form: &Form) -> Result<Response, Fail> {
        let (_, index) = client(&self.directory, tenant, form)?;
        let application = &self.directory.applications[index];
        self.reply_address(index, form.get("redirect_uri"))?;
        let wanted = application.delegated.iter().chain(&application.roles);
        let wanted: String = wanted.map(|name| format!("<li>{}</li>", escape(name))).collect();
        let people = self.directory.people.iter().take(100);
        let people: String =
            people.map(|person| format!("<option value=\"{0}\">{0}</option>", escape(&person.upn))).collect();
        let carried: String = CARRIED.iter().filter_map(|name| Some(hidden(name, form.get(name)?))).collect();
        Ok(show(&format!(
            "<h2>Permissions requested</h2><p>Review for your organization</p><ul>{wanted}</ul>\
             <form method=\"post\" action=\"/{}/adminconsent\">{carried}\
             <p><label>Sign in as <select name=\"user\">{people}</select></label></p>\
             <p><button name=\"answer\" value=\"consent\">Accept</button> \
             <button name=\"answer\" value=\"decline\">Cancel</button></p></form>",
            escape(tenant),
        ))
        .into_response())
    }

    fn admin_answered(&mut self, tenant: &str, form: &Form) -> Result<Response, Fail> {
        let (realm, index) = client(&self.directory, tenant, form)?;
        let user = form.get("user").unwrap_or_default();
        let person = self.directory.person(user).ok_or_else(|| Fail::no_such_person(user))?;
        let tenant = self.directory.people[person].tenant;
        if realm != Realm::Any && realm != Realm::One(tenant) {
            return Err(Fail::other_tenant(user, &self.directory.tenants[tenant].domain));
        }
        let address = self.reply_address(index, form.get("redirect_uri"))?;
        let mut answer = vec![("admin_consent", "True".to_owned())];
        if form.get("answer") == Some("consent") {
            let application = &self.directory.applications[index];
            let (delegated, roles) = (application.delegated.clone(), application.roles.clone());
            let consent = self.directory.consent_mut(index, tenant);
            consent.delegated.extend(delegated);
            consent.roles.extend(roles);
            answer.push(("tenant", self.directory.tenants[tenant].id.clone()));
        } else {
            let (_, description) = Fail::consent_declined().for_redirect();
            answer.extend([("error", "consent_required".to_owned()), ("error_description", description)]);
        }
        answer.extend(form.get("state").map(|state| ("state", state.to_owned())));
        // Only now: the consent was given all the same.
        let mut address = address.ok_or_else(Fail::no_reply_address)?;
        address.query_pairs_mut().extend_pairs(answer);
        Ok((StatusCode::FOUND, [("location", String::from(address))]).into_response())
    }

    /// Where the browser is sent: none where none is registered.
    fn reply_address(&self, application: usize, asked: Option<&str>) -> Result<Option<Url>, Fail> {
        let application = &self.directory.applications[application];
        let address = match asked {
            Some(uri) if application.platform_of(uri).is_none() => {
                return Err(Fail::redirect_unknown(uri, application));
            }
            Some(uri) => Some(uri),
            None => application.redirects.first().map(|(_, uri)| uri.as_str()),
        };
        Ok(address.and_then(|address| Url::parse(address).ok()))
    }
}
