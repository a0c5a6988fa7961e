//! A token request as a list of named steps. Every grant of every wire goes through here.

use crate::domain::client::GrantType;
use crate::domain::grant::{ExternalForm, Grant, GrantRequest, Granted};
use crate::domain::{Context, Failed};
use crate::engine::authenticate::Caller;
use crate::engine::grants::authorization_code::Redemption;
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
        policy::may_use_grant(&client, grant_type(&grant))?;
        match grant {
            Grant::ClientCredentials => {
                let terms = client_credentials::terms(&provider.provider, &client, &ask)?;
                self.issue(ctx, &provider, &client, terms).await
            }
            Grant::AuthorizationCode { code, redirect_uri, verifier } => {
                let redemption =
                    Redemption { code: &code, redirect_uri: redirect_uri.as_deref(), verifier: verifier.as_ref() };
                self.code_grant(ctx, &provider, &client, redemption, &ask).await
            }
            Grant::RefreshToken { token } => self.refresh_grant(ctx, &provider, &client, &token, &ask).await,
            Grant::Password { username, password } => {
                self.password_grant(ctx, &provider, &client, &username, &password, &ask).await
            }
            Grant::External { token, form } => self.external_grant(ctx, &provider, &client, &token, &form, &ask).await,
        }
    }
}

/// The grant type that a client must have for this.
fn grant_type(grant: &Grant) -> GrantType {
    match grant {
        Grant::ClientCredentials => GrantType::ClientCredentials,
        Grant::AuthorizationCode { .. } => GrantType::AuthorizationCode,
        Grant::RefreshToken { .. } => GrantType::RefreshToken,
        Grant::Password { .. } => GrantType::Password,
        Grant::External { form: ExternalForm::JwtBearer, .. } => GrantType::JwtBearer,
        Grant::External { form: ExternalForm::TokenExchange { .. } | ExternalForm::Surface, .. } => {
            GrantType::TokenExchange
        }
    }
}
