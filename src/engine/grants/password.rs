//! RFC 6749 §4.3: a person's name and password, handed in by the client.

use secrecy::SecretString;

use crate::domain::grant::{Ask, Granted};
use crate::domain::{Context, Failed, Refusal, RefusalKind};
use crate::engine::Engine;
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;

impl Engine {
    pub(in crate::engine) async fn password_grant(
        &self,
        _ctx: &Context,
        _provider: &ProviderEntry,
        _client: &ClientEntry,
        _username: &str,
        _password: &SecretString,
        _ask: &Ask,
    ) -> Result<Granted, Failed> {
        Err(Refusal::new(RefusalKind::UnsupportedGrantType, "Not served yet.").into())
    }
}
