//! A provider as the hot path needs it: the row, and every issuer whose tokens still verify.

use crate::domain::Provider;
use crate::engine::cache::Weigh;

pub struct ProviderEntry {
    pub provider: Provider,
    /// The primary issuer and the former ones.
    pub issuers: Vec<String>,
}

impl ProviderEntry {
    pub fn has_issuer(&self, issuer: &str) -> bool {
        self.provider.issuer == issuer || self.issuers.iter().any(|own| own == issuer)
    }

    /// Turned on for this provider's own path.
    pub fn serves(&self, surface: &str) -> bool {
        self.provider.surfaces.iter().any(|own| own == surface)
    }
}

impl Weigh for ProviderEntry {
    fn weight(&self) -> usize {
        let texts = [&self.provider.slug, &self.provider.name, &self.provider.issuer];
        let issuers: usize = self.issuers.iter().map(|issuer| issuer.len() + size_of::<String>()).sum();
        size_of::<Self>() + issuers + texts.iter().map(|text| text.len()).sum::<usize>() + 100
    }
}
