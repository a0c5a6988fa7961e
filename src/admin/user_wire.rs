//! A user in the API's spelling: names of OIDC claims, both directions. No password and no hash of
//! one ever goes out.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Serialize;

use crate::admin::fields::fields;
use crate::admin::wire::{list, time};
use crate::domain::session::Session;
use crate::domain::{PersonGrant, RefreshFamily, User};
use crate::edge::describe::WireTime;
use crate::engine::manage::user_fields::UserDraft;
use crate::engine::manage::users::PasswordDraft;

fields! {
    /// A person's account, in the words of OpenID Connect claims.
    UserFields => UserDraft named "User" required [username] at_creation [password, password_hash] {
        /// What it logs in with, compared without regard to letter case and composition.
        username: String { "minLength": 1, "maxLength": 255 },
        /// May be used to log in, too.
        email: String { "format": "email", "maxLength": 254 },
        /// Falls with every other email, unless it is said again.
        email_verified: bool,
        /// For people.
        name: String { "minLength": 1, "maxLength": 255 },
        /// One that does not exist is made.
        groups: Vec<String> { "items": { "type": "string", "minLength": 1, "maxLength": 255 }, "maxItems": 256 },
        /// Beside those that the groups give; one that does not exist is made.
        roles: Vec<String> { "items": { "type": "string", "minLength": 1, "maxLength": 255 }, "maxItems": 256 },
        /// Switched off nobody logs in with it, and its tokens end.
        enabled: bool,
        /// Without one nobody logs in by password.
        password: SecretString { "minLength": 8, "maxLength": 500 },
        /// What an import brings along instead: argon2, bcrypt or scrypt.
        password_hash: String { "maxLength": 512 },
    }
}

fields! {
    /// Exactly one of the two.
    PasswordFields => PasswordDraft named "UserPassword" required [] at_creation [] {
        /// Null: no login by password.
        password: SecretString { "minLength": 8, "maxLength": 500 },
        /// What an import brings along instead: argon2, bcrypt or scrypt.
        password_hash: String { "maxLength": 512 },
    }
}

/// An account.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "User")]
pub struct UserOut {
    id: String,
    username: String,
    email: Option<String>,
    email_verified: bool,
    name: Option<String>,
    groups: Vec<String>,
    /// Its own; its groups may give it more.
    roles: Vec<String>,
    enabled: bool,
    #[schemars(with = "Option<WireTime>")]
    locked_at: Option<String>,
    has_password: bool,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
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
            roles,
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
            roles,
            enabled,
            locked_at: locked_at.map(time),
            has_password: password.is_some(),
            created_at: time(created_at),
            updated_at: time(updated_at),
        }
    }
}

/// A browser that is logged in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserSession")]
pub struct SessionOut {
    /// `sid` of tokens; the cookie holds something else.
    id: String,
    user_id: String,
    user_agent: String,
    address: String,
    amr: Vec<String>,
    auth_time: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    last_seen_at: String,
    /// At the latest.
    #[schemars(with = "WireTime")]
    expires_at: String,
}

impl From<Session> for SessionOut {
    fn from(session: Session) -> Self {
        let Session {
            provider: _,
            id,
            user,
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
            user_id: user.to_string(),
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

/// What a person has allowed a client, with its refresh tokens.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "UserGrant")]
pub struct GrantOut {
    /// `grant_id` of tokens.
    id: String,
    user_id: String,
    client_id: String,
    scope: String,
    audience: Vec<String>,
    /// The session it ends with.
    session_id: Option<String>,
    amr: Vec<String>,
    auth_time: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    last_used_at: String,
    /// If it is not used again before, and at the latest.
    #[schemars(with = "WireTime")]
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
        let PersonGrant { id, provider: _, client, user, session, scope, audience, claims: _, auth_time, amr } = grant;
        Self {
            id: id.to_string(),
            user_id: user.to_string(),
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
