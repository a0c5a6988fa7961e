//! Accounts of people. What ends a person's access (lock, disabling, deletion, another password)
//! raises the account's epoch and ends its sessions and grants in the same job.

use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Found, ListRequest, UserFilter};
use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::user::PasswordHash;
use crate::domain::{
    Context, Decision, Failed, Fault, Owner, ProviderId, Refusal, Role, SessionId, UnixTime, User, UserId,
};
use crate::engine::Engine;
use crate::engine::changes::user_change_id;
use crate::engine::manage::named::make_names;
use crate::engine::manage::user_fields::{self, NewPassword, UserDraft};
use crate::engine::manage::{Actor, Expected, conflict, if_current, require_version, stale, until_written};
use crate::engine::names::{keys_of, name_key};
use crate::store::{ChangedTable, Tx, providers, refresh_families, sessions, users};

/// What a new password is asked to be: exactly one of the two.
#[derive(Clone, Debug, Default)]
pub struct PasswordDraft {
    pub password: Field<secrecy::SecretString>,
    /// What an import brings along.
    pub password_hash: Field<String>,
    pub slips: Vec<FieldError>,
}

/// What a change makes of an account.
pub(in crate::engine) struct Change {
    pub user: User,
    pub fields: Vec<&'static str>,
    /// Everything that this person holds ends with it; but the session that is named.
    pub ends: Ends,
}

/// What of a person ends with a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Ends {
    Nothing,
    Everything,
    /// All grants and all sessions but this one.
    AllBut(SessionId),
}

impl Engine {
    /// Makes an account.
    pub async fn create_user(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        draft: UserDraft,
    ) -> Result<User, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let blank = user_fields::blank(&provider, self.0.random.uuid_v7(ctx.now).into(), ctx.now.seconds());
        let (mut user, password, fields) = user_fields::new(draft, &blank, &self.0.passwords)?;
        user.password = self.hashed(ctx, &provider.id, password).await?;
        user.password_changed_at = user.password.as_ref().map(|_| ctx.now.seconds());
        let event = self.event(ctx, actor, Some(&provider.id), "user.created", user.id.as_str(), &fields);
        let (row, now) = (user.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if !users::insert(tx, &row, &keys_of(&row))? {
                return Ok(Decision::Refuse(name_taken()));
            }
            make_names(tx, &row, now)?;
            tx.changed(ChangedTable::Users, &user_change_id(&row.provider, &row.id), now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.forget_user(&user.provider, &user.id);
        Ok(user)
    }

    pub async fn read_user(&self, ctx: &Context, actor: &Actor, provider: &str, id: &str) -> Result<User, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.stored_user(ctx, &provider.id, id).await
    }

    /// As the request narrows and orders them; names and emails are found in any spelling.
    pub async fn find_users(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        mut request: ListRequest<UserFilter>,
    ) -> Result<Found<User>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let UserFilter { username, email, name_prefix, .. } = &mut request.filter;
        for name in [username, email, name_prefix] {
            *name = name.as_deref().map(name_key);
        }
        let read = move |conn: &mut _| users::find(conn, &provider.id, &request);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Applies a draft. Without `expected` it is tried again on what another change left behind.
    pub async fn update_user(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
        draft: UserDraft,
        expected: Expected,
    ) -> Result<User, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.change_user(ctx, actor, &provider.id, id, ("user.updated", expected), |current| {
            let (user, fields) = user_fields::apply(draft.clone(), current)?;
            let ends = if current.enabled && !user.enabled { Ends::Everything } else { Ends::Nothing };
            Ok(Change { user, fields, ends })
        })
        .await
    }

    /// Ends an account: gone from every list, its names free, its tokens inactive, its id never given
    /// out again. The password is forgotten.
    pub async fn delete_user(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
        expected: Expected,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let now = ctx.now.seconds();
        self.change_user(ctx, actor, &provider.id, id, ("user.deleted", expected), |current| {
            let user = User { deleted_at: Some(now), password: None, ..current.clone() };
            Ok(Change { user, fields: vec!["deleted_at"], ends: Ends::Everything })
        })
        .await
        .map(|_user| ())
    }

    /// Sets, imports or clears the password.
    pub async fn set_user_password(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        id: &str,
        draft: PasswordDraft,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let current = self.stored_user(ctx, &provider.id, id).await?;
        let PasswordDraft { password, password_hash, slips } = draft;
        let password = user_fields::password_of(slips, password, password_hash, &current, &self.0.passwords)?;
        let password = self.hashed(ctx, &provider.id, password).await?;
        self.put_password(ctx, actor, &current, password, Ends::Everything).await
    }

    /// Another password, already judged and hashed.
    pub(in crate::engine) async fn put_password(
        &self,
        ctx: &Context,
        actor: &Actor,
        user: &User,
        password: Option<PasswordHash>,
        ends: Ends,
    ) -> Result<(), Failed> {
        let now = ctx.now.seconds();
        let change = |current: &User| {
            // Who proved the old password does not undo what was decided since.
            if matches!(ends, Ends::AllBut(_)) && current.epoch != user.epoch {
                return Err(stale());
            }
            let user = User { password: password.clone(), password_changed_at: Some(now), ..current.clone() };
            Ok(Change { user, fields: vec!["password"], ends: ends.clone() })
        };
        let action = ("user.password_changed", None);
        self.change_user(ctx, actor, &user.provider, user.id.as_str(), action, change).await.map(|_user| ())
    }

    /// Keeps a person out until somebody unlocks the account. Locking twice changes nothing.
    pub async fn lock_user(&self, ctx: &Context, actor: &Actor, provider: &str, id: &str) -> Result<User, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let now = ctx.now.seconds();
        self.change_user(ctx, actor, &provider.id, id, ("user.locked", None), |current| {
            let locked_at = current.locked_at.or(Some(now));
            let fields = if current.locked_at.is_none() { vec!["locked_at"] } else { Vec::new() };
            Ok(Change { user: User { locked_at, ..current.clone() }, fields, ends: Ends::Everything })
        })
        .await
    }

    /// Revives nothing: the person logs in again.
    pub async fn unlock_user(&self, ctx: &Context, actor: &Actor, provider: &str, id: &str) -> Result<User, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.change_user(ctx, actor, &provider.id, id, ("user.unlocked", None), |current| {
            let fields = if current.locked_at.is_some() { vec!["locked_at"] } else { Vec::new() };
            Ok(Change { user: User { locked_at: None, ..current.clone() }, fields, ends: Ends::Nothing })
        })
        .await
    }

    /// Reads the account, lets `change` decide, and commits it if the row is still what was read;
    /// without an expected version it is tried again. A change without fields changes nothing.
    pub(in crate::engine) async fn change_user(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &ProviderId,
        id: &str,
        (action, expected): (&'static str, Expected),
        change: impl Fn(&User) -> Result<Change, Refusal>,
    ) -> Result<User, Failed> {
        until_written(ctx, async || {
            let current = self.stored_user(ctx, provider, id).await?;
            require_version(&expected, current.version)?;
            let Change { mut user, fields, ends } = change(&current)?;
            if fields.is_empty() {
                return Ok(Some(current));
            }
            user.updated_at = ctx.now.seconds();
            if ends != Ends::Nothing {
                // Enabling or unlocking again revives nothing.
                user.epoch += 1;
            }
            let event = self.event(ctx, actor, Some(provider), action, id, &fields);
            let (row, now, version) = (user.clone(), ctx.now, current.version);
            let renamed = keys_of(&user) != keys_of(&current);
            let replaced =
                self.commit(ctx, event, move |tx| replace_user(tx, &row, version, renamed, &ends, now)).await;
            self.forget_user(provider, &user.id);
            let Some(sessions) = if_current(replaced)? else { return Ok(None) };
            self.forget_sessions(provider, sessions);
            user.version += 1;
            Ok(Some(user))
        })
        .await
    }

    /// The row itself, not the cache: management shows what is.
    pub(in crate::engine) async fn stored_user(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        id: &str,
    ) -> Result<User, Failed> {
        if !is_uuid_shaped(id) {
            return Err(unknown_user().into());
        }
        let (owner, wanted) = (provider.clone(), UserId::from(id));
        let found = self.0.db.read(ctx.deadline, move |conn| users::get(conn, &owner, &wanted)).await?;
        found.filter(|user| user.deleted_at.is_none()).ok_or_else(|| unknown_user().into())
    }

    /// What is stored of a new password.
    pub(in crate::engine) async fn hashed(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        password: NewPassword,
    ) -> Result<Option<PasswordHash>, Fault> {
        Ok(match password {
            NewPassword::Chosen(text) => Some(PasswordHash(
                self.0.passwords.hash(&Owner::from(provider), text, &self.0.random, ctx.deadline).await?,
            )),
            NewPassword::Hashed(hash) => Some(hash),
            NewPassword::None => None,
        })
    }

    pub(in crate::engine) fn forget_user(&self, provider: &ProviderId, id: &UserId) {
        self.0.caches.users.invalidate(&(provider.clone(), id.clone()));
    }
}

/// Writes the account and what follows from it; answers the sessions that have ended.
fn replace_user(
    tx: &mut Tx<'_>,
    user: &User,
    version: i64,
    renamed: bool,
    ends: &Ends,
    now: UnixTime,
) -> Result<Decision<Vec<SessionId>>, Fault> {
    let keys = keys_of(user);
    // With the provider's row held no other name can come between the question and the write.
    if renamed
        && (providers::locked(tx, &user.provider)?.is_none()
            || users::is_name_taken(tx, &user.provider, &keys, Some(&user.id))?)
    {
        return Ok(Decision::Refuse(name_taken()));
    }
    if !users::update(tx, user, &keys, version)? {
        return Ok(Decision::Refuse(stale()));
    }
    if user.deleted_at.is_none() {
        make_names(tx, user, now)?;
    }
    tx.changed(ChangedTable::Users, &user_change_id(&user.provider, &user.id), now)?;
    let except = match ends {
        Ends::Nothing => return Ok(Decision::Allow(Vec::new())),
        Ends::Everything => None,
        Ends::AllBut(session) => Some(session),
    };
    refresh_families::revoke_of_user(tx, &user.id, now)?;
    sessions::end_of_user(tx, &user.provider, &user.id, except, now).map(Decision::Allow)
}

fn name_taken() -> Refusal {
    conflict("This username or email is another account's.")
}

fn unknown_user() -> Refusal {
    Refusal::unknown("There is no such user.")
}
