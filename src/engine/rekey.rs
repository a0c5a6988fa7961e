//! Another master key. With the old one at hand the data keys are sealed anew and nothing is lost; without
//! it everything that they protected is given up and made anew. Both work on the database before there is
//! an engine, in one transaction.

use secrecy::SecretString;

use crate::crypto::data_keys::{new_data_key, reseal};
use crate::crypto::{DataKeys, MasterKey, Random};
use crate::domain::event::Event;
use crate::domain::key::{DataKeyPurpose, SealedDataKey};
use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::{Fault, SigningAlg, UnixTime};
use crate::engine::data_keys::Secrets;
use crate::engine::first_run::first_api_key;
use crate::engine::signing_keys::new_signing_key;
use crate::store::reset::{self, Lost};
use crate::store::{ChangedTable, Tx, data_keys, events, providers, signing_keys};

/// Why the data keys are not sealed anew, or not given up.
#[derive(Debug, thiserror::Error)]
pub enum RekeyRefused {
    #[error("the master key does not open the data key {id}: it is not the one of this database")]
    NotOpened { id: String },
    #[error("the master key opens this database, so nothing is lost: to replace the key use `grantd keys rekey`")]
    NothingLost,
    #[error("the database is empty, so there is nothing to lose: start the server instead")]
    Empty,
    #[error("the data keys were changed meanwhile: try again")]
    ChangedMeanwhile,
}

/// Which of the master keys opens every data key, by its place. `None`: none does, or there are no data keys.
pub fn opener(tx: &mut Tx<'_>, masters: &[&MasterKey]) -> Result<Option<usize>, Fault> {
    let rows = data_keys::all(tx)?;
    let opens = |master: &&MasterKey| rows.iter().all(|key| is_opened(master, key));
    Ok(masters.iter().position(|master| !rows.is_empty() && opens(master)))
}

/// How many data keys there are; refused unless this master key opens every one.
pub fn opened_by(tx: &mut Tx<'_>, master: &MasterKey) -> Result<usize, Fault> {
    let rows = data_keys::all(tx)?;
    if rows.is_empty() {
        return Err(Fault::store(RekeyRefused::Empty));
    }
    match rows.iter().find(|key| !is_opened(master, key)) {
        Some(key) => Err(Fault::store(RekeyRefused::NotOpened { id: key.id.clone() })),
        None => Ok(rows.len()),
    }
}

/// Refuses to give up what one of these master keys opens.
pub fn require_lost(tx: &mut Tx<'_>, masters: &[&MasterKey]) -> Result<(), Fault> {
    if data_keys::locked(tx)?.is_empty() {
        return Err(Fault::store(RekeyRefused::Empty));
    }
    match opener(tx, masters)? {
        Some(_) => Err(Fault::store(RekeyRefused::NothingLost)),
        None => Ok(()),
    }
}

/// Seals every data key under `new`; answers how many there are. Each must still be sealed as it was read. Nothing
/// that they made is touched, so running nodes go on; the change log is not told, because
/// they hold the keys opened.
pub fn reseal_all(
    tx: &mut Tx<'_>,
    old: &MasterKey,
    new: &MasterKey,
    random: &Random,
    now: UnixTime,
) -> Result<usize, Fault> {
    let rows = data_keys::locked(tx)?;
    if rows.is_empty() {
        return Err(Fault::store(RekeyRefused::Empty));
    }
    for row in &rows {
        if !is_opened(old, row) {
            return Err(Fault::store(RekeyRefused::NotOpened { id: row.id.clone() }));
        }
        let again = reseal(row, old, new, random)?;
        if !data_keys::reseal(tx, &row.id, &row.sealed, &again.sealed)? {
            return Err(Fault::store(RekeyRefused::ChangedMeanwhile));
        }
    }
    events::insert(tx, &event(random, "master_key.replaced", now))?;
    Ok(rows.len())
}

/// What a reset made and what it ended.
pub struct Reset {
    /// Of the new owner; shown this once.
    pub api_key: SecretString,
    pub lost: Lost,
}

/// Ends all that was sealed or keyed by data keys that nobody can open any more, and makes new data keys,
/// signing keys of `default` and an owner key.
pub fn reset(tx: &mut Tx<'_>, master: &MasterKey, random: &Random, now: UnixTime) -> Result<Reset, Fault> {
    require_lost(tx, &[master])?;
    let mut made = Vec::new();
    for purpose in DataKeyPurpose::ALL {
        let key = new_data_key(purpose, master, random, now)?;
        data_keys::insert(tx, &key)?;
        made.push(key);
    }
    let keys = DataKeys::open(&made, master, now)?;
    let pepper = keys.current(DataKeyPurpose::Pepper).map(|key| key.id.clone()).unwrap_or_default();
    let kept: Vec<&str> = made.iter().map(|key| key.id.as_str()).collect();
    let lost = reset::give_up(tx, &pepper, &kept, now.seconds())?;
    let secrets = Secrets::of(&keys)?;
    if let Some(provider) = providers::by_slug(tx, DEFAULT_SLUG)? {
        // Those of other providers are made when they are needed.
        for alg in [SigningAlg::Es256, SigningAlg::Rs256] {
            let key = new_signing_key(&secrets.signing, random, &provider, alg, now)?;
            signing_keys::insert_active_if_none(tx, key)?;
        }
    }
    let api_key = first_api_key(tx, &secrets, random, now)?;
    events::insert(tx, &event(random, "installation.reset", now))?;
    // A node that still runs with the old data keys stops deciding.
    tx.changed(ChangedTable::DataKeys, "", now)?;
    Ok(Reset { api_key, lost })
}

fn is_opened(master: &MasterKey, key: &SealedDataKey) -> bool {
    master.open(key.purpose, &key.id, &key.sealed).is_ok()
}

fn event(random: &Random, action: &'static str, now: UnixTime) -> Event {
    Event {
        id: random.uuid_v7(now),
        at: now.millis(),
        provider: None,
        actor: "cli".to_owned(),
        action,
        target: "installation".to_owned(),
        request_id: String::new(),
        details: "{}".to_owned(),
    }
}
