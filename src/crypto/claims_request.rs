//! The `claims` parameter (OIDC Core §5.5): which single claims a client asks for, beside those that
//! scopes stand for. Read with every member it may have; what we cannot deliver is left out without
//! failure (§5.5: essential or not).

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::person::ClaimsRequest;

/// Longest text that is looked at, bytes.
const MAX: usize = 4096;
/// Most claims of one destination.
const MAX_CLAIMS: usize = 50;

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    userinfo: Option<Map<String, Value>>,
    #[serde(default)]
    id_token: Option<Map<String, Value>>,
}

/// `None` if the text is no claims request at all.
pub fn read_claims_request(text: &str) -> Option<ClaimsRequest> {
    if text.is_empty() {
        return Some(ClaimsRequest::default());
    }
    if text.len() > MAX {
        return None;
    }
    let Wire { userinfo, id_token } = serde_json::from_str(text).ok()?;
    let (userinfo, id_token) = (userinfo.unwrap_or_default(), id_token.unwrap_or_default());
    if userinfo.len() > MAX_CLAIMS || id_token.len() > MAX_CLAIMS {
        return None;
    }
    let subjects = [&userinfo, &id_token].into_iter().filter_map(|wanted| wanted_subject(wanted));
    Some(ClaimsRequest {
        subject: subjects.reduce(|first, _| first),
        userinfo: userinfo.into_iter().map(|(name, _)| name).collect(),
        id_token: id_token.into_iter().map(|(name, _)| name).collect(),
    })
}

/// `{"sub": {"value": "…"}}`: the answer must be about this person or none (OIDC Core §5.5.1).
fn wanted_subject(wanted: &Map<String, Value>) -> Option<String> {
    wanted.get("sub")?.get("value")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_and_junk_is_none() {
        let text = r#"{"userinfo":{"email":{"essential":true},"name":null},"id_token":{"sub":{"value":"s"}},"x":1}"#;
        let read = read_claims_request(text).unwrap();
        assert_eq!(read.userinfo, ["email", "name"]);
        assert_eq!(read.id_token, ["sub"]);
        assert_eq!(read.subject.as_deref(), Some("s"));
        assert_eq!(read_claims_request(""), Some(ClaimsRequest::default()));
        for bad in ["[]", "x", "{\"userinfo\":[]}", &" ".repeat(5000)] {
            assert_eq!(read_claims_request(bad), None, "{bad}");
        }
    }
}
