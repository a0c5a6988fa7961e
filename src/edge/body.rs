//! Reads a body within a size and a time.

use std::time::Duration;

use actix_web::web;

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
pub async fn read(payload: web::Payload, wait: Duration) -> Result<web::Bytes, Unread> {
    match tokio::time::timeout(wait, payload.to_bytes_limited(LIMIT)).await {
        Err(_elapsed) => Err(Unread::TooSlow),
        Ok(Err(_over_limit)) => Err(Unread::TooLarge),
        Ok(Ok(Err(_broken))) => Err(Unread::Broken),
        Ok(Ok(Ok(bytes))) => Ok(bytes),
    }
}
