//! Signing keys of a provider and the data keys of the installation, as values.

use secrecy::SecretSlice;

use crate::domain::{ProviderId, SigningAlg};

/// The life of a signing key: published before it signs, published after (OIDC Core §10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyState {
    Next,
    Active,
    Retired,
}

impl KeyState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retired].into_iter().find(|state| state.name() == name)
    }
}

/// A signing key as it lies in the database: the private part sealed under a data key.
#[derive(Clone, Debug)]
pub struct StoredSigningKey {
    /// `kid`, UUID text; also the primary key.
    pub kid: String,
    pub provider: ProviderId,
    pub alg: SigningAlg,
    pub state: KeyState,
    /// The public key as JWK text (RFC 7517), with `kid`, `alg`, `use`.
    pub public_jwk: String,
    /// PKCS#8 DER sealed under the data key named here.
    pub sealed_private: Vec<u8>,
    pub data_key_id: String,
    /// Epoch seconds.
    pub created_at: i64,
    /// When a `next` key starts to sign; when an active one did.
    pub activates_at: i64,
    pub retired_at: Option<i64>,
    /// Largest lifetime in seconds that was allowed while it was active: how long a retired key
    /// stays published.
    pub max_lifetime: i64,
}

/// What a data key is for. Each purpose has keys of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataKeyPurpose {
    /// Seals private signing keys.
    SigningKeys,
    /// Keys the digests of random secrets.
    Pepper,
    /// Seals opaque access tokens.
    Tokens,
    /// Authenticates refresh tokens.
    Refresh,
    /// Seals what a browser carries for us: flows, known devices.
    Browser,
}

impl DataKeyPurpose {
    pub const ALL: [Self; 5] = [Self::SigningKeys, Self::Pepper, Self::Tokens, Self::Refresh, Self::Browser];

    pub const fn name(self) -> &'static str {
        match self {
            Self::SigningKeys => "signing",
            Self::Pepper => "pepper",
            Self::Tokens => "tokens",
            Self::Refresh => "refresh",
            Self::Browser => "browser",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// A data key as it lies in the database: 32 bytes sealed under the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedDataKey {
    /// Short text id, part of what the key made (`<pepper id>$…`).
    pub id: String,
    pub purpose: DataKeyPurpose,
    pub sealed: Vec<u8>,
    /// Epoch seconds.
    pub created_at: i64,
    /// From when on it makes new things; every node knows it by then. Epoch seconds.
    pub active_at: i64,
}

/// Key bytes in memory.
pub type KeyBytes = SecretSlice<u8>;
