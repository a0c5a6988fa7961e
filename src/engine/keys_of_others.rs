//! The keys of trusted issuers and of clients that publish theirs. Only what stands in a row is ever
//! fetched.

use std::sync::Arc;

use crate::crypto::ClientKeys;
use crate::domain::external::ExternalToken;
use crate::domain::trust::{IssuerKeys, fingerprint};
use crate::domain::{Context, Owner, ProviderId, TrustedIssuer};
use crate::engine::Engine;
use crate::engine::cache::Weigh;
use crate::upstream::{FetchedKeys, KeySource};

/// A key set that stands in the row of a trusted issuer.
pub(in crate::engine) struct PastedKeys {
    keys: Arc<FetchedKeys>,
    /// Of its text.
    bytes: usize,
}

impl Weigh for PastedKeys {
    fn weight(&self) -> usize {
        // A key that was read holds its numbers twice: as they came in, and decoded.
        size_of::<Self>() + 2 * self.bytes
    }
}

impl Engine {
    /// The keys that a token of this row's issuer is checked with, or why there are none.
    pub(in crate::engine) async fn issuer_keys(
        &self,
        ctx: &Context,
        row: &TrustedIssuer,
        token: &ExternalToken,
    ) -> Result<Arc<FetchedKeys>, String> {
        let (kid, alg) = (token.key_id.as_deref(), token.algorithm.as_str());
        let keys = match &row.keys {
            IssuerKeys::Pasted(jwks) => self.pasted_keys(jwks)?,
            IssuerKeys::Url(url) => self.keys_at(ctx, &row.provider, &KeySource::Url(url.clone()), kid, alg).await?,
            IssuerKeys::Discovery => {
                self.keys_at(ctx, &row.provider, &KeySource::Issuer(row.issuer.clone()), kid, alg).await?
            }
        };
        let pinned: Vec<String> = row.rules.fingerprints.iter().filter_map(|text| fingerprint(text)).collect();
        if !row.rules.fingerprints.is_empty() && !keys.come_by(&pinned) {
            return Err("a server of the issuer's keys showed no certificate that stands in fingerprints".to_owned());
        }
        Ok(keys)
    }

    /// A set that stands in a row is read once, and known by its digest: who changes it changes that.
    fn pasted_keys(&self, jwks: &str) -> Result<Arc<FetchedKeys>, String> {
        let (cache, digest) = (&self.0.caches.pasted_keys, self.0.process_pepper.digest_bytes(jwks));
        if let Some(known) = cache.get(&digest) {
            return Ok(Arc::clone(&known.keys));
        }
        let fill = cache.begin(&digest);
        let keys = ClientKeys::parse_published(jwks.as_bytes()).map_err(|flaw| flaw.to_string())?;
        let entry = PastedKeys { keys: Arc::new(FetchedKeys::given(keys)), bytes: jwks.len() };
        Ok(Arc::clone(&cache.finish(fill, digest, Arc::new(entry)).keys))
    }

    /// The keys that a client publishes, for its assertion with this header.
    pub(in crate::engine) async fn client_keys_by_uri(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        jwks_uri: &str,
        (kid, alg): (Option<&str>, &str),
    ) -> Result<Arc<FetchedKeys>, String> {
        self.keys_at(ctx, provider, &KeySource::Url(jwks_uri.to_owned()), kid, alg).await
    }

    async fn keys_at(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        source: &KeySource,
        kid: Option<&str>,
        alg: &str,
    ) -> Result<Arc<FetchedKeys>, String> {
        let keys = self.0.published_keys.keys(&Owner::from(provider), source, kid, alg, ctx.deadline).await;
        keys.map_err(|flaw| flaw.to_string())
    }
}
