//! One-time tokens: the first success spends one, durably, before anybody hears of it.

use crate::domain::{AccessClaims, Context, Failed, Fault, Refusal};
use crate::engine::Engine;
use crate::engine::authenticate::{Caller, ENV};
use crate::engine::cache::providers::ProviderEntry;
use crate::store::spent_tokens::{self, Use};

const MAX_USE_ID: usize = 64;

/// The use that a verifier is about to make of a token.
#[derive(Clone, Copy)]
pub(in crate::engine) struct SpentBy<'a> {
    /// `None`: whoever stands before us, and cannot be told from others.
    pub caller: Option<&'a Caller>,
    /// How the caller tells this use from others, so that it may ask again.
    pub use_id: Option<&'a str>,
}

impl Engine {
    /// Whether the token may be used now. One that is not for one use always may; another is spent by
    /// this. Call it last, when nothing can refuse the use any more.
    pub(in crate::engine) async fn spend(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        claims: &AccessClaims,
        by: SpentBy<'_>,
    ) -> Result<bool, Failed> {
        if !claims.is_one_time() {
            return Ok(true);
        }
        let spent = Use {
            provider: provider.provider.id.clone(),
            jti: claims.jti,
            key: use_key(by)?,
            expires_at: claims.expires_at,
        };
        let now = ctx.now;
        let first = self.0.db.write_one(ctx.deadline, move |conn| spent_tokens::spend(conn, &spent, now)).await?;
        if first {
            self.counters().spent.add_one();
        } else {
            log::info!("{} one-time token {} was used before", ctx.request_id, claims.jti);
        }
        Ok(first)
    }
}

impl Engine {
    /// Whether a one-time token was used already. Spends nothing, so it decides no use.
    pub(in crate::engine) async fn is_spent(
        &self,
        ctx: &Context,
        provider: &ProviderEntry,
        claims: &AccessClaims,
    ) -> Result<bool, Fault> {
        if !claims.is_one_time() {
            return Ok(false);
        }
        let (provider, jti) = (provider.provider.id.clone(), claims.jti);
        self.0.db.read(ctx.deadline, move |conn| spent_tokens::is_spent(conn, &provider, jti)).await
    }
}

/// A `use_id` as it may come in: 1 to 64 characters.
pub fn check_use_id(use_id: &str) -> Result<(), Refusal> {
    if !use_id.is_empty() && use_id.chars().count() <= MAX_USE_ID && !use_id.contains('\0') {
        return Ok(());
    }
    Err(Refusal::malformed("use_id must be 1 to 64 characters."))
}

fn use_key(by: SpentBy<'_>) -> Result<Option<String>, Refusal> {
    let (Some(caller), Some(use_id)) = (by.caller, by.use_id) else { return Ok(None) };
    check_use_id(use_id)?;
    let caller = match caller {
        Caller::Client(client) => client.client_id.as_str(),
        Caller::ApiKey(entry) => entry.key.id.as_str(),
        Caller::Env => ENV,
    };
    Ok(Some(format!("{caller}\n{use_id}")))
}
