//! JSON Web Keys (RFC 7517, 7518 §6, 8037 §2): the text of our public keys, and the reading of one
//! public key, ours or a client's.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::crypto::jose::{Present, decode};
use crate::crypto::jwt::JsonObject;
use crate::domain::SigningAlg;

/// The public half of a signing key.
pub enum PublicParts<'a> {
    /// Affine coordinates on P-256, 32 bytes each.
    P256 {
        x: &'a [u8],
        y: &'a [u8],
    },
    /// Big-endian without leading zeros.
    Rsa {
        n: &'a [u8],
        e: &'a [u8],
    },
    Ed25519 {
        x: &'a [u8],
    },
}

/// The JWK text of one of our keys, with `kid`, `alg` and `use: "sig"`.
pub fn public_jwk(kid: &str, alg: SigningAlg, parts: &PublicParts<'_>) -> String {
    let mut json = JsonObject::with_capacity(512);
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    match parts {
        PublicParts::P256 { x, y } => {
            json.text("kty", "EC");
            json.text("crv", "P-256");
            json.text("x", &number(x));
            json.text("y", &number(y));
        }
        PublicParts::Rsa { n, e } => {
            json.text("kty", "RSA");
            json.text("n", &number(n));
            json.text("e", &number(e));
        }
        PublicParts::Ed25519 { x } => {
            json.text("kty", "OKP");
            json.text("crv", "Ed25519");
            json.text("x", &number(x));
        }
    }
    json.text("kid", kid);
    json.text("alg", alg.name());
    json.text("use", "sig");
    // The writer makes ASCII only.
    String::from_utf8(json.end()).unwrap_or_default()
}

/// A JWK Set (RFC 7517 §5) of JWK texts, in the order given.
pub fn jwks_document(keys: &[&str]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The members of a JWK that are read. Others are ignored (RFC 7517 §4).
#[derive(Deserialize)]
pub struct WireJwk {
    kty: String,
    #[serde(default)]
    pub kid: Option<String>,
    #[serde(default)]
    pub alg: Option<String>,
    #[serde(default, rename = "use")]
    pub usage: Option<String>,
    #[serde(default)]
    pub key_ops: Option<Vec<String>>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
    // Everything below is secret (RFC 7518 §6.2.2, §6.3.2, §6.4.1) and must not be here.
    #[serde(default)]
    d: Present,
    #[serde(default)]
    p: Present,
    #[serde(default)]
    q: Present,
    #[serde(default)]
    dp: Present,
    #[serde(default)]
    dq: Present,
    #[serde(default)]
    qi: Present,
    #[serde(default)]
    oth: Present,
    #[serde(default)]
    k: Present,
}

/// Why a JWK Set is not accepted. The text may go to the wire: it holds nothing of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksFlaw {
    #[error("a JWK Set is a JSON object with an array \"keys\", each member named once")]
    Malformed,
    #[error("a JWK Set holds at most 32 KiB")]
    TooLong,
    #[error("a JWK Set holds 1 to 20 keys")]
    Count,
    #[error("no key of the JWK Set can verify a signature")]
    NoSigningKey,
    #[error("a JWK Set of a client holds public keys only: one has a private or symmetric member")]
    Private,
    #[error("a key has a type or curve that is not supported (RSA, EC P-256 and P-384, OKP Ed25519 are)")]
    Unsupported,
    #[error("an RSA key has 2048 to 8192 bits")]
    RsaSize,
    #[error("a key is missing a member, or its value is not a point or number of the right size")]
    Damaged,
    #[error("the alg of a key does not fit its type")]
    Algorithm,
}

/// A public key that jsonwebtoken can verify with, and the algorithms that fit its type.
pub struct PublicKey {
    pub key: DecodingKey,
    pub algorithms: &'static [Algorithm],
}

const RSA: &[Algorithm] =
    &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512];

impl WireJwk {
    /// Checks the key as far as mathematics goes: size, and that a point lies on its curve.
    pub fn public_key(&self) -> Result<PublicKey, JwksFlaw> {
        let Self { d, p, q, dp, dq, qi, oth, k, .. } = self;
        if [d, p, q, dp, dq, qi, oth, k].into_iter().any(|secret| secret.0) || self.kty == "oct" {
            return Err(JwksFlaw::Private);
        }
        match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => self.rsa(),
            ("EC", Some("P-256")) => self.ec(32, &ECDSA_P256_SHA256_FIXED, &[Algorithm::ES256]),
            ("EC", Some("P-384")) => self.ec(48, &ECDSA_P384_SHA384_FIXED, &[Algorithm::ES384]),
            ("OKP", Some("Ed25519")) => {
                let x = member(self.x.as_deref())?;
                is_a_key(&ED25519, &x)?;
                Ok(PublicKey { key: DecodingKey::from_ed_der(&x), algorithms: &[Algorithm::EdDSA] })
            }
            _ => Err(JwksFlaw::Unsupported),
        }
    }

    fn rsa(&self) -> Result<PublicKey, JwksFlaw> {
        let (n, e) = (member(self.n.as_deref())?, member(self.e.as_deref())?);
        // RFC 7518 §6.3.1.1: some libraries prefix a zero octet; the number is the same.
        let (n, e) = (without_leading_zeros(&n), without_leading_zeros(&e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !(2048..=8192).contains(&bits) {
            return Err(JwksFlaw::RsaSize);
        }
        // With e = 1 a signature is the padded message itself, so anybody could write one; the library
        // reads such a key without complaint. e is odd and has at most 33 bits (RFC 8017 §3.1, aws-lc).
        let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        let e_is_sane = odd(e) && e != [1] && (e.len() < 5 || (e.len() == 5 && e.first() == Some(&1)));
        if !odd(n) || !e_is_sane {
            return Err(JwksFlaw::Damaged);
        }
        let components = RsaPublicKeyComponents { n, e };
        components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| JwksFlaw::Damaged)?;
        Ok(PublicKey { key: DecodingKey::from_rsa_raw_components(n, e), algorithms: RSA })
    }

    fn ec(
        &self,
        size: usize,
        curve: &'static dyn VerificationAlgorithm,
        algorithms: &'static [Algorithm],
    ) -> Result<PublicKey, JwksFlaw> {
        let (x, y) = (member(self.x.as_deref())?, member(self.y.as_deref())?);
        if x.len() != size || y.len() != size {
            return Err(JwksFlaw::Damaged);
        }
        // SEC 1 §2.3.3: 4 marks an uncompressed point.
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        is_a_key(curve, &point)?;
        Ok(PublicKey { key: DecodingKey::from_ec_der(&point), algorithms })
    }
}

fn member(text: Option<&str>) -> Result<Vec<u8>, JwksFlaw> {
    text.and_then(decode).ok_or(JwksFlaw::Damaged)
}

fn is_a_key(alg: &'static dyn VerificationAlgorithm, bytes: &[u8]) -> Result<(), JwksFlaw> {
    UnparsedPublicKey::new(alg, bytes).parse().map(|_| ()).map_err(|_| JwksFlaw::Damaged)
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::jose::Compact;

    fn read(jwk: &str) -> PublicKey {
        let jwk: WireJwk = serde_json::from_str(jwk).unwrap();
        jwk.public_key().unwrap()
    }

    #[test]
    fn the_printed_signatures_of_rfc_7515_and_rfc_8037_verify() {
        let es256 = read(
            r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
        );
        let printed = concat!(
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt",
            "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA",
            "pmWQxfKTUJqPP3-Kg6NU1Q"
        );
        assert!(Compact::cut(printed).unwrap().is_signed_by(&es256.key, Algorithm::ES256)); // RFC 7515 §A.3
        assert!(!Compact::cut(printed).unwrap().is_signed_by(&es256.key, Algorithm::ES384));

        let ed25519 = read(r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#);
        let printed = concat!(
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG",
            "cvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
        );
        assert!(Compact::cut(printed).unwrap().is_signed_by(&ed25519.key, Algorithm::EdDSA)); // RFC 8037 §A.4
        assert!(!Compact::cut(printed).unwrap().is_signed_by(&es256.key, Algorithm::EdDSA));
    }

    #[test]
    fn a_document_lists_the_keys_as_they_are() {
        assert_eq!(jwks_document(&[]), r#"{"keys":[]}"#);
        assert_eq!(jwks_document(&["{}", r#"{"a":1}"#]), r#"{"keys":[{},{"a":1}]}"#);
    }
}
