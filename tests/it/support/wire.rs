//! Answers as snapshots show them: what changes with every run (times, ids, secrets, signatures) is
//! replaced by what it is; tokens are opened.

use serde_json::{Map, Value, json};

use crate::support::app::BEGIN;
use crate::support::http::Answer;
use crate::support::jose::decoded;

/// Headers that are part of the promise; the rest is the framework's.
const SHOWN: [&str; 9] = [
    "access-control-allow-origin",
    "allow",
    "cache-control",
    "content-type",
    "etag",
    "location",
    "pragma",
    "retry-after",
    "www-authenticate",
];

/// Status, headers and body, with everything that varies named instead of shown.
pub fn shown(answer: &Answer) -> Value {
    let headers: Map<String, Value> = SHOWN
        .iter()
        .filter(|name| answer.headers.contains_key(**name))
        .map(|name| ((*name).to_owned(), json!(text(answer.header(name)))))
        .collect();
    assert!(!answer.header("x-request-id").is_empty(), "an answer without a request id");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    let body = serde_json::from_slice(&answer.body).map_or_else(|_| json!(answer.text()), named);
    json!({"status": answer.status, "headers": headers, "body": body})
}

fn named(value: Value) -> Value {
    match value {
        Value::String(string) => string_named(&string),
        Value::Array(items) => items.into_iter().map(named).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| member(name, value)).collect(),
        other => other,
    }
}

fn member(name: String, value: Value) -> (String, Value) {
    let shown = match (name.as_str(), &value) {
        ("iat" | "exp" | "nbf" | "auth_time" | "updated_at", Value::Number(at)) => {
            json!(relative(at.as_i64().unwrap()))
        }
        ("hint" | "x" | "y" | "n" | "at_hash", Value::String(_)) => json!(format!("[{name}]")),
        // Made within one millisecond: their order is chance.
        ("keys", Value::Array(_)) => sorted(named(value)),
        _ => named(value),
    };
    (name, shown)
}

fn sorted(list: Value) -> Value {
    let Value::Array(mut items) = list else { return list };
    items.sort_by_key(Value::to_string);
    Value::Array(items)
}

fn relative(at: i64) -> String {
    format!("[begin{:+}]", at - BEGIN)
}

fn string_named(string: &str) -> Value {
    if string.starts_with("ey") && string.matches('.').count() == 2 {
        let (header, payload) = decoded(string);
        return json!({"jwt": {"header": named(header), "payload": named(payload)}});
    }
    json!(text(string))
}

/// Replaces ids and secrets wherever they stand in a text.
fn text(string: &str) -> String {
    for (prefix, name) in [
        ("gk_", "[api key]"),
        ("gs_", "[client secret]"),
        ("ga_", "[opaque token]"),
        ("gr_", "[refresh token]"),
        ("gc_", "[code]"),
    ] {
        if string.starts_with(prefix) {
            return name.to_owned();
        }
    }
    if string.starts_with('"') && string.ends_with(concat!("-", env!("CARGO_PKG_VERSION"), "\"")) {
        return "[version of the row and release]".to_owned();
    }
    if string.len() == 10 && string.starts_with('"') {
        return "[digest of the document]".to_owned();
    }
    let pieces: Vec<&str> = string.split('/').map(|piece| if is_uuid(piece) { "[uuid]" } else { piece }).collect();
    pieces.join("/")
}

fn is_uuid(piece: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts: Vec<&str> = piece.split('-').collect();
    parts.iter().map(|part| part.len()).eq([8, 4, 4, 4, 12]) && parts.into_iter().all(hex)
}
