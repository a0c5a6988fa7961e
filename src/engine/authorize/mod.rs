//! The authorization endpoint (RFC 6749 §4.1, OIDC Core §3.1.2).

use secrecy::SecretString;

use crate::domain::authorize::{Authorize, AuthorizeParams, ConsentPage, LoggedIn, LoginPage};
use crate::domain::grant::ProviderRef;
use crate::domain::session::Browser;
use crate::domain::{Context, Failed, Fault};
use crate::engine::Engine;

fn stub<T>() -> Result<T, Failed> {
    Err(Fault::busy("not built yet").into())
}

impl Engine {
    pub async fn authorize(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _params: AuthorizeParams,
        _browser: &Browser,
    ) -> Result<Authorize, Failed> {
        stub()
    }

    pub async fn login_page(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _flow: Option<&str>,
        _browser: &Browser,
    ) -> Result<LoginPage, Failed> {
        stub()
    }

    pub async fn log_in(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _flow: Option<&str>,
        _browser: &Browser,
        _username: &str,
        _password: &SecretString,
    ) -> Result<LoggedIn, Failed> {
        stub()
    }

    pub async fn cancel_login(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _flow: &str,
        _browser: &Browser,
    ) -> Result<Authorize, Failed> {
        stub()
    }

    pub async fn consent_page(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _flow: &str,
        _browser: &Browser,
    ) -> Result<ConsentPage, Failed> {
        stub()
    }

    pub async fn decide_consent(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _flow: &str,
        _browser: &Browser,
        _allow: bool,
    ) -> Result<Authorize, Failed> {
        stub()
    }
}
