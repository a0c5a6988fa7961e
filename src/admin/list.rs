//! Lists: `?limit=&cursor=` → `{items, next_cursor}`.

use actix_web::HttpResponse;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Serialize;
use url::form_urlencoded;

use crate::domain::Refusal;
use crate::domain::id::is_client_id;
use crate::domain::page::{Page, PageRequest};
use crate::edge::Received;

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "{T}List")]
pub struct Listed<T> {
    items: Vec<T>,
    /// For `cursor`; null on the last page.
    next_cursor: Option<String>,
}

/// The page that the query asks for. Other parameters are ignored.
pub fn page(received: &Received) -> Result<PageRequest, Refusal> {
    let mut request = PageRequest::first(PageRequest::DEFAULT);
    for (name, value) in form_urlencoded::parse(received.request.query_string().as_bytes()) {
        match name.as_ref() {
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=PageRequest::MAX).contains(limit));
                request.limit = limit.ok_or_else(|| Refusal::malformed("limit must be 1 to 500."))?;
            }
            "cursor" if !value.is_empty() => {
                let key = URL_SAFE_NO_PAD.decode(value.as_bytes()).ok().and_then(|key| String::from_utf8(key).ok());
                let key = key.filter(|key| is_client_id(key));
                let key = key.ok_or_else(|| Refusal::malformed("cursor is none that was given out."))?;
                request.after = Some(key);
            }
            _ => {}
        }
    }
    Ok(request)
}

pub fn answer<T>(page: Page<T>, show: impl FnMut(T) -> serde_json::Value) -> HttpResponse {
    let Page { items, next } = page.map(show);
    HttpResponse::Ok().json(Listed { items, next_cursor: next.map(|key| URL_SAFE_NO_PAD.encode(key)) })
}

/// A list that is short by nature: all of it, in the same shape.
pub fn whole<T>(items: Vec<T>, show: impl FnMut(T) -> serde_json::Value) -> HttpResponse {
    answer(Page { items, next: None }, show)
}
