//! Answers that are kept to be given again (`Idempotency-Key`). Who reads the database learns nothing of
//! them; who has the data keys as well would still need the value that the caller chose.
//!
//! ```text
//! id     SHA-256 over caller, method, path and value
//! key    HMAC-SHA-256 over caller and value, under the digest pepper
//! sealed AES-256-GCM-SIV, bound to id and what the caller may do: SHA-256 of the request | answer
//! ```

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};

use crate::crypto::Peppers;
use crate::crypto::random::Random;
use crate::crypto::seal::AeadKey;
use crate::domain::key::KeyBytes;
use crate::domain::secret::StoredSecret;
use crate::domain::{Fault, OnceCall};

/// What lies under an id.
#[derive(Debug, PartialEq, Eq)]
pub enum Kept {
    Answer(Vec<u8>),
    /// Another request was sent under the same value.
    OfAnother,
    /// The caller may do other things now than then; or its pepper is gone, or the row is damaged.
    Unreadable,
}

/// Where the answer lies.
pub fn id_of(call: &OnceCall<'_>) -> [u8; 32] {
    let parts = [call.caller, call.method, call.path, call.value];
    let text: Vec<u8> = parts.iter().flat_map(|part| [part.as_bytes(), b"\n"].concat()).collect();
    sha256(&text)
}

/// Seals an answer of any length.
pub fn seal(call: &OnceCall<'_>, answer: &[u8], peppers: &Peppers, random: &Random) -> Result<Vec<u8>, Fault> {
    let StoredSecret::Digest { digest, .. } = peppers.digest(&key_text(call)) else {
        return Err(Fault::crypto("a key text was not digested"));
    };
    let plain = [sha256(call.request).as_slice(), answer].concat();
    AeadKey::new(&KeyBytes::from(digest.to_vec()))?.seal(Vec::new(), &bound_to(call), &plain, random)
}

/// Opens what [`seal`] made, under whatever pepper was current then.
pub fn open(call: &OnceCall<'_>, sealed: &[u8], peppers: &Peppers) -> Result<Kept, Fault> {
    for (_, digest) in peppers.candidates(&key_text(call)) {
        let key = AeadKey::new(&KeyBytes::from(digest.to_vec()))?;
        let Some(plain) = key.open(&bound_to(call), sealed) else { continue };
        let Some((request, answer)) = plain.split_first_chunk::<32>() else { return Ok(Kept::Unreadable) };
        let same = verify_slices_are_equal(request, &sha256(call.request)).is_ok();
        return Ok(if same { Kept::Answer(answer.to_vec()) } else { Kept::OfAnother });
    }
    Ok(Kept::Unreadable)
}

/// What an answer is sealed to.
fn bound_to(call: &OnceCall<'_>) -> Vec<u8> {
    [id_of(call), sha256(call.reach.as_bytes())].concat()
}

/// Begins as no secret does, so that no digest at rest is ever such a key.
fn key_text(call: &OnceCall<'_>) -> String {
    format!("grantd kept answer\n{}\n{}", call.caller, call.value)
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(value: &'a str, request: &'a [u8]) -> OnceCall<'a> {
        OnceCall { caller: "k1", reach: "admin", method: "POST", path: "/a", value, request }
    }

    fn pepper(byte: u8) -> KeyBytes {
        KeyBytes::from(vec![byte; 32])
    }

    #[test]
    fn an_answer_opens_for_the_same_call_only() {
        let (random, key) = (Random::seeded(1), pepper(1));
        let peppers = Peppers::new(("p1", &key), []);
        let first = call("v", b"body");
        let sealed = seal(&first, b"the answer", &peppers, &random).unwrap();
        assert!(!sealed.windows(10).any(|part| part == b"the answer"));
        assert_eq!(open(&first, &sealed, &peppers).unwrap(), Kept::Answer(b"the answer".to_vec()));
        assert_eq!(open(&call("v", b"other"), &sealed, &peppers).unwrap(), Kept::OfAnother);
        for other in [call("w", b"body"), OnceCall { caller: "k2", ..first }, OnceCall { path: "/b", ..first }] {
            assert_ne!(id_of(&other), id_of(&first));
            assert_eq!(open(&other, &sealed, &peppers).unwrap(), Kept::Unreadable, "{other:?}");
        }
        let weaker = OnceCall { reach: "default", ..first };
        assert_eq!(id_of(&weaker), id_of(&first), "the value stays taken");
        assert_eq!(open(&weaker, &sealed, &peppers).unwrap(), Kept::Unreadable);
        assert_eq!(open(&first, &[], &peppers).unwrap(), Kept::Unreadable);
        let stranger = pepper(9);
        assert_eq!(open(&first, &sealed, &Peppers::new(("p1", &stranger), [])).unwrap(), Kept::Unreadable);
    }

    #[test]
    fn an_answer_outlives_the_rotation_of_the_pepper() {
        let (random, old, new) = (Random::seeded(2), pepper(1), pepper(2));
        let sealed = seal(&call("v", b""), b"x", &Peppers::new(("p1", &old), []), &random).unwrap();
        let after = Peppers::new(("p2", &new), [("p1", &old)]);
        assert_eq!(open(&call("v", b""), &sealed, &after).unwrap(), Kept::Answer(b"x".to_vec()));
    }
}
