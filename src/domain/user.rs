//! Local accounts: who a person is to one provider.

use std::fmt;

use crate::domain::{ProviderId, UserId};

/// A password as it is kept: an Argon2 PHC string, or that of an import (bcrypt, scrypt, PBKDF2)
/// until the first login. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// A person's account at one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub provider: ProviderId,
    /// Also the `sub` of their tokens; never given out again.
    pub id: UserId,
    /// As it was written; compared by its key (NFKC, lower case).
    pub username: String,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    pub groups: Vec<String>,
    /// Those given to this account itself; its groups may give it more.
    pub roles: Vec<String>,
    /// `None`: no login by password.
    pub password: Option<PasswordHash>,
    /// Epoch seconds, as all times here.
    pub password_changed_at: Option<i64>,
    pub enabled: bool,
    pub locked_at: Option<i64>,
    /// Raised to end every token of this person. Begins at 1: 0 in a token means "no person".
    pub epoch: u32,
    /// Raised by every change; the `ETag`.
    pub version: i64,
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
}

impl User {
    /// May log in and have live tokens.
    pub fn is_live(&self) -> bool {
        self.enabled && self.locked_at.is_none() && self.deleted_at.is_none()
    }
}
