//! What a provider publishes about itself. Answers from memory also while the database is away.

use std::sync::Arc;

use crate::crypto::client_keys::ASSERTION_ALGS;
use crate::domain::grant::ProviderRef;
use crate::domain::{Context, Failed};
use crate::engine::Engine;
use crate::engine::cache::keys::KeyRing;
use crate::engine::cache::providers::ProviderEntry;

/// The published keys and how long they may be kept.
pub struct Published {
    pub ring: Arc<KeyRing>,
    /// Seconds.
    pub max_age: i64,
}

impl Engine {
    /// The provider that a metadata document is asked of.
    pub async fn described(&self, ctx: &Context, provider: &ProviderRef) -> Result<Arc<ProviderEntry>, Failed> {
        self.provider(ctx, provider).await
    }

    pub async fn published_keys(&self, ctx: &Context, provider: &ProviderRef) -> Result<Published, Failed> {
        let entry = self.provider(ctx, provider).await?;
        let ring = self.key_ring(ctx, &entry.provider.id).await?;
        Ok(Published { ring, max_age: entry.provider.ttls.jwks_max_age })
    }
}

/// JOSE names of the algorithms that client assertions may use.
pub fn assertion_algs() -> Vec<&'static str> {
    ASSERTION_ALGS.iter().map(|(name, _)| *name).collect()
}
