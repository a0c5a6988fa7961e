//! Browser sessions of people, and what a browser sends along.

use secrecy::SecretString;

use crate::domain::{ProviderId, SessionId, UserId};

/// How somebody proved who they are (RFC 8176): the values of `amr`, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amr(Vec<String>);

impl Amr {
    /// By password (RFC 8176 §2 `pwd`).
    pub fn password() -> Self {
        Self(vec!["pwd".to_owned()])
    }

    /// Reads the space-separated form that [`Amr::joined`] gives.
    pub fn parse(text: &str) -> Self {
        Self(text.split(' ').filter(|value| !value.is_empty()).map(str::to_owned).collect())
    }

    pub fn joined(&self) -> String {
        self.0.join(" ")
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// A login that a browser holds. Times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub provider: ProviderId,
    /// `sid` of tokens; not what the cookie holds.
    pub id: SessionId,
    pub user: UserId,
    /// When the person last proved who they are.
    pub auth_time: i64,
    pub amr: Amr,
    pub user_agent: String,
    pub address: String,
    pub created_at: i64,
    pub seen_at: i64,
    /// Not used until then, it is over.
    pub idle_ends_at: i64,
    /// Over at the latest.
    pub ends_at: i64,
    pub ended_at: Option<i64>,
    /// Begins at 1: 0 in a token means that it is tied to no session.
    pub epoch: u32,
    /// The provider's when it began: what ends all tokens of a provider ends its sessions too.
    pub provider_epoch: u32,
}

impl Session {
    /// Usable at `now` (epoch seconds).
    pub fn is_live(&self, now: i64) -> bool {
        self.ended_at.is_none() && now < self.idle_ends_at && now < self.ends_at
    }
}

/// What a browser sent along; none of it is believed yet.
#[derive(Debug, Default)]
pub struct Browser {
    /// The session cookie's secret.
    pub session: Option<SecretString>,
    /// Binds a flow to the browser that began it.
    pub flow: Option<SecretString>,
    /// Says on which account this browser has logged in before.
    pub device: Option<SecretString>,
    pub user_agent: String,
}
