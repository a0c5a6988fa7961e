//! `{is_error: true, error, error_description}` with the codes of RFC 6749 §5.2: 401 for a client that
//! did not prove itself, 400 for the rest, beside what every surface may answer.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::dialects::endorsed::wire::ErrorAnswer;
use crate::domain::{Class, Fault, Refusal};
use crate::edge::Failure;

pub fn fail(failure: Failure<'_>) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) => refused(refusal),
        Failure::Fault(Fault::Busy { .. }) => {
            error(HttpResponse::ServiceUnavailable(), "temporarily_unavailable", "The server cannot answer right now.")
        }
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            error(HttpResponse::InternalServerError(), "server_error", "Something went wrong.")
        }
        Failure::NotFound => error(HttpResponse::NotFound(), "not_found", "There is nothing at this path."),
        Failure::Method(_) => {
            error(HttpResponse::MethodNotAllowed(), "invalid_request", "This method is not allowed here.")
        }
        Failure::TooLarge => error(HttpResponse::BadRequest(), "invalid_request", "The body is too large."),
        Failure::TooSlow => error(HttpResponse::RequestTimeout(), "invalid_request", "The body came too slowly."),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let (status, code) = match refusal.class() {
        Class::BadRequest | Class::BadMedia | Class::Conflict | Class::Stale | Class::BadField => {
            (StatusCode::BAD_REQUEST, "invalid_request")
        }
        // No challenge goes with it: the credentials stand in the body, where no scheme asks for them.
        Class::BadClient | Class::LoginNeeded => (StatusCode::UNAUTHORIZED, "invalid_client"),
        Class::BadGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
        Class::NotAllowed => (StatusCode::BAD_REQUEST, "unauthorized_client"),
        Class::UnsupportedGrant => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
        Class::BadScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
        Class::BadTarget => (StatusCode::BAD_REQUEST, "invalid_target"),
        Class::TooMany => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
        Class::Unknown => (StatusCode::NOT_FOUND, "not_found"),
    };
    error(HttpResponse::build(status), code, &refusal.sentences())
}

fn error(mut answer: HttpResponseBuilder, error: &'static str, error_description: &str) -> HttpResponse {
    answer.json(ErrorAnswer { is_error: true, error, error_description })
}
