//! Bounds that belong to safety and hold on every wire: what a client may ask for, and what it
//! gets when it does not ask. Plain functions without a clock or a database.

use crate::domain::client::GrantType;
use crate::domain::grant::Ask;
use crate::domain::{AudienceSet, Provider, Refusal, RefusalKind, ScopeSet};
use crate::engine::cache::clients::ClientEntry;

/// May this client use this grant (RFC 6749 §5.2 `unauthorized_client`)? A public client never
/// acts for itself (§4.4).
pub fn may_use_grant(client: &ClientEntry, grant: GrantType) -> Result<(), Refusal> {
    let for_itself = grant == GrantType::ClientCredentials;
    if client.may_use(grant) && !(for_itself && client.is_public()) {
        return Ok(());
    }
    Err(Refusal::new(RefusalKind::UnauthorizedClient, "The client may not use this grant type.").about(format!(
        "client {} does not have {}",
        client.client_id,
        grant.name()
    )))
}

/// The scope of a client's own token: what was asked, if the client has all of it; all it has if
/// nothing was asked.
pub fn own_scope(asked: Option<&ScopeSet>, client: &ClientEntry) -> Result<ScopeSet, Refusal> {
    let Some(asked) = asked else { return Ok(client.scope.clone()) };
    match asked.first_outside(&client.scope) {
        None => Ok(asked.clone()),
        Some(outside) => Err(Refusal::new(RefusalKind::InvalidScope, "The client may not have this scope.")
            .about(format!("client {} does not have scope {outside:?}", client.client_id))),
    }
}

/// The scope of a person's grant: what was asked, if the client has all of it, and nothing if nothing
/// was asked. On a wire without scope all that the client has.
pub fn person_scope(ask: &Ask, client: &ClientEntry) -> Result<ScopeSet, Refusal> {
    match &ask.scope {
        None if ask.scope_of_client => Ok(client.scope.clone()),
        None => Ok(ScopeSet::default()),
        Some(_) => own_scope(ask.scope.as_ref(), client),
    }
}

/// The audience of a token: what was asked, if the client's list has it; else the first of the
/// list; else the provider's default (RFC 8707 §2.2, RFC 9068 §3).
pub fn audience(asked: &[String], client: &ClientEntry, provider: &Provider) -> Result<AudienceSet, Refusal> {
    let fallback = client.audience.first().unwrap_or(provider.audience());
    if asked.is_empty() {
        return AudienceSet::of([fallback]).map_err(|_| invalid_target(client));
    }
    let wanted = AudienceSet::of(asked.iter().map(String::as_str)).map_err(|_| invalid_target(client))?;
    let listed = |value: &str| client.audience.contains(value) || (client.audience.is_empty() && value == fallback);
    if wanted.iter().all(listed) { Ok(wanted) } else { Err(invalid_target(client)) }
}

fn invalid_target(client: &ClientEntry) -> Refusal {
    Refusal::new(RefusalKind::InvalidTarget, "The client may not ask for this resource.")
        .about(format!("client {}: resource outside its audience", client.client_id))
}

/// Seconds an access token lives: the client's own lifetime or the provider's, within the
/// provider's bound, never below one second.
pub fn access_token_lifetime(client: &ClientEntry, provider: &Provider) -> i64 {
    let own = client.access_token_ttl().unwrap_or(provider.ttls.access_token);
    own.min(provider.ttls.max).max(1)
}

/// How long refresh tokens live, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshLifetimes {
    /// Unused.
    pub idle: i64,
    /// At the longest, counted from the grant.
    pub max: i64,
}

/// The client's own lifetimes or the provider's. A family that is tied to a session is idle no longer
/// than sessions are.
pub fn refresh_lifetimes(client: &ClientEntry, provider: &Provider, tied: bool) -> RefreshLifetimes {
    let own = client.policy();
    let idle = own.and_then(|policy| policy.refresh_token_ttl).unwrap_or(provider.ttls.refresh_token);
    let max = own.and_then(|policy| policy.refresh_token_max_ttl).unwrap_or(provider.ttls.refresh_token_max);
    RefreshLifetimes { idle: if tied { idle.min(provider.sessions.idle) } else { idle }, max }
}
