//! What people do to their own account in the browser.

use secrecy::SecretString;

use crate::domain::authorize::Account;
use crate::domain::grant::ProviderRef;
use crate::domain::session::Browser;
use crate::domain::{Context, Failed, Fault};
use crate::engine::Engine;

fn stub<T>() -> Result<T, Failed> {
    Err(Fault::busy("not built yet").into())
}

impl Engine {
    /// `None`: not logged in.
    pub async fn account(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _browser: &Browser,
    ) -> Result<Option<Account>, Failed> {
        stub()
    }

    pub async fn change_own_name(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _browser: &Browser,
        _name: &str,
    ) -> Result<(), Failed> {
        stub()
    }

    pub async fn change_own_password(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _browser: &Browser,
        _current: &SecretString,
        _new: &SecretString,
    ) -> Result<(), Failed> {
        stub()
    }

    pub async fn end_own_session(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _browser: &Browser,
        _session_id: &str,
    ) -> Result<(), Failed> {
        stub()
    }

    pub async fn end_own_sessions(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _browser: &Browser,
    ) -> Result<(), Failed> {
        stub()
    }
}
