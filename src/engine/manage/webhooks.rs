//! Webhooks: role admin. One of a provider is its admins'; one of all providers needs a key that is
//! bound to none. A bound key does not see the others.

use secrecy::SecretString;

use crate::crypto::webhook as message;
use crate::domain::event::ActionPattern;
use crate::domain::id::is_uuid_shaped;
use crate::domain::page::{Page, PageRequest};
use crate::domain::patch::Field;
use crate::domain::refusal::FieldError;
use crate::domain::webhook::{Delivery, DeliveryState, MAX_PATTERNS, MAX_WEBHOOKS, Webhook, WebhookSecrets};
use crate::domain::{Context, Decision, Failed, Fault, ProviderId, Refusal, Role, WebhookId};
use crate::engine::Engine;
use crate::engine::manage::{Actor, Expected, if_current, require_version, stale, until_written};
use crate::store::{Tx, providers, webhook_deliveries, webhooks};

/// Longest URL, bytes.
const MAX_URL: usize = 2048;
/// How long the old secret goes on signing where nobody says, and at the longest. Seconds.
const OVERLAP: i64 = 86_400;
const MAX_OVERLAP: i64 = 30 * 86_400;

/// A webhook as it came in.
#[derive(Clone, Debug, Default)]
pub struct WebhookDraft {
    /// Slug or id; only when it is made.
    pub provider: Field<String>,
    pub url: Field<String>,
    pub events: Field<Vec<String>>,
    pub enabled: Field<bool>,
    /// What was mistyped or is no field.
    pub slips: Vec<FieldError>,
}

/// A webhook with the slug of its provider, and its secret where it was made just now.
pub struct ShownWebhook {
    pub webhook: Webhook,
    pub provider_slug: Option<String>,
    pub secret: Option<SecretString>,
}

impl Engine {
    pub async fn create_webhook(
        &self,
        ctx: &Context,
        actor: &Actor,
        draft: WebhookDraft,
    ) -> Result<ShownWebhook, Failed> {
        actor.require(Role::Admin)?;
        let WebhookDraft { provider, url, events, enabled, slips } = draft;
        let mut errors = slips;
        let owner = self.owner_of_new(ctx, actor, &provider, &mut errors).await?;
        if matches!(url, Field::Keep | Field::Reset) {
            errors.push(missing("url"));
        }
        if matches!(events, Field::Keep | Field::Reset) {
            errors.push(missing("events"));
        }
        let id = WebhookId::from(self.0.random.uuid_v7(ctx.now));
        let secret = message::new_secret(&self.0.random);
        let now = ctx.now.seconds();
        let blank = Webhook {
            id: id.clone(),
            provider: owner.as_ref().map(|(id, _)| id.clone()),
            url: String::new(),
            events: Vec::new(),
            enabled: true,
            secrets: WebhookSecrets { current: self.sealed(&id, &secret)?, previous: None },
            failures: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        let (webhook, fields) = self.drafted(blank, url, events, enabled, errors)?;
        let event = self.event(ctx, actor, webhook.provider.as_ref(), "webhook.created", id.as_str(), &fields);
        let row = webhook.clone();
        self.commit(ctx, event, move |tx| {
            if let Some(provider) = &row.provider
                && providers::locked(tx, provider)?.is_none()
            {
                return Ok(Decision::Refuse(crate::engine::manage::unknown_provider()));
            }
            if !webhooks::insert_below(tx, &row, MAX_WEBHOOKS)? {
                return Ok(Decision::Refuse(too_many(row.provider.is_some())));
            }
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(ShownWebhook { webhook, provider_slug: owner.map(|(_, slug)| slug), secret: Some(secret) })
    }

    /// Whose it is to be: the provider that is named, or that the key is bound to; without either everybody's.
    async fn owner_of_new(
        &self,
        ctx: &Context,
        actor: &Actor,
        named: &Field<String>,
        errors: &mut Vec<FieldError>,
    ) -> Result<Option<(ProviderId, String)>, Failed> {
        let found = match (named, actor.bound_to()) {
            (Field::Set(named), _) => self.managed_provider(ctx, actor, named).await,
            (Field::Keep, Some(bound)) => self.managed_provider(ctx, actor, bound.as_str()).await,
            (Field::Reset, Some(_)) => {
                return Err(
                    Refusal::forbidden("A webhook of all providers needs an API key that is bound to none.").into()
                );
            }
            (Field::Keep | Field::Reset, None) => return Ok(None),
        };
        match found {
            Ok(provider) => Ok(Some((provider.id, provider.slug))),
            Err(Failed::Refused(_)) => {
                errors.push(FieldError { pointer: "/provider".to_owned(), detail: "is no provider".to_owned() });
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }

    /// The webhook with what was given, all errors at once; and the names of what was set.
    fn drafted(
        &self,
        mut webhook: Webhook,
        url: Field<String>,
        events: Field<Vec<String>>,
        enabled: Field<bool>,
        mut errors: Vec<FieldError>,
    ) -> Result<(Webhook, Vec<&'static str>), Refusal> {
        let mut fields = Vec::new();
        let mut wrong = |name: &str, detail: String| errors.push(FieldError { pointer: format!("/{name}"), detail });
        match url {
            Field::Keep => {}
            Field::Reset => wrong("url", "is needed".to_owned()),
            Field::Set(url) if url.len() > MAX_URL => wrong("url", format!("must be at most {MAX_URL} bytes")),
            Field::Set(url) => match self.0.fetcher.accepts(&url) {
                Ok(()) => {
                    webhook.url = url;
                    fields.push("url");
                }
                Err(flaw) => wrong("url", flaw.to_string()),
            },
        }
        match events {
            Field::Keep => {}
            Field::Reset => wrong("events", "is needed".to_owned()),
            Field::Set(patterns) => {
                let mut unique: Vec<String> = Vec::new();
                for (at, pattern) in patterns.into_iter().enumerate() {
                    let parsed = ActionPattern::parse(&pattern);
                    if parsed.is_none_or(|parsed| !parsed.fits_some()) {
                        let detail = "must be an action that there is, as client.created, a family as client.*, or *";
                        wrong(&format!("events/{at}"), detail.to_owned());
                    } else if !unique.contains(&pattern) {
                        unique.push(pattern);
                    }
                }
                if !(1..=MAX_PATTERNS).contains(&unique.len()) {
                    wrong("events", format!("must have 1 to {MAX_PATTERNS} items"));
                }
                webhook.events = unique;
                fields.push("events");
            }
        }
        match enabled {
            Field::Keep => {}
            Field::Reset => webhook.enabled = true,
            Field::Set(enabled) => {
                webhook.enabled = enabled;
                fields.push("enabled");
            }
        }
        if errors.is_empty() { Ok((webhook, fields)) } else { Err(Refusal::invalid(errors)) }
    }

    fn sealed(&self, id: &WebhookId, secret: &SecretString) -> Result<Vec<u8>, Fault> {
        message::seal_secret(&self.secrets().signing, id, secret, &self.0.random)
    }

    pub async fn read_webhook(&self, ctx: &Context, actor: &Actor, id: &str) -> Result<ShownWebhook, Failed> {
        let webhook = self.stored_webhook(ctx, actor, id).await?;
        self.shown_webhook(ctx, webhook, None).await
    }

    async fn shown_webhook(
        &self,
        ctx: &Context,
        webhook: Webhook,
        secret: Option<SecretString>,
    ) -> Result<ShownWebhook, Failed> {
        let provider_slug = match webhook.provider.clone() {
            None => None,
            Some(id) => {
                let read = move |conn: &mut _| providers::by_id(conn, &id);
                self.0.db.read(ctx.deadline, read).await?.map(|provider| provider.slug)
            }
        };
        Ok(ShownWebhook { webhook, provider_slug, secret })
    }

    /// Ordered by id. `provider`: those of one provider only.
    pub async fn list_webhooks(
        &self,
        ctx: &Context,
        actor: &Actor,
        provider: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<ShownWebhook>, Failed> {
        actor.require(Role::Admin)?;
        let wanted = match provider {
            Some(named) => Some(self.managed_provider(ctx, actor, named).await?.id),
            None => actor.bound_to().cloned(),
        };
        let read = move |conn: &mut _| {
            let found = webhooks::list(conn, wanted.as_ref(), &page)?;
            let mut shown = Vec::with_capacity(found.items.len());
            for webhook in found.items {
                let provider = webhook.provider.as_ref().map(|id| providers::by_id(conn, id)).transpose()?.flatten();
                let provider_slug = provider.map(|provider| provider.slug);
                shown.push(ShownWebhook { webhook, provider_slug, secret: None });
            }
            Ok(Page { items: shown, next: found.next })
        };
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    pub async fn update_webhook(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
        draft: WebhookDraft,
        expected: Expected,
    ) -> Result<ShownWebhook, Failed> {
        let WebhookDraft { provider: _, url, events, enabled, slips } = draft;
        let webhook = until_written(ctx, async || {
            let current = self.stored_webhook(ctx, actor, id).await?;
            require_version(&expected, current.version)?;
            let (mut row, fields) =
                self.drafted(current.clone(), url.clone(), events.clone(), enabled.clone(), slips.clone())?;
            if row == current {
                return Ok(Some(current));
            }
            (row.version, row.updated_at, row.failures) = (current.version + 1, ctx.now.seconds(), 0);
            let event = self.event(ctx, actor, row.provider.as_ref(), "webhook.updated", id, &fields);
            self.write_webhook(ctx, event, row).await
        })
        .await?;
        self.shown_webhook(ctx, webhook, None).await
    }

    async fn write_webhook(
        &self,
        ctx: &Context,
        event: crate::domain::event::Event,
        row: Webhook,
    ) -> Result<Option<Webhook>, Failed> {
        let written = row.clone();
        let write = self.commit(ctx, event, move |tx: &mut Tx<'_>| {
            Ok(if webhooks::update(tx, &row)? { Decision::Allow(()) } else { Decision::Refuse(stale()) })
        });
        Ok(if_current(write.await)?.map(|()| written))
    }

    /// A new secret. The old one goes on signing beside it for `overlap` seconds; 0: not at all.
    pub async fn rotate_webhook_secret(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
        overlap: Field<i64>,
        expected: Expected,
    ) -> Result<ShownWebhook, Failed> {
        let overlap = match overlap {
            Field::Keep | Field::Reset => OVERLAP,
            Field::Set(seconds) if (0..=MAX_OVERLAP).contains(&seconds) => seconds,
            Field::Set(_) => {
                return Err(Refusal::invalid_field("/overlap_seconds", format!("must be 0 to {MAX_OVERLAP}")).into());
            }
        };
        let secret = message::new_secret(&self.0.random);
        let webhook = until_written(ctx, async || {
            let current = self.stored_webhook(ctx, actor, id).await?;
            require_version(&expected, current.version)?;
            let now = ctx.now.seconds();
            let previous = (overlap > 0).then(|| (current.secrets.current.clone(), now + overlap));
            let secrets = WebhookSecrets { current: self.sealed(&current.id, &secret)?, previous };
            let row = Webhook { secrets, version: current.version + 1, updated_at: now, ..current };
            let event = self.event(ctx, actor, row.provider.as_ref(), "webhook.secret_rotated", id, &[]);
            self.write_webhook(ctx, event, row).await
        })
        .await?;
        self.shown_webhook(ctx, webhook, Some(secret)).await
    }

    pub async fn delete_webhook(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
        expected: Expected,
    ) -> Result<(), Failed> {
        until_written(ctx, async || {
            let current = self.stored_webhook(ctx, actor, id).await?;
            require_version(&expected, current.version)?;
            let event = self.event(ctx, actor, current.provider.as_ref(), "webhook.deleted", id, &[]);
            let now = ctx.now.seconds();
            let delete = self.commit(ctx, event, move |tx: &mut Tx<'_>| {
                let gone = webhooks::soft_delete(tx, &current.id, current.version, now)?;
                Ok(if gone { Decision::Allow(()) } else { Decision::Refuse(stale()) })
            });
            if_current(delete.await)
        })
        .await
    }

    /// Makes an event `webhook.tested` and delivers it to this webhook, whatever it wants otherwise.
    pub async fn test_webhook(&self, ctx: &Context, actor: &Actor, id: &str) -> Result<Delivery, Failed> {
        let webhook = self.stored_webhook(ctx, actor, id).await?;
        let event = self.event(ctx, actor, webhook.provider.as_ref(), "webhook.tested", id, &[]);
        let (told, now) = (event.id.clone(), ctx.now.seconds());
        let (owner, row) = (webhook.id.clone(), told.clone());
        self.commit(ctx, event, move |tx: &mut Tx<'_>| {
            webhook_deliveries::insert(tx, &owner, &row, now)?;
            Ok(Decision::Allow(()))
        })
        .await?;
        Ok(Delivery {
            webhook: webhook.id,
            event: told,
            state: DeliveryState::Pending,
            attempts: 0,
            next_at: Some(now),
            error: None,
            created_at: now,
            finished_at: None,
        })
    }

    /// The newest first.
    pub async fn list_deliveries(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
        state: Option<DeliveryState>,
        page: PageRequest,
    ) -> Result<Page<Delivery>, Failed> {
        let webhook = self.stored_webhook(ctx, actor, id).await?;
        let read = move |conn: &mut _| webhook_deliveries::list(conn, &webhook.id, state, &page);
        Ok(self.0.db.read(ctx.deadline, read).await?)
    }

    /// Begins a delivery anew that is over.
    pub async fn retry_delivery(
        &self,
        ctx: &Context,
        actor: &Actor,
        id: &str,
        delivery: &str,
    ) -> Result<Delivery, Failed> {
        let webhook = self.stored_webhook(ctx, actor, id).await?;
        if !is_uuid_shaped(delivery) {
            return Err(unknown_delivery().into());
        }
        let event = self.event(ctx, actor, webhook.provider.as_ref(), "webhook.delivery_retried", id, &[]);
        let (owner, told, now) = (webhook.id, delivery.to_owned(), ctx.now.seconds());
        self.commit(ctx, event, move |tx: &mut Tx<'_>| {
            let begun = webhook_deliveries::begin_anew(tx, &owner, &told, now)?;
            let found = webhook_deliveries::get(tx, &owner, &told)?;
            Ok(match (begun, found) {
                (true, Some(delivery)) => Decision::Allow(delivery),
                (_, None) => Decision::Refuse(unknown_delivery()),
                (false, Some(_)) => {
                    Decision::Refuse(crate::engine::manage::conflict("It is not over yet; it will be tried again."))
                }
            })
        })
        .await
    }

    async fn stored_webhook(&self, ctx: &Context, actor: &Actor, id: &str) -> Result<Webhook, Failed> {
        actor.require(Role::Admin)?;
        if !is_uuid_shaped(id) {
            return Err(unknown_webhook().into());
        }
        let wanted = WebhookId::from(id);
        let found = self.0.db.read(ctx.deadline, move |conn| webhooks::get(conn, &wanted)).await?;
        let visible = found.filter(|webhook| match actor.bound_to() {
            None => true,
            Some(bound) => webhook.provider.as_ref() == Some(bound),
        });
        visible.ok_or_else(|| unknown_webhook().into())
    }
}

fn missing(name: &str) -> FieldError {
    FieldError { pointer: format!("/{name}"), detail: "is needed".to_owned() }
}

fn too_many(of_provider: bool) -> Refusal {
    let owner = if of_provider { "the provider" } else { "the installation" };
    Refusal::invalid_field("", format!("{owner} has {MAX_WEBHOOKS} webhooks already: delete one first"))
}

fn unknown_webhook() -> Refusal {
    Refusal::unknown("There is no such webhook.")
}

fn unknown_delivery() -> Refusal {
    Refusal::unknown("There is no such delivery.")
}
