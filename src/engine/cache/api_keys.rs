//! An API key as it is checked: the row, its live secrets, and when their use was last noted.

use std::sync::atomic::AtomicI64;

use crate::domain::api_key::ApiKeySecret;
use crate::domain::{ApiKey, ApiKeyId, ProviderSlug, SecretId};
use crate::engine::cache::Weigh;

pub struct ApiKeyEntry {
    pub key: ApiKey,
    /// Of the provider it is bound to.
    pub provider_slug: Option<ProviderSlug>,
    secrets: Box<[KeySecretEntry]>,
    /// Epoch seconds.
    pub noted_at: AtomicI64,
}

/// One live secret of it.
pub struct KeySecretEntry {
    pub id: SecretId,
    /// Epoch seconds; `i64::MAX` if it does not expire.
    expires_at: i64,
    /// Epoch seconds.
    pub noted_at: AtomicI64,
}

impl ApiKeyEntry {
    pub fn of(key: ApiKey, provider_slug: Option<ProviderSlug>, secrets: Vec<ApiKeySecret>) -> Self {
        let noted_at = AtomicI64::new(key.last_used_at.unwrap_or(0));
        let secret = |secret: ApiKeySecret| KeySecretEntry {
            id: secret.id,
            expires_at: secret.expires_at.unwrap_or(i64::MAX),
            noted_at: AtomicI64::new(0),
        };
        Self { key, provider_slug, secrets: secrets.into_iter().map(secret).collect(), noted_at }
    }

    /// The secret with this id, if it works at `now` (epoch seconds).
    pub fn secret(&self, id: &SecretId, now: i64) -> Option<&KeySecretEntry> {
        self.secrets.iter().find(|secret| secret.id == *id && now < secret.expires_at)
    }
}

impl Weigh for ApiKeyEntry {
    fn weight(&self) -> usize {
        let scope = self.key.scope.as_ref().map_or(0, |scope| scope.as_str().len());
        size_of::<Self>()
            + self.key.name.len()
            + scope
            + self.key.audience.as_str().len()
            + 100
            + self.secrets.len() * 72
    }
}

/// Which secret of which API key a digest belongs to. Never changes; whether the secret still works,
/// the key's entry knows.
pub struct DigestOwner {
    pub key: ApiKeyId,
    pub secret: SecretId,
}

impl Weigh for DigestOwner {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.key.as_str().len() + self.secret.as_str().len() + 32
    }
}
