//! Bounds that belong to safety and hold on every wire: what a client may ask for, and what it
//! gets when it does not ask. Plain functions without a clock or a database.

use crate::domain::client::GrantType;
use crate::domain::client_policy::RefreshRotation;
use crate::domain::explanation::{Fact, Facts, facts};
use crate::domain::grant::Ask;
use crate::domain::{AudienceSet, PersonGrant, Provider, Refusal, RefusalKind, ScopeSet};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::grants::refresh_rules::RefreshPolicy;

/// May this client use this grant (RFC 6749 §5.2 `unauthorized_client`)? A public client never
/// acts for itself (§4.4).
pub fn may_use_grant(client: &ClientEntry, grant: GrantType) -> Result<(), Refusal> {
    let for_itself = grant == GrantType::ClientCredentials;
    if client.may_use(grant) && !(for_itself && client.is_public()) {
        return Ok(());
    }
    let allowed = GrantType::ALL.into_iter().filter(|grant| client.may_use(*grant)).map(GrantType::name);
    Err(Refusal::new(RefusalKind::UnauthorizedClient, "The client may not use this grant type.")
        .about(format!("client {} does not have {}", client.client_id, grant.name()))
        .because("client.grant_type", facts![asked: Fact::word(grant.name()), allowed: Fact::list(allowed)]))
}

/// The scope of a client's own token: what was asked, if the client has all of it. If nothing was
/// asked all it has, or of the wire's usual scope what it has.
pub fn own_scope(ask: &Ask, client: &ClientEntry) -> Result<ScopeSet, Refusal> {
    match (&ask.scope, &ask.usual_scope) {
        (Some(asked), _) => asked_scope(asked, client),
        (None, Some(usual)) => Ok(usual.within(&client.scope)),
        (None, None) => Ok(client.scope.clone()),
    }
}

fn asked_scope(asked: &ScopeSet, client: &ClientEntry) -> Result<ScopeSet, Refusal> {
    match asked.first_outside(&client.scope) {
        None => Ok(asked.clone()),
        Some(outside) => Err(Refusal::new(RefusalKind::InvalidScope, "The client may not have this scope.")
            .about(format!("client {} does not have scope {outside:?}", client.client_id))
            .because("scope.allowed", scope_facts(asked, outside, &client.scope))),
    }
}

/// What was asked, what of it is too much, and what may be asked, for `explain`.
pub fn scope_facts(asked: &ScopeSet, outside: &str, allowed: &ScopeSet) -> Facts {
    facts![asked: Fact::list(asked.iter()), missing: Fact::text(outside), allowed: Fact::list(allowed.iter())]
}

/// The scope of a person's grant: what was asked, if the client has all of it, and nothing if nothing
/// was asked. On a wire without scope all that the client has.
pub fn person_scope(ask: &Ask, client: &ClientEntry) -> Result<ScopeSet, Refusal> {
    match &ask.scope {
        None if ask.scope_of_client => Ok(client.scope.clone()),
        None => Ok(ScopeSet::default()),
        Some(asked) => asked_scope(asked, client),
    }
}

/// The audience of a token: what was asked, if the client's list has it; else the first of the
/// list; else the provider's default (RFC 8707 §2.2, RFC 9068 §3).
pub fn audience(asked: &[String], client: &ClientEntry, provider: &Provider) -> Result<AudienceSet, Refusal> {
    let fallback = client.audience.first().unwrap_or(provider.audience());
    let invalid = || {
        let listed = if client.audience.is_empty() { vec![fallback] } else { client.audience.iter().collect() };
        invalid_target(client).because("audience.allowed", audience_facts(asked, listed))
    };
    if asked.is_empty() {
        return AudienceSet::of([fallback]).map_err(|_| invalid());
    }
    let wanted = AudienceSet::of(asked.iter().map(String::as_str)).map_err(|_| invalid())?;
    let listed = |value: &str| client.audience.contains(value) || (client.audience.is_empty() && value == fallback);
    if wanted.iter().all(listed) { Ok(wanted) } else { Err(invalid()) }
}

/// What was asked and what may be, for `explain`.
pub fn audience_facts<'a>(asked: &[String], allowed: impl IntoIterator<Item = &'a str>) -> Facts {
    facts![asked: Fact::list(asked.iter().map(String::as_str)), allowed: Fact::list(allowed)]
}

fn invalid_target(client: &ClientEntry) -> Refusal {
    Refusal::new(RefusalKind::InvalidTarget, "The client may not ask for this resource.")
        .about(format!("client {}: resource outside its audience", client.client_id))
}

/// Seconds an access token lives: the client's own lifetime or the provider's, within the bounds of
/// both, never below one second. A wire with a usual lifetime has it instead of the provider's, and the
/// client's own only shortens it.
pub fn access_token_lifetime(client: &ClientEntry, provider: &Provider, ask: &Ask) -> i64 {
    let own = client.access_token_ttl();
    let wanted = match ask.usual_lifetime {
        Some(usual) => own.map_or(usual, |own| own.min(usual)),
        None => own.unwrap_or(provider.ttls.access_token),
    };
    let bounds = [Some(provider.ttls.max), client.max_ttl()];
    bounds.into_iter().flatten().fold(wanted, i64::min).max(1)
}

/// What one answer for a person's grant may be for: the scope and audience at hand.
///
/// Scope may shrink and never grow (RFC 6749 §6); what the client has lost since is left out.
/// `resource` selects among the grant's (RFC 8707 §2.2); without it the first is meant.
pub fn narrowed(grant: &PersonGrant, client: &ClientEntry, ask: &Ask) -> Result<(ScopeSet, AudienceSet), Refusal> {
    let left = grant.scope.within(&client.scope);
    let scope = match &ask.scope {
        None => left,
        Some(asked) => match asked.first_outside(&left) {
            None => asked.clone(),
            Some(outside) => {
                return Err(Refusal::new(RefusalKind::InvalidScope, "The scope is larger than what was granted.")
                    .about(format!("client {}: {outside:?} was not granted", client.client_id))
                    .because("scope.allowed", scope_facts(asked, outside, &left)));
            }
        },
    };
    if ask.resources.is_empty() {
        return Ok((scope, first_audience(grant)?));
    }
    let invalid = || {
        let values = audience_facts(&ask.resources, grant.audience.iter());
        invalid_target(client).because("audience.allowed", values)
    };
    let wanted = AudienceSet::of(ask.resources.iter().map(String::as_str)).map_err(|_| invalid())?;
    if wanted.iter().all(|value| grant.audience.contains(value)) { Ok((scope, wanted)) } else { Err(invalid()) }
}

/// The default audience of a grant: the first it may be for.
pub fn first_audience(grant: &PersonGrant) -> Result<AudienceSet, Refusal> {
    let none = |_| Refusal::new(RefusalKind::InvalidTarget, "The grant is for no resource.");
    AudienceSet::of(grant.audience.first()).map_err(none)
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

const DAY: i64 = 86_400;
/// Seconds in which a replaced refresh token still leads to the newest one.
const REFRESH_GRACE: i64 = 10;

/// How this client's refresh tokens behave. A client without a credential always rotates
/// (RFC 9700 §2.2.2), and its token that was never confirmed is not held open for it.
pub fn refresh_policy(client: &ClientEntry, provider: &Provider, tied: bool) -> RefreshPolicy {
    let own = client.policy();
    let public = client.is_public();
    let chosen = own.and_then(|policy| policy.refresh_rotation).unwrap_or(RefreshRotation::Late);
    let unused = if public { 0 } else { DAY };
    RefreshPolicy {
        rotation: if public { RefreshRotation::Always } else { chosen },
        grace: own.and_then(|policy| policy.refresh_grace).unwrap_or(REFRESH_GRACE),
        grace_unused: own.and_then(|policy| policy.refresh_grace_unused).unwrap_or(unused),
        idle: refresh_lifetimes(client, provider, tied).idle,
    }
}
