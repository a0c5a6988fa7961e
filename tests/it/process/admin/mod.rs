//! `/admin/v1` as its users see it, on one running server a database; each test works in a provider
//! of its own.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use serde_json::json;

use crate::support::at_end::{AtEnd, at_end};
use crate::support::client::{Answer, Http};
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Server};

mod access;
mod api_keys;
mod client_fields;
mod clients;
mod lists;
mod providers;
mod roles;
mod secrets;

/// The API as one management key uses it.
#[derive(Clone)]
pub struct Api {
    pub kind: Kind,
    pub http: Http,
    /// Slug of the test's own provider.
    pub slug: String,
    authorization: String,
}

impl Api {
    /// The owner, with a fresh provider, on the server that all tests of this database share.
    pub fn on(kind: Kind) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let slug = format!("t{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let authorization = format!("Bearer {OWNER}");
        let api = Self { kind, http: shared(kind).server.http.clone(), slug, authorization };
        api.post("/providers", &json!({ "slug": api.slug })).expect(201);
        api
    }

    /// The owner of another server, at provider `default`.
    pub fn of(home: &Home, server: &Server) -> Self {
        let (kind, http) = (home.kind, server.http.clone());
        Self { kind, http, slug: "default".to_owned(), authorization: format!("Bearer {OWNER}") }
    }

    /// The same as another key.
    pub fn acting_as(&self, key: &str) -> Self {
        Self { authorization: format!("Bearer {key}"), ..self.clone() }
    }

    /// The same at another provider.
    pub fn at(&self, slug: &str) -> Self {
        Self { slug: slug.to_owned(), ..self.clone() }
    }

    pub fn with_authorization(&self, authorization: &str) -> Self {
        Self { authorization: authorization.to_owned(), ..self.clone() }
    }

    /// Where the provider's issuer lies on this server.
    pub fn below(&self) -> String {
        if self.slug == "default" { String::new() } else { format!("/p/{}", self.slug) }
    }

    pub fn provider(&self) -> String {
        format!("/providers/{}", self.slug)
    }

    pub fn clients(&self) -> String {
        format!("/providers/{}/clients", self.slug)
    }

    pub fn client(&self, id: &str) -> String {
        format!("/providers/{}/clients/{id}", self.slug)
    }

    pub fn secrets(&self, id: &str) -> String {
        format!("/providers/{}/clients/{id}/secrets", self.slug)
    }

    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut all = headers.to_vec();
        if !self.authorization.is_empty() {
            all.push(("authorization", &self.authorization));
        }
        self.http.call(method, &format!("/admin/v1{path}"), &all, body.map(str::as_bytes))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[("content-type", "application/json")], Some(&body.to_string()))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call("PATCH", path, &[("content-type", "application/merge-patch+json")], Some(&body.to_string()))
    }

    pub fn delete(&self, path: &str) -> Answer {
        self.call("DELETE", path, &[], None)
    }

    /// A new client: its id and secret.
    pub fn new_client(&self, fields: &Value) -> (String, String) {
        let made = self.post(&self.clients(), fields).expect(201);
        (made.text_of("client_id"), made.text_of("client_secret"))
    }

    /// A new API key: its id and text.
    pub fn new_key(&self, fields: &Value) -> (String, String) {
        let made = self.post("/api-keys", fields).expect(201);
        (made.text_of("id"), made.text_of("key"))
    }

    pub fn token(&self, client: &str, secret: &str) -> Answer {
        self.http.token_at(&self.below(), client, secret)
    }

    pub fn access_token(&self, client: &str, secret: &str) -> String {
        self.token(client, secret).expect(200).text_of("access_token")
    }

    pub fn is_active(&self, token: &str) -> bool {
        self.http.is_active(&self.below(), OWNER, token)
    }
}

struct Shared {
    server: Server,
    /// The home outlives the server.
    _home: Home,
    /// Statics are never dropped.
    _end: AtEnd,
}

fn shared(kind: Kind) -> &'static Shared {
    static SQLITE: OnceLock<Shared> = OnceLock::new();
    static POSTGRES: OnceLock<Shared> = OnceLock::new();
    let place = if kind == Kind::Sqlite { &SQLITE } else { &POSTGRES };
    place.get_or_init(|| {
        let home = Home::on(kind);
        let server = home.serve();
        let end = at_end(&format!("kill -9 {}; rm -rf {}", server.pid(), home.folder().display()));
        Shared { server, _home: home, _end: end }
    })
}

/// Refused in the API's own shape; the pointers of the wrong fields, sorted.
#[track_caller]
pub fn problem(answer: &Answer, status: u16) -> Vec<String> {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
    let body = answer.json();
    for member in ["type", "title", "detail", "request_id"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "no {member}: {body}");
    }
    assert_eq!(body["status"], status, "{body}");
    assert!(!answer.text.contains("gk_"), "a secret in {answer:?}");
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    let mut pointers: Vec<String> = Vec::new();
    for error in &errors {
        assert!(error["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
        pointers.push(error["pointer"].as_str().expect("a pointer").to_owned());
    }
    pointers.sort();
    pointers
}

/// The names of an object's members, sorted.
pub fn names(object: &Value) -> Vec<String> {
    let mut names: Vec<_> = object.as_object().expect("an object").keys().cloned().collect();
    names.sort();
    names
}
