//! Reads a body within a size and a time.

use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;

/// Largest body of any call, bytes.
pub const LIMIT: usize = 64 * 1024;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    TooLarge,
    TooSlow,
    /// The connection broke or the chunks cannot be decoded.
    Broken,
}

/// The complete body, at most [`LIMIT`] bytes, within `wait`.
pub async fn read(request: &HttpRequest, payload: web::Payload, wait: Duration) -> Result<web::Bytes, Unread> {
    let read = async {
        match announced_length(request) {
            Some(length) => read_announced(payload, length).await,
            None => match payload.to_bytes_limited(LIMIT).await {
                Err(_over_limit) => Err(Unread::TooLarge),
                Ok(Err(_broken)) => Err(Unread::Broken),
                Ok(Ok(bytes)) => Ok(bytes),
            },
        }
    };
    tokio::time::timeout(wait, read).await.unwrap_or(Err(Unread::TooSlow))
}

/// Whether the request is for another protocol on its connection. None is spoken here, but actix takes
/// what follows the head for a stream without an end.
pub fn asks_for_another_protocol(request: &HttpRequest) -> bool {
    request.method() == Method::CONNECT || request.headers().contains_key(header::UPGRADE)
}

/// The length of a body whose end actix does not see: what its head says, and without a word there is
/// none (RFC 9112 §6.3). `None`: actix sees the end.
fn announced_length(request: &HttpRequest) -> Option<usize> {
    let headers = request.headers();
    if !asks_for_another_protocol(request) || headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    // Actix has refused what is no number. One that does not fit is too large in any case.
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    Some(length.map_or(0, |length| length.trim().parse().unwrap_or(usize::MAX)))
}

async fn read_announced(mut payload: web::Payload, length: usize) -> Result<web::Bytes, Unread> {
    if length > LIMIT {
        return Err(Unread::TooLarge);
    }
    let mut body = web::BytesMut::with_capacity(length);
    while body.len() < length {
        let Some(Ok(chunk)) = payload.next().await else { return Err(Unread::Broken) };
        body.extend_from_slice(&chunk);
    }
    body.truncate(length);
    Ok(body.freeze())
}
