//! The keys of trusted issuers and of clients that publish theirs. Only what stands in a row is ever
//! fetched.

use std::sync::Arc;

use crate::crypto::ClientKeys;
use crate::domain::external::ExternalToken;
use crate::domain::trust::IssuerKeys;
use crate::domain::{Context, TrustedIssuer};
use crate::engine::Engine;
use crate::upstream::KeySource;

impl Engine {
    /// The keys that a token of this row's issuer is checked with, or why there are none.
    pub(in crate::engine) async fn issuer_keys(
        &self,
        ctx: &Context,
        row: &TrustedIssuer,
        token: &ExternalToken,
    ) -> Result<Arc<ClientKeys>, String> {
        let source = match &row.keys {
            IssuerKeys::Pasted(jwks) => {
                let keys = ClientKeys::parse_published(jwks.as_bytes());
                return keys.map(Arc::new).map_err(|flaw| flaw.to_string());
            }
            IssuerKeys::Url(url) => KeySource::Url(url.clone()),
            IssuerKeys::Discovery => KeySource::Issuer(row.issuer.clone()),
        };
        self.keys_at(ctx, &source, token.key_id.as_deref(), &token.algorithm).await
    }

    /// The keys that a client publishes, for its assertion with this header.
    pub(in crate::engine) async fn client_keys_by_uri(
        &self,
        ctx: &Context,
        jwks_uri: &str,
        (kid, alg): (Option<&str>, &str),
    ) -> Result<Arc<ClientKeys>, String> {
        self.keys_at(ctx, &KeySource::Url(jwks_uri.to_owned()), kid, alg).await
    }

    async fn keys_at(
        &self,
        ctx: &Context,
        source: &KeySource,
        kid: Option<&str>,
        alg: &str,
    ) -> Result<Arc<ClientKeys>, String> {
        let keys = self.0.published_keys.keys(source, kid, alg, ctx.deadline).await;
        keys.map_err(|flaw| flaw.to_string())
    }
}
