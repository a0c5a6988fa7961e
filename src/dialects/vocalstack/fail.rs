//! A status with its standard reason phrase, which is all that the client of this API shows. The body
//! says why, for people who look.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::dialects::vocalstack::wire::ErrorAnswer;
use crate::domain::{Class, Fault, Refusal};
use crate::edge::Failure;

pub fn fail(failure: Failure<'_>) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) => refused(refusal),
        Failure::Fault(Fault::Busy { .. }) => {
            error(HttpResponse::ServiceUnavailable(), "The server cannot answer right now.")
        }
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            error(HttpResponse::InternalServerError(), "Something went wrong.")
        }
        Failure::NotFound => error(HttpResponse::NotFound(), "There is nothing at this path."),
        Failure::Method(_) => error(HttpResponse::MethodNotAllowed(), "This method is not allowed here."),
        Failure::TooLarge => error(HttpResponse::BadRequest(), "The body is too large."),
        Failure::TooSlow => error(HttpResponse::RequestTimeout(), "The body came too slowly."),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let status = match refusal.class() {
        Class::BadRequest
        | Class::BadMedia
        | Class::BadGrant
        | Class::UnsupportedGrant
        | Class::Conflict
        | Class::Stale
        | Class::BadField => StatusCode::BAD_REQUEST,
        Class::BadClient | Class::LoginNeeded => StatusCode::UNAUTHORIZED,
        // What the key may not have, it may not give.
        Class::NotAllowed | Class::BadScope | Class::BadTarget => StatusCode::FORBIDDEN,
        Class::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Class::Unknown => StatusCode::NOT_FOUND,
    };
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    error(answer, &refusal.sentences())
}

fn error(mut answer: HttpResponseBuilder, error: &str) -> HttpResponse {
    answer.json(ErrorAnswer { status: "error", error })
}
