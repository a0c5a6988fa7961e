//! API keys.

use secrecy::{ExposeSecret, SecretString};

use crate::crypto::credential;
use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{ApiKeyFilter, Found, ListRequest, Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::secret::{SecretKind, StoredSecret, hint_of};
use crate::domain::{
    ApiKey, ApiKeyId, AudienceSet, Context, Decision, Failed, Fault, Provider, ProviderId, Refusal, Role, UnixTime,
};
use crate::engine::Engine;
use crate::engine::manage::api_key_fields::{self, ApiKeyDraft, inherit, within_reach};
use crate::engine::manage::{
    Actor, Expected, conflict, expected_now, if_current, require_version, stale, unknown_provider, until_written,
};
use crate::store::api_keys::{Change, KeyDigest};
use crate::store::{ChangedTable, api_keys};

/// An API key with the slug of its provider.
pub struct ShownApiKey {
    pub key: ApiKey,
    pub provider_slug: Option<String>,
}

/// An API key that was just made; its text is shown this once.
pub struct CreatedApiKey {
    pub shown: ShownApiKey,
    pub text: SecretString,
}

impl Engine {
    pub async fn create_api_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        mut draft: ApiKeyDraft,
    ) -> Result<CreatedApiKey, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.provider_of_new_key(ctx, actor, &mut draft).await?;
        let text = credential::generate(SecretKind::ApiKey, &self.0.random);
        let owner = provider.as_ref().map(|provider| provider.id.clone());
        let mut blank = blank(self.0.random.uuid_v7(ctx.now).into(), owner, &text, ctx.now);
        inherit(&mut blank, actor);
        let (key, fields) = api_key_fields::apply(draft, &blank, ctx.now.seconds())?;
        within_reach(actor, &key)?;
        let digest = digest_of(self.secrets().peppers.digest(text.expose_secret()))?;
        let event = self.event(ctx, actor, key.provider.as_ref(), "api_key.created", key.id.as_str(), &fields);
        let (row, now) = (key.clone(), ctx.now);
        let cached = digest.digest;
        self.commit(ctx, event, move |tx| {
            if !api_keys::insert(tx, &row, &digest)? {
                return Ok(Decision::Refuse(conflict("The provider was deleted meanwhile. Name another one.")));
            }
            tx.changed(ChangedTable::ApiKeys, row.id.as_str(), now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.0.caches.digests.invalidate(&cached);
        let provider_slug = provider.map(|provider| provider.slug);
        Ok(CreatedApiKey { shown: ShownApiKey { key, provider_slug }, text })
    }

    /// A bound key makes keys of its own provider, and without saying so. An unknown one becomes a slip
    /// of the draft.
    async fn provider_of_new_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        draft: &mut ApiKeyDraft,
    ) -> Result<Option<Provider>, Failed> {
        let named = match (std::mem::take(&mut draft.provider), actor.bound_to()) {
            (Field::Set(named), _) => named,
            (Field::Keep, Some(bound)) => bound.to_string(),
            (Field::Keep | Field::Reset, _) => return Ok(None),
        };
        let found = self.managed_provider(ctx, actor, &named).await;
        match found {
            Ok(provider) => Ok(Some(provider)),
            Err(Failed::Refused(_)) => {
                let detail = "there is no such provider".to_owned();
                draft.slips.push(FieldError { pointer: "/provider".to_owned(), detail });
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }

    pub async fn read_api_key(&self, ctx: &Context, actor: &Actor, id: &str) -> Result<ShownApiKey, Failed> {
        actor.require(Role::Admin)?;
        let key = self.visible_api_key(ctx, actor, id).await?;
        self.with_slug(ctx, key).await
    }

    /// Ordered by id; a bound key sees those of its provider only.
    pub async fn list_api_keys(
        &self,
        ctx: &Context,
        actor: &Actor,
        page: PageRequest,
    ) -> Result<Page<ShownApiKey>, Failed> {
        actor.require(Role::Admin)?;
        let bound = actor.bound_to().cloned();
        let list = move |conn: &mut _| {
            let page = api_keys::list(conn, bound.as_ref(), &page)?;
            let owners: Vec<&ProviderId> = page.items.iter().filter_map(|key| key.provider.as_ref()).collect();
            let slugs = crate::store::providers::slugs(conn, &owners)?;
            Ok::<_, Fault>((page, slugs))
        };
        let (page, slugs) = self.0.db.read(ctx.deadline, list).await?;
        Ok(page.map(|key| {
            let provider_slug = key.provider.as_ref().and_then(|id| slugs.get(id).cloned());
            ShownApiKey { key, provider_slug }
        }))
    }

    /// As the request narrows and orders them; a bound key sees those of its provider only.
    pub async fn find_api_keys(
        &self,
        ctx: &Context,
        actor: &Actor,
        mut request: ListRequest<ApiKeyFilter>,
    ) -> Result<Found<ShownApiKey>, Failed> {
        actor.require(Role::Admin)?;
        let provider = match request.filter.provider.take() {
            Some(named) => Some(self.managed_provider(ctx, actor, &named).await?.id),
            None => actor.bound_to().cloned(),
        };
        let find = move |conn: &mut _| {
            let found = api_keys::find(conn, provider.as_ref(), &request)?;
            let owners: Vec<&ProviderId> = found.items.iter().filter_map(|key| key.provider.as_ref()).collect();
            let slugs = crate::store::providers::slugs(conn, &owners)?;
            Ok::<_, Fault>((found, slugs))
        };
        let (found, slugs) = self.0.db.read(ctx.deadline, find).await?;
        Ok(found.map(|key| {
            let provider_slug = key.provider.as_ref().and_then(|id| slugs.get(id).cloned());
            ShownApiKey { key, provider_slug }
        }))
    }

    /// Those that are bound to one provider, ordered by id.
    pub async fn list_api_keys_of(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &Provider,
        page: PageRequest,
    ) -> Result<Page<ApiKey>, Failed> {
        actor.require(Role::Admin)?;
        if !actor.sees(&provider.id) {
            return Err(unknown_provider().into());
        }
        let owner = provider.id.clone();
        Ok(self.0.db.read(ctx.deadline, move |conn| api_keys::list(conn, Some(&owner), &page)).await?)
    }

    pub async fn update_api_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
        draft: ApiKeyDraft,
        expected: Expected,
    ) -> Result<ShownApiKey, Failed> {
        actor.require(Role::Admin)?;
        until_written(ctx, async || {
            let current = self.visible_api_key(ctx, actor, id).await?;
            require_version(&expected, current.version)?;
            let mut draft = draft.clone();
            self.refuse_other_provider(ctx, &current, std::mem::take(&mut draft.provider)).await?;
            let (mut changed, fields) = api_key_fields::apply(draft, &current, ctx.now.seconds())?;
            within_reach(actor, &current)?;
            within_reach(actor, &changed)?;
            if fields.is_empty() {
                return self.with_slug(ctx, current).await.map(Some);
            }
            changed.updated_at = ctx.now.seconds();
            if self.replace_api_key(ctx, actor, current.version, changed.clone(), &fields).await?.is_none() {
                return Ok(None);
            }
            changed.version = current.version + 1;
            self.with_slug(ctx, changed).await.map(Some)
        })
        .await
    }

    async fn refuse_other_provider(&self, ctx: &Context, current: &ApiKey, named: Field<String>) -> Result<(), Failed> {
        let same = match named {
            Field::Keep => true,
            Field::Reset => current.provider.is_none(),
            Field::Set(named) => match &current.provider {
                None => false,
                Some(id) => {
                    let slug = self.slug_of(ctx, id).await?;
                    named == id.as_str() || slug.as_deref() == Some(named.as_str())
                }
            },
        };
        if same { Ok(()) } else { Err(Refusal::invalid_field("/provider", "cannot be changed").into()) }
    }

    async fn replace_api_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        version: i64,
        key: ApiKey,
        fields: &[&'static str],
    ) -> Result<Option<()>, Failed> {
        let event = self.event(ctx, actor, key.provider.as_ref(), "api_key.updated", key.id.as_str(), fields);
        let (row, now) = (key.clone(), ctx.now);
        let replaced = self
            .commit(ctx, event, move |tx| {
                Ok(match api_keys::update(tx, &row, version, now.seconds())? {
                    Change::Done => {
                        tx.changed(ChangedTable::ApiKeys, row.id.as_str(), now)?;
                        Decision::Allow(())
                    }
                    Change::NotCurrent => Decision::Refuse(stale()),
                    Change::LastOwner => Decision::Refuse(last_owner()),
                })
            })
            .await;
        self.0.caches.api_keys.invalidate(&key.id);
        if_current(replaced)
    }

    /// Ends a key; the last owner key stays.
    pub async fn delete_api_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
        expected: Expected,
    ) -> Result<(), Failed> {
        let key = self.reachable_api_key(ctx, actor, id).await?;
        let expected = expected_now(&expected, key.version)?;
        let event = self.event(ctx, actor, key.provider.as_ref(), "api_key.deleted", id, &[]);
        let (row, now) = (key.id.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            Ok(match api_keys::soft_delete(tx, &row, expected, now.seconds())? {
                Change::Done => {
                    tx.changed(ChangedTable::ApiKeys, row.as_str(), now)?;
                    Decision::Allow(())
                }
                Change::NotCurrent => Decision::Refuse(stale()),
                Change::LastOwner => Decision::Refuse(last_owner()),
            })
        })
        .await?;
        self.0.caches.api_keys.invalidate(&key.id);
        Ok(())
    }

    /// Revokes every token the key minted, by raising its epoch.
    pub async fn revoke_api_key_tokens(&self, ctx: &Context, actor: &Actor, id: &str) -> Result<(), Failed> {
        let key = self.reachable_api_key(ctx, actor, id).await?;
        let event = self.event(ctx, actor, key.provider.as_ref(), "api_key.tokens_revoked", id, &[]);
        let (row, now) = (key.id.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if !api_keys::raise_epoch(tx, &row)? {
                return Ok(Decision::Refuse(unknown_key()));
            }
            tx.changed(ChangedTable::ApiKeys, row.as_str(), now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.0.caches.api_keys.invalidate(&key.id);
        Ok(())
    }

    pub(in crate::engine) async fn reachable_api_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
    ) -> Result<ApiKey, Failed> {
        actor.require(Role::Admin)?;
        let key = self.visible_api_key(ctx, actor, id).await?;
        within_reach(actor, &key)?;
        Ok(key)
    }

    /// A key bound to a provider sees no key of another one, nor one that is bound to none.
    pub(in crate::engine) async fn visible_api_key(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
    ) -> Result<ApiKey, Failed> {
        if !is_uuid_shaped(id) {
            return Err(unknown_key().into());
        }
        let wanted = ApiKeyId::from(id);
        let found = self.0.db.read(ctx.deadline, move |conn| api_keys::by_id(conn, &wanted)).await?;
        let visible = found.filter(|key| {
            let seen = actor.bound_to().is_none_or(|bound| key.provider.as_ref() == Some(bound));
            key.deleted_at.is_none() && seen
        });
        visible.ok_or_else(|| unknown_key().into())
    }

    async fn with_slug(&self, ctx: &Context, key: ApiKey) -> Result<ShownApiKey, Failed> {
        let provider_slug = match &key.provider {
            Some(id) => self.slug_of(ctx, id).await?,
            None => None,
        };
        Ok(ShownApiKey { key, provider_slug })
    }

    async fn slug_of(&self, ctx: &Context, id: &ProviderId) -> Result<Option<String>, Fault> {
        let wanted = id.clone();
        let read = move |conn: &mut _| crate::store::providers::by_id(conn, &wanted);
        Ok(self.0.db.read(ctx.deadline, read).await?.map(|provider| provider.slug))
    }
}

/// A key of role default with this text and no bounds of its own.
pub(in crate::engine) fn blank(
    id: ApiKeyId,
    provider: Option<ProviderId>,
    text: &SecretString,
    now: UnixTime,
) -> ApiKey {
    ApiKey {
        id,
        name: "api key".to_owned(),
        role: Role::Default,
        provider,
        scope: None,
        audience: AudienceSet::default(),
        max_ttl: None,
        may_set_subject: false,
        hint: hint_of(text.expose_secret()),
        expires_at: None,
        last_used_at: None,
        created_at: now.seconds(),
        updated_at: now.seconds(),
        deleted_at: None,
        epoch: 0,
        version: 1,
    }
}

pub(in crate::engine) fn digest_of(stored: StoredSecret) -> Result<KeyDigest, Fault> {
    match stored {
        StoredSecret::Digest { pepper_id, digest } => Ok(KeyDigest { pepper_id, digest }),
        StoredSecret::Argon2(_) => Err(Fault::crypto("an API key is kept as a digest")),
    }
}

pub(in crate::engine) fn unknown_key() -> Refusal {
    Refusal::unknown("There is no such API key.")
}

pub(in crate::engine) fn last_owner() -> Refusal {
    conflict("The last owner key cannot be given up: make another one first.")
}
