//! One file a grant, named by the RFC's word. A grant says on what terms a token may be made; it
//! never signs, but for [`person`], which turns a person's grant into tokens.

use crate::domain::token::{AccessTokenFormat, AccessTyp};
use crate::domain::{AudienceSet, ExtraClaims, ScopeSet};
use crate::engine::cache::clients::ClientEntry;
use crate::engine::counters::IssuedBy;

pub mod authorization_code;
pub mod client_credentials;
pub mod external;
pub mod free_claims;
pub mod mint;
pub mod password;
pub mod person;
pub mod refresh;
pub mod refresh_rules;

/// The terms of a token that is to be issued.
#[derive(Debug, PartialEq, Eq)]
pub struct Terms {
    pub owner: Owner,
    pub subject: String,
    pub scope: ScopeSet,
    pub audience: AudienceSet,
    /// Seconds, at least 1.
    pub lifetime: i64,
    pub format: AccessTokenFormat,
    pub typ: AccessTyp,
    pub extra: ExtraClaims,
    /// An ID token for the client itself goes with it.
    pub own_id_token: bool,
    /// What it is counted as.
    pub by: IssuedBy,
}

/// Whom a token is issued to: it ends when its owner does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `client_id`: a client's, or the id of an API key.
    pub id: String,
    pub epoch: u32,
}

impl Owner {
    pub fn of(client: &ClientEntry) -> Self {
        Self { id: client.client_id.as_str().to_owned(), epoch: client.epoch }
    }
}
