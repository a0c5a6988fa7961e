//! Makes tokens of terms: claims, then a signature or a seal.

use std::sync::Arc;

use secrecy::SecretString;

use crate::crypto::{SigningKey, opaque};
use crate::domain::ephemeral::IssuerChoice;
use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::{Ask, Granted};
use crate::domain::token::{AccessTokenFormat, Epochs, IdClaims};
use crate::domain::{AccessClaims, Context, Failed, Fault, SigningAlg};
use crate::engine::Engine;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::grants::Terms;

/// Lifetime and algorithm of the ID token that stands for a client itself.
pub const OWN_ID_TOKEN_TTL: i64 = 3600;
const OWN_ID_TOKEN_ALG: SigningAlg = SigningAlg::Rs256;

impl Engine {
    /// A token of a machine, or one that was minted. `ask` says in what form.
    pub(in crate::engine) async fn issue(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        terms: Terms,
        ask: &Ask,
    ) -> Result<Granted, Failed> {
        let Terms { owner, subject, scope, audience, lifetime, format, own_id_token, typ, extra, by } = terms;
        let one_time = extra.one_time;
        let issued_at = ctx.now.seconds();
        let mut claims = AccessClaims {
            issuer: issuer(provider, ask.issuer).to_owned(),
            subject,
            audience,
            client_id: owner.id,
            scope,
            jti: self.0.random.jti(ctx.now),
            issued_at,
            expires_at: issued_at + lifetime,
            epochs: Epochs { provider: provider.provider.epoch, client: owner.epoch, user: 0, session: 0 },
            typ,
            person: None,
            audience_as_list: ask.audience_as_list,
            extra: (!extra.is_empty()).then(|| Box::new(extra)),
        };
        add_wire_claims(&mut claims, ask);
        // Whoever could verify a one-time token alone would not have to ask whether it was used.
        let format = if one_time { AccessTokenFormat::Opaque } else { format };
        let alg = ask.signing_alg.unwrap_or(provider.provider.access_token_signing_alg);
        let access_token = self.access_token(ctx, provider, &claims, (format, alg)).await?;
        self.note_issued(ctx, &provider.provider.id, &claims.client_id, by);
        ctx.trail.passed("lifetime.bounded", facts![lifetime: Fact::Number(lifetime)]);
        let id_token = if own_id_token { Some(self.own_id_token(ctx, provider, &claims).await?) } else { None };
        Ok(Granted {
            access_token,
            expires_in: lifetime,
            scope: claims.scope,
            one_time,
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
        (format, alg): (AccessTokenFormat, SigningAlg),
    ) -> Result<SecretString, Fault> {
        match format {
            AccessTokenFormat::Opaque => {
                opaque::seal_access(&self.secrets().tokens, &provider.provider.id, claims, &self.0.random)
            }
            AccessTokenFormat::Jwt => {
                let key = self.signing_key(ctx, provider, alg).await?;
                key.sign_access(claims).map(SecretString::from)
            }
        }
    }

    /// The client's own ID token: `sub` its subject, `aud` its `client_id`. None of our endpoints takes it as a
    /// hint, because it has no `auth_time`, or as a subject token, because it is our own.
    async fn own_id_token(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        access: &AccessClaims,
    ) -> Result<SecretString, Fault> {
        let key = self.signing_key(ctx, provider, OWN_ID_TOKEN_ALG).await?;
        let claims = IdClaims {
            issuer: access.issuer.clone(),
            subject: access.subject.clone(),
            audience: access.client_id.clone(),
            jti: self.0.random.jti(ctx.now),
            issued_at: access.issued_at,
            expires_at: access.issued_at + OWN_ID_TOKEN_TTL,
            person: None,
        };
        key.sign_id(&claims).map(SecretString::from)
    }

    /// The active key of an algorithm, to sign one token with; made when the provider needs it for the first time.
    pub(in crate::engine) async fn signing_key(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        alg: SigningAlg,
    ) -> Result<Arc<SigningKey>, Fault> {
        let ring = self.key_ring(ctx, &provider.provider.id).await?;
        if let Some(key) = ring.to_sign(alg) {
            return Ok(key);
        }
        self.make_first_key(ctx, &provider.provider, alg).await?;
        let ring = self.key_ring(ctx, &provider.provider.id).await?;
        ring.to_sign(alg).ok_or_else(|| Fault::crypto(format!("provider has no active {} key", alg.name())))
    }
}

/// The issuer a token names.
fn issuer(provider: &ProviderEntry, choice: IssuerChoice) -> &str {
    match choice {
        IssuerChoice::Primary => &provider.provider.issuer,
        IssuerChoice::VerifiedDomain => provider.domain_issuer().unwrap_or(&provider.provider.issuer),
        IssuerChoice::Base => provider.base_issuer(),
    }
}

fn add_wire_claims(claims: &mut AccessClaims, ask: &Ask) {
    let Some(wire_claims) = ask.wire_claims else { return };
    let free = wire_claims(claims);
    if !free.is_empty() {
        claims.extra.get_or_insert_default().free.extend(free);
    }
}
