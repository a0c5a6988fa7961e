//! The data keys of the installation: listed, and a new one of a purpose made. They are every provider's,
//! so only an owner that is bound to none may.

use std::sync::Arc;

use crate::crypto::MasterKey;
use crate::crypto::data_keys::new_data_key;
use crate::domain::key::{DataKeyPurpose, SealedDataKey};
use crate::domain::{Context, Decision, Failed, Refusal, Role};
use crate::engine::Engine;
use crate::engine::manage::{Actor, conflict};
use crate::store::{ChangedTable, data_keys};

/// A new data key makes nothing for this many seconds: every node that decides has read the change log by
/// then, and can open what the others make.
pub const ANNOUNCED_FOR: i64 = 10;

/// A data key without its bytes.
#[derive(Clone, Debug)]
pub struct ShownDataKey {
    pub id: String,
    pub purpose: DataKeyPurpose,
    pub state: DataKeyState,
    /// Epoch seconds.
    pub created_at: i64,
    pub active_at: i64,
}

/// What a data key is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKeyState {
    /// Opens what others may make already, makes nothing yet.
    Announced,
    /// Makes what is new.
    Active,
    /// Opens what it made.
    Older,
}

impl DataKeyState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Active => "active",
            Self::Older => "older",
        }
    }
}

impl Engine {
    /// All of them, by purpose and age.
    pub async fn list_data_keys(&self, ctx: &Context, actor: &Actor) -> Result<Vec<ShownDataKey>, Failed> {
        require_owner_of_all(actor)?;
        let rows = self.0.db.read(ctx.deadline, data_keys::all).await?;
        Ok(shown(&rows, ctx.now.seconds()))
    }

    /// Makes the data key that new things of this purpose are made with, ten seconds from now. What older
    /// ones made goes on to work.
    pub async fn rotate_data_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        purpose: DataKeyPurpose,
    ) -> Result<ShownDataKey, Failed> {
        require_owner_of_all(actor)?;
        let master = Arc::clone(&self.0.key_chain.master);
        let mut made = new_data_key(purpose, &master, &self.0.random, ctx.now)?;
        made.active_at = ctx.now.seconds() + ANNOUNCED_FOR;
        let event = self.event(ctx, actor, None, "data_key.created", &made.id, &[purpose.name()]);
        let (row, now) = (made.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            let existing = data_keys::locked(tx)?;
            // A key sealed under a master key that is not the installation's any more would keep the next
            // start from opening the database.
            if !existing.iter().all(|key| opens(&master, key)) {
                return Ok(Decision::Refuse(another_master_key()));
            }
            if existing.iter().any(|key| key.purpose == purpose && key.active_at > now.seconds()) {
                return Ok(Decision::Refuse(conflict("A new data key of this purpose is announced already.")));
            }
            data_keys::insert(tx, &row)?;
            tx.changed(ChangedTable::DataKeys, &row.id, now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.refresh_data_keys(ctx.now).await;
        let SealedDataKey { id, purpose, sealed: _, created_at, active_at } = made;
        Ok(ShownDataKey { id, purpose, state: DataKeyState::Announced, created_at, active_at })
    }
}

fn opens(master: &MasterKey, key: &SealedDataKey) -> bool {
    master.open(key.purpose, &key.id, &key.sealed).is_ok()
}

fn shown(rows: &[SealedDataKey], now: i64) -> Vec<ShownDataKey> {
    let active = |purpose: DataKeyPurpose| {
        let ready = rows.iter().filter(move |key| key.purpose == purpose && key.active_at <= now);
        ready.max_by_key(|key| (key.active_at, key.id.clone())).map(|key| key.id.clone())
    };
    let state = |key: &SealedDataKey| match active(key.purpose) {
        _ if key.active_at > now => DataKeyState::Announced,
        Some(id) if id == key.id => DataKeyState::Active,
        _ => DataKeyState::Older,
    };
    let show = |key: &SealedDataKey| ShownDataKey {
        id: key.id.clone(),
        purpose: key.purpose,
        state: state(key),
        created_at: key.created_at,
        active_at: key.active_at,
    };
    let mut keys: Vec<ShownDataKey> = rows.iter().map(show).collect();
    keys.sort_by(|a, b| (a.purpose.name(), a.active_at, &a.id).cmp(&(b.purpose.name(), b.active_at, &b.id)));
    keys
}

fn require_owner_of_all(actor: &Actor) -> Result<(), Refusal> {
    actor.require(Role::Owner)?;
    actor.require_unbound()
}

fn another_master_key() -> Refusal {
    conflict("This node runs with an older master key: restart it with the one of the installation.")
}
