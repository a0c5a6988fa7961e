//! The JSON members that ask for an ephemeral token: the same ones wherever grantd's own API mints.

use serde_json::{Map, Value, json};

use crate::domain::grant::Ask;
use crate::domain::refusal::FieldError;
use crate::domain::token::AccessTyp;
use crate::domain::{Access, FreeClaim, MintAsk, ScopeSet};

/// A lifetime beyond this is beyond every bound there is; seconds.
const ABSURD: f64 = 1e12;

/// What is wanted, or every member that cannot be read, with its pointer. `null` is as if it were not
/// there. An unknown member is refused: it may be a bound that somebody misspelled.
pub fn read(members: Map<String, Value>) -> Result<(MintAsk, Ask), Vec<FieldError>> {
    let (mut mint, mut ask, mut errors) = (MintAsk::default(), Ask::default(), Vec::new());
    for (name, value) in members {
        if value.is_null() && MEMBERS.contains(&name.as_str()) {
            continue;
        }
        if let Err(detail) = member(&name, value, &mut mint, &mut ask) {
            errors.push(FieldError::of_member(&name, detail));
        }
    }
    if errors.is_empty() { Ok((mint, ask)) } else { Err(errors) }
}

/// All there are.
pub const MEMBERS: [&str; 8] = ["ttl_seconds", "scope", "audience", "one_time", "access", "subject", "typ", "claims"];

/// The JSON Schema of [`read`].
pub fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "ttl_seconds": {
                "type": ["number", "null"], "minimum": 1, "maximum": 1e11,
                "description": "Its life; a fraction is cut off. At most what the caller and the provider allow.",
            },
            "scope": {"type": ["string", "null"], "description": "Scope names, separated by spaces."},
            "audience": {
                "anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}],
                "description": "Of the caller's own list.",
            },
            "one_time": {"type": ["boolean", "null"], "description": "Good for one use, and always opaque."},
            "access": {"type": ["string", "null"], "enum": ["readonly", "readwrite", null]},
            "subject": {"type": ["string", "null"], "description": "Needs `may_set_subject`."},
            "typ": {"type": ["string", "null"], "enum": ["at+jwt", "jwt", null]},
            "claims": {"type": ["object", "null"], "description": "Claims of your own; no registered ones."},
        },
    })
}

fn member(name: &str, value: Value, mint: &mut MintAsk, ask: &mut Ask) -> Result<(), &'static str> {
    match name {
        "ttl_seconds" => mint.ttl = Some(seconds(&value).ok_or("must be a number of seconds, at least 1")?),
        "scope" => ask.scope = scope(&value)?,
        "audience" => ask.resources = texts(value).ok_or("must be a string or a list of strings")?,
        "one_time" => mint.one_time = value.as_bool().ok_or("must be true or false")?,
        "access" => {
            let access = value.as_str().and_then(Access::from_name);
            mint.access = Some(access.ok_or("must be readonly or readwrite")?);
        }
        "subject" => mint.subject = Some(value.as_str().ok_or("must be a string")?.to_owned()),
        "typ" => mint.typ = Some(typ(&value).ok_or("must be at+jwt or jwt")?),
        "claims" => mint.claims = claims(value).ok_or("must be an object")?,
        _ => return Err("is not one of ttl_seconds, scope, audience, one_time, access, subject, typ, claims"),
    }
    Ok(())
}

/// A fraction is rounded down, never below one second.
fn seconds(value: &Value) -> Option<i64> {
    let seconds = value.as_f64().filter(|seconds| (1.0..ABSURD).contains(seconds))?;
    #[allow(clippy::cast_possible_truncation, reason = "within the bounds above, and the fraction is to go")]
    Some(seconds as i64)
}

fn scope(value: &Value) -> Result<Option<ScopeSet>, &'static str> {
    let text = value.as_str().ok_or("must be a string")?;
    let scope = ScopeSet::parse(text).map_err(|_| "is malformed")?;
    Ok((!scope.is_empty()).then_some(scope))
}

fn texts(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn typ(value: &Value) -> Option<AccessTyp> {
    match value.as_str()? {
        "at+jwt" => Some(AccessTyp::AtJwt),
        "jwt" => Some(AccessTyp::Jwt),
        _ => None,
    }
}

fn claims(value: Value) -> Option<Vec<FreeClaim>> {
    let Value::Object(members) = value else { return None };
    Some(members.into_iter().map(|(name, value)| FreeClaim { name, json: value.to_string() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: Value) -> Result<(MintAsk, Ask), Vec<FieldError>> {
        let Value::Object(members) = value else { return Err(Vec::new()) };
        read(members)
    }

    #[test]
    fn the_schema_names_every_member_and_no_other() {
        let schema = schema();
        let named: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        let mut members = MEMBERS;
        members.sort_unstable();
        assert_eq!(named, members);
    }

    #[test]
    fn null_is_absent_and_a_fraction_is_rounded_down() {
        let all_null: Map<String, Value> = MEMBERS.iter().map(|name| ((*name).to_owned(), Value::Null)).collect();
        let (mint, ask) = read(all_null).unwrap();
        assert!(mint.ttl.is_none() && !mint.one_time && ask.scope.is_none() && ask.resources.is_empty());
        assert_eq!(of(json!({"ttl_seconds": 1.9})).unwrap().0.ttl, Some(1));
    }

    #[test]
    fn each_member_of_a_wrong_kind_is_named() {
        for (name, value) in [
            ("ttl_seconds", json!("60")),
            ("ttl_seconds", json!(0)),
            ("ttl_seconds", json!(0.9)),
            ("ttl_seconds", json!(-1)),
            ("ttl_seconds", json!(1e300)),
            ("ttl_seconds", json!(true)),
            ("scope", json!(["a"])),
            ("scope", json!("a\\b")),
            ("audience", json!([1])),
            ("one_time", json!("true")),
            ("one_time", json!(1)),
            ("access", json!("READONLY")),
            ("subject", json!(7)),
            ("typ", json!("id+jwt")),
            ("claims", json!([])),
        ] {
            let errors = of(json!({ name: value })).unwrap_err();
            assert_eq!(errors[0].pointer, format!("/{name}"), "{value}");
        }
        let errors = of(json!({"one_tme": true})).unwrap_err();
        assert_eq!(errors[0].pointer, "/one_tme");
        assert!(errors[0].detail.contains("one_time"));
    }
}
