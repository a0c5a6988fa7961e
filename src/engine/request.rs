//! A token request as a list of named steps. Every grant of every wire goes through here.

use crate::domain::client::GrantType;
use crate::domain::grant::{Grant, GrantRequest, Granted};
use crate::domain::{Context, Failed, Refusal, RefusalKind};
use crate::engine::authenticate::Caller;
use crate::engine::grants::client_credentials;
use crate::engine::{Engine, policy};

impl Engine {
    /// Grants or refuses a token request.
    ///
    /// Refusals: unknown provider, failed client authentication, a grant type, scope or audience
    /// the client may not have. Faults: the store is away or this node may not decide right now.
    pub async fn grant(&self, ctx: &Context, request: GrantRequest) -> Result<Granted, Failed> {
        let outcome = self.decide(ctx, request).await;
        let counters = self.counters();
        match &outcome {
            Ok(_) => counters.granted.add_one(),
            Err(Failed::Refused(_)) => counters.refused.add_one(),
            Err(Failed::Fault(_)) => counters.faulted.add_one(),
        }
        outcome
    }

    async fn decide(&self, ctx: &Context, request: GrantRequest) -> Result<Granted, Failed> {
        let GrantRequest { provider, client, grant, ask } = request;
        self.require_fresh()?;
        let provider = self.provider(ctx, &provider).await?;
        let caller = self.authenticate(ctx, &provider, client).await?;
        let Caller::Client(client) = caller else {
            return Err(Caller::not_a_client().into());
        };
        let terms = match grant {
            Grant::ClientCredentials => {
                policy::may_use_grant(&client, GrantType::ClientCredentials)?;
                client_credentials::terms(&provider.provider, &client, &ask)?
            }
            Grant::AuthorizationCode { .. }
            | Grant::RefreshToken { .. }
            | Grant::Password { .. }
            | Grant::External { .. } => {
                return Err(Refusal::new(RefusalKind::UnsupportedGrantType, "Not served yet.").into());
            }
        };
        self.issue(ctx, &provider, &client, terms).await
    }
}
