//! What the pages load: one stylesheet, one script, and the provider's colour. All from here, nothing
//! from another host.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::{Failed, Refusal};
use crate::edge::exchange;
use crate::engine::Engine;
use crate::web::Web;
use crate::web::brand::{Color, stylesheet};
use crate::web::visit::{Visit, serve};

/// A file that is part of the program.
pub struct Asset {
    content: &'static str,
    media_type: &'static str,
    /// 16 hexadecimal digits that change with the content.
    version: [u8; 16],
}

const CSS: &str = "text/css; charset=utf-8";

pub static STYLE: Asset = Asset::of(include_str!("../../templates/assets/style.css"), CSS);
pub static SUBMIT: Asset =
    Asset::of(include_str!("../../templates/assets/submit.js"), "text/javascript; charset=utf-8");

impl Asset {
    const fn of(content: &'static str, media_type: &'static str) -> Self {
        Self { content, media_type, version: digits(fnv(content.as_bytes())) }
    }

    pub fn version(&self) -> &str {
        std::str::from_utf8(&self.version).unwrap_or_default()
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        kept(request, self.version(), self.media_type, self.content.to_owned())
    }
}

/// FNV-1a: tells versions apart, proves nothing.
const fn fnv(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
        at += 1;
    }
    hash
}

const fn digits(hash: u64) -> [u8; 16] {
    let mut out = [0; 16];
    let mut at = 0;
    while at < 16 {
        out[at] = b"0123456789abcdef"[((hash >> (60 - 4 * at)) & 15) as usize];
        at += 1;
    }
    out
}

/// Pages ask for `?v=<version>`, so a change shows at once although this is kept for a day.
fn kept(request: &HttpRequest, version: &str, media_type: &'static str, content: String) -> HttpResponse {
    let etag = format!("\"{version}\"");
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|list| list.split(',').any(|one| one.trim().trim_start_matches("W/") == etag));
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((header::CACHE_CONTROL, "public, max-age=86400"));
    answer.insert_header((header::ETAG, etag));
    answer.insert_header(("cross-origin-resource-policy", "same-origin"));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((header::CONTENT_TYPE, media_type)).body(content)
}

pub async fn style(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    exchange::<Web>(request, payload, async |received| Ok(STYLE.answer(&received.request))).await
}

pub async fn submit(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    exchange::<Web>(request, payload, async |received| Ok(SUBMIT.answer(&received.request))).await
}

/// The provider's colour; 404 where it has none.
pub async fn brand(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    let asked = request.clone();
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let color = visit.brand.color.as_deref().and_then(Color::parse);
        let color = color.ok_or_else(|| Failed::from(Refusal::unknown("This provider has no colour of its own.")))?;
        Ok(kept(&asked, &color.hex(), CSS, stylesheet(color)))
    })
    .await
}
