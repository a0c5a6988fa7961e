//! OIDC RP-Initiated Logout.

use crate::domain::authorize::{Logout, LogoutParams};
use crate::domain::grant::ProviderRef;
use crate::domain::session::Browser;
use crate::domain::{Context, Failed, Fault};
use crate::engine::Engine;

impl Engine {
    pub async fn logout(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _params: LogoutParams,
        _browser: &Browser,
    ) -> Result<Logout, Failed> {
        Err(Fault::busy("not built yet").into())
    }

    pub async fn confirm_logout(
        &self,
        _ctx: &Context,
        _provider: &ProviderRef,
        _flow: &str,
        _browser: &Browser,
    ) -> Result<Logout, Failed> {
        Err(Fault::busy("not built yet").into())
    }
}
