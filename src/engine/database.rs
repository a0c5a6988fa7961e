//! What `doctor` asks about the database itself.

use std::time::Instant;

use crate::domain::Fault;
use crate::engine::Engine;
use crate::store::server_timeouts;

impl Engine {
    /// Time-outs of PostgreSQL that are off, although they free the locks of a node which is gone. Empty on
    /// SQLite.
    pub async fn missing_timeouts(&self, deadline: Instant) -> Result<Vec<&'static str>, Fault> {
        let Some((statement, idle)) = self.0.db.read(deadline, server_timeouts).await? else { return Ok(Vec::new()) };
        let settings = [("statement_timeout", statement), ("idle_in_transaction_session_timeout", idle)];
        Ok(settings.into_iter().filter(|(_, value)| value == "0").map(|(name, _)| name).collect())
    }
}
