//! Secrets that grantd hands out carry their kind in a prefix, so that a scanner finds a leak and
//! junk is told from a credential without asking the database. How they are made and checked is
//! the business of `crypto`.

/// The kinds by prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    ApiKey,
    ClientSecret,
    OpaqueAccessToken,
    AuthorizationCode,
    RefreshToken,
}

impl SecretKind {
    pub const ALL: [Self; 5] =
        [Self::ApiKey, Self::ClientSecret, Self::OpaqueAccessToken, Self::AuthorizationCode, Self::RefreshToken];

    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ApiKey => "gk_",
            Self::ClientSecret => "gs_",
            Self::OpaqueAccessToken => "ga_",
            Self::AuthorizationCode => "gc_",
            Self::RefreshToken => "gr_",
        }
    }
}

/// How a secret is kept: never in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredSecret {
    /// HMAC-SHA-256 under the digest pepper with this id: for random 256-bit secrets made by us
    /// and for imported API keys. Stored as `<pepper id>$<base64url>`.
    Digest { pepper_id: String, digest: [u8; 32] },
    /// An Argon2id PHC string: for secrets that a person or an import chose.
    Argon2(String),
}

/// The last four characters, by which people recognise a secret they once saw.
pub fn hint_of(secret: &str) -> String {
    let mut tail: Vec<char> = secret.chars().rev().take(4).collect();
    tail.reverse();
    tail.into_iter().collect()
}

/// Shortest secret or API key that a person or an import may choose.
pub const MIN_CHOSEN_SECRET: usize = 32;
/// Longest secret that is looked at; longer input is refused before any hashing.
pub const MAX_SECRET: usize = 500;
