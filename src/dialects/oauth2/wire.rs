//! The standard endpoints' own spelling, and nothing else.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// RFC 7662 §2.2.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ActiveToken")]
pub struct ActiveToken<'a> {
    #[schemars(extend("const" = true))]
    pub active: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub scope: &'a str,
    pub client_id: &'a str,
    pub sub: &'a str,
    pub aud: OneOrMany<'a>,
    pub iss: &'a str,
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
    pub token_type: &'static str,
    /// Of a person's token: the grant it belongs to, and the session it ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<&'a str>,
    /// Of an ephemeral token: that this was its only use, what its holder may do, and who made it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_time: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<ActorOut<'a>>,
    /// Claims of free form; none has the name of a member above.
    #[serde(flatten)]
    pub free: Map<String, Value>,
}

/// RFC 8693 §4.1.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Actor")]
pub struct ActorOut<'a> {
    pub sub: &'a str,
}

/// RFC 7662 §2.2: of a token that is not active nothing else is said.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "InactiveToken")]
pub struct InactiveToken {
    #[schemars(extend("const" = false))]
    pub active: bool,
}

/// One of the two.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Introspection")]
#[expect(clippy::large_enum_variant, reason = "lives for one answer")]
pub enum Introspection<'a> {
    Active(ActiveToken<'a>),
    Inactive(InactiveToken),
}

/// `aud`: a string when there is one, a list when there are several (RFC 7519 §4.1.3).
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OneOrMany")]
#[serde(untagged)]
pub enum OneOrMany<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

/// RFC 8414 §2 and OpenID Connect Discovery §3, as far as it is on.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProviderMetadata")]
pub struct Metadata<'a> {
    pub issuer: &'a str,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub userinfo_endpoint: String,
    pub end_session_endpoint: String,
    pub introspection_endpoint: String,
    pub revocation_endpoint: String,
    pub jwks_uri: String,
    pub scopes_supported: [&'a str; 4],
    pub response_types_supported: [&'a str; 1],
    pub response_modes_supported: [&'a str; 2],
    pub grant_types_supported: Vec<&'a str>,
    pub code_challenge_methods_supported: [&'a str; 1],
    pub authorization_response_iss_parameter_supported: bool,
    pub prompt_values_supported: [&'a str; 4],
    pub claims_parameter_supported: bool,
    pub request_parameter_supported: bool,
    pub request_uri_parameter_supported: bool,
    pub ui_locales_supported: [&'a str; 2],
    pub backchannel_logout_supported: bool,
    pub backchannel_logout_session_supported: bool,
    pub subject_types_supported: [&'a str; 1],
    pub id_token_signing_alg_values_supported: [&'a str; 3],
    pub token_endpoint_auth_methods_supported: &'a [&'a str],
    pub token_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    pub introspection_endpoint_auth_methods_supported: &'a [&'a str],
    pub introspection_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    pub revocation_endpoint_auth_methods_supported: &'a [&'a str],
    pub revocation_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    pub claims_supported: &'a [&'a str],
}

/// OpenID Connect Core §5.3.2.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserInfo")]
pub struct UserInfoAnswer<'a> {
    pub sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
}
