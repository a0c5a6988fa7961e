//! Logout (OIDC RP-Initiated Logout): with proof of who asks at once, else after the person said yes.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use url::form_urlencoded::Serializer;

use crate::domain::authorize::Logout;
use crate::domain::{Failed, Refusal};
use crate::edge::form::Form;
use crate::engine::Engine;
use crate::web::answer::{Policy, page, redirect, set_cookie};
use crate::web::cookies::Cookie;
use crate::web::csrf::FormName;
use crate::web::flow::{bind, detour};
use crate::web::pages::{LogoutView, SignedOutView};
use crate::web::params;
use crate::web::visit::{Visit, serve};

pub async fn get(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| answer(visit, &visit.query()?).await).await
}

pub async fn post(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let form = visit.form()?;
        match detour(visit, "/oauth2/logout")? {
            Some(answer) => Ok(answer),
            None => answer(visit, &form).await,
        }
    })
    .await
}

/// The form of the page that asked.
pub async fn confirm(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        visit.require_own_site()?;
        let form = visit.form()?;
        visit.require_token(FormName::Logout, visit.browser.session.as_ref(), &form)?;
        let flow = form.get("flow").ok_or_else(|| Failed::from(Refusal::malformed("flow is missing.")))?;
        let next = visit.engine.confirm_logout(visit.ctx, &visit.provider, flow, &visit.browser).await?;
        proceed(visit, next, None)
    })
    .await
}

/// The page at the end.
pub async fn done(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let query = visit.query()?;
        let wanted = query.get("ui_locales").unwrap_or_default();
        let view = SignedOutView { ui: visit.ui(wanted.split(' ')) };
        page(StatusCode::OK, &view, Policy::default())
    })
    .await
}

async fn answer(visit: &Visit<'_>, form: &Form<'_>) -> Result<HttpResponse, Failed> {
    let asked = params::logout(form);
    let wanted = asked.ui_locales.clone();
    let next = visit.engine.logout(visit.ctx, &visit.provider, asked, &visit.browser).await?;
    proceed(visit, next, wanted.as_deref())
}

fn proceed(visit: &Visit<'_>, next: Logout, ui_locales: Option<&str>) -> Result<HttpResponse, Failed> {
    match next {
        Logout::Ended { to } => ended(visit, to.as_deref(), ui_locales),
        Logout::Ask { waiting, client_name, username, redirect_origin } => {
            let cookie = visit.browser.session.as_ref();
            let token = cookie.map(|cookie| visit.form_token(FormName::Logout, cookie, &waiting.flow));
            let view = LogoutView {
                ui: visit.ui(ui_locales.unwrap_or_default().split(' ')),
                client: client_name.as_deref(),
                username: &username,
                flow: &waiting.flow,
                token: token.unwrap_or_default(),
            };
            let policy = Policy { leads_to: redirect_origin.as_deref(), script: false, of_client: true };
            let mut answer = page(StatusCode::OK, &view, policy)?;
            bind(visit, &mut answer, &waiting)?;
            Ok(answer)
        }
    }
}

/// The session is over: its cookie goes, and the browser moves on.
pub fn ended(visit: &Visit<'_>, to: Option<&str>, ui_locales: Option<&str>) -> Result<HttpResponse, Failed> {
    let mut answer = match (to, ui_locales) {
        (Some(to), _) => redirect(to)?,
        (None, None) => visit.to_page("/logged-out")?,
        (None, Some(wanted)) => {
            let query = Serializer::new(String::new()).append_pair("ui_locales", wanted).finish();
            visit.to_page(&format!("/logged-out?{query}"))?
        }
    };
    set_cookie(&mut answer, Cookie::Session.drop(&visit.brand)?);
    Ok(answer)
}
