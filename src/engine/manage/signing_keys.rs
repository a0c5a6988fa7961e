//! Signing keys of a provider: listed, rotated on demand.

use crate::domain::key::{KeyState, StoredSigningKey};
use crate::domain::{Context, Decision, Failed, Owner, Refusal, RefusalKind, Role, SigningAlg, UnixTime};
use crate::engine::Engine;
use crate::engine::manage::{Actor, conflict};
use crate::engine::signing_keys::outliving;
use crate::store::{ChangedTable, key_rotation, signing_keys};

/// Live keys of one algorithm that a provider may have: next, active, and retired ones that are published.
const MAX_LIVE_KEYS: usize = 8;
/// An emergency must not wait for retired keys to end: rotation by schedule alone may have made more than eight. It
/// is bounded all the same, because every live key stands in the key set.
const MAX_LIVE_KEYS_IN_EMERGENCY: usize = 64;

impl Engine {
    /// Every key, retired ones included, ordered by `kid` (which is their order in time).
    pub async fn list_signing_keys(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
    ) -> Result<Vec<StoredSigningKey>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        Ok(self.0.db.read(ctx.deadline, move |conn| signing_keys::list(conn, &provider.id)).await?)
    }

    /// Makes a *next* key for one algorithm, or for each that has an active key. It is published at
    /// once and signs one `jwks_max_age` later. One that waits already is a conflict.
    pub async fn rotate_signing_keys(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        alg: Option<SigningAlg>,
    ) -> Result<Vec<StoredSigningKey>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let owner = provider.id.clone();
        let existing = self.0.db.read(ctx.deadline, move |conn| signing_keys::list(conn, &owner)).await?;
        let in_state = |state| existing.iter().filter(move |key| key.state == state).map(|key| key.alg);
        let wanted = in_state(KeyState::Active).filter(|active| alg.is_none_or(|wanted| wanted == *active));
        let algs: Vec<SigningAlg> = wanted.collect();
        if algs.is_empty() {
            return Err(none_active().into());
        }
        if let Some(refusal) = algs.iter().find_map(|alg| too_many_live(&existing, *alg, ctx.now, MAX_LIVE_KEYS)) {
            return Err(refusal.into());
        }
        let waits = |alg: &SigningAlg| in_state(KeyState::Next).any(|next| next == *alg);
        if algs.iter().all(waits) {
            return Err(next_waits().into());
        }
        let mut made = Vec::new();
        for alg in algs {
            // One turn a key, so that other owners come in between.
            let _turn = self.key_turn(ctx, &Owner::from(&provider.id)).await?;
            made.push(self.new_signing_key(&provider, alg, KeyState::Next, ctx.now).await?);
        }
        let event = self.event(ctx, actor, Some(&provider.id), "signing_keys.rotated", &provider.slug, &[]);
        let (rows, owner, now) = (made, provider.id.clone(), ctx.now);
        let inserted = self
            .commit(ctx, event, move |tx| {
                let mut inserted = Vec::new();
                for row in &rows {
                    // This holds the provider's row, so the count stays right until the commit.
                    let key = outliving(tx, row.clone())?;
                    if let Some(refusal) = too_many_live(&signing_keys::list(tx, &owner)?, key.alg, now, MAX_LIVE_KEYS)
                    {
                        return Ok(Decision::Refuse(refusal));
                    }
                    if signing_keys::insert_next(tx, key.clone())? {
                        inserted.push(key);
                    }
                }
                if inserted.is_empty() {
                    return Ok(Decision::Refuse(next_waits()));
                }
                tx.changed(ChangedTable::SigningKeys, owner.as_str(), now)?;
                Ok(Decision::Allow(inserted))
            })
            .await?;
        self.0.caches.keys.invalidate(&provider.id);
        Ok(inserted)
    }
}

impl Engine {
    /// For a key that somebody else may hold: a fresh key of one algorithm, or of each that has an active
    /// key, signs at once. The one before it is retired, one that waits is thrown away. Who cached the key
    /// set meets a `kid` that is not in it, and asks again.
    pub async fn replace_signing_keys(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        alg: Option<SigningAlg>,
    ) -> Result<Vec<StoredSigningKey>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let owner = provider.id.clone();
        let existing = self.0.db.read(ctx.deadline, move |conn| signing_keys::list(conn, &owner)).await?;
        let active = existing.iter().filter(|key| key.state == KeyState::Active).map(|key| key.alg);
        let algs: Vec<SigningAlg> = active.filter(|active| alg.is_none_or(|wanted| wanted == *active)).collect();
        if algs.is_empty() {
            return Err(none_active().into());
        }
        if let Some(refusal) =
            algs.iter().find_map(|alg| too_many_live(&existing, *alg, ctx.now, MAX_LIVE_KEYS_IN_EMERGENCY))
        {
            return Err(refusal.into());
        }
        let mut made = Vec::new();
        for alg in algs {
            let _turn = self.key_turn(ctx, &Owner::from(&provider.id)).await?;
            made.push(self.new_signing_key(&provider, alg, KeyState::Active, ctx.now).await?);
        }
        let event = self.event(ctx, actor, Some(&provider.id), "signing_keys.replaced", &provider.slug, &[]);
        let (rows, owner, now) = (made.clone(), provider.id.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            let mut replaced = false;
            for row in &rows {
                let key = outliving(tx, row.clone())?;
                if let Some(refusal) =
                    too_many_live(&signing_keys::list(tx, &owner)?, key.alg, now, MAX_LIVE_KEYS_IN_EMERGENCY)
                {
                    return Ok(Decision::Refuse(refusal));
                }
                replaced |= key_rotation::replace_active(tx, key, now.seconds())?;
            }
            if !replaced {
                return Ok(Decision::Refuse(none_active()));
            }
            tx.changed(ChangedTable::SigningKeys, owner.as_str(), now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.0.caches.keys.invalidate(&provider.id);
        Ok(made)
    }
}

/// A provider that has `most` live keys of an algorithm gets no other until a retired one ends:
/// all of them stand in its key set.
fn too_many_live(keys: &[StoredSigningKey], alg: SigningAlg, now: UnixTime, most: usize) -> Option<Refusal> {
    let end = |key: &StoredSigningKey| key.retired_at.map(|at| at.saturating_add(key.max_lifetime));
    let live = || keys.iter().filter(|key| key.alg == alg && end(key).is_none_or(|end| end > now.seconds()));
    if live().count() < most {
        return None;
    }
    let wait = live().filter_map(end).min().map_or(60, |end| end - now.seconds());
    let kind = RefusalKind::RateLimited { retry_after: u32::try_from(wait).unwrap_or(u32::MAX) };
    let detail =
        "This provider has too many live keys of this algorithm. Wait until a retired one is no longer published.";
    Some(Refusal::new(kind, detail))
}

fn none_active() -> Refusal {
    conflict("No key of this algorithm is active.")
}

fn next_waits() -> Refusal {
    conflict("The next key waits already for its turn.")
}
