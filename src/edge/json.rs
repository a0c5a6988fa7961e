//! JSON objects as they were sent: every member in order, repeated ones included, so that each
//! surface can decide what a repetition means instead of silently taking the last.

use std::cell::Cell;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::domain::Refusal;

/// The members of one JSON object.
#[derive(Debug, Default, PartialEq)]
pub struct Members {
    /// In the order sent.
    pub sent: Vec<(String, Value)>,
    /// Whether an object within one of them has a name twice; its last value stands there.
    repeats_within: bool,
}

impl Members {
    /// Reads a body that must be one JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let members: Self = serde_json::from_slice(body).map_err(|error| {
            // The library's text may quote the input; line and column do not.
            let (line, column) = (error.line(), error.column());
            Refusal::malformed("The body is not a JSON object.").about(format!("json error at {line}:{column}"))
        })?;
        if members.sent.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)) {
            return Err(Refusal::malformed("A member holds a NUL."));
        }
        Ok(members)
    }

    /// The members as a map; a repeated name is refused, however deep it stands.
    pub fn into_object(self) -> Result<Map<String, Value>, Refusal> {
        let mut object = Map::with_capacity(self.sent.len());
        let mut is_repeated = self.repeats_within;
        for (name, value) in self.sent {
            is_repeated |= object.insert(name, value).is_some();
        }
        if is_repeated { Err(Refusal::malformed("A member stands more than once.")) } else { Ok(object) }
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
                let repeats = Cell::new(false);
                let mut sent = Vec::new();
                while let Some(name) = access.next_key()? {
                    sent.push((name, access.next_value_seed(Noting(&repeats))?));
                }
                Ok(Members { sent, repeats_within: repeats.get() })
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// Reads any value as `Value` itself does, and notes whether an object in it has a name twice.
#[derive(Clone, Copy)]
struct Noting<'a>(&'a Cell<bool>);

impl<'de> DeserializeSeed<'de> for Noting<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Noting<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = access.next_key()? {
            if object.insert(name, access.next_value_seed(self)?).is_some() {
                self.0.set(true);
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_members_are_kept_apart_and_refused_as_a_map() {
        let members = Members::parse(br#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(members.sent.len(), 2);
        assert!(members.into_object().is_err());
    }

    #[test]
    fn a_name_that_is_repeated_is_refused_at_every_depth() {
        for body in [
            r#"{"claims":{"a":1,"a":2}}"#,
            r#"{"a":[{"b":{"c":null,"c":null}}]}"#,
            r#"{"a":[[],{"x":"","\u0078":""}]}"#,
            r#"{"a":{"b":1,"b":1},"c":{}}"#,
        ] {
            let refusal = Members::parse(body.as_bytes()).unwrap().into_object().unwrap_err();
            assert_eq!(refusal.hint, "A member stands more than once.", "{body}");
        }
        let again = br#"{"a":{"a":[{"a":1},{"a":2}]},"b":{"a":1}}"#;
        assert!(Members::parse(again).unwrap().into_object().is_ok(), "the same name in two objects");
    }

    #[test]
    fn values_are_read_as_the_library_reads_them() {
        let body = r#"{"a":[null,true,-1,18446744073709551615,1.5,-0.0,1e300,"\u00e4\n",[],{}],"b":{"c":"d"}}"#;
        let object = Members::parse(body.as_bytes()).unwrap().into_object().unwrap();
        assert_eq!(Value::Object(object), serde_json::from_str::<Value>(body).unwrap());
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert!(Members::parse(deep.as_bytes()).is_err(), "the depth is bounded");
    }

    #[test]
    fn anything_but_one_object_is_refused_without_quoting_it() {
        for bad in [&b""[..], b"[]", b"\"x\"", b"{", b"{}x", b"null", b"\xff"] {
            let refusal = Members::parse(bad).unwrap_err();
            assert_eq!(refusal.hint, "The body is not a JSON object.", "{bad:?}");
        }
    }
}
