//! A provider as the hot path needs it: the row, every issuer whose tokens still verify, and where it
//! answers.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::domain::{Context, DomainName, Provider, ProviderSlug, Refusal};
use crate::engine::cache::Weigh;
use crate::store::issuers::Issuers;

pub struct ProviderEntry {
    pub provider: Provider,
    pub issuers: Issuers,
    /// Where it answers: below the public URL, then its verified domains, the first proven first.
    places: Vec<Place>,
}

/// The slug of a provider, found by its id.
pub struct SlugEntry(pub ProviderSlug);

impl Weigh for SlugEntry {
    fn weight(&self) -> usize {
        // A slug has at most 63 characters.
        size_of::<Self>() + 64
    }
}

/// One address of a provider.
pub struct Place {
    /// `None`: below the public URL.
    pub domain: Option<DomainName>,
    /// What the metadata there states.
    pub issuer: String,
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
    /// `domains`: name and issuer of each verified one.
    pub fn of(provider: Provider, issuers: Issuers, domains: Vec<(String, String)>) -> Self {
        let place = |domain, issuer| Place { domain, issuer, metadata: OnceLock::new() };
        let base = place(None, issuers.base.clone());
        let domains = domains.into_iter().map(|(name, issuer)| place(Some(name.into()), issuer));
        let places = std::iter::once(base).chain(domains).collect();
        Self { provider, issuers, places }
    }

    /// The row alone, for what asks for no issuer and no domain.
    pub fn of_row(provider: Provider) -> Self {
        let issuers = Issuers { base: provider.issuer.clone(), live: Vec::new(), former: Vec::new() };
        Self::of(provider, issuers, Vec::new())
    }

    /// Whether a token of this issuer may be one of the provider's.
    pub fn has_issuer(&self, issuer: &str) -> bool {
        self.answers_to(issuer) || self.issuers.former.iter().any(|own| own == issuer)
    }

    /// Whether who names this issuer means the provider: one whose domain was given up may be
    /// somebody else by now.
    pub fn answers_to(&self, issuer: &str) -> bool {
        self.provider.issuer == issuer || self.issuers.live.iter().any(|own| own == issuer)
    }

    /// The issuer below the public URL.
    pub fn base_issuer(&self) -> &str {
        &self.issuers.base
    }

    /// The issuer of its verified domain: of the primary one, else of the one that was proven first.
    pub fn domain_issuer(&self) -> Option<&str> {
        let domains = || self.places.iter().filter(|place| place.domain.is_some());
        let primary = domains().find(|place| place.issuer == self.provider.issuer);
        primary.or_else(|| domains().next()).map(|place| place.issuer.as_str())
    }

    /// Where a request meets it: at a domain, or below the public URL. A domain that is not, or no
    /// longer, one of this provider is refused.
    pub fn place_of(&self, ctx: &Context) -> Result<&Place, Refusal> {
        let domain = ctx.domain.as_ref().map(|domain| &domain.name);
        let place = self.places.iter().find(|place| place.domain.as_ref() == domain);
        place.ok_or_else(|| Refusal::unknown("There is no such provider."))
    }

    /// Turned on for this provider's own path.
    pub fn serves(&self, surface: &str) -> bool {
        self.provider.surfaces.iter().any(|own| own == surface)
    }
}

/// What a metadata document will take once it is made.
const DOCUMENT: usize = 4096;

impl Weigh for ProviderEntry {
    fn weight(&self) -> usize {
        let texts = [&self.provider.slug, &self.provider.name, &self.provider.issuer, &self.issuers.base];
        let issuers = self.issuers.live.iter().chain(&self.issuers.former);
        let issuers: usize = issuers.map(|issuer| issuer.len() + size_of::<String>()).sum();
        let name = |place: &Place| place.domain.as_ref().map_or(0, |name| name.len());
        let place = |place: &Place| size_of::<Place>() + place.issuer.len() + name(place) + DOCUMENT;
        let places: usize = self.places.iter().map(place).sum();
        size_of::<Self>() + issuers + places + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}
