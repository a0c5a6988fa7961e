//! The fields of a client as they come in, not yet judged. Names as in RFC 7591.

use secrecy::SecretString;

use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;

/// A client to be made, or a change to one.
#[derive(Clone, Debug, Default)]
pub struct ClientDraft {
    /// At creation only.
    pub client_id: Field<String>,
    /// At creation only: a chosen secret.
    pub client_secret: Field<SecretString>,
    /// At creation only.
    pub subject: Field<String>,
    pub client_name: Field<String>,
    pub grant_types: Field<Vec<String>>,
    pub response_types: Field<Vec<String>>,
    pub redirect_uris: Field<Vec<String>>,
    pub post_logout_redirect_uris: Field<Vec<String>>,
    pub backchannel_logout_uri: Field<String>,
    pub backchannel_logout_session_required: Field<bool>,
    pub scope: Field<String>,
    pub audience: Field<Vec<String>>,
    pub token_endpoint_auth_method: Field<String>,
    pub token_endpoint_auth_signing_alg: Field<String>,
    /// JWK Set text.
    pub jwks: Field<String>,
    pub jwks_uri: Field<String>,
    /// Seconds, as all that end in `ttl` or `grace`.
    pub access_token_ttl: Field<i64>,
    pub authorization_code_ttl: Field<i64>,
    pub refresh_token_ttl: Field<i64>,
    pub refresh_token_max_ttl: Field<i64>,
    pub max_ttl: Field<i64>,
    pub refresh_rotation: Field<String>,
    pub refresh_grace: Field<i64>,
    pub refresh_grace_unused: Field<i64>,
    pub access_token_format: Field<String>,
    pub id_token_signed_response_alg: Field<String>,
    pub require_pkce: Field<bool>,
    pub require_consent: Field<bool>,
    pub application_type: Field<String>,
    pub resource_server: Field<bool>,
    pub resources: Field<Vec<String>>,
    pub may_mint: Field<bool>,
    pub may_set_subject: Field<bool>,
    pub require_pushed_authorization_requests: Field<bool>,
    pub dpop_bound_access_tokens: Field<bool>,
    pub enabled: Field<bool>,
    /// What could not even be read; told together with what is wrong otherwise.
    pub slips: Vec<FieldError>,
}
