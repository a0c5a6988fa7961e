//! What people do to their own account, in the browser they are logged in with.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};

use crate::domain::authorize::{Account, AccountSession};
use crate::domain::grant::ProviderRef;
use crate::domain::session::{Browser, Session};
use crate::domain::user::PasswordHash;
use crate::domain::{Context, Decision, Failed, Owner, Refusal, RefusalKind, SessionId, User};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::manage::fields::label;
use crate::engine::manage::users::{Change, Ends};
use crate::engine::manage::{Actor, user_fields};
use crate::store::{Tx, events, sessions, users};

impl Engine {
    /// What the account page shows; `None`: nobody is logged in.
    pub async fn account(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        browser: &Browser,
    ) -> Result<Option<Account>, Failed> {
        let provider = self.provider(ctx, provider).await?;
        let Some(current) = self.browser_session(ctx, &provider, browser).await? else { return Ok(None) };
        let user = self.own_row(ctx, &provider, &current).await?;
        let (id, now) = (user.id.clone(), ctx.now.seconds());
        let listed = self.0.db.read(ctx.deadline, move |conn| sessions::list_live(conn, &id, now)).await?;
        Ok(Some(Account {
            username: user.username,
            name: user.name,
            email: user.email,
            email_verified: user.email_verified,
            has_password: user.password.is_some(),
            sessions: listed.into_iter().map(|session| line(session, &current.id)).collect(),
        }))
    }

    /// The name others see; an empty one is none.
    pub async fn change_own_name(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        browser: &Browser,
        name: &str,
    ) -> Result<(), Failed> {
        let (provider, session) = self.logged_in_at(ctx, provider, browser).await?;
        let name = match name.trim() {
            "" => None,
            text => Some(label(text.to_owned()).map_err(|detail| Refusal::invalid_field("/name", detail))?),
        };
        let (actor, action) = (Actor::Person(session.user.clone()), ("user.updated", None));
        let change = |current: &User| {
            let fields = if current.name == name { Vec::new() } else { vec!["name"] };
            Ok(Change { user: User { name: name.clone(), ..current.clone() }, fields, ends: Ends::Nothing })
        };
        self.change_user(ctx, &actor, &provider.provider.id, session.user.as_str(), action, change).await?;
        Ok(())
    }

    /// Another password: the person proves the old one, every other session and all refresh families
    /// end.
    pub async fn change_own_password(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        browser: &Browser,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<(), Failed> {
        let (provider, session) = self.logged_in_at(ctx, provider, browser).await?;
        let row = self.own_row(ctx, &provider, &session).await?;
        if let Some(flaw) = user_fields::flaw_of_password(new.expose_secret(), &row) {
            return Err(Refusal::invalid_field("/new_password", flaw).into());
        }
        let proven = self.prove_password(ctx, &provider, &row.username, current, browser.device.as_ref()).await;
        match proven {
            Ok(user) if user.id == session.user => {}
            Ok(_) => return Err(logged_out().into()),
            Err(Failed::Refused(refusal)) if refusal.kind == RefusalKind::InvalidGrant => {
                return Err(Refusal::invalid_field("/current_password", "is not right").into());
            }
            Err(failed) => return Err(failed),
        }
        let hash =
            self.0.passwords.hash(&Owner::from(&row.provider), new.clone(), &self.0.random, ctx.deadline).await?;
        let (actor, ends) = (Actor::Person(row.id.clone()), Ends::AllBut(session.id.clone()));
        self.put_password(ctx, &actor, &row, Some(PasswordHash(hash)), ends).await
    }

    /// Ends one of the person's own sessions.
    pub async fn end_own_session(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        browser: &Browser,
        session_id: &str,
    ) -> Result<(), Failed> {
        let (provider, session) = self.logged_in_at(ctx, provider, browser).await?;
        let (owner, wanted) = (provider.provider.id.clone(), SessionId::from(session_id));
        let found = self.0.db.read(ctx.deadline, move |conn| sessions::get(conn, &owner, &wanted)).await?;
        // Another's session does not exist.
        let Some(own) = found.filter(|found| found.user == session.user) else { return Ok(()) };
        let owner = &provider.provider.id;
        let event = self.person_event(ctx, owner, &session.user, "session.ended", own.id.as_str());
        self.end_session(ctx, owner, &own.id, event).await?;
        Ok(())
    }

    /// Signs the person out everywhere, here too.
    pub async fn end_own_sessions(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        browser: &Browser,
    ) -> Result<(), Failed> {
        let (provider, session) = self.logged_in_at(ctx, provider, browser).await?;
        let (owner, user, now) = (provider.provider.id.clone(), session.user.clone(), ctx.now);
        let event = self.person_event(ctx, &owner, &user, "user.logged_out_everywhere", user.as_str());
        let job = move |tx: &mut Tx<'_>| {
            let ended = sessions::end_of_user(tx, &owner, &user, None, now)?;
            events::insert(tx, &event)?;
            Ok(Decision::Allow(ended))
        };
        let Decision::Allow(ended) = self.0.db.write(ctx.deadline, job).await? else { return Ok(()) };
        self.forget_sessions(&provider.provider.id, ended);
        Ok(())
    }

    async fn logged_in_at(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        browser: &Browser,
    ) -> Result<(Arc<ProviderEntry>, Session), Failed> {
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        let session = self.browser_session(ctx, &provider, browser).await?.ok_or_else(logged_out)?;
        Ok((provider, session))
    }

    /// The account's row itself, not the cache.
    async fn own_row(&self, ctx: &Context, provider: &ProviderEntry, session: &Session) -> Result<User, Failed> {
        let (owner, id) = (provider.provider.id.clone(), session.user.clone());
        let found = self.0.db.read(ctx.deadline, move |conn| users::get(conn, &owner, &id)).await?;
        found.filter(User::is_live).ok_or_else(|| logged_out().into())
    }
}

fn line(session: Session, current: &SessionId) -> AccountSession {
    AccountSession {
        is_current: session.id == *current,
        id: session.id.to_string(),
        user_agent: session.user_agent,
        address: session.address,
        auth_time: session.auth_time,
        seen_at: session.seen_at,
    }
}

fn logged_out() -> Refusal {
    Refusal::new(RefusalKind::MissingCredentials, "You are not logged in.")
}
