//! One line per request, at level info under target `access`. Its fields are a documented
//! interface (docs/operations.md): request id, client address, method, path without its query,
//! status, microseconds, surface, and the `x-request-id` that was sent in, if one was.

use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use crate::domain::Context;
use crate::domain::clock::monotonic;
use crate::domain::secret::SecretKind;

const SENT_ID_LIMIT: usize = 64;
const PATH_LIMIT: usize = 256;

pub fn write(request: &HttpRequest, status: StatusCode, ctx: &Context, began: Instant) {
    if !log::log_enabled!(target: "access", log::Level::Info) {
        return;
    }
    let micros = monotonic().duration_since(began).as_micros();
    let Context { request_id, client_address, surface, .. } = ctx;
    let (method, path, status) = (request.method(), shown(request.path()), status.as_u16());
    match sent_id(request) {
        None => {
            log::info!(target: "access", "{request_id} {client_address} {method} {path} {status} {micros}us {surface}")
        }
        Some(sent) => {
            log::info!(target: "access", "{request_id} {client_address} {method} {path} {status} {micros}us {surface} sent-id={sent}")
        }
    }
}

/// A path is ASCII; a long one is nobody's of ours and fills no log.
fn shown(path: &str) -> &str {
    path.get(..PATH_LIMIT).unwrap_or(path)
}

/// A request id that was sent in: logged only if it looks like one, and not like a credential of
/// ours that stood in the wrong header.
fn sent_id(request: &HttpRequest) -> Option<&str> {
    let sent = request.headers().get("x-request-id")?.to_str().ok()?;
    let plain = sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    let is_secret = SecretKind::ALL.iter().any(|kind| sent.starts_with(kind.prefix()));
    ((1..=SENT_ID_LIMIT).contains(&sent.len()) && plain && !is_secret).then_some(sent)
}
