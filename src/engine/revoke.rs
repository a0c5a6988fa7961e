//! RFC 7009: ends a token before its time, and with a refresh token its whole grant. Order: commit,
//! then the set in memory, then the answer.

use crate::crypto::refresh::PresentedRefresh;
use crate::domain::api_key::Role;
use crate::domain::client::GrantType;
use crate::domain::event::Event;
use crate::domain::grant::{PresentedClient, ProviderRef};
use crate::domain::secret::SecretKind;
use crate::domain::token::{Revocation, RevokedKind};
use crate::domain::{AccessClaims, Context, Decision, Effect, Failed, Fault, GrantId, PersonGrant, UnixTime};
use crate::engine::Engine;
use crate::engine::authenticate::{Caller, ENV};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::grants::person::derivation;
use crate::engine::introspect::key_reaches;
use crate::store::{ChangedTable, Tx, events, refresh_families, revoked};

/// Seconds in which another node may still issue by what it has read before: the wait for its next look
/// at the change log and the longest request.
const ISSUED_MEANWHILE: i64 = 300;

impl Engine {
    /// Revokes `token` if it is the caller's to revoke: an access token alone, a refresh token with
    /// all tokens of its grant (§2.1). A token that is unknown, expired or another's is left alone
    /// without a word (§2.2).
    pub async fn revoke(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        caller: PresentedClient,
        token: &str,
    ) -> Result<(), Failed> {
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        let caller = self.authenticate(ctx, &provider, caller).await?;
        if let Caller::ApiKey(entry) = &caller {
            key_reaches(entry.key.provider.as_ref(), &provider)?;
        }
        let revoked = if token.starts_with(SecretKind::RefreshToken.prefix()) {
            self.revoke_refresh(ctx, &provider, &caller, token).await?
        } else {
            self.revoke_access(ctx, &provider, &caller, token).await?
        };
        if revoked {
            self.counters().revoked.add_one();
        }
        Ok(())
    }

    async fn revoke_access(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        caller: &Caller,
        token: &str,
    ) -> Result<bool, Failed> {
        let Some(claims) = self.active_token(ctx, provider, token).await? else { return Ok(false) };
        if !may_revoke(caller, &claims.client_id) && !has_made(caller, &claims) {
            log::info!("{} token {} left alone: it is another's", ctx.request_id, claims.jti);
            return Ok(false);
        }
        let (issued_to, row_target) = (claims.client_id, claims.jti.to_string());
        let revocation = Revocation {
            provider: provider.provider.id.clone(),
            kind: RevokedKind::Token,
            id: claims.jti,
            expires_at: claims.expires_at,
        };
        let event = Event { target: row_target, ..self.token_event(ctx, provider, caller, &issued_to) };
        let (row, now) = (revocation.clone(), ctx.now);
        let revoke = move |tx: &mut Tx<'_>| {
            if note_revoked(tx, &row, now)? {
                events::insert(tx, &event)?;
            }
            Ok(())
        };
        self.write_revocation(ctx, revocation, revoke).await?;
        Ok(true)
    }

    async fn revoke_refresh(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        caller: &Caller,
        token: &str,
    ) -> Result<bool, Failed> {
        let Some(presented) = PresentedRefresh::parse(token) else { return Ok(false) };
        let read = move |conn: &mut _| Ok((refresh_families::get(conn, &presented.family)?, presented));
        let (family, presented) = self.0.db.read(ctx.deadline, read).await?;
        let genuine = family.filter(|family| {
            let ours = family.grant.provider == provider.provider.id && family.revoked_at.is_none();
            ours && self.secrets().refresh.is_genuine(&presented, derivation(family))
        });
        let Some(family) = genuine else { return Ok(false) };
        if !may_revoke(caller, family.grant.client.as_str()) {
            log::info!("{} refresh family {} left alone: it is another's", ctx.request_id, family.grant.id);
            return Ok(false);
        }
        let event = Event { actor: name_of(caller), ..self.grant_event(ctx, &family.grant, "grant.revoked") };
        self.revoke_grant(ctx, provider, family.grant.id, Some(event)).await?;
        Ok(true)
    }

    /// A token was taken back.
    fn token_event(&self, ctx: &Context, provider: &ProviderEntry, caller: &Caller, issued_to: &str) -> Event {
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(provider.provider.id.clone()),
            actor: name_of(caller),
            action: "token.revoked",
            target: String::new(),
            request_id: ctx.request_id.clone(),
            details: format!("{{\"issued_to\":\"{issued_to}\"}}"),
        }
    }

    /// Ends a person's grant: its refresh family and every access token of it. The event is written
    /// by the one call that ended it.
    pub(in crate::engine) async fn revoke_grant(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        grant: GrantId,
        event: Option<Event>,
    ) -> Result<(), Failed> {
        if self.has_ended(ctx, provider, RevokedKind::Grant, grant).await? {
            return Ok(());
        }
        let revocation = grant_revocation(provider, grant, ctx.now);
        let (row, now) = (revocation.clone(), ctx.now);
        self.write_revocation(ctx, revocation, move |tx| end_grant(tx, &row, event.as_ref(), now)).await
    }

    async fn write_revocation(
        &self,
        ctx: &Context,
        revocation: Revocation,
        mut job: impl FnMut(&mut Tx<'_>) -> Result<(), Fault> + Send + 'static,
    ) -> Result<(), Failed> {
        self.carry_out(ctx, move |tx| job(tx).map(Decision::Allow)).await?;
        if ctx.effect == Effect::Commit {
            self.0.revocations.insert(&revocation);
        }
        Ok(())
    }

    /// A person has given a client a grant, by this means.
    pub(in crate::engine) fn event_of_new_grant(&self, ctx: &Context, grant: &PersonGrant, by: GrantType) -> Event {
        let made = self.grant_event(ctx, grant, "grant.created");
        let details = format!("{{\"client\":\"{}\",\"by\":\"{}\"}}", grant.client, by.name());
        Event { actor: grant.user.to_string(), details, ..made }
    }

    /// What happened to a person's grant; the client is who did it.
    pub(in crate::engine) fn grant_event(&self, ctx: &Context, grant: &PersonGrant, action: &'static str) -> Event {
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(grant.provider.clone()),
            actor: grant.client.as_str().to_owned(),
            action,
            target: grant.id.to_string(),
            request_id: ctx.request_id.clone(),
            details: format!("{{\"user\":\"{}\"}}", grant.user),
        }
    }
}

/// The entry that kills every access token of the grant: for as long as one may live.
pub(in crate::engine) fn grant_revocation(provider: &ProviderEntry, grant: GrantId, now: UnixTime) -> Revocation {
    let provider = &provider.provider;
    // A bound that was lowered does not shorten the tokens made before.
    let last = provider.older_tokens_end_at.max(now.seconds() + provider.ttls.max);
    Revocation {
        provider: provider.id.clone(),
        kind: RevokedKind::Grant,
        id: grant,
        expires_at: last + ISSUED_MEANWHILE,
    }
}

/// In one job: the grant's access tokens and its family end. The event tells of the first time only.
pub(in crate::engine) fn end_grant(
    tx: &mut Tx<'_>,
    revocation: &Revocation,
    event: Option<&Event>,
    now: UnixTime,
) -> Result<(), Fault> {
    if note_revoked(tx, revocation, now)?
        && let Some(event) = event
    {
        events::insert(tx, event)?;
    }
    refresh_families::revoke(tx, &revocation.id, now).map(|_live| ())
}

/// `true` if it was not revoked before.
fn note_revoked(tx: &mut Tx<'_>, revocation: &Revocation, now: UnixTime) -> Result<bool, Fault> {
    let first = revoked::insert(tx, revocation)?;
    if first {
        tx.changed(ChangedTable::Revoked, &revocation.id.to_string(), now)?;
    }
    Ok(first)
}

/// As it stands in events.
fn name_of(caller: &Caller) -> String {
    match caller {
        Caller::Client(client) => client.client_id.to_string(),
        Caller::ApiKey(entry) => entry.key.id.to_string(),
        Caller::Env => ENV.to_owned(),
    }
}

/// An API key may take back what it made for a client.
fn has_made(caller: &Caller, claims: &AccessClaims) -> bool {
    let actor = claims.extra.as_ref().and_then(|extra| extra.actor.as_ref());
    matches!((caller, actor), (Caller::ApiKey(entry), Some(actor)) if entry.key.id.as_str() == actor.subject)
}

/// The client it was issued to, the API key that minted it, or an API key that administers.
fn may_revoke(caller: &Caller, issued_to: &str) -> bool {
    match caller {
        Caller::Env => true,
        Caller::ApiKey(entry) => entry.key.role >= Role::Admin || entry.key.id.as_str() == issued_to,
        Caller::Client(client) => client.client_id.as_str() == issued_to,
    }
}
