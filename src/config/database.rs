//! `database`: how the store uses its connections.

use crate::config::section::{Rules, Slips, section};

section! {
    /// How the database is used.
    Database {
        /// Connections that read; as many reads go on at once.
        readers: u32 = 4,
        /// Set it when PostgreSQL is reached through a pooler in transaction mode, such as PgBouncer.
        pooled: bool = false,
    }
}

impl Rules for Database {
    fn validate(&self, slips: &mut Slips<'_>) {
        slips.unless((1..=256).contains(&self.readers), "readers", "must be 1 to 256");
    }
}
