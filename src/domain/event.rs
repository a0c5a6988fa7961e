//! Audit events: what changed, who did it, from where. Written in the transaction of the change.

use crate::domain::ProviderId;
use crate::domain::actions::{families, is_action};

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

/// An event as it is read back: its action is text, since any release may have written it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedEvent {
    /// UUID v7 text: ids are in the order of time.
    pub id: String,
    /// Epoch milliseconds.
    pub at: i64,
    pub provider: Option<ProviderId>,
    /// The provider's slug.
    pub provider_slug: Option<String>,
    pub actor: String,
    pub action: String,
    pub target: String,
    pub request_id: String,
    /// JSON text.
    pub details: String,
}

/// Which actions are meant: `client.created`, or `client.*` for all of a family, or `*` for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActionPattern {
    All,
    /// The part before the dot.
    Family(String),
    Exact(String),
}

/// Longest action that is looked for.
const MAX_ACTION: usize = 100;

impl ActionPattern {
    /// `None`: no action has such a name.
    pub fn parse(text: &str) -> Option<Self> {
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        if text == "*" {
            return Some(Self::All);
        }
        let (family, rest) = text.split_once('.').filter(|_| text.len() <= MAX_ACTION)?;
        match (is_word(family), rest) {
            (true, "*") => Some(Self::Family(family.to_owned())),
            (true, rest) if is_word(rest) => Some(Self::Exact(text.to_owned())),
            _ => None,
        }
    }

    /// Whether an event of this release can fit.
    pub fn fits_some(&self) -> bool {
        match self {
            Self::All => true,
            Self::Family(family) => families().any(|known| known == family),
            Self::Exact(action) => is_action(action),
        }
    }

    /// Every pattern that an action fits.
    pub fn fitting(action: &str) -> [String; 3] {
        let family = action.split('.').next().unwrap_or_default();
        ["*".to_owned(), format!("{family}.*"), action.to_owned()]
    }
}

/// Which events are asked for. All that is given must fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    pub provider: Option<ProviderId>,
    pub actor: Option<String>,
    pub action: Option<ActionPattern>,
    pub target: Option<String>,
    pub request_id: Option<String>,
    /// Epoch milliseconds, this one included.
    pub since: Option<i64>,
    /// Epoch milliseconds, this one not included.
    pub until: Option<i64>,
}

impl EventFilter {
    /// Whether more than one thing must fit that no index has together: then the rows of one are gone
    /// through for the others, and there may be very many.
    pub fn may_take_long(&self) -> bool {
        let Self { provider, actor, action, target, request_id, since: _, until: _ } = self;
        let about = [actor, target, request_id].into_iter().flatten().count();
        let is_narrowed = provider.is_some() || !matches!(action, None | Some(ActionPattern::All));
        about > 1 || (about == 1 && is_narrowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_looked_for_whole_or_by_family() {
        assert_eq!(ActionPattern::parse("*"), Some(ActionPattern::All));
        assert_eq!(ActionPattern::parse("api_key.*"), Some(ActionPattern::Family("api_key".to_owned())));
        assert_eq!(ActionPattern::parse("user.logged_in"), Some(ActionPattern::Exact("user.logged_in".to_owned())));
        for bad in ["", ".", "client", "client.", ".created", "client.cre*", "Client.created", "a.b.c", "a%.b", "[.b"] {
            assert_eq!(ActionPattern::parse(bad), None, "{bad}");
        }
        assert_eq!(ActionPattern::fitting("client.created"), ["*", "client.*", "client.created"]);
    }
}
