//! A session as tokens that are tied to it need it: is it over, and in which epoch.

use crate::domain::{ProviderId, Session, SessionId, UserId};
use crate::engine::cache::Weigh;

/// Provider and session id.
pub type SessionKey = (ProviderId, SessionId);

pub struct SessionEntry {
    pub user: UserId,
    pub epoch: u32,
    pub has_ended: bool,
    /// Epoch seconds.
    pub ends_at: i64,
}

impl SessionEntry {
    pub fn of(session: &Session) -> Self {
        Self {
            user: session.user.clone(),
            epoch: session.epoch,
            has_ended: session.ended_at.is_some(),
            ends_at: session.ends_at,
        }
    }
}

impl Weigh for SessionEntry {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.user.as_str().len() + 80
    }
}
