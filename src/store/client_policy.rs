//! The JSON text of `clients.policy`, through a mirror of the domain's struct: rarely queried, and
//! wider than a row should be.

use serde::{Deserialize, Serialize};

use crate::domain::Fault;
use crate::domain::client_policy::{ApplicationType, ClientPolicy, RefreshRotation};
use crate::domain::token::SigningAlg;
use crate::store::fault::unreadable;

/// A field that an older release did not write has its default.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Mirror {
    response_types: Vec<String>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    backchannel_logout_uri: Option<String>,
    backchannel_logout_session_required: bool,
    authorization_code_ttl: Option<i64>,
    refresh_token_ttl: Option<i64>,
    refresh_token_max_ttl: Option<i64>,
    max_ttl: Option<i64>,
    refresh_rotation: Option<String>,
    refresh_grace: Option<i64>,
    refresh_grace_unused: Option<i64>,
    id_token_signed_response_alg: Option<String>,
    require_pkce: bool,
    require_consent: bool,
    application_type: String,
    may_mint: bool,
    may_set_subject: bool,
}

pub fn read(text: &str) -> Result<ClientPolicy, Fault> {
    let bad = || unreadable("clients", "policy");
    let Mirror {
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
    } = serde_json::from_str(text).map_err(|_| bad())?;
    let rotation = |name: String| RefreshRotation::from_name(&name).ok_or_else(bad);
    let alg = |name: String| SigningAlg::from_name(&name).ok_or_else(bad);
    Ok(ClientPolicy {
        response_types,
        redirect_uris,
        post_logout_redirect_uris,
        backchannel_logout_uri,
        backchannel_logout_session_required,
        authorization_code_ttl,
        refresh_token_ttl,
        refresh_token_max_ttl,
        max_ttl,
        refresh_rotation: refresh_rotation.map(rotation).transpose()?,
        refresh_grace,
        refresh_grace_unused,
        id_token_signed_response_alg: id_token_signed_response_alg.map(alg).transpose()?,
        require_pkce,
        require_consent,
        application_type: ApplicationType::from_name(&application_type).ok_or_else(bad)?,
        may_mint,
        may_set_subject,
    })
}

pub fn write(policy: ClientPolicy) -> String {
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
    let mirror = Mirror {
        response_types,
        redirect_uris,
        post_logout_redirect_uris,
        backchannel_logout_uri,
        backchannel_logout_session_required,
        authorization_code_ttl,
        refresh_token_ttl,
        refresh_token_max_ttl,
        max_ttl,
        refresh_rotation: refresh_rotation.map(|rotation| rotation.name().to_owned()),
        refresh_grace,
        refresh_grace_unused,
        id_token_signed_response_alg: id_token_signed_response_alg.map(|alg| alg.name().to_owned()),
        require_pkce,
        require_consent,
        application_type: application_type.name().to_owned(),
        may_mint,
        may_set_subject,
    };
    // Strings, numbers and lists always serialise; an empty text would be refused when read.
    serde_json::to_string(&mirror).unwrap_or_default()
}
