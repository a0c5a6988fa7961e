//! Webhooks: who is told of events. A delivery is one event for one webhook.

use std::fmt;

use crate::domain::{ProviderId, WebhookId};

/// Most webhooks of one provider, and of the installation: each is a row more in the transaction of an event.
pub const MAX_WEBHOOKS: i64 = 20;
/// Most patterns of one webhook.
pub const MAX_PATTERNS: usize = 50;

/// Where events go, and which.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    pub id: WebhookId,
    /// `None`: events of every provider and of the installation.
    pub provider: Option<ProviderId>,
    pub url: String,
    /// `client.created`, `client.*` or `*`.
    pub events: Vec<String>,
    pub enabled: bool,
    pub secrets: WebhookSecrets,
    /// Tries that failed since the last one that did not.
    pub failures: i64,
    /// Raised by every change; the `ETag`.
    pub version: i64,
    /// Epoch seconds.
    pub created_at: i64,
    pub updated_at: i64,
}

/// What deliveries are signed with, sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    pub current: Vec<u8>,
    /// The one before, and until when it signs too (epoch seconds).
    pub previous: Option<(Vec<u8>, i64)>,
}

/// Sealed or not, a secret is not for a log.
impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecrets")
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("id", &self.id).field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    Pending,
    Delivered,
    /// Tried in vain for a day; it is tried again only when somebody asks for it.
    Dead,
}

impl DeliveryState {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Delivered, Self::Dead];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// One event for one webhook. Its id is the event's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub webhook: WebhookId,
    pub event: String,
    pub state: DeliveryState,
    /// Tries that have begun.
    pub attempts: i64,
    /// Epoch seconds; `None` once it is delivered or dead.
    pub next_at: Option<i64>,
    /// Why the last try failed; never what the endpoint said.
    pub error: Option<String>,
    pub created_at: i64,
    pub finished_at: Option<i64>,
}
