//! Reads request bodies field by field: every wrong, mistyped or unknown field is named, with its
//! JSON pointer, in one answer.

use actix_web::http::header;
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::admin::wire::parse_time;
use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::{Refusal, RefusalKind};
use crate::edge::Received;
use crate::edge::json::Members;

/// The members of a body while they are taken out.
pub struct Fields {
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

/// A JSON object as text: passed on, not looked into.
pub struct JsonText(pub String);

/// An RFC 3339 time as epoch seconds.
pub struct Timestamp(pub i64);

/// A value a field can have.
pub trait FromJson: Sized {
    /// As in "must be …".
    const KIND: &'static str;
    /// The JSON Schema of what [`FromJson::from_json`] takes.
    fn schema() -> Value;
    fn from_json(value: Value) -> Option<Self>;
}

impl Fields {
    /// The body as an object; no body counts as `{}` where `optional`.
    pub fn of(received: &Received, optional: bool) -> Result<Self, Refusal> {
        Ok(Self { members: object(received, optional)?, errors: Vec::new() })
    }

    pub fn take<T: FromJson>(&mut self, name: &str) -> Field<T> {
        match self.members.remove(name) {
            None => Field::Keep,
            Some(Value::Null) => Field::Reset,
            Some(value) => match T::from_json(value) {
                Some(value) => Field::Set(value),
                None => {
                    let detail = format!("must be {}", T::KIND);
                    self.errors.push(FieldError { pointer: format!("/{name}"), detail });
                    Field::Keep
                }
            },
        }
    }

    /// Refuses what was mistyped and what is left over.
    pub fn finish(mut self) -> Result<(), Refusal> {
        let errors = self.slips();
        if errors.is_empty() { Ok(()) } else { Err(Refusal::invalid(errors)) }
    }

    /// What was mistyped and what is left over, for a draft whose other fields are judged yet.
    pub fn slips(&mut self) -> Vec<FieldError> {
        for name in self.members.keys() {
            let detail = "is not a field that can be set here".to_owned();
            self.errors.push(FieldError::of_member(name, detail));
        }
        self.members.clear();
        std::mem::take(&mut self.errors)
    }
}

/// The members of the body; no body counts as `{}` where `optional`.
pub fn object(received: &Received, optional: bool) -> Result<Map<String, Value>, Refusal> {
    if received.body.is_empty() && optional {
        return Ok(Map::new());
    }
    require_json(received)?;
    Members::parse(&received.body)?.into_object()
}

/// `application/json` and everything that ends in `+json` (merge patch, RFC 7396).
pub fn require_json(received: &Received) -> Result<(), Refusal> {
    let media_type = received.call().media_type();
    if matches!(media_type.as_deref(), Some("application/json" | "application/merge-patch+json")) {
        return Ok(());
    }
    let named = if received.request.headers().contains_key(header::CONTENT_TYPE) { "named" } else { "missing" };
    Err(Refusal::new(RefusalKind::UnsupportedMediaType, "The body must be application/json.")
        .about(format!("content type {named}")))
}

impl FromJson for String {
    const KIND: &'static str = "a string";

    fn schema() -> Value {
        json!({"type": "string"})
    }

    fn from_json(value: Value) -> Option<Self> {
        if let Value::String(text) = value { Some(text) } else { None }
    }
}

impl FromJson for SecretString {
    const KIND: &'static str = "a string";

    fn schema() -> Value {
        json!({"type": "string", "format": "password"})
    }

    fn from_json(value: Value) -> Option<Self> {
        String::from_json(value).map(Self::from)
    }
}

impl FromJson for bool {
    const KIND: &'static str = "true or false";

    fn schema() -> Value {
        json!({"type": "boolean"})
    }

    fn from_json(value: Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromJson for i64 {
    const KIND: &'static str = "an integer";

    fn schema() -> Value {
        json!({"type": "integer", "format": "int64"})
    }

    fn from_json(value: Value) -> Option<Self> {
        value.as_i64()
    }
}

impl FromJson for Vec<String> {
    const KIND: &'static str = "a list of strings";

    fn schema() -> Value {
        json!({"type": "array", "items": {"type": "string"}})
    }

    fn from_json(value: Value) -> Option<Self> {
        let Value::Array(items) = value else { return None };
        items.into_iter().map(String::from_json).collect()
    }
}

impl FromJson for JsonText {
    const KIND: &'static str = "an object";

    fn schema() -> Value {
        json!({"type": "object"})
    }

    fn from_json(value: Value) -> Option<Self> {
        value.is_object().then(|| Self(value.to_string()))
    }
}

impl FromJson for Timestamp {
    const KIND: &'static str = "an RFC 3339 time, as 2030-01-31T12:00:00Z";

    fn schema() -> Value {
        json!({"type": "string", "format": "date-time"})
    }

    fn from_json(value: Value) -> Option<Self> {
        parse_time(value.as_str()?).map(Self)
    }
}
