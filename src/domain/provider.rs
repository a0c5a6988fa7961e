//! A provider: an issuer with its own keys, clients and policy.

use crate::domain::{ProviderId, SigningAlg};

/// Slug of the provider that exists from the first start.
pub const DEFAULT_SLUG: &str = "default";

/// Lifetimes and intervals in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub id: ProviderId,
    pub slug: String,
    pub name: String,
    /// What it is for, in a person's words.
    pub description: Option<String>,
    /// `iss`, byte for byte.
    pub issuer: String,
    /// `None`: the issuer.
    pub default_audience: Option<String>,
    pub access_token_signing_alg: SigningAlg,
    pub ttls: ProviderTtls,
    /// Scope names must exist before a client may have them.
    pub strict_scopes: bool,
    /// Surfaces turned on below `/p/<slug>`; the default provider serves them at the root.
    pub surfaces: Vec<String>,
    pub sessions: SessionTtls,
    pub branding: Branding,
    pub enabled: bool,
    pub epoch: u32,
    /// Raised by every change; the `ETag`.
    pub version: i64,
    /// Epoch seconds.
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
    /// The last token issued under a larger `max_ttl` than today's has ended by then. The database keeps
    /// it, whoever lowers the bound.
    pub older_tokens_end_at: i64,
}

/// The lifetimes of a provider, seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderTtls {
    pub access_token: i64,
    pub id_token: i64,
    pub authorization_code: i64,
    pub refresh_token: i64,
    pub refresh_token_max: i64,
    /// Upper bound of every access token.
    pub max: i64,
    /// `max-age` of the JWKS.
    pub jwks_max_age: i64,
    /// Interval of automatic key rotation.
    pub key_rotation: i64,
}

/// How long a browser stays logged in, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTtls {
    /// Unused.
    pub idle: i64,
    /// At the longest.
    pub max: i64,
}

impl Default for SessionTtls {
    fn default() -> Self {
        Self { idle: 12 * 3600, max: 30 * DAY }
    }
}

/// How the pages look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branding {
    /// A `data:` URI of an image; the pages load nothing from elsewhere.
    pub logo_uri: Option<String>,
    /// `#rrggbb`.
    pub color: Option<String>,
}

const DAY: i64 = 86_400;

impl Default for ProviderTtls {
    fn default() -> Self {
        Self {
            access_token: 3600,
            id_token: 3600,
            authorization_code: 60,
            refresh_token: 30 * DAY,
            refresh_token_max: 180 * DAY,
            max: 14 * DAY,
            jwks_max_age: 3600,
            key_rotation: 90 * DAY,
        }
    }
}

impl Provider {
    pub fn is_live(&self) -> bool {
        self.enabled && self.deleted_at.is_none()
    }

    /// The audience of a token for which none was asked and none is registered.
    pub fn audience(&self) -> &str {
        self.default_audience.as_deref().unwrap_or(&self.issuer)
    }
}
