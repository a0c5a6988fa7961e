//! JSON objects as they were sent: every member in order, repeated ones included, so that each
//! surface can decide what a repetition means instead of silently taking the last.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::domain::Refusal;

/// The members of one JSON object in the order sent.
#[derive(Debug, Default, PartialEq)]
pub struct Members(pub Vec<(String, Value)>);

impl Members {
    /// Reads a body that must be one JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let members: Self = serde_json::from_slice(body).map_err(|error| {
            // The library's text may quote the input; line and column do not.
            let (line, column) = (error.line(), error.column());
            Refusal::malformed("The body is not a JSON object.").about(format!("json error at {line}:{column}"))
        })?;
        if members.0.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)) {
            return Err(Refusal::malformed("A member holds a NUL."));
        }
        Ok(members)
    }

    /// The members as a map; a repeated name is refused.
    pub fn into_object(self) -> Result<Map<String, Value>, Refusal> {
        let mut object = Map::with_capacity(self.0.len());
        for (name, value) in self.0 {
            if object.insert(name, value).is_some() {
                return Err(Refusal::malformed("A member stands more than once."));
            }
        }
        Ok(object)
    }
}

/// PostgreSQL stores no NUL, and nothing that is named or shown has one. The parser bounds the depth.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = access.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_members_are_kept_apart_and_refused_as_a_map() {
        let members = Members::parse(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(members.0.len(), 2);
        assert!(members.into_object().is_err());
    }

    #[test]
    fn anything_but_one_object_is_refused_without_quoting_it() {
        for bad in [&b""[..], b"[]", b"\"x\"", b"{", b"{}x", b"null", b"\xff"] {
            let refusal = Members::parse(bad).unwrap_err();
            assert_eq!(refusal.hint, "The body is not a JSON object.", "{bad:?}");
        }
    }
}
