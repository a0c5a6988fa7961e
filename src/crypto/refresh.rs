//! Refresh tokens: derived from their family, stored nowhere. Whoever holds the family's row and the
//! data key can compute every token of it, so each node gives the same successor.
//!
//! ```text
//! gr_  base64url( length of key id (1) | key id | family (16) | generation (4, big-endian) | MAC (32) )  checksum
//! MAC = HMAC-SHA-256( refresh data key, family | generation | salt )
//! ```
//!
//! The salt stands in the family's row only. One token has one spelling, as with opaque tokens.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};

use crate::crypto::credential::{checked, push_checksum};
use crate::crypto::data_keys::{DataKey, DataKeys};
use crate::crypto::jose::decode;
use crate::domain::key::{DataKeyPurpose, KeyBytes};
use crate::domain::secret::SecretKind;
use crate::domain::token::Jti;
use crate::domain::{Fault, GrantId};

const PREFIX: &str = SecretKind::RefreshToken.prefix();
/// Longest text that is looked at, bytes.
const MAX_TEXT: usize = 512;
const MAC: usize = 32;

/// The keys of the refresh tokens: the newest makes those of new families, each goes on with its own.
pub struct RefreshKeys {
    /// Newest first, never empty.
    keys: Vec<(String, hmac::Key)>,
}

/// What a family's tokens are derived from beside the key.
#[derive(Clone, Copy, Debug)]
pub struct Derivation<'a> {
    pub key_id: &'a str,
    pub family: GrantId,
    pub salt: &'a [u8; 16],
}

/// A refresh token taken apart; nothing of it is believed yet.
pub struct PresentedRefresh {
    key_id: String,
    pub family: GrantId,
    pub generation: u32,
    mac: [u8; MAC],
}

impl RefreshKeys {
    /// The refresh keys among the opened data keys. A fault if there is none.
    pub fn of(keys: &DataKeys) -> Result<Self, Fault> {
        let parsed = keys.of(DataKeyPurpose::Refresh).map(|DataKey { id, key, .. }| (id.clone(), hmac_key(key)));
        let keys: Vec<_> = parsed.collect();
        if keys.is_empty() {
            return Err(Fault::crypto("there is no refresh key among the data keys"));
        }
        Ok(Self { keys })
    }

    /// The key that new families are made with.
    pub fn current_key_id(&self) -> &str {
        self.keys.first().map_or("", |(id, _)| id)
    }

    /// The token of this generation; the same on every node. A fault if the key is not there.
    pub fn token(&self, from: Derivation<'_>, generation: u32) -> Result<SecretString, Fault> {
        let Derivation { key_id, family, salt } = from;
        let missing = || Fault::crypto(format!("the refresh data key {key_id} is missing"));
        let key = self.key(key_id).ok_or_else(missing)?;
        let length = u8::try_from(key_id.len()).map_err(Fault::crypto)?;
        let mut bytes = vec![length];
        bytes.extend_from_slice(key_id.as_bytes());
        bytes.extend_from_slice(&family.0);
        bytes.extend_from_slice(&generation.to_be_bytes());
        bytes.extend_from_slice(hmac::sign(key, &covered(family, generation, salt)).as_ref());
        let mut text = String::from(PREFIX);
        URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
        push_checksum(&mut text);
        Ok(text.into())
    }

    /// Whether the family made this token: constant time in the MAC.
    pub fn is_genuine(&self, presented: &PresentedRefresh, from: Derivation<'_>) -> bool {
        let Derivation { key_id, family, salt } = from;
        if presented.key_id != key_id || presented.family != family {
            return false;
        }
        let covered = covered(family, presented.generation, salt);
        self.key(key_id).is_some_and(|key| hmac::verify(key, &covered, &presented.mac).is_ok())
    }

    fn key(&self, id: &str) -> Option<&hmac::Key> {
        self.keys.iter().find(|(own, _)| own == id).map(|(_, key)| key)
    }
}

impl fmt::Debug for RefreshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

impl PresentedRefresh {
    /// Takes a token apart; `None` for what cannot be one of ours, which then never reaches the
    /// database.
    pub fn parse(token: &str) -> Option<Self> {
        if token.len() > MAX_TEXT {
            return None;
        }
        let (covered, _) = checked(token)?;
        let bytes = decode(covered.strip_prefix(PREFIX)?)?;
        let (length, rest) = bytes.split_first()?;
        let (key_id, rest) = rest.split_at_checked(usize::from(*length))?;
        let (family, rest) = rest.split_first_chunk::<16>()?;
        let (generation, mac) = rest.split_first_chunk::<4>()?;
        Some(Self {
            key_id: std::str::from_utf8(key_id).ok()?.to_owned(),
            family: Jti(*family),
            generation: u32::from_be_bytes(*generation),
            mac: mac.try_into().ok()?,
        })
    }
}

/// No token in logs: only which family and generation it says it is of.
impl fmt::Debug for PresentedRefresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresentedRefresh({} #{})", self.family, self.generation)
    }
}

fn hmac_key(key: &KeyBytes) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret())
}

fn covered(family: GrantId, generation: u32, salt: &[u8; 16]) -> Vec<u8> {
    [&family.0[..], &generation.to_be_bytes(), salt].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::credential::is_well_formed;

    fn keys(ids: &[(&str, u8)]) -> RefreshKeys {
        let key = |(id, byte): &(&str, u8)| ((*id).to_owned(), hmac_key(&KeyBytes::from(vec![*byte; 32])));
        RefreshKeys { keys: ids.iter().map(key).collect() }
    }

    const FROM: Derivation<'static> = Derivation { key_id: "rAbc123", family: Jti([7; 16]), salt: &[9; 16] };

    fn is_genuine(keys: &RefreshKeys, text: &str, from: Derivation<'_>) -> bool {
        PresentedRefresh::parse(text).is_some_and(|presented| keys.is_genuine(&presented, from))
    }

    #[test]
    fn a_token_says_its_family_and_generation_and_is_the_same_every_time() {
        let keys = keys(&[("rAbc123", 1)]);
        let token = keys.token(FROM, 258).unwrap();
        let text = token.expose_secret();
        assert!(text.starts_with("gr_") && is_well_formed(SecretKind::RefreshToken, text), "{text}");
        assert!(text.len() < 120, "{}", text.len());
        assert_eq!(keys.token(FROM, 258).unwrap().expose_secret(), text);
        let presented = PresentedRefresh::parse(text).unwrap();
        assert_eq!((presented.family, presented.generation), (Jti([7; 16]), 258));
        assert!(keys.is_genuine(&presented, FROM));
        assert_eq!(format!("{presented:?}"), "PresentedRefresh(07070707-0707-0707-0707-070707070707 #258)");
    }

    #[test]
    fn another_salt_family_generation_or_key_makes_another_token() {
        let own = keys(&[("rAbc123", 1)]);
        let text = own.token(FROM, 1).unwrap();
        let text = text.expose_secret();
        assert!(!is_genuine(&own, text, Derivation { salt: &[8; 16], ..FROM }));
        assert!(!is_genuine(&own, text, Derivation { family: Jti([6; 16]), ..FROM }));
        assert!(!is_genuine(&keys(&[("rAbc123", 2)]), text, FROM));
        assert!(!is_genuine(&keys(&[("rOther1", 1)]), text, FROM));
        let other_key = keys(&[("rNew123", 3), ("rAbc123", 1)]);
        assert!(is_genuine(&other_key, text, FROM), "an older key goes on with its families");
        assert!(!is_genuine(&other_key, text, Derivation { key_id: "rNew123", ..FROM }));
        assert_eq!(other_key.current_key_id(), "rNew123");
        assert_ne!(own.token(FROM, 2).unwrap().expose_secret(), text);
        assert!(own.token(Derivation { key_id: "rGone12", ..FROM }, 1).is_err());
    }

    #[test]
    fn every_changed_or_cut_token_is_refused_even_with_a_right_checksum() {
        let keys = keys(&[("rAbc123", 1)]);
        let token = keys.token(FROM, 1).unwrap();
        let body = token.expose_secret();
        let body = &body[..body.len() - 6];
        for at in 3..body.len() {
            for other in ['A', 'B', '-', '='] {
                let mut changed = format!("{}{other}{}", &body[..at], &body[at + 1..]);
                if changed == body {
                    continue;
                }
                push_checksum(&mut changed);
                assert!(!is_genuine(&keys, &changed, FROM), "{at} {other}");
            }
            let mut cut = body[..at].to_owned();
            push_checksum(&mut cut);
            assert!(!is_genuine(&keys, &cut, FROM));
        }
        let mut longer = format!("{body}AAAA");
        push_checksum(&mut longer);
        for junk in ["", "gr_", "gr_000000", &longer, body, &token.expose_secret().to_lowercase(), &"g".repeat(600)] {
            assert!(PresentedRefresh::parse(junk).is_none(), "{junk}");
        }
    }
}
