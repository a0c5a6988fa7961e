//! A refusal is the expected "no" of this trade: precise inside, folded onto few classes outside.

use std::borrow::Cow;
use std::fmt;

use crate::domain::explanation::{Cause, Facts};

/// An expected refusal. `hint` may go to the wire and never contains input; `about` goes to the
/// log and to `explain`, never to the wire, and never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    pub hint: Cow<'static, str>,
    pub about: String,
    /// The rule that said no, where the kind does not say it all: for `explain`, as `about`.
    pub cause: Option<Box<Cause>>,
}

/// The precise cause. Only the `oauth2` surface may look at it; every other one matches the
/// [`Class`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The request cannot be read: missing, repeated or malformed parameters.
    MalformedRequest,
    /// The body is of a media type that is not read here.
    UnsupportedMediaType,
    /// Unknown client, wrong or expired secret, bad assertion: one answer for all of them.
    InvalidClient,
    /// An API key that is unknown, expired or revoked.
    InvalidApiKey,
    /// An access token that is unknown, expired, revoked or not a person's.
    InvalidToken,
    /// An access token that lacks a scope.
    InsufficientScope {
        /// Empty where it is not ours to name.
        needed: &'static str,
    },
    /// No credential where one is needed.
    MissingCredentials,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    InvalidScope,
    /// A resource or audience the client may not ask for (RFC 8707 §2).
    InvalidTarget,
    /// The caller is known but its role does not reach this.
    Forbidden,
    RateLimited {
        /// Seconds until another try is worth it.
        retry_after: u32,
    },
    /// The thing named does not exist, or is not the caller's to see.
    UnknownResource,
    /// Something with that name or id exists, or still has dependants.
    Conflict,
    /// The same call is being worked on already.
    UnderWay {
        /// Seconds until another try is worth it.
        retry_after: u32,
    },
    /// The version in `If-Match` is not the current one.
    Stale,
    /// Values that can be read but not accepted.
    Invalid(Vec<FieldError>),
}

/// One wrong field of a management request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field, e.g. `/grant_types/0`.
    pub pointer: String,
    pub detail: String,
}

/// Stands where the fields themselves say what is wrong.
const FIELDS: &str = "At least one field is not acceptable.";

/// Longest part of an unknown name that is told back.
const SHOWN_NAME: usize = 64;

impl FieldError {
    /// About the member with this name, whoever thought it up (RFC 6901 §3: `~` and `/` are escaped).
    pub fn of_member(name: &str, detail: impl Into<String>) -> Self {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(SHOWN_NAME).collect();
        Self { pointer: format!("/{}", shown.replace('~', "~0").replace('/', "~1")), detail: detail.into() }
    }
}

/// What a wire needs to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    BadRequest,
    BadMedia,
    BadClient,
    LoginNeeded,
    BadGrant,
    NotAllowed,
    UnsupportedGrant,
    BadScope,
    BadTarget,
    TooMany,
    Unknown,
    Conflict,
    Stale,
    BadField,
}

impl RefusalKind {
    pub fn class(&self) -> Class {
        match self {
            Self::MalformedRequest => Class::BadRequest,
            Self::UnsupportedMediaType => Class::BadMedia,
            Self::InvalidClient => Class::BadClient,
            Self::InvalidApiKey | Self::InvalidToken | Self::MissingCredentials => Class::LoginNeeded,
            Self::InvalidGrant => Class::BadGrant,
            Self::UnauthorizedClient | Self::Forbidden | Self::InsufficientScope { .. } => Class::NotAllowed,
            Self::UnsupportedGrantType => Class::UnsupportedGrant,
            Self::InvalidScope => Class::BadScope,
            Self::InvalidTarget => Class::BadTarget,
            Self::RateLimited { .. } => Class::TooMany,
            Self::UnknownResource => Class::Unknown,
            Self::Conflict | Self::UnderWay { .. } => Class::Conflict,
            Self::Stale => Class::Stale,
            Self::Invalid(_) => Class::BadField,
        }
    }
}

impl RefusalKind {
    /// The rule that said no, where nothing more precise is known.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::MalformedRequest => "request.readable",
            Self::UnsupportedMediaType => "request.media_type",
            Self::InvalidClient => "client.proof",
            Self::InvalidApiKey => "api_key.valid",
            Self::InvalidToken => "token.active",
            Self::InsufficientScope { .. } => "token.scope",
            Self::MissingCredentials => "credentials.given",
            Self::InvalidGrant => "grant.valid",
            Self::UnauthorizedClient => "client.may_use_grant",
            Self::UnsupportedGrantType => "grant_type.known",
            Self::InvalidScope => "scope.allowed",
            Self::InvalidTarget => "audience.allowed",
            Self::Forbidden => "role.reaches",
            Self::RateLimited { .. } => "throttle.room",
            Self::UnknownResource => "resource.known",
            Self::Conflict => "resource.no_conflict",
            Self::UnderWay { .. } => "idempotency_key.free",
            Self::Stale => "resource.version",
            Self::Invalid(_) => "fields.acceptable",
        }
    }
}

impl Refusal {
    pub fn new(kind: RefusalKind, hint: &'static str) -> Self {
        Self { kind, hint: Cow::Borrowed(hint), about: String::new(), cause: None }
    }

    /// A hint put together from fixed words and configuration, never from the request.
    pub fn with_hint(kind: RefusalKind, hint: String) -> Self {
        Self { kind, hint: Cow::Owned(hint), about: String::new(), cause: None }
    }

    /// Adds what the log and `explain` may know.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.about = about.into();
        self
    }

    /// Names the rule that said no, and the values it looked at; never a secret.
    #[must_use]
    pub fn because(mut self, rule: &'static str, values: Facts) -> Self {
        self.cause = Some(Box::new(Cause { rule, values }));
        self
    }

    /// The rule that said no.
    pub fn rule(&self) -> &'static str {
        self.cause.as_ref().map_or_else(|| self.kind.rule(), |cause| cause.rule)
    }

    /// The request cannot be read.
    pub fn malformed(hint: &'static str) -> Self {
        Self::new(RefusalKind::MalformedRequest, hint)
    }

    /// The one answer for every client that did not prove itself (RFC 6749 §5.2).
    pub fn invalid_client(about: impl Into<String>) -> Self {
        Self::new(RefusalKind::InvalidClient, "Client authentication failed.").about(about)
    }

    /// One field that cannot be accepted.
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self::new(RefusalKind::Invalid(errors), FIELDS)
    }

    /// One field of a request that wires spell differently: `what` is its name in a sentence.
    pub fn field_called(pointer: &'static str, what: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let hint = format!("{what} {detail}.");
        Self::with_hint(RefusalKind::Invalid(vec![FieldError { pointer: pointer.to_owned(), detail }]), hint)
    }

    pub fn unknown(hint: &'static str) -> Self {
        Self::new(RefusalKind::UnknownResource, hint)
    }

    pub fn forbidden(hint: &'static str) -> Self {
        Self::new(RefusalKind::Forbidden, hint)
    }

    pub fn class(&self) -> Class {
        self.kind.class()
    }

    /// The hint, and of wrong fields the first where the hint names none, for a wire that has room for
    /// sentences only.
    pub fn sentences(&self) -> Cow<'_, str> {
        match self.untold_fields().first() {
            Some(FieldError { pointer, detail }) => {
                let about = format!("{} {detail}", pointer.trim_start_matches('/'));
                Cow::Owned(format!("{} {}.", self.hint, about.trim_start()))
            }
            None => Cow::Borrowed(&self.hint),
        }
    }

    /// The wrong fields, where the hint does not tell of them.
    pub fn untold_fields(&self) -> &[FieldError] {
        match &self.kind {
            RefusalKind::Invalid(errors) if self.hint == FIELDS => errors,
            _ => &[],
        }
    }

    /// The same with fields under the names that they have on a wire: `(pointer, pointer there)`.
    #[must_use]
    pub fn with_pointers(mut self, names: &[(&str, &str)]) -> Self {
        if let RefusalKind::Invalid(errors) = &mut self.kind {
            for error in errors {
                if let Some((_, there)) = names.iter().find(|(here, _)| *here == error.pointer) {
                    (*there).clone_into(&mut error.pointer);
                }
            }
        }
        self
    }

    /// Seconds until another try is worth it, where it is known.
    pub fn retry_after(&self) -> Option<u32> {
        match self.kind {
            RefusalKind::RateLimited { retry_after } | RefusalKind::UnderWay { retry_after } => Some(retry_after),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.about.is_empty() { f.write_str(&self.hint) } else { f.write_str(&self.about) }
    }
}

/// What a write job decided. A refusal commits like a success; only a fault rolls back
/// (docs/ARCHITECTURE.md, laws).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T> {
    Allow(T),
    Refuse(Refusal),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_name_the_first_wrong_field_as_the_wire_does() {
        assert_eq!(Refusal::malformed("This is wrong.").sentences(), "This is wrong.");
        let slip = |pointer: &str| FieldError { pointer: pointer.to_owned(), detail: "is too long".to_owned() };
        let refusal = Refusal::invalid(vec![slip("/name"), slip("/scope")]);
        assert_eq!(refusal.sentences(), "At least one field is not acceptable. name is too long.");
        let renamed = refusal.with_pointers(&[("/scope", "/scopes"), ("/name", "/comment")]);
        assert_eq!(renamed.sentences(), "At least one field is not acceptable. comment is too long.");
        let lifetime = Refusal::field_called("/ttl_seconds", "The lifetime", "must be from 1 to 9 seconds here");
        assert_eq!(lifetime.sentences(), "The lifetime must be from 1 to 9 seconds here.");
        assert_eq!(Refusal::invalid(vec![slip("")]).sentences(), "At least one field is not acceptable. is too long.");
    }
}
