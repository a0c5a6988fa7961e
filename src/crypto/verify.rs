//! Our own access tokens, read back: the signature by a published key of the provider, the header
//! and claims exactly as we write them. Whether a token has expired, was revoked or is meant for
//! the caller is not judged here; the claims are returned and our clock decides.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use crate::crypto::jose::{Compact, Header, OneOrMany, decode};
use crate::crypto::jwk::WireJwk;
use crate::crypto::signer::typ_name;
use crate::domain::token::{AccessClaims, AccessTyp, Epochs, Jti};
use crate::domain::{AudienceSet, Fault, ScopeSet, SigningAlg};

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
    if header.has_critical() || header.alg != key.alg.name() || !compact.is_signed_by(&key.key, algorithm(key.alg)) {
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

/// The claims as [`crate::crypto::jwt::access_payload`] writes them; each named once.
#[derive(Deserialize)]
struct WireAccess<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    sub: Cow<'a, str>,
    #[serde(borrow)]
    aud: OneOrMany<'a>,
    exp: i64,
    iat: i64,
    #[serde(borrow)]
    jti: Cow<'a, str>,
    #[serde(borrow)]
    client_id: Cow<'a, str>,
    #[serde(borrow, default)]
    scope: Cow<'a, str>,
    #[serde(borrow)]
    ep: Cow<'a, str>,
}

/// Reads the payload of a token whose genuineness has been proven.
pub(in crate::crypto) fn read_access(payload: &[u8], typ: AccessTyp) -> Option<AccessClaims> {
    let WireAccess { iss, sub, aud, exp, iat, jti, client_id, scope, ep } = serde_json::from_slice(payload).ok()?;
    Some(AccessClaims {
        issuer: iss.into_owned(),
        subject: sub.into_owned(),
        audience: AudienceSet::of(aud.0.iter().map(Deref::deref)).ok()?,
        client_id: client_id.into_owned(),
        scope: ScopeSet::parse(&scope).ok()?,
        jti: Jti::parse(&jti)?,
        issued_at: iat,
        expires_at: exp,
        epochs: Epochs::parse(&ep)?,
        typ,
    })
}
