//! The data keys as this process holds them: opened once, replaced as a whole when the change log names
//! a new one. A new key is announced some seconds before it makes anything, so that every node that
//! decides can open what another one makes. Old keys go on opening what they made and are never taken
//! away.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use crate::crypto::{DataKeys, MasterKey, Peppers, RefreshKeys, Sealer};
use crate::domain::key::{DataKeyPurpose, SealedDataKey};
use crate::domain::{Fault, UnixTime};
use crate::engine::Engine;
use crate::engine::changes::POLL_TIMEOUT;
use crate::store::data_keys;

/// The opened data keys, by what they are for.
pub struct Secrets {
    pub peppers: Peppers,
    /// Seals private signing keys.
    pub signing: Sealer,
    /// Seals opaque access tokens.
    pub tokens: Sealer,
    /// Makes and recognises refresh tokens.
    pub refresh: RefreshKeys,
    /// Seals what a browser carries for us: flows, known devices.
    pub browser: Sealer,
}

impl Secrets {
    /// A fault if a purpose has no key.
    pub fn of(keys: &DataKeys) -> Result<Self, Fault> {
        Ok(Self {
            peppers: Peppers::of(keys)?,
            signing: Sealer::of(keys, DataKeyPurpose::SigningKeys)?,
            tokens: Sealer::of(keys, DataKeyPurpose::Tokens)?,
            refresh: RefreshKeys::of(keys)?,
            browser: Sealer::of(keys, DataKeyPurpose::Browser)?,
        })
    }
}

/// What an engine knows of the data keys.
pub(in crate::engine) struct KeyChain {
    pub master: Arc<MasterKey>,
    secrets: RwLock<Arc<Secrets>>,
    /// The same keys, and their rows for the next switch.
    held: Mutex<(DataKeys, Vec<SealedDataKey>)>,
    /// When an announced key becomes the one that makes new things, epoch seconds; `i64::MAX`: none.
    next_switch: AtomicI64,
}

impl KeyChain {
    pub fn new(master: MasterKey, keys: DataKeys) -> Result<Self, Fault> {
        Ok(Self {
            master: Arc::new(master),
            secrets: RwLock::new(Arc::new(Secrets::of(&keys)?)),
            next_switch: AtomicI64::new(keys.next_switch().unwrap_or(i64::MAX)),
            held: Mutex::new((keys, Vec::new())),
        })
    }

    pub fn secrets(&self) -> Arc<Secrets> {
        Arc::clone(&self.secrets.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes these rows as all there are. A fault changes nothing.
    fn replace(&self, rows: Vec<SealedDataKey>, now: UnixTime) -> Result<(), Fault> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = held.0.and(&rows, &self.master, now)?;
        let secrets = Arc::new(Secrets::of(&keys)?);
        self.next_switch.store(keys.next_switch().unwrap_or(i64::MAX), Ordering::Relaxed);
        *self.secrets.write().unwrap_or_else(PoisonError::into_inner) = secrets;
        *held = (keys, rows);
        Ok(())
    }

    fn rows(&self) -> Vec<SealedDataKey> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Engine {
    /// The opened data keys as they are now; hold them for one act, not longer.
    pub(in crate::engine) fn secrets(&self) -> Arc<Secrets> {
        self.0.key_chain.secrets()
    }

    /// Reads the data keys on the connection for polling. One that the master key does not open is a
    /// fault: a node that cannot open what the others make must decide nothing.
    pub(in crate::engine) async fn load_data_keys(&self, now: UnixTime, deadline: Instant) -> Result<(), Fault> {
        let rows = self.0.db.poll(deadline, data_keys::all).await?;
        self.0.key_chain.replace(rows, now)
    }

    /// Lets an announced data key make new things once its time has come.
    pub(in crate::engine) fn switch_data_keys(&self, now: UnixTime) -> Result<(), Fault> {
        let chain = &self.0.key_chain;
        if now.seconds() < chain.next_switch.load(Ordering::Relaxed) {
            return Ok(());
        }
        chain.replace(chain.rows(), now)
    }

    /// Takes a committed change in before the answer leaves; if that fails now, the change log brings it.
    pub(in crate::engine) async fn refresh_data_keys(&self, now: UnixTime) {
        let deadline = crate::domain::clock::deadline_in(POLL_TIMEOUT);
        if let Err(fault) = self.load_data_keys(now, deadline).await {
            log::warn!("the data keys will be read again with the change log: {fault}");
        }
    }
}
