//! Issuers whose tokens are believed, and on what conditions.

use crate::domain::{AudienceSet, ClientId, IssuerId, ProviderId, ScopeSet, TenantId};

/// Rows of one issuer at a provider, those of its tenants aside: a token is judged by each of them.
pub const MAX_ROWS_OF_ISSUER: usize = 20;

/// What tokens of the issuer are good for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustPurpose {
    /// They can be handed in for tokens of ours.
    #[default]
    Exchange,
    /// They are only judged.
    Validate,
}

impl TrustPurpose {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::Validate => "validate",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Exchange, Self::Validate].into_iter().find(|purpose| purpose.name() == name)
    }
}

/// How a claim is compared. On an array `equals`, `like` and `in` mean any, `not_*` none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Equals,
    /// Anchored; knows `*` and `?` only.
    Like,
    NotEquals,
    NotLike,
    /// One of several values.
    In,
}

impl Operator {
    pub const ALL: [Self; 5] = [Self::Equals, Self::Like, Self::NotEquals, Self::NotLike, Self::In];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::Like => "like",
            Self::NotEquals => "not_equals",
            Self::NotLike => "not_like",
            Self::In => "in",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.name() == name)
    }
}

/// A condition on one claim. A claim that is absent makes it false, whatever the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub claim: String,
    pub operator: Operator,
    /// One value; several for [`Operator::In`].
    pub values: Vec<String>,
}

/// Whom the subject of an external token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapTo {
    User,
    Client,
}

impl MapTo {
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Client => "client",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::User, Self::Client].into_iter().find(|map| map.name() == name)
    }
}

/// Whether an account is made for a subject that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provision {
    None,
    JustInTime,
}

impl Provision {
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::JustInTime => "jit",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::None, Self::JustInTime].into_iter().find(|provision| provision.name() == name)
    }
}

/// Where the issuer's keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKeys {
    /// A JWK Set text that was pasted.
    Pasted(String),
    Url(String),
    /// By `<issuer>/.well-known/openid-configuration` (OIDC Discovery §4).
    Discovery,
}

/// An issuer whose tokens are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedIssuer {
    pub id: IssuerId,
    pub provider: ProviderId,
    /// Whose it is; `None`: the provider's own.
    pub tenant: Option<TenantId>,
    /// `iss`, byte for byte.
    pub issuer: String,
    pub keys: IssuerKeys,
    pub purpose: TrustPurpose,
    pub rules: TrustRules,
    pub enabled: bool,
    /// Raised by every change; the `ETag`.
    pub version: i64,
    /// Epoch seconds.
    pub created_at: i64,
    pub updated_at: i64,
    pub deleted_at: Option<i64>,
}

/// On what conditions, and what comes of it. Lifetimes in seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRules {
    /// Who may exchange; empty: nobody.
    pub clients: Vec<ClientId>,
    /// At least one; one of the token's must be in it.
    pub audiences: AudienceSet,
    /// JOSE names.
    pub algorithms: Vec<String>,
    /// The claim that names the subject; `sub` unless set.
    pub subject_claim: String,
    pub conditions: Vec<Condition>,
    /// RFC 8693 §3 token type URIs that are taken; empty: all that are JWTs.
    pub token_types: Vec<String>,
    /// A token works once, by its `jti`.
    pub require_jti: bool,
    /// `iat` may not lie further back.
    pub max_age: Option<i64>,
    pub map_to: MapTo,
    pub provision: Provision,
    pub link_by_verified_email: bool,
    pub allow_refresh: bool,
    /// What an exchanged token may have; `None`: what the client has.
    pub scope: Option<ScopeSet>,
    /// What an exchanged token is for; empty: as for any token of the client.
    pub audience: AudienceSet,
    pub max_ttl: Option<i64>,
    /// Certificates of which the servers that publish the keys must show one, in the spelling they
    /// were given in; empty: whatever the machine trusts.
    pub fingerprints: Vec<String>,
}

/// SHA-1 or SHA-256 of a certificate (DER) in lower-case hexadecimal; `None` for what is neither.
///
/// ```text
/// 99:0F:41:93:97:2F:2B:EC:F1:2D:DE:DA:52:37:F9:C9:52:F2:0D:9E  → 990f4193972f2becf12ddeda5237f9c952f20d9e
/// ```
pub fn fingerprint(text: &str) -> Option<String> {
    let digits: String = text.split(':').collect::<String>().to_ascii_lowercase();
    let in_pairs = !text.contains(':') || text.split(':').all(|pair| pair.len() == 2);
    let is_digest = matches!(digits.len(), 40 | 64) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    (in_pairs && is_digest).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_a_digest_in_any_usual_spelling() {
        let sha1 = "990f4193972f2becf12ddeda5237f9c952f20d9e";
        assert_eq!(fingerprint(sha1).as_deref(), Some(sha1));
        assert_eq!(fingerprint(&sha1.to_uppercase()).as_deref(), Some(sha1));
        let pairs: Vec<String> =
            sha1.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
        assert_eq!(fingerprint(&pairs.join(":")).as_deref(), Some(sha1));
        assert_eq!(fingerprint(&"a".repeat(64)), Some("a".repeat(64)));
        for bad in
            ["", &"a".repeat(32), &"a".repeat(41), &"g".repeat(40), &format!("{sha1}:"), &format!("9:90{}", &sha1[3..])]
        {
            assert_eq!(fingerprint(bad), None, "{bad}");
        }
    }
}
