//! Tokens as values: claims, formats, algorithms. Signing, sealing and verifying are in `crypto`.

use std::fmt;

use crate::domain::session::Amr;
use crate::domain::{AudienceSet, ExtraClaims, ScopeSet, SessionId};

/// JWS algorithms grantd signs with (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SigningAlg {
    Es256,
    Rs256,
    EdDsa,
}

impl SigningAlg {
    pub const ALL: [Self; 3] = [Self::Es256, Self::Rs256, Self::EdDsa];

    /// The JOSE name, as it stands in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|alg| alg.name() == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTokenFormat {
    /// A JWT by RFC 9068, which a resource server can verify on its own.
    Jwt,
    /// Sealed claims, readable by grantd only: `ga_…`.
    Opaque,
}

impl AccessTokenFormat {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Jwt, Self::Opaque].into_iter().find(|format| format.name() == name)
    }
}

/// The `typ` header of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessTyp {
    /// `at+jwt`, RFC 9068 §2.1.
    AtJwt,
    /// `jwt`, for clients that ask for it on a surface of their own.
    Jwt,
}

/// The epochs a token was made in, claim `ep`: `provider.client-or-key.user.session`, decimal,
/// 0 = does not apply. A token whose epoch is lower than the current one is inactive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Epochs {
    pub provider: u32,
    pub client: u32,
    pub user: u32,
    pub session: u32,
}

impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, client, user, session } = self;
        write!(f, "{provider}.{client}.{user}.{session}")
    }
}

impl Epochs {
    /// Whether nothing was revoked between these and the current ones.
    pub const fn reach(self, current: Self) -> bool {
        self.provider >= current.provider
            && self.client >= current.client
            && self.user >= current.user
            && self.session >= current.session
    }

    /// Reads the claim back; `None` for anything that we did not write.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
        let epochs =
            Self { provider: parts.next()??, client: parts.next()??, user: parts.next()??, session: parts.next()?? };
        parts.next().is_none().then_some(epochs)
    }
}

/// The id of a token: 16 bytes, on the wire as UUID text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Jti(pub [u8; 16]);

impl Jti {
    /// Reads the lower-case hyphenated form that we write; `None` otherwise.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let hyphens_fit = bytes.len() == 36 && [8, 13, 18, 23].into_iter().all(|at| bytes.get(at) == Some(&b'-'));
        if !hyphens_fit || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        if digits.len() != 32 || !digits.is_ascii() {
            return None;
        }
        let mut out = [0_u8; 16];
        for (index, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(digits.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self(out))
    }

    /// The lower-case hyphenated form, ASCII. Without the formatting machinery: request ids are
    /// made like this too, so it is on the path of every request.
    pub fn text(self) -> [u8; 36] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut out = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            out[at] = DIGITS[usize::from(byte >> 4)];
            out[at + 1] = DIGITS[usize::from(byte & 15)];
            at += 2;
        }
        out
    }
}

impl fmt::Display for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Jti {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The claims of an access token (RFC 9068 §2.2), in either format. Times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessClaims {
    pub issuer: String,
    pub subject: String,
    pub audience: AudienceSet,
    pub client_id: String,
    pub scope: ScopeSet,
    pub jti: Jti,
    pub issued_at: i64,
    pub expires_at: i64,
    pub epochs: Epochs,
    pub typ: AccessTyp,
    /// `None`: a machine's token.
    pub person: Option<PersonClaims>,
    /// `aud` is a list even where it has one value.
    pub audience_as_list: bool,
    /// `None`: the claims of RFC 9068 and no more.
    pub extra: Option<Box<ExtraClaims>>,
}

impl AccessClaims {
    /// Good for one use only.
    pub fn is_one_time(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| extra.one_time)
    }
}

/// What a person's access token says beside: the grant it belongs to, and the session it ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonClaims {
    /// `grant_id`.
    pub grant: GrantId,
    /// `sid`; only where the token ends with the session.
    pub session: Option<SessionId>,
}

/// The id of a person's grant: made and written like that of a token.
pub type GrantId = Jti;

/// The claims of an ID token (OIDC Core §2). One without `person` stands for a client itself
/// (Run:ai's apptoken answer).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdClaims {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
    pub jti: Jti,
    pub issued_at: i64,
    pub expires_at: i64,
    pub person: Option<PersonIdClaims>,
}

/// The claims of a logout token (OpenID Connect Back-Channel Logout 1.0 §2.4). Times are epoch
/// seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogoutClaims {
    pub issuer: String,
    pub subject: String,
    pub audience: String,
    pub jti: Jti,
    pub issued_at: i64,
    pub expires_at: i64,
    pub session: SessionId,
}

/// What an ID token says of a person beside `sub`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersonIdClaims {
    pub auth_time: i64,
    pub amr: Amr,
    pub nonce: Option<String>,
    /// OIDC Core §3.1.3.6; `None` where no access token goes with it.
    pub at_hash: Option<String>,
    pub sid: Option<SessionId>,
    pub profile: Profile,
}

/// Claims about a person (OIDC Core §5.1); `None` and empty ones are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub preferred_username: Option<String>,
    pub name: Option<String>,
    pub email: Option<String>,
    pub email_verified: Option<bool>,
    pub groups: Option<Vec<String>>,
    pub roles: Option<Vec<String>>,
    /// Epoch seconds.
    pub updated_at: Option<i64>,
}

/// What a revocation names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RevokedKind {
    /// One token, by its `jti`.
    Token,
    /// A person's grant: every token of it, by its id.
    Grant,
}

impl RevokedKind {
    pub const ALL: [Self; 2] = [Self::Token, Self::Grant];

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "jti",
            Self::Grant => "grant",
        }
    }
}

/// One entry of the revocation set: dead until it would have expired anyway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub provider: crate::domain::ProviderId,
    pub kind: RevokedKind,
    pub id: Jti,
    /// Epoch seconds.
    pub expires_at: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jti_reads_back_only_in_its_own_spelling() {
        let jti = Jti([0x01, 0x9a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0xff]);
        let text = jti.to_string();
        assert_eq!(text, "019a0001-0203-0405-0607-08090a0b0cff");
        assert_eq!(Jti::parse(&text), Some(jti));
        for bad in [
            "",
            "019A0001-0203-0405-0607-08090a0b0cff",
            "019a000102030405060708090a0b0cff",
            "019a0001-0203-0405-0607-08090a0b0c-f",
        ] {
            assert_eq!(Jti::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn epochs_read_back_and_nothing_else_does() {
        let epochs = Epochs { provider: 1, client: 2, user: 0, session: 4 };
        assert_eq!(Epochs::parse(&epochs.to_string()), Some(epochs));
        assert!(epochs.reach(epochs) && epochs.reach(Epochs::default()));
        assert!(!epochs.reach(Epochs { user: 1, ..epochs }) && !Epochs { client: 1, ..epochs }.reach(epochs));
        for bad in ["", "1.2.3", "1.2.3.4.5", "1.2.3.x", "-1.0.0.0"] {
            assert_eq!(Epochs::parse(bad), None, "{bad}");
        }
    }
}
