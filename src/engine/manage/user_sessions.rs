//! What a person is logged in with and what they granted, as management sees and ends it.

use crate::domain::id::is_uuid_shaped;
use crate::domain::session::Session;
use crate::domain::token::Jti;
use crate::domain::{Context, Decision, Failed, ProviderId, RefreshFamily, Refusal, Role, SessionId, User};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::manage::Actor;
use crate::store::{refresh_families, sessions};

impl Engine {
    /// Those that are not over, the newest first.
    pub async fn list_user_sessions(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        user: &str,
    ) -> Result<Vec<Session>, Failed> {
        let user = self.managed_user(ctx, actor, provider, user).await?;
        let now = ctx.now.seconds();
        Ok(self.0.db.read(ctx.deadline, move |conn| sessions::list_live(conn, &user.id, now)).await?)
    }

    /// Ends every session, with what is tied to them. Grants of `offline_access` live on.
    pub async fn end_user_sessions(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        user: &str,
    ) -> Result<(), Failed> {
        let User { provider, id, .. } = self.managed_user(ctx, actor, provider, user).await?;
        let event = self.event(ctx, actor, Some(&provider), "user.sessions_ended", id.as_str(), &[]);
        let (owner, now) = (provider.clone(), ctx.now);
        let end =
            self.commit(ctx, event, move |tx| Ok(Decision::Allow(sessions::end_of_user(tx, &owner, &id, None, now)?)));
        let ended = end.await?;
        self.forget_sessions(&provider, ended);
        Ok(())
    }

    /// Ends one session of this person; another's does not exist.
    pub async fn end_user_session(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        user: &str,
        session: &str,
    ) -> Result<(), Failed> {
        let user = self.managed_user(ctx, actor, provider, user).await?;
        let session = self.session_of_user(ctx, &user.provider, &user, session).await?;
        let event = self.event(ctx, actor, Some(&user.provider), "session.ended", session.as_str(), &[]);
        let (owner, id, now) = (user.provider.clone(), session.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            let ended = sessions::end(tx, &owner, &id, now)?;
            Ok(if ended { Decision::Allow(()) } else { Decision::Refuse(unknown_session()) })
        })
        .await?;
        self.forget_sessions(&user.provider, [session]);
        Ok(())
    }

    /// What this person granted and clients can still refresh, the newest first.
    pub async fn list_user_grants(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        user: &str,
    ) -> Result<Vec<RefreshFamily>, Failed> {
        let user = self.managed_user(ctx, actor, provider, user).await?;
        let now = ctx.now.seconds();
        Ok(self.0.db.read(ctx.deadline, move |conn| refresh_families::list_live_of_user(conn, &user.id, now)).await?)
    }

    /// Ends one grant of this person, with every token of it; another's does not exist.
    pub async fn revoke_user_grant(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        user: &str,
        grant: &str,
    ) -> Result<(), Failed> {
        let user = self.managed_user(ctx, actor, provider, user).await?;
        let wanted = Jti::parse(grant).ok_or_else(unknown_grant)?;
        let found = self.0.db.read(ctx.deadline, move |conn| refresh_families::get(conn, &wanted)).await?;
        let own = |family: &RefreshFamily| family.grant.provider == user.provider && family.grant.user == user.id;
        if !found.as_ref().is_some_and(|family| own(family) && family.revoked_at.is_none()) {
            return Err(unknown_grant().into());
        }
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "grant.revoked", grant, &[]);
        self.revoke_grant(ctx, &ProviderEntry::of_row(provider), wanted, Some(event)).await
    }

    async fn session_of_user(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        user: &User,
        session: &str,
    ) -> Result<SessionId, Failed> {
        if !is_uuid_shaped(session) {
            return Err(unknown_session().into());
        }
        let (owner, wanted, now) = (provider.clone(), SessionId::from(session), ctx.now.seconds());
        let found = self.0.db.read(ctx.deadline, move |conn| sessions::get(conn, &owner, &wanted)).await?;
        let own = found.filter(|session| session.user == user.id && session.is_live(now));
        own.map(|session| session.id).ok_or_else(|| unknown_session().into())
    }

    pub(in crate::engine) async fn managed_user(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        user: &str,
    ) -> Result<User, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.stored_user(ctx, &provider.id, user).await
    }
}

fn unknown_grant() -> Refusal {
    Refusal::unknown("There is no such live grant.")
}

fn unknown_session() -> Refusal {
    Refusal::unknown("There is no such live session.")
}
