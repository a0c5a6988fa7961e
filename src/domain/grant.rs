//! A token request and its outcome, free of any wire form.

use secrecy::SecretString;

use crate::domain::client::AuthMethod;
use crate::domain::ephemeral::{IssuerChoice, WireClaims};
use crate::domain::{ClientId, MintAsk, ProviderSlug, ScopeSet, SigningAlg};

/// What a dialect read from its wire and hands to the engine.
#[derive(Debug)]
pub struct GrantRequest {
    pub provider: ProviderRef,
    pub client: PresentedClient,
    pub grant: Grant,
    pub ask: Ask,
}

/// The provider a call names.
#[derive(Clone, Debug)]
pub struct ProviderRef {
    pub slug: ProviderSlug,
    /// A surface that the provider must have turned on for itself.
    pub must_serve: Option<&'static str>,
    /// The provider that an API key is bound to is meant instead, where one is presented.
    pub key_decides: bool,
}

/// The proof a caller presented, not yet believed.
#[derive(Debug)]
pub enum PresentedClient {
    /// A bare `client_id`.
    Bare {
        client_id: ClientId,
    },
    Secret {
        client_id: ClientId,
        secret: SecretString,
        via: SecretVia,
    },
    /// `client_assertion` (RFC 7523 §2.2); `client_id` if it was sent beside it.
    Assertion {
        jwt: SecretString,
        client_id: Option<ClientId>,
    },
    ApiKey {
        key: SecretString,
    },
}

/// Where a secret stood. On the standard endpoints only the registered method works (RFC 7591 §2);
/// a surface has a place of its own, which serves both secret methods alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretVia {
    Basic,
    Post,
    Wire,
}

impl SecretVia {
    /// As client authentication methods are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
            Self::Wire => "a secret in the surface's own place",
        }
    }

    pub const fn fits(self, method: AuthMethod) -> bool {
        match self {
            Self::Basic => matches!(method, AuthMethod::ClientSecretBasic),
            Self::Post => matches!(method, AuthMethod::ClientSecretPost),
            Self::Wire => method.uses_secret(),
        }
    }
}

/// The act that is to be granted.
#[derive(Debug)]
pub enum Grant {
    /// The client acts for itself (RFC 6749 §4.4).
    ClientCredentials,
    /// RFC 6749 §4.1.3, RFC 7636 §4.5.
    AuthorizationCode { code: SecretString, redirect_uri: Option<String>, verifier: Option<SecretString> },
    /// RFC 6749 §6.
    RefreshToken { token: SecretString },
    /// RFC 6749 §4.3.
    Password { username: String, password: SecretString },
    /// A token of a trusted issuer is handed in.
    External { token: SecretString, form: ExternalForm },
    /// An API key, or a client that may, makes an ephemeral token.
    Mint(Box<MintAsk>),
}

/// By which rule a token of another issuer is handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternalForm {
    /// RFC 8693: the token type URIs that were sent.
    TokenExchange { subject_token_type: String, requested_token_type: Option<String> },
    /// RFC 7523 §2.1.
    JwtBearer,
    /// A surface of its own, which says no more than the token.
    Surface,
}

/// What the caller would like the token to be.
#[derive(Debug, Default)]
pub struct Ask {
    /// `None`: the grant's default.
    pub scope: Option<ScopeSet>,
    /// `resource` values (RFC 8707), not yet checked.
    pub resources: Vec<String>,
    /// The surface answers JWTs whatever the client's format is.
    pub force_jwt: bool,
    /// An ID token for the client itself (Run:ai apptoken).
    pub own_id_token: bool,
    /// The wire has no scope: all that the client has, also for people.
    pub scope_of_client: bool,
    /// What the client has of these, where nothing was asked.
    pub usual_scope: Option<ScopeSet>,
    /// Seconds a token of this wire lives where nothing shorter is set.
    pub usual_lifetime: Option<i64>,
    /// `None`: the provider's.
    pub signing_alg: Option<SigningAlg>,
    pub issuer: IssuerChoice,
    /// `aud` is a list even where it has one value.
    pub audience_as_list: bool,
    /// Claims that the wire adds.
    pub wire_claims: Option<WireClaims>,
}

/// A granted token.
#[derive(Debug)]
pub struct Granted {
    pub access_token: SecretString,
    /// Seconds, at least 1.
    pub expires_in: i64,
    pub scope: ScopeSet,
    pub one_time: bool,
    pub id_token: Option<SecretString>,
    pub refresh_token: Option<SecretString>,
    /// RFC 8693 §2.2.1, for exchanged tokens.
    pub issued_token_type: Option<&'static str>,
}
