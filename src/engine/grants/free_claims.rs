//! Claims of free form that one may put into a minted token: none that anybody reads as said by us.

use crate::domain::{FreeClaim, Refusal};

const MAX_CLAIMS: usize = 32;
const MAX_NAME: usize = 128;
/// Names and values together, bytes as they are written: a token travels in a header.
const MAX_BYTES: usize = 4096;

/// Refuses names that are reserved or odd, and too much of it.
pub fn check(claims: &[FreeClaim]) -> Result<(), Refusal> {
    let bytes: usize = claims.iter().map(|claim| written(&claim.name) + written(&claim.json)).sum();
    if claims.len() > MAX_CLAIMS || bytes > MAX_BYTES {
        return Err(Refusal::field_called("/claims", "claims", "must be at most 32, and 4096 bytes in all"));
    }
    // Printable ASCII only: some readers fold other letters onto ours, as they fold their case.
    let odd = |name: &str| !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic());
    if claims.iter().any(|claim| odd(&claim.name)) {
        return Err(Refusal::field_called(
            "/claims",
            "The name of a claim",
            "must be 1 to 128 printable ASCII characters without space",
        ));
    }
    if claims.iter().any(|claim| is_reserved(&claim.name)) {
        return Err(Refusal::field_called("/claims", "claims", "names one that is reserved"));
    }
    Ok(())
}

/// In any letter case: JSON readers exist that match members without regard to it.
fn is_reserved(name: &str) -> bool {
    let begins = |prefix: &&str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    RESERVED.iter().flat_map(|group| group.iter()).any(|reserved| name.eq_ignore_ascii_case(reserved))
        || RESERVED_PREFIXES.iter().any(begins)
}

/// Bytes of a value in a token: what base64 cannot take as it is gets six for each UTF-16 unit.
fn written(json: &str) -> usize {
    let plain = |character: char| matches!(character, ' '..='}') && !matches!(character, '>' | '?');
    json.chars().map(|character| if plain(character) { 1 } else { 6 * character.len_utf16() }).sum()
}

const RESERVED: [&[&str]; 7] = [
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
        "trn",
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
    &[
        "verified_claims",
        "place_of_birth",
        "nationalities",
        "birth_family_name",
        "birth_given_name",
        "birth_middle_name",
        "salutation",
        "title",
        "msisdn",
        "also_known_as",
        "_sd",
        "_sd_alg",
        "...",
        "sd_hash",
        "vct",
        "status",
        "vc",
        "vp",
        "vot",
        "vtm",
        "attest",
        "trust_framework",
    ],
    // What else the registry of JWT claims holds: telephony, entity attestation, ACE, workflows.
    &[
        "orig",
        "dest",
        "mky",
        "origid",
        "div",
        "opt",
        "crn",
        "rcd",
        "rcdi",
        "rph",
        "sip_from_tag",
        "sip_date",
        "sip_callid",
        "sip_cseq_num",
        "sip_via_branch",
        "msgi",
        "ccp",
        "jcard",
        "ace_profile",
        "cnonce",
        "exi",
        "eat_nonce",
        "ueid",
        "sueids",
        "oemid",
        "hwmodel",
        "hwversion",
        "swname",
        "swversion",
        "oemboot",
        "dbgstat",
        "location",
        "eat_profile",
        "submods",
        "uptime",
        "bootcount",
        "bootseed",
        "dloas",
        "manifests",
        "measurements",
        "measres",
        "intuse",
        "cdniv",
        "cdnicrit",
        "cdniip",
        "cdniuc",
        "cdniets",
        "cdnistt",
        "cdnistd",
        "at_use_nbr",
        "rdap_allowed_purposes",
        "rdap_dnt_allowed",
        "geohash",
        "token_introspection",
        "metadata",
        "_metadata_policy",
        "sig_val_claims",
        "client_extension_claims",
        "deployment_environment",
        "request_response",
        "ht",
        "atc",
        "pas",
    ],
    // RFC 7662 §2.2: what introspection itself says; and the header's names, which some readers merge.
    &["active", "username", "token_type", "alg", "typ", "kid", "cty", "jwk", "jku", "x5c", "x5u", "crit"],
    // What widespread libraries read as principal, role or scope though nobody registered it.
    &[
        "scp",
        "scopes",
        "role",
        "authorities",
        "permissions",
        "realm_access",
        "resource_access",
        "wids",
        "upn",
        "unique_name",
        "nameid",
        "oid",
        "tid",
        "uid",
        "cid",
        "appid",
        "user_id",
        "user_name",
        "token_use",
        "idp",
        "login",
        "__proto__",
        "constructor",
        "prototype",
    ],
    // Our own, and those of the surfaces.
    &["ep", "grant_id", "one_time", "access", "data", "subject", "project_claims"],
];

/// What WS-Federation calls its claims, which .NET reads as identity and role.
const RESERVED_PREFIXES: [&str; 2] = ["http://schemas.", "https://schemas."];

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(name: &str) -> Result<(), Refusal> {
        check(&[FreeClaim { name: name.into(), json: "1".into() }])
    }

    #[test]
    fn reserved_names_are_refused_in_any_letter_case_and_others_pass() {
        for bad in [
            "sub",
            "SUB",
            "nonce",
            "Email",
            "ep",
            "scopes",
            "active",
            "scp",
            "UPN",
            "http://schemas.example/role",
            "",
            "a b",
            "\u{17f}ub",
            "x\n",
        ] {
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
        assert!(check(&[FreeClaim { name: "a".into(), json: "x".repeat(4095) }]).is_ok());
        assert!(check(&[FreeClaim { name: "a".into(), json: "~".repeat(683) }]).is_err(), "as it is written");
    }
}
