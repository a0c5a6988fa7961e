//! The life of a provider's signing keys: made when first needed and active at once; by rotation
//! published as *next* for one `max-age` before it signs; *retired* for as long as a token it signed
//! may live (OIDC Core §10.1.1).

use crate::crypto::signer;
use crate::domain::key::{KeyState, StoredSigningKey};
use crate::domain::{Context, Decision, Fault, Provider, ProviderId, SigningAlg, UnixTime};
use crate::engine::Engine;
use crate::engine::cache::keys::seal_context;
use crate::store::{ChangedTable, signing_keys};

impl Engine {
    /// A key for an algorithm the provider needs for the first time. Of two nodes that make one at
    /// once, one row stays.
    pub(in crate::engine) async fn make_first_key(
        &self,
        ctx: &Context,
        provider: &Provider,
        alg: SigningAlg,
    ) -> Result<(), Fault> {
        let made = self.new_signing_key(provider, alg, KeyState::Active, ctx.now)?;
        let now = ctx.now;
        self.0
            .db
            .write(ctx.deadline, move |tx| {
                if signing_keys::insert_active_if_none(tx, made.clone())? {
                    tx.changed(ChangedTable::SigningKeys, made.provider.as_str(), now)?;
                }
                Ok(Decision::Allow(()))
            })
            .await?;
        self.0.caches.keys.invalidate(&provider.id);
        Ok(())
    }

    /// A fresh key pair for this provider, its private part sealed.
    pub(in crate::engine) fn new_signing_key(
        &self,
        provider: &Provider,
        alg: SigningAlg,
        state: KeyState,
        now: UnixTime,
    ) -> Result<StoredSigningKey, Fault> {
        let mut key = new_signing_key(&self.0.secrets.signing, &self.0.random, provider, alg, now)?;
        key.state = state;
        if state == KeyState::Next {
            key.activates_at = now.seconds() + provider.ttls.jwks_max_age;
        }
        Ok(key)
    }

    /// Lets every due *next* key sign and retires the one before it. Runs on every node; one wins.
    pub(in crate::engine) async fn promote_due_keys(&self, ctx: &Context) -> Result<(), Fault> {
        let now = ctx.now.seconds();
        let due = self.0.db.read(ctx.deadline, move |conn| signing_keys::due(conn, now)).await?;
        for (provider, alg) in due {
            self.promote(ctx, provider, alg).await?;
        }
        Ok(())
    }

    async fn promote(&self, ctx: &Context, provider: ProviderId, alg: SigningAlg) -> Result<(), Fault> {
        let (owner, now) = (provider.clone(), ctx.now);
        let promoted = self
            .0
            .db
            .write_background(ctx.deadline, move |tx| {
                let promoted = signing_keys::promote_due(tx, &owner, alg, now.seconds())?;
                if promoted {
                    tx.changed(ChangedTable::SigningKeys, owner.as_str(), now)?;
                }
                Ok(promoted)
            })
            .await?;
        if promoted {
            self.0.caches.keys.invalidate(&provider);
            log::info!("provider {provider}: a new {} key signs from now on", alg.name());
        }
        Ok(())
    }
}

/// A fresh active key pair; for the first run too, where there is no engine yet.
pub fn new_signing_key(
    sealer: &crate::crypto::Sealer,
    random: &crate::crypto::Random,
    provider: &Provider,
    alg: SigningAlg,
    now: UnixTime,
) -> Result<StoredSigningKey, Fault> {
    let kid = random.uuid_v7(now);
    let pair = signer::generate(alg, &kid)?;
    let sealed_private = sealer.seal(seal_context(&kid), secrecy::ExposeSecret::expose_secret(&pair.pkcs8), random)?;
    Ok(StoredSigningKey {
        provider: provider.id.clone(),
        alg,
        state: KeyState::Active,
        public_jwk: pair.public_jwk,
        sealed_private,
        data_key_id: sealer.current_key_id().to_owned(),
        created_at: now.seconds(),
        activates_at: now.seconds(),
        retired_at: None,
        max_lifetime: provider.ttls.max,
        kid,
    })
}
