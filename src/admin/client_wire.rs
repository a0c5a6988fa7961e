//! A client in the API's spelling: RFC 7591 names, both directions.

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::admin::fields::fields;
use crate::admin::input::JsonText;
use crate::admin::wire::{list, time};
use crate::domain::Client;
use crate::domain::client_policy::{ClientPolicy, RefreshRotation};
use crate::domain::token::SigningAlg;
use crate::edge::describe::WireTime;
use crate::engine::manage::client_draft::ClientDraft;

fields! {
    /// A client, in the words of RFC 7591.
    ClientFields => ClientDraft named "Client" required [] at_creation [client_id, client_secret, subject] {
        client_id: String,
        client_secret: SecretString,
        subject: String,
        client_name: String,
        grant_types: Vec<String>,
        response_types: Vec<String>,
        redirect_uris: Vec<String>,
        post_logout_redirect_uris: Vec<String>,
        backchannel_logout_uri: String,
        backchannel_logout_session_required: bool,
        scope: String,
        audience: Vec<String>,
        token_endpoint_auth_method: String,
        token_endpoint_auth_signing_alg: String,
        jwks: JsonText => |JsonText(text)| text,
        jwks_uri: String,
        access_token_ttl: i64 { "minimum": 0 },
        authorization_code_ttl: i64 { "minimum": 0 },
        refresh_token_ttl: i64 { "minimum": 0 },
        refresh_token_max_ttl: i64 { "minimum": 0 },
        max_ttl: i64 { "minimum": 0 },
        refresh_rotation: String,
        refresh_grace: i64 { "minimum": 0 },
        refresh_grace_unused: i64 { "minimum": 0 },
        access_token_format: String,
        id_token_signed_response_alg: String,
        require_pkce: bool,
        require_consent: bool,
        application_type: String,
        resource_server: bool,
        resources: Vec<String>,
        may_mint: bool,
        may_set_subject: bool,
        require_pushed_authorization_requests: bool,
        dpop_bound_access_tokens: bool,
        enabled: bool,
    }
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
