//! Clients of a provider.

use secrecy::SecretString;

use crate::domain::client::AuthMethod;
use crate::domain::id::is_client_id;
use crate::domain::page::{ClientFilter, Found, ListRequest, Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::scope::is_built_in;
use crate::domain::{Client, ClientId, Context, Decision, Failed, Fault, Provider, Refusal, Role, ScopeSet, UnixTime};
use crate::engine::Engine;
use crate::engine::cache::clients::ClientKey;
use crate::engine::changes::client_change_id;
use crate::engine::manage::client_draft::ClientDraft;
use crate::engine::manage::client_fields;
use crate::engine::manage::client_secrets::{NewSecret, add_secret};
use crate::engine::manage::{
    Actor, Expected, conflict, expected_now, if_current, require_version, stale, until_written,
};
use crate::store::{ChangedTable, Tx, clients, scopes};

const DELETED: &str = "client.deleted";

/// A client that was just made; its secret is shown this once.
pub struct CreatedClient {
    pub client: Client,
    pub secret: Option<SecretString>,
}

/// Where a new client comes from.
#[derive(Clone, Copy, Default)]
pub(in crate::engine) struct Origin {
    /// The surface that makes it; it works there only.
    pub only_surface: Option<&'static str>,
    /// Its `client_id` may be one that was generated elsewhere.
    pub keep_id: bool,
}

impl Engine {
    /// Makes a client, with a generated or chosen secret if its method uses one.
    pub async fn create_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        draft: ClientDraft,
    ) -> Result<CreatedClient, Failed> {
        self.create_client_as(ctx, actor, provider, draft, Origin::default()).await
    }

    /// As [`Engine::create_client`]; a `client_id` that was generated elsewhere may be kept, so that a
    /// configuration can move to another installation. It is nobody's to choose within one provider.
    pub async fn recreate_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        draft: ClientDraft,
    ) -> Result<CreatedClient, Failed> {
        actor.require(Role::Admin)?;
        actor.require_unbound()?;
        self.create_client_as(ctx, actor, provider, draft, Origin { keep_id: true, ..Origin::default() }).await
    }

    pub(in crate::engine) async fn create_client_as(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        mut draft: ClientDraft,
        origin: Origin,
    ) -> Result<CreatedClient, Failed> {
        let Origin { only_surface, keep_id } = origin;
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let (chosen_id, chosen_subject) = client_fields::identity(&mut draft, keep_id);
        let chosen_secret = std::mem::take(&mut draft.client_secret);
        let client_id = ClientId::from(chosen_id.unwrap_or_else(|| self.0.random.uuid_v7(ctx.now)));
        let mut blank = client_fields::blank(&provider, client_id, ctx.now.seconds());
        if let Some(subject) = chosen_subject {
            blank.subject = subject;
        }
        if let Some(surface) = only_surface {
            // It proves itself nowhere: the surface's own calls speak for it.
            blank.auth_method = AuthMethod::None;
            blank.grant_types.clear();
            blank.only_surface = Some(surface.to_owned());
        }
        let (client, fields) = client_fields::apply(draft, &blank, &provider, &self.0.fetcher)?;
        let secret = self.first_secret(ctx, &client, chosen_secret).await?;
        self.insert_client(ctx, actor, &provider, client.clone(), secret.clone(), &fields).await?;
        Ok(CreatedClient { client, secret: secret.map(|secret| secret.text) })
    }

    async fn first_secret(
        &self,
        ctx: &Context,
        client: &Client,
        chosen: Field<SecretString>,
    ) -> Result<Option<NewSecret>, Failed> {
        match (client.auth_method.uses_secret(), chosen) {
            (true, Field::Set(text)) => self.chosen_secret(ctx, &client.provider, text, None).await.map(Some),
            (true, _) => Ok(Some(self.generated_secret(ctx, None))),
            (false, Field::Set(_)) => {
                Err(Refusal::invalid_field("/client_secret", "this authentication method uses no secret").into())
            }
            (false, _) => Ok(None),
        }
    }

    async fn insert_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &Provider,
        client: Client,
        secret: Option<NewSecret>,
        fields: &[&'static str],
    ) -> Result<(), Failed> {
        let key = (provider.id.clone(), client.client_id.clone());
        let event = self.event(ctx, actor, Some(&provider.id), "client.created", client.client_id.as_str(), fields);
        let (provider, now) = (provider.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if let Err(refusal) = check_scopes(tx, &provider, &client.scope)? {
                return Ok(Decision::Refuse(refusal));
            }
            if !clients::insert(tx, client.clone())? {
                return Ok(Decision::Refuse(conflict(
                    "This client_id or subject is or was in use. Choose another one.",
                )));
            }
            create_scopes(tx, &provider, &client.scope, now)?;
            if let Some(secret) = &secret {
                add_secret(tx, &provider.id, &client.client_id, secret, now)?;
            }
            tx.changed(ChangedTable::Clients, &client_change_id(&provider.id, &client.client_id), now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.0.caches.clients.invalidate(&key);
        Ok(())
    }

    pub async fn read_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
    ) -> Result<Client, Failed> {
        actor.require(Role::Member)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        self.stored_client(ctx, &provider, client_id).await
    }

    /// Ordered by `client_id`.
    pub async fn list_clients(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        page: PageRequest,
    ) -> Result<Page<Client>, Failed> {
        actor.require(Role::Member)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let read = move |conn: &mut _| clients::list(conn, &provider.id, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// As the request narrows and orders them.
    pub async fn find_clients(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        request: ListRequest<ClientFilter>,
    ) -> Result<Found<Client>, Failed> {
        actor.require(Role::Member)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let read = move |conn: &mut _| clients::find(conn, &provider.id, &request);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Applies a draft. Without `expected` it is tried again on what another change left behind.
    pub async fn update_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
        draft: ClientDraft,
        expected: Expected,
    ) -> Result<Client, Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        until_written(ctx, async || {
            let current = self.stored_client(ctx, &provider, client_id).await?;
            require_version(&expected, current.version)?;
            let (mut changed, fields) = client_fields::apply(draft.clone(), &current, &provider, &self.0.fetcher)?;
            if fields.is_empty() {
                return Ok(Some(current));
            }
            if current.enabled && !changed.enabled {
                // Enabling again revives nothing.
                changed.epoch += 1;
            }
            changed.updated_at = ctx.now.seconds();
            let (version, row) = (current.version, changed.clone());
            let written = self.replace_client(ctx, actor, &provider, version, row, &fields).await?;
            changed.version = version + 1;
            Ok(written.map(|()| changed))
        })
        .await
    }

    /// `None`: the row is not of that version any more.
    async fn replace_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &Provider,
        version: i64,
        client: Client,
        fields: &[&'static str],
    ) -> Result<Option<()>, Failed> {
        let key = (provider.id.clone(), client.client_id.clone());
        let event = self.event(ctx, actor, Some(&provider.id), "client.updated", client.client_id.as_str(), fields);
        let (provider, now) = (provider.clone(), ctx.now);
        let replaced = self
            .commit(ctx, event, move |tx| {
                if let Err(refusal) = check_scopes(tx, &provider, &client.scope)? {
                    return Ok(Decision::Refuse(refusal));
                }
                if !clients::update(tx, client.clone(), version)? {
                    return Ok(Decision::Refuse(stale()));
                }
                create_scopes(tx, &provider, &client.scope, now)?;
                tx.changed(ChangedTable::Clients, &client_change_id(&provider.id, &client.client_id), now)?;
                Ok(Decision::Allow(()))
            })
            .await;
        self.0.caches.clients.invalidate(&key);
        if_current(replaced)
    }

    /// Ends a client: gone from every list and endpoint at once, its tokens inactive.
    pub async fn delete_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
        expected: Expected,
    ) -> Result<(), Failed> {
        self.end_client(
            ctx,
            actor,
            provider,
            client_id,
            (DELETED, expected),
            |tx, (provider, client), expected, now| clients::soft_delete(tx, provider, client, expected, now.seconds()),
        )
        .await
    }

    /// Revokes every token the client holds, by raising its epoch.
    pub async fn revoke_client_tokens(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
    ) -> Result<(), Failed> {
        self.end_client(
            ctx,
            actor,
            provider,
            client_id,
            ("client.tokens_revoked", None),
            |tx, (provider, client), _, _| clients::raise_epoch(tx, provider, client),
        )
        .await
    }

    async fn end_client(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: &str,
        client_id: &str,
        (action, expected): (&'static str, Expected),
        end: impl Fn(&mut Tx<'_>, &ClientKey, Option<i64>, UnixTime) -> Result<bool, Fault> + Send + 'static,
    ) -> Result<(), Failed> {
        actor.require(Role::Admin)?;
        let provider = self.managed_provider(ctx, actor, provider).await?;
        let client = self.stored_client(ctx, &provider, client_id).await?;
        if action == DELETED && client.is_built_in() {
            return Err(conflict("A built-in client cannot be deleted: disable it.").into());
        }
        let expected = expected_now(&expected, client.version)?;
        let key = (provider.id.clone(), client.client_id.clone());
        let event = self.event(ctx, actor, Some(&provider.id), action, client_id, &[]);
        let (row, now) = (key.clone(), ctx.now);
        self.commit(ctx, event, move |tx| {
            if !end(tx, &row, expected, now)? {
                return Ok(Decision::Refuse(stale()));
            }
            tx.changed(ChangedTable::Clients, &client_change_id(&row.0, &row.1), now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        self.0.caches.clients.invalidate(&key);
        Ok(())
    }

    /// The row itself, not the cache: management shows what is.
    pub(in crate::engine) async fn stored_client(
        &self,
        ctx: &Context,
        provider: &Provider,
        client_id: &str,
    ) -> Result<Client, Failed> {
        if !is_client_id(client_id) {
            return Err(unknown_client().into());
        }
        let (owner, wanted) = (provider.id.clone(), ClientId::from(client_id));
        let found = self.0.db.read(ctx.deadline, move |conn| clients::get(conn, &owner, &wanted)).await?;
        let live = found.filter(|client| client.deleted_at.is_none());
        live.ok_or_else(|| unknown_client().into())
    }
}

pub(in crate::engine) fn unknown_client() -> Refusal {
    Refusal::unknown("There is no such client.")
}

/// Refuses scope names that do not exist, where the provider is strict.
fn check_scopes(tx: &mut Tx<'_>, provider: &Provider, scope: &ScopeSet) -> Result<Result<(), Refusal>, Fault> {
    if !provider.strict_scopes {
        return Ok(Ok(()));
    }
    let names = own_names(scope);
    let existing = scopes::existing(tx, &provider.id, &names)?;
    if names.iter().all(|name| existing.contains(*name)) {
        return Ok(Ok(()));
    }
    let detail = "names a scope that does not exist, and this provider has strict_scopes";
    Ok(Err(Refusal::invalid_field("/scope", detail)))
}

/// Creates the scope names that do not exist yet; after the client is written, so that a refusal
/// leaves nothing behind.
fn create_scopes(tx: &mut Tx<'_>, provider: &Provider, scope: &ScopeSet, now: UnixTime) -> Result<(), Fault> {
    let names = own_names(scope);
    if !provider.strict_scopes && !names.is_empty() {
        scopes::insert_missing(tx, &provider.id, &names, now.seconds())?;
    }
    Ok(())
}

/// What is not built in.
fn own_names(scope: &ScopeSet) -> Vec<&str> {
    scope.iter().filter(|name| !is_built_in(name)).collect()
}
