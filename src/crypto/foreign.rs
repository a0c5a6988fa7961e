//! Tokens of other issuers: read strictly, their signature checked with the issuer's published keys.
//! Which issuer is believed, and on what conditions, is the engine's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use tokio::task::yield_now;

use crate::crypto::assertion::whole_seconds;
use crate::crypto::client_keys::{ClientKeys, assertion_alg};
use crate::crypto::jose::{Compact, Header, MAX_TOKEN, decode};
use crate::domain::external::{ClaimValue, ExternalToken, MayAct, Named};

/// Why a token cannot be read or is not genuine. For the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForeignFlaw {
    #[error("it is not a compact JWS of at most 16 KiB with a readable header, each member named once")]
    Malformed,
    #[error(
        "its payload is not a JSON object that names each claim once, with iss as text and exp, iat, nbf as numbers"
    )]
    Claims,
    #[error("its algorithm is not an asymmetric one that we know")]
    Algorithm,
    #[error("no published key has its kid and fits its algorithm")]
    UnknownKey,
    #[error("more keys fit it than are tried for one token: publish each key with a kid, and name it in the header")]
    TooManyKeys,
    #[error("the signature is wrong")]
    Signature,
}

/// Reads a token. Nothing of it is believed yet: it says where to look for the keys. Keys in the
/// header (`jwk`, `jku`, `x5u`, `x5c`) are not even read.
pub fn read_foreign(jwt: &str) -> Result<ExternalToken, ForeignFlaw> {
    let compact = cut(jwt).ok_or(ForeignFlaw::Malformed)?;
    let header = decode(compact.0).ok_or(ForeignFlaw::Malformed)?;
    let header = Header::read(&header).ok_or(ForeignFlaw::Malformed)?;
    let payload = decode(compact.1).ok_or(ForeignFlaw::Claims)?;
    let Claims(claims) = serde_json::from_slice(&payload).map_err(|_| ForeignFlaw::Claims)?;
    let number = |name: &str| match claims.get(name) {
        None => Ok(None),
        Some(Value::Number(number)) => whole_seconds(number).map(Some).map_err(|_| ForeignFlaw::Claims),
        Some(_) => Err(ForeignFlaw::Claims),
    };
    let audience = match claims.get("aud") {
        None => Some(BTreeSet::new()),
        Some(Value::String(one)) => Some(BTreeSet::from([one.clone()])),
        Some(Value::Array(many)) => many.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        Some(_) => None,
    };
    Ok(ExternalToken {
        algorithm: header.alg.clone().into_owned(),
        key_id: header.kid.clone().map(|kid| kid.into_owned()),
        typ: header.typ.clone().map(|typ| typ.into_owned()),
        has_critical: header.has_critical(),
        issuer: claims.get("iss").and_then(Value::as_str).ok_or(ForeignFlaw::Claims)?.to_owned(),
        audience: audience.ok_or(ForeignFlaw::Claims)?,
        expires_at: number("exp")?,
        issued_at: number("iat")?,
        not_before: number("nbf")?,
        may_act: claims.get("may_act").map(may_act),
        claims: claims.into_iter().map(|(name, value)| (name, seen(value))).collect(),
    })
}

/// Checks the signature with the keys that have the token's `kid` and fit its algorithm. Each check takes
/// one of `checks`, which are for the whole token, whatever rows and keys it meets.
///
/// Waits between two checks: one alone can take a large part of a millisecond.
pub async fn verify_foreign(jwt: &str, keys: &ClientKeys, checks: &mut u32) -> Result<(), ForeignFlaw> {
    let compact = Compact::cut(jwt).ok_or(ForeignFlaw::Malformed)?;
    let header = decode(compact.header).ok_or(ForeignFlaw::Malformed)?;
    let header = Header::read(&header).ok_or(ForeignFlaw::Malformed)?;
    let alg = assertion_alg(&header.alg).ok_or(ForeignFlaw::Algorithm)?;
    let mut flaw = ForeignFlaw::UnknownKey;
    for key in keys.fitting(header.kid.as_deref(), alg) {
        if flaw == ForeignFlaw::Signature {
            yield_now().await;
        }
        *checks = checks.checked_sub(1).ok_or(ForeignFlaw::TooManyKeys)?;
        if compact.is_signed_by(key, alg) {
            return Ok(());
        }
        flaw = ForeignFlaw::Signature;
    }
    Err(flaw)
}

/// Header and payload, also of a token without a signature: what is wrong with that one is told as
/// its algorithm.
fn cut(jwt: &str) -> Option<(&str, &str)> {
    let unsigned = jwt.strip_suffix('.').filter(|rest| !rest.ends_with('.'));
    match unsigned.and_then(|rest| rest.split_once('.')) {
        Some((header, payload)) if !payload.contains('.') && jwt.len() <= MAX_TOKEN => Some((header, payload)),
        _ => Compact::cut(jwt).map(|compact| (compact.header, compact.payload)),
    }
}

fn may_act(value: &Value) -> MayAct {
    let named = |name: &str| match value.get(name) {
        None => Named::Absent,
        Some(Value::String(text)) => Named::Text(text.clone()),
        Some(_) => Named::Unreadable,
    };
    MayAct { issuer: named("iss"), subject: named("sub"), client_id: named("client_id") }
}

fn seen(value: Value) -> ClaimValue {
    match value {
        Value::String(text) => ClaimValue::Text(text),
        Value::Number(number) => ClaimValue::Plain(number.to_string()),
        Value::Bool(flag) => ClaimValue::Plain(flag.to_string()),
        Value::Array(items) => ClaimValue::List(items.into_iter().map(seen).collect()),
        Value::Null | Value::Object(_) => ClaimValue::Other,
    }
}

/// The members of the payload; one that stands twice makes it unreadable (RFC 7519 §4).
struct Claims(BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Claims;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Claims, A::Error> {
                let mut claims = BTreeMap::new();
                while let Some((name, value)) = access.next_entry()? {
                    if claims.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a claim stands twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::crypto::jwk::jwks_document;
    use crate::crypto::signer::tests::{at_once, key, polled, sign_raw};
    use crate::domain::SigningAlg;

    const CLAIMS: &str =
        r#"{"iss":"https://i","sub":"u","aud":["a","b"],"exp":2.5,"iat":1,"n":7,"b":true,"l":["x",1,null],"o":{}}"#;

    fn verify(jwt: &str, keys: &ClientKeys) -> Result<(), ForeignFlaw> {
        at_once(verify_foreign(jwt, keys, &mut 20))
    }

    fn signed(header: &str, payload: &str) -> String {
        sign_raw(key(SigningAlg::Es256).0, header, payload)
    }

    #[test]
    fn a_token_is_read_with_every_claim() {
        let token = read_foreign(&signed(r#"{"alg":"ES256","kid":"kid-1"}"#, CLAIMS)).unwrap();
        assert_eq!((token.issuer.as_str(), token.text("sub")), ("https://i", Some("u")));
        assert!(token.audience.iter().eq(["a", "b"]));
        assert_eq!((token.expires_at, token.issued_at, token.not_before), (Some(2), Some(1), None));
        assert_eq!(token.claims["n"], ClaimValue::Plain("7".into()));
        assert!(token.is_true("b") && !token.is_true("n"));
        assert_eq!(token.claims["o"], ClaimValue::Other);
        let list = vec![ClaimValue::Text("x".into()), ClaimValue::Plain("1".into()), ClaimValue::Other];
        assert_eq!(token.claims["l"], ClaimValue::List(list));
    }

    #[test]
    fn a_token_that_says_something_twice_or_in_a_wrong_type_is_not_read() {
        for payload in [
            r#"{"iss":"a","iss":"b"}"#,
            r#"{"iss":"a","x":1,"x":2}"#,
            r#"{"sub":"a"}"#,
            r#"{"iss":["a"]}"#,
            "[]",
            "",
            r#"{"iss":"a","exp":"9"}"#,
            r#"{"iss":"a","exp":1e99}"#,
            r#"{"iss":"a","aud":7}"#,
            r#"{"iss":"a","aud":["x",1]}"#,
            r#"{"iss":"a","nbf":null}"#,
        ] {
            assert_eq!(read_foreign(&signed(r#"{"alg":"ES256"}"#, payload)), Err(ForeignFlaw::Claims), "{payload}");
        }
        for header in ["{}", r#"{"alg":"ES256","alg":"RS256"}"#, r#"{"alg":7}"#, "x"] {
            assert_eq!(read_foreign(&signed(header, CLAIMS)), Err(ForeignFlaw::Malformed), "{header}");
        }
        for junk in ["", "a.b", "a.b.c.d", "..", "...", "a..", &"x".repeat(20_000)] {
            assert!(read_foreign(junk).is_err(), "{junk}");
        }
        let long = format!(r#"{{"iss":"a","x":"{}"}}"#, "x".repeat(13_000));
        assert_eq!(read_foreign(&signed(r#"{"alg":"ES256"}"#, &long)), Err(ForeignFlaw::Malformed));
        // Read, so that it can be said what is wrong with it; never genuine.
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(CLAIMS));
        assert_eq!(read_foreign(&none).unwrap().algorithm, "none");
        let keys = ClientKeys::parse_published(jwks_document(&[key(SigningAlg::Es256).1]).as_bytes()).unwrap();
        assert_eq!(verify(&none, &keys), Err(ForeignFlaw::Malformed));
    }

    #[test]
    fn only_a_published_key_that_fits_makes_a_token_genuine() {
        let keys = |alg| ClientKeys::parse_published(jwks_document(&[key(alg).1]).as_bytes()).unwrap();
        let own = keys(SigningAlg::Es256);
        let token = |header: &str| signed(header, CLAIMS);
        for header in [r#"{"alg":"ES256","kid":"kid-1"}"#, r#"{"alg":"ES256"}"#] {
            assert_eq!(verify(&token(header), &own), Ok(()), "{header}");
        }
        let cases = [
            (r#"{"alg":"ES256","kid":"other"}"#, ForeignFlaw::UnknownKey),
            (r#"{"alg":"RS256","kid":"kid-1"}"#, ForeignFlaw::UnknownKey),
            (r#"{"alg":"HS256","kid":"kid-1"}"#, ForeignFlaw::Algorithm),
            (r#"{"alg":"none"}"#, ForeignFlaw::Algorithm),
            (r#"{"alg":"es256"}"#, ForeignFlaw::Algorithm),
        ];
        for (header, flaw) in cases {
            assert_eq!(verify(&token(header), &own), Err(flaw), "{header}");
        }
        let good = token(r#"{"alg":"ES256"}"#);
        assert_eq!(verify(&good, &keys(SigningAlg::Rs256)), Err(ForeignFlaw::UnknownKey));
        let (message, signature) = good.rsplit_once('.').unwrap();
        let mut turned = URL_SAFE_NO_PAD.decode(signature).unwrap();
        turned[0] ^= 1;
        let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode(turned));
        assert_eq!(verify(&forged, &own), Err(ForeignFlaw::Signature));
    }
    #[test]
    fn keys_are_tried_as_often_as_the_token_has_checks() {
        let es256 = |kid: &str| key(SigningAlg::Es256).1.replace("kid-1", kid);
        let others: Vec<String> =
            (0..5).map(|_| crate::crypto::signer::generate(SigningAlg::Es256, "o").unwrap().public_jwk).collect();
        let mut all: Vec<&str> = others.iter().map(String::as_str).collect();
        let own = es256("own");
        all.push(&own);
        let keys = ClientKeys::parse_published(jwks_document(&all).as_bytes()).unwrap();
        let token = signed(r#"{"alg":"ES256"}"#, CLAIMS);
        for (mut checks, left, expected) in [
            (5, 0, Err(ForeignFlaw::TooManyKeys)),
            (6, 0, Ok(())),
            (9, 3, Ok(())),
            (0, 0, Err(ForeignFlaw::TooManyKeys)),
        ] {
            let tried = checks.min(6) as usize;
            let (verdict, pauses) = polled(verify_foreign(&token, &keys, &mut checks));
            assert_eq!((verdict, checks), (expected, left));
            let between = if verdict.is_ok() { tried - 1 } else { tried };
            assert_eq!(pauses, between, "others run between two keys");
        }
        // A kid that nobody has costs no check.
        let mut checks = 1;
        let unknown = signed(r#"{"alg":"ES256","kid":"x"}"#, CLAIMS);
        assert_eq!(at_once(verify_foreign(&unknown, &keys, &mut checks)), Err(ForeignFlaw::UnknownKey));
        assert_eq!(checks, 1);
    }
}
