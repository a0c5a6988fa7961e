//! A user in the API's spelling: names of OIDC claims, both directions. No password and no hash of
//! one ever goes out.

use serde::Serialize;

use crate::admin::input::Fields;
use crate::admin::wire::{list, time};
use crate::domain::session::Session;
use crate::domain::{PersonGrant, RefreshFamily, User};
use crate::engine::manage::user_fields::UserDraft;
use crate::engine::manage::users::PasswordDraft;

/// Takes every field of a user out of a body.
pub fn draft(fields: &mut Fields) -> UserDraft {
    UserDraft {
        username: fields.take("username"),
        email: fields.take("email"),
        email_verified: fields.take("email_verified"),
        name: fields.take("name"),
        groups: fields.take("groups"),
        enabled: fields.take("enabled"),
        password: fields.take("password"),
        password_hash: fields.take("password_hash"),
        // Last: what is left over is no field.
        slips: fields.slips(),
    }
}

pub fn password_draft(fields: &mut Fields) -> PasswordDraft {
    PasswordDraft {
        password: fields.take("password"),
        password_hash: fields.take("password_hash"),
        slips: fields.slips(),
    }
}

#[derive(Serialize)]
pub struct UserOut {
    id: String,
    username: String,
    email: Option<String>,
    email_verified: bool,
    name: Option<String>,
    groups: Vec<String>,
    enabled: bool,
    locked_at: Option<String>,
    has_password: bool,
    created_at: String,
    updated_at: String,
}

impl From<User> for UserOut {
    fn from(user: User) -> Self {
        let User {
            provider: _,
            id,
            username,
            email,
            email_verified,
            name,
            groups,
            password,
            password_changed_at: _,
            enabled,
            locked_at,
            epoch: _,
            version: _,
            created_at,
            updated_at,
            deleted_at: _,
        } = user;
        Self {
            id: id.to_string(),
            username,
            email,
            email_verified,
            name,
            groups,
            enabled,
            locked_at: locked_at.map(time),
            has_password: password.is_some(),
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}

#[derive(Serialize)]
pub struct SessionOut {
    /// `sid` of tokens; the cookie holds something else.
    id: String,
    user_agent: String,
    address: String,
    amr: Vec<String>,
    auth_time: String,
    created_at: String,
    last_seen_at: String,
    /// At the latest.
    expires_at: String,
}

impl From<Session> for SessionOut {
    fn from(session: Session) -> Self {
        let Session {
            provider: _,
            id,
            user: _,
            auth_time,
            amr,
            user_agent,
            address,
            created_at,
            seen_at,
            idle_ends_at,
            ends_at,
            ended_at: _,
            epoch: _,
            provider_epoch: _,
        } = session;
        Self {
            id: id.to_string(),
            user_agent,
            address,
            amr: amr.iter().map(str::to_owned).collect(),
            auth_time: time(auth_time),
            created_at: time(created_at),
            last_seen_at: time(seen_at),
            expires_at: time(idle_ends_at.min(ends_at)),
        }
    }
}

#[derive(Serialize)]
pub struct GrantOut {
    /// `grant_id` of tokens.
    id: String,
    client_id: String,
    scope: String,
    audience: Vec<String>,
    /// The session it ends with.
    session_id: Option<String>,
    amr: Vec<String>,
    auth_time: String,
    created_at: String,
    last_used_at: String,
    /// If it is not used again before, and at the latest.
    expires_at: String,
}

impl From<RefreshFamily> for GrantOut {
    fn from(family: RefreshFamily) -> Self {
        let RefreshFamily {
            grant,
            key_id: _,
            salt: _,
            generation: _,
            newest_presented: _,
            rotated_at: _,
            created_at,
            used_at,
            idle_ends_at,
            ends_at,
            revoked_at: _,
            epochs: _,
            max_ttl: _,
        } = family;
        let PersonGrant { id, provider: _, client, user: _, session, scope, audience, claims: _, auth_time, amr } =
            grant;
        Self {
            id: id.to_string(),
            client_id: client.to_string(),
            scope: scope.as_str().to_owned(),
            audience: list(&audience),
            session_id: session.map(|session| session.to_string()),
            amr: amr.iter().map(str::to_owned).collect(),
            auth_time: time(auth_time),
            created_at: time(created_at),
            last_used_at: time(used_at),
            expires_at: time(idle_ends_at.min(ends_at)),
        }
    }
}
