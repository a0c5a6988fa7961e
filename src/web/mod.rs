//! The pages: what a person sees in a browser. They log in, say what a client may do, look after their
//! account and log out; `flow/` holds the steps between a client and the person, `account/` what people
//! do on their own. Plain HTML forms that work without script, rendered from `templates/`, in English
//! and German. All rules are the engine's; here is what belongs to browsers: cookies, forms and their
//! tokens, redirects, policies.

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::Context;
use crate::edge::{Failure, OperationDoc, RouteSpec, Surface};

mod account;
mod answer;
mod assets;
mod brand;
mod cookies;
mod csrf;
mod describe;
mod error_page;
mod flow;
mod locale;
mod pages;
mod params;
mod visit;

/// The pages and the endpoints that browsers are sent to.
pub struct Web;

/// Path of the public URL, for pages of no provider.
pub struct Base(pub String);

macro_rules! route {
    ($method:ident, $path:literal, $id:literal, $summary:literal, $handler:path, $describe:path) => {
        RouteSpec::new(Method::$method, $path, $id, $summary, || web::to($handler)).doc($describe)
    };
}

impl Surface for Web {
    const NAME: &'static str = "web";
    const PREFIXES: &'static [&'static str] = &["/login", "/consent", "/account", "/logout", "/logged-out", "/assets"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 18] = [
            route!(
                GET,
                "/oauth2/authorize",
                "authorize",
                "Authorization endpoint (RFC 6749 §3.1, OIDC Core §3.1.2)",
                flow::authorize::get,
                describe::authorize
            ),
            route!(
                POST,
                "/oauth2/authorize",
                "authorize_by_form",
                "Authorization endpoint, parameters in the body",
                flow::authorize::post,
                describe::authorize_by_form
            ),
            route!(
                GET,
                "/oauth2/logout",
                "logout",
                "End-session endpoint (OIDC RP-Initiated Logout)",
                flow::logout::get,
                describe::logout
            ),
            route!(
                POST,
                "/oauth2/logout",
                "logout_by_form",
                "End-session endpoint, parameters in the body",
                flow::logout::post,
                describe::logout_by_form
            ),
            route!(GET, "/login", "login_page", "Page: login", flow::login::get, describe::login),
            route!(POST, "/login", "login_form", "The form of the login page", flow::login::post, describe::login_form),
            route!(GET, "/consent", "consent_page", "Page: consent", flow::consent::get, describe::consent),
            route!(
                POST,
                "/consent",
                "consent_form",
                "The form of the consent page",
                flow::consent::post,
                describe::consent_form
            ),
            route!(
                POST,
                "/logout",
                "logout_form",
                "The form of the page that asks before logout",
                flow::logout::confirm,
                describe::logout_confirmed
            ),
            route!(GET, "/logged-out", "logged_out_page", "Page: signed out", flow::logout::done, describe::page),
            route!(GET, "/account", "account_page", "Page: one's own account", account::get, describe::account),
            route!(
                POST,
                "/account/profile",
                "account_profile_form",
                "Changes one's own name",
                account::profile,
                describe::profile
            ),
            route!(
                POST,
                "/account/password",
                "account_password_form",
                "Changes one's own password",
                account::password,
                describe::password
            ),
            route!(
                POST,
                "/account/sessions/end",
                "account_session_form",
                "Ends one session",
                account::end_session,
                describe::session
            ),
            route!(
                POST,
                "/account/sessions/end-all",
                "account_sessions_form",
                "Ends all sessions",
                account::end_all,
                describe::sessions
            ),
            route!(GET, "/assets/style.css", "style", "Stylesheet of the pages", assets::style, describe::style),
            route!(GET, "/assets/brand.css", "brand_style", "The provider's colour", assets::brand, describe::style),
            route!(
                GET,
                "/assets/submit.js",
                "submit_script",
                "Script of the form post page",
                assets::submit,
                describe::script
            ),
        ];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        error_page::unseen(failure, ctx)
    }

    fn fail_for(request: &HttpRequest, failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        error_page::answer(visit::ui_of(request), failure, ctx)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        describe::every(doc);
    }

    fn dress(response: &mut HttpResponse, _ctx: &Context) {
        answer::dress(response.headers_mut());
        if response.headers().get(header::SET_COOKIE).is_some() {
            // Also where something else may be kept: never an answer with a cookie.
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}
