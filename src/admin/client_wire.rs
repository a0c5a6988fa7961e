//! A client in the API's spelling: RFC 7591 names, both directions.

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::admin::fields::fields;
use crate::admin::input::JsonText;
use crate::admin::wire::{list, time};
use crate::domain::Client;
use crate::domain::client::GrantType;
use crate::domain::client_policy::{ClientPolicy, RefreshRotation};
use crate::domain::token::SigningAlg;
use crate::edge::describe::WireTime;
use crate::engine::manage::client_draft::ClientDraft;

fields! {
    /// A client, in the words of RFC 7591. What is left out, or null, has its default.
    ClientFields => ClientDraft named "Client" required [] at_creation [client_id, client_secret, subject] {
        /// Chosen by you; without it a UUID is made. Never used again, even after its end.
        client_id: String { "pattern": "^[A-Za-z0-9._-]{1,64}$" },
        /// A secret of your choice. Without it one is made, if the client's authentication method uses one.
        client_secret: SecretString { "minLength": 32 },
        /// `sub` of its own tokens; without it the `client_id`. Never used again.
        subject: String { "pattern": "^[!-~]{1,255}$" },
        /// For people; by default the `client_id`.
        client_name: String { "minLength": 1, "maxLength": 255 },
        /// By default client_credentials.
        grant_types: Vec<String> { "items": { "type": "string", "enum": grants() } },
        /// `["code"]` goes with authorization_code by itself.
        response_types: Vec<String> { "items": { "type": "string", "enum": ["code"] }, "maxItems": 1 },
        /// Compared byte for byte; on loopback any port passes. Needed for authorization_code.
        redirect_uris: Vec<String> { "items": { "type": "string", "format": "uri" }, "maxItems": 50 },
        /// Where people may be sent after logout.
        post_logout_redirect_uris: Vec<String> { "items": { "type": "string", "format": "uri" }, "maxItems": 50 },
        /// Told when a session that it took part in ends (OIDC Back-Channel Logout).
        backchannel_logout_uri: String { "format": "uri", "maxLength": 2048 },
        /// Whether that word must name the session.
        backchannel_logout_session_required: bool,
        /// Scope names, separated by spaces: the most that it can ask for. Names that do not exist yet are made,
        /// unless the provider has `strict_scopes`.
        scope: String { "maxLength": 4096 },
        /// `aud` values that its tokens can have; none listed: the provider's default.
        audience: Vec<String> { "items": { "type": "string", "minLength": 1 }, "maxItems": 50 },
        /// How it proves itself. By default client_secret_basic.
        token_endpoint_auth_method: String {
            "enum": ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
        },
        /// The only algorithm of its assertions; null: any that is good.
        token_endpoint_auth_signing_alg: String {
            "enum": ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
        },
        /// Its public keys, for private_key_jwt.
        jwks: JsonText => |JsonText(text)| text,
        /// Where they are found instead. Not beside `jwks`.
        jwks_uri: String { "format": "uri", "maxLength": 2048 },
        /// Seconds, at most the provider's `max_ttl`; null: the provider's.
        access_token_ttl: i64 { "minimum": 1 },
        /// Seconds; null: the provider's.
        authorization_code_ttl: i64 { "minimum": 1, "maximum": 600 },
        /// Seconds without use; null: the provider's.
        refresh_token_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// Seconds in all; null: the provider's.
        refresh_token_max_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// Seconds, for what it mints; null: the provider's.
        max_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// When a refresh gives another refresh token. Public clients: always.
        refresh_rotation: String { "enum": ["always", "late", "never"] },
        /// Seconds for which a replaced refresh token still gives its successor. By default 10.
        refresh_grace: i64 { "minimum": 0, "maximum": 300 },
        /// The same while the successor was never used: an answer that got lost.
        refresh_grace_unused: i64 { "minimum": 0, "maximum": 86_400 },
        /// By default jwt.
        access_token_format: String { "enum": ["jwt", "opaque"] },
        /// Null: RS256.
        id_token_signed_response_alg: String { "enum": ["ES256", "RS256", "EdDSA"] },
        /// Must be on for a public client.
        require_pkce: bool,
        /// Whether people are asked.
        require_consent: bool,
        /// Native: redirect URIs with a scheme of its own in reverse domain order.
        application_type: String { "enum": ["web", "native"] },
        /// Whether it may introspect tokens.
        resource_server: bool,
        /// `aud` values that it may introspect; none listed: all of the provider.
        resources: Vec<String> { "items": { "type": "string", "minLength": 1 }, "maxItems": 50 },
        /// Whether it may mint tokens for others at `/oauth2/mint`.
        may_mint: bool,
        /// Whether it may name their subject.
        may_set_subject: bool,
        /// Not supported by this release: false.
        require_pushed_authorization_requests: bool { "const": false },
        /// Not supported by this release: false.
        dpop_bound_access_tokens: bool { "const": false },
        /// Whether it works at all. Switched off, its tokens end.
        enabled: bool,
    }
}

/// The names of the grants that are served.
fn grants() -> Vec<&'static str> {
    GrantType::ALL.into_iter().filter(|grant| grant.is_served()).map(GrantType::name).collect()
}

/// A client.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Client")]
pub struct ClientOut {
    client_id: String,
    client_name: String,
    /// Once, at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    grant_types: Vec<&'static str>,
    response_types: Vec<String>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    backchannel_logout_uri: Option<String>,
    backchannel_logout_session_required: bool,
    scope: String,
    audience: Vec<String>,
    token_endpoint_auth_method: &'static str,
    token_endpoint_auth_signing_alg: Option<String>,
    jwks: Option<Value>,
    jwks_uri: Option<String>,
    access_token_ttl: Option<i64>,
    authorization_code_ttl: Option<i64>,
    refresh_token_ttl: Option<i64>,
    refresh_token_max_ttl: Option<i64>,
    max_ttl: Option<i64>,
    refresh_rotation: Option<&'static str>,
    refresh_grace: Option<i64>,
    refresh_grace_unused: Option<i64>,
    access_token_format: &'static str,
    id_token_signed_response_alg: Option<&'static str>,
    require_pkce: bool,
    require_consent: bool,
    application_type: &'static str,
    resource_server: bool,
    resources: Vec<String>,
    may_mint: bool,
    may_set_subject: bool,
    require_pushed_authorization_requests: bool,
    dpop_bound_access_tokens: bool,
    enabled: bool,
    subject: String,
    /// The surface whose own client this is; absent for every other.
    #[serde(skip_serializing_if = "Option::is_none")]
    surface: Option<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
}

impl ClientOut {
    pub fn of(client: Client, secret: Option<&SecretString>) -> Self {
        let Client {
            provider: _,
            client_id,
            subject,
            name,
            auth_method,
            auth_signing_alg,
            jwks,
            jwks_uri,
            grant_types,
            scope,
            audience,
            resource_server,
            resources,
            access_token_format,
            access_token_ttl,
            enabled,
            only_surface,
            policy,
            epoch: _,
            version: _,
            created_at,
            updated_at,
            deleted_at: _,
        } = client;
        let ClientPolicy {
            response_types,
            redirect_uris,
            post_logout_redirect_uris,
            backchannel_logout_uri,
            backchannel_logout_session_required,
            authorization_code_ttl,
            refresh_token_ttl,
            refresh_token_max_ttl,
            max_ttl,
            refresh_rotation,
            refresh_grace,
            refresh_grace_unused,
            id_token_signed_response_alg,
            require_pkce,
            require_consent,
            application_type,
            may_mint,
            may_set_subject,
        } = policy;
        Self {
            client_id: client_id.to_string(),
            client_name: name,
            client_secret: secret.map(|secret| secret.expose_secret().to_owned()),
            grant_types: grant_types.iter().map(|grant| grant.name()).collect(),
            response_types,
            redirect_uris,
            post_logout_redirect_uris,
            backchannel_logout_uri,
            backchannel_logout_session_required,
            scope: scope.as_str().to_owned(),
            audience: list(&audience),
            token_endpoint_auth_method: auth_method.name(),
            token_endpoint_auth_signing_alg: auth_signing_alg,
            jwks: jwks.and_then(|text| serde_json::from_str(&text).ok()),
            jwks_uri,
            access_token_ttl,
            authorization_code_ttl,
            refresh_token_ttl,
            refresh_token_max_ttl,
            max_ttl,
            refresh_rotation: refresh_rotation.map(RefreshRotation::name),
            refresh_grace,
            refresh_grace_unused,
            access_token_format: access_token_format.name(),
            id_token_signed_response_alg: id_token_signed_response_alg.map(SigningAlg::name),
            require_pkce,
            require_consent,
            application_type: application_type.name(),
            resource_server,
            resources: list(&resources),
            may_mint,
            may_set_subject,
            // Switches that this release refuses are always off.
            require_pushed_authorization_requests: false,
            dpop_bound_access_tokens: false,
            enabled,
            subject,
            surface: only_surface,
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}
