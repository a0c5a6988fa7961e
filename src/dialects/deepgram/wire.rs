//! Deepgram's own spelling. Bodies are read whatever their Content-Type says, because its SDKs send
//! none, an empty one with a type, and JSON; an empty body is `{}`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::{ApiKey, Provider, Refusal, RefusalKind, Role, ScopeSet};
use crate::edge::describe::WireTime;
use crate::edge::form::Form;
use crate::edge::json::Members;

/// Seconds.
const MAX_LIFETIME: f64 = 3600.0;
const MAX_COMMENT: usize = 255;
/// Seconds: ten years.
const MAX_KEY_LIFETIME: f64 = 315_360_000.0;

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    Members::parse(body)?.into_object()
}

/// `ttl_seconds` of a grant: 1 to 3600, a fraction is cut off. `None`: not named.
pub fn lifetime(body: &[u8]) -> Result<Option<i64>, Refusal> {
    let refused = || Refusal::malformed("ttl_seconds must be a number of seconds from 1 to 3600.");
    match object(body)?.get("ttl_seconds") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => seconds(value, MAX_LIFETIME).ok_or_else(refused).map(Some),
    }
}

/// A number of seconds from 1 to `max`, however JSON spells it; a fraction is cut off.
fn seconds(value: &Value, max: f64) -> Option<i64> {
    let number = value.as_f64().filter(|number| (1.0..=max).contains(number))?;
    #[expect(clippy::cast_possible_truncation, reason = "at most ten years, and the fraction is meant to go")]
    Some(number as i64)
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramToken")]
pub struct TokenAnswer<'a> {
    pub access_token: &'a str,
    /// Seconds.
    pub expires_in: i64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramError")]
pub struct ErrorAnswer<'a> {
    pub err_code: &'a str,
    pub err_msg: &'a str,
    pub request_id: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramMessage")]
pub struct Message {
    pub message: &'static str,
}

/// A key that is to be made.
#[derive(Debug, PartialEq, Eq)]
pub struct NewKey {
    pub comment: Option<String>,
    pub role: Role,
    /// `None`: any that may be given at all.
    pub scope: Option<ScopeSet>,
    /// Epoch seconds.
    pub expires_at: Option<i64>,
}

impl NewKey {
    /// `now` in epoch seconds. Tags are not kept.
    pub fn read(body: &[u8], now: i64) -> Result<Self, Refusal> {
        let object = object(body)?;
        let (role, scope) = scopes(object.get("scopes"))?;
        Ok(Self { comment: comment(object.get("comment"))?, role, scope, expires_at: expiry(&object, now)? })
    }
}

fn comment(value: Option<&Value>) -> Result<Option<String>, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= MAX_COMMENT && !text.chars().any(char::is_control) => {
            Ok(Some(text.clone()))
        }
        Some(_) => {
            Err(Refusal::malformed("comment must be a string of at most 255 characters, without control characters."))
        }
    }
}

/// The highest role among the names; the other names narrow what the key may grant.
fn scopes(value: Option<&Value>) -> Result<(Role, Option<ScopeSet>), Refusal> {
    let refused = || Refusal::malformed("scopes must be a list of at least one scope name.");
    let items = value.and_then(Value::as_array).filter(|items| !items.is_empty()).ok_or_else(refused)?;
    let names: Vec<&str> = items.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(refused)?;
    let role_of = |name: &&str| Role::from_name(name).filter(|role| *role > Role::Default);
    let role = names.iter().filter_map(role_of).max().unwrap_or(Role::Default);
    let rest = ScopeSet::of(names.iter().filter(|name| role_of(name).is_none()).copied());
    let rest = rest.map_err(|why| {
        Refusal::with_hint(RefusalKind::MalformedRequest, format!("scopes is not a list of scope names: {why}."))
    })?;
    Ok((role, (!rest.is_empty()).then_some(rest)))
}

/// `expiration_date` or `time_to_live_in_seconds`, not both.
fn expiry(object: &Map<String, Value>, now: i64) -> Result<Option<i64>, Refusal> {
    let given = |name: &str| object.get(name).filter(|value| !value.is_null());
    match (given("expiration_date"), given("time_to_live_in_seconds")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => {
            Err(Refusal::malformed("expiration_date and time_to_live_in_seconds exclude each other."))
        }
        (Some(date), None) => {
            let end = date.as_str().and_then(parse_time).filter(|end| *end > now);
            end.map(Some).ok_or_else(|| {
                Refusal::malformed("expiration_date must be an RFC 3339 time in the future, as 2030-01-31T12:00:00Z.")
            })
        }
        (None, Some(value)) => seconds(value, MAX_KEY_LIFETIME).map(|seconds| Some(now + seconds)).ok_or_else(|| {
            Refusal::malformed("time_to_live_in_seconds must be a number of seconds from 1 to ten years.")
        }),
    }
}

/// `name` of a project.
pub fn project_name(body: &[u8]) -> Result<String, Refusal> {
    match comment(object(body)?.get("name")) {
        Ok(Some(name)) => Ok(name),
        _ => Err(Refusal::malformed("name must be a string of 1 to 255 characters, without control characters.")),
    }
}

/// Which keys a list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Any,
    Active,
    Expired,
}

impl Status {
    /// Reads the query of a list.
    pub fn read(query: &str) -> Result<Self, Refusal> {
        match Form::parse(query.as_bytes())?.get("status") {
            None => Ok(Self::Any),
            Some("active") => Ok(Self::Active),
            Some("expired") => Ok(Self::Expired),
            Some(_) => Err(Refusal::malformed("status must be active or expired.")),
        }
    }

    /// `now` in epoch seconds.
    pub fn shows(self, key: &ApiKey, now: i64) -> bool {
        match self {
            Self::Any => true,
            Self::Active => key.is_live(now),
            Self::Expired => !key.is_live(now),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramProjects")]
pub struct Projects {
    pub projects: Vec<ProjectOut>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramProject")]
pub struct ProjectOut {
    project_id: String,
    name: String,
}

impl ProjectOut {
    pub fn of(provider: &Provider) -> Self {
        Self { project_id: provider.id.to_string(), name: provider.name.clone() }
    }
}

/// The key that asks.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramOwnKey")]
pub struct OwnKey {
    pub api_key_id: String,
    pub scopes: Vec<String>,
    /// Not known of a key that stands in the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WireTime>")]
    pub created: Option<String>,
}

/// A key, without or with its text.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "DeepgramKey")]
pub struct KeyOut {
    api_key_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    comment: String,
    scopes: Vec<String>,
    #[schemars(with = "WireTime")]
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<WireTime>")]
    expiration_date: Option<String>,
}

impl KeyOut {
    pub fn of(key: &ApiKey) -> Self {
        Self {
            api_key_id: key.id.to_string(),
            key: None,
            comment: key.name.clone(),
            scopes: scopes_of(key),
            created: time(key.created_at),
            expiration_date: key.expires_at.map(time),
        }
    }
}

/// Whose key it is. Ours belong to nobody: each stands for itself, and has no address.
#[derive(Clone, Serialize, JsonSchema)]
#[schemars(rename = "DeepgramMember")]
pub struct Member {
    member_id: String,
    email: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramKeyOfMember")]
pub struct KeyOfMember {
    member: Member,
    api_key: KeyOut,
}

impl KeyOfMember {
    pub fn of(key: &ApiKey) -> Self {
        Self { member: Member { member_id: key.id.to_string(), email: "" }, api_key: KeyOut::of(key) }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramKeys")]
pub struct Keys {
    pub api_keys: Vec<KeyOfMember>,
}

/// One key, in both places where SDKs look for it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramOneKey")]
pub struct OneKey {
    item: Item,
    #[serde(flatten)]
    flat: KeyOfMember,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramItem")]
struct Item {
    member: MemberWithKey,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeepgramMemberWithKey")]
struct MemberWithKey {
    #[serde(flatten)]
    member: Member,
    api_key: KeyOut,
}

impl OneKey {
    pub fn of(key: &ApiKey) -> Self {
        let flat = KeyOfMember::of(key);
        let nested = MemberWithKey { member: flat.member.clone(), api_key: flat.api_key.clone() };
        Self { item: Item { member: nested }, flat }
    }
}

/// Role, then scope, as the list that a key is made from.
pub fn scopes_of(key: &ApiKey) -> Vec<String> {
    let role = (key.role > Role::Default).then(|| key.role.name().to_owned());
    let scope = key.scope.iter().flat_map(ScopeSet::iter).map(str::to_owned);
    role.into_iter().chain(scope).collect()
}

/// A JSON list of the names.
pub fn scope_list(scope: &ScopeSet) -> String {
    Value::from_iter(scope.iter()).to_string()
}

pub fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

/// Epoch seconds as RFC 3339 in UTC.
pub fn time(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// `None` for what cannot be shown again, as years beyond 9999.
fn parse_time(text: &str) -> Option<i64> {
    let seconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp();
    (!time(seconds).is_empty()).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn a_lifetime_is_1_to_3600_seconds_without_its_fraction() {
        for (body, seconds) in [
            ("", None),
            (" \r\n", None),
            ("{}", None),
            (r#"{"ttl_seconds":null}"#, None),
            (r#"{"ttl_seconds":1}"#, Some(1)),
            (r#"{"ttl_seconds":1.5}"#, Some(1)),
            (r#"{"ttl_seconds":60.0,"other":true}"#, Some(60)),
            (r#"{"ttl_seconds":3600}"#, Some(3600)),
            (r#"{"ttl_seconds":3.6e3}"#, Some(3600)),
        ] {
            assert_eq!(lifetime(body.as_bytes()), Ok(seconds), "{body}");
        }
        for bad in ["0", "0.9", "-1", "3600.5", "3601", "1e300", r#""60""#, "true", "[60]", "{}"] {
            assert!(lifetime(format!(r#"{{"ttl_seconds":{bad}}}"#).as_bytes()).is_err(), "{bad}");
        }
        for bad in ["null", "[]", "7", "{", r#"{"ttl_seconds":1,"ttl_seconds":1}"#, "ttl_seconds=60"] {
            assert!(lifetime(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    fn new_key(fields: &str) -> Result<NewKey, Refusal> {
        NewKey::read(format!("{{{fields}}}").as_bytes(), NOW)
    }

    #[test]
    fn a_role_among_the_scopes_is_the_keys_role_and_the_rest_narrows_it() {
        for (scopes, role, rest) in [
            (r#"["member"]"#, Role::Member, None),
            (r#"["admin","member"]"#, Role::Admin, None),
            (r#"["owner"]"#, Role::Owner, None),
            (r#"["usage:write"]"#, Role::Default, Some("usage:write")),
            (r#"["default"]"#, Role::Default, Some("default")),
            (r#"["member","usage:write","usage:read"]"#, Role::Member, Some("usage:write usage:read")),
        ] {
            let key = new_key(&format!(r#""comment":"x","scopes":{scopes}"#)).unwrap();
            let scope = key.scope.as_ref().map(ScopeSet::as_str);
            assert_eq!((key.role, scope), (role, rest), "{scopes}");
        }
        for bad in ["[]", "null", r#""member""#, "[7]", r#"["a b"]"#, r#"[""]"#] {
            assert!(new_key(&format!(r#""scopes":{bad}"#)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_end_is_a_date_or_a_number_of_seconds_and_not_both() {
        let end = |fields: &str| new_key(&format!(r#""scopes":["member"],{fields}"#)).map(|key| key.expires_at);
        assert_eq!(end(r#""expiration_date":"2030-01-31T12:00:00Z""#), Ok(Some(1_896_091_200)));
        assert_eq!(end(r#""expiration_date":"2030-01-31T13:00:00.5+01:00""#), Ok(Some(1_896_091_200)));
        assert_eq!(end(r#""time_to_live_in_seconds":60,"expiration_date":null"#), Ok(Some(NOW + 60)));
        for (text, seconds) in [("1", 1), ("60.0", 60), ("1.5", 1), ("6e1", 60), ("315360000", 315_360_000)] {
            assert_eq!(end(&format!(r#""time_to_live_in_seconds":{text}"#)), Ok(Some(NOW + seconds)), "{text}");
        }
        for bad in ["0.9", "-60.0", "315360000.5", "1e300", "true", "[60]"] {
            assert!(end(&format!(r#""time_to_live_in_seconds":{bad}"#)).is_err(), "{bad}");
        }
        for bad in [
            r#""time_to_live_in_seconds":60,"expiration_date":"2030-01-31T12:00:00Z""#,
            r#""time_to_live_in_seconds":0"#,
            r#""time_to_live_in_seconds":9223372036854775807"#,
            r#""time_to_live_in_seconds":"60""#,
            r#""expiration_date":"2020-01-31T12:00:00Z""#,
            r#""expiration_date":"tomorrow""#,
            r#""expiration_date":7"#,
        ] {
            assert!(end(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_shows_keys_by_their_status() {
        assert_eq!(Status::read("status=active"), Ok(Status::Active));
        assert_eq!((Status::read(""), Status::read("status=&x=1")), (Ok(Status::Any), Ok(Status::Any)));
        for bad in
            ["status=dead", "status=active&status=expired", "status=active&status=active", "status=&status=active"]
        {
            assert!(Status::read(bad).is_err(), "{bad}");
        }
    }
}
