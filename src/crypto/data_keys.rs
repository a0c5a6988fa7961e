//! The master key and the data keys it seals. A data key is 32 random bytes for one purpose; its id
//! is part of what it made, so a new one can be added at any time and the older ones still open
//! their own. The master key does nothing but seal them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};

use crate::crypto::random::Random;
use crate::crypto::seal::AeadKey;
use crate::domain::key::{DataKeyPurpose, KeyBytes, SealedDataKey};
use crate::domain::{Fault, UnixTime};

const KEY_BYTES: usize = 32;

/// Why a data key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataKeyError {
    #[error(
        "the master key does not open the {purpose} data key {id}: this is another master key, or the row is damaged"
    )]
    NotOpened { purpose: &'static str, id: String },
    #[error("a master key is 32 bytes in base64")]
    MalformedMasterKey,
}

/// 32 bytes that seal the data keys (`GRANTD_MASTER_KEY`).
pub struct MasterKey {
    bytes: KeyBytes,
    key: AeadKey,
}

impl MasterKey {
    /// Reads 32 bytes in standard base64; blanks and line ends around them are ignored, since the
    /// value usually comes from a file.
    pub fn from_base64(text: &SecretString) -> Result<Self, Fault> {
        let bytes = STANDARD.decode(text.expose_secret().trim()).map(KeyBytes::from);
        match bytes {
            Ok(bytes) if bytes.expose_secret().len() == KEY_BYTES => Self::of(bytes),
            _ => Err(Fault::crypto(DataKeyError::MalformedMasterKey)),
        }
    }

    pub fn generate(random: &Random) -> Result<Self, Fault> {
        Self::of(new_key_bytes(random))
    }

    fn of(bytes: KeyBytes) -> Result<Self, Fault> {
        Ok(Self { key: AeadKey::new(&bytes)?, bytes })
    }

    pub fn to_base64(&self) -> SecretString {
        SecretString::from(STANDARD.encode(self.bytes.expose_secret()))
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.bytes.expose_secret() == other.bytes.expose_secret()
    }

    /// One byte over and over: a placeholder that somebody forgot, no key.
    pub fn is_degenerate(&self) -> bool {
        let bytes: &[u8] = self.bytes.expose_secret();
        bytes.iter().all(|byte| Some(byte) == bytes.first())
    }

    /// Seals the bytes of a data key, bound to its purpose and id.
    pub fn seal(&self, purpose: DataKeyPurpose, id: &str, key: &KeyBytes, random: &Random) -> Result<Vec<u8>, Fault> {
        self.key.seal(Vec::new(), &bound_to(purpose, id), key.expose_secret(), random)
    }

    /// Opens a sealed data key; the fault names it.
    pub fn open(&self, purpose: DataKeyPurpose, id: &str, sealed: &[u8]) -> Result<KeyBytes, Fault> {
        let opened = self.key.open(&bound_to(purpose, id), sealed).map(KeyBytes::from);
        opened
            .filter(|key| key.expose_secret().len() == KEY_BYTES)
            .ok_or_else(|| Fault::crypto(DataKeyError::NotOpened { purpose: purpose.name(), id: id.to_owned() }))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey")
    }
}

/// Makes a data key that makes new things of its purpose from `now` on.
pub fn new_data_key(
    purpose: DataKeyPurpose,
    master: &MasterKey,
    random: &Random,
    now: UnixTime,
) -> Result<SealedDataKey, Fault> {
    let letter = match purpose {
        DataKeyPurpose::SigningKeys => 's',
        DataKeyPurpose::Pepper => 'p',
        DataKeyPurpose::Tokens => 't',
        DataKeyPurpose::Refresh => 'r',
        DataKeyPurpose::Browser => 'b',
    };
    let id = format!("{letter}{}", random.base62(6));
    let sealed = master.seal(purpose, &id, &new_key_bytes(random), random)?;
    Ok(SealedDataKey { id, purpose, sealed, created_at: now.seconds(), active_at: now.seconds() })
}

/// Seals the same data key under another master key (`keys rekey`).
pub fn reseal(key: &SealedDataKey, old: &MasterKey, new: &MasterKey, random: &Random) -> Result<SealedDataKey, Fault> {
    let bytes = old.open(key.purpose, &key.id, &key.sealed)?;
    let sealed = new.seal(key.purpose, &key.id, &bytes, random)?;
    Ok(SealedDataKey { sealed, ..key.clone() })
}

/// One opened data key.
#[derive(Debug)]
pub struct DataKey {
    pub id: String,
    pub purpose: DataKeyPurpose,
    /// From when on it makes new things, epoch seconds.
    pub active_at: i64,
    pub key: KeyBytes,
}

/// The opened data keys of the installation.
#[derive(Debug)]
pub struct DataKeys {
    /// Newest first, those that are only announced last; ids decide between keys of one second, so
    /// that all nodes agree.
    newest_first: Vec<DataKey>,
    next_switch: Option<i64>,
}

impl DataKeys {
    /// Opens all of them, as they are used at `now`. The first one that the master key does not open is
    /// named in the fault.
    pub fn open(sealed: &[SealedDataKey], master: &MasterKey, now: UnixTime) -> Result<Self, Fault> {
        let none = Self { newest_first: Vec::new(), next_switch: None };
        none.and(sealed, master, now)
    }

    /// The same for a node that holds some of them opened already: only the others need the master key,
    /// so a node outlives a change of the master key until there is a new data key.
    pub fn and(&self, sealed: &[SealedDataKey], master: &MasterKey, now: UnixTime) -> Result<Self, Fault> {
        let mut newest_first = Vec::with_capacity(sealed.len());
        for SealedDataKey { id, purpose, sealed, created_at: _, active_at } in sealed {
            let key = match self.by_id(*purpose, id) {
                Some(known) => known.key.clone(),
                None => master.open(*purpose, id, sealed)?,
            };
            newest_first.push(DataKey { id: id.clone(), purpose: *purpose, active_at: *active_at, key });
        }
        Ok(Self { newest_first, next_switch: None }.at(now))
    }

    /// Those that make new things at `now` in front.
    fn at(mut self, now: UnixTime) -> Self {
        let now = now.seconds();
        let rank = |key: &DataKey| (key.active_at <= now, key.active_at);
        self.newest_first.sort_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| b.id.cmp(&a.id)));
        self.next_switch = self.newest_first.iter().map(|key| key.active_at).filter(|at| *at > now).min();
        self
    }

    /// When the first announced key becomes the one that makes new things, epoch seconds; `None`: none
    /// is announced.
    pub fn next_switch(&self) -> Option<i64> {
        self.next_switch
    }

    /// The keys of one purpose, newest first.
    pub fn of(&self, purpose: DataKeyPurpose) -> impl Iterator<Item = &DataKey> {
        self.newest_first.iter().filter(move |key| key.purpose == purpose)
    }

    /// The key that new things of this purpose are made with.
    pub fn current(&self, purpose: DataKeyPurpose) -> Option<&DataKey> {
        self.of(purpose).next()
    }

    pub fn by_id(&self, purpose: DataKeyPurpose, id: &str) -> Option<&DataKey> {
        self.of(purpose).find(|key| key.id == id)
    }
}

fn new_key_bytes(random: &Random) -> KeyBytes {
    KeyBytes::from(random.bytes::<KEY_BYTES>().to_vec())
}

/// The associated data: a sealed key moved to another row or purpose does not open.
fn bound_to(purpose: DataKeyPurpose, id: &str) -> Vec<u8> {
    format!("grantd data key\n{}\n{id}", purpose.name()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_700_000_000);

    #[test]
    fn the_newest_key_of_a_purpose_is_current_and_the_others_are_found_by_id() {
        let random = Random::seeded(1);
        let master = MasterKey::generate(&random).unwrap();
        let old = new_data_key(DataKeyPurpose::Pepper, &master, &random, NOW).unwrap();
        let new = new_data_key(DataKeyPurpose::Pepper, &master, &random, NOW.plus_seconds(1)).unwrap();
        let token = new_data_key(DataKeyPurpose::Tokens, &master, &random, NOW.plus_seconds(2)).unwrap();
        assert!(old.id.starts_with('p') && old.id.len() == 7);
        let keys = DataKeys::open(&[old.clone(), token, new.clone()], &master, NOW.plus_seconds(2)).unwrap();
        assert_eq!(keys.current(DataKeyPurpose::Pepper).unwrap().id, new.id);
        assert_eq!(keys.by_id(DataKeyPurpose::Pepper, &old.id).unwrap().id, old.id);
        assert!(keys.by_id(DataKeyPurpose::Tokens, &old.id).is_none());
        assert!(keys.current(DataKeyPurpose::SigningKeys).is_none());
    }

    #[test]
    fn an_announced_key_opens_at_once_and_makes_nothing_before_its_time() {
        let random = Random::seeded(6);
        let (master, other) = (MasterKey::generate(&random).unwrap(), MasterKey::generate(&random).unwrap());
        let old = new_data_key(DataKeyPurpose::Tokens, &master, &random, NOW).unwrap();
        let made = new_data_key(DataKeyPurpose::Tokens, &master, &random, NOW.plus_seconds(5)).unwrap();
        let new = SealedDataKey { active_at: NOW.seconds() + 15, ..made };
        let current = |keys: &DataKeys| keys.current(DataKeyPurpose::Tokens).unwrap().id.clone();
        let keys = DataKeys::open(std::slice::from_ref(&old), &master, NOW).unwrap();
        assert_eq!(keys.next_switch(), None);
        let both = [old.clone(), new.clone()];
        assert!(keys.and(&both, &other, NOW).is_err(), "the new one needs the master key that sealed it");
        let keys = keys.and(&both, &master, NOW.plus_seconds(5)).unwrap();
        assert_eq!((current(&keys), keys.next_switch()), (old.id.clone(), Some(new.active_at)));
        assert!(keys.by_id(DataKeyPurpose::Tokens, &new.id).is_some());
        let keys = keys.and(&both, &other, NOW.plus_seconds(15)).unwrap();
        assert_eq!((current(&keys), keys.next_switch()), (new.id.clone(), None));
        assert!(keys.by_id(DataKeyPurpose::Tokens, &old.id).is_some());
    }

    #[test]
    fn another_master_key_is_refused_by_the_name_of_the_data_key() {
        let random = Random::seeded(2);
        let (master, other) = (MasterKey::generate(&random).unwrap(), MasterKey::generate(&random).unwrap());
        let sealed = new_data_key(DataKeyPurpose::SigningKeys, &master, &random, NOW).unwrap();
        let fault = DataKeys::open(std::slice::from_ref(&sealed), &other, NOW).unwrap_err().to_string();
        assert!(fault.contains(&sealed.id) && fault.contains("signing data key"), "{fault}");
    }

    #[test]
    fn a_sealed_key_opens_only_under_its_own_id_and_purpose() {
        let random = Random::seeded(3);
        let master = MasterKey::generate(&random).unwrap();
        let sealed = new_data_key(DataKeyPurpose::Tokens, &master, &random, NOW).unwrap();
        assert!(master.open(DataKeyPurpose::Tokens, &sealed.id, &sealed.sealed).is_ok());
        assert!(master.open(DataKeyPurpose::Pepper, &sealed.id, &sealed.sealed).is_err());
        assert!(master.open(DataKeyPurpose::Tokens, "tother1", &sealed.sealed).is_err());
        assert!(master.open(DataKeyPurpose::Tokens, &sealed.id, &sealed.sealed[1..]).is_err());
        assert!(master.open(DataKeyPurpose::Tokens, &sealed.id, &[]).is_err());
    }

    #[test]
    fn a_new_master_key_reseals_the_same_data_key() {
        let random = Random::seeded(4);
        let (old, new) = (MasterKey::generate(&random).unwrap(), MasterKey::generate(&random).unwrap());
        let sealed = new_data_key(DataKeyPurpose::Tokens, &old, &random, NOW).unwrap();
        let again = reseal(&sealed, &old, &new, &random).unwrap();
        let before = old.open(sealed.purpose, &sealed.id, &sealed.sealed).unwrap();
        let after = new.open(again.purpose, &again.id, &again.sealed).unwrap();
        assert_eq!(before.expose_secret(), after.expose_secret());
    }

    #[test]
    fn a_master_key_reads_back_from_its_text_and_nothing_else_does() {
        let master = MasterKey::generate(&Random::seeded(5)).unwrap();
        let text = master.to_base64();
        let from_file = SecretString::from(format!("{}\n", text.expose_secret()));
        assert_eq!(MasterKey::from_base64(&from_file).unwrap().to_base64().expose_secret(), text.expose_secret());
        for bad in ["", "AAAA", "not base64 at all", &"A".repeat(44)] {
            assert!(MasterKey::from_base64(&SecretString::from(bad)).is_err(), "{bad}");
        }
        assert_eq!(format!("{master:?}"), "MasterKey");
        let read = MasterKey::from_base64(&from_file).unwrap();
        assert!(read.is_same(&master) && !master.is_same(&MasterKey::generate(&Random::seeded(6)).unwrap()));
        let zeros = MasterKey::from_base64(&SecretString::from(format!("{}=", "A".repeat(43)))).unwrap();
        assert!(zeros.is_degenerate() && !master.is_degenerate());
    }
}
