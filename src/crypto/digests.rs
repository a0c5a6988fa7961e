//! Keyed digests of random secrets: HMAC-SHA-256 under a pepper, a data key that does not lie in
//! the database in clear. 256 random bits need no slow hash; the pepper keeps a copied database
//! from being searched for imported keys. Older peppers go on verifying what they made.

use std::fmt;

use aws_lc_rs::hmac;
use secrecy::ExposeSecret;

use crate::crypto::data_keys::{DataKey, DataKeys};
use crate::crypto::random::Random;
use crate::domain::Fault;
use crate::domain::key::{DataKeyPurpose, KeyBytes};
use crate::domain::secret::StoredSecret;

/// The pepper that new digests are made with, and the older ones. Each is parsed once.
pub struct Peppers {
    current: Pepper,
    older: Vec<Pepper>,
}

struct Pepper {
    id: String,
    key: hmac::Key,
}

impl Pepper {
    fn new(id: &str, key: &KeyBytes) -> Self {
        Self { id: id.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret()) }
    }

    fn digest(&self, secret: &str) -> [u8; 32] {
        let mut digest = [0; 32];
        // The tag of HMAC-SHA-256 has 32 bytes, so nothing is cut off or left.
        for (to, from) in digest.iter_mut().zip(hmac::sign(&self.key, secret.as_bytes()).as_ref()) {
            *to = *from;
        }
        digest
    }
}

impl Peppers {
    /// `current` makes new digests; `older` only verify. Each is an id and 32 key bytes.
    pub fn new<'a>(current: (&str, &KeyBytes), older: impl IntoIterator<Item = (&'a str, &'a KeyBytes)>) -> Self {
        Self {
            current: Pepper::new(current.0, current.1),
            older: older.into_iter().map(|(id, key)| Pepper::new(id, key)).collect(),
        }
    }

    /// The peppers among the opened data keys. A fault if there is none.
    pub fn of(keys: &DataKeys) -> Result<Self, Fault> {
        let mut peppers = keys.of(DataKeyPurpose::Pepper).map(|DataKey { id, key, .. }| Pepper::new(id, key));
        let current = peppers.next().ok_or_else(|| Fault::crypto("there is no digest pepper among the data keys"))?;
        Ok(Self { current, older: peppers.collect() })
    }

    /// One pepper that lives as long as the process: for what is only kept in memory.
    pub fn ephemeral(random: &Random) -> Self {
        let key = KeyBytes::from(random.bytes::<32>().to_vec());
        Self::new(("process", &key), [])
    }

    /// What is stored in place of `secret`.
    pub fn digest(&self, secret: &str) -> StoredSecret {
        StoredSecret::Digest { pepper_id: self.current.id.clone(), digest: self.current.digest(secret) }
    }

    /// Its bytes alone, for what is only kept in memory.
    pub fn digest_bytes(&self, secret: &str) -> [u8; 32] {
        self.current.digest(secret)
    }

    /// Whether `secret` is the stored one: constant time in the digest, without allocation. An
    /// Argon2 hash or an unknown pepper is never a match.
    pub fn matches(&self, stored: &StoredSecret, secret: &str) -> bool {
        let StoredSecret::Digest { pepper_id, digest } = stored else { return false };
        let pepper = self.iter().find(|pepper| pepper.id == *pepper_id);
        // `hmac::verify` compares by `aws_lc_rs::constant_time`.
        pepper.is_some_and(|pepper| hmac::verify(&pepper.key, secret.as_bytes(), digest).is_ok())
    }

    /// Every digest that `secret` may lie under, newest pepper first: an API key names no row of its
    /// own and is looked up by `(pepper id, digest)`.
    pub fn candidates(&self, secret: &str) -> Vec<(String, [u8; 32])> {
        self.iter().map(|pepper| (pepper.id.clone(), pepper.digest(secret))).collect()
    }

    fn iter(&self) -> impl Iterator<Item = &Pepper> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl fmt::Debug for Peppers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|pepper| &pepper.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> KeyBytes {
        KeyBytes::from(vec![byte; 32])
    }

    #[test]
    fn a_digest_is_hmac_sha_256_as_rfc_4231_prints_it() {
        let printed = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"; // §4.3
        let peppers = Peppers::new(("p1", &KeyBytes::from(b"Jefe".to_vec())), []);
        let StoredSecret::Digest { pepper_id, digest } = peppers.digest("what do ya want for nothing?") else {
            panic!("not a digest")
        };
        assert_eq!(pepper_id, "p1");
        assert_eq!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), printed);
    }

    #[test]
    fn an_older_pepper_verifies_what_it_made_and_new_digests_use_the_current_one() {
        let (old_key, new_key) = (key(1), key(2));
        let before = Peppers::new(("p1", &old_key), []);
        let after = Peppers::new(("p2", &new_key), [("p1", &old_key)]);
        let stored = before.digest("secret");
        assert!(after.matches(&stored, "secret"));
        assert!(!after.matches(&stored, "Secret"));
        assert!(!before.matches(&after.digest("secret"), "secret"));
        let candidates = after.candidates("secret");
        assert_eq!(candidates.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["p2", "p1"]);
        assert!(matches!(stored, StoredSecret::Digest { digest, .. } if digest == candidates[1].1));
    }

    #[test]
    fn an_argon2_hash_never_matches_by_digest() {
        let peppers = Peppers::new(("p1", &key(1)), []);
        assert!(!peppers.matches(&StoredSecret::Argon2("$argon2id$…".into()), "$argon2id$…"));
        assert_eq!(format!("{peppers:?}"), r#"["p1"]"#);
    }
}
