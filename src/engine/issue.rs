//! Makes tokens of terms: claims, then a signature or a seal.

use std::sync::Arc;

use secrecy::SecretString;

use crate::crypto::{SigningKey, opaque};
use crate::domain::grant::Granted;
use crate::domain::token::{AccessTokenFormat, AccessTyp, Epochs, IdClaims};
use crate::domain::{AccessClaims, Context, Failed, Fault, SigningAlg};
use crate::engine::Engine;
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::grants::Terms;

/// Lifetime and algorithm of the ID token that stands for a client itself.
pub const OWN_ID_TOKEN_TTL: i64 = 3600;
const OWN_ID_TOKEN_ALG: SigningAlg = SigningAlg::Rs256;

impl Engine {
    pub(in crate::engine) async fn issue(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        terms: Terms,
    ) -> Result<Granted, Failed> {
        let Terms { subject, scope, audience, lifetime, format, own_id_token } = terms;
        let issued_at = ctx.now.seconds();
        let claims = AccessClaims {
            issuer: provider.provider.issuer.clone(),
            subject,
            audience,
            client_id: client.client_id.as_str().to_owned(),
            scope,
            jti: self.0.random.jti(ctx.now),
            issued_at,
            expires_at: issued_at + lifetime,
            epochs: Epochs { provider: provider.provider.epoch, client: client.epoch, user: 0, session: 0 },
            typ: AccessTyp::AtJwt,
            person: None,
        };
        let access_token = self.access_token(ctx, provider, &claims, format).await?;
        let id_token = if own_id_token { Some(self.own_id_token(ctx, provider, client, &claims).await?) } else { None };
        Ok(Granted {
            access_token,
            expires_in: lifetime,
            scope: claims.scope,
            id_token,
            refresh_token: None,
            issued_token_type: None,
        })
    }

    pub(in crate::engine) async fn access_token(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        claims: &AccessClaims,
        format: AccessTokenFormat,
    ) -> Result<SecretString, Fault> {
        match format {
            AccessTokenFormat::Opaque => {
                opaque::seal_access(&self.0.secrets.tokens, &provider.provider.id, claims, &self.0.random)
            }
            AccessTokenFormat::Jwt => {
                let key = self.signing_key(ctx, provider, provider.provider.access_token_signing_alg).await?;
                key.sign_access(claims).map(SecretString::from)
            }
        }
    }

    /// The client's own ID token: `sub` its subject, `aud` its `client_id`. None of our endpoints
    /// takes it as a hint or a subject token, because it carries no `typ`.
    async fn own_id_token(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        client: &ClientEntry,
        access: &AccessClaims,
    ) -> Result<SecretString, Fault> {
        let key = self.signing_key(ctx, provider, OWN_ID_TOKEN_ALG).await?;
        let claims = IdClaims {
            issuer: access.issuer.clone(),
            subject: access.subject.clone(),
            audience: client.client_id.as_str().to_owned(),
            jti: self.0.random.jti(ctx.now),
            issued_at: access.issued_at,
            expires_at: access.issued_at + OWN_ID_TOKEN_TTL,
            person: None,
        };
        key.sign_id(&claims).map(SecretString::from)
    }

    /// The active key of an algorithm; made when the provider needs it for the first time.
    pub(in crate::engine) async fn signing_key(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        alg: SigningAlg,
    ) -> Result<Arc<SigningKey>, Fault> {
        let ring = self.key_ring(ctx, &provider.provider.id).await?;
        if let Some(key) = ring.signing(alg) {
            return Ok(Arc::clone(key));
        }
        self.make_first_key(ctx, &provider.provider, alg).await?;
        let ring = self.key_ring(ctx, &provider.provider.id).await?;
        let made = ring.signing(alg).map(Arc::clone);
        made.ok_or_else(|| Fault::crypto(format!("provider has no active {} key", alg.name())))
    }
}
