//! Judges a token for a tenant: by the same checks as an exchange, and by one policy beside. Nothing
//! is granted for it.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::read_foreign;
use crate::domain::external::{ExternalToken, Outcome};
use crate::domain::trust::TrustPurpose;
use crate::domain::{Context, Failed, Refusal, RefusalKind, Role, TrustPolicy, TrustedIssuer};
use crate::engine::Engine;
use crate::engine::manage::Actor;
use crate::engine::manage::policies::unknown_policy;
use crate::engine::trust::rules::{self, HandedIn};
use crate::engine::trust::work::Work;
use crate::engine::trust::{Accepted, Thoroughness};
use crate::store::issuers;

/// A token that is to be judged.
#[derive(Debug)]
pub struct Validation<'a> {
    pub tenant: &'a str,
    pub policy: &'a str,
    pub token: SecretString,
}

impl Engine {
    /// The end of a token that this policy of the tenant accepts, epoch seconds. Any API key that sees
    /// the provider may ask.
    ///
    /// Refusals: an unknown tenant or policy; a token that is not accepted, with the name of the check
    /// that it did not pass.
    pub async fn validate_token(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        asked: Validation<'_>,
    ) -> Result<i64, Failed> {
        actor.require(Role::Default)?;
        self.require_fresh(ctx).await?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let tenant = self.stored_tenant(ctx, &provider, asked.tenant).await?;
        let policy = self.stored_policy(ctx, asked.policy).await?;
        // A policy of another tenant's issuer is none.
        let row = self.stored_tenant_provider(ctx, &tenant, policy.issuer.as_str()).await;
        let row =
            row.map_err(|failed| if let Failed::Refused(_) = failed { unknown_policy().into() } else { failed })?;
        let token =
            read_foreign(asked.token.expose_secret()).map_err(|flaw| not_accepted("format", flaw.to_string()))?;
        if token.issuer != row.issuer {
            return Err(not_accepted("issuer", "its iss is not the provider's URL").into());
        }
        let issuer = row.issuer.clone();
        if self.0.db.read(ctx.deadline, move |conn| issuers::is_or_was_ours(conn, &issuer)).await? {
            return Err(not_accepted("issuer", "it is a token of this server").into());
        }
        self.require_accepted(ctx, (&row, &policy), (&asked.token, &token)).await?;
        // Keys may have been fetched meanwhile: what was ended or changed in that time accepts nothing.
        let policy_stands = self.stored_policy(ctx, asked.policy).await? == policy;
        if !policy_stands || !self.stands_as_read(ctx, &row).await? {
            return Err(not_accepted("policy", "the provider or policy was changed while the token was judged").into());
        }
        let expires_at = token.expires_at.ok_or_else(|| not_accepted("expiry", "exp is missing"))?;
        let subject = rules::subject_of(&row.rules, &token).unwrap_or_default().to_owned();
        let accepted = Accepted { row, token, subject, expires_at };
        if !self.spend_external(ctx, &accepted).await? {
            return Err(not_accepted("replay", "the token was used before").into());
        }
        Ok(expires_at)
    }

    async fn require_accepted(
        &self,
        ctx: &Context,
        (row, policy): (&TrustedIssuer, &TrustPolicy),
        (jwt, token): (&SecretString, &ExternalToken),
    ) -> Result<(), Failed> {
        let mut row = row.clone();
        row.rules.conditions.extend(policy.conditions.iter().cloned());
        let handed = HandedIn { purpose: TrustPurpose::Validate, ..HandedIn::default() };
        let decide = (Thoroughness::Decide, &mut Work::default());
        let mut verdict = self.judge(ctx, row, (jwt, token), handed, decide).await?;
        verdict.checks.push(rules::audience_among(&policy.audience, token));
        match verdict.checks.iter().find(|check| check.outcome != Outcome::Passed) {
            None => Ok(()),
            Some(check) => Err(not_accepted(check.name, check.detail.clone()).into()),
        }
    }
}

/// Tells the name of the check; the log knows more.
fn not_accepted(check: &'static str, why: impl Into<String>) -> Refusal {
    let hint = format!("The token is not accepted: {check}.");
    Refusal::with_hint(RefusalKind::InvalidGrant, hint).about(format!("validation, {check}: {}", why.into()))
}
