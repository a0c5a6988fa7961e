//! Requests as clients write them, and answers as they read them.

use actix_web::body::to_bytes;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::test::TestRequest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::support::app::TestApp;
use crate::support::documented::{Seen, flaw};

pub const FORM: &str = "application/x-www-form-urlencoded";
pub const JSON: &str = "application/json";

/// A request under construction.
pub struct Call<'a> {
    app: &'a TestApp,
    request: TestRequest,
}

impl<'a> Call<'a> {
    pub fn new(app: &'a TestApp, method: &str, path: &str) -> Self {
        let method: Method = method.parse().unwrap();
        let peer = "203.0.113.9:4711".parse().unwrap();
        Self { app, request: TestRequest::with_uri(path).method(method).peer_addr(peer) }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request = self.request.append_header((name, value));
        self
    }

    pub fn body(mut self, media_type: &str, body: impl AsRef<[u8]>) -> Self {
        if !media_type.is_empty() {
            self.request = self.request.insert_header(("content-type", media_type));
        }
        self.request = self.request.set_payload(body.as_ref().to_vec());
        self
    }

    pub fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body(FORM, body)
    }

    pub fn json(self, value: &Value) -> Self {
        self.body(JSON, value.to_string())
    }

    pub fn basic(self, id: &str, secret: &str) -> Self {
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
        self.header("authorization", &format!("Basic {pair}"))
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn at_address(mut self, address: &str) -> Self {
        self.request = self.request.peer_addr(format!("{address}:4711").parse().unwrap());
        self
    }

    pub async fn send(self) -> Answer {
        let response = self.app.answer(self.request).await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let (method, pattern) = (response.request().method().to_string(), response.request().match_pattern());
        let body = to_bytes(response.into_body()).await.unwrap();
        let answer = Answer { status, headers, body: body.to_vec() };
        if let Some(pattern) = pattern {
            let (media_type, body) = (answer.header("content-type"), answer.body.as_slice());
            let seen = Seen { method: &method, pattern: &pattern, status, media_type, body };
            if let Some(flaw) = flaw(&seen) {
                panic!("{flaw}\n{}", answer.text());
            }
        }
        answer
    }
}

/// A complete answer.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{} is not JSON: {}", self.status, self.text()))
    }

    /// The value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and RFC 6749 error code.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

/// `(status, code)` as [`Answer::refusal`] gives it.
pub fn refused(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
