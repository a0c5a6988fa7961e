//! What every answer carries, whatever surface it leaves by.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderName, HeaderValue};

use crate::domain::Context;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// `x-request-id`, `nosniff`, and `no-store` unless the answer says how it may be cached
/// (RFC 6749 §5.1, RFC 9700 §4.2.4).
pub fn dress(response: &mut HttpResponse, ctx: &Context) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&ctx.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    }
}

/// Lets any origin read the answer, without credentials.
pub fn allow_any_origin(response: &mut HttpResponse) {
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
}
