//! Our own access tokens, read back: the signature by a published key of the provider, the header
//! and claims exactly as we write them. Whether a token has expired, was revoked or is meant for
//! the caller is not judged here; the claims are returned and our clock decides.

use std::fmt;
use std::ops::Deref;

use jsonwebtoken::{Algorithm, DecodingKey};

use crate::crypto::access_claims::read_access;
use crate::crypto::jose::{Compact, Header, decode};
use crate::crypto::jwk::WireJwk;
use crate::crypto::signer::typ_name;
use crate::domain::token::{AccessClaims, AccessTyp};
use crate::domain::{Fault, SigningAlg};

/// A published key of ours, parsed once.
pub struct VerifyingKey {
    pub kid: String,
    pub alg: SigningAlg,
    key: DecodingKey,
}

impl VerifyingKey {
    /// Reads the JWK text that was stored with the signing key. A fault if it is not a key of `alg`.
    pub fn from_jwk(kid: &str, alg: SigningAlg, public_jwk: &str) -> Result<Self, Fault> {
        let odd = |why: &dyn fmt::Display| Fault::crypto(format!("the public JWK of signing key {kid}: {why}"));
        let jwk: WireJwk = serde_json::from_str(public_jwk).map_err(|why| odd(&why))?;
        let public = jwk.public_key().map_err(|why| odd(&why))?;
        if !public.algorithms.contains(&algorithm(alg)) {
            return Err(odd(&"it is of another algorithm"));
        }
        Ok(Self { kid: kid.to_owned(), alg, key: public.key })
    }

    /// Whether this key signed it, by the key's own algorithm, which the header must name.
    pub(in crate::crypto) fn made(&self, compact: &Compact<'_>, header: &Header<'_>) -> bool {
        header.alg == self.alg.name() && compact.is_signed_by(&self.key, algorithm(self.alg))
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({} {})", self.alg.name(), self.kid)
    }
}

/// The claims of a genuine access token in JWT form, expired or not; `None` for everything else.
/// `key_of` finds a published key of the provider by `kid`.
///
/// The header must name the key's own algorithm, be without `crit`, and have `typ` `at+jwt` or
/// `jwt`; so an ID token, which has none, is never taken (RFC 9068 §4).
pub fn verify_access<K: Deref<Target = VerifyingKey>>(
    jwt: &str,
    key_of: impl FnOnce(&str) -> Option<K>,
) -> Option<AccessClaims> {
    let compact = Compact::cut(jwt)?;
    let header_json = decode(compact.header)?;
    let header = Header::read(&header_json)?;
    let typ = access_typ(header.typ.as_deref()?)?;
    let key = key_of(header.kid.as_deref()?)?;
    if header.has_critical() || !key.made(&compact, &header) {
        return None;
    }
    read_access(&decode(compact.payload)?, typ)
}

/// RFC 9068 §4 names `at+jwt` and `application/at+jwt`; media types are compared without regard to
/// letter case (RFC 7515 §4.1.9).
fn access_typ(text: &str) -> Option<AccessTyp> {
    let short = match text.split_once('/') {
        Some((tree, short)) if tree.eq_ignore_ascii_case("application") => short,
        Some(_) => return None,
        None => text,
    };
    [AccessTyp::AtJwt, AccessTyp::Jwt].into_iter().find(|typ| short.eq_ignore_ascii_case(typ_name(*typ)))
}

const fn algorithm(alg: SigningAlg) -> Algorithm {
    match alg {
        SigningAlg::Es256 => Algorithm::ES256,
        SigningAlg::Rs256 => Algorithm::RS256,
        SigningAlg::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::crypto::jwt::access_payload;
    use crate::crypto::jwt::tests::claims;
    use crate::crypto::signer::SigningKey;
    use crate::crypto::signer::tests::{key, sign_raw};
    use crate::domain::{AudienceSet, ScopeSet};

    fn published(alg: SigningAlg) -> Arc<VerifyingKey> {
        Arc::new(VerifyingKey::from_jwk("kid-1", alg, key(alg).1).unwrap())
    }

    fn verify(jwt: &str, alg: SigningAlg) -> Option<AccessClaims> {
        verify_access(jwt, |kid| (kid == "kid-1").then(|| published(alg)))
    }

    fn payload() -> String {
        String::from_utf8(access_payload(&claims())).unwrap()
    }

    #[test]
    fn a_token_of_each_algorithm_and_typ_reads_back_as_it_was() {
        for alg in SigningAlg::ALL {
            for typ in [AccessTyp::AtJwt, AccessTyp::Jwt] {
                let claims = AccessClaims {
                    typ,
                    subject: "ÿ~>\"\\\u{1}😀".into(),
                    audience: AudienceSet::of(["a", "b"]).unwrap(),
                    scope: ScopeSet::default(),
                    ..claims()
                };
                let jwt = key(alg).0.sign_access(&claims).unwrap();
                assert_eq!(verify(&jwt, alg), Some(claims));
            }
        }
    }

    #[test]
    fn every_changed_cut_and_extended_token_is_refused() {
        let alg = SigningAlg::EdDsa;
        let jwt = key(alg).0.sign_access(&claims()).unwrap();
        assert!(verify(&jwt, alg).is_some());
        for at in 0..jwt.len() {
            for other in ['A', 'B', '.', '=', '\u{0}'] {
                let mut changed = jwt.clone();
                changed.replace_range(at..=at, &other.to_string());
                assert!(changed == jwt || verify(&changed, alg).is_none(), "{at} {other:?}");
            }
            let mut flipped = jwt.clone();
            let letter = if jwt.as_bytes()[at].is_ascii_lowercase() {
                jwt[at..=at].to_uppercase()
            } else {
                jwt[at..=at].to_lowercase()
            };
            flipped.replace_range(at..=at, &letter);
            assert!(flipped == jwt || verify(&flipped, alg).is_none(), "{at} case");
            assert!(verify(&jwt[..at], alg).is_none());
            assert!(verify(&jwt[at + 1..], alg).is_none());
        }
        let parts: Vec<&str> = jwt.split('.').collect();
        let long = "A".repeat(20_000);
        for junk in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "ä.ö.ü",
            &long,
            &format!("{jwt}.{long}"),
            &format!("{jwt}A"),
            &format!("{jwt}="),
            &format!("{jwt}."),
            &format!(" {jwt}"),
            &format!("{}.{}.", parts[0], parts[1]),
            &jwt.to_lowercase(),
            &format!("{}.{}.{}", parts[1], parts[0], parts[2]),
            &format!("{}..{}", parts[0], parts[2]),
            &format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode([0; 64])),
        ] {
            assert!(verify(junk, alg).is_none(), "{junk}");
        }
    }

    #[test]
    fn the_header_decides_nothing_but_which_of_our_keys() {
        let (es256, es256_jwk) = key(SigningAlg::Es256);
        let es = |header: &str| verify(&sign_raw(es256, header, &payload()), SigningAlg::Es256);
        for good in [
            r#"{"alg":"ES256","kid":"kid-1","typ":"at+jwt"}"#,
            r#"{"typ":"application/AT+JWT","alg":"ES256","kid":"kid-1","x":[1]}"#,
            r#"{"alg":"ES256","kid":"kid-1","typ":"JWT"}"#,
        ] {
            assert!(es(good).is_some(), "{good}");
        }
        for bad in [
            r#"{"alg":"ES256","kid":"kid-1"}"#,
            r#"{"alg":"ES256","kid":"kid-1","typ":null}"#,
            r#"{"alg":"ES256","kid":"kid-1","typ":"id+jwt"}"#,
            r#"{"alg":"ES256","kid":"kid-1","typ":"text/jwt"}"#,
            r#"{"alg":"ES256","kid":"kid-1","typ":"at+jwt","crit":["exp"]}"#,
            r#"{"alg":"ES256","kid":"kid-1","typ":"at+jwt","crit":null}"#,
            r#"{"alg":"ES256","kid":"kid-1","typ":"at+jwt","typ":"at+jwt"}"#,
            r#"{"alg":"ES256","alg":"ES256","kid":"kid-1","typ":"at+jwt"}"#,
            r#"{"alg":"ES256","typ":"at+jwt"}"#,
            r#"{"alg":"ES256","kid":"../kid-1","typ":"at+jwt"}"#,
            r#"{"alg":"es256","kid":"kid-1","typ":"at+jwt"}"#,
            r#"{"alg":"RS256","kid":"kid-1","typ":"at+jwt"}"#,
            r#"{"alg":"EdDSA","kid":"kid-1","typ":"at+jwt"}"#,
            r#"{"alg":"none","kid":"kid-1","typ":"at+jwt"}"#,
            r#"{"alg":1,"kid":"kid-1","typ":"at+jwt"}"#,
            r#"["ES256"]"#,
            "",
        ] {
            assert!(es(bad).is_none(), "{bad}");
        }
        // A key that comes with the token is not looked at.
        let foreign = crate::crypto::signer::generate(SigningAlg::Es256, "kid-1").unwrap();
        let header = format!(r#"{{"alg":"ES256","kid":"kid-1","typ":"at+jwt","jwk":{}}}"#, foreign.public_jwk);
        let foreign = SigningKey::from_pkcs8("kid-1", SigningAlg::Es256, &foreign.pkcs8).unwrap();
        assert!(verify(&sign_raw(&foreign, &header, &payload()), SigningAlg::Es256).is_none());
        // HS256 keyed with what everybody can read.
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"kid-1","typ":"at+jwt"}"#);
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload()));
        let mac_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, es256_jwk.as_bytes());
        let tag = aws_lc_rs::hmac::sign(&mac_key, message.as_bytes());
        assert!(verify(&format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)), SigningAlg::Es256).is_none());
    }

    #[test]
    fn a_payload_that_we_do_not_write_is_refused_even_when_signed() {
        let good = payload();
        let header = r#"{"alg":"EdDSA","kid":"kid-1","typ":"at+jwt"}"#;
        let ed = |payload: &str| verify(&sign_raw(key(SigningAlg::EdDsa).0, header, payload), SigningAlg::EdDsa);
        assert!(ed(&good).is_some());
        for (from, to) in [
            ("\"exp\":1700003600", "\"exp\":\"1700003600\""),
            ("\"exp\":1700003600,", ""),
            ("\"exp\":1700003600", "\"exp\":1700003600,\"exp\":1"),
            ("\"exp\":1700003600", "\"exp\":1e400"),
            ("\"ep\":\"1.2.0.0\"", "\"ep\":\"1.2\""),
            (",\"ep\":\"1.2.0.0\"", ""),
            ("\"aud\":\"https://api.example\"", "\"aud\":[1]"),
            ("\"aud\":\"https://api.example\",", ""),
            ("\"jti\":\"", "\"jti\":\"x"),
            ("\"sub\":", "\"Sub\":"),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            assert!(ed(&changed).is_none(), "{changed}");
        }
        assert!(ed("[]").is_none() && ed("").is_none() && ed("\u{feff}{}").is_none());
    }

    #[test]
    fn an_id_token_is_not_an_access_token() {
        let id = key(SigningAlg::Rs256).0.sign(None, &access_payload(&claims())).unwrap();
        assert!(verify(&id, SigningAlg::Rs256).is_none());
    }

    #[test]
    fn a_stored_jwk_of_another_algorithm_is_a_fault() {
        let fault = VerifyingKey::from_jwk("kid-9", SigningAlg::Rs256, key(SigningAlg::Es256).1).unwrap_err();
        assert!(fault.to_string().contains("kid-9"));
        assert!(VerifyingKey::from_jwk("kid-9", SigningAlg::Rs256, "{}").is_err());
    }
}
