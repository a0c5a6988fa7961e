//! Run:ai's own spelling. The original reads keys without regard to letter case, and four
//! spellings are in real use (`AppId`, `appID`, `appId`, and `clientId` for `clientID`).

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::domain::{Refusal, RefusalKind};
use crate::edge::json::Members;

/// The members of a request, names in lower case, `null` left out.
#[derive(Debug)]
pub struct TokenRequest(Vec<(String, Value)>);

/// Longest value of a parameter, as the API's own reference states them.
const LIMITS: [(&str, usize); 9] = [
    ("appsecret", 500),
    ("clientsecret", 500),
    ("secret", 500),
    ("granttype", 64),
    ("id", 64),
    ("code", 2048),
    ("redirecturi", 2048),
    ("refreshtoken", 4096),
    ("externaltoken", 4096),
];
const OTHER_LIMIT: usize = 255;
/// Looking for repetitions costs the square of this.
const MAX_MEMBERS: usize = 64;

impl TokenRequest {
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        let mut members: Vec<(String, Value)> = Vec::new();
        let sent = Members::parse(body)?.sent;
        if sent.len() > MAX_MEMBERS {
            return Err(Refusal::malformed("There are too many parameters."));
        }
        for (name, value) in sent {
            let name = name.to_lowercase();
            match members.iter().find(|(known, _)| *known == name) {
                None => members.push((name, value)),
                Some((_, earlier)) if *earlier == value => {}
                Some(_) => return Err(Refusal::malformed("A parameter stands more than once with different values.")),
            }
        }
        members.retain(|(_, value)| !value.is_null());
        Ok(Self(members))
    }

    /// A parameter that must be a string if it is there; empty counts as absent.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let Some((_, value)) = self.0.iter().find(|(own, _)| own == name) else { return Ok(None) };
        let Value::String(text) = value else {
            return Err(Refusal::malformed("A parameter is not a string."));
        };
        let limit = LIMITS.iter().find(|(own, _)| *own == name).map_or(OTHER_LIMIT, |(_, limit)| *limit);
        if text.contains('\0') {
            return Err(Refusal::malformed("A parameter holds a NUL character."));
        }
        if text.len() > limit {
            return Err(Refusal::malformed("A parameter is too long."));
        }
        Ok((!text.is_empty()).then_some(text))
    }

    pub fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)?.ok_or_else(missing)
    }
}

pub fn missing() -> Refusal {
    Refusal::malformed("Required parameter is missing")
}

pub fn unsupported_grant() -> Refusal {
    Refusal::new(RefusalKind::UnsupportedGrantType, "This grantType is not supported")
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunaiToken")]
pub struct TokenAnswer<'a> {
    #[serde(rename = "accessToken")]
    pub access_token: &'a str,
    #[serde(rename = "expiresIn")]
    pub expires_in: i64,
    #[serde(rename = "idToken", skip_serializing_if = "Option::is_none")]
    pub id_token: Option<&'a str>,
    #[serde(rename = "refreshToken", skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunaiAppToken")]
pub struct AppTokenAnswer<'a> {
    pub access_token: &'a str,
    pub id_token: &'a str,
}

/// `code` mirrors the status.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "RunaiError")]
pub struct ErrorAnswer<'a> {
    pub code: u16,
    pub message: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_letter_case() {
        for spelling in ["AppId", "appID", "appId", "APPID"] {
            let body = format!(r#"{{"{spelling}":"x"}}"#);
            assert_eq!(TokenRequest::read(body.as_bytes()).unwrap().required("appid").unwrap(), "x");
        }
    }

    #[test]
    fn two_spellings_with_different_values_are_refused() {
        assert!(TokenRequest::read(br#"{"appId":"x","AppID":"y"}"#).is_err());
        assert!(TokenRequest::read(br#"{"appId":"x","AppID":"x"}"#).is_ok());
    }

    #[test]
    fn null_and_empty_count_as_absent_and_other_types_are_refused() {
        let request = TokenRequest::read(br#"{"appId":null,"appSecret":"","clientID":7}"#).unwrap();
        assert_eq!(request.text("appid").unwrap(), None);
        assert_eq!(request.text("appsecret").unwrap(), None);
        assert!(request.text("clientid").is_err());
    }
}
