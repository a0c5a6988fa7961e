//! `{code, message}`: the code is a word for the status, the message a sentence.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use crate::dialects::usegrant::wire::ErrorAnswer;
use crate::domain::refusal::FieldError;
use crate::domain::{Class, Fault, Refusal};
use crate::edge::Failure;

type Kind = (StatusCode, &'static str);

const BAD_REQUEST: Kind = (StatusCode::BAD_REQUEST, "bad_request");
const UNAUTHORIZED: Kind = (StatusCode::UNAUTHORIZED, "unauthorized");
const FORBIDDEN: Kind = (StatusCode::FORBIDDEN, "forbidden");
const NOT_FOUND: Kind = (StatusCode::NOT_FOUND, "not_found");
const METHOD_NOT_ALLOWED: Kind = (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
const REQUEST_TIMEOUT: Kind = (StatusCode::REQUEST_TIMEOUT, "request_timeout");
const CONFLICT: Kind = (StatusCode::CONFLICT, "conflict");
const TOO_MANY_REQUESTS: Kind = (StatusCode::TOO_MANY_REQUESTS, "too_many_requests");
const INTERNAL_SERVER_ERROR: Kind = (StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error");
const SERVICE_UNAVAILABLE: Kind = (StatusCode::SERVICE_UNAVAILABLE, "service_unavailable");

pub fn fail(failure: Failure<'_>) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) => refused(refusal),
        Failure::Fault(Fault::Busy { .. }) => error(SERVICE_UNAVAILABLE, "The server cannot answer right now."),
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            error(INTERNAL_SERVER_ERROR, "Something went wrong.")
        }
        Failure::NotFound => error(NOT_FOUND, "There is nothing at this path."),
        Failure::Method(_) => error(METHOD_NOT_ALLOWED, "This method is not allowed here."),
        Failure::TooLarge => error(BAD_REQUEST, "The body is larger than 64 KiB."),
        Failure::TooSlow => error(REQUEST_TIMEOUT, "The body came too slowly."),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let kind = kind(refusal.class());
    let mut answer = match refusal.untold_fields() {
        [] => error(kind, &refusal.hint),
        fields => error(kind, &sentences(fields)),
    };
    if kind == UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

fn kind(class: Class) -> Kind {
    match class {
        Class::BadRequest
        | Class::BadMedia
        | Class::BadGrant
        | Class::UnsupportedGrant
        | Class::BadScope
        | Class::BadTarget
        | Class::BadField => BAD_REQUEST,
        Class::BadClient | Class::LoginNeeded => UNAUTHORIZED,
        Class::NotAllowed => FORBIDDEN,
        Class::Unknown => NOT_FOUND,
        Class::Conflict | Class::Stale => CONFLICT,
        Class::TooMany => TOO_MANY_REQUESTS,
    }
}

/// A message tells of no more wrong fields.
const MOST_ERRORS: usize = 50;

/// `name must be 3 to 50 characters; audience is needed`.
fn sentences(errors: &[FieldError]) -> String {
    let told = errors
        .iter()
        .take(MOST_ERRORS)
        .map(|error| format!("{} {}", error.pointer.trim_start_matches('/'), error.detail));
    told.collect::<Vec<_>>().join("; ")
}

fn error((status, code): Kind, message: &str) -> HttpResponse {
    HttpResponse::build(status).json(ErrorAnswer { code, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_wrong_fields_the_first_are_told() {
        let wrong = |at: usize| FieldError { pointer: format!("/f{at}"), detail: "is wrong".to_owned() };
        let told = sentences(&(0..500).map(wrong).collect::<Vec<_>>());
        assert!(told.starts_with("f0 is wrong; f1 is wrong; ") && told.ends_with("; f49 is wrong"), "{told}");
    }
}
