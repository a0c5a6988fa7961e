//! A gateway asks whether a request may pass. Zero rows are written, one when a one-time token is
//! spent.

use crate::domain::grant::ProviderRef;
use crate::domain::{Access, AccessClaims, Context, Failed, Refusal, RefusalKind, ScopeSet};
use crate::engine::cache::providers::ProviderEntry;
use crate::engine::spend::SpentBy;
use crate::engine::{Engine, policy};

/// What a gateway asks about the request in its hands.
#[derive(Debug)]
pub struct Question<'a> {
    /// The access token that the request carries.
    pub token: Option<&'a str>,
    pub act: Act,
    /// Every one of these is needed.
    pub scope: ScopeSet,
    /// The token must be meant for it. `None`: for the provider's default audience.
    pub audience: Option<&'a str>,
    /// A preflight without a token passes.
    pub preflight_passes: bool,
}

/// What the request is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A browser asks what it may do; nothing happens yet.
    Preflight,
    Read,
    Change,
    /// The gateway did not say.
    Unsaid,
}

impl Engine {
    /// The claims of the token that lets the request pass; `None` for a preflight that needs none.
    ///
    /// Refused: no token, one that is not active or is meant for others (`InvalidToken`), one without the
    /// scope or the access (`InsufficientScope`). A refusal spends nothing, nor does a preflight.
    pub async fn forward_auth(
        &self,
        ctx: &Context,
        provider: &ProviderRef,
        question: &Question<'_>,
    ) -> Result<Option<AccessClaims>, Failed> {
        self.require_fresh(ctx).await?;
        let provider = self.provider(ctx, provider).await?;
        let Some(token) = question.token else { return without_token(question) };
        let claims = self.active_token(ctx, &provider, token).await?.ok_or_else(|| invalid("an inactive token"))?;
        may_pass(&provider, &claims, question)?;
        // A gateway has no name here, so it cannot ask again for the same use.
        let by = SpentBy { caller: None, use_id: None };
        let is_usable = match question.act {
            Act::Preflight => !self.is_spent(ctx, &provider, &claims).await?,
            Act::Read | Act::Change | Act::Unsaid => self.spend(ctx, &provider, &claims, by).await?,
        };
        if is_usable { Ok(Some(claims)) } else { Err(invalid("a spent one-time token").into()) }
    }
}

fn without_token(question: &Question<'_>) -> Result<Option<AccessClaims>, Failed> {
    if question.act == Act::Preflight && question.preflight_passes {
        return Ok(None);
    }
    Err(Refusal::new(RefusalKind::MissingCredentials, "An access token is needed.").into())
}

/// Everything but the spending.
fn may_pass(provider: &ProviderEntry, claims: &AccessClaims, question: &Question<'_>) -> Result<(), Refusal> {
    if !is_meant_for(provider, claims, question.audience) {
        let asked: Vec<String> = question.audience.map(str::to_owned).into_iter().collect();
        let values = policy::audience_facts(&asked, claims.audience.iter());
        return Err(invalid("a token for another audience").because("token.audience", values));
    }
    if let Some(outside) = question.scope.first_outside(&claims.scope) {
        let values = policy::scope_facts(&question.scope, outside, &claims.scope);
        return Err(
            insufficient("The access token lacks a scope that is needed here.").because("scope.allowed", values)
        );
    }
    let reads_only = claims.extra.as_ref().is_some_and(|extra| extra.access == Some(Access::ReadOnly));
    match question.act {
        Act::Change if reads_only => Err(insufficient("The access token is for reading only.")),
        Act::Unsaid if reads_only => Err(insufficient(
            "The access token is for reading only, and the gateway did not say what the request does.",
        )),
        Act::Preflight | Act::Read | Act::Change | Act::Unsaid => Ok(()),
    }
}

/// Whoever asks for no audience means the provider's own: what was registered as its default, else any
/// issuer it has or had.
fn is_meant_for(provider: &ProviderEntry, claims: &AccessClaims, asked: Option<&str>) -> bool {
    match asked.or(provider.provider.default_audience.as_deref()) {
        Some(audience) => claims.audience.contains(audience),
        None => claims.audience.iter().any(|audience| provider.has_issuer(audience)),
    }
}

fn invalid(why: &'static str) -> Refusal {
    Refusal::new(RefusalKind::InvalidToken, "The access token is not valid.").about(why)
}

fn insufficient(hint: &'static str) -> Refusal {
    Refusal::new(RefusalKind::InsufficientScope { needed: "" }, hint)
}
