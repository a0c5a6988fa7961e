//! A person as tokens and sessions are judged by: the row without its password, which only a login
//! reads, from the database.

use crate::domain::{ProviderId, User, UserId};
use crate::engine::cache::Weigh;

/// Provider and user id.
pub type UserKey = (ProviderId, UserId);

pub struct UserEntry {
    /// Live or not; `password` is always `None`.
    pub user: User,
    /// What its groups give it beside its own.
    pub roles_by_groups: Vec<String>,
}

impl UserEntry {
    pub fn of(user: User, roles_by_groups: Vec<String>) -> Self {
        Self { user: User { password: None, ..user }, roles_by_groups }
    }
}

impl Weigh for UserEntry {
    fn weight(&self) -> usize {
        let User { username, email, name, groups, roles, .. } = &self.user;
        let texts = [Some(username), email.as_ref(), name.as_ref()];
        let names = groups.iter().chain(roles).chain(&self.roles_by_groups);
        let names: usize = names.map(|name| name.len() + size_of::<String>()).sum();
        size_of::<Self>() + names + texts.into_iter().flatten().map(String::len).sum::<usize>() + 100
    }
}
