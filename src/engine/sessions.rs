//! Browser sessions: the one behind a cookie, a new one at each login, and their end.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::event::Event;
use crate::domain::secret::StoredSecret;
use crate::domain::session::{Amr, Browser, Session};
use crate::domain::{
    Context, Decision, Failed, Fault, ProviderId, Refusal, RefusalKind, SessionId, UnixTime, User, UserId,
};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::store::sessions::CookieDigest;
use crate::store::{Tx, events, sessions, users};

/// The use of a session is written at most once in this many seconds.
const TOUCH_EVERY: i64 = 60;
const COOKIE_CHARACTERS: usize = 43;
/// What of a `User-Agent` is kept, characters.
const USER_AGENT_KEPT: usize = 200;

/// A session that was just begun or renewed.
pub(in crate::engine) struct Begun {
    pub session: Session,
    /// For the cookie; nowhere else in clear.
    pub secret: SecretString,
}

impl Engine {
    /// The live session that the browser holds at this provider, its person live too.
    pub(in crate::engine) async fn browser_session(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        browser: &Browser,
    ) -> Result<Option<Session>, Failed> {
        let Some(secret) = &browser.session else { return Ok(None) };
        // A wrong clock would take a live session for one that is over, and end nothing.
        self.require_right_clock(ctx)?;
        let Some(session) = self.session_of_cookie(ctx, provider, secret).await? else { return Ok(None) };
        if !session.is_live(ctx.now.seconds()) || session.provider_epoch < provider.provider.epoch {
            return Ok(None);
        }
        let user = self.user(ctx, &provider.provider.id, &session.user).await?;
        if !user.is_some_and(|entry| entry.user.is_live()) {
            return Ok(None);
        }
        self.touch_session(ctx, provider, &session).await?;
        Ok(Some(session))
    }

    async fn session_of_cookie(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        secret: &SecretString,
    ) -> Result<Option<Session>, Fault> {
        let secret = secret.expose_secret();
        // Junk never reaches the database.
        if secret.len() != COOKIE_CHARACTERS || !secret.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        let (owner, candidates) = (provider.provider.id.clone(), self.secrets().peppers.candidates(secret));
        let find = move |conn: &mut _| {
            for (pepper_id, digest) in candidates {
                let found = sessions::by_cookie(conn, &owner, &CookieDigest { pepper_id, digest })?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        };
        self.0.db.read(ctx.deadline, find).await
    }

    async fn touch_session(&self, ctx: &Context, provider: &ProviderEntry, session: &Session) -> Result<(), Fault> {
        let now = ctx.now.seconds();
        // One seen in the future was seen before the clock went back: its end comes nearer.
        if ctx.now.seconds_since(session.seen_at).is_some_and(|age| age < TOUCH_EVERY) {
            return Ok(());
        }
        let (id, idle_ends_at) = (session.id.clone(), now + provider.provider.sessions.idle);
        self.0.db.write_one(ctx.deadline, move |conn| sessions::touch(conn, &id, now, idle_ends_at)).await
    }

    /// A login by this person: the browser's own session goes on under a new secret, another
    /// person's ends, and where there is none a new one begins.
    pub(in crate::engine) async fn begin_session(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        user: &User,
        browser: &Browser,
    ) -> Result<Begun, Failed> {
        let held = match &browser.session {
            Some(secret) => self.session_of_cookie(ctx, provider, secret).await?,
            None => None,
        };
        let is_live =
            |session: &Session| session.is_live(ctx.now.seconds()) && session.provider_epoch >= provider.provider.epoch;
        let held = held.filter(is_live);
        let secret = self.cookie_secret();
        let cookie = self.cookie_digest(&secret)?;
        let (renewed, replaced) = match held {
            Some(own) if own.user == user.id => (Some(own), None),
            other => (None, other),
        };
        let fresh = self.fresh_session(ctx, provider, user, browser);
        let event = self.person_event(ctx, &provider.provider.id, &user.id, "user.logged_in", fresh.id.as_str());
        let replaced = replaced.map(|session| session.id);
        let ended = replaced.clone();
        let (now, proven_epoch) = (ctx.now, user.epoch);
        let begun = self
            .0
            .db
            .write(ctx.deadline, move |tx| {
                // What was proven took a while: with the row held, nothing that ended this person's
                // access meanwhile is passed by, and what ends it later finds the session.
                let now_is = users::held(tx, &fresh.provider, &fresh.user)?;
                if now_is.is_none_or(|user| !user.is_live() || user.epoch != proven_epoch) {
                    return Ok(Decision::Refuse(changed_meanwhile()));
                }
                if let Some(id) = &replaced {
                    sessions::end(tx, &fresh.provider, id, now)?;
                }
                let session = renew_or_insert(tx, renewed.as_ref(), &fresh, &cookie, now)?;
                events::insert(tx, &event)?;
                Ok(Decision::Allow(session))
            })
            .await?;
        let session = match begun {
            Decision::Allow(session) => session,
            Decision::Refuse(refusal) => return Err(refusal.into()),
        };
        self.forget_sessions(&provider.provider.id, ended.into_iter().chain([session.id.clone()]));
        Ok(Begun { session, secret })
    }

    fn fresh_session(&self, ctx: &Context, provider: &ProviderEntry, user: &User, browser: &Browser) -> Session {
        let now = ctx.now.seconds();
        let ttls = provider.provider.sessions;
        let ends_at = now + ttls.max;
        Session {
            provider: provider.provider.id.clone(),
            id: self.0.random.uuid_v7(ctx.now).into(),
            user: user.id.clone(),
            auth_time: now,
            amr: Amr::password(),
            user_agent: shown_agent(&browser.user_agent),
            address: ctx.client_address.to_string(),
            created_at: now,
            seen_at: now,
            idle_ends_at: ends_at.min(now + ttls.idle),
            ends_at,
            ended_at: None,
            epoch: 1,
            provider_epoch: provider.provider.epoch,
        }
    }

    fn cookie_digest(&self, secret: &SecretString) -> Result<CookieDigest, Fault> {
        match self.secrets().peppers.digest(secret.expose_secret()) {
            StoredSecret::Digest { pepper_id, digest } => Ok(CookieDigest { pepper_id, digest }),
            StoredSecret::Argon2(_) => Err(Fault::crypto("a cookie was not digested")),
        }
    }

    /// Ends one session; `false` if it was over already.
    pub(in crate::engine) async fn end_session(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        session: &SessionId,
        event: Event,
    ) -> Result<bool, Failed> {
        let (owner, id, now) = (provider.clone(), session.clone(), ctx.now);
        let ended = self
            .0
            .db
            .write(ctx.deadline, move |tx| {
                let ended = sessions::end(tx, &owner, &id, now)?;
                if ended {
                    events::insert(tx, &event)?;
                }
                Ok(Decision::Allow(ended))
            })
            .await?;
        self.forget_sessions(provider, [session.clone()]);
        Ok(matches!(ended, Decision::Allow(true)))
    }

    /// After a commit: this node looks them up anew.
    pub(in crate::engine) fn forget_sessions(
        &self,
        provider: &ProviderId,
        sessions: impl IntoIterator<Item = SessionId>,
    ) {
        for id in sessions {
            self.0.caches.sessions.invalidate(&(provider.clone(), id));
        }
    }

    /// What a person did to their own account.
    pub(in crate::engine) fn person_event(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        user: &UserId,
        action: &'static str,
        target: &str,
    ) -> Event {
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(provider.clone()),
            actor: user.to_string(),
            action,
            target: target.to_owned(),
            request_id: ctx.request_id.clone(),
            details: "{}".to_owned(),
        }
    }
}

/// The one answer for logins that are wrong.
fn changed_meanwhile() -> Refusal {
    Refusal::new(RefusalKind::InvalidGrant, "The username or password is not right.")
        .about("the account was changed while the password was checked")
}

/// The same person's session goes on; one that ended in this very moment does not.
fn renew_or_insert(
    tx: &mut Tx<'_>,
    held: Option<&Session>,
    fresh: &Session,
    cookie: &CookieDigest,
    now: UnixTime,
) -> Result<Session, Fault> {
    if let Some(held) = held {
        let renewed = Session { id: held.id.clone(), created_at: held.created_at, epoch: held.epoch, ..fresh.clone() };
        if sessions::renew(tx, &renewed, cookie, now)? {
            return Ok(renewed);
        }
    }
    sessions::insert(tx, fresh, cookie)?;
    Ok(fresh.clone())
}

/// Shown to the person in their list of sessions, so it holds nothing odd.
fn shown_agent(sent: &str) -> String {
    sent.chars().filter(|character| !character.is_control()).take(USER_AGENT_KEPT).collect()
}
