//! The `claims` parameter (OIDC Core §5.5): a JSON text of which only the names of the wanted claims
//! mean something here. A grant keeps those that its person was asked about.

use serde_json::{Map, Value};

/// Longest text that is taken, bytes.
const MAX_TEXT: usize = 4096;
const MAX_NAMES: usize = 50;

/// The names of the claims that are wanted in either place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsRequest {
    pub id_token: Vec<String>,
    pub userinfo: Vec<String>,
    /// `{"sub": {"value": "…"}}`: the answer must be about this person or nobody (OIDC Core §5.5.1).
    pub subject: Option<String>,
}

impl ClaimsRequest {
    /// Reads the parameter; the empty text wants nothing. `None`: malformed, or too large.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        if text.len() > MAX_TEXT {
            return None;
        }
        let wanted: Map<String, Value> = serde_json::from_str(text).ok()?;
        let subject = ["id_token", "userinfo"].into_iter().find_map(|place| wanted_subject(wanted.get(place)));
        let read = Self { id_token: names(wanted.get("id_token"))?, userinfo: names(wanted.get("userinfo"))?, subject };
        (read.id_token.len() + read.userinfo.len() <= MAX_NAMES).then_some(read)
    }
}

/// A request for those claims of `text` for which `may` holds; empty if none is left.
pub fn narrowed(text: &str, may: impl Fn(&str) -> bool) -> String {
    let asked = ClaimsRequest::parse(text).unwrap_or_default();
    let mut kept = Map::new();
    for (place, names) in [("id_token", asked.id_token), ("userinfo", asked.userinfo)] {
        let names: Map<String, Value> =
            names.into_iter().filter(|name| may(name)).map(|name| (name, Value::Null)).collect();
        if !names.is_empty() {
            kept.insert(place.to_owned(), Value::Object(names));
        }
    }
    if kept.is_empty() { String::new() } else { Value::Object(kept).to_string() }
}

fn wanted_subject(wanted: Option<&Value>) -> Option<String> {
    wanted?.get("sub")?.get("value")?.as_str().map(str::to_owned)
}

/// Each member is `null` or an object of `essential`, `value`, `values`.
fn names(wanted: Option<&Value>) -> Option<Vec<String>> {
    let members = match wanted {
        None | Some(Value::Null) => return Some(Vec::new()),
        Some(Value::Object(members)) => members,
        Some(_) => return None,
    };
    let well_formed = members.values().all(|how| how.is_null() || how.is_object());
    well_formed.then(|| members.keys().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_read_and_nothing_else_of_it() {
        let text = r#"{"userinfo":{"name":{"essential":true},"email":null},"id_token":{"auth_time":{}},"x":1}"#;
        let read = ClaimsRequest::parse(text).unwrap();
        assert_eq!(read.id_token, ["auth_time"]);
        assert_eq!(read.userinfo, ["email", "name"]);
        assert_eq!(ClaimsRequest::parse(""), Some(ClaimsRequest::default()));
        assert_eq!(ClaimsRequest::parse("{}"), Some(ClaimsRequest::default()));
    }

    #[test]
    fn a_narrowed_request_has_what_may_be_and_nothing_else() {
        let text = r#"{"userinfo":{"name":{"essential":true},"email":null},"id_token":{"email":{}},"x":1}"#;
        assert_eq!(narrowed(text, |name| name == "email"), r#"{"id_token":{"email":null},"userinfo":{"email":null}}"#);
        assert_eq!(narrowed(text, |name| name == "name"), r#"{"userinfo":{"name":null}}"#);
        for none in [narrowed(text, |_| false), narrowed("", |_| true), narrowed("[]", |_| true)] {
            assert_eq!(none, "");
        }
    }

    #[test]
    fn what_is_no_claims_request_is_refused() {
        let long = format!(r#"{{"userinfo":{{"{}":null}}}}"#, "x".repeat(5000));
        for bad in ["[]", "x", "1", r#"{"userinfo":[]}"#, r#"{"userinfo":{"name":true}}"#, r#"{"id_token":1}"#, &long] {
            assert_eq!(ClaimsRequest::parse(bad), None, "{bad}");
        }
    }
}
