//! `{err_code, err_msg, request_id}`; the id stands in the header `x-request-id` too. Its SDKs repeat
//! 409, 408, 429 and 5xx by themselves, so what no second try mends is a 400.

use actix_web::http::header;
use actix_web::{HttpResponse, HttpResponseBuilder};

use crate::dialects::deepgram::wire::ErrorAnswer;
use crate::domain::{Class, Context, Fault, Refusal};
use crate::edge::Failure;

pub fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) => refused(refusal, ctx),
        Failure::Fault(Fault::Busy { .. }) => {
            error(HttpResponse::ServiceUnavailable(), "SERVICE_UNAVAILABLE", "The server cannot answer right now.", ctx)
        }
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            error(HttpResponse::InternalServerError(), "INTERNAL_SERVER_ERROR", "Something went wrong.", ctx)
        }
        Failure::NotFound => error(HttpResponse::NotFound(), "NOT_FOUND", "There is nothing at this path.", ctx),
        Failure::Method(_) => {
            error(HttpResponse::MethodNotAllowed(), "METHOD_NOT_ALLOWED", "This method is not allowed here.", ctx)
        }
        Failure::TooLarge => error(HttpResponse::BadRequest(), "BAD_REQUEST", "The body is too large.", ctx),
        Failure::TooSlow => error(HttpResponse::RequestTimeout(), "REQUEST_TIMEOUT", "The body came too slowly.", ctx),
    }
}

/// No project with this id that the key may see.
pub fn no_such_project(ctx: &Context) -> HttpResponse {
    error(HttpResponse::NotFound(), "PROJECT_NOT_FOUND", "There is no such project.", ctx)
}

fn refused(refusal: &Refusal, ctx: &Context) -> HttpResponse {
    let hint: &str = &refusal.sentences();
    match refusal.class() {
        Class::BadRequest
        | Class::BadMedia
        | Class::BadGrant
        | Class::UnsupportedGrant
        | Class::Conflict
        | Class::Stale
        | Class::BadField => error(HttpResponse::BadRequest(), "BAD_REQUEST", hint, ctx),
        Class::BadClient | Class::LoginNeeded => {
            let mut answer = HttpResponse::Unauthorized();
            answer.insert_header((header::WWW_AUTHENTICATE, "Token"));
            error(answer, "INVALID_AUTH", "Invalid credentials.", ctx)
        }
        // What the key may not have, it may not give. Why comes after the words of the reference.
        Class::NotAllowed | Class::BadScope | Class::BadTarget => {
            error(HttpResponse::Forbidden(), "FORBIDDEN", &format!("Insufficient permissions. {hint}"), ctx)
        }
        Class::TooMany => error(HttpResponse::TooManyRequests(), "TOO_MANY_REQUESTS", hint, ctx),
        Class::Unknown => error(HttpResponse::NotFound(), "NOT_FOUND", hint, ctx),
    }
}

fn error(mut answer: HttpResponseBuilder, err_code: &str, err_msg: &str, ctx: &Context) -> HttpResponse {
    answer.json(ErrorAnswer { err_code, err_msg, request_id: &ctx.request_id })
}
