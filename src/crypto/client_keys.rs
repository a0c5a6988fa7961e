//! The public keys a client registered for `private_key_jwt` (RFC 7591 §2 `jwks`): read once, with
//! everything refused that could make a forged signature pass or a check expensive.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

pub use crate::crypto::jwk::JwksFlaw;
use crate::crypto::jwk::{PublicKey, WireJwk};

/// The algorithms a client may sign an assertion with: asymmetric ones only.
pub const ASSERTION_ALGS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

const MAX_TEXT: usize = 32 * 1024;
const MAX_KEYS: usize = 20;

/// The algorithm of this JOSE name, if a client may use it. Names are case-sensitive
/// (RFC 7515 §4.1.1).
pub fn assertion_alg(name: &str) -> Option<Algorithm> {
    ASSERTION_ALGS.iter().find(|(own, _)| *own == name).map(|(_, alg)| *alg)
}

/// The keys of one client that can verify a signature, 1 to 20.
pub struct ClientKeys {
    keys: Vec<ClientKey>,
}

struct ClientKey {
    kid: Option<String>,
    /// `alg` of the JWK: it may then be used for nothing else.
    pinned: Option<Algorithm>,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

#[derive(Deserialize)]
struct WireJwks {
    keys: Vec<WireJwk>,
}

impl ClientKeys {
    /// Reads a JWK Set. Keys for encryption are checked and then left out.
    pub fn parse(jwks: &str) -> Result<Self, JwksFlaw> {
        if jwks.len() > MAX_TEXT {
            return Err(JwksFlaw::TooLong);
        }
        let WireJwks { keys } = serde_json::from_str(jwks).map_err(|_| JwksFlaw::Malformed)?;
        if !(1..=MAX_KEYS).contains(&keys.len()) {
            return Err(JwksFlaw::Count);
        }
        let mut signing = Vec::with_capacity(keys.len());
        for jwk in keys {
            let PublicKey { key, algorithms } = jwk.public_key()?;
            if verifies_signatures(&jwk) {
                let pinned = jwk.alg.as_deref().map(|name| assertion_alg(name).ok_or(JwksFlaw::Algorithm));
                let pinned = pinned.transpose()?;
                if pinned.is_some_and(|alg| !algorithms.contains(&alg)) {
                    return Err(JwksFlaw::Algorithm);
                }
                signing.push(ClientKey { kid: jwk.kid, pinned, algorithms, key });
            }
        }
        if signing.is_empty() {
            return Err(JwksFlaw::NoSigningKey);
        }
        Ok(Self { keys: signing })
    }

    /// The keys that may have made a signature with `alg`: those named `kid`, or, where the token or
    /// the key has no `kid`, every one that fits. Never more than 20.
    pub(in crate::crypto) fn fitting<'a>(
        &'a self,
        kid: Option<&'a str>,
        alg: Algorithm,
    ) -> impl Iterator<Item = &'a DecodingKey> {
        let named = move |key: &&ClientKey| match (kid, key.kid.as_deref()) {
            (Some(asked), Some(own)) => asked == own,
            _ => true,
        };
        let fits =
            move |key: &&ClientKey| key.algorithms.contains(&alg) && key.pinned.is_none_or(|pinned| pinned == alg);
        self.keys.iter().filter(named).filter(fits).map(|key| &key.key)
    }
}

/// RFC 7517 §4.2 and §4.3: a key that says what it is for is used for that only.
fn verifies_signatures(jwk: &WireJwk) -> bool {
    let by_use = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
    let by_ops = jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    by_use && by_ops
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.kid)).finish()
    }
}
