//! Sessions and grants of a whole provider: listed and ended, one by one or all of a person or client.

use crate::domain::id::{is_client_id, is_uuid_shaped};
use crate::domain::page::{Found, HeldFilter, ListRequest, PageRequest};
use crate::domain::session::Session;
use crate::domain::token::{Jti, Revocation};
use crate::domain::{
    Context, Decision, Effect, Failed, Fault, Provider, ProviderId, RefreshFamily, Refusal, Role, SessionId,
};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::manage::Actor;
use crate::engine::revoke::{end_grant, grant_revocation};
use crate::store::{Tx, refresh_families, sessions};

/// Ended in one transaction; more take more of them.
const BATCH: u32 = 200;

impl Engine {
    /// Those that are not over.
    pub async fn find_sessions(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        request: ListRequest<HeldFilter>,
    ) -> Result<Found<Session>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?.id;
        check(&request.filter)?;
        let now = ctx.now.seconds();
        Ok(self.0.db.read(ctx.deadline, move |conn| sessions::find(conn, &provider, &request, now)).await?)
    }

    /// What people granted and clients can still refresh.
    pub async fn find_grants(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        request: ListRequest<HeldFilter>,
    ) -> Result<Found<RefreshFamily>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?.id;
        check(&request.filter)?;
        let now = ctx.now.seconds();
        Ok(self.0.db.read(ctx.deadline, move |conn| refresh_families::find(conn, &provider, &request, now)).await?)
    }

    pub async fn read_session(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
    ) -> Result<Session, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?.id;
        let unknown = || Failed::from(Refusal::unknown("There is no such live session."));
        if !is_uuid_shaped(id) {
            return Err(unknown());
        }
        let (wanted, now) = (SessionId::from(id), ctx.now.seconds());
        let found = self.0.db.read(ctx.deadline, move |conn| sessions::get(conn, &provider, &wanted)).await?;
        found.filter(|session| session.is_live(now)).ok_or_else(unknown)
    }

    pub async fn read_grant(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
    ) -> Result<RefreshFamily, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?.id;
        let unknown = || Failed::from(Refusal::unknown("There is no such live grant."));
        let Some(wanted) = Jti::parse(id) else { return Err(unknown()) };
        let now = ctx.now.seconds();
        let found = self.0.db.read(ctx.deadline, move |conn| refresh_families::get(conn, &wanted)).await?;
        let is_live = |family: &RefreshFamily| {
            family.grant.provider == provider
                && family.revoked_at.is_none()
                && family.idle_ends_at > now
                && family.ends_at > now
        };
        found.filter(is_live).ok_or_else(unknown)
    }

    /// Ends one session, with what is tied to it.
    pub async fn end_provider_session(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
    ) -> Result<(), Failed> {
        let session = self.read_session(ctx, actor, provider, id).await?;
        let event = self.event(ctx, actor, Some(&session.provider), "session.ended", id, &[]);
        let (owner, id, now) = (session.provider.clone(), session.id.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            let ended = sessions::end(tx, &owner, &id, now)?;
            let unknown = || Decision::Refuse(Refusal::unknown("There is no such live session."));
            Ok(if ended { Decision::Allow(()) } else { unknown() })
        })
        .await?;
        self.forget_sessions(&session.provider, [session.id]);
        Ok(())
    }

    /// Ends one grant, with every token of it.
    pub async fn end_provider_grant(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
    ) -> Result<(), Failed> {
        let family = self.read_grant(ctx, actor, provider, id).await?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "grant.revoked", id, &[]);
        self.revoke_grant(ctx, &ProviderEntry::of_row(provider), family.grant.id, Some(event)).await
    }

    /// Ends every session of a person, or in which a client takes part, or both. When it is interrupted, the
    /// rest ends with the next call.
    pub async fn end_found_sessions(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        filter: HeldFilter,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let target = target(&filter)?;
        in_batches(ctx, async || {
            let event = self.event(ctx, actor, Some(&provider.id), "sessions.ended", &target, &[]);
            let (owner, request, now) = (provider.id.clone(), batch(&filter), ctx.now);
            let ended: Vec<SessionId> = self
                .commit(ctx, event, move |tx| {
                    let mut ended = Vec::new();
                    for session in sessions::find(tx, &owner, &request, now.seconds())?.items {
                        if sessions::end(tx, &owner, &session.id, now)? {
                            ended.push(session.id);
                        }
                    }
                    Ok(Decision::Allow(ended))
                })
                .await?;
            let count = ended.len();
            self.forget_sessions(&provider.id, ended);
            Ok(count)
        })
        .await
    }

    /// Ends every grant of a person, or of a client, or both.
    pub async fn end_found_grants(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        filter: HeldFilter,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let target = target(&filter)?;
        in_batches(ctx, async || {
            let event = self.event(ctx, actor, Some(&provider.id), "grants.revoked", &target, &[]);
            let (row, request, now) = (provider.clone(), batch(&filter), ctx.now);
            let ended = self.commit(ctx, event, move |tx| end_grants(tx, &row, &request, now).map(Decision::Allow));
            let ended = ended.await?;
            if ctx.effect == Effect::Commit {
                ended.iter().for_each(|revocation| self.0.revocations.insert(revocation));
            }
            Ok(ended.len())
        })
        .await
    }
}

fn end_grants(
    tx: &mut Tx<'_>,
    provider: &Provider,
    request: &ListRequest<HeldFilter>,
    now: crate::domain::UnixTime,
) -> Result<Vec<Revocation>, Fault> {
    let owner: &ProviderId = &provider.id;
    let entry = ProviderEntry::of_row(provider.clone());
    let mut ended = Vec::new();
    for family in refresh_families::find(tx, owner, request, now.seconds())?.items {
        let revocation = grant_revocation(&entry, family.grant.id, now);
        end_grant(tx, &revocation, None, now)?;
        ended.push(revocation);
    }
    Ok(ended)
}

/// Goes on until a batch is not full. What is only tried is still there afterwards: once is enough.
async fn in_batches(ctx: &Context, mut end: impl AsyncFnMut() -> Result<usize, Failed>) -> Result<(), Failed> {
    loop {
        if end().await? < BATCH as usize || ctx.effect != Effect::Commit {
            return Ok(());
        }
        if crate::domain::clock::monotonic() >= ctx.deadline {
            return Err(Fault::busy("some have ended, the others end with the next call").into());
        }
    }
}

fn batch(filter: &HeldFilter) -> ListRequest<HeldFilter> {
    let limit = BATCH.min(PageRequest::MAX);
    ListRequest { limit, sort: "created_at", descending: false, after: None, filter: filter.clone() }
}

/// As the event names it; refused without any filter.
fn target(filter: &HeldFilter) -> Result<String, Refusal> {
    check(filter)?;
    let HeldFilter { user, client } = filter;
    let named = [("user", user), ("client", client)];
    let parts = named.into_iter().filter_map(|(what, value)| value.as_ref().map(|value| format!("{what} {value}")));
    let target = parts.collect::<Vec<_>>().join(", ");
    if target.is_empty() { Err(Refusal::invalid_field("", "user, client or both must say whose")) } else { Ok(target) }
}

/// What no account and no client can be called finds nothing, and is not written anywhere either.
fn check(filter: &HeldFilter) -> Result<(), Refusal> {
    let HeldFilter { user, client } = filter;
    if user.as_deref().is_some_and(|user| !is_uuid_shaped(user)) {
        return Err(Refusal::malformed("user must be the id of a user."));
    }
    if client.as_deref().is_some_and(|client| !is_client_id(client)) {
        return Err(Refusal::malformed("client must be a client_id."));
    }
    Ok(())
}
