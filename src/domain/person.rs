//! The grant of a person: what an authorization code, a refresh family and the tokens made of them
//! have in common, and the two ways such a grant is kept.

use crate::domain::session::Amr;
use crate::domain::token::Epochs;
use crate::domain::{AudienceSet, ClientId, GrantId, ProviderId, ScopeSet, SessionId, UserId};

/// One act of authorisation by a person. Its id stands in each of its tokens (`grant_id`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonGrant {
    pub id: GrantId,
    pub provider: ProviderId,
    pub client: ClientId,
    pub user: UserId,
    /// The session it was given in; `None` for the password grant and exchanged tokens.
    pub session: Option<SessionId>,
    pub scope: ScopeSet,
    /// What tokens of this grant may be for; the first is the default.
    pub audience: AudienceSet,
    /// The `claims` parameter (OIDC Core §5.5) as it was sent; empty: none. It was readable by
    /// `crypto::claims_request` when it was accepted.
    pub claims: String,
    /// When the person proved who they are, epoch seconds.
    pub auth_time: i64,
    pub amr: Amr,
}

impl PersonGrant {
    /// Without `offline_access` a grant ends with its session (OIDC Core §11).
    pub fn tied_session(&self) -> Option<&SessionId> {
        self.session.as_ref().filter(|_| !self.scope.contains("offline_access"))
    }
}

/// An authorization code (RFC 6749 §4.1) without its secret. Times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizationCode {
    pub grant: PersonGrant,
    pub pepper_id: String,
    pub digest: [u8; 32],
    pub redirect_uri: String,
    /// RFC 6749 §4.1.3: a redirect_uri that was sent must be sent again.
    pub redirect_uri_sent: bool,
    /// S256 (RFC 7636 §4.2), 43 characters.
    pub code_challenge: Option<String>,
    pub nonce: Option<String>,
    pub created_at: i64,
    pub expires_at: i64,
    pub spent_at: Option<i64>,
    /// When the person gave it: what is revoked before it is redeemed takes it along.
    pub epochs: Epochs,
}

/// Rotations whose times a family remembers.
pub const REMEMBERED_ROTATIONS: usize = 8;

/// The refresh tokens that descend from one grant: one row, the tokens are derived from it. The
/// family's id is the grant's. Times are epoch seconds but for `rotated_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshFamily {
    pub grant: PersonGrant,
    /// The refresh data key its tokens are made with.
    pub key_id: String,
    pub salt: [u8; 16],
    /// Of the newest token; the first has 1.
    pub generation: u32,
    /// Whether the newest token has been presented.
    pub newest_presented: bool,
    /// When the last generations were replaced, epoch milliseconds, newest first, at most
    /// [`REMEMBERED_ROTATIONS`]: the first entry is when `generation - 1` was.
    pub rotated_at: Vec<i64>,
    pub created_at: i64,
    pub used_at: i64,
    pub idle_ends_at: i64,
    pub ends_at: i64,
    pub revoked_at: Option<i64>,
    /// Those it was made in: where one has been raised since, the family is dead.
    pub epochs: Epochs,
    /// No access token of it lives longer, seconds.
    pub max_ttl: Option<i64>,
}
