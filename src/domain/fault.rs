//! A fault is what should not happen: the store, the cryptography or another server failed, or
//! there is too much to do. Logged once, at the edge, with its chain.

use std::error::Error as StdError;

type Cause = Box<dyn StdError + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The database refused, failed or is away.
    #[error("the store failed: {0}")]
    Store(#[source] Cause),
    /// A key or a primitive failed; never caused by a caller's bad input.
    #[error("the cryptography failed: {0}")]
    Crypto(#[source] Cause),
    /// Another server did not answer as it should.
    #[error("an upstream server failed: {0}")]
    Upstream(#[source] Cause),
    /// A bounded queue is full, a deadline has passed, or this node cannot decide right now.
    #[error("too busy: {reason}")]
    Busy {
        /// Seconds after which another try makes sense.
        retry_after: u32,
        reason: &'static str,
    },
}

impl Fault {
    pub fn store(cause: impl Into<Cause>) -> Self {
        Self::Store(cause.into())
    }

    pub fn crypto(cause: impl Into<Cause>) -> Self {
        Self::Crypto(cause.into())
    }

    pub fn upstream(cause: impl Into<Cause>) -> Self {
        Self::Upstream(cause.into())
    }

    pub fn busy(reason: &'static str) -> Self {
        Self::Busy { retry_after: 1, reason }
    }
}
