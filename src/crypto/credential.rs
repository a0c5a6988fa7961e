//! Generated secrets: how an API key and a client secret are made, and how junk is told from them
//! without asking the database.
//!
//! ```text
//! gs_  4rDq…43 base62 characters, 256 bits…Zk  0cV3xA
//! kind body                                     CRC-32 of kind and body, six base62 digits
//! ```
//!
//! The checksum proves nothing; it only spares a lookup and lets scanners find leaks.

use secrecy::SecretString;

use crate::crypto::random::{BASE62, Random};
use crate::domain::secret::SecretKind;

/// 43 base62 characters carry 256.03 bits.
const BODY: usize = 43;
/// 62⁶ > 2³²: every CRC-32 fits.
pub const CHECKSUM: usize = 6;

/// Makes a secret of this kind. Opaque access tokens are not made here: they are sealed by
/// [`crate::crypto::opaque`] and only share prefix and checksum.
pub fn generate(kind: SecretKind, random: &Random) -> SecretString {
    let mut text = String::with_capacity(kind.prefix().len() + BODY + CHECKSUM);
    text.push_str(kind.prefix());
    text.push_str(&random.base62(BODY));
    push_checksum(&mut text);
    SecretString::from(text)
}

/// The kind by prefix alone.
pub fn kind_of(text: &str) -> Option<SecretKind> {
    SecretKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix()))
}

/// Whether `text` could be a secret of this kind: prefix, alphabet, length and checksum fit.
pub fn is_well_formed(kind: SecretKind, text: &str) -> bool {
    let Some(body) = checked(text).and_then(|(checked, _)| checked.strip_prefix(kind.prefix())) else {
        return false;
    };
    match kind {
        SecretKind::ApiKey | SecretKind::ClientSecret | SecretKind::AuthorizationCode => {
            body.len() == BODY && body.bytes().all(|byte| byte.is_ascii_alphanumeric())
        }
        SecretKind::OpaqueAccessToken | SecretKind::RefreshToken => {
            !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        }
    }
}

/// Appends the checksum of all that stands in `text`.
pub fn push_checksum(text: &mut String) {
    for digit in checksum(text) {
        text.push(char::from(digit));
    }
}

/// Splits off the checksum: `(what it covers, checksum)`, or `None` if it does not fit.
pub fn checked(text: &str) -> Option<(&str, &str)> {
    let (covered, digits) = text.split_at_checked(text.len().checked_sub(CHECKSUM)?)?;
    (checksum(covered) == digits.as_bytes()).then_some((covered, digits))
}

fn checksum(text: &str) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        if let Some(own) = usize::try_from(rest % 62).ok().and_then(|index| BASE62.get(index)) {
            *digit = *own;
        }
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_generated_secret_is_well_formed_for_its_own_kind_only() {
        let random = Random::seeded(1);
        for kind in [SecretKind::ApiKey, SecretKind::ClientSecret] {
            let secret = generate(kind, &random);
            let text = secret.expose_secret();
            assert_eq!(text.len(), 3 + 43 + 6);
            assert!(is_well_formed(kind, text));
            assert_eq!(kind_of(text), Some(kind));
            assert!(!is_well_formed(SecretKind::OpaqueAccessToken, text));
            assert!(!format!("{secret:?}").contains(&text[3..]));
        }
        assert_eq!(kind_of("ga_x"), Some(SecretKind::OpaqueAccessToken));
        assert_eq!(kind_of("eyJ"), None);
    }

    #[test]
    fn the_checksum_rejects_every_change_of_one_character() {
        let secret = generate(SecretKind::ClientSecret, &Random::seeded(2));
        let text = secret.expose_secret();
        for at in 0..text.len() {
            for other in BASE62.iter().copied().chain([b'_', b'-', b' ', 0x7f]) {
                let mut bytes = text.as_bytes().to_vec();
                if bytes[at] != other {
                    bytes[at] = other;
                    let changed = String::from_utf8(bytes).unwrap();
                    assert!(!is_well_formed(SecretKind::ClientSecret, &changed), "{changed}");
                }
            }
        }
    }

    #[test]
    fn cut_extended_and_foreign_texts_are_refused_without_panic() {
        let secret = generate(SecretKind::ApiKey, &Random::seeded(3));
        let text = secret.expose_secret();
        for cut in 0..text.len() {
            assert!(!is_well_formed(SecretKind::ApiKey, &text[..cut]));
        }
        for bad in [&format!("{text}0"), &text.to_uppercase(), "ääääää", "gk_", "", &"gk_ä".repeat(14)] {
            assert!(!is_well_formed(SecretKind::ApiKey, bad), "{bad}");
        }
        // A right checksum over a wrong body does not help.
        let mut short = String::from("gk_abc");
        push_checksum(&mut short);
        assert!(!is_well_formed(SecretKind::ApiKey, &short));
    }
}
