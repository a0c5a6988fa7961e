//! RFC 7009: ends a token before its time. Order: commit, then the set in memory, then the answer.

use crate::domain::api_key::Role;
use crate::domain::grant::{PresentedClient, ProviderRef};
use crate::domain::token::{Revocation, RevokedKind};
use crate::domain::{AccessClaims, Context, Decision, Failed};
use crate::engine::Engine;
use crate::engine::authenticate::Caller;
use crate::engine::introspect::key_reaches;
use crate::store::{ChangedTable, revoked};

impl Engine {
    /// Revokes `token` if it is the caller's to revoke. A token that is unknown, expired or
    /// another's is left alone without a word (§2.2).
    pub async fn revoke(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        caller: PresentedClient,
        token: &str,
    ) -> Result<(), Failed> {
        self.require_fresh()?;
        let provider = self.provider(ctx, provider).await?;
        let caller = self.authenticate(ctx, &provider, caller).await?;
        if let Caller::ApiKey(entry) = &caller {
            key_reaches(entry.key.provider.as_ref(), &provider)?;
        }
        let Some(claims) = self.active_token(ctx, &provider, token).await? else { return Ok(()) };
        if !may_revoke(&caller, &claims) {
            log::info!("{} token {} left alone: it is another's", ctx.request_id, claims.jti);
            return Ok(());
        }
        let revocation = Revocation {
            provider: provider.provider.id.clone(),
            kind: RevokedKind::Token,
            id: claims.jti,
            expires_at: claims.expires_at,
        };
        self.write_revocation(ctx, revocation).await?;
        self.counters().revoked.add_one();
        Ok(())
    }

    async fn write_revocation(&self, ctx: &Context, revocation: Revocation) -> Result<(), Failed> {
        let (row, now) = (revocation.clone(), ctx.now);
        let written = self
            .0
            .db
            .write(ctx.deadline, move |tx| {
                if revoked::insert(tx, &row)? {
                    tx.changed(ChangedTable::Revoked, &row.id.to_string(), now)?;
                }
                Ok(Decision::Allow(()))
            })
            .await?;
        match written {
            Decision::Allow(()) => self.0.revocations.insert(&revocation),
            Decision::Refuse(refusal) => return Err(refusal.into()),
        }
        Ok(())
    }
}

/// The client it was issued to, the API key that minted it, or an API key that administers.
fn may_revoke(caller: &Caller, claims: &AccessClaims) -> bool {
    match caller {
        Caller::Env => true,
        Caller::ApiKey(entry) => entry.key.role >= Role::Admin || entry.key.id.as_str() == claims.client_id,
        Caller::Client(client) => client.client_id.as_str() == claims.client_id,
    }
}
