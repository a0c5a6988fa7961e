//! Client assertions (`private_key_jwt`, RFC 7523 §3, OIDC Core §9): the signature and the shape of
//! the claims. The rules on issuer, audience, times and `jti` belong to whoever knows the client and
//! the clock.

use serde::Deserialize;
use serde_json::Number;
use std::borrow::Cow;
use tokio::task::yield_now;

use crate::crypto::client_keys::{ClientKeys, assertion_alg};
use crate::crypto::jose::{Compact, Header, OneOrMany, decode};
use crate::domain::assertion::AssertionClaims;

/// Why an assertion proves nothing. For the log; the wire says `invalid_client` to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AssertionFlaw {
    #[error("not a compact JWS of at most 16 KiB with a readable header, each member named once")]
    Malformed,
    #[error("its algorithm is not an asymmetric one that we know, or not the registered one")]
    Algorithm,
    #[error("its header names critical extensions")]
    Critical,
    #[error("the client has no key with this kid that fits the algorithm")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    #[error("iss, sub, aud, exp, iat, nbf or jti has a wrong type or stands twice, or iss or sub is missing")]
    Claims,
    #[error("exp is missing")]
    NoExpiry,
}

/// Checks an assertion against the client's registered keys. `pinned_alg` is
/// `token_endpoint_auth_signing_alg`. Keys in the header (`jwk`, `jku`, `x5u`, `x5c`) are not even
/// read.
///
/// Of the returned claims nothing but their types has been judged. Waits between two keys, because one check
/// alone can take a large part of a millisecond.
pub async fn verify_assertion(
    jwt: &str,
    keys: &ClientKeys,
    pinned_alg: Option<&str>,
) -> Result<AssertionClaims, AssertionFlaw> {
    let compact = Compact::cut(jwt).ok_or(AssertionFlaw::Malformed)?;
    let header_json = decode(compact.header).ok_or(AssertionFlaw::Malformed)?;
    let header = Header::read(&header_json).ok_or(AssertionFlaw::Malformed)?;
    if header.has_critical() {
        return Err(AssertionFlaw::Critical);
    }
    // The list has neither `none` nor a symmetric algorithm in any spelling.
    let alg = assertion_alg(&header.alg).ok_or(AssertionFlaw::Algorithm)?;
    if pinned_alg.is_some_and(|pinned| pinned != header.alg) {
        return Err(AssertionFlaw::Algorithm);
    }
    let mut is_signed = Err(AssertionFlaw::UnknownKey);
    for key in keys.fitting(header.kid.as_deref(), alg) {
        if is_signed.is_err_and(|flaw| flaw == AssertionFlaw::Signature) {
            yield_now().await;
        }
        is_signed = if compact.is_signed_by(key, alg) { Ok(()) } else { Err(AssertionFlaw::Signature) };
        if is_signed.is_ok() {
            break;
        }
    }
    is_signed?;
    let payload = decode(compact.payload).ok_or(AssertionFlaw::Claims)?;
    let claims: WireAssertion<'_> = serde_json::from_slice(&payload).map_err(|_| AssertionFlaw::Claims)?;
    claims.into_domain()
}

/// The client that an assertion speaks of, **not yet believed**: only to find the keys to check it
/// with. `None` unless `iss` and `sub` are the same text (RFC 7523 §3).
pub fn assertion_client_id(jwt: &str) -> Option<String> {
    let payload = decode(Compact::cut(jwt)?.payload)?;
    let WireParty { iss, sub } = serde_json::from_slice(&payload).ok()?;
    (iss == sub).then(|| sub.into_owned())
}

/// `kid` and `alg` of an assertion's header, **not yet believed**: only to look for the key.
pub fn assertion_key(jwt: &str) -> Option<(Option<String>, String)> {
    let header = decode(Compact::cut(jwt)?.header)?;
    let Header { alg, kid, .. } = Header::read(&header)?;
    Some((kid.map(Cow::into_owned), alg.into_owned()))
}

#[derive(Deserialize)]
struct WireParty<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireAssertion<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow, default)]
    aud: Option<OneOrMany<'a>>,
    #[serde(default)]
    exp: Option<Number>,
    #[serde(default)]
    iat: Option<Number>,
    #[serde(default)]
    nbf: Option<Number>,
    #[serde(borrow, default)]
    jti: Option<Cow<'a, str>>,
}

impl WireAssertion<'_> {
    fn into_domain(self) -> Result<AssertionClaims, AssertionFlaw> {
        let Self { iss, sub, aud, exp, iat, nbf, jti } = self;
        let seconds = |number: Option<Number>| number.as_ref().map(whole_seconds).transpose();
        Ok(AssertionClaims {
            issuer: iss.into_owned(),
            subject: sub.into_owned(),
            audience: aud.map_or_else(Vec::new, |aud| aud.values.into_iter().map(Cow::into_owned).collect()),
            jti: jti.map(Cow::into_owned),
            expires_at: seconds(exp)?.ok_or(AssertionFlaw::NoExpiry)?,
            issued_at: seconds(iat)?,
            not_before: seconds(nbf)?,
        })
    }
}

/// A NumericDate may have a fraction (RFC 7519 §2); it is rounded down.
pub(in crate::crypto) fn whole_seconds(number: &Number) -> Result<i64, AssertionFlaw> {
    // Beyond 2⁵³ neighbouring seconds are one and the same double: no date is meant by that.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    if let Some(seconds) = number.as_i64() {
        return Ok(seconds);
    }
    let seconds = number.as_f64().map(f64::floor).filter(|seconds| seconds.abs() <= LARGEST);
    #[allow(clippy::cast_possible_truncation)] // within ±2⁵³, and whole
    seconds.map(|seconds| seconds as i64).ok_or(AssertionFlaw::Claims)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{self, EcdsaKeyPair, KeyPair, RsaKeyPair, RsaPublicKeyComponents};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::crypto::jwk::jwks_document;
    use crate::crypto::signer::tests::{at_once, key, sign_raw};
    use crate::crypto::signer::{SigningKey, generate};
    use crate::domain::SigningAlg;

    const GOOD: &str =
        r#"{"iss":"c1","sub":"c1","aud":"https://as.example","exp":1700000060.9,"iat":1700000000,"jti":"j"}"#;
    const ES256: &str = r#"{"alg":"ES256","kid":"kid-1"}"#;

    fn keys() -> ClientKeys {
        ClientKeys::parse(&jwks_document(&SigningAlg::ALL.map(|alg| key(alg).1))).unwrap()
    }

    fn verify(jwt: &str, keys: &ClientKeys, pinned_alg: Option<&str>) -> Result<AssertionClaims, AssertionFlaw> {
        at_once(verify_assertion(jwt, keys, pinned_alg))
    }

    fn es(header: &str, payload: &str) -> Result<AssertionClaims, AssertionFlaw> {
        verify(&sign_raw(key(SigningAlg::Es256).0, header, payload), &keys(), None)
    }

    fn jws(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    #[test]
    fn a_good_assertion_of_each_of_our_key_types_is_read() {
        let expected = AssertionClaims {
            issuer: "c1".into(),
            subject: "c1".into(),
            audience: vec!["https://as.example".into()],
            jti: Some("j".into()),
            expires_at: 1_700_000_060,
            issued_at: Some(1_700_000_000),
            not_before: None,
        };
        for alg in SigningAlg::ALL {
            for header in
                [format!(r#"{{"alg":"{}","kid":"kid-1"}}"#, alg.name()), format!(r#"{{"alg":"{}"}}"#, alg.name())]
            {
                let jwt = sign_raw(key(alg).0, &header, GOOD);
                assert_eq!(verify(&jwt, &keys(), None), Ok(expected.clone()));
                assert_eq!(verify(&jwt, &keys(), Some(alg.name())), Ok(expected.clone()));
                assert_eq!(verify(&jwt, &keys(), Some("PS256")), Err(AssertionFlaw::Algorithm));
                assert_eq!(assertion_client_id(&jwt).as_deref(), Some("c1"));
            }
        }
    }

    #[test]
    fn the_other_rsa_algorithms_and_p_384_are_read_too() {
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(rsa.public_key());
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let rsa_jwk = format!(r#"{{"kty":"RSA","n":"{}","e":"{}"}}"#, number(&n), number(&e));
        let p384 = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let (x, y) = p384.public_key().as_ref()[1..].split_at(48);
        let p384_jwk = format!(r#"{{"kty":"EC","crv":"P-384","x":"{}","y":"{}"}}"#, number(x), number(y));
        let keys = ClientKeys::parse(&jwks_document(&[&rsa_jwk, &p384_jwk])).unwrap();
        let encodings: [(&str, &'static dyn signature::RsaEncoding); 6] = [
            ("RS256", &signature::RSA_PKCS1_SHA256),
            ("RS384", &signature::RSA_PKCS1_SHA384),
            ("RS512", &signature::RSA_PKCS1_SHA512),
            ("PS256", &signature::RSA_PSS_SHA256),
            ("PS384", &signature::RSA_PSS_SHA384),
            ("PS512", &signature::RSA_PSS_SHA512),
        ];
        let rng = SystemRandom::new();
        for (name, encoding) in encodings {
            let jwt = jws(&format!(r#"{{"alg":"{name}"}}"#), GOOD, |message| {
                let mut signature = vec![0; 256];
                rsa.sign(encoding, &rng, message, &mut signature).unwrap();
                signature
            });
            assert!(verify(&jwt, &keys, Some(name)).is_ok(), "{name}");
        }
        let jwt = jws(r#"{"alg":"ES384"}"#, GOOD, |message| p384.sign(&rng, message).unwrap().as_ref().to_vec());
        assert!(verify(&jwt, &keys, None).is_ok());
    }

    #[test]
    fn algorithms_that_prove_nothing_are_refused() {
        let (_, public) = key(SigningAlg::Es256);
        let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
        for alg in
            ["none", "None", "NONE", "nOnE", "", "HS256", "hs256", "HS384", "HS512", "es256", "ES512", "ES256K", "dir"]
        {
            for kid in [r#","kid":"kid-1""#, ""] {
                let header = format!(r#"{{"alg":"{alg}"{kid}}}"#);
                let mac = jws(&header, GOOD, |message| aws_lc_rs::hmac::sign(&mac_key, message).as_ref().to_vec());
                assert_eq!(verify(&mac, &keys(), None), Err(AssertionFlaw::Algorithm), "{alg}");
                let bare = jws(&header, GOOD, |_| Vec::new());
                assert_eq!(verify(&bare, &keys(), None), Err(AssertionFlaw::Malformed), "{alg}");
            }
        }
    }

    #[test]
    fn foreign_keys_and_altered_bytes_are_refused() {
        let foreign = generate(SigningAlg::Es256, "kid-1").unwrap();
        let foreign_key = SigningKey::from_pkcs8("kid-1", SigningAlg::Es256, &foreign.pkcs8).unwrap();
        let embedded = format!(
            r#"{{"alg":"ES256","jwk":{},"jku":"https://evil.example/jwks","x5u":"https://evil.example/c","x5c":["AAAA"]}}"#,
            foreign.public_jwk
        );
        for header in [ES256, r#"{"alg":"ES256"}"#, &embedded] {
            let jwt = sign_raw(&foreign_key, header, GOOD);
            assert_eq!(verify(&jwt, &keys(), None), Err(AssertionFlaw::Signature), "{header}");
        }
        let good = sign_raw(key(SigningAlg::Es256).0, ES256, GOOD);
        let parts: Vec<&str> = good.split('.').collect();
        let altered = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(GOOD.replace("c1", "c2")), parts[2]);
        let zero = format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64]));
        // The right key, but its signature under the name of another algorithm.
        let swapped = sign_raw(key(SigningAlg::EdDsa).0, ES256, GOOD);
        for jwt in [altered, zero, swapped, format!("{good}A"), format!("{good}==")] {
            assert_eq!(verify(&jwt, &keys(), None), Err(AssertionFlaw::Signature), "{jwt}");
        }
    }

    #[test]
    fn a_kid_only_chooses_among_registered_keys() {
        for kid in ["../../etc/passwd", "https://evil.example", "kid-1' OR 1=1", "KID-1", "kid-1\\u0000", ""] {
            let header = format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#);
            assert_eq!(es(&header, GOOD), Err(AssertionFlaw::UnknownKey), "{kid}");
        }
        let only_ed = ClientKeys::parse(&jwks_document(&[key(SigningAlg::EdDsa).1])).unwrap();
        let jwt = sign_raw(key(SigningAlg::Es256).0, ES256, GOOD);
        assert_eq!(verify(&jwt, &only_ed, None), Err(AssertionFlaw::UnknownKey));
    }

    #[test]
    fn garbage_and_ambiguous_headers_are_refused() {
        assert_eq!(es(r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, GOOD), Err(AssertionFlaw::Critical));
        for header in [r#"{"alg":"ES256","alg":"none"}"#, r#"{"kid":"kid-1"}"#, r#"{"alg":["ES256"]}"#, "ES256", ""] {
            assert_eq!(es(header, GOOD), Err(AssertionFlaw::Malformed), "{header}");
        }
        for junk in ["", "..", "a.b", "a.b.c", "a.b.c.d.e", "ä.ö.ü", &"A.".repeat(9000)] {
            assert_eq!(verify(junk, &keys(), None), Err(AssertionFlaw::Malformed), "{junk}");
            assert_eq!(assertion_client_id(junk), None);
        }
    }

    #[test]
    fn claims_have_their_types_and_stand_once() {
        assert_eq!(es(ES256, r#"{"iss":"c1","sub":"c1"}"#), Err(AssertionFlaw::NoExpiry));
        assert_eq!(es(ES256, r#"{"iss":"c1","sub":"c1","exp":null}"#), Err(AssertionFlaw::NoExpiry));
        for bad in [
            r#"{"iss":"c1","sub":"c1","exp":"1700000060"}"#,
            r#"{"iss":"c1","sub":"c1","exp":true}"#,
            r#"{"iss":"c1","sub":"c1","exp":1e300}"#,
            r#"{"iss":"c1","sub":"c1","exp":99999999999999999999}"#,
            r#"{"iss":"c1","sub":"c1","exp":1,"exp":9999999999}"#,
            r#"{"iss":"c1","sub":"c1","exp":1,"iat":"x"}"#,
            r#"{"iss":"c1","sub":"c1","exp":1,"nbf":[]}"#,
            r#"{"iss":"c1","sub":"c1","exp":1,"jti":7}"#,
            r#"{"iss":"c1","sub":"c1","exp":1,"aud":{"a":1}}"#,
            r#"{"iss":"c1","exp":1}"#,
            r#"{"iss":1,"sub":"c1","exp":1}"#,
            "[]",
            "",
        ] {
            assert_eq!(es(ES256, bad), Err(AssertionFlaw::Claims), "{bad}");
        }
        assert_eq!(es(ES256, r#"{"iss":"c1","sub":"c1","exp":-1.5,"aud":["a","b"]}"#).unwrap().expires_at, -2);
        let differing = sign_raw(key(SigningAlg::Es256).0, ES256, r#"{"iss":"c1","sub":"c2","exp":1}"#);
        assert_eq!(assertion_client_id(&differing), None);
    }
}
