//! API keys: management credentials with a role, narrowed by provider, scope and audience.

use crate::domain::{ApiKeyId, AudienceSet, ProviderId, ScopeSet, SecretId};

/// `default < member < admin < owner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Default,
    Member,
    Admin,
    Owner,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Default, Self::Member, Self::Admin, Self::Owner];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// An API key without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub role: Role,
    /// `None`: bound to no provider.
    pub provider: Option<ProviderId>,
    /// What it may mint; `None`: any but the reserved.
    pub scope: Option<ScopeSet>,
    /// What it may mint for; empty: the provider's default audience.
    pub audience: AudienceSet,
    /// Longest lifetime it may mint, seconds; `None`: the provider's.
    pub max_ttl: Option<i64>,
    pub may_set_subject: bool,
    /// Last four characters of its newest secret.
    pub hint: String,
    /// Epoch seconds.
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    /// Soft end: unusable from then on.
    pub deleted_at: Option<i64>,
    /// Raised to end every token it minted.
    pub epoch: u32,
    /// Raised by every change; the `ETag`.
    pub version: i64,
}

/// One of the several secrets of an API key; its text is stored nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeySecret {
    pub id: SecretId,
    /// Last four characters.
    pub hint: String,
    /// Epoch seconds.
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

impl ApiKeySecret {
    /// Usable at `now` (epoch seconds).
    pub fn is_live(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

impl ApiKey {
    /// Usable at `now` (epoch seconds).
    pub fn is_live(&self, now: i64) -> bool {
        self.deleted_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}
