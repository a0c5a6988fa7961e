//! Holds every answer that the tests see against the OpenAPI document: a status, a media type or a body
//! that it does not name fails the test that saw it.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use grantd::app::all_operations;
use grantd::config::Surfaces;
use jsonschema::Validator;
use serde_json::{Value, json};

/// The document of a server with all surfaces on.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| all_operations(&Surfaces::default(), "").document().clone());
    &DOCUMENT
}

/// One answer, as far as the document has a word on it.
pub struct Seen<'a> {
    pub method: &'a str,
    /// The route's own pattern, e.g. `/p/{provider_slug}/oauth2/token`.
    pub pattern: &'a str,
    pub status: u16,
    /// Empty: none.
    pub media_type: &'a str,
    pub body: &'a [u8],
}

/// What is wrong with an answer, in a sentence.
pub fn flaw(seen: &Seen<'_>) -> Option<String> {
    let document = document();
    // A path that no table names is a test's own.
    let (path, item) = item_of(document, seen.pattern)?;
    let method = if seen.method == "HEAD" && item.get("head").is_none() { "get" } else { &seen.method.to_lowercase() };
    let what = format!("{} {path} answered {}", seen.method, seen.status);
    // Gateways pass on methods that OpenAPI has no word for.
    let method = if path == "/forward-auth" && item.get(method).is_none() { "post" } else { method };
    let Some(operation) = item.get(method) else {
        let fits = seen.status == 405 || (method == "options" && seen.status == 204);
        return (!fits).then(|| format!("{what}, and the document has no such operation"));
    };
    let Some(answer) = operation["responses"].get(seen.status.to_string()) else {
        return Some(format!("{what}, which the document does not name"));
    };
    if seen.method == "HEAD" {
        return None;
    }
    let Some(content) = answer.get("content").and_then(Value::as_object) else {
        return (!seen.body.is_empty()).then(|| format!("{what} with a body, and the document names none"));
    };
    let Some(media) = content.get(seen.media_type) else {
        return Some(format!("{what} as {:?}, and the document names {:?}", seen.media_type, content.keys()));
    };
    if !seen.media_type.ends_with("json") {
        return None;
    }
    // Of JSON lines each is one.
    let is_lines = seen.media_type == "application/x-ndjson";
    let texts: Vec<&[u8]> = if is_lines { lines(seen.body) } else { vec![seen.body] };
    let key = format!("{method} {path} {} {}", seen.status, seen.media_type);
    let validator = validator(&key, &media["schema"]);
    let mut errors: Vec<String> = Vec::new();
    for text in texts {
        let Ok(body) = serde_json::from_slice(text) else { return Some(format!("{what} with what is not JSON")) };
        let found = validator.iter_errors(&body);
        errors.extend(found.map(|error| format!("{} at {}", error, error.instance_path())));
    }
    (!errors.is_empty()).then(|| format!("{what} with a body that the document's schema refuses: {errors:#?}"))
}

fn lines(body: &[u8]) -> Vec<&[u8]> {
    body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect()
}

/// The path of the document that a pattern ends or begins with: below a provider, a base, or what a gateway appends.
fn item_of<'a>(document: &'a Value, pattern: &str) -> Option<(&'a str, &'a Value)> {
    let paths = document["paths"].as_object().unwrap();
    let fits = |path: &str| pattern == path || pattern.ends_with(path) || pattern.starts_with(&format!("{path}/"));
    if let Some((path, item)) = paths.get_key_value(pattern) {
        return Some((path, item));
    }
    let found = paths.iter().filter(|(path, _)| fits(path)).max_by_key(|(path, _)| path.len());
    found.map(|(path, item)| (path.as_str(), item))
}

/// Compiled once a status of an operation.
fn validator(key: &str, schema: &Value) -> Arc<Validator> {
    static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let mut compiled = COMPILED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let made = || Arc::new(schema_in_document(schema));
    Arc::clone(compiled.entry(key.to_owned()).or_insert_with(made))
}

/// A schema that may point into the document's components.
pub fn schema_in_document(schema: &Value) -> Validator {
    let whole = json!({"allOf": [schema], "components": {"schemas": document()["components"]["schemas"]}});
    let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true);
    options.should_ignore_unknown_formats(true).build(&whole).unwrap_or_else(|error| panic!("{error}: {schema:#}"))
}
