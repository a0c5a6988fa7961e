//! What a provider publishes about itself. Answers from memory also while the database is away.

use std::sync::Arc;

use crate::crypto::client_keys::ASSERTION_ALGS;
use crate::domain::grant::ProviderRef;
use crate::domain::{Context, Failed};
use crate::engine::Engine;
use crate::engine::cache::keys::KeyRing;

/// The provider's own facts for its metadata document.
pub struct Described {
    pub issuer: String,
    pub jwks_max_age: i64,
    /// Quoted entity tag of the document.
    pub etag: String,
    /// JOSE names of the algorithms that client assertions may use.
    pub assertion_algs: Vec<&'static str>,
}

/// The published keys and how long they may be kept.
pub struct Published {
    pub ring: Arc<KeyRing>,
    /// Seconds.
    pub max_age: i64,
}

impl Engine {
    pub async fn describe(&self, ctx: &Context, provider: &ProviderRef) -> Result<Described, Failed> {
        let entry = self.provider(ctx, provider).await?;
        Ok(Described {
            issuer: entry.provider.issuer.clone(),
            jwks_max_age: entry.provider.ttls.jwks_max_age,
            // What the document says changes with the provider and with the release.
            etag: format!("\"{}-{}\"", entry.provider.version, env!("CARGO_PKG_VERSION")),
            assertion_algs: ASSERTION_ALGS.iter().map(|(name, _)| *name).collect(),
        })
    }

    pub async fn published_keys(&self, ctx: &Context, provider: &ProviderRef) -> Result<Published, Failed> {
        let entry = self.provider(ctx, provider).await?;
        let ring = self.key_ring(ctx, &entry.provider.id).await?;
        Ok(Published { ring, max_age: entry.provider.ttls.jwks_max_age })
    }
}
