//! Endorsed's own spelling: a form unless the Content-Type says JSON.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::domain::{Refusal, RefusalKind, ScopeSet};
use crate::edge::Call;
use crate::edge::form::Form;
use crate::edge::json::Members;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

#[derive(Debug)]
pub struct TokenRequest {
    pub grant_type: String,
    pub client_id: String,
    pub client_secret: String,
    /// `None`: not named.
    pub scope: Option<ScopeSet>,
    /// `resource` (RFC 8707) and `audience`.
    pub resources: Vec<String>,
}

impl TokenRequest {
    /// A restriction that would be silently lost is refused instead: the caller would hold a token that
    /// is worth more than it believes.
    pub fn read(call: &Call<'_>) -> Result<Self, Refusal> {
        if call.headers.contains_key("dpop") {
            return Err(Refusal::malformed("DPoP is not supported."));
        }
        match call.media_type().as_deref() {
            None | Some(FORM) => Self::of_form(&Form::parse(call.body)?),
            Some(JSON) => Self::of_json(&Members::parse(call.body)?.into_object()?),
            Some(_) => Err(Refusal::new(
                RefusalKind::UnsupportedMediaType,
                "The body must be application/x-www-form-urlencoded or application/json.",
            )),
        }
    }

    fn of_form(form: &Form<'_>) -> Result<Self, Refusal> {
        let text = |name: &str| form.get(name).map(str::to_owned);
        if form.get("authorization_details").is_some() {
            return Err(unsupported_details());
        }
        let resources = form.all("resource").chain(form.all("audience")).map(str::to_owned).collect();
        let scope = form.get("scope").map(|text| named_scope(ScopeSet::parse(text).ok())).transpose()?;
        Self::complete([text("grant_type"), text("client_id"), text("client_secret")], scope, resources)
    }

    fn of_json(object: &Map<String, Value>) -> Result<Self, Refusal> {
        if object.get("authorization_details").is_some_and(|value| !value.is_null()) {
            return Err(unsupported_details());
        }
        let mut resources = targets(object, "resource")?;
        resources.extend(targets(object, "audience")?);
        let texts = [text(object, "grant_type")?, text(object, "client_id")?, text(object, "client_secret")?];
        Self::complete(texts, scope(object)?, resources)
    }

    fn complete(texts: [Option<String>; 3], scope: Option<ScopeSet>, resources: Vec<String>) -> Result<Self, Refusal> {
        let [grant_type, client_id, client_secret] = texts;
        Ok(Self {
            grant_type: grant_type.ok_or_else(|| Refusal::malformed("grant_type is missing."))?,
            client_id: client_id.ok_or_else(|| Refusal::malformed("client_id is missing."))?,
            client_secret: client_secret.ok_or_else(|| Refusal::malformed("client_secret is missing."))?,
            scope,
            resources,
        })
    }
}

fn unsupported_details() -> Refusal {
    Refusal::malformed("authorization_details is not supported.")
}

/// A string; `null` and the empty one count as absent, as in a form.
fn text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(_) => Err(Refusal::malformed("A parameter is not a string.")),
    }
}

/// One string, or a list of them; what is empty counts as absent, as in a form.
fn targets(object: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let one = |value: &Value| value.as_str().map(str::to_owned);
    let named: Option<Vec<String>> = match object.get(name) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(one).collect(),
        Some(value) => one(value).map(|target| vec![target]),
    };
    let named =
        named.ok_or_else(|| Refusal::malformed("resource and audience must be strings or lists of strings."))?;
    Ok(named.into_iter().filter(|target| !target.is_empty()).collect())
}

/// A list of names, or one string of them. An empty list names nothing, which is not "the usual".
fn scope(object: &Map<String, Value>) -> Result<Option<ScopeSet>, Refusal> {
    match object.get("scope") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => named_scope(ScopeSet::parse(text).ok()).map(Some),
        Some(Value::Array(items)) => {
            let names: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            named_scope(names.and_then(|names| ScopeSet::of(names).ok())).map(Some)
        }
        Some(_) => named_scope(None).map(Some),
    }
}

fn named_scope(read: Option<ScopeSet>) -> Result<ScopeSet, Refusal> {
    let named = read.filter(|scope| !scope.is_empty());
    named.ok_or_else(|| Refusal::new(RefusalKind::InvalidScope, "The scope is not a list of scope names."))
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EndorsedToken")]
pub struct TokenAnswer<'a> {
    pub is_error: bool,
    pub access_token: &'a str,
    pub token_type: &'static str,
    /// Seconds, as a string.
    pub expires_in: String,
    pub scope: Vec<&'a str>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EndorsedError")]
pub struct ErrorAnswer<'a> {
    pub is_error: bool,
    /// A code of RFC 6749 §5.2.
    pub error: &'static str,
    pub error_description: &'a str,
}

/// `{"client_id": …, "scope": […]}`.
pub fn data_claim(client_id: &str, scope: &ScopeSet) -> String {
    json!({"client_id": client_id, "scope": scope.iter().collect::<Vec<_>>()}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_json(body: &str) -> Result<TokenRequest, Refusal> {
        TokenRequest::of_json(&Members::parse(body.as_bytes())?.into_object()?)
    }

    fn scope_of(scope: &str) -> Result<Option<String>, RefusalKind> {
        let body =
            format!(r#"{{"grant_type":"client_credentials","client_id":"c","client_secret":"s","scope":{scope}}}"#);
        of_json(&body)
            .map(|request| request.scope.map(|scope| scope.as_str().to_owned()))
            .map_err(|refusal| refusal.kind)
    }

    #[test]
    fn a_scope_is_a_list_or_a_string_and_null_is_none() {
        assert_eq!(scope_of(r#"["all:read","all:write"]"#), Ok(Some("all:read all:write".to_owned())));
        assert_eq!(scope_of(r#""all:read""#), Ok(Some("all:read".to_owned())));
        assert_eq!((scope_of("null"), scope_of(r#""""#)), (Ok(None), Ok(None)));
        for bad in ["[]", "7", "[7]", r#"["a b"]"#, r#"[""]"#, "{}", "true", r#"" ""#] {
            assert_eq!(scope_of(bad), Err(RefusalKind::InvalidScope), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (body, says) in [
            (r#"{"client_id":"c","client_secret":"s"}"#, "grant_type is missing."),
            (r#"{"grant_type":"x","client_secret":"s","client_id":""}"#, "client_id is missing."),
            (r#"{"grant_type":"x","client_id":"c","client_secret":null}"#, "client_secret is missing."),
            (r#"{"grant_type":"x","client_id":7,"client_secret":"s"}"#, "A parameter is not a string."),
        ] {
            assert_eq!(of_json(body).unwrap_err().hint, says);
        }
    }
}
