//! Ephemeral tokens: access tokens that a stronger credential is turned into, with a lifetime, scope
//! and use that the caller picks. No row is written for one.

use crate::domain::token::AccessTyp;
use crate::domain::{AccessClaims, ClientId};

/// What the holder of a token may do, for verifiers that tell reading from writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    ReadOnly,
    ReadWrite,
}

impl Access {
    pub const ALL: [Self; 2] = [Self::ReadOnly, Self::ReadWrite];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "readonly",
            Self::ReadWrite => "readwrite",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|access| access.name() == name)
    }
}

/// A claim of free form: its name, and its value as JSON text. Whoever makes one has parsed the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FreeClaim {
    pub name: String,
    pub json: String,
}

/// Who made a token whose subject is another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub subject: String,
    /// Of an API key that made it for a client: the token, which is the client's, ends with the key as
    /// well. `None`: the token is issued to the actor.
    pub epoch: Option<u32>,
}

/// What an access token says beside the claims of RFC 9068: an ephemeral one, or one in the form of a
/// surface of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraClaims {
    /// Good for one use; such a token is always sealed.
    pub one_time: bool,
    pub access: Option<Access>,
    /// `act` (RFC 8693 §4.1): who made it for another subject.
    pub actor: Option<Actor>,
    /// Names no claim that we write ourselves.
    pub free: Vec<FreeClaim>,
}

impl ExtraClaims {
    pub fn is_empty(&self) -> bool {
        let Self { one_time, access, actor, free } = self;
        !one_time && access.is_none() && actor.is_none() && free.is_empty()
    }
}

/// Claims that a wire of its own adds to a token that is about to be made.
pub type WireClaims = fn(&AccessClaims) -> Vec<FreeClaim>;

/// Which of the provider's issuers a token names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssuerChoice {
    #[default]
    Primary,
    /// A verified domain of the provider, where there is one; else the primary.
    VerifiedDomain,
    /// The one below the public URL, whatever is primary.
    Base,
}

/// What kind of ephemeral token is wanted. Scope and audience stand in
/// [`Ask`](crate::domain::grant::Ask), as for every token.
#[derive(Clone, Debug, Default)]
pub struct MintAsk {
    /// The client it is made for, under the client's own subject and audience; `None`: the caller.
    pub for_client: Option<ClientId>,
    /// Seconds that the caller named, at least 1. More than it may have is refused.
    pub ttl: Option<i64>,
    pub one_time: bool,
    pub access: Option<Access>,
    /// Another subject than the caller's own.
    pub subject: Option<String>,
    pub typ: Option<AccessTyp>,
    /// What the caller wants it to say beside.
    pub claims: Vec<FreeClaim>,
}
