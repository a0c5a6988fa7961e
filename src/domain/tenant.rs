//! Tenants: somebody whose tokens are judged for them, and never exchanged.

use crate::domain::trust::Condition;
use crate::domain::{AudienceSet, IssuerId, ProviderId, TenantId, TrustPolicyId};

/// Somebody whose tokens, of issuers of their own, are judged. One tenant's issuers say nothing
/// about another's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    pub id: TenantId,
    pub provider: ProviderId,
    pub name: String,
    pub description: String,
    /// Epoch seconds.
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
}

/// What the tokens of one issuer of a tenant must say beside what the issuer's row asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    pub id: TrustPolicyId,
    pub issuer: IssuerId,
    pub name: String,
    pub description: String,
    /// One value, which the token's `aud` must have.
    pub audience: AudienceSet,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Epoch seconds.
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
}
