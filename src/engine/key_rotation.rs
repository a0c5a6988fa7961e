//! Signing keys are rotated by schedule: when `key_rotation` is nearly over, the next key is made, a day
//! and one `jwks_max_age` before it signs. Any node may do it; a guarded claim lets one. Few at a time,
//! on a task of its own, so that ten thousand providers made on one day wear nobody out.

use std::sync::Arc;

use crate::domain::clock::deadline_in;
use crate::domain::event::Event;
use crate::domain::key::{KeyState, StoredSigningKey};
use crate::domain::{Context, Fault, Owner, Provider, ProviderId, UnixTime};
use crate::engine::Engine;
use crate::engine::signing_keys::outliving;
use crate::engine::tick::{BACKGROUND_TIMEOUT, background_context};
use crate::store::key_rotation::{self, DueKey, MADE_BEFORE};
use crate::store::{ChangedTable, Tx, events, providers, signing_keys};

/// Keys that are made in one round.
const MADE_AT_ONCE: u32 = 4;
const PLANNED_AT_ONCE: u32 = 500;
/// Seconds for which a due key is claimed: longer than making its successor can take.
const LEASE: i64 = 120;
/// What is late by this many seconds is overdue.
pub const LATE: i64 = 3600;
/// Most overdue keys that are counted.
const OVERDUE_MAX: u32 = 1000;

impl Engine {
    /// Begins a round if something is due and none is under way; waits for nothing but the question.
    pub(in crate::engine) async fn begin_key_rotation(&self, now: UnixTime) -> Result<(), Fault> {
        let Ok(turn) = Arc::clone(&self.0.key_rotation).try_acquire_owned() else { return Ok(()) };
        let any = move |conn: &mut _| {
            Ok(key_rotation::any_unplanned(conn)? || !key_rotation::due(conn, now.seconds(), 1)?.is_empty())
        };
        if !self.0.db.read(deadline_in(BACKGROUND_TIMEOUT), any).await? {
            return Ok(());
        }
        let engine = self.clone();
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(fault) = engine.rotate_due_keys(now).await {
                log::warn!("signing keys could not be rotated: {fault}");
            }
        });
        Ok(())
    }

    /// One round: plans keys that have no date yet, then makes the successors of at most four that are
    /// due at `now`; answers how many were made.
    pub async fn rotate_due_keys(&self, now: UnixTime) -> Result<usize, Fault> {
        let deadline = || deadline_in(BACKGROUND_TIMEOUT);
        if self.0.db.read(deadline(), key_rotation::any_unplanned).await? {
            let plan = |tx: &mut Tx<'_>| key_rotation::plan(tx, PLANNED_AT_ONCE);
            self.0.db.write_background(deadline(), plan).await?;
        }
        let read = move |conn: &mut _| key_rotation::due(conn, now.seconds(), MADE_AT_ONCE);
        let mut made = 0;
        for due in self.0.db.read(deadline(), read).await? {
            made += usize::from(self.make_successor(&background_context(now), due).await?);
        }
        Ok(made)
    }

    async fn make_successor(&self, ctx: &Context, due: DueKey) -> Result<bool, Fault> {
        let now = ctx.now.seconds();
        let row = due.clone();
        let claim = move |tx: &mut Tx<'_>| key_rotation::claim(tx, &row, now, LEASE);
        if !self.0.db.write_background(ctx.deadline, claim).await? {
            return Ok(false);
        }
        let owner = due.provider.clone();
        let read = move |conn: &mut _| Ok((providers::by_id(conn, &owner)?, signing_keys::list(conn, &owner)?));
        let (provider, keys) = self.0.db.read(ctx.deadline, read).await?;
        let waits = keys.iter().any(|key| key.alg == due.alg && key.state == KeyState::Next);
        let provider = provider.filter(|provider| provider.deleted_at.is_none() && !waits);
        let Some(provider) = provider else {
            let settle = move |tx: &mut Tx<'_>| key_rotation::settle(tx, &due, now, LEASE);
            return self.0.db.write_background(ctx.deadline, settle).await.map(|_settled| false);
        };
        let signs_until = due.activates_at.saturating_add(provider.ttls.key_rotation);
        if now < signs_until - provider.ttls.jwks_max_age - MADE_BEFORE {
            // The settings changed while it was planned.
            let again = move |tx: &mut Tx<'_>| key_rotation::plan_again(tx, &due, now, LEASE);
            return self.0.db.write_background(ctx.deadline, again).await.map(|_planned| false);
        }
        let turn = self.key_turn(ctx, &Owner::from(&provider.id)).await?;
        let mut key = self.new_signing_key(&provider, due.alg, KeyState::Next, ctx.now).await?;
        drop(turn);
        key.activates_at = key.activates_at.max(signs_until);
        self.keep_successor(&background_context(ctx.now), &provider, due, key).await
    }

    async fn keep_successor(
        &self,
        ctx: &Context,
        provider: &Provider,
        due: DueKey,
        key: StoredSigningKey,
    ) -> Result<bool, Fault> {
        let (now, owner, alg) = (ctx.now, provider.id.clone(), due.alg);
        let event = self.event_of_key(ctx, &provider.id, "signing_key.created", &key.kid);
        let made = self
            .0
            .db
            .write_background(ctx.deadline, move |tx| {
                let key = outliving(tx, key.clone())?;
                let inserted = signing_keys::insert_next(tx, key)?;
                key_rotation::settle(tx, &due, now.seconds(), LEASE)?;
                if inserted {
                    events::insert(tx, &event)?;
                    tx.changed(ChangedTable::SigningKeys, owner.as_str(), now)?;
                }
                Ok(inserted)
            })
            .await?;
        if made {
            self.0.caches.keys.invalidate(&provider.id);
            log::info!("provider {}: the next {} key is made and published", provider.slug, alg.name());
        }
        Ok(made)
    }

    /// What nobody asked for: a step of the life of a signing key.
    pub(in crate::engine) fn event_of_key(
        &self,
        ctx: &Context,
        provider: &ProviderId,
        action: &'static str,
        kid: &str,
    ) -> Event {
        Event {
            id: self.0.random.uuid_v7(ctx.now),
            at: ctx.now.millis(),
            provider: Some(provider.clone()),
            actor: "system".to_owned(),
            action,
            target: kid.to_owned(),
            request_id: String::new(),
            details: "{}".to_owned(),
        }
    }

    /// Counts, for `/metrics`, the keys that should have a successor or should sign for an hour.
    pub(in crate::engine) async fn count_overdue_keys(&self, now: UnixTime) -> Result<(), Fault> {
        let read = move |conn: &mut _| key_rotation::overdue(conn, now.seconds(), LATE, OVERDUE_MAX);
        let overdue = self.0.db.read(deadline_in(BACKGROUND_TIMEOUT), read).await?;
        self.0.signatures.set_overdue(overdue.len());
        Ok(())
    }

    /// The keys that should have a successor, or should sign, for an hour: slug, kid, algorithm; at most
    /// `limit` and a few more.
    pub async fn overdue_keys(&self, ctx: &Context, limit: u32) -> Result<Vec<(String, String, &'static str)>, Fault> {
        let now = ctx.now.seconds();
        let read = move |conn: &mut _| {
            let keys = key_rotation::overdue(conn, now, LATE, limit)?;
            let owners: Vec<_> = keys.iter().map(|key| &key.provider).collect();
            let slugs = providers::slugs(conn, &owners)?;
            let told =
                |key: &DueKey| (slugs.get(&key.provider).cloned().unwrap_or_default(), key.kid.clone(), key.alg.name());
            Ok(keys.iter().map(told).collect())
        };
        self.0.db.read(ctx.deadline, read).await
    }
}
