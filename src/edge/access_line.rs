//! One line per request, at level info under target `access`. Its fields are a documented
//! interface (docs/operations.md): request id, client address, method, path without its query (nor
//! what follows where a surface takes any path: that is another server's, and may hold a secret), status, microseconds, surface, and the `x-request-id` that was sent in, if one was.

use std::borrow::Cow;
use std::time::Instant;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;

use crate::domain::Context;
use crate::domain::clock::monotonic;
use crate::domain::hidden::{has_credential, without_credentials};
use crate::edge::mount::BELOW;

const SENT_ID_LIMIT: usize = 64;
const PATH_LIMIT: usize = 256;
/// What stands in a path for something that looks like a credential; one word, as every field of the line.
const HIDDEN: &str = "(secret)";

pub fn write(request: &HttpRequest, status: StatusCode, ctx: &Context, began: Instant) {
    if !log::log_enabled!(target: "access", log::Level::Info) {
        return;
    }
    let micros = monotonic().duration_since(began).as_micros();
    let Context { request_id, client_address, surface, .. } = ctx;
    let (method, path, status) = (request.method(), shown(own_path(request)), status.as_u16());
    match sent_id(request) {
        None => {
            log::info!(target: "access", "{request_id} {client_address} {method} {path} {status} {micros}us {surface}")
        }
        Some(sent) => {
            log::info!(target: "access", "{request_id} {client_address} {method} {path} {status} {micros}us {surface} sent-id={sent}")
        }
    }
}

/// The path without what stands below a surface that takes any.
fn own_path(request: &HttpRequest) -> &str {
    let path = request.path();
    if request.match_info().get(BELOW).is_none() {
        return path;
    }
    let pattern = request.match_pattern().unwrap_or_default();
    above_rest(&pattern, path)
}

/// As many segments of the path as the pattern has before its rest. The pattern was matched against the
/// decoded path, where a segment may be spelled otherwise, but not be one more.
fn above_rest<'a>(pattern: &str, path: &'a str) -> &'a str {
    let rest = pattern.find(&format!("{{{BELOW}}}")).unwrap_or_default();
    let slashes = pattern.bytes().take(rest).filter(|byte| *byte == b'/').count();
    let end =
        path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at).nth(slashes.saturating_sub(1));
    end.and_then(|end| path.get(..end)).unwrap_or("/")
}

/// A path is ASCII; a long one is nobody's of ours and fills no log. A credential in it was meant for
/// another place.
fn shown(path: &str) -> Cow<'_, str> {
    match without_credentials(path, HIDDEN) {
        Cow::Borrowed(path) => Cow::Borrowed(path.get(..PATH_LIMIT).unwrap_or(path)),
        Cow::Owned(path) => Cow::Owned(path.chars().take(PATH_LIMIT).collect()),
    }
}

/// A request id that was sent in: logged only if it looks like one, and holds no credential that stood in
/// the wrong header.
fn sent_id(request: &HttpRequest) -> Option<&str> {
    let sent = request.headers().get("x-request-id")?.to_str().ok()?;
    let plain = sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    ((1..=SENT_ID_LIMIT).contains(&sent.len()) && plain && !has_credential(sent)).then_some(sent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_a_surface_that_takes_any_path_is_not_shown() {
        for (pattern, path, expected) in [
            ("/forward-auth/{below}*", "/forward-auth/reset/s3cret", "/forward-auth"),
            ("/forward-auth/{below}*", "/forward-auth/", "/forward-auth"),
            ("/forward-auth/{below}*", "/forward%2Dauth//s3cret/", "/forward%2Dauth"),
            (
                "/auth/p/{provider_slug}/forward-auth/{below}*",
                "/auth/p/acme/forward-auth/s3cret",
                "/auth/p/acme/forward-auth",
            ),
            ("", "/forward-auth/s3cret", ""),
            ("/forward-auth/{below}*", "s3cret", "/"),
        ] {
            assert_eq!(above_rest(pattern, path), expected, "{pattern} {path}");
        }
    }
}
