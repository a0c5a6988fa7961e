//! Plain hashes that the protocols name: `at_hash` of ID tokens, the S256 challenge of PKCE, and the
//! digests that certificates are known by.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::domain::SigningAlg;

/// OIDC Core §3.1.3.6: the left half of the hash that the ID token's algorithm uses, over the access
/// token as it goes out. Ed25519 hashes with SHA-512 (RFC 8032 §5.1).
pub fn at_hash(alg: SigningAlg, access_token: &str) -> String {
    let algorithm = match alg {
        SigningAlg::Es256 | SigningAlg::Rs256 => &SHA256,
        SigningAlg::EdDsa => &SHA512,
    };
    let hash = digest(algorithm, access_token.as_bytes());
    let (left, _) = hash.as_ref().split_at(hash.as_ref().len() / 2);
    URL_SAFE_NO_PAD.encode(left)
}

/// RFC 7636 §4.6 with S256: whether this verifier belongs to the challenge.
pub fn verifier_fits(verifier: &str, challenge: &str) -> bool {
    verify_slices_are_equal(s256(verifier).as_bytes(), challenge.as_bytes()).is_ok()
}

/// The S256 challenge of a verifier (RFC 7636 §4.2).
pub fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// SHA-1 and SHA-256 of a certificate (DER), in lower-case hexadecimal. Finding another certificate
/// with a given SHA-1 is out of reach; what SHA-1 is broken for is making two that are alike.
pub fn certificate_digests(der: &[u8]) -> [String; 2] {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&SHA1_FOR_LEGACY_USE_ONLY, &SHA256].map(|algorithm| hex(digest(algorithm, der).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_that_everybody_computes() {
        // FIPS 180-4, "abc".
        let [sha1, sha256] = certificate_digests(b"abc");
        assert_eq!(sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn the_vector_of_rfc_7636_appendix_b_fits() {
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(verifier_fits(verifier, challenge));
        assert!(!verifier_fits(challenge, challenge));
        assert!(!verifier_fits(verifier, &challenge.to_lowercase()));
        assert!(!verifier_fits(verifier, ""));
    }

    #[test]
    fn at_hash_is_the_left_half_as_openid_connect_core_prints_it() {
        // OIDC Core, appendix A.3.
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        assert_eq!(at_hash(SigningAlg::Rs256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(SigningAlg::Es256, token), "77QmUPtjPfzWtF2AnpK9RQ");
        assert_eq!(at_hash(SigningAlg::EdDsa, token).len(), 43);
    }
}
