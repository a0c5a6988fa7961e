//! The consent page: the person says what a client may do.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::{Failed, Refusal};
use crate::engine::Engine;
use crate::web::answer::{Policy, page};
use crate::web::csrf::FormName;
use crate::web::flow::proceed;
use crate::web::pages::{ConsentView, Ui};
use crate::web::visit::{Visit, serve};

pub async fn get(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let query = visit.query()?;
        let flow = query.get("flow").ok_or_else(no_flow)?;
        show(visit, flow).await
    })
    .await
}

pub async fn post(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        visit.require_own_site()?;
        let form = visit.form()?;
        visit.require_token(FormName::Consent, visit.browser.flow.as_ref(), &form)?;
        let flow = form.get("flow").ok_or_else(no_flow)?;
        let allow = match form.get("decision") {
            Some("allow") => true,
            Some("deny") => false,
            _ => return Err(Refusal::malformed("decision is neither allow nor deny.").into()),
        };
        let next = visit.engine.decide_consent(visit.ctx, &visit.provider, flow, &visit.browser, allow).await?;
        proceed(visit, next)
    })
    .await
}

fn no_flow() -> Failed {
    Refusal::malformed("flow is missing.").into()
}

async fn show(visit: &Visit<'_>, flow: &str) -> Result<HttpResponse, Failed> {
    let asked = visit.engine.consent_page(visit.ctx, &visit.provider, flow, &visit.browser).await?;
    let cookie = visit.browser.flow.as_ref();
    let token = cookie.map(|cookie| visit.form_token(FormName::Consent, cookie, flow)).unwrap_or_default();
    let ui = visit.ui(asked.ui_locales.iter().map(String::as_str));
    let scopes = asked.scope.iter().map(|scope| sentence(&ui, scope)).collect();
    let (client, username) = (asked.client_name.as_str(), asked.username.as_str());
    let view = ConsentView { ui, client, username, scopes, flow, token };
    let policy = Policy { leads_to: asked.redirect_origin.as_deref(), script: false, of_client: true };
    page(StatusCode::OK, &view, policy)
}

/// What a scope means to the person; a name that an admin made stands for itself.
fn sentence(ui: &Ui, scope: &str) -> String {
    match scope {
        "openid" => ui.t("scope-openid"),
        "profile" => ui.t("scope-profile"),
        "email" => ui.t("scope-email"),
        "groups" => ui.t("scope-groups"),
        "roles" => ui.t("scope-roles"),
        "offline_access" => ui.t("scope-offline-access"),
        other => ui.with("scope-other", "scope", other),
    }
}
