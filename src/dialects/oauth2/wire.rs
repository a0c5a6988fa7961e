//! The standard endpoints' own spelling, and nothing else.

use serde::Serialize;

/// RFC 7662 §2.2.
#[derive(Serialize)]
pub struct ActiveToken<'a> {
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
}

/// RFC 7662 §2.2: of a token that is not active nothing else is said.
#[derive(Serialize)]
pub struct InactiveToken {
    pub active: bool,
}

/// `aud`: a string when there is one, a list when there are several (RFC 7519 §4.1.3).
#[derive(Serialize)]
#[serde(untagged)]
pub enum OneOrMany<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

/// RFC 8414 §2 and OpenID Connect Discovery §3, as far as it is on.
#[derive(Serialize)]
pub struct Metadata<'a> {
    pub issuer: &'a str,
    pub token_endpoint: String,
    pub introspection_endpoint: String,
    pub revocation_endpoint: String,
    pub jwks_uri: String,
    pub scopes_supported: [&'a str; 4],
    pub response_types_supported: [&'a str; 0],
    pub grant_types_supported: [&'a str; 1],
    pub subject_types_supported: [&'a str; 1],
    pub id_token_signing_alg_values_supported: [&'a str; 1],
    pub token_endpoint_auth_methods_supported: &'a [&'a str],
    pub token_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    pub introspection_endpoint_auth_methods_supported: &'a [&'a str],
    pub introspection_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    pub revocation_endpoint_auth_methods_supported: &'a [&'a str],
    pub revocation_endpoint_auth_signing_alg_values_supported: &'a [&'a str],
    pub claims_supported: [&'a str; 7],
}
