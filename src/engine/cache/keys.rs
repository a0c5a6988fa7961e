//! The signing keys of one provider, parsed once: what signs, what verifies, and the document that
//! publishes them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::crypto::jwk::jwks_document;
use crate::crypto::{ClientKeys, Sealer, SigningKey, VerifyingKey};
use crate::domain::key::{KeyState, StoredSigningKey};
use crate::domain::{Fault, SigningAlg};
use crate::engine::cache::Weigh;
use crate::engine::signatures::{Signatures, Signer};

pub struct KeyRing {
    active: HashMap<SigningAlg, (Arc<SigningKey>, Arc<AtomicU64>)>,
    published: HashMap<String, Arc<VerifyingKey>>,
    /// The JWK Set (RFC 7517 §5), next and retired keys included.
    pub jwks: Bytes,
    /// Quoted entity tag of `jwks`.
    pub etag: String,
    /// When the first retired key is no longer published and the ring has to be read again, epoch
    /// seconds.
    good_until: Option<i64>,
    /// Our own public keys in the form of a client's: what the assertion of an unknown client is
    /// verified with, so that it costs as much as that of a known one.
    pub decoy: Option<ClientKeys>,
}

impl KeyRing {
    /// Opens and parses what is stored. A fault if a key cannot be opened or read. `provider`: slug.
    pub fn of(
        stored: &[StoredSigningKey],
        sealer: &Sealer,
        provider: &str,
        signatures: &Signatures,
    ) -> Result<Self, Fault> {
        let mut active = HashMap::new();
        let mut published = HashMap::new();
        for key in stored {
            let verifying = VerifyingKey::from_jwk(&key.kid, key.alg, &key.public_jwk)?;
            published.insert(key.kid.clone(), Arc::new(verifying));
            if key.state == KeyState::Active {
                let signer = Signer { kid: &key.kid, alg: key.alg, provider, active_since: key.activates_at };
                active.insert(key.alg, (Arc::new(open(key, sealer)?), signatures.counter(&signer)));
            }
        }
        let texts: Vec<&str> = stored.iter().map(|key| key.public_jwk.as_str()).collect();
        let document = jwks_document(&texts);
        let ends = stored.iter().filter_map(|key| Some(key.retired_at?.saturating_add(key.max_lifetime)));
        Ok(Self {
            active,
            published,
            etag: format!("\"{:08x}\"", crc32fast::hash(document.as_bytes())),
            decoy: ClientKeys::parse(&document).ok(),
            jwks: Bytes::from(document),
            good_until: ends.min(),
        })
    }

    /// Whether everything in it is still published at `now` (epoch seconds).
    pub fn is_good(&self, now: i64) -> bool {
        self.good_until.is_none_or(|end| now < end)
    }

    /// The key that signs with this algorithm, if one is active.
    pub fn signing(&self, alg: SigningAlg) -> Option<&Arc<SigningKey>> {
        self.active.get(&alg).map(|(key, _)| key)
    }

    /// The same, to be signed with once: it is counted.
    pub fn to_sign(&self, alg: SigningAlg) -> Option<Arc<SigningKey>> {
        let (key, signatures) = self.active.get(&alg)?;
        signatures.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(key))
    }

    /// A published key by its `kid`.
    pub fn verifying(&self, kid: &str) -> Option<Arc<VerifyingKey>> {
        self.published.get(kid).cloned()
    }
}

/// What a private key is sealed with beside the data key: it cannot be moved to another row.
pub fn seal_context(kid: &str) -> &[u8] {
    kid.as_bytes()
}

fn open(key: &StoredSigningKey, sealer: &Sealer) -> Result<SigningKey, Fault> {
    let opened = sealer.open(seal_context(&key.kid), &key.sealed_private);
    let pkcs8 = opened.ok_or_else(|| Fault::crypto(format!("signing key {} cannot be opened", key.kid)))?;
    SigningKey::from_pkcs8(&key.kid, key.alg, &pkcs8.into())
}

impl Weigh for KeyRing {
    fn weight(&self) -> usize {
        // A parsed RSA key takes about 4 KiB, the others less.
        self.jwks.len() * 2 + self.active.len() * 4096 + self.published.len() * 1024
    }
}
