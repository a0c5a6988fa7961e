//! The public keys a client registered for `private_key_jwt` (RFC 7591 §2 `jwks`): read once, with
//! everything refused that could make a forged signature pass or a check expensive.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::crypto::jwk::{JwksFlaw, PublicKey, WireJwk};

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
/// Of a set that somebody publishes.
const MAX_PUBLISHED: usize = 100;

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

/// Key by key, so that one that cannot be read does not spoil the rest.
#[derive(Deserialize)]
struct WireSet {
    keys: Vec<serde_json::Value>,
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
            signing.extend(ClientKey::of(jwk)?);
        }
        if signing.is_empty() {
            return Err(JwksFlaw::NoSigningKey);
        }
        Ok(Self { keys: signing })
    }

    /// Reads what somebody publishes for the world, 100 keys at most: those of a kind that we do not
    /// know, or that are damaged, are passed over (RFC 7517 §5); private ones are never used.
    pub fn parse_published(jwks: &[u8]) -> Result<Self, JwksFlaw> {
        let WireSet { keys } = serde_json::from_slice(jwks).map_err(|_| JwksFlaw::Malformed)?;
        if keys.len() > MAX_PUBLISHED {
            return Err(JwksFlaw::Count);
        }
        let readable = keys.into_iter().filter_map(|jwk| serde_json::from_value::<WireJwk>(jwk).ok());
        let keys: Vec<ClientKey> = readable.filter_map(|jwk| ClientKey::of(jwk).ok().flatten()).collect();
        if keys.is_empty() { Err(JwksFlaw::NoSigningKey) } else { Ok(Self { keys }) }
    }

    /// Whether a signature with this `kid` and algorithm could be checked at all.
    pub fn knows(&self, kid: Option<&str>, alg: &str) -> bool {
        assertion_alg(alg).is_some_and(|alg| self.fitting(kid, alg).next().is_some())
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
        self.keys.iter().filter(named).filter(fits).map(|key| &key.key).take(MAX_KEYS)
    }
}

impl ClientKey {
    /// `None`: a sound key that is not for signatures.
    fn of(jwk: WireJwk) -> Result<Option<Self>, JwksFlaw> {
        let PublicKey { key, algorithms } = jwk.public_key()?;
        if !verifies_signatures(&jwk) {
            return Ok(None);
        }
        let pinned = jwk.alg.as_deref().map(|name| assertion_alg(name).ok_or(JwksFlaw::Algorithm)).transpose()?;
        if pinned.is_some_and(|alg| !algorithms.contains(&alg)) {
            return Err(JwksFlaw::Algorithm);
        }
        Ok(Some(Self { kid: jwk.kid, pinned, algorithms, key }))
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

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;
    use crate::crypto::signer::tests::key;
    use crate::domain::SigningAlg;

    fn jwk(alg: SigningAlg) -> Value {
        serde_json::from_str(key(alg).1).unwrap()
    }

    fn with(alg: SigningAlg, name: &str, value: Value) -> Value {
        let mut jwk = jwk(alg);
        jwk[name] = value;
        jwk
    }

    fn parse(keys: &[Value]) -> Result<ClientKeys, JwksFlaw> {
        ClientKeys::parse(&json!({ "keys": keys }).to_string())
    }

    #[test]
    fn keys_of_every_supported_type_are_kept() {
        let keys = parse(&SigningAlg::ALL.map(jwk)).unwrap();
        assert_eq!(keys.keys.len(), 3);
        // A key that pins its algorithm is used for that one only.
        assert_eq!(keys.fitting(Some("kid-1"), Algorithm::RS256).count(), 1);
        assert_eq!(keys.fitting(Some("kid-1"), Algorithm::PS256).count(), 0);
        assert_eq!(keys.fitting(None, Algorithm::ES256).count(), 1);
        assert_eq!(keys.fitting(Some("other"), Algorithm::ES256).count(), 0);
        let unpinned = parse(&[with(SigningAlg::Rs256, "alg", Value::Null)]).unwrap();
        assert_eq!(unpinned.fitting(None, Algorithm::PS256).count(), 1);
        let nameless = parse(&[with(SigningAlg::EdDsa, "kid", Value::Null)]).unwrap();
        assert_eq!(nameless.fitting(Some("any"), Algorithm::EdDSA).count(), 1);
    }

    #[test]
    fn private_and_symmetric_members_are_refused() {
        for alg in SigningAlg::ALL {
            for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
                assert_eq!(parse(&[with(alg, member, json!("AQ"))]).err(), Some(JwksFlaw::Private), "{member}");
            }
        }
        let secret = json!({ "kty": "oct", "kid": "kid-1" });
        assert_eq!(parse(&[jwk(SigningAlg::Es256), secret]).err(), Some(JwksFlaw::Private));
    }

    #[test]
    fn weak_foreign_and_damaged_keys_are_refused() {
        let es256 = |name, value| with(SigningAlg::Es256, name, value);
        let rs256 = |name, value| with(SigningAlg::Rs256, name, value);
        let number = |bytes: usize| json!(URL_SAFE_NO_PAD.encode(vec![0xFF; bytes]));
        let cases = [
            (rs256("n", number(128)), JwksFlaw::RsaSize),
            (rs256("n", number(1025)), JwksFlaw::RsaSize),
            (rs256("n", Value::Null), JwksFlaw::Damaged),
            (rs256("n", json!(URL_SAFE_NO_PAD.encode([0xFE; 256]))), JwksFlaw::Damaged),
            (rs256("e", json!("AQ")), JwksFlaw::Damaged),
            (rs256("e", json!("AAE")), JwksFlaw::Damaged),
            (rs256("e", json!("Ag")), JwksFlaw::Damaged),
            (rs256("e", json!("")), JwksFlaw::Damaged),
            (rs256("e", number(5)), JwksFlaw::Damaged),
            (es256("crv", json!("secp256k1")), JwksFlaw::Unsupported),
            (es256("crv", json!("P-521")), JwksFlaw::Unsupported),
            (es256("crv", json!("P-384")), JwksFlaw::Damaged),
            (es256("kty", json!("ec")), JwksFlaw::Unsupported),
            (es256("x", number(32)), JwksFlaw::Damaged),
            (es256("x", number(31)), JwksFlaw::Damaged),
            (es256("x", json!("AA==")), JwksFlaw::Damaged),
            (es256("alg", json!("RS256")), JwksFlaw::Algorithm),
            (es256("alg", json!("HS256")), JwksFlaw::Algorithm),
            (es256("alg", json!("none")), JwksFlaw::Algorithm),
            (es256("use", json!("enc")), JwksFlaw::NoSigningKey),
            (es256("key_ops", json!(["sign"])), JwksFlaw::NoSigningKey),
            (with(SigningAlg::EdDsa, "crv", json!("X25519")), JwksFlaw::Unsupported),
            (with(SigningAlg::EdDsa, "x", number(31)), JwksFlaw::Damaged),
        ];
        for (jwk, flaw) in cases {
            assert_eq!(parse(std::slice::from_ref(&jwk)).err(), Some(flaw), "{jwk}");
        }
        let padded =
            [&[0], URL_SAFE_NO_PAD.decode(jwk(SigningAlg::Rs256)["n"].as_str().unwrap()).unwrap().as_slice()].concat();
        assert!(parse(&[rs256("n", json!(URL_SAFE_NO_PAD.encode(padded)))]).is_ok(), "a leading zero octet");
    }

    #[test]
    fn of_published_keys_the_unknown_and_the_private_are_passed_over() {
        let published = |keys: &[Value]| ClientKeys::parse_published(json!({ "keys": keys }).to_string().as_bytes());
        let good = jwk(SigningAlg::Es256);
        let odd = [
            json!({"kty": "EC", "crv": "P-521", "kid": "kid-1", "x": "AA", "y": "AA"}),
            json!({"kty": "oct", "kid": "kid-1", "k": "AA"}),
            json!({"kid": 7}),
            json!("x"),
            with(SigningAlg::Es256, "d", json!("AQ")),
            with(SigningAlg::Rs256, "alg", json!("RS1")),
            with(SigningAlg::EdDsa, "use", json!("enc")),
        ];
        let keys = published(&[&odd[..], &[good]].concat()).unwrap();
        assert_eq!(keys.keys.len(), 1);
        assert!(keys.knows(Some("kid-1"), "ES256") && keys.knows(None, "ES256"));
        assert!(!keys.knows(Some("kid-2"), "ES256") && !keys.knows(None, "RS256") && !keys.knows(None, "none"));
        assert_eq!(published(&odd).err(), Some(JwksFlaw::NoSigningKey));
        assert_eq!(published(&vec![jwk(SigningAlg::EdDsa); 101]).err(), Some(JwksFlaw::Count));
        assert_eq!(published(&vec![jwk(SigningAlg::EdDsa); 100]).unwrap().fitting(None, Algorithm::EdDSA).count(), 20);
    }

    #[test]
    fn the_set_itself_is_bounded_and_strict() {
        assert_eq!(parse(&[]).err(), Some(JwksFlaw::Count));
        assert_eq!(parse(&vec![jwk(SigningAlg::EdDsa); 21]).err(), Some(JwksFlaw::Count));
        assert!(parse(&vec![jwk(SigningAlg::EdDsa); 20]).is_ok());
        let long = json!({ "keys": [jwk(SigningAlg::EdDsa)], "pad": "x".repeat(MAX_TEXT) }).to_string();
        assert_eq!(ClientKeys::parse(&long).err(), Some(JwksFlaw::TooLong));
        let twice = format!(r#"{{"keys":[{}],"keys":[]}}"#, key(SigningAlg::EdDsa).1);
        let kty_twice = format!(r#"{{"keys":[{}]}}"#, key(SigningAlg::EdDsa).1.replace("{", r#"{"kty":"EC","#));
        for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":["x"]}"#, &twice, &kty_twice] {
            assert_eq!(ClientKeys::parse(text).err(), Some(JwksFlaw::Malformed), "{text}");
        }
    }
}
