//! RFC 6749 §4.4: a client acts for itself. No user, no session, no refresh token, no row.

use crate::domain::grant::Ask;
use crate::domain::token::{AccessTokenFormat, AccessTyp};
use crate::domain::{ExtraClaims, Provider, Refusal};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::counters::IssuedBy;
use crate::engine::grants::{Owner, Terms};
use crate::engine::policy;

/// The terms on which this client gets a token of its own.
pub fn terms(provider: &Provider, client: &ClientEntry, ask: &Ask) -> Result<Terms, Refusal> {
    Ok(Terms {
        owner: Owner::of(client),
        subject: client.subject().to_owned(),
        scope: policy::own_scope(ask, client)?,
        audience: policy::audience(&ask.resources, client, provider)?,
        lifetime: policy::access_token_lifetime(client, provider, ask),
        format: if ask.force_jwt { AccessTokenFormat::Jwt } else { client.format },
        typ: AccessTyp::AtJwt,
        extra: ExtraClaims::default(),
        own_id_token: ask.own_id_token,
        by: IssuedBy::ClientCredentials,
    })
}
