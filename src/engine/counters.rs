//! What `/metrics` shows of the engine. Relaxed counters: a figure may lag, never block.

use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
pub struct Counters {
    pub granted: Counter,
    pub refused: Counter,
    pub faulted: Counter,
    pub introspected: Counter,
    pub revoked: Counter,
    /// One-time tokens used.
    pub spent: Counter,
    pub throttled: Counter,
    /// Complete rounds of cleanup.
    pub sweeps: Counter,
    /// Tokens of machines, by [`IssuedBy`].
    issued: [Counter; IssuedBy::ALL.len()],
    /// Events that webhooks took, tries that failed, and events that were given up.
    pub webhooks_delivered: Counter,
    pub webhooks_failed: Counter,
    pub webhooks_dead: Counter,
}

/// By what grant a machine came to its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IssuedBy {
    ClientCredentials,
    /// A token of a trusted issuer that stands for a client.
    Exchange,
    Mint,
}

impl IssuedBy {
    pub const ALL: [Self; 3] = [Self::ClientCredentials, Self::Exchange, Self::Mint];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Exchange => "token_exchange",
            Self::Mint => "mint",
        }
    }
}

impl Counters {
    pub fn issued_by(&self, grant: IssuedBy) -> &Counter {
        let [credentials, exchange, mint] = &self.issued;
        match grant {
            IssuedBy::ClientCredentials => credentials,
            IssuedBy::Exchange => exchange,
            IssuedBy::Mint => mint,
        }
    }
}

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
