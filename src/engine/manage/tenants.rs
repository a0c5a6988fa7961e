//! Tenants of a provider: whose tokens are judged for them. Role admin, for reading too, as for
//! trusted issuers.

use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::{Context, Decision, Failed, Provider, Refusal, Role, Tenant, TenantId};
use crate::engine::Engine;
use crate::engine::manage::fields::{Checks, label};
use crate::engine::manage::{Actor, unknown_provider};
use crate::store::{providers, tenants, trusted_issuers};

/// A tenant to be made, as it came in.
#[derive(Clone, Debug)]
pub struct TenantDraft {
    pub name: String,
    pub description: String,
}

impl Engine {
    pub async fn create_tenant(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        draft: TenantDraft,
    ) -> Result<Tenant, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let TenantDraft { name, description } = draft;
        let mut checks = Checks::default();
        let blank = String::new();
        let tenant = Tenant {
            id: TenantId::from(self.0.random.uuid_v7(ctx.now)),
            provider: provider.id.clone(),
            name: checks.apply("name", Field::Set(name), (&blank, String::new()), label),
            description: checks.apply("description", Field::Set(description), (&blank, String::new()), label),
            created_at: ctx.now.seconds(),
            updated_at: ctx.now.seconds(),
            deleted_at: None,
        };
        let fields = checks.finish()?;
        let event = self.event(ctx, actor, Some(&provider.id), "tenant.created", tenant.id.as_str(), &fields);
        let row = tenant.clone();
        self.commit(ctx, event, move |tx| {
            if providers::locked(tx, &row.provider)?.is_none() {
                return Ok(Decision::Refuse(unknown_provider()));
            }
            tenants::insert(tx, row.clone())?;
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(tenant)
    }

    pub async fn read_tenant(&self, ctx: &Context, actor: &Actor, provider: &str, id: &str) -> Result<Tenant, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.stored_tenant(ctx, &provider, id).await
    }

    /// Ordered by id.
    pub async fn list_tenants(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        page: PageRequest,
    ) -> Result<Page<Tenant>, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let read = move |conn: &mut _| tenants::list(conn, &provider.id, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Ends a tenant with its issuers: its tokens are refused at once.
    pub async fn delete_tenant(&self, ctx: &Context, actor: &Actor, provider: &str, id: &str) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let tenant = self.stored_tenant(ctx, &provider, id).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "tenant.deleted", id, &[]);
        let now = ctx.now.seconds();
        self.commit(ctx, event, move |tx| {
            if !tenants::soft_delete(tx, &tenant.provider, &tenant.id, now)? {
                return Ok(Decision::Refuse(unknown_tenant()));
            }
            trusted_issuers::end_of_tenant(tx, &tenant.id, now)?;
            Ok(Decision::Allow(()))
        })
        .await
    }

    pub(in crate::engine) async fn stored_tenant(
        &self,
        ctx: &Context,
        provider: &Provider,
        id: &str,
    ) -> Result<Tenant, Failed> {
        if !is_uuid_shaped(id) {
            return Err(unknown_tenant().into());
        }
        let (owner, wanted) = (provider.id.clone(), TenantId::from(id));
        let found = self.0.db.read(ctx.deadline, move |conn| tenants::get(conn, &owner, &wanted)).await?;
        found.ok_or_else(|| unknown_tenant().into())
    }
}

pub(in crate::engine) fn unknown_tenant() -> Refusal {
    Refusal::unknown("There is no such tenant.")
}
