//! A client in the API's spelling: RFC 7591 names, both directions.

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;

use crate::admin::input::{Fields, JsonText};
use crate::admin::wire::{list, time};
use crate::domain::Client;
use crate::domain::client_policy::{ClientPolicy, RefreshRotation};
use crate::domain::token::SigningAlg;
use crate::engine::manage::client_draft::ClientDraft;

/// Takes every field of a client out of a body.
pub fn draft(fields: &mut Fields) -> ClientDraft {
    ClientDraft {
        client_id: fields.take("client_id"),
        client_secret: fields.take("client_secret"),
        subject: fields.take("subject"),
        client_name: fields.take("client_name"),
        grant_types: fields.take("grant_types"),
        response_types: fields.take("response_types"),
        redirect_uris: fields.take("redirect_uris"),
        post_logout_redirect_uris: fields.take("post_logout_redirect_uris"),
        backchannel_logout_uri: fields.take("backchannel_logout_uri"),
        backchannel_logout_session_required: fields.take("backchannel_logout_session_required"),
        scope: fields.take("scope"),
        audience: fields.take("audience"),
        token_endpoint_auth_method: fields.take("token_endpoint_auth_method"),
        token_endpoint_auth_signing_alg: fields.take("token_endpoint_auth_signing_alg"),
        jwks: fields.take::<JsonText>("jwks").map(|JsonText(text)| text),
        jwks_uri: fields.take("jwks_uri"),
        access_token_ttl: fields.take("access_token_ttl"),
        authorization_code_ttl: fields.take("authorization_code_ttl"),
        refresh_token_ttl: fields.take("refresh_token_ttl"),
        refresh_token_max_ttl: fields.take("refresh_token_max_ttl"),
        max_ttl: fields.take("max_ttl"),
        refresh_rotation: fields.take("refresh_rotation"),
        refresh_grace: fields.take("refresh_grace"),
        refresh_grace_unused: fields.take("refresh_grace_unused"),
        access_token_format: fields.take("access_token_format"),
        id_token_signed_response_alg: fields.take("id_token_signed_response_alg"),
        require_pkce: fields.take("require_pkce"),
        require_consent: fields.take("require_consent"),
        application_type: fields.take("application_type"),
        resource_server: fields.take("resource_server"),
        resources: fields.take("resources"),
        may_mint: fields.take("may_mint"),
        may_set_subject: fields.take("may_set_subject"),
        require_pushed_authorization_requests: fields.take("require_pushed_authorization_requests"),
        dpop_bound_access_tokens: fields.take("dpop_bound_access_tokens"),
        enabled: fields.take("enabled"),
        // Last: what is left over is no field.
        slips: fields.slips(),
    }
}

#[derive(Serialize)]
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
    created_at: String,
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
            only_surface: _,
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
            // Switches that this release refuses are always off.
            may_mint: false,
            may_set_subject: false,
            require_pushed_authorization_requests: false,
            dpop_bound_access_tokens: false,
            enabled,
            subject,
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}
