//! The life of a provider's signing keys: made when first needed and active at once; by rotation
//! published as *next* for one `max-age` before it signs; *retired* for as long as a token it signed
//! may live (OIDC Core §10.1.1).

use secrecy::ExposeSecret;
use tokio::time::timeout_at;

use crate::crypto::signer::{self, NewSigningKey};
use crate::crypto::{Random, Sealer};
use crate::domain::key::{KeyState, StoredSigningKey};
use crate::domain::{Context, Decision, Fault, Lane, Owner, Provider, ProviderId, SigningAlg, UnixTime};
use crate::engine::Engine;
use crate::engine::cache::keys::seal_context;
use crate::engine::issue::OWN_ID_TOKEN_TTL;
use crate::store::{ChangedTable, Tx, events, providers, signing_keys};

/// Seconds within which every node publishes a key that one has made: who asked the last of them keeps
/// the old key set for a `jwks_max_age` from then on.
const PUBLISHED_EVERYWHERE: i64 = 5;
/// Keys that begin to sign in one tick.
const PROMOTED_AT_ONCE: u32 = 100;

impl Engine {
    /// A key for an algorithm the provider needs for the first time. Of two nodes that make one at
    /// once, one row stays.
    pub(in crate::engine) async fn make_first_key(
        &self,
        ctx: &Context,
        provider: &Provider,
        alg: SigningAlg,
    ) -> Result<(), Fault> {
        let _turn = self.key_turn(ctx, &Owner::from(&provider.id)).await?;
        if self.key_ring(ctx, &provider.id).await?.signing(alg).is_some() {
            // Whoever had the turn before made it.
            return Ok(());
        }
        let made = self.new_signing_key(provider, alg, KeyState::Active, ctx.now).await?;
        let now = ctx.now;
        self.0
            .db
            .write(ctx.deadline, move |tx| {
                let key = outliving(tx, made.clone())?;
                if signing_keys::insert_active_if_none(tx, key)? {
                    tx.changed(ChangedTable::SigningKeys, made.provider.as_str(), now)?;
                }
                Ok(Decision::Allow(()))
            })
            .await?;
        self.0.caches.keys.invalidate(&provider.id);
        Ok(())
    }

    /// The turn to make keys: one pair at a time, and after each the next owner.
    pub(in crate::engine) async fn key_turn(&self, ctx: &Context, owner: &Owner) -> Result<Lane, Fault> {
        match timeout_at(ctx.deadline.into(), self.0.key_making.lane(owner)).await {
            Ok(Ok(lane)) => Ok(lane),
            Ok(Err(_)) | Err(_) => Err(Fault::busy("other keys are being made")),
        }
    }

    /// A fresh key pair for this provider, its private part sealed. Made on a thread of its own: RSA
    /// takes long enough to hold up every other request of a worker.
    pub(in crate::engine) async fn new_signing_key(
        &self,
        provider: &Provider,
        alg: SigningAlg,
        state: KeyState,
        now: UnixTime,
    ) -> Result<StoredSigningKey, Fault> {
        let kid = self.0.random.uuid_v7(now);
        let pair = signer::generate_off_thread(alg, &kid).await?;
        let mut key = stored_key(&self.secrets().signing, &self.0.random, provider, (kid, alg, pair), now)?;
        key.state = state;
        if state == KeyState::Next {
            key.activates_at = now.seconds() + provider.ttls.jwks_max_age + PUBLISHED_EVERYWHERE;
        }
        Ok(key)
    }

    /// Lets every due *next* key sign and retires the one before it. Runs on every node; one wins.
    pub(in crate::engine) async fn promote_due_keys(&self, ctx: &Context) -> Result<(), Fault> {
        let now = ctx.now.seconds();
        let due = self.0.db.read(ctx.deadline, move |conn| signing_keys::due(conn, now, PROMOTED_AT_ONCE)).await?;
        for (provider, alg) in due {
            self.promote(ctx, provider, alg).await?;
        }
        Ok(())
    }

    async fn promote(&self, ctx: &Context, provider: ProviderId, alg: SigningAlg) -> Result<(), Fault> {
        let (owner, now) = (provider.clone(), ctx.now);
        let mut event = self.event_of_key(ctx, &provider, "signing_key.activated", "");
        let promoted = self
            .0
            .db
            .write_background(ctx.deadline, move |tx| {
                let promoted = signing_keys::promote_due(tx, &owner, alg, now.seconds())?;
                if promoted {
                    tx.changed(ChangedTable::SigningKeys, owner.as_str(), now)?;
                    let keys = signing_keys::list(tx, &owner)?;
                    let active = keys.into_iter().find(|key| key.alg == alg && key.state == KeyState::Active);
                    event.target = active.map(|key| key.kid).unwrap_or_default();
                    events::insert(tx, &event)?;
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

/// The longest that anything signed for this provider may live, seconds: access tokens, ID tokens of
/// people, and those of clients themselves.
pub fn longest_lifetime(provider: &Provider) -> i64 {
    provider.ttls.max.max(provider.ttls.id_token).max(OWN_ID_TOKEN_TTL)
}

/// The key with the lifetime that is allowed now, the provider's row held: one that is raised beside
/// this finds the key.
pub(in crate::engine) fn outliving(tx: &mut Tx<'_>, mut key: StoredSigningKey) -> Result<StoredSigningKey, Fault> {
    if let Some(provider) = providers::locked(tx, &key.provider)? {
        key.max_lifetime = key.max_lifetime.max(longest_lifetime(&provider));
    }
    Ok(key)
}

/// A fresh active key pair; for the first run too, where there is no engine yet.
pub fn new_signing_key(
    sealer: &Sealer,
    random: &Random,
    provider: &Provider,
    alg: SigningAlg,
    now: UnixTime,
) -> Result<StoredSigningKey, Fault> {
    let kid = random.uuid_v7(now);
    let pair = signer::generate(alg, &kid)?;
    stored_key(sealer, random, provider, (kid, alg, pair), now)
}

fn stored_key(
    sealer: &Sealer,
    random: &Random,
    provider: &Provider,
    (kid, alg, pair): (String, SigningAlg, NewSigningKey),
    now: UnixTime,
) -> Result<StoredSigningKey, Fault> {
    let sealed_private = sealer.seal(seal_context(&kid), pair.pkcs8.expose_secret(), random)?;
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
        max_lifetime: longest_lifetime(provider),
        kid,
    })
}
