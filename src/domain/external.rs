//! A token of another issuer as it reads, and what judging it gives.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::TrustedIssuer;

/// A compact JWT that could be read. Nothing in it is believed before its signature was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalToken {
    /// `alg` of the header, as it stands there.
    pub algorithm: String,
    pub key_id: Option<String>,
    /// `typ` of the header, as it stands there.
    pub typ: Option<String>,
    /// The header names extensions that must be understood.
    pub has_critical: bool,
    pub issuer: String,
    /// A set, because a token may name thousands and each row asks for up to fifty.
    pub audience: BTreeSet<String>,
    /// Epoch seconds, fractions rounded down.
    pub expires_at: Option<i64>,
    pub issued_at: Option<i64>,
    pub not_before: Option<i64>,
    /// `may_act` (RFC 8693 §4.4): who alone may hand the token in.
    pub may_act: Option<MayAct>,
    /// Every top-level claim, the ones above included.
    pub claims: BTreeMap<String, ClaimValue>,
}

/// The party that `may_act` names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MayAct {
    /// `iss`: in whose names the others are (RFC 8693 §4.4).
    pub issuer: Named,
    pub subject: Named,
    pub client_id: Named,
}

/// A member that names somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Named {
    #[default]
    Absent,
    Text(String),
    /// Not text: it names nobody.
    Unreadable,
}

/// A claim as conditions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    Text(String),
    /// A number or a boolean, as JSON spells it.
    Plain(String),
    List(Vec<ClaimValue>),
    /// An object or null: nothing that can be compared.
    Other,
}

impl ExternalToken {
    /// The claim, if it is text and not empty.
    pub fn text(&self, claim: &str) -> Option<&str> {
        match self.claims.get(claim) {
            Some(ClaimValue::Text(text)) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// Whether the claim is the boolean true; the text "true" is not (OIDC Core §5.1). Some servers let their
    /// users fill claims that are text.
    pub fn is_true(&self, claim: &str) -> bool {
        matches!(self.claims.get(claim), Some(ClaimValue::Plain(flag)) if flag == "true")
    }
}

/// How one check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    /// It was not looked at, because what it needs was not there.
    Skipped,
}

impl Outcome {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// One check of a token against one row, in a sentence without any value of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: &'static str,
    pub outcome: Outcome,
    pub detail: String,
}

/// What one row says of a token.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub row: TrustedIssuer,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

impl Verdict {
    /// Only if every check was made and passed.
    pub fn is_accepted(&self) -> bool {
        self.checks.iter().all(|check| check.outcome == Outcome::Passed)
    }

    /// The first check that did not pass.
    pub fn objection(&self) -> Option<&Check> {
        let failed = self.checks.iter().find(|check| check.outcome == Outcome::Failed);
        failed.or_else(|| self.checks.iter().find(|check| check.outcome == Outcome::Skipped))
    }
}
