//! What a token is worth: genuine, of this provider, unexpired, not revoked, of the current epochs.

use crate::crypto::{opaque, verify_access};
use crate::domain::explanation::{Fact, facts};
use crate::domain::secret::SecretKind;
use crate::domain::token::{Jti, PersonClaims, RevokedKind};
use crate::domain::{AccessClaims, Actor, Context, Fault, UserId};
use crate::engine::Engine;
use crate::engine::authenticate::ENV;
use crate::engine::cache::api_keys::ApiKeyEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::revocations::Known;
use crate::store::revoked;

impl Engine {
    /// The claims of an active access token of this provider; `None` for everything else.
    pub(in crate::engine) async fn active_token(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        token: &str,
    ) -> Result<Option<AccessClaims>, Fault> {
        let Some(claims) = self.genuine_token(ctx, provider, token).await? else {
            ctx.trail.failed("token.genuine", facts![]);
            return Ok(None);
        };
        if claims.expires_at <= ctx.now.seconds() {
            ctx.trail.failed("token.live", facts![expired_at: Fact::Time(claims.expires_at)]);
            return Ok(None);
        }
        let active = self.is_of_current_epochs(ctx, provider, &claims).await?
            && !self.is_revoked(ctx, provider, &claims).await?;
        Ok(active.then_some(claims))
    }

    /// The claims of a token that this provider made, active or not.
    pub(in crate::engine) async fn genuine_token(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        token: &str,
    ) -> Result<Option<AccessClaims>, Fault> {
        let claims = if token.starts_with(SecretKind::OpaqueAccessToken.prefix()) {
            opaque::open_access(&self.secrets().tokens, &provider.provider.id, token)
        } else {
            let ring = self.key_ring(ctx, &provider.provider.id).await?;
            verify_access(token, |kid| ring.verifying(kid))
        };
        Ok(claims.filter(|claims| provider.has_issuer(&claims.issuer)))
    }

    /// Revoking "all tokens of" raises an epoch; a token of a lower one is inactive. Never judged
    /// by `iat`.
    async fn is_of_current_epochs(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        claims: &AccessClaims,
    ) -> Result<bool, Fault> {
        let no = |of: &'static str| {
            ctx.trail.failed("token.epoch", facts![of: Fact::word(of), issued_to: Fact::text(&claims.client_id)]);
            Ok(false)
        };
        if claims.epochs.provider < provider.provider.epoch {
            return no("provider");
        }
        if !self.is_of_live_owner(ctx, provider, claims).await? {
            return no("client or API key");
        }
        if !self.is_of_live_actor(ctx, claims).await? {
            return no("API key that made it");
        }
        match &claims.person {
            Some(person) if !self.is_of_live_person(ctx, provider, claims, person).await? => no("person or session"),
            _ => Ok(true),
        }
    }

    /// The client it was issued to, or the API key that minted it, is live and of no later epoch.
    async fn is_of_live_owner(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        claims: &AccessClaims,
    ) -> Result<bool, Fault> {
        let (owner, epoch) = (claims.client_id.as_str(), claims.epochs.client);
        let of_key = |entry: &ApiKeyEntry| entry.key.is_live(ctx.now.seconds()) && epoch >= entry.key.epoch;
        // A key that has just minted is at hand; no id stands for both.
        if let Some(entry) = self.0.caches.api_keys.get(&owner.into()) {
            return Ok(of_key(&entry));
        }
        if let Some(client) = self.client(ctx, &provider.provider.id, &owner.into()).await? {
            return Ok(client.live && epoch >= client.epoch);
        }
        if owner == ENV {
            return Ok(self.0.admin_key.is_some());
        }
        Ok(self.api_key(ctx, &owner.into()).await?.is_some_and(|entry| of_key(&entry)))
    }

    /// The API key that made the token for its owner, if one did, is live and of no later epoch.
    async fn is_of_live_actor(&self, ctx: &Context, claims: &AccessClaims) -> Result<bool, Fault> {
        let actor = claims.extra.as_ref().and_then(|extra| extra.actor.as_ref());
        let Some(Actor { subject, epoch: Some(epoch) }) = actor else { return Ok(true) };
        if subject == ENV {
            return Ok(self.0.admin_key.is_some());
        }
        let key = self.api_key(ctx, &subject.as_str().into()).await?;
        Ok(key.is_some_and(|entry| entry.key.is_live(ctx.now.seconds()) && *epoch >= entry.key.epoch))
    }

    /// The account is live, and the session too if the token ends with one.
    async fn is_of_live_person(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        claims: &AccessClaims,
        person: &PersonClaims,
    ) -> Result<bool, Fault> {
        let id = UserId::from(claims.subject.as_str());
        let entry = self.user(ctx, &provider.provider.id, &id).await?;
        if !entry.is_some_and(|entry| entry.user.is_live() && claims.epochs.user >= entry.user.epoch) {
            return Ok(false);
        }
        let Some(session) = &person.session else { return Ok(true) };
        let session = self.session(ctx, &provider.provider.id, session).await?;
        Ok(session.is_some_and(|session| {
            !session.has_ended && ctx.now.seconds() < session.ends_at && claims.epochs.session >= session.epoch
        }))
    }

    async fn is_revoked(&self, ctx: &Context, provider: &ProviderEntry, claims: &AccessClaims) -> Result<bool, Fault> {
        let revoked = |what: &'static str| {
            ctx.trail.failed("token.revoked", facts![what: Fact::word(what)]);
            Ok(true)
        };
        if self.has_ended(ctx, provider, RevokedKind::Token, claims.jti).await? {
            return revoked("token");
        }
        match &claims.person {
            Some(person) if self.has_ended(ctx, provider, RevokedKind::Grant, person.grant).await? => revoked("grant"),
            _ => Ok(false),
        }
    }

    /// Whether the token or grant with this id was revoked.
    pub(in crate::engine) async fn has_ended(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        kind: RevokedKind,
        id: Jti,
    ) -> Result<bool, Fault> {
        match self.0.revocations.look(id) {
            Known::Revoked => Ok(true),
            Known::NotRevoked => Ok(false),
            Known::AskTable => {
                let provider = provider.provider.id.clone();
                let read = move |conn: &mut _| revoked::contains(conn, &provider, kind, id);
                self.0.db.read(ctx.deadline, read).await
            }
        }
    }
}
