//! What a provider knows by name: scopes, roles, and groups with the roles that they give.

use crate::domain::ProviderId;

/// Which sort of name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedKind {
    Scope,
    Role,
    Group,
}

/// A name and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub provider: ProviderId,
    pub name: String,
    pub description: Option<String>,
    /// Of a group: what its members are given; else empty.
    pub roles: Vec<String>,
    /// Raised by every change; 0 where the name is built in and nothing can be changed.
    pub version: i64,
    /// Epoch seconds; 0 where the name is built in.
    pub created_at: i64,
}

impl Named {
    /// Exists at every provider, without a row.
    pub fn is_built_in(&self) -> bool {
        self.version == 0
    }
}
