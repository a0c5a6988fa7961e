//! The issuers of a tenant: trusted issuers whose tokens are only validated.

use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Page, PageRequest};
use crate::domain::trust::TrustPurpose;
use crate::domain::{Context, Decision, Failed, IssuerId, Refusal, Role, Tenant, TrustedIssuer};
use crate::engine::Engine;
use crate::engine::manage::tenants::unknown_tenant;
use crate::engine::manage::trusted_issuer_fields::{self, TrustedIssuerDraft};
use crate::engine::manage::trusted_issuers::unacceptable;
use crate::engine::manage::{Actor, conflict, unknown_provider};
use crate::store::{providers, tenants, trusted_issuers};

impl Engine {
    /// Makes an issuer of a tenant, which has each at most once. `purpose` is not for the draft to say.
    pub async fn create_tenant_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        tenant: &str,
        draft: TrustedIssuerDraft,
    ) -> Result<TrustedIssuer, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let tenant = self.stored_tenant(ctx, &provider, tenant).await?;
        let id = IssuerId::from(self.0.random.uuid_v7(ctx.now));
        let blank = TrustedIssuer {
            tenant: Some(tenant.id.clone()),
            purpose: TrustPurpose::Validate,
            ..trusted_issuer_fields::blank(provider.id.clone(), id.clone(), ctx.now.seconds())
        };
        let (issuer, fields) = trusted_issuer_fields::apply(draft, &blank, &self.0.fetcher)?;
        let ours = self.public_url(ctx).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "tenant_provider.created", id.as_str(), &fields);
        let row = issuer.clone();
        self.commit(ctx, event, move |tx| {
            // The tenant's row is held, so that two of the same issuer come one after the other.
            if tenants::locked(tx, &row.provider, &tenant.id)?.is_none() {
                return Ok(Decision::Refuse(unknown_tenant()));
            }
            if providers::locked(tx, &row.provider)?.is_none() {
                return Ok(Decision::Refuse(unknown_provider()));
            }
            if let Some(refusal) = unacceptable(tx, &ours, &row, &[])? {
                return Ok(Decision::Refuse(refusal));
            }
            if trusted_issuers::tenant_has(tx, &tenant.id, &row.issuer)? {
                return Ok(Decision::Refuse(conflict("The tenant has a provider with this URL already.")));
            }
            trusted_issuers::insert(tx, row.clone())?;
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(issuer)
    }

    pub async fn read_tenant_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        (tenant, id): (&str, &str),
    ) -> Result<TrustedIssuer, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let tenant = self.stored_tenant(ctx, &provider, tenant).await?;
        self.stored_tenant_provider(ctx, &tenant, id).await
    }

    /// Ordered by id.
    pub async fn list_tenant_providers(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        tenant: &str,
        page: PageRequest,
    ) -> Result<Page<TrustedIssuer>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let tenant = self.stored_tenant(ctx, &provider, tenant).await?;
        let read = move |conn: &mut _| trusted_issuers::of_tenant(conn, &tenant.id, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Ends it: its tokens are refused at once, whatever the policy.
    pub async fn delete_tenant_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        (tenant, id): (&str, &str),
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let tenant = self.stored_tenant(ctx, &provider, tenant).await?;
        let issuer = self.stored_tenant_provider(ctx, &tenant, id).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "tenant_provider.deleted", id, &[]);
        let now = ctx.now.seconds();
        self.commit(ctx, event, move |tx| {
            let ended = trusted_issuers::soft_delete(tx, &issuer.provider, &issuer.id, None, now)?;
            Ok(if ended { Decision::Allow(()) } else { Decision::Refuse(unknown_tenant_provider()) })
        })
        .await
    }

    pub(in crate::engine) async fn stored_tenant_provider(
        &self,
        ctx: &Context,
        tenant: &Tenant,
        id: &str,
    ) -> Result<TrustedIssuer, Failed> {
        if !is_uuid_shaped(id) {
            return Err(unknown_tenant_provider().into());
        }
        let (owner, wanted) = (tenant.provider.clone(), IssuerId::from(id));
        let found = self.0.db.read(ctx.deadline, move |conn| trusted_issuers::get(conn, &owner, &wanted)).await?;
        let own = found.filter(|issuer| issuer.tenant.as_ref() == Some(&tenant.id));
        own.ok_or_else(|| unknown_tenant_provider().into())
    }
}

pub(in crate::engine) fn unknown_tenant_provider() -> Refusal {
    Refusal::unknown("There is no such tenant provider.")
}
