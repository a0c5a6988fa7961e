//! Policies: what the tokens of an issuer of a tenant must say beside what the issuer's row asks for.

use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::{AudienceSet, Context, Decision, Failed, Refusal, Role, TrustPolicy, TrustPolicyId, TrustedIssuer};
use crate::engine::Engine;
use crate::engine::manage::Actor;
use crate::engine::manage::fields::{Checks, label};
use crate::engine::manage::tenant_providers::unknown_tenant_provider;
use crate::engine::manage::trusted_issuer_fields::{ConditionDraft, conditions};
use crate::store::{trust_policies, trusted_issuers};

/// A policy to be made, as it came in.
#[derive(Clone, Debug)]
pub struct PolicyDraft {
    pub name: String,
    pub description: String,
    pub audience: String,
    pub conditions: Vec<ConditionDraft>,
}

/// Whose policies: a tenant and one of its issuers, by their ids.
#[derive(Clone, Copy, Debug)]
pub struct PolicyPlace<'a> {
    /// The provider that the tenant is of, by id or slug.
    pub provider: &'a str,
    pub tenant: &'a str,
    pub issuer: &'a str,
}

impl Engine {
    pub async fn create_policy(
        &self,
        ctx: &Context,
        actor: &Actor,
        place: PolicyPlace<'_>,
        draft: PolicyDraft,
    ) -> Result<TrustPolicy, Failed> {
        let issuer = self.issuer_at(ctx, actor, place).await?;
        let PolicyDraft { name, description, audience, conditions: drafts } = draft;
        let mut checks = Checks::default();
        let blank = String::new();
        let policy = TrustPolicy {
            id: TrustPolicyId::from(self.0.random.uuid_v7(ctx.now)),
            issuer: issuer.id.clone(),
            name: checks.apply("name", Field::Set(name), (&blank, String::new()), label),
            description: checks.apply("description", Field::Set(description), (&blank, String::new()), label),
            audience: checks.apply(
                "audience",
                Field::Set(audience),
                (&AudienceSet::default(), AudienceSet::default()),
                |value| AudienceSet::of([value.as_str()]),
            ),
            conditions: conditions(Field::Set(drafts), &Vec::new(), &mut checks),
            created_at: ctx.now.seconds(),
            updated_at: ctx.now.seconds(),
            deleted_at: None,
        };
        let fields = checks.finish()?;
        let id = policy.id.clone();
        let event = self.event(ctx, actor, Some(&issuer.provider), "trust_policy.created", id.as_str(), &fields);
        let row = policy.clone();
        self.commit(ctx, event, move |tx| {
            if trusted_issuers::get(tx, &issuer.provider, &issuer.id)?.is_none() {
                return Ok(Decision::Refuse(unknown_tenant_provider()));
            }
            trust_policies::insert(tx, row.clone())?;
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(policy)
    }

    pub async fn read_policy(
        &self,
        ctx: &Context,
        actor: &Actor,
        place: PolicyPlace<'_>,
        id: &str,
    ) -> Result<TrustPolicy, Failed> {
        let issuer = self.issuer_at(ctx, actor, place).await?;
        let policy = self.stored_policy(ctx, id).await?;
        if policy.issuer == issuer.id { Ok(policy) } else { Err(unknown_policy().into()) }
    }

    /// Ordered by id.
    pub async fn list_policies(
        &self,
        ctx: &Context,
        actor: &Actor,
        place: PolicyPlace<'_>,
        page: PageRequest,
    ) -> Result<Page<TrustPolicy>, Failed> {
        let issuer = self.issuer_at(ctx, actor, place).await?;
        let read = move |conn: &mut _| trust_policies::list(conn, &issuer.id, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Ends it: nothing is accepted by it any more.
    pub async fn delete_policy(
        &self,
        ctx: &Context,
        actor: &Actor,
        place: PolicyPlace<'_>,
        id: &str,
    ) -> Result<(), Failed> {
        let policy = self.read_policy(ctx, actor, place, id).await?;
        let provider = self.managed_provider(ctx, actor, place.provider).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "trust_policy.deleted", id, &[]);
        let now = ctx.now.seconds();
        self.commit(ctx, event, move |tx| {
            let ended = trust_policies::soft_delete(tx, &policy.issuer, &policy.id, now)?;
            Ok(if ended { Decision::Allow(()) } else { Decision::Refuse(unknown_policy()) })
        })
        .await
    }

    async fn issuer_at(&self, ctx: &Context, actor: &Actor, place: PolicyPlace<'_>) -> Result<TrustedIssuer, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, place.provider).await?;
        let tenant = self.stored_tenant(ctx, &provider, place.tenant).await?;
        self.stored_tenant_provider(ctx, &tenant, place.issuer).await
    }

    /// By its id alone: the caller looks at whose it is.
    pub(in crate::engine) async fn stored_policy(&self, ctx: &Context, id: &str) -> Result<TrustPolicy, Failed> {
        if !is_uuid_shaped(id) {
            return Err(unknown_policy().into());
        }
        let wanted = TrustPolicyId::from(id);
        let found = self.0.db.read(ctx.deadline, move |conn| trust_policies::get(conn, &wanted)).await?;
        found.ok_or_else(|| unknown_policy().into())
    }
}

pub(in crate::engine) fn unknown_policy() -> Refusal {
    Refusal::unknown("There is no such policy.")
}
