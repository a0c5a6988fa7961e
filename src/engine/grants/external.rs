//! A token of a trusted issuer is handed in (RFC 8693, RFC 7523 §2.1).

use secrecy::SecretString;

use crate::domain::grant::{Ask, ExternalForm, Granted};
use crate::domain::{Context, Failed, Refusal, RefusalKind};
use crate::engine::Engine;
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;

impl Engine {
    pub(in crate::engine) async fn external_grant(
        &self,
        _ctx: &Context,
        _provider: &ProviderEntry,
        _client: &ClientEntry,
        _token: &SecretString,
        _form: &ExternalForm,
        _ask: &Ask,
    ) -> Result<Granted, Failed> {
        Err(Refusal::new(RefusalKind::UnsupportedGrantType, "Not served yet.").into())
    }
}
