//! Audit events: what changed, who did it, from where. Written in the transaction of the change.

use crate::domain::ProviderId;

/// One audit event. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// UUID v7 text.
    pub id: String,
    /// Epoch milliseconds.
    pub at: i64,
    /// `None` for events of the installation.
    pub provider: Option<ProviderId>,
    /// API key id, `env` or `cli`.
    pub actor: String,
    /// Dotted name, e.g. `client.created`.
    pub action: &'static str,
    /// What it was done to: the id in its own spelling.
    pub target: String,
    pub request_id: String,
    /// Names of changed fields and other plain facts, as JSON text.
    pub details: String,
}
