//! RFC 9457: `application/problem+json` for every failure of the API.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::refusal::FieldError;
use crate::domain::{Class, Context, Fault, Refusal, RefusalKind};
use crate::edge::Failure;

/// An answer names no more wrong fields: it should not be many times as large as what was sent.
const MOST_ERRORS: usize = 50;

/// RFC 9457.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct Problem<'a> {
    /// `about:blank`: the status says what it is.
    r#type: &'static str,
    title: &'static str,
    status: u16,
    /// For people. Never contains what was sent.
    detail: &'a str,
    /// Every field that is wrong, the first 50 of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Pointed<'a>>,
    /// So many more are wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_errors: Option<usize>,
    request_id: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "FieldError")]
struct Pointed<'a> {
    /// JSON pointer into the body (RFC 6901); empty for the whole.
    pointer: &'a str,
    detail: &'a str,
}

pub fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
    match failure {
        Failure::Refused(refusal) => refused(refusal, ctx),
        Failure::Fault(Fault::Busy { .. }) => {
            problem(StatusCode::SERVICE_UNAVAILABLE, "The server cannot answer right now.", &[], ctx)
        }
        Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong.", &[], ctx)
        }
        Failure::NotFound => problem(StatusCode::NOT_FOUND, "There is nothing at this path.", &[], ctx),
        Failure::Method(_) => problem(StatusCode::METHOD_NOT_ALLOWED, "This method is not allowed here.", &[], ctx),
        Failure::TooLarge => problem(StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than 64 KiB.", &[], ctx),
        Failure::TooSlow => problem(StatusCode::REQUEST_TIMEOUT, "The body came too slowly.", &[], ctx),
    }
}

fn refused(refusal: &Refusal, ctx: &Context) -> HttpResponse {
    let status = status(refusal.class());
    let errors: &[FieldError] = if let RefusalKind::Invalid(errors) = &refusal.kind { errors } else { &[] };
    let mut answer = problem(status, &refusal.hint, errors, ctx);
    let challenge = match &refusal.kind {
        RefusalKind::InvalidApiKey | RefusalKind::InvalidClient => r#"Bearer error="invalid_token""#,
        RefusalKind::MissingCredentials => "Bearer",
        _ => return answer,
    };
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    answer
}

fn status(class: Class) -> StatusCode {
    match class {
        Class::BadRequest | Class::BadGrant | Class::UnsupportedGrant | Class::BadScope | Class::BadTarget => {
            StatusCode::BAD_REQUEST
        }
        Class::BadMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Class::BadClient | Class::LoginNeeded => StatusCode::UNAUTHORIZED,
        Class::NotAllowed => StatusCode::FORBIDDEN,
        Class::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Class::Unknown => StatusCode::NOT_FOUND,
        Class::Conflict => StatusCode::CONFLICT,
        Class::Stale => StatusCode::PRECONDITION_FAILED,
        Class::BadField => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

fn problem(status: StatusCode, detail: &str, errors: &[FieldError], ctx: &Context) -> HttpResponse {
    let more = errors.len().saturating_sub(MOST_ERRORS);
    let errors =
        errors.iter().take(MOST_ERRORS).map(|error| Pointed { pointer: &error.pointer, detail: &error.detail });
    let body = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Error"),
        status: status.as_u16(),
        detail,
        errors: errors.collect(),
        more_errors: (more > 0).then_some(more),
        request_id: &ctx.request_id,
    };
    let mut answer = HttpResponse::build(status).json(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    answer
}
