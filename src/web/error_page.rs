//! The error page: one fixed sentence for each class of failure, and the request id by which the
//! operator finds the rest. Nothing of the request stands on it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};

use crate::domain::{Class, Context, Fault, Refusal};
use crate::edge::Failure;
use crate::web::answer::{Policy, page};
use crate::web::locale::Language;
use crate::web::pages::{ErrorView, Ui};

/// The page in English and without a provider's look: for where the request is not at hand.
pub fn unseen(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
    answer(Ui::of(None, "", Language::English), failure, ctx)
}

pub fn answer(ui: Ui, failure: Failure<'_>, ctx: &Context) -> HttpResponse {
    let (status, sentence) = told(failure);
    let hint = match failure {
        Failure::Refused(refusal) if is_for_developers(refusal) => refusal.hint.as_ref(),
        _ => "",
    };
    let view = ErrorView { ui, sentence, hint, request_id: &ctx.request_id };
    let answer = page(status, &view, Policy::default());
    answer.unwrap_or_else(|_| HttpResponse::InternalServerError().finish())
}

/// When another try is worth it.
pub fn retry(answer: &mut HttpResponse, seconds: u32) {
    put(answer, header::RETRY_AFTER, &seconds.to_string());
}

fn put(answer: &mut HttpResponse, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

/// Whether the hint helps whoever built the client that sent the browser here.
fn is_for_developers(refusal: &Refusal) -> bool {
    !matches!(refusal.class(), Class::TooMany | Class::Stale | Class::LoginNeeded | Class::BadGrant)
}

fn told(failure: Failure<'_>) -> (StatusCode, &'static str) {
    match failure {
        Failure::Refused(refusal) => match refusal.class() {
            Class::BadRequest | Class::BadMedia | Class::BadScope | Class::BadTarget | Class::UnsupportedGrant => {
                (StatusCode::BAD_REQUEST, "error-request")
            }
            Class::BadField => (StatusCode::BAD_REQUEST, "error-request"),
            Class::BadClient => (StatusCode::BAD_REQUEST, "error-client"),
            Class::BadGrant => (StatusCode::BAD_REQUEST, "error-flow"),
            Class::LoginNeeded => (StatusCode::FORBIDDEN, "error-sign-in-first"),
            Class::NotAllowed => (StatusCode::FORBIDDEN, "error-forbidden"),
            Class::TooMany => (StatusCode::TOO_MANY_REQUESTS, "error-too-many"),
            Class::Unknown => (StatusCode::NOT_FOUND, "error-not-found"),
            Class::Conflict => (StatusCode::CONFLICT, "error-conflict"),
            // The only thing of a page that grows old is its form.
            Class::Stale => (StatusCode::FORBIDDEN, "error-form"),
        },
        Failure::Fault(Fault::Busy { .. }) => (StatusCode::SERVICE_UNAVAILABLE, "error-busy"),
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "error-fault")
        }
        Failure::NotFound => (StatusCode::NOT_FOUND, "error-not-found"),
        Failure::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "error-method"),
        Failure::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "error-too-large"),
        Failure::TooSlow => (StatusCode::REQUEST_TIMEOUT, "error-too-slow"),
    }
}
