//! `{code, message}` with the statuses the API documents: 400, 500, 503, beside 404 and 405 for
//! paths and methods that do not exist.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::dialects::runai::wire::ErrorAnswer;
use crate::domain::{Class, Fault, Refusal};
use crate::edge::Failure;

pub fn fail(failure: Failure<'_>) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) => error(status(refusal), &refusal.hint),
        Failure::Fault(Fault::Busy { .. }) => {
            error(StatusCode::SERVICE_UNAVAILABLE, "Please try again in few minutes.")
        }
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            error(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong.")
        }
        Failure::NotFound => error(StatusCode::NOT_FOUND, "There is nothing at this path."),
        Failure::Method(_) => error(StatusCode::METHOD_NOT_ALLOWED, "This method is not allowed here."),
        Failure::TooLarge => error(StatusCode::BAD_REQUEST, "The body is too large."),
        Failure::TooSlow => error(StatusCode::BAD_REQUEST, "The body came too slowly."),
    }
}

/// 401 would make the published client repeat its login three times, 429 as well.
fn status(refusal: &Refusal) -> StatusCode {
    match refusal.class() {
        Class::BadRequest
        | Class::BadMedia
        | Class::BadClient
        | Class::LoginNeeded
        | Class::BadGrant
        | Class::NotAllowed
        | Class::UnsupportedGrant
        | Class::BadScope
        | Class::BadTarget
        | Class::TooMany
        | Class::Conflict
        | Class::Stale
        | Class::BadField => StatusCode::BAD_REQUEST,
        Class::Unknown => StatusCode::NOT_FOUND,
    }
}

fn error(status: StatusCode, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(ErrorAnswer { code: status.as_u16(), message })
}
