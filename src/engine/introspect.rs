//! RFC 7662: who may see what of a token. No row is written, but for the use of a one-time token.

use crate::domain::explanation::{Fact, facts};
use crate::domain::grant::{PresentedClient, ProviderRef};
use crate::domain::{AccessClaims, Context, Failed, Refusal, RefusalKind};
use crate::engine::Engine;
use crate::engine::authenticate::Caller;
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::spend::{SpentBy, check_use_id};

impl Engine {
    /// The claims of `token` if it is active and the caller may see it, else `None`
    /// (`{"active":false}`).
    ///
    /// An API key sees every token of its provider; a resource server those meant for it; any other
    /// confidential client those issued to it or with its `client_id` as audience. A public client
    /// is refused (RFC 7662 §4).
    ///
    /// A one-time token is spent by this. `use_id` (1 to 64 characters, the caller's own) makes the same
    /// call within ten seconds get the same answer.
    pub async fn introspect(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        caller: PresentedClient,
        token: &str,
        use_id: Option<&str>,
    ) -> Result<Option<AccessClaims>, Failed> {
        use_id.map_or(Ok(()), check_use_id)?;
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        let caller = self.authenticate(ctx, &provider, caller).await?;
        may_introspect(&caller, &provider)?;
        self.counters().introspected.add_one();
        let claims = self.active_token(ctx, &provider, token).await?;
        let inactive = |rule, sentence: &str| {
            ctx.trail.kind("introspection");
            ctx.trail.refused(rule, sentence);
            Ok(None)
        };
        let Some(claims) = claims else { return inactive("token.active", "The token is not active.") };
        if !may_see(&caller, &claims) {
            ctx.trail.failed("token.visible", facts![issued_to: Fact::text(&claims.client_id)]);
            return inactive("token.visible", "The token is not the caller's to see.");
        }
        let by = SpentBy { caller: Some(&caller), use_id };
        if self.spend(ctx, &provider, &claims, by).await? {
            return Ok(Some(claims));
        }
        ctx.trail.failed("token.unspent", facts![]);
        inactive("token.unspent", "The one-time token was used before.")
    }
}

fn may_introspect(caller: &Caller, provider: &ProviderEntry) -> Result<(), Refusal> {
    match caller {
        Caller::Env => Ok(()),
        Caller::Client(client) if !client.is_public() => Ok(()),
        Caller::Client(_) => Err(Refusal::invalid_client("a public client may not introspect")),
        Caller::ApiKey(entry) => key_reaches(entry.key.provider.as_ref(), provider),
    }
}

/// A key bound to another provider is unknown at this one.
pub(in crate::engine) fn key_reaches(
    bound_to: Option<&crate::domain::ProviderId>,
    provider: &ProviderEntry,
) -> Result<(), Refusal> {
    if bound_to.is_none_or(|bound| *bound == provider.provider.id) {
        return Ok(());
    }
    Err(Refusal::new(RefusalKind::InvalidApiKey, "The API key is not valid.")
        .about("API key of another provider")
        .because("api_key.provider", facts![]))
}

fn may_see(caller: &Caller, claims: &AccessClaims) -> bool {
    match caller {
        Caller::Env | Caller::ApiKey(_) => true,
        Caller::Client(client) if client.resource_server => {
            client.resources.is_empty() || client.resources.meets(&claims.audience)
        }
        Caller::Client(client) => is_party(client, claims),
    }
}

fn is_party(client: &ClientEntry, claims: &AccessClaims) -> bool {
    let id = client.client_id.as_str();
    claims.client_id == id || claims.audience.contains(id)
}
