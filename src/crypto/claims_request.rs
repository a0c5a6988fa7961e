//! The `claims` parameter (OIDC Core §5.5): a JSON text that a grant keeps as it was sent, and of
//! which only the names of the wanted claims mean something here.

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
    fn what_is_no_claims_request_is_refused() {
        let long = format!(r#"{{"userinfo":{{"{}":null}}}}"#, "x".repeat(5000));
        for bad in ["[]", "x", "1", r#"{"userinfo":[]}"#, r#"{"userinfo":{"name":true}}"#, r#"{"id_token":1}"#, &long] {
            assert_eq!(ClaimsRequest::parse(bad), None, "{bad}");
        }
    }
}
