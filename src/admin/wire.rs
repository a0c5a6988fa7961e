//! What the API shows, in its own spelling: providers, secrets, API keys, signing keys. Clients have
//! a file of their own.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::client::ClientSecret;
use crate::domain::key::StoredSigningKey;
use crate::domain::{ApiKey, AudienceSet, Provider};
use crate::edge::describe::WireTime;
use crate::engine::manage::api_keys::ShownApiKey;

/// Epoch seconds as RFC 3339 in UTC.
pub fn time(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// RFC 3339 as epoch seconds; `None` for what cannot be shown again, as years beyond 9999.
pub fn parse_time(text: &str) -> Option<i64> {
    let seconds = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp();
    (!time(seconds).is_empty()).then_some(seconds)
}

/// Epoch milliseconds as RFC 3339 in UTC, always with three digits of a second.
pub fn time_millis(millis: i64) -> String {
    format!("{}.{:03}Z", time(millis.div_euclid(1000)).trim_end_matches('Z'), millis.rem_euclid(1000))
}

/// RFC 3339 as epoch milliseconds.
pub fn parse_time_millis(text: &str) -> Option<i64> {
    let nanos = OffsetDateTime::parse(text, &Rfc3339).ok()?.unix_timestamp_nanos();
    i64::try_from(nanos / 1_000_000).ok()
}

pub fn list(values: &AudienceSet) -> Vec<String> {
    values.iter().map(str::to_owned).collect()
}

/// A wire struct as a value; ours always serialise.
pub fn value(shown: impl Serialize) -> Value {
    serde_json::to_value(shown).unwrap_or_default()
}

/// A provider.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Provider")]
pub struct ProviderOut {
    id: String,
    slug: String,
    name: String,
    description: Option<String>,
    issuer: String,
    default_audience: String,
    access_token_signing_alg: &'static str,
    access_token_ttl: i64,
    id_token_ttl: i64,
    authorization_code_ttl: i64,
    refresh_token_ttl: i64,
    refresh_token_max_ttl: i64,
    max_ttl: i64,
    jwks_max_age: i64,
    key_rotation: i64,
    strict_scopes: bool,
    surfaces: Vec<String>,
    session_idle_ttl: i64,
    session_max_ttl: i64,
    logo_uri: Option<String>,
    brand_color: Option<String>,
    enabled: bool,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

impl From<Provider> for ProviderOut {
    fn from(provider: Provider) -> Self {
        let default_audience = provider.audience().to_owned();
        let Provider {
            id,
            slug,
            name,
            description,
            issuer,
            default_audience: _,
            access_token_signing_alg,
            ttls,
            strict_scopes,
            surfaces,
            sessions,
            branding,
            enabled,
            epoch: _,
            version: _,
            created_at,
            updated_at,
            deleted_at: _,
            older_tokens_end_at: _,
        } = provider;
        Self {
            id: id.to_string(),
            slug,
            name,
            description,
            issuer,
            default_audience,
            access_token_signing_alg: access_token_signing_alg.name(),
            access_token_ttl: ttls.access_token,
            id_token_ttl: ttls.id_token,
            authorization_code_ttl: ttls.authorization_code,
            refresh_token_ttl: ttls.refresh_token,
            refresh_token_max_ttl: ttls.refresh_token_max,
            max_ttl: ttls.max,
            jwks_max_age: ttls.jwks_max_age,
            key_rotation: ttls.key_rotation,
            strict_scopes,
            surfaces,
            session_idle_ttl: sessions.idle,
            session_max_ttl: sessions.max,
            logo_uri: branding.logo_uri,
            brand_color: branding.color,
            enabled,
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}

/// A client secret, without its text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ClientSecret")]
pub struct SecretOut {
    id: String,
    hint: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "Option<WireTime>")]
    expires_at: Option<String>,
    #[schemars(with = "Option<WireTime>")]
    last_used_at: Option<String>,
    #[schemars(with = "Option<WireTime>")]
    revoked_at: Option<String>,
    /// Once, at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

impl From<ClientSecret> for SecretOut {
    fn from(secret: ClientSecret) -> Self {
        let ClientSecret { id, stored: _, hint, created_at, expires_at, last_used_at, revoked_at } = secret;
        Self {
            id: id.to_string(),
            hint,
            created_at: time(created_at),
            expires_at: expires_at.map(time),
            last_used_at: last_used_at.map(time),
            revoked_at: revoked_at.map(time),
            client_secret: None,
        }
    }
}

/// An API key, without its text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
pub struct ApiKeyOut {
    id: String,
    name: String,
    role: &'static str,
    provider: Option<String>,
    scope: Option<String>,
    audience: Vec<String>,
    max_ttl: Option<i64>,
    may_set_subject: bool,
    hint: String,
    #[schemars(with = "Option<WireTime>")]
    expires_at: Option<String>,
    #[schemars(with = "Option<WireTime>")]
    last_used_at: Option<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
    /// Once, at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl From<ShownApiKey> for ApiKeyOut {
    fn from(shown: ShownApiKey) -> Self {
        let ShownApiKey { key, provider_slug } = shown;
        let ApiKey {
            id,
            name,
            role,
            provider: _,
            scope,
            audience,
            max_ttl,
            may_set_subject,
            hint,
            expires_at,
            last_used_at,
            created_at,
            updated_at,
            deleted_at: _,
            epoch: _,
            version: _,
        } = key;
        Self {
            id: id.to_string(),
            name,
            role: role.name(),
            provider: provider_slug,
            scope: scope.map(|scope| scope.as_str().to_owned()),
            audience: list(&audience),
            max_ttl,
            may_set_subject,
            hint,
            expires_at: expires_at.map(time),
            last_used_at: last_used_at.map(time),
            created_at: time(created_at),
            updated_at: time(updated_at),
            key: None,
        }
    }
}

/// A signing key; the private half never leaves the server.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SigningKey")]
pub struct SigningKeyOut {
    kid: String,
    alg: &'static str,
    state: &'static str,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "Option<WireTime>")]
    activated_at: Option<String>,
    #[schemars(with = "Option<WireTime>")]
    retired_at: Option<String>,
    public_jwk: Value,
}

impl From<StoredSigningKey> for SigningKeyOut {
    fn from(key: StoredSigningKey) -> Self {
        let StoredSigningKey {
            kid,
            provider: _,
            alg,
            state,
            public_jwk,
            sealed_private: _,
            data_key_id: _,
            created_at,
            activates_at,
            retired_at,
            max_lifetime: _,
        } = key;
        let has_signed = state != crate::domain::key::KeyState::Next;
        Self {
            kid,
            alg: alg.name(),
            state: state.name(),
            created_at: time(created_at),
            activated_at: has_signed.then(|| time(activates_at)),
            retired_at: retired_at.map(time),
            public_jwk: serde_json::from_str(&public_jwk).unwrap_or_default(),
        }
    }
}
