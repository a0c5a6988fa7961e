//! An OAuth client, its credentials and what it may ask for.

use crate::domain::client_policy::ClientPolicy;
use crate::domain::secret::StoredSecret;
use crate::domain::token::AccessTokenFormat;
use crate::domain::{AudienceSet, ClientId, ProviderId, ScopeSet, SecretId};

/// Grant types by their wire names (RFC 7591 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GrantType {
    ClientCredentials,
    AuthorizationCode,
    RefreshToken,
    Password,
    DeviceCode,
    TokenExchange,
    JwtBearer,
}

impl GrantType {
    pub const ALL: [Self; 7] = [
        Self::ClientCredentials,
        Self::AuthorizationCode,
        Self::RefreshToken,
        Self::Password,
        Self::DeviceCode,
        Self::TokenExchange,
        Self::JwtBearer,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::Password => "password",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
            Self::JwtBearer => "urn:ietf:params:oauth:grant-type:jwt-bearer",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }

    /// Whether the engine serves it. A grant type that is not served is refused at registration.
    pub const fn is_served(self) -> bool {
        !matches!(self, Self::DeviceCode)
    }
}

/// How a client proves itself (RFC 7591 §2 `token_endpoint_auth_method`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    None,
}

impl AuthMethod {
    pub const ALL: [Self; 4] = [Self::ClientSecretBasic, Self::ClientSecretPost, Self::PrivateKeyJwt, Self::None];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }

    pub const fn uses_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// An OAuth client without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub provider: ProviderId,
    pub client_id: ClientId,
    /// `sub` of its own tokens; unchangeable.
    pub subject: String,
    pub name: String,
    pub auth_method: AuthMethod,
    /// Pins the algorithm of its assertions (OIDC Registration §2).
    pub auth_signing_alg: Option<String>,
    /// JWK Set text: the keys its assertions are verified with.
    pub jwks: Option<String>,
    /// Where its keys are published instead.
    pub jwks_uri: Option<String>,
    pub grant_types: Vec<GrantType>,
    pub scope: ScopeSet,
    /// What it may ask for by `resource`; the first one is the default.
    pub audience: AudienceSet,
    pub resource_server: bool,
    /// The audience values it answers for as a resource server; empty: all of the provider.
    pub resources: AudienceSet,
    pub access_token_format: AccessTokenFormat,
    /// Seconds; `None`: the provider's.
    pub access_token_ttl: Option<i64>,
    pub enabled: bool,
    /// Works on this surface only: the built-in `runai`, and what a surface has made by calls of its own.
    pub only_surface: Option<String>,
    pub policy: ClientPolicy,
    pub epoch: u32,
    /// Raised by every change; the `ETag`.
    pub version: i64,
    /// Epoch seconds.
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
}

impl Client {
    pub fn is_live(&self) -> bool {
        self.enabled && self.deleted_at.is_none()
    }

    pub fn is_public(&self) -> bool {
        self.auth_method == AuthMethod::None
    }

    /// The client that a surface brings along. It has the surface's name, which no client that is made
    /// on one can have.
    pub fn is_built_in(&self) -> bool {
        self.only_surface.as_deref() == Some(self.client_id.as_str())
    }

    pub fn may_use(&self, grant: GrantType) -> bool {
        self.grant_types.contains(&grant)
    }
}

/// One of the several secrets of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    pub id: SecretId,
    pub stored: StoredSecret,
    /// Last four characters.
    pub hint: String,
    /// Epoch seconds.
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

impl ClientSecret {
    /// Usable at `now` (epoch seconds).
    pub fn is_live(&self, now: i64) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// Most secrets of one client that may be live at once.
pub const MAX_LIVE_SECRETS: usize = 8;
