//! UseGrant's own spelling: camelCase, RFC 3339 times, lists without an envelope. Its client checks
//! every answer against a schema, so each field it names is there. Bounds are those of its schema,
//! counted in characters. A media type is not looked at: its own samples send JSON as `text/plain`.

use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::trust::{Condition, Operator};
use crate::domain::{AudienceSet, Client, Provider, ProviderDomain, Refusal, Tenant, TrustPolicy, TrustedIssuer};
use crate::edge::describe::WireTime;
use crate::edge::json::Members;

/// The members of a request; `null` counts as absent, a name that is not known is passed over.
pub struct Body(Map<String, Value>);

impl Body {
    /// A body that must be an object.
    pub fn read(body: &[u8]) -> Result<Self, Refusal> {
        Ok(Self(Members::parse(body)?.into_object()?))
    }

    /// No body counts as `{}`.
    pub fn read_optional(body: &[u8]) -> Result<Self, Refusal> {
        if body.trim_ascii().is_empty() { Ok(Self(Map::new())) } else { Self::read(body) }
    }

    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// Text of so many characters.
    pub fn text(&self, name: &str, length: RangeInclusive<usize>) -> Result<String, Refusal> {
        text(self.get(name), name, length)
    }

    /// The same without the space around it.
    pub fn trimmed(&self, name: &str, length: RangeInclusive<usize>) -> Result<String, Refusal> {
        match self.get(name) {
            Some(Value::String(sent)) => text(Some(&Value::from(sent.trim())), name, length),
            other => text(other, name, length),
        }
    }

    /// A switch that is off unless it is `true`.
    pub fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(wrong(name, "must be true or false")),
        }
    }

    /// A number from 0 to `most`; absent: `None`.
    pub fn number(&self, name: &str, most: f64) -> Result<Option<f64>, Refusal> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let number = value.as_f64().filter(|number| (0.0..=most).contains(number));
        number.map(Some).ok_or_else(|| wrong(name, format!("must be a number from 0 to {most}")))
    }

    /// A list of so many items.
    pub fn list(&self, name: &str, length: RangeInclusive<usize>) -> Result<&[Value], Refusal> {
        match self.get(name) {
            Some(Value::Array(items)) if length.contains(&items.len()) => Ok(items),
            None => Err(wrong(name, "is needed")),
            Some(_) => Err(wrong(name, format!("must be a list of {} to {} items", length.start(), length.end()))),
        }
    }
}

/// Text of so many characters, by the name that a refusal tells.
pub fn text(value: Option<&Value>, name: &str, length: RangeInclusive<usize>) -> Result<String, Refusal> {
    let range = || format!("must be text of {} to {} characters", length.start(), length.end());
    match value {
        None => Err(wrong(name, "is needed")),
        Some(Value::String(text)) if length.contains(&text.chars().count()) => Ok(text.clone()),
        Some(_) => Err(wrong(name, range())),
    }
}

/// `name` is ours, or stands in a list by its place: never what was sent.
pub fn wrong(name: &str, detail: impl Into<String>) -> Refusal {
    Refusal::invalid_field(format!("/{name}"), detail)
}

/// The operators of conditions, in both spellings.
const OPERATORS: [(&str, Operator); 4] = [
    ("stringEquals", Operator::Equals),
    ("stringLike", Operator::Like),
    ("stringNotEquals", Operator::NotEquals),
    ("stringNotLike", Operator::NotLike),
];

pub fn operator(name: &str) -> Option<Operator> {
    OPERATORS.iter().find(|(own, _)| *own == name).map(|(_, operator)| *operator)
}

/// Epoch seconds as RFC 3339 in UTC.
pub fn time(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantError")]
pub struct ErrorAnswer<'a> {
    pub code: &'static str,
    pub message: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantToken")]
#[serde(rename_all = "camelCase")]
pub struct TokenAnswer<'a> {
    pub access_token: &'a str,
    #[schemars(with = "WireTime")]
    pub expires_at: String,
    pub r#type: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantValidation")]
pub struct ValidationAnswer {
    pub exp: i64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantProvider")]
#[serde(rename_all = "camelCase")]
pub struct ProviderOut {
    id: String,
    name: String,
    description: String,
    /// Not in its client's schema: where its keys are found.
    issuer: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

impl From<&Provider> for ProviderOut {
    fn from(provider: &Provider) -> Self {
        Self {
            id: provider.id.to_string(),
            name: provider.name.clone(),
            description: provider.description.clone().unwrap_or_default(),
            issuer: provider.issuer.clone(),
            created_at: time(provider.created_at),
            updated_at: time(provider.updated_at),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantClient")]
#[serde(rename_all = "camelCase")]
pub struct ClientOut {
    id: String,
    name: String,
    audience: String,
    /// Not in its client's schema: the `sub` of its tokens.
    subject: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

impl From<&Client> for ClientOut {
    fn from(client: &Client) -> Self {
        Self {
            id: client.client_id.to_string(),
            name: client.name.clone(),
            audience: first(&client.audience),
            subject: client.subject.clone(),
            created_at: time(client.created_at),
            updated_at: time(client.updated_at),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantDomain")]
#[serde(rename_all = "camelCase")]
pub struct DomainOut {
    id: String,
    domain: String,
    verified: bool,
    /// Not in its client's schema: what the DNS must show.
    dns_record: DnsRecordOut,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantDnsRecord")]
struct DnsRecordOut {
    r#type: &'static str,
    name: String,
    value: String,
}

impl From<&ProviderDomain> for DomainOut {
    fn from(domain: &ProviderDomain) -> Self {
        Self {
            id: domain.id.to_string(),
            domain: domain.name.clone(),
            verified: domain.verified_at.is_some(),
            dns_record: DnsRecordOut { r#type: "TXT", name: domain.record_name(), value: domain.record_value() },
            created_at: time(domain.created_at),
            updated_at: time(domain.updated_at),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantVerification")]
pub struct VerificationAnswer<'a> {
    pub domain: DomainOut,
    pub verified: bool,
    pub message: &'a str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantTenant")]
#[serde(rename_all = "camelCase")]
pub struct TenantOut {
    id: String,
    name: String,
    description: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

impl From<&Tenant> for TenantOut {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id.to_string(),
            name: tenant.name.clone(),
            description: tenant.description.clone(),
            created_at: time(tenant.created_at),
            updated_at: time(tenant.updated_at),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantTenantProvider")]
#[serde(rename_all = "camelCase")]
pub struct TenantProviderOut {
    id: String,
    url: String,
    fingerprints: Vec<String>,
    audience: String,
    /// Hours.
    #[schemars(with = "f64")]
    earliest_issuance_time_allowed: Value,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

impl From<&TrustedIssuer> for TenantProviderOut {
    fn from(issuer: &TrustedIssuer) -> Self {
        Self {
            id: issuer.id.to_string(),
            url: issuer.issuer.clone(),
            fingerprints: issuer.rules.fingerprints.clone(),
            audience: first(&issuer.rules.audiences),
            earliest_issuance_time_allowed: hours(issuer.rules.max_age.unwrap_or(0)),
            created_at: time(issuer.created_at),
            updated_at: time(issuer.updated_at),
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantPolicy")]
#[serde(rename_all = "camelCase")]
pub struct PolicyOut {
    id: String,
    name: String,
    description: String,
    audience: String,
    conditions: Vec<ConditionOut>,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UseGrantCondition")]
struct ConditionOut {
    key: String,
    operator: &'static str,
    value: String,
}

impl From<&TrustPolicy> for PolicyOut {
    fn from(policy: &TrustPolicy) -> Self {
        let condition = |condition: &Condition| ConditionOut {
            key: condition.claim.clone(),
            operator: OPERATORS.iter().find(|(_, own)| *own == condition.operator).map_or("", |(name, _)| name),
            value: condition.values.first().cloned().unwrap_or_default(),
        };
        Self {
            id: policy.id.to_string(),
            name: policy.name.clone(),
            description: policy.description.clone(),
            audience: first(&policy.audience),
            conditions: policy.conditions.iter().map(condition).collect(),
            created_at: time(policy.created_at),
            updated_at: time(policy.updated_at),
        }
    }
}

fn first(audience: &AudienceSet) -> String {
    audience.first().unwrap_or_default().to_owned()
}

/// Whole hours as an integer.
fn hours(seconds: i64) -> Value {
    if seconds % 3600 == 0 { Value::from(seconds / 3600) } else { Value::from(seconds as f64 / 3600.0) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(text: &str) -> Body {
        Body::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn text_is_counted_in_characters_and_space_around_it_only_where_it_is_kept() {
        assert_eq!(body(r#"{"name":"äöü"}"#).text("name", 3..=3).unwrap(), "äöü");
        assert_eq!(body(r#"{"name":" äöü "}"#).trimmed("name", 3..=3).unwrap(), "äöü");
        assert!(body(r#"{"name":"  a  "}"#).trimmed("name", 3..=9).is_err());
        assert_eq!(body(r#"{"name":" ä "}"#).text("name", 3..=3).unwrap(), " ä ");
        for bad in [r#"{"name":"ab"}"#, r#"{"name":"abcd"}"#, r#"{"name":7}"#, r#"{"name":null}"#, "{}"] {
            assert!(body(bad).text("name", 3..=3).is_err(), "{bad}");
        }
    }

    #[test]
    fn numbers_and_switches_are_of_their_own_type() {
        assert_eq!(body(r#"{"n":1.5}"#).number("n", 2.0).unwrap(), Some(1.5));
        assert_eq!(body(r#"{"n":null}"#).number("n", 2.0).unwrap(), None);
        for bad in [r#"{"n":2.1}"#, r#"{"n":-0.1}"#, r#"{"n":"1"}"#, r#"{"n":true}"#, r#"{"n":1e400}"#] {
            let read = Body::read(bad.as_bytes()).and_then(|body| body.number("n", 2.0));
            assert!(read.is_err(), "{bad}");
        }
        assert!(body(r#"{"f":true}"#).flag("f").unwrap() && !body("{}").flag("f").unwrap());
        assert!(body(r#"{"f":"true"}"#).flag("f").is_err() && body(r#"{"f":1}"#).flag("f").is_err());
    }

    #[test]
    fn hours_are_whole_where_they_can_be() {
        assert_eq!((hours(43_200), hours(0), hours(5400)), (json!(12), json!(0), json!(1.5)));
    }
}
