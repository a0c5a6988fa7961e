//! RFC 6749 §6, with rotation (RFC 9700 §4.14.2). One read and one guarded update: of many uses at
//! once one rotates, and the others find its successor. Order of checks: the client has proven
//! itself; then the token (genuine, unexpired), then whose it is, then its generation. Only the last
//! changes anything.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::refresh::PresentedRefresh;
use crate::domain::explanation::{Fact, Facts, facts};
use crate::domain::grant::{Ask, Granted};
use crate::domain::{Context, Decision, Failed, Fault, GrantId, RefreshFamily, Refusal, RefusalKind};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::grants::person::{Parties, PersonTerms, derivation, over};
use crate::engine::grants::refresh_rules::{Verdict, judge};
use crate::engine::{Engine, policy};
use crate::store::{events, refresh_families};

/// Each lost race means that another rotated, and by then the rules have an answer without writing.
const TRIES: u32 = 5;

impl Engine {
    /// Grants new tokens for a refresh token of this client.
    pub(in crate::engine) async fn refresh_grant(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        token: &SecretString,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let presented = PresentedRefresh::parse(token.expose_secret()).ok_or_else(|| bad("not a refresh token"))?;
        // Made once: they do not depend on the generation.
        let mut made: Option<Granted> = None;
        for _ in 0..TRIES {
            let family = self.usable_family(ctx, provider, client, &presented).await?;
            let rules = policy::refresh_policy(client, &provider.provider, family.grant.session.is_some());
            let verdict = judge(&family, presented.generation, ctx.now, &rules);
            if verdict == Verdict::Replay {
                self.end_replayed(ctx, provider, &family, presented.generation).await?;
                let values = facts![
                    presented: Fact::Number(presented.generation.into()),
                    row: Fact::Number(family.generation.into()),
                    family: Fact::text(&family.grant.id.to_string()),
                ];
                ctx.trail.failed("refresh.replayed", values);
                return Err(bad("a refresh token that was replaced: its grant is revoked"));
            }
            let granted = match made.take() {
                Some(granted) => granted,
                None => self.renewed_tokens(ctx, provider, client, &family, ask).await?,
            };
            let newest = match verdict {
                Verdict::Renew(after) if self.renew(ctx, &family, &after, &presented).await? => *after,
                Verdict::Renew(_) => {
                    made = Some(granted);
                    continue;
                }
                Verdict::Repeat | Verdict::Replay => family,
            };
            let refresh_token = self.secrets().refresh.token(derivation(&newest), newest.generation)?;
            return Ok(Granted { refresh_token: Some(refresh_token), ..granted });
        }
        Err(Fault::busy("a refresh family is rotated by too many at once").into())
    }

    /// The family of a genuine, unexpired token that is this client's.
    async fn usable_family(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        presented: &PresentedRefresh,
    ) -> Result<RefreshFamily, Failed> {
        let family = self.family(ctx, presented.family).await?.ok_or_else(|| {
            ctx.trail.failed("refresh.known", facts![]);
            bad("no such refresh family")
        })?;
        if !self.secrets().refresh.is_genuine(presented, derivation(&family)) {
            ctx.trail.failed("refresh.genuine", facts![]);
            return Err(bad("a forged refresh token"));
        }
        let now = ctx.now.seconds();
        if family.revoked_at.is_some() || now >= family.idle_ends_at || now >= family.ends_at {
            if family.grant.provider == provider.provider.id {
                ctx.trail.failed("refresh.live", ended(&family));
            }
            return Err(bad("the refresh family is revoked or has expired"));
        }
        if family.grant.provider != provider.provider.id || family.grant.client != client.client_id {
            ctx.trail.failed("refresh.client", facts![]);
            return Err(bad("a refresh token of another client or provider"));
        }
        Ok(family)
    }

    async fn family(&self, ctx: &Context, id: GrantId) -> Result<Option<RefreshFamily>, Fault> {
        self.0.db.read(ctx.deadline, move |conn| refresh_families::get(conn, &id)).await
    }

    /// The answer's tokens but for the refresh token: scope and `resource` narrow them, not the grant.
    async fn renewed_tokens(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        family: &RefreshFamily,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let grant = &family.grant;
        let user = self.user(ctx, &provider.provider.id, &grant.user).await?;
        let user = user.ok_or_else(|| over("there is no such account"))?;
        let parties = Parties { provider, client, user: &user };
        let (epochs, session_end) = self.epochs_of(ctx, parties, grant).await?;
        if !family.epochs.reach(epochs) {
            return Err(over("everything of this person, client, session or provider was revoked"));
        }
        if let Some(session) = grant.tied_session() {
            // Who uses the application is still there.
            let idle_ends_at = ctx.now.seconds() + provider.provider.sessions.idle;
            self.0.behind.note_session_used(session, ctx.now, idle_ends_at);
        }
        let (scope, audience) = policy::narrowed(grant, client, ask)?;
        let ends_at = session_end.unwrap_or(i64::MAX).min(family.ends_at);
        let terms = PersonTerms {
            grant,
            epochs,
            scope,
            audience,
            // OIDC Core §12.2: not repeated.
            nonce: None,
            ends_at: Some(ends_at),
            max_ttl: family.max_ttl,
            force_jwt: ask.force_jwt,
        };
        self.person_tokens(ctx, parties, terms).await
    }

    /// One guarded update; with an event where the row was behind the token.
    async fn renew(
        &self,
        ctx: &Context,
        before: &RefreshFamily,
        after: &RefreshFamily,
        presented: &PresentedRefresh,
    ) -> Result<bool, Failed> {
        let (row, guard) = (after.clone(), before.generation);
        if presented.generation <= before.generation {
            let renew = move |conn: &mut _| refresh_families::renew(conn, &row, guard);
            return Ok(self.0.db.write_one(ctx.deadline, renew).await?);
        }
        let event = self.grant_event(ctx, &before.grant, "refresh.family_ahead");
        let renewed = self.0.db.write(ctx.deadline, move |tx| {
            let renewed = refresh_families::renew(tx, &row, guard)?;
            if renewed {
                events::insert(tx, &event)?;
            }
            Ok(Decision::Allow(renewed))
        });
        match renewed.await? {
            Decision::Allow(renewed) => Ok(renewed),
            Decision::Refuse(refusal) => Err(refusal.into()),
        }
    }

    /// RFC 9700 §4.14.2: whoever holds the newest token may not be the one it was made for.
    async fn end_replayed(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        family: &RefreshFamily,
        presented: u32,
    ) -> Result<(), Failed> {
        let id = family.grant.id;
        log::warn!(
            "{} refresh family {id} revoked: #{presented} came when #{} was due",
            ctx.request_id,
            family.generation
        );
        let event = self.grant_event(ctx, &family.grant, "refresh.replayed");
        self.revoke_grant(ctx, provider, id, Some(event)).await
    }
}

/// When and why a family ended.
fn ended(family: &RefreshFamily) -> Facts {
    let (at, because) = match family.revoked_at {
        Some(at) => (at, "it was revoked"),
        None if family.ends_at <= family.idle_ends_at => (family.ends_at, "its longest life was over"),
        None => (family.idle_ends_at, "it was not used for too long"),
    };
    let id = Fact::text(&family.grant.id.to_string());
    facts![family: id, ended_at: Fact::Time(at), because: Fact::word(because)]
}

/// One answer for all of them; which it was is for the log.
fn bad(why: &'static str) -> Failed {
    Refusal::new(RefusalKind::InvalidGrant, "The refresh token is not valid.").about(why).into()
}
