//! Claims of free form that one may put into a minted token: none that anybody reads as said by us.

use crate::domain::{FreeClaim, Refusal};

const MAX_CLAIMS: usize = 32;
const MAX_NAME: usize = 128;
/// Names and values together, bytes: a token travels in a header.
const MAX_BYTES: usize = 4096;

/// Refuses names that are reserved or odd, and too much of it.
pub fn check(claims: &[FreeClaim]) -> Result<(), Refusal> {
    let bytes: usize = claims.iter().map(|claim| claim.name.len() + claim.json.len()).sum();
    if claims.len() > MAX_CLAIMS || bytes > MAX_BYTES {
        return Err(Refusal::malformed("claims must be at most 32, and 4096 bytes in all."));
    }
    // Printable ASCII only: some readers fold other letters onto ours, as they fold their case.
    let odd = |name: &str| !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic());
    if claims.iter().any(|claim| odd(&claim.name)) {
        return Err(Refusal::malformed(
            "The name of a claim must be 1 to 128 printable ASCII characters without space.",
        ));
    }
    if claims.iter().any(|claim| is_reserved(&claim.name)) {
        return Err(Refusal::malformed("claims names one that is reserved."));
    }
    Ok(())
}

/// In any letter case: JSON readers exist that match members without regard to it.
fn is_reserved(name: &str) -> bool {
    RESERVED.iter().flat_map(|group| group.iter()).any(|reserved| name.eq_ignore_ascii_case(reserved))
}

const RESERVED: [&[&str]; 5] = [
    // RFC 7519 §4.1, RFC 8693, RFC 9068, RFC 7800, RFC 8417, RFC 9449, RFC 9396.
    &[
        "iss",
        "sub",
        "aud",
        "exp",
        "nbf",
        "iat",
        "jti",
        "scope",
        "client_id",
        "act",
        "may_act",
        "cnf",
        "events",
        "toe",
        "txn",
        "htm",
        "htu",
        "ath",
        "sub_id",
        "authorization_details",
        "groups",
        "roles",
        "entitlements",
    ],
    // OpenID Connect Core §2, §3.1.3.6, §3.3.2.11, §5.1, §5.6.2, §7.4 and the logout specifications.
    &[
        "nonce",
        "auth_time",
        "acr",
        "amr",
        "azp",
        "at_hash",
        "c_hash",
        "s_hash",
        "sid",
        "sub_jwk",
        "_claim_names",
        "_claim_sources",
        "name",
        "given_name",
        "family_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "email",
        "email_verified",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "phone_number",
        "phone_number_verified",
        "address",
        "updated_at",
    ],
    // OpenID Connect for Identity Assurance, SD-JWT, verifiable credentials, Vectors of Trust.
    &["verified_claims", "_sd", "_sd_alg", "...", "sd_hash", "vct", "status", "vc", "vp", "vot", "vtm"],
    // RFC 7662 §2.2: what introspection itself says.
    &["active", "username", "token_type"],
    // Our own, and those of the surfaces.
    &["ep", "grant_id", "one_time", "access", "data", "subject", "scopes", "project_claims"],
];

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str) -> Result<(), Refusal> {
        check(&[FreeClaim { name: name.into(), json: "1".into() }])
    }

    #[test]
    fn reserved_names_are_refused_in_any_letter_case_and_others_pass() {
        for bad in ["sub", "SUB", "nonce", "Email", "ep", "scopes", "active", "", "a b", "\u{17f}ub", "x\n"] {
            assert!(judge(bad).is_err(), "{bad}");
        }
        for good in ["room", "https://example.com/claims/room", "tenant_id", "subs"] {
            assert!(judge(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn claims_are_bounded_in_number_and_size() {
        let claim = |at: usize| FreeClaim { name: format!("c{at}"), json: "1".into() };
        assert!(check(&(0..32).map(claim).collect::<Vec<_>>()).is_ok());
        assert!(check(&(0..33).map(claim).collect::<Vec<_>>()).is_err());
        assert!(check(&[FreeClaim { name: "a".into(), json: "x".repeat(4096) }]).is_err());
    }
}
