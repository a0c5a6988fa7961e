//! A person as tokens and sessions are judged by: the row without its password, which only a login
//! reads, from the database.

use crate::domain::{ProviderId, User, UserId};
use crate::engine::cache::Weigh;

/// Provider and user id.
pub type UserKey = (ProviderId, UserId);

pub struct UserEntry {
    /// Live or not; `password` is always `None`.
    pub user: User,
}

impl UserEntry {
    pub fn of(user: User) -> Self {
        Self { user: User { password: None, ..user } }
    }
}

impl Weigh for UserEntry {
    fn weight(&self) -> usize {
        let User { username, email, name, groups, .. } = &self.user;
        let texts = [Some(username), email.as_ref(), name.as_ref()];
        let groups: usize = groups.iter().map(|group| group.len() + size_of::<String>()).sum();
        size_of::<Self>() + groups + texts.into_iter().flatten().map(String::len).sum::<usize>() + 100
    }
}
