//! Sealing: AES-256-GCM-SIV (RFC 8452) under the data keys of one purpose. The SIV construction
//! bears random 96-bit nonces at a token server's rates, and a repeated nonce would only show that
//! two plaintexts were equal.
//!
//! ```text
//! length of key id (1) | key id | nonce (12) | ciphertext | tag (16)
//! ```

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use secrecy::ExposeSecret;

use crate::crypto::data_keys::{DataKey, DataKeys};
use crate::crypto::random::Random;
use crate::domain::Fault;
use crate::domain::key::{DataKeyPurpose, KeyBytes};

const TAG_LEN: usize = 16;

/// One parsed AES-256-GCM-SIV key.
pub struct AeadKey(LessSafeKey);

impl AeadKey {
    /// `key` has 32 bytes, else a fault.
    pub fn new(key: &KeyBytes) -> Result<Self, Fault> {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key.expose_secret())
            .map_err(|_| Fault::crypto("an AES-256-GCM-SIV key has 32 bytes"))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Appends nonce, ciphertext and tag to `out`.
    pub fn seal(&self, mut out: Vec<u8>, aad: &[u8], plain: &[u8], random: &Random) -> Result<Vec<u8>, Fault> {
        let nonce = random.bytes::<NONCE_LEN>();
        out.reserve_exact(NONCE_LEN + plain.len() + TAG_LEN);
        out.extend_from_slice(&nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        let failed = |_| Fault::crypto("sealing failed");
        let body = out.get_mut(start..).unwrap_or_default();
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), body).map_err(failed)?;
        out.extend_from_slice(tag.as_ref());
        Ok(out)
    }

    /// Opens `nonce | ciphertext | tag`; `None` for anything that this key did not seal with `aad`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let (ciphertext, tag) = rest.split_at_checked(rest.len().checked_sub(TAG_LEN)?)?;
        let mut plain = vec![0; ciphertext.len()];
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, &mut plain).ok()?;
        Some(plain)
    }
}

/// Seals under the newest data key of a purpose and opens under each of them.
pub struct Sealer {
    /// Newest first, never empty.
    keys: Vec<(String, AeadKey)>,
}

impl Sealer {
    /// Parses the keys of `purpose` once. A fault if there is none.
    pub fn of(keys: &DataKeys, purpose: DataKeyPurpose) -> Result<Self, Fault> {
        let parse = |DataKey { id, key, .. }: &DataKey| Ok((id.clone(), AeadKey::new(key)?));
        let keys: Vec<_> = keys.of(purpose).map(parse).collect::<Result<_, Fault>>()?;
        if keys.is_empty() {
            return Err(Fault::crypto(format!("there is no {} key among the data keys", purpose.name())));
        }
        Ok(Self { keys })
    }

    /// The id of the key that seals, for rows that name it.
    pub fn current_key_id(&self) -> &str {
        self.keys.first().map_or("", |(id, _)| id)
    }

    /// Seals `plain`; opening asks for the same `aad`. A fault if the primitive fails.
    pub fn seal(&self, aad: &[u8], plain: &[u8], random: &Random) -> Result<Vec<u8>, Fault> {
        let (id, key) = self.keys.first().ok_or_else(|| Fault::crypto("a sealer has no key"))?;
        let id_len = u8::try_from(id.len()).map_err(|_| Fault::crypto("a data key id is longer than 255 bytes"))?;
        let mut out = Vec::with_capacity(1 + id.len() + NONCE_LEN + plain.len() + TAG_LEN);
        out.push(id_len);
        out.extend_from_slice(id.as_bytes());
        key.seal(out, aad, plain, random)
    }

    /// `None` for anything that none of the keys sealed with this `aad`.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (id_len, rest) = sealed.split_first()?;
        let (id, body) = rest.split_at_checked(usize::from(*id_len))?;
        let (_, key) = self.keys.iter().find(|(own, _)| own.as_bytes() == id)?;
        key.open(aad, body)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::crypto::data_keys::{MasterKey, new_data_key};
    use crate::domain::UnixTime;

    /// A sealer over `count` fresh keys, for the tests of other files too.
    pub fn sealer(count: i64, random: &Random) -> Sealer {
        let master = MasterKey::generate(random).unwrap();
        let at = UnixTime::from_seconds;
        let sealed: Vec<_> =
            (0..count).map(|n| new_data_key(DataKeyPurpose::Tokens, &master, random, at(n)).unwrap()).collect();
        Sealer::of(&DataKeys::open(&sealed, &master, at(count)).unwrap(), DataKeyPurpose::Tokens).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_the_same_associated_data_only() {
        let random = Random::seeded(1);
        let sealer = sealer(1, &random);
        for plain in [&b""[..], b"x", &[7; 1000]] {
            let sealed = sealer.seal(b"a", plain, &random).unwrap();
            assert_eq!(sealer.open(b"a", &sealed).as_deref(), Some(plain));
            assert_eq!(sealer.open(b"b", &sealed), None);
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused() {
        let random = Random::seeded(2);
        let sealer = sealer(2, &random);
        let sealed = sealer.seal(b"a", b"claims", &random).unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut changed = sealed.clone();
                changed[at] ^= 1 << bit;
                assert_eq!(sealer.open(b"a", &changed), None, "byte {at} bit {bit}");
            }
            assert_eq!(sealer.open(b"a", &sealed[..at]), None);
        }
        assert_eq!(sealer.open(b"a", &[sealed, vec![0]].concat()), None);
    }

    #[test]
    fn an_older_key_still_opens_what_it_sealed() {
        let random = Random::seeded(3);
        let master = MasterKey::generate(&random).unwrap();
        let key = |at| new_data_key(DataKeyPurpose::SigningKeys, &master, &random, UnixTime::from_seconds(at)).unwrap();
        let (old, new) = (key(1), key(2));
        let of = |keys: &[_]| {
            Sealer::of(&DataKeys::open(keys, &master, UnixTime::from_seconds(9)).unwrap(), DataKeyPurpose::SigningKeys)
                .unwrap()
        };
        let (before, after) = (of(std::slice::from_ref(&old)), of(&[old.clone(), new.clone()]));
        assert_eq!(after.current_key_id(), new.id);
        let sealed = before.seal(b"a", b"key", &random).unwrap();
        assert_eq!(after.open(b"a", &sealed).as_deref(), Some(&b"key"[..]));
        assert_eq!(before.open(b"a", &after.seal(b"a", b"key", &random).unwrap()), None);
        assert_eq!(format!("{before:?}"), format!("[{:?}]", old.id));
    }

    #[test]
    fn aes_256_gcm_siv_is_as_rfc_8452_prints_it() {
        // Appendix C.2, the case with 8 bytes of plaintext and no associated data.
        let mut key = [0; 32];
        key[0] = 1;
        let mut nonce = [0; 12];
        nonce[0] = 3;
        let key = AeadKey::new(&KeyBytes::from(key.to_vec())).unwrap();
        let printed = "c2ef328e5c71c83b843122130f7364b761e0b97427e3df28";
        let bytes = (0..printed.len()).step_by(2).map(|at| u8::from_str_radix(&printed[at..at + 2], 16).unwrap());
        let sealed: Vec<u8> = nonce.into_iter().chain(bytes).collect();
        assert_eq!(key.open(b"", &sealed).as_deref(), Some(&[1, 0, 0, 0, 0, 0, 0, 0][..]));
    }
}
