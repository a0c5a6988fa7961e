//! The authorization endpoint as values: what was asked, and what the browser is to do next
//! (RFC 6749 §4.1, OIDC Core §3.1.2).

use secrecy::SecretString;

use crate::domain::{ProviderId, Refusal, ScopeSet};

/// The parameters of an authorization request, as sent; each at most once, empty ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizeParams {
    pub client_id: Option<String>,
    pub redirect_uri: Option<String>,
    pub response_type: Option<String>,
    pub response_mode: Option<String>,
    pub scope: Option<String>,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: Option<String>,
    pub code_challenge_method: Option<String>,
    pub prompt: Option<String>,
    pub max_age: Option<String>,
    pub login_hint: Option<String>,
    pub id_token_hint: Option<String>,
    pub ui_locales: Option<String>,
    pub acr_values: Option<String>,
    pub claims: Option<String>,
    pub resources: Vec<String>,
    /// `request`, `request_uri`, `registration`, `dpop_jkt`, `authorization_details`: asked for and
    /// not supported, by name.
    pub unsupported: Vec<&'static str>,
}

/// What every page of a provider shows and its cookies are named by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    pub provider: ProviderId,
    pub name: String,
    pub logo_uri: Option<String>,
    /// `#rrggbb`.
    pub color: Option<String>,
    /// The issuer's scheme; never that of the request.
    pub is_https: bool,
    /// Path of the issuer, `""` or `/auth/p/acme`: every page lies below it.
    pub base_path: String,
}

/// What the browser is to do next.
#[derive(Debug)]
pub enum Authorize {
    /// 303 to this URL.
    Redirect(String),
    /// A page that posts these fields to this URL (OAuth 2.0 Form Post Response Mode).
    FormPost { to: String, fields: Vec<(&'static str, String)> },
    /// Log in first; the sealed flow goes along.
    Login(Waiting),
    /// Ask the person; the sealed flow goes along.
    Consent(Waiting),
    /// Nothing may leave to the client: the error page.
    Page(Refusal),
}

/// A request that waits for the person, sealed, so that no server keeps it and nobody reads it.
#[derive(Debug)]
pub struct Waiting {
    pub flow: String,
    /// The secret that binds the flow to this browser, where it has none yet: to be set as cookie.
    pub binding: Option<SecretString>,
}

/// What the login page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginPage {
    /// The client that asks, by its name; `None`: the person came on their own.
    pub client_name: Option<String>,
    pub login_hint: Option<String>,
    /// Language tags in order of preference; empty: the browser's.
    pub ui_locales: Vec<String>,
    /// `scheme://host:port` (or `scheme:`) that the browser is sent to in the end, for the page's
    /// `form-action`: browsers apply it to redirects that follow a form.
    pub redirect_origin: Option<String>,
}

/// What the consent page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentPage {
    pub client_name: String,
    pub username: String,
    pub scope: ScopeSet,
    pub ui_locales: Vec<String>,
    /// As in [`LoginPage`].
    pub redirect_origin: Option<String>,
}

/// A login that worked.
#[derive(Debug)]
pub struct LoggedIn {
    /// The session cookie's new secret.
    pub session: SecretString,
    /// Seconds for which the cookie is worth keeping.
    pub session_max_age: i64,
    /// Says that this browser has logged in on this account: to be set as cookie for 180 days.
    pub device: SecretString,
    /// How it goes on; `None`: to the account page.
    pub next: Option<Authorize>,
}

/// The parameters of a logout request (OIDC RP-Initiated Logout §2), as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogoutParams {
    pub id_token_hint: Option<String>,
    pub logout_hint: Option<String>,
    pub client_id: Option<String>,
    pub post_logout_redirect_uri: Option<String>,
    pub state: Option<String>,
    pub ui_locales: Option<String>,
}

/// What comes of a logout request.
#[derive(Debug)]
pub enum Logout {
    /// The session, if there was one, has ended; the browser's cookie is to be dropped. `to`: where
    /// the client wants the browser, registered and with `state`; `None`: the signed-out page.
    Ended { to: Option<String> },
    /// The person is asked first. The request goes along, sealed.
    Ask { waiting: Waiting, client_name: Option<String>, username: String, redirect_origin: Option<String> },
}

/// What the account page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub username: String,
    pub name: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub has_password: bool,
    /// Newest first, the live ones.
    pub sessions: Vec<AccountSession>,
}

/// One line of the list of sessions. Times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSession {
    pub id: String,
    pub user_agent: String,
    pub address: String,
    pub auth_time: i64,
    pub seen_at: i64,
    pub is_current: bool,
}
