//! The login page. Its errors are shown in the form; what was typed as name is kept, the password
//! never. Without a flow the person came on their own and goes on to their account.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;

use crate::domain::authorize::LoggedIn;
use crate::domain::refusal::RefusalKind;
use crate::domain::{Class, Failed, Refusal};
use crate::edge::exchange::log_refusal;
use crate::edge::form::Form;
use crate::engine::Engine;
use crate::web::answer::{Policy, page, set_cookie};
use crate::web::cookies::{Cookie, DEVICE_MAX_AGE};
use crate::web::csrf::FormName;
use crate::web::error_page::retry;
use crate::web::flow::proceed;
use crate::web::pages::LoginView;
use crate::web::visit::{Visit, serve};

pub async fn get(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let query = visit.query()?;
        show(visit, query.get("flow"), &Shown::default()).await
    })
    .await
}

pub async fn post(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        visit.require_own_site()?;
        let form = visit.form()?;
        let (flow, username) = (form.get("flow"), form.get("username").unwrap_or_default());
        if !visit.has_token(FormName::Login, visit.browser.flow.as_ref(), &form) {
            return show(visit, flow, &Shown::stale(username)).await;
        }
        match (form.get("action"), flow) {
            (Some("cancel"), Some(flow)) => {
                let next = visit.engine.cancel_login(visit.ctx, &visit.provider, flow, &visit.browser).await?;
                proceed(visit, next)
            }
            _ => log_in(visit, &form, flow, username).await,
        }
    })
    .await
}

/// How the form looks: empty at first, with what was wrong later.
#[derive(Default)]
struct Shown<'a> {
    username: Option<&'a str>,
    /// Status, key of the sentence, and whether it is about what was typed.
    error: Option<(StatusCode, &'static str, bool)>,
}

impl<'a> Shown<'a> {
    fn wrong(username: &'a str, status: StatusCode, error: &'static str, is_wrong: bool) -> Self {
        Self { username: Some(username), error: Some((status, error, is_wrong)) }
    }

    fn stale(username: &'a str) -> Self {
        Self::wrong(username, StatusCode::FORBIDDEN, "login-stale", false)
    }
}

async fn log_in(
    visit: &Visit<'_>,
    form: &Form<'_>,
    flow: Option<&str>,
    username: &str,
) -> Result<HttpResponse, Failed> {
    let password = form.get("password").map(SecretString::from);
    let (false, Some(password)) = (username.is_empty(), password) else {
        let shown = Shown::wrong(username, StatusCode::BAD_REQUEST, "login-missing", true);
        return show(visit, flow, &shown).await;
    };
    let Visit { engine, ctx, provider, browser, .. } = visit;
    match engine.log_in(ctx, provider, flow, browser, username, &password).await {
        Ok(logged_in) => welcome(visit, logged_in),
        Err(Failed::Refused(refusal)) => refused(visit, flow, username, refusal).await,
        Err(fault) => Err(fault),
    }
}

/// The session begins: a new secret in the cookie, whatever was there before (no fixation).
fn welcome(visit: &Visit<'_>, logged_in: LoggedIn) -> Result<HttpResponse, Failed> {
    let LoggedIn { session, session_max_age, device, next } = logged_in;
    let mut answer = match next {
        Some(next) => proceed(visit, next)?,
        None => visit.to_page("/account")?,
    };
    set_cookie(&mut answer, Cookie::Session.set(&visit.brand, &session, Some(session_max_age))?);
    set_cookie(&mut answer, Cookie::Device.set(&visit.brand, &device, Some(DEVICE_MAX_AGE))?);
    Ok(answer)
}

async fn refused(
    visit: &Visit<'_>,
    flow: Option<&str>,
    username: &str,
    refusal: Refusal,
) -> Result<HttpResponse, Failed> {
    let shown = match refusal.class() {
        Class::BadGrant => Shown::wrong(username, StatusCode::BAD_REQUEST, "login-wrong", true),
        Class::TooMany => Shown::wrong(username, StatusCode::TOO_MANY_REQUESTS, "login-slowed", false),
        _ => return Err(refusal.into()),
    };
    // A flow that is no longer good is told as such, by the page below.
    let mut answer = show(visit, flow, &shown).await?;
    if let RefusalKind::RateLimited { retry_after } = refusal.kind {
        retry(&mut answer, retry_after);
    }
    log_refusal(&refusal, visit.ctx);
    Ok(answer)
}

async fn show(visit: &Visit<'_>, flow: Option<&str>, shown: &Shown<'_>) -> Result<HttpResponse, Failed> {
    let asked = visit.engine.login_page(visit.ctx, &visit.provider, flow, &visit.browser).await?;
    // Who comes without a flow has no cookie yet that the form's token could be bound to.
    let fresh = visit.browser.flow.is_none().then(|| visit.engine.cookie_secret());
    let token = visit.browser.flow.as_ref().or(fresh.as_ref());
    let token = token.map(|cookie| visit.form_token(FormName::Login, cookie, flow.unwrap_or_default()));
    let (status, error, is_wrong) = match shown.error {
        Some((status, error, is_wrong)) => (status, Some(error), is_wrong),
        None => (StatusCode::OK, None, false),
    };
    let view = LoginView {
        ui: visit.ui(asked.ui_locales.iter().map(String::as_str)),
        client: asked.client_name.as_deref(),
        flow,
        token: token.unwrap_or_default(),
        username: shown.username.or(asked.login_hint.as_deref()).unwrap_or_default(),
        error,
        is_wrong,
    };
    let policy =
        Policy { leads_to: asked.redirect_origin.as_deref(), script: false, of_client: asked.client_name.is_some() };
    let mut answer = page(status, &view, policy)?;
    if let Some(secret) = fresh {
        set_cookie(&mut answer, Cookie::Flow.set(&visit.brand, &secret, None)?);
    }
    Ok(answer)
}
