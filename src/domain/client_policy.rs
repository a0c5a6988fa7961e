//! Fields of a client that shape grant types beyond `client_credentials`: redirects, refresh,
//! consent. Validated, stored and returned for every client, enforced where the grant type is.

use crate::domain::SigningAlg;

/// When a refresh token is replaced by its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshRotation {
    /// At every use; the rule for public clients (RFC 9700 §2.2.2).
    Always,
    /// From 70 % of its life on.
    Late,
    Never,
}

impl RefreshRotation {
    pub const ALL: [Self; 3] = [Self::Always, Self::Late, Self::Never];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Late => "late",
            Self::Never => "never",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rotation| rotation.name() == name)
    }
}

/// OIDC Registration §2 `application_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ApplicationType {
    #[default]
    Web,
    /// May register custom schemes and loopback redirects (RFC 8252).
    Native,
}

impl ApplicationType {
    pub const ALL: [Self; 2] = [Self::Web, Self::Native];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Native => "native",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Lifetimes in seconds; `None`: the provider's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientPolicy {
    pub response_types: Vec<String>,
    pub redirect_uris: Vec<String>,
    pub post_logout_redirect_uris: Vec<String>,
    pub backchannel_logout_uri: Option<String>,
    pub backchannel_logout_session_required: bool,
    pub authorization_code_ttl: Option<i64>,
    pub refresh_token_ttl: Option<i64>,
    pub refresh_token_max_ttl: Option<i64>,
    pub max_ttl: Option<i64>,
    /// `None`: `always` for public clients, `late` for confidential ones.
    pub refresh_rotation: Option<RefreshRotation>,
    pub refresh_grace: Option<i64>,
    pub refresh_grace_unused: Option<i64>,
    pub id_token_signed_response_alg: Option<SigningAlg>,
    pub require_pkce: bool,
    pub require_consent: bool,
    pub application_type: ApplicationType,
    /// May turn its credential into ephemeral tokens.
    pub may_mint: bool,
    /// May mint for a subject that is not its own.
    pub may_set_subject: bool,
}
