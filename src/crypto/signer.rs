//! Signing: a private key parsed once, its JOSE headers encoded once, and a compact JWS written by
//! hand (RFC 7515 §7.1). jsonwebtoken's `encode` would parse the private key anew for each token,
//! which more than doubles the price of an RSA signature.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::ExposeSecret;

use crate::crypto::jwk::{PublicParts, public_jwk};
use crate::crypto::jwt::{JsonObject, access_payload, id_payload, logout_payload};
use crate::domain::key::KeyBytes;
use crate::domain::token::{AccessClaims, AccessTyp, IdClaims, LogoutClaims};
use crate::domain::{Fault, SigningAlg};

/// A private key ready to sign.
pub struct SigningKey {
    kid: String,
    alg: SigningAlg,
    pair: Pair,
    /// `base64url(header) + "."` for each `typ`.
    at_jwt: String,
    jwt: String,
    untyped: String,
}

enum Pair {
    /// *FIXED*: `r | s`, always 64 bytes (RFC 7518 §3.4), never ASN.1. aws-lc pads both halves.
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// A fresh key pair, not yet stored.
#[derive(Debug)]
pub struct NewSigningKey {
    /// The private key, PKCS#8 DER.
    pub pkcs8: KeyBytes,
    /// The public key as JWK text, with `kid`, `alg`, `use`.
    pub public_jwk: String,
}

/// Makes a key pair by the system's generator: P-256, RSA of 2048 bits, or Ed25519 (PKCS#8 v1,
/// which other software reads too). RSA takes a noticeable fraction of a second.
pub fn generate(alg: SigningAlg, kid: &str) -> Result<NewSigningKey, Fault> {
    let failed = |_| Fault::crypto(format!("making a {} key failed", alg.name()));
    let pkcs8 = match alg {
        SigningAlg::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .and_then(|pair| pair.to_pkcs8v1())
            .map(|document| document.as_ref().to_vec()),
        SigningAlg::Rs256 => {
            RsaKeyPair::generate(KeySize::Rsa2048).and_then(|pair| pair.as_der()).map(|der| der.as_ref().to_vec())
        }
        SigningAlg::EdDsa => {
            Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map(|document| document.as_ref().to_vec())
        }
    };
    let pkcs8 = KeyBytes::from(pkcs8.map_err(failed)?);
    let public_jwk = SigningKey::from_pkcs8(kid, alg, &pkcs8)?.public_jwk()?;
    Ok(NewSigningKey { pkcs8, public_jwk })
}

/// As [`generate`], on a blocking thread: for callers that share theirs with other requests.
pub async fn generate_off_thread(alg: SigningAlg, kid: &str) -> Result<NewSigningKey, Fault> {
    let kid = kid.to_owned();
    let made = tokio::task::spawn_blocking(move || generate(alg, &kid)).await;
    made.map_err(|_| Fault::crypto("making a key panicked"))?
}

impl SigningKey {
    /// Parses the private key. A fault if it is not a key of `alg`.
    pub fn from_pkcs8(kid: &str, alg: SigningAlg, pkcs8: &KeyBytes) -> Result<Self, Fault> {
        let der = pkcs8.expose_secret();
        let pair = match alg {
            SigningAlg::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::Es256),
            SigningAlg::Rs256 => RsaKeyPair::from_pkcs8(der).map(Pair::Rs256),
            SigningAlg::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::EdDsa),
        };
        let pair =
            pair.map_err(|why| Fault::crypto(format!("signing key {kid} is not a {} key: {why}", alg.name())))?;
        Ok(Self {
            kid: kid.to_owned(),
            alg,
            pair,
            at_jwt: header_segment(alg, kid, Some(typ_name(AccessTyp::AtJwt))),
            jwt: header_segment(alg, kid, Some(typ_name(AccessTyp::Jwt))),
            untyped: header_segment(alg, kid, None),
        })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    pub const fn alg(&self) -> SigningAlg {
        self.alg
    }

    /// The public key as JWK text.
    pub fn public_jwk(&self) -> Result<String, Fault> {
        let odd_key = || Fault::crypto(format!("the public half of signing key {} has an odd shape", self.kid));
        let text = |parts: &PublicParts<'_>| public_jwk(&self.kid, self.alg, parts);
        match &self.pair {
            Pair::Es256(pair) => {
                let point = pair.public_key().as_ref().strip_prefix(&[4]).ok_or_else(odd_key)?;
                let (x, y) = point.split_at_checked(32).ok_or_else(odd_key)?;
                Ok(text(&PublicParts::P256 { x, y }))
            }
            Pair::Rs256(pair) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                Ok(text(&PublicParts::Rsa { n: &n, e: &e }))
            }
            Pair::EdDsa(pair) => Ok(text(&PublicParts::Ed25519 { x: pair.public_key().as_ref() })),
        }
    }

    /// The claims as a signed JWT, `typ` as the claims say.
    pub fn sign_access(&self, claims: &AccessClaims) -> Result<String, Fault> {
        self.sign(Some(claims.typ), &access_payload(claims))
    }

    /// A signed ID token: no `typ`, so that no endpoint takes it for an access token.
    pub fn sign_id(&self, claims: &IdClaims) -> Result<String, Fault> {
        self.sign(None, &id_payload(claims))
    }

    /// A signed logout token, typed so that nothing else takes it (Back-Channel Logout §2.4).
    pub fn sign_logout(&self, claims: &LogoutClaims) -> Result<String, Fault> {
        self.sign_with(&header_segment(self.alg, &self.kid, Some("logout+jwt")), &logout_payload(claims))
    }

    /// A compact JWS over these bytes; `typ` `None` leaves the member out.
    pub fn sign(&self, typ: Option<AccessTyp>, payload_json: &[u8]) -> Result<String, Fault> {
        let header = match typ {
            Some(AccessTyp::AtJwt) => &self.at_jwt,
            Some(AccessTyp::Jwt) => &self.jwt,
            None => &self.untyped,
        };
        self.sign_with(header, payload_json)
    }

    fn sign_with(&self, header: &str, payload_json: &[u8]) -> Result<String, Fault> {
        // One allocation for the whole token: 342 characters is an RSA signature of 2048 bits.
        let mut jws = String::with_capacity(header.len() + payload_json.len().div_ceil(3) * 4 + 1 + 342);
        jws.push_str(header);
        URL_SAFE_NO_PAD.encode_string(payload_json, &mut jws);
        self.append_signature(&mut jws).map_err(|_| Fault::crypto(format!("signing with key {} failed", self.kid)))?;
        Ok(jws)
    }

    fn append_signature(&self, jws: &mut String) -> Result<(), aws_lc_rs::error::Unspecified> {
        let message = jws.as_bytes();
        let mut rsa_signature = [0; 256];
        let signature;
        let signature: &[u8] = match &self.pair {
            Pair::Es256(pair) => {
                signature = pair.sign(&SystemRandom::new(), message)?;
                signature.as_ref()
            }
            Pair::EdDsa(pair) => {
                signature = pair.try_sign(message)?;
                signature.as_ref()
            }
            Pair::Rs256(pair) => {
                // Our keys have 2048 bits; the library insists on the exact length.
                let out = rsa_signature.get_mut(..pair.public_modulus_len()).ok_or(aws_lc_rs::error::Unspecified)?;
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, out)?;
                out
            }
        };
        jws.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, jws);
        Ok(())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({} {})", self.alg.name(), self.kid)
    }
}

/// The `typ` of an access token as it stands in the header: `at+jwt` (RFC 9068 §2.1) or `jwt`.
pub const fn typ_name(typ: AccessTyp) -> &'static str {
    match typ {
        AccessTyp::AtJwt => "at+jwt",
        AccessTyp::Jwt => "jwt",
    }
}

fn header_segment(alg: SigningAlg, kid: &str, typ: Option<&str>) -> String {
    let mut json = JsonObject::with_capacity(96);
    json.text("alg", alg.name());
    json.text("kid", kid);
    if let Some(typ) = typ {
        json.text("typ", typ);
    }
    let mut segment = URL_SAFE_NO_PAD.encode(json.end());
    segment.push('.');
    segment
}

#[cfg(test)]
pub mod tests {
    use std::sync::OnceLock;

    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    };
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};

    use super::*;
    use crate::crypto::jwt::tests::claims;

    /// One key of each algorithm for all tests: making an RSA key takes long.
    pub fn key(alg: SigningAlg) -> (&'static SigningKey, &'static str) {
        static KEYS: [OnceLock<(SigningKey, String)>; 3] = [const { OnceLock::new() }; 3];
        let slot = SigningAlg::ALL.iter().position(|own| *own == alg).unwrap();
        let (key, jwk) = KEYS[slot].get_or_init(|| {
            let NewSigningKey { pkcs8, public_jwk } = generate(alg, "kid-1").unwrap();
            (SigningKey::from_pkcs8("kid-1", alg, &pkcs8).unwrap(), public_jwk)
        });
        (key, jwk)
    }

    /// A JWS over any header and payload, for attacks.
    /// Runs a future that waits for nobody to its end.
    pub fn at_once<T>(future: impl Future<Output = T>) -> T {
        polled(future).0
    }

    /// The same, and how often it let others run.
    pub fn polled<T>(future: impl Future<Output = T>) -> (T, usize) {
        let mut future = std::pin::pin!(future);
        let mut pauses = 0;
        loop {
            match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
                std::task::Poll::Ready(done) => return (done, pauses),
                std::task::Poll::Pending => pauses += 1,
            }
        }
    }

    pub fn sign_raw(key: &SigningKey, header: &str, payload: &str) -> String {
        let mut jws = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        key.append_signature(&mut jws).unwrap();
        jws
    }

    #[test]
    fn each_algorithm_is_verified_by_the_library_with_the_published_key() {
        for (alg, name) in [
            (SigningAlg::Es256, Algorithm::ES256),
            (SigningAlg::Rs256, Algorithm::RS256),
            (SigningAlg::EdDsa, Algorithm::EdDSA),
        ] {
            let (key, jwk) = key(alg);
            let jwk: jsonwebtoken::jwk::Jwk = serde_json::from_str(jwk).unwrap();
            assert_eq!(jwk.common.key_id.as_deref(), Some("kid-1"));
            let decoding = DecodingKey::from_jwk(&jwk).unwrap();
            let mut validation = Validation::new(name);
            validation.validate_exp = false;
            validation.validate_aud = false;
            for (typ, expected) in
                [(Some(AccessTyp::AtJwt), Some("at+jwt")), (Some(AccessTyp::Jwt), Some("jwt")), (None, None)]
            {
                let jws = key.sign(typ, &access_payload(&claims())).unwrap();
                let data = decode::<serde_json::Value>(&jws, &decoding, &validation).unwrap();
                assert_eq!(data.header.typ.as_deref(), expected);
                assert_eq!(data.header.kid.as_deref(), Some("kid-1"));
                assert_eq!(data.claims["sub"], claims().subject);
            }
        }
    }

    #[test]
    fn each_algorithm_is_verified_by_aws_lc_directly() {
        for alg in SigningAlg::ALL {
            let (key, _) = key(alg);
            let jws = key.sign_access(&claims()).unwrap();
            let (message, signature) = jws.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            let (algorithm, public): (&'static dyn VerificationAlgorithm, &[u8]) = match &key.pair {
                Pair::Es256(pair) => (&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()),
                Pair::Rs256(pair) => (&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()),
                Pair::EdDsa(pair) => (&ED25519, pair.public_key().as_ref()),
            };
            let public = UnparsedPublicKey::new(algorithm, public);
            assert!(public.verify(message.as_bytes(), &signature).is_ok());
            assert!(public.verify(b"other", &signature).is_err());
        }
    }

    #[test]
    fn ten_thousand_es256_signatures_are_all_64_bytes() {
        let (key, _) = key(SigningAlg::Es256);
        for round in 0..10_000_u32 {
            let jws = key.sign(None, &round.to_be_bytes()).unwrap();
            let signature = jws.rsplit_once('.').unwrap().1;
            assert_eq!(URL_SAFE_NO_PAD.decode(signature).unwrap().len(), 64);
        }
    }

    #[test]
    fn a_key_of_another_algorithm_is_a_fault_that_names_the_kid() {
        for alg in [SigningAlg::Es256, SigningAlg::EdDsa] {
            let pkcs8 = generate(alg, "k").unwrap().pkcs8;
            for other in SigningAlg::ALL.into_iter().filter(|other| *other != alg) {
                let fault = SigningKey::from_pkcs8("kid-7", other, &pkcs8).unwrap_err();
                assert!(fault.to_string().contains("kid-7"), "{fault}");
            }
        }
        assert_eq!(format!("{:?}", key(SigningAlg::Es256).0), "SigningKey(ES256 kid-1)");
    }

    #[test]
    fn the_public_jwk_holds_no_private_member() {
        for alg in SigningAlg::ALL {
            let jwk: serde_json::Value = serde_json::from_str(key(alg).1).unwrap();
            let names: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
            let expected: &[&str] = match alg {
                SigningAlg::Es256 => &["alg", "crv", "kid", "kty", "use", "x", "y"],
                SigningAlg::Rs256 => &["alg", "e", "kid", "kty", "n", "use"],
                SigningAlg::EdDsa => &["alg", "crv", "kid", "kty", "use", "x"],
            };
            assert_eq!(names, expected);
            assert_eq!((&jwk["use"], &jwk["alg"]), (&"sig".into(), &alg.name().into()));
        }
    }
}
