//! RFC 6749 §4.4: a client acts for itself. No user, no session, no refresh token, no row.

use crate::domain::grant::Ask;
use crate::domain::token::AccessTokenFormat;
use crate::domain::{Provider, Refusal};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::grants::Terms;
use crate::engine::policy;

/// The terms on which this client gets a token of its own.
pub fn terms(provider: &Provider, client: &ClientEntry, ask: &Ask) -> Result<Terms, Refusal> {
    Ok(Terms {
        subject: client.subject().to_owned(),
        scope: policy::own_scope(ask.scope.as_ref(), client)?,
        audience: policy::audience(&ask.resources, client, provider)?,
        lifetime: policy::access_token_lifetime(client, provider),
        format: if ask.force_jwt { AccessTokenFormat::Jwt } else { client.format },
        own_id_token: ask.own_id_token,
    })
}
