//! Between a client and the person: authorize → login → consent → back to the client, and logout. What
//! is asked for waits in a sealed *flow* that travels with the browser, bound to it by a cookie.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use url::form_urlencoded::{self, Serializer};

use crate::domain::Failed;
use crate::domain::authorize::{Authorize, Waiting};
use crate::web::answer::{Policy, page, redirect, set_cookie};
use crate::web::cookies::Cookie;
use crate::web::pages::FormPostView;
use crate::web::visit::Visit;

pub mod authorize;
pub mod consent;
pub mod login;
pub mod logout;

/// What fits into an address that every proxy passes on, bytes.
const LONGEST_QUERY: usize = 6000;

/// Does what the engine says comes next.
fn proceed(visit: &Visit<'_>, next: Authorize) -> Result<HttpResponse, Failed> {
    match next {
        Authorize::Redirect(to) => redirect(&to),
        Authorize::FormPost { to, fields } => {
            let view = FormPostView { ui: visit.ui([]), to: &to, fields: &fields };
            page(StatusCode::OK, &view, Policy { leads_to: Some(&to), script: true, of_client: true })
        }
        Authorize::Login(waiting) => wait(visit, "/login", &waiting),
        Authorize::Consent(waiting) => wait(visit, "/consent", &waiting),
        Authorize::Page(refusal) => Err(refusal.into()),
    }
}

fn wait(visit: &Visit<'_>, path: &str, waiting: &Waiting) -> Result<HttpResponse, Failed> {
    let query = Serializer::new(String::new()).append_pair("flow", &waiting.flow).finish();
    let mut answer = visit.to_page(&format!("{path}?{query}"))?;
    bind(visit, &mut answer, waiting)?;
    Ok(answer)
}

/// Gives the browser what the flow is bound to, if it is new.
fn bind(visit: &Visit<'_>, answer: &mut HttpResponse, waiting: &Waiting) -> Result<(), Failed> {
    if let Some(binding) = &waiting.binding {
        set_cookie(answer, Cookie::Flow.set(&visit.brand, binding, None)?);
    }
    Ok(())
}

/// A form that another site's page posted comes without our cookies, which are `SameSite=Lax`: the
/// person would look logged out. The same parameters by GET bring them along.
fn detour(visit: &Visit<'_>, path: &str) -> Result<Option<HttpResponse>, Failed> {
    let is_cross_site = visit.header("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"cross-site");
    if visit.call.method != Method::POST || !is_cross_site || visit.browser.session.is_some() {
        return Ok(None);
    }
    let query = Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(visit.call.body)).finish();
    if query.len() > LONGEST_QUERY {
        return Ok(None);
    }
    visit.to_page(&format!("{path}?{query}")).map(Some)
}
