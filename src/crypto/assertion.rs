//! Client assertions (`private_key_jwt`, RFC 7523 §3, OIDC Core §9): the signature and the shape of
//! the claims. The rules on issuer, audience, times and `jti` belong to whoever knows the client and
//! the clock.

use serde::Deserialize;
use serde_json::Number;
use std::borrow::Cow;

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
/// Of the returned claims nothing but their types has been judged.
pub fn verify_assertion(
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
    let mut fitting = keys.fitting(header.kid.as_deref(), alg).peekable();
    if fitting.peek().is_none() {
        return Err(AssertionFlaw::UnknownKey);
    }
    if !fitting.any(|key| compact.is_signed_by(key, alg)) {
        return Err(AssertionFlaw::Signature);
    }
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
            audience: aud.map_or_else(Vec::new, |values| values.0.into_iter().map(Cow::into_owned).collect()),
            jti: jti.map(Cow::into_owned),
            expires_at: seconds(exp)?.ok_or(AssertionFlaw::NoExpiry)?,
            issued_at: seconds(iat)?,
            not_before: seconds(nbf)?,
        })
    }
}

/// A NumericDate may have a fraction (RFC 7519 §2); it is rounded down.
fn whole_seconds(number: &Number) -> Result<i64, AssertionFlaw> {
    // Beyond 2⁵³ neighbouring seconds are one and the same double: no date is meant by that.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    if let Some(seconds) = number.as_i64() {
        return Ok(seconds);
    }
    let seconds = number.as_f64().map(f64::floor).filter(|seconds| seconds.abs() <= LARGEST);
    #[allow(clippy::cast_possible_truncation)] // within ±2⁵³, and whole
    seconds.map(|seconds| seconds as i64).ok_or(AssertionFlaw::Claims)
}
