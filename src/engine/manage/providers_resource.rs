//! Providers.

use crate::domain::key::KeyState;
use crate::domain::page::{Found, ListRequest, Page, PageRequest, ProviderFilter};
use crate::domain::provider::DEFAULT_SLUG;
use crate::domain::{Context, Decision, Effect, Failed, Fault, Provider, Refusal, Role};
use crate::engine::Engine;
use crate::engine::manage::api_key_fields::within_reach;
use crate::engine::manage::provider_fields::{self, ProviderDraft};
use crate::engine::manage::{
    Actor, Expected, conflict, expected_now, if_current, require_version, stale, unknown_provider, until_written,
};
use crate::engine::signing_keys::longest_lifetime;
use crate::store::providers::Deletion;
use crate::store::{ChangedTable, Tx, api_keys, key_rotation, provider_domains, providers, signing_keys, webhooks};

/// Why a provider does not end without `cascade`.
pub const LIVE_CLIENTS: &str = "The provider has live clients: delete them first.";
pub const LIVE_USERS: &str = "The provider has live users: delete them first.";
const KEYS_OUT_OF_REACH: &str = "The provider has API keys that this API key may not delete. Delete the provider with \
                                 an owner API key.";

impl Engine {
    /// Makes a provider with an issuer below the public URL and a first signing key.
    pub async fn create_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        mut draft: ProviderDraft,
    ) -> Result<Provider, Failed> {
        actor.require(Role::Admin)?;
        actor.require_unbound()?;
        let slug = provider_fields::slug(&mut draft);
        let public_url = self.public_url(ctx).await?;
        let id = self.0.random.uuid_v7(ctx.now).into();
        let blank = provider_fields::blank(id, &slug, format!("{public_url}/p/{slug}"), ctx.now.seconds());
        let (provider, fields) = provider_fields::apply(draft, &blank)?;
        let turn = self.key_turn(ctx, &actor.owner()).await?;
        let key = self.new_signing_key(&provider, provider.access_token_signing_alg, KeyState::Active, ctx.now).await?;
        drop(turn);
        let event = self.event(ctx, actor, Some(&provider.id), "provider.created", &slug, &fields);
        let (row, now) = (provider.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if !providers::insert(tx, &row)? {
                return Ok(Decision::Refuse(conflict("This slug is or was in use.")));
            }
            signing_keys::insert_active_if_none(tx, key.clone())?;
            tx.changed(ChangedTable::Providers, &row.slug, now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.0.caches.slugs.invalidate(&slug.into());
        Ok(provider)
    }

    /// The issuer of `default` that is no domain's: what every other issuer lies below.
    pub(in crate::engine) async fn public_url(&self, ctx: &Context) -> Result<String, Failed> {
        let default = self.any_provider(ctx, &DEFAULT_SLUG.into()).await?;
        let issuer = default.map(|entry| entry.base_issuer().to_owned());
        issuer.ok_or_else(|| crate::domain::Fault::store("there is no provider default").into())
    }

    pub async fn read_provider(&self, ctx: &Context, actor: &Actor, id_or_slug: &str) -> Result<Provider, Failed> {
        actor.require(Role::Member)?;
        self.managed_provider(ctx, actor, id_or_slug).await
    }

    /// Ordered by id; a bound key sees its own only.
    pub async fn list_providers(
        &self,
        ctx: &Context,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<Provider>, Failed> {
        actor.require(Role::Member)?;
        if let Some(bound) = actor.bound_to() {
            let own = self.managed_provider(ctx, actor, bound.as_str()).await?;
            return Ok(Page { items: vec![own], next: None });
        }
        Ok(self.0.db.read(ctx.deadline, move |conn| providers::list(conn, &page)).await?)
    }

    /// As the request narrows and orders them; a bound key sees its own only.
    pub async fn find_providers(
        &self,
        ctx: &Context,
        actor: &Actor,
        request: ListRequest<ProviderFilter>,
    ) -> Result<Found<Provider>, Failed> {
        actor.require(Role::Member)?;
        let Some(bound) = actor.bound_to() else {
            return Ok(self.0.db.read(ctx.deadline, move |conn| providers::find(conn, &request)).await?);
        };
        let own = self.managed_provider(ctx, actor, bound.as_str()).await?;
        let ProviderFilter { enabled, slug_prefix } = request.filter;
        let is_wanted = enabled.is_none_or(|enabled| enabled == own.enabled)
            && slug_prefix.is_none_or(|prefix| own.slug.starts_with(&prefix));
        let items = if is_wanted && request.after.is_none() { vec![own] } else { Vec::new() };
        Ok(Found { items, next: None })
    }

    pub async fn update_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        id_or_slug: &str,
        draft: ProviderDraft,
        expected: Expected,
    ) -> Result<Provider, Failed> {
        actor.require(Role::Admin)?;
        until_written(ctx, async || {
            let current = self.managed_provider(ctx, actor, id_or_slug).await?;
            require_version(&expected, current.version)?;
            let (mut changed, fields) = provider_fields::apply(draft.clone(), &current)?;
            if fields.is_empty() {
                return Ok(Some(current));
            }
            if changed.enabled != current.enabled {
                // Else whom it was switched off for would switch it on again.
                actor.require_unbound()?;
            }
            if current.enabled && !changed.enabled {
                changed.epoch += 1;
            }
            changed.updated_at = ctx.now.seconds();
            let written = self.replace_provider(ctx, actor, current.version, changed.clone(), &fields).await?;
            changed.version = current.version + 1;
            Ok(written.map(|()| changed))
        })
        .await
    }

    async fn replace_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        version: i64,
        provider: Provider,
        fields: &[&'static str],
    ) -> Result<Option<()>, Failed> {
        let event = self.event(ctx, actor, Some(&provider.id), "provider.updated", &provider.slug, fields);
        let (row, now) = (provider.clone(), ctx.now);
        let replaced = self
            .commit(ctx, event, move |tx| {
                if !providers::update(tx, &row, version)? {
                    return Ok(Decision::Refuse(stale()));
                }
                // A key stays published for the largest lifetime allowed while it signed.
                signing_keys::raise_max_lifetime(tx, &row.id, longest_lifetime(&row))?;
                key_rotation::forget_plan(tx, &row.id)?;
                tx.changed(ChangedTable::Providers, &row.slug, now)?;
                tx.changed(ChangedTable::SigningKeys, row.id.as_str(), now)?;
                Ok(Decision::Allow(()))
            })
            .await;
        self.forget_provider(&provider);
        if_current(replaced)
    }

    /// Ends a provider. One that has live clients or users is refused unless `cascade`.
    pub async fn delete_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        id_or_slug: &str,
        cascade: bool,
        expected: Expected,
    ) -> Result<(), Failed> {
        self.end_provider(ctx, actor, id_or_slug, expected, cascade, |_tx, provider| {
            let is_default = provider.slug == DEFAULT_SLUG;
            let refusal = || conflict("The provider default cannot be deleted.");
            Ok(if is_default { Decision::Refuse(refusal()) } else { Decision::Allow(()) })
        })
        .await
    }

    /// `judge` has the last word, with the provider's row held.
    pub(in crate::engine) async fn end_provider(
        &self,
        ctx: &Context,
        actor: &Actor,
        id_or_slug: &str,
        expected: Expected,
        cascade: bool,
        judge: impl Fn(&mut Tx<'_>, &Provider) -> Result<Decision<()>, Fault> + Send + 'static,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, id_or_slug).await?;
        actor.require_unbound()?;
        let expected = expected_now(&expected, provider.version)?;
        let event = self.event(ctx, actor, Some(&provider.id), "provider.deleted", &provider.slug, &[]);
        let (row, actor, now) = (provider.clone(), actor.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if providers::locked(tx, &row.id)?.is_none() {
                return Ok(Decision::Refuse(unknown_provider()));
            }
            if let Decision::Refuse(refusal) = judge(tx, &row)? {
                return Ok(Decision::Refuse(refusal));
            }
            let keys = api_keys::held_of_provider(tx, &row.id)?;
            // With the provider, the actor ends no key that it could not delete by itself.
            if keys.iter().any(|key| within_reach(&actor, key).is_err()) {
                return Ok(Decision::Refuse(conflict(KEYS_OUT_OF_REACH)));
            }
            Ok(match providers::soft_delete(tx, &row.id, expected, cascade, now.seconds())? {
                Deletion::Done => {
                    tx.changed(ChangedTable::Providers, &row.slug, now)?;
                    if provider_domains::end_of_provider(tx, &row.id, now.seconds())? > 0 {
                        tx.changed(ChangedTable::Domains, row.id.as_str(), now)?;
                    }
                    // Before its event is written: what the provider's own would still be told of is nothing.
                    webhooks::end_of_provider(tx, &row.id, now.seconds())?;
                    // A key bound to it has nothing left to open.
                    api_keys::end_of_provider(tx, &row.id, now.seconds())?;
                    for key in &keys {
                        tx.changed(ChangedTable::ApiKeys, key.id.as_str(), now)?;
                    }
                    Decision::Allow(())
                }
                Deletion::NotCurrent => Decision::Refuse(stale()),
                Deletion::HasClients => Decision::Refuse(conflict(LIVE_CLIENTS)),
                Deletion::HasUsers => Decision::Refuse(conflict(LIVE_USERS)),
            })
        })
        .await?;
        self.forget_provider(&provider);
        self.0.caches.api_keys.clear();
        if ctx.effect == Effect::Commit {
            self.0.hosts.remove(|domain| domain.provider.as_str() == provider.slug);
        }
        self.refresh_hosts(ctx, None).await;
        Ok(())
    }

    /// Revokes every token of the provider, by raising its epoch.
    pub async fn revoke_provider_tokens(&self, ctx: &Context, actor: &Actor, id_or_slug: &str) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, id_or_slug).await?;
        let event = self.event(ctx, actor, Some(&provider.id), "provider.tokens_revoked", &provider.slug, &[]);
        let (row, now) = (provider.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if !providers::raise_epoch(tx, &row.id)? {
                return Ok(Decision::Refuse(Refusal::unknown("There is no such provider.")));
            }
            tx.changed(ChangedTable::Providers, &row.slug, now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.forget_provider(&provider);
        Ok(())
    }

    pub(in crate::engine) fn forget_provider(&self, provider: &Provider) {
        self.0.caches.slugs.invalidate(&provider.slug.as_str().into());
        self.0.caches.keys.invalidate(&provider.id);
    }
}
