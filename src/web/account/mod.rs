//! One's own account: name, password, and where one is signed in. Who is not logged in is sent to the
//! login page. After a change the browser is sent back to the page, which says what was done.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;

use crate::domain::refusal::RefusalKind;
use crate::domain::{Class, Failed, Refusal};
use crate::edge::exchange::log_refusal;
use crate::edge::form::Form;
use crate::engine::Engine;
use crate::web::account::view::SessionView;
use crate::web::answer::{Policy, page};
use crate::web::csrf::FormName;
use crate::web::error_page::retry;
use crate::web::flow::logout::ended;
use crate::web::pages::{AccountTokens, AccountView};
use crate::web::visit::{Visit, serve};

pub mod view;

/// What the page says beside the account itself.
#[derive(Default)]
struct Shown<'a> {
    status: StatusCode,
    done: Option<&'static str>,
    /// As typed.
    name: Option<&'a str>,
    profile_error: Option<&'static str>,
    current_error: Option<&'static str>,
    new_error: Option<&'static str>,
}

pub async fn get(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let query = visit.query()?;
        let done = match query.get("done") {
            Some("profile") => Some("account-profile-done"),
            Some("password") => Some("account-password-done"),
            Some("session") => Some("account-session-done"),
            _ => None,
        };
        show(visit, Shown { done, ..Shown::default() }).await
    })
    .await
}

pub async fn profile(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let Some(form) = own_form(visit, FormName::Profile)? else { return visit.to_page("/login") };
        let name = form.get("name").unwrap_or_default();
        let changed = visit.engine.change_own_name(visit.ctx, &visit.provider, &visit.browser, name).await;
        match refused(changed)? {
            None => visit.to_page("/account?done=profile"),
            Some(refusal) => match refusal.class() {
                Class::BadField => {
                    let wrong = Some("account-name-wrong");
                    again(visit, &refusal, Shown { name: Some(name), profile_error: wrong, ..Shown::default() }).await
                }
                _ => elsewhere(visit, refusal),
            },
        }
    })
    .await
}

pub async fn password(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let Some(form) = own_form(visit, FormName::Password)? else { return visit.to_page("/login") };
        let secret = |name: &str| form.get(name).map(SecretString::from);
        let (Some(current), Some(new)) = (secret("current"), secret("new")) else {
            let refusal = Refusal::malformed("A password is missing.");
            let missing = Some("account-password-missing");
            return again(visit, &refusal, Shown { current_error: missing, ..Shown::default() }).await;
        };
        let Visit { engine, ctx, provider, browser, .. } = visit;
        let changed = engine.change_own_password(ctx, provider, browser, &current, &new).await;
        let Some(refusal) = refused(changed)? else { return visit.to_page("/account?done=password") };
        let wrong = match refusal.class() {
            Class::TooMany => Shown { current_error: Some("account-password-slowed"), ..Shown::default() },
            Class::BadField if is_about(&refusal, "/current_password") => {
                Shown { current_error: Some("account-password-wrong"), ..Shown::default() }
            }
            Class::BadField => Shown { new_error: Some("account-password-bad"), ..Shown::default() },
            _ => return elsewhere(visit, refusal),
        };
        again(visit, &refusal, wrong).await
    })
    .await
}

pub async fn end_session(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let Some(form) = own_form(visit, FormName::EndSession)? else { return visit.to_page("/login") };
        let session = form.get("session").ok_or_else(|| Failed::from(Refusal::malformed("session is missing.")))?;
        let done = visit.engine.end_own_session(visit.ctx, &visit.provider, &visit.browser, session).await;
        match refused(done)? {
            None => visit.to_page("/account?done=session"),
            Some(refusal) => elsewhere(visit, refusal),
        }
    })
    .await
}

pub async fn end_all(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        if own_form(visit, FormName::EndSessions)?.is_none() {
            return visit.to_page("/login");
        }
        match refused(visit.engine.end_own_sessions(visit.ctx, &visit.provider, &visit.browser).await)? {
            None => ended(visit, None, None),
            Some(refusal) => elsewhere(visit, refusal),
        }
    })
    .await
}

/// The form, if it was sent from our page in this browser; `None`: the browser has no session.
fn own_form<'a>(visit: &Visit<'a>, name: FormName) -> Result<Option<Form<'a>>, Failed> {
    visit.require_own_site()?;
    let form = visit.form()?;
    if visit.browser.session.is_none() {
        return Ok(None);
    }
    visit.require_token(name, visit.browser.session.as_ref(), &form)?;
    Ok(Some(form))
}

/// A fault goes on; a refusal is for the page.
fn refused(outcome: Result<(), Failed>) -> Result<Option<Refusal>, Failed> {
    match outcome {
        Ok(()) => Ok(None),
        Err(Failed::Refused(refusal)) => Ok(Some(refusal)),
        Err(fault) => Err(fault),
    }
}

/// Whether one of the wrong fields is this one.
fn is_about(refusal: &Refusal, pointer: &str) -> bool {
    matches!(&refusal.kind, RefusalKind::Invalid(errors) if errors.iter().any(|error| error.pointer == pointer))
}

/// A refusal that is about no field: a session that is over leads to the login page.
fn elsewhere(visit: &Visit<'_>, refusal: Refusal) -> Result<HttpResponse, Failed> {
    if refusal.class() == Class::LoginNeeded { visit.to_page("/login") } else { Err(refusal.into()) }
}

/// The page once more, with what was wrong.
async fn again(visit: &Visit<'_>, refusal: &Refusal, shown: Shown<'_>) -> Result<HttpResponse, Failed> {
    let (status, wait) = match refusal.kind {
        RefusalKind::RateLimited { retry_after } => (StatusCode::TOO_MANY_REQUESTS, Some(retry_after)),
        _ => (StatusCode::BAD_REQUEST, None),
    };
    let mut answer = show(visit, Shown { status, ..shown }).await?;
    if let Some(seconds) = wait {
        retry(&mut answer, seconds);
    }
    log_refusal(refusal, visit.ctx);
    Ok(answer)
}

async fn show(visit: &Visit<'_>, shown: Shown<'_>) -> Result<HttpResponse, Failed> {
    let account = visit.engine.account(visit.ctx, &visit.provider, &visit.browser).await?;
    let (Some(account), Some(cookie)) = (account, visit.browser.session.as_ref()) else {
        return visit.to_page("/login");
    };
    let ui = visit.ui([]);
    let unknown = ui.t("account-session-unknown");
    let token = |form| visit.form_token(form, cookie, "");
    let Shown { status, done, name, profile_error, current_error, new_error } = shown;
    let view = AccountView {
        sessions: account.sessions.iter().map(|session| SessionView::of(session, &unknown)).collect(),
        name: name.or(account.name.as_deref()).unwrap_or_default(),
        tokens: AccountTokens {
            profile: token(FormName::Profile),
            password: token(FormName::Password),
            session: token(FormName::EndSession),
            sessions: token(FormName::EndSessions),
        },
        ui,
        account: &account,
        done,
        profile_error,
        current_error,
        new_error,
    };
    page(status, &view, Policy::default())
}
