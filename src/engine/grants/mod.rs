//! One file a grant, named by the RFC's word. A grant says on what terms a token may be made; it
//! never signs, but for [`person`], which turns a person's grant into tokens.

use crate::domain::token::AccessTokenFormat;
use crate::domain::{AudienceSet, ScopeSet};

pub mod authorization_code;
pub mod client_credentials;
pub mod external;
pub mod password;
pub mod person;
pub mod refresh;
pub mod refresh_rules;

/// The terms of a token that is to be issued.
#[derive(Debug, PartialEq, Eq)]
pub struct Terms {
    pub subject: String,
    pub scope: ScopeSet,
    pub audience: AudienceSet,
    /// Seconds, at least 1.
    pub lifetime: i64,
    pub format: AccessTokenFormat,
    /// An ID token for the client itself goes with it.
    pub own_id_token: bool,
}
