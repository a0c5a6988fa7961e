//! `/webhooks`: who is told of events, and what became of it.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::admin::call::shown_once;
use crate::admin::fields::fields;
use crate::admin::input::Fields;
use crate::admin::list::Kind;
use crate::admin::problem::Problem;
use crate::admin::wire::{time, value};
use crate::admin::{call, created, describe, list as listing, shown, version};
use crate::domain::Refusal;
use crate::domain::actions::{ACTIONS, families};
use crate::domain::webhook::{Delivery, DeliveryState, MAX_WEBHOOKS, Webhook};
use crate::edge::describe::{JSON, PROBLEM, WireTime};
use crate::edge::{OperationDoc, Received};
use crate::engine::Engine;
use crate::engine::manage::webhooks::{ShownWebhook, WebhookDraft};

pub const WEBHOOKS: &str = "/admin/v1/webhooks";
pub const WEBHOOK: &str = "/admin/v1/webhooks/{webhook_id}";
pub const ROTATE: &str = "/admin/v1/webhooks/{webhook_id}/rotate-secret";
pub const TEST: &str = "/admin/v1/webhooks/{webhook_id}/test";
pub const DELIVERIES: &str = "/admin/v1/webhooks/{webhook_id}/deliveries";
pub const RETRY: &str = "/admin/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry";

fields! {
    /// Where events are sent, signed as the Standard Webhooks specification says.
    WebhookFields => WebhookDraft named "Webhook" required [url, events] at_creation [provider] {
        /// Slug or id of the provider whose events are meant; null: all, and those of the installation.
        provider: String,
        /// https, but in `upstream.allow_networks`.
        url: String { "maxLength": 2048 },
        /// `client.created`, `client.*` for all of a family, or `*`.
        events: Vec<String> { "minItems": 1, "maxItems": 50, "items": wanted() },
        enabled: bool,
    }
}

/// What a webhook can want, as a schema.
fn wanted() -> Value {
    let families = families().map(|family| format!("{family}.*"));
    let actions = ACTIONS.iter().map(|(action, _)| (*action).to_owned());
    let all: Vec<String> = std::iter::once("*".to_owned()).chain(families).chain(actions).collect();
    json!({"type": "string", "enum": all})
}

fields! {
    /// A new secret beside the old one.
    struct WebhookSecretRotation required [] {
        /// For so long the old secret signs too; 86400 unless given, 0: not at all.
        overlap_seconds: i64 { "minimum": 0, "maximum": 2_592_000 },
    }
}

/// A webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub struct WebhookOut {
    id: String,
    /// Slug; null: all providers.
    provider: Option<String>,
    url: String,
    events: Vec<String>,
    enabled: bool,
    /// Tries that failed since the last one that did not.
    failures: i64,
    /// Until when the secret before this one signs too.
    #[schemars(with = "Option<WireTime>")]
    old_secret_until: Option<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    updated_at: String,
    /// Once, when it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl WebhookOut {
    /// What was only tried has no secret.
    fn with_secret(received: &Received, shown: ShownWebhook) -> Self {
        let secret = shown.secret.as_ref().and_then(|secret| shown_once(received, secret));
        Self { secret, ..Self::from(shown) }
    }
}

impl From<ShownWebhook> for WebhookOut {
    fn from(shown: ShownWebhook) -> Self {
        let ShownWebhook { webhook, provider_slug, secret: _ } = shown;
        let Webhook { id, provider: _, url, events, enabled, secrets, failures, version: _, created_at, updated_at } =
            webhook;
        Self {
            id: id.to_string(),
            provider: provider_slug,
            url,
            events,
            enabled,
            failures,
            old_secret_until: secrets.previous.map(|(_, until)| time(until)),
            created_at: time(created_at),
            updated_at: time(updated_at),
            secret: None,
        }
    }
}

/// An event on its way to a webhook.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Delivery")]
pub struct DeliveryOut {
    /// The event's; also its `webhook-id`.
    id: String,
    #[schemars(extend("enum" = ["pending", "delivered", "dead"]))]
    state: &'static str,
    attempts: i64,
    /// When it is tried next; null once it is over.
    #[schemars(with = "Option<WireTime>")]
    next_at: Option<String>,
    /// Why the last try failed.
    error: Option<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "Option<WireTime>")]
    finished_at: Option<String>,
}

impl From<Delivery> for DeliveryOut {
    fn from(delivery: Delivery) -> Self {
        let Delivery { webhook: _, event, state, attempts, next_at, error, created_at, finished_at } = delivery;
        Self {
            id: event,
            state: state.name(),
            attempts,
            next_at: next_at.map(time),
            error,
            created_at: time(created_at),
            finished_at: finished_at.map(time),
        }
    }
}

pub fn lists(doc: &mut OperationDoc<'_>) {
    doc.query("provider", "Slug or id of a provider: its own only.", json!({"type": "string", "minLength": 1}));
    describe::lists::<WebhookOut>(doc);
}

pub fn creates(doc: &mut OperationDoc<'_>) {
    doc.says(&format!(
        "A provider has at most {MAX_WEBHOOKS} webhooks, and so has the installation; one more is a 422. They end with \
         their provider."
    ));
    describe::creates::<WebhookFields, WebhookOut>(doc);
}

pub fn rotates(doc: &mut OperationDoc<'_>) {
    doc.takes::<WebhookSecretRotation>(&[JSON], false);
    doc.answers::<WebhookOut>(200, "With the new secret.").with_header(200, "ETag", "Its new version.");
    describe::honours_if_match(doc);
}

pub fn tests(doc: &mut OperationDoc<'_>) {
    doc.says("Makes an event `webhook.tested` and sends it there, whatever events it wants otherwise.");
    doc.answers::<DeliveryOut>(202, "On its way.");
}

pub fn lists_deliveries(doc: &mut OperationDoc<'_>) {
    doc.says("The newest event first.");
    doc.query("state", "Those of one state.", json!({"type": "string", "enum": ["pending", "delivered", "dead"]}));
    describe::lists::<DeliveryOut>(doc);
}

pub fn retries(doc: &mut OperationDoc<'_>) {
    doc.answers::<DeliveryOut>(202, "On its way again.");
    doc.answers_as::<Problem>(409, PROBLEM, "It is not over yet.");
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let page = listing::page(received, &Kind::Id)?;
        let provider = parameter(received, "provider")?;
        let read = async |page| engine.list_webhooks(&received.ctx, actor, provider.as_deref(), page).await;
        listing::answer(received, page, read, |webhook| value(WebhookOut::from(webhook))).await
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let draft = WebhookFields::draft(&mut Fields::of(received, false)?);
        let made = engine.create_webhook(&received.ctx, actor, draft).await?;
        let (id, version) = (made.webhook.id.clone(), made.webhook.version);
        Ok(created(received, id.as_str(), Some(version), &WebhookOut::with_secret(received, made)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let found = engine.read_webhook(&received.ctx, actor, received.path("webhook_id")).await?;
        Ok(shown(found.webhook.version, &WebhookOut::from(found)))
    })
    .await
}

pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut draft = WebhookFields::draft(&mut Fields::of(received, false)?);
        if !matches!(draft.provider, crate::domain::patch::Field::Keep) {
            let detail = "cannot be changed; make another webhook".to_owned();
            draft.slips.push(crate::domain::refusal::FieldError { pointer: "/provider".to_owned(), detail });
        }
        let id = received.path("webhook_id");
        let changed = engine.update_webhook(&received.ctx, actor, id, draft, expected).await?;
        Ok(shown(changed.webhook.version, &WebhookOut::from(changed)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        engine.delete_webhook(&received.ctx, actor, received.path("webhook_id"), expected).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn rotate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let WebhookSecretRotation { overlap_seconds } = WebhookSecretRotation::read(Fields::of(received, true)?)?;
        let id = received.path("webhook_id");
        let rotated = engine.rotate_webhook_secret(&received.ctx, actor, id, overlap_seconds, expected).await?;
        Ok(shown(rotated.webhook.version, &WebhookOut::with_secret(received, rotated)))
    })
    .await
}

pub async fn test(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let delivery = engine.test_webhook(&received.ctx, actor, received.path("webhook_id")).await?;
        Ok(HttpResponse::Accepted().json(DeliveryOut::from(delivery)))
    })
    .await
}

pub async fn deliveries(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let page = listing::page(received, &Kind::Id)?;
        let state = parameter(received, "state")?.map(|name| {
            DeliveryState::from_name(&name)
                .ok_or_else(|| Refusal::malformed("state must be pending, delivered or dead."))
        });
        let (id, state) = (received.path("webhook_id"), state.transpose()?);
        let read = async |page| engine.list_deliveries(&received.ctx, actor, id, state, page).await;
        listing::answer(received, page, read, |delivery| value(DeliveryOut::from(delivery))).await
    })
    .await
}

pub async fn retry(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (id, delivery) = (received.path("webhook_id"), received.path("delivery_id"));
        let begun = engine.retry_delivery(&received.ctx, actor, id, delivery).await?;
        Ok(HttpResponse::Accepted().json(DeliveryOut::from(begun)))
    })
    .await
}

/// The one query parameter that is known beside those of pages.
fn parameter(received: &Received, known: &str) -> Result<Option<String>, Refusal> {
    let mut found = None;
    for (name, value) in form_urlencoded::parse(received.request.query_string().as_bytes()) {
        match name.as_ref() {
            "limit" | "cursor" => {}
            name if name == known && found.is_none() && !value.is_empty() => found = Some(value.into_owned()),
            name if name == known => return Err(Refusal::malformed("A query parameter is empty or given twice.")),
            _ => return Err(Refusal::malformed("A query parameter is none that is known here.")),
        }
    }
    Ok(found)
}
