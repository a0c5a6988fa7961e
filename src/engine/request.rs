//! A token request as a list of named steps. Every grant of every wire goes through here.

use std::sync::Arc;

use crate::domain::client::GrantType;
use crate::domain::grant::{ExternalForm, Grant, GrantRequest, Granted, PresentedClient, ProviderRef};
use crate::domain::{Context, Failed};
use crate::engine::authenticate::Caller;
use crate::engine::cache::clients::ClientEntry;
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::grants::authorization_code::Redemption;
use crate::engine::grants::client_credentials;
use crate::engine::{Engine, policy};

impl Engine {
    /// Grants or refuses a token request.
    ///
    /// Refusals: unknown provider, failed client authentication, a grant type, scope or audience
    /// the client may not have. Faults: the store is away or this node may not decide right now.
    pub async fn grant(&self, ctx: &Context, request: GrantRequest) -> Result<Granted, Failed> {
        ctx.trail.kind("token");
        let outcome = self.decide(ctx, request).await;
        self.count(&outcome);
        outcome
    }

    pub(in crate::engine) fn count(&self, outcome: &Result<Granted, Failed>) {
        let counters = self.counters();
        match outcome {
            Ok(_) => counters.granted.add_one(),
            Err(Failed::Refused(_)) => counters.refused.add_one(),
            Err(Failed::Fault(_)) => counters.faulted.add_one(),
        }
    }

    async fn decide(&self, ctx: &Context, request: GrantRequest) -> Result<Granted, Failed> {
        let GrantRequest { provider: named, client: presented, grant, ask } = request;
        self.require_fresh(ctx).await?;
        let parties = async |presented, kind| self.parties(ctx, &named, presented, kind).await;
        match grant {
            Grant::ClientCredentials => {
                let (provider, client) = parties(presented, GrantType::ClientCredentials).await?;
                let terms = client_credentials::terms(&provider.provider, &client, &ask)?;
                self.issue(ctx, &provider, terms, &ask).await
            }
            Grant::AuthorizationCode { code, redirect_uri, verifier } => {
                let (provider, client) = parties(presented, GrantType::AuthorizationCode).await?;
                let redemption =
                    Redemption { code: &code, redirect_uri: redirect_uri.as_deref(), verifier: verifier.as_ref() };
                self.code_grant(ctx, &provider, &client, redemption, &ask).await
            }
            Grant::RefreshToken { token } => {
                let (provider, client) = parties(presented, GrantType::RefreshToken).await?;
                self.refresh_grant(ctx, &provider, &client, &token, &ask).await
            }
            Grant::Password { username, password } => {
                let (provider, client) = parties(presented, GrantType::Password).await?;
                self.password_grant(ctx, &provider, &client, &username, &password, &ask).await
            }
            Grant::External { token, form } => {
                let (provider, client) = parties(presented, external_grant_type(&form)).await?;
                self.external_grant(ctx, &provider, &client, &token, &form, &ask).await
            }
            Grant::Mint(mint) => self.mint_grant(ctx, &named, presented, *mint, &ask).await,
        }
    }

    /// The provider, and the client that may use this grant type there.
    async fn parties(
        &self,
        ctx: &Context,
        named: &ProviderRef,
        presented: PresentedClient,
        kind: GrantType,
    ) -> Result<(Arc<ProviderEntry>, Arc<ClientEntry>), Failed> {
        let provider = self.provider(ctx, named).await?;
        let Caller::Client(client) = self.authenticate(ctx, &provider, presented).await? else {
            return Err(Caller::not_a_client().into());
        };
        policy::may_use_grant(&client, kind)?;
        Ok((provider, client))
    }
}

const fn external_grant_type(form: &ExternalForm) -> GrantType {
    match form {
        ExternalForm::JwtBearer => GrantType::JwtBearer,
        ExternalForm::TokenExchange { .. } | ExternalForm::Surface => GrantType::TokenExchange,
    }
}
