//! A provider as the hot path needs it: the row, and every issuer whose tokens still verify.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::domain::Provider;
use crate::engine::cache::Weigh;

pub struct ProviderEntry {
    pub provider: Provider,
    /// The primary issuer and the former ones.
    pub issuers: Vec<String>,
    /// The metadata document, made by the wire that first served it; gone with the entry.
    pub metadata: OnceLock<Document>,
}

/// A document as it leaves, with its quoted entity tag.
pub struct Document {
    pub body: Bytes,
    pub etag: String,
}

impl Document {
    pub fn of(body: Vec<u8>) -> Self {
        Self { etag: format!("\"{:08x}\"", crc32fast::hash(&body)), body: body.into() }
    }
}

impl ProviderEntry {
    pub fn of(provider: Provider, issuers: Vec<String>) -> Self {
        Self { provider, issuers, metadata: OnceLock::new() }
    }

    pub fn has_issuer(&self, issuer: &str) -> bool {
        self.provider.issuer == issuer || self.issuers.iter().any(|own| own == issuer)
    }

    /// Turned on for this provider's own path.
    pub fn serves(&self, surface: &str) -> bool {
        self.provider.surfaces.iter().any(|own| own == surface)
    }
}

/// What the metadata document will take once it is made.
const DOCUMENT: usize = 4096;

impl Weigh for ProviderEntry {
    fn weight(&self) -> usize {
        let texts = [&self.provider.slug, &self.provider.name, &self.provider.issuer];
        let issuers: usize = self.issuers.iter().map(|issuer| issuer.len() + size_of::<String>()).sum();
        size_of::<Self>() + issuers + texts.iter().map(|text| text.len()).sum::<usize>() + DOCUMENT
    }
}
