//! An API key as it is checked: the row, and when its use was last noted.

use std::sync::atomic::AtomicI64;

use crate::domain::{ApiKey, ProviderSlug};
use crate::engine::cache::Weigh;

pub struct ApiKeyEntry {
    pub key: ApiKey,
    /// Of the provider it is bound to.
    pub provider_slug: Option<ProviderSlug>,
    /// Epoch seconds.
    pub noted_at: AtomicI64,
}

impl ApiKeyEntry {
    pub fn of(key: ApiKey, provider_slug: Option<ProviderSlug>) -> Self {
        let noted_at = AtomicI64::new(key.last_used_at.unwrap_or(0));
        Self { key, provider_slug, noted_at }
    }
}

impl Weigh for ApiKeyEntry {
    fn weight(&self) -> usize {
        let scope = self.key.scope.as_ref().map_or(0, |scope| scope.as_str().len());
        size_of::<Self>() + self.key.name.len() + scope + self.key.audience.as_str().len() + 100
    }
}

/// Which API key a digest belongs to. Never changes: a key's secret is not replaced.
pub struct DigestOwner(pub crate::domain::ApiKeyId);

impl Weigh for DigestOwner {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.0.as_str().len() + 32
    }
}
