//! Opaque access tokens: the same claims as in a JWT, sealed so that only grantd can read them, and
//! stored nowhere.
//!
//! ```text
//! ga_  base64url( seal( a|j  payload JSON ) )  six checksum characters
//! ```
//!
//! The provider's id is associated data, so a token of one provider does not open at another. One
//! token has one spelling: base64url is read strictly, and the checksum covers every character.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::crypto::access_claims::read_access;
use crate::crypto::credential::{checked, push_checksum};
use crate::crypto::jose::{MAX_TOKEN, decode};
use crate::crypto::jwt::access_payload;
use crate::crypto::random::Random;
use crate::crypto::seal::Sealer;
use crate::domain::secret::SecretKind;
use crate::domain::token::{AccessClaims, AccessTyp};
use crate::domain::{Fault, ProviderId};

const PREFIX: &str = SecretKind::OpaqueAccessToken.prefix();

/// Seals the claims as a token of this provider.
pub fn seal_access(
    sealer: &Sealer,
    provider: &ProviderId,
    claims: &AccessClaims,
    random: &Random,
) -> Result<SecretString, Fault> {
    let mut plain = access_payload(claims);
    plain.insert(0, typ_mark(claims.typ));
    let sealed = sealer.seal(&bound_to(provider), &plain, random)?;
    let mut token = String::with_capacity(PREFIX.len() + sealed.len().div_ceil(3) * 4 + 6);
    token.push_str(PREFIX);
    URL_SAFE_NO_PAD.encode_string(sealed, &mut token);
    push_checksum(&mut token);
    Ok(SecretString::from(token))
}

/// The claims, or `None` for anything that is not a token of this provider. Whether it has expired
/// or was revoked is for the caller to say.
pub fn open_access(sealer: &Sealer, provider: &ProviderId, token: &str) -> Option<AccessClaims> {
    if token.len() > MAX_TOKEN {
        return None;
    }
    let (covered, _) = checked(token)?;
    let sealed = decode(covered.strip_prefix(PREFIX)?)?;
    let plain = sealer.open(&bound_to(provider), &sealed)?;
    let (mark, payload) = plain.split_first()?;
    let typ = [AccessTyp::AtJwt, AccessTyp::Jwt].into_iter().find(|typ| typ_mark(*typ) == *mark)?;
    read_access(payload, typ)
}

const fn typ_mark(typ: AccessTyp) -> u8 {
    match typ {
        AccessTyp::AtJwt => b'a',
        AccessTyp::Jwt => b'j',
    }
}

fn bound_to(provider: &ProviderId) -> Vec<u8> {
    [b"access token\n", provider.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::crypto::credential::is_well_formed;
    use crate::crypto::jwt::tests::claims;
    use crate::crypto::seal::tests::sealer;

    #[test]
    fn a_token_opens_at_its_own_provider_only() {
        let random = Random::seeded(1);
        let sealer = sealer(1, &random);
        let (own, other) = (ProviderId::from("p1"), ProviderId::from("p2"));
        for typ in [AccessTyp::AtJwt, AccessTyp::Jwt] {
            let claims = AccessClaims { typ, ..claims() };
            let token = seal_access(&sealer, &own, &claims, &random).unwrap();
            let text = token.expose_secret();
            assert!(text.starts_with("ga_") && is_well_formed(SecretKind::OpaqueAccessToken, text));
            assert_eq!(open_access(&sealer, &own, text), Some(claims));
            assert_eq!(open_access(&sealer, &other, text), None);
        }
    }

    #[test]
    fn one_token_has_one_spelling() {
        let random = Random::seeded(2);
        let sealer = sealer(1, &random);
        let provider = ProviderId::from("p");
        for length in 0..3 {
            let claims = AccessClaims { subject: "s".repeat(length), ..claims() };
            let token = seal_access(&sealer, &provider, &claims, &random).unwrap();
            let body = &token.expose_secret()[..token.expose_secret().len() - 6];
            // Each other last character, with a right checksum: the stray bits are refused or the tag fails.
            let last = body.chars().last().unwrap();
            for other in (b'0'..=b'z').map(char::from).chain(['-', '=']).filter(|other| *other != last) {
                let mut changed = format!("{}{other}", &body[..body.len() - 1]);
                push_checksum(&mut changed);
                assert_eq!(open_access(&sealer, &provider, &changed), None, "{other}");
            }
            for padded in [format!("{body}="), format!("{body}=="), format!("{body}A"), body.replace('-', "+") + "A"] {
                let mut padded = padded;
                push_checksum(&mut padded);
                assert_eq!(open_access(&sealer, &provider, &padded), None);
            }
        }
    }

    #[test]
    fn junk_and_every_changed_character_give_none() {
        let random = Random::seeded(3);
        let sealer = sealer(1, &random);
        let provider = ProviderId::from("p");
        let token = seal_access(&sealer, &provider, &claims(), &random).unwrap();
        let text = token.expose_secret();
        for at in 0..text.len() {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(open_access(&sealer, &provider, std::str::from_utf8(&bytes).unwrap()), None);
            assert_eq!(open_access(&sealer, &provider, &text[..at]), None);
        }
        for junk in ["", "ga_", "ga_000000", "äöü", &"ga_".repeat(9000), &text.to_lowercase(), &format!("{text}A")] {
            assert_eq!(open_access(&sealer, &provider, junk), None);
        }
    }
}
