//! A user in the API's spelling: names of OIDC claims, both directions. No password and no hash of
//! one ever goes out.

use serde::Serialize;

use crate::admin::input::Fields;
use crate::admin::wire::time;
use crate::domain::User;
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
