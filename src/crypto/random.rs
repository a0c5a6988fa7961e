//! Randomness, handed in like time. Production draws from a generator per thread that is seeded and
//! reseeded from the operating system, so that the hot path makes no system call; tests draw from a
//! seeded one and can repeat a run. This file is the one room where the system generator is named.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::domain::UnixTime;
use crate::domain::token::Jti;

/// The digits of generated secrets and their checksums: 62 characters that survive every URL,
/// header and double click.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A source of random bytes. Clones of a seeded source share its state.
#[derive(Clone)]
pub struct Random(Source);

#[derive(Clone)]
enum Source {
    System,
    Seeded(Arc<Mutex<StdRng>>),
}

impl Random {
    /// ChaCha12 per thread, seeded from the operating system.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The same bytes for the same seed: for tests only.
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    #[allow(clippy::disallowed_methods)] // the one room of the system generator
    pub fn fill(&self, out: &mut [u8]) {
        match &self.0 {
            Source::System => rand::rng().fill_bytes(out),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(out),
        }
    }

    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }

    /// `len` characters of `[0-9A-Za-z]`, each equally likely (5.95 bits a character).
    pub fn base62(&self, len: usize) -> String {
        let mut out = String::with_capacity(len);
        while out.len() < len {
            for byte in self.bytes::<64>() {
                // 248 is the largest multiple of 62: beyond it the first digits would be favoured.
                if byte < 248
                    && out.len() < len
                    && let Some(digit) = BASE62.get(usize::from(byte % 62))
                {
                    out.push(char::from(*digit));
                }
            }
        }
        out
    }

    /// A fresh id: UUID v7 (RFC 9562 §5.7) text, lower case, sorted by `now` to the millisecond.
    pub fn uuid_v7(&self, now: UnixTime) -> String {
        self.jti(now).to_string()
    }

    /// A fresh token id in the layout of a UUID v7, with 74 random bits.
    pub fn jti(&self, now: UnixTime) -> Jti {
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        Jti(uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid().into_bytes())
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Random::system",
            Source::Seeded(_) => "Random::seeded",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seeded_source_repeats_itself_and_another_seed_does_not() {
        let (first, second, other) = (Random::seeded(7), Random::seeded(7), Random::seeded(8));
        assert_eq!(first.base62(40), second.base62(40));
        assert_eq!(first.bytes::<32>(), second.bytes::<32>());
        assert_ne!(first.bytes::<32>(), other.bytes::<32>());
        assert_ne!(first.bytes::<32>(), first.clone().bytes::<32>());
    }

    #[test]
    fn every_digit_is_about_equally_likely() {
        let text = Random::seeded(1).base62(62_000);
        assert_eq!(text.len(), 62_000);
        for digit in BASE62 {
            let count = text.bytes().filter(|byte| byte == digit).count();
            assert!((850..1150).contains(&count), "{}: {count}", char::from(*digit));
        }
    }

    #[test]
    fn ids_are_uuid_v7_and_differ_within_one_millisecond() {
        let random = Random::system();
        let now = UnixTime::from_millis(1_700_000_000_123);
        let ids: std::collections::HashSet<String> = (0..10_000).map(|_| random.uuid_v7(now)).collect();
        assert_eq!(ids.len(), 10_000);
        for id in &ids {
            assert!(id.starts_with("018bcfe5-687b-7"), "{id}");
            assert!(matches!(id.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{id}");
            assert!(Jti::parse(id).is_some());
        }
        assert!(random.uuid_v7(now) < random.uuid_v7(UnixTime::from_millis(1_700_000_000_124)));
    }
}
