//! What judging one token may cost, however many rows, conditions and keys there are: whoever makes rows of
//! an issuer, and whoever hands its tokens in, must not hold a worker that serves everybody.

use std::sync::Arc;

use tokio::task::yield_now;

use crate::crypto::{ForeignFlaw, verify_foreign};
use crate::upstream::FetchedKeys;

/// Steps for all comparisons of one token: a few milliseconds at most. A step is about a nanosecond.
const STEPS: u32 = 1_000_000;
/// Steps for one comparison, which is made without a pause.
const AT_A_STRETCH: u32 = 250_000;
/// After so many steps other tasks have their turn.
const PAUSE_AFTER: u32 = 100_000;
/// Signatures that are checked for one token.
const SIGNATURES: u32 = 40;

/// What is left for one token.
pub struct Work {
    left: u32,
    /// Of the comparison under way.
    stretch: u32,
    since_pause: u32,
    signatures: u32,
    /// Sets of keys that the token was checked with: rows of one issuer mostly share theirs.
    verified: Vec<(Arc<FetchedKeys>, Result<(), ForeignFlaw>)>,
}

/// There is no work left for this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exhausted;

impl Default for Work {
    fn default() -> Self {
        Self { left: STEPS, stretch: AT_A_STRETCH, since_pause: 0, signatures: SIGNATURES, verified: Vec::new() }
    }
}

impl Work {
    /// Another comparison begins.
    pub fn begin(&mut self) {
        self.stretch = AT_A_STRETCH;
    }

    /// Takes steps for what is done next.
    pub fn take(&mut self, steps: usize) -> Result<(), Exhausted> {
        let steps = u32::try_from(steps).map_err(|_| Exhausted)?;
        let (left, stretch) = (self.left.checked_sub(steps), self.stretch.checked_sub(steps));
        let (Some(left), Some(stretch)) = (left, stretch) else { return Err(Exhausted) };
        (self.left, self.stretch) = (left, stretch);
        self.since_pause = self.since_pause.saturating_add(steps);
        Ok(())
    }

    /// Lets other tasks run if there was much to do since the last time.
    pub async fn pause(&mut self) {
        if self.since_pause >= PAUSE_AFTER {
            self.since_pause = 0;
            yield_now().await;
        }
    }

    /// Whether one of the keys made the token's signature. The same set is asked once.
    pub async fn verify(&mut self, jwt: &str, keys: &Arc<FetchedKeys>) -> Result<(), ForeignFlaw> {
        if let Some((_, known)) = self.verified.iter().find(|(own, _)| Arc::ptr_eq(own, keys)) {
            return *known;
        }
        let verdict = verify_foreign(jwt, &keys.keys, &mut self.signatures).await;
        self.since_pause = PAUSE_AFTER;
        self.verified.push((Arc::clone(keys), verdict));
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::signer::tests::polled;

    #[test]
    fn neither_a_comparison_nor_a_token_goes_on_without_end() {
        let mut work = Work::default();
        assert_eq!(work.take(250_001), Err(Exhausted));
        for _ in 0..4 {
            work.begin();
            assert_eq!(work.take(250_000), Ok(()));
            assert_eq!(work.take(1), Err(Exhausted));
        }
        work.begin();
        assert_eq!(work.take(1), Err(Exhausted), "nothing is left for the token");
    }

    #[test]
    fn others_run_after_much_work_and_only_then() {
        let mut work = Work::default();
        for steps in [0, 99_999] {
            assert_eq!(work.take(steps), Ok(()));
            assert_eq!(polled(work.pause()).1, 0);
        }
        assert_eq!(work.take(1), Ok(()));
        assert_eq!(polled(work.pause()).1, 1);
        assert_eq!(polled(work.pause()).1, 0);
    }
}
