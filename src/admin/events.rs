//! `/events`: the audit trail, filtered, in pages or exported as JSON lines.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::yield_now;
use url::form_urlencoded;

use crate::admin::list::Kind;
use crate::admin::problem::Problem;
use crate::admin::wire::{parse_time_millis, time_millis, value};
use crate::admin::{Proof, call, describe, list as listing};
use crate::domain::clock::{deadline_in, monotonic};
use crate::domain::event::{ActionPattern, EventFilter, RecordedEvent};
use crate::domain::page::{Page, PageRequest};
use crate::domain::{Context, Failed, Fault, Refusal, Wall};
use crate::edge::describe::{PROBLEM, WireTime};
use crate::edge::{Edge, OperationDoc, Received};
use crate::engine::Engine;
use crate::engine::exports::ExportTurn;

pub const EVENTS: &str = "/admin/v1/events";
pub const EVENT: &str = "/admin/v1/events/{event_id}";
pub const EXPORT: &str = "/admin/v1/events/export";

const NDJSON: &str = "application/x-ndjson";
/// A page of an export may take so long.
const LONGEST_PAGE: Duration = Duration::from_secs(15);
/// Longest value of a filter, bytes.
const MAX_VALUE: usize = 200;

/// What happened: a change, or a decision about a person.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventOut {
    /// Ids are in the order of time.
    id: String,
    #[schemars(with = "WireTime")]
    at: String,
    /// Slug of the provider; null for what concerns the installation.
    provider: Option<String>,
    /// Id of the API key, user or client that did it; `env`, `cli` or `system`.
    actor: String,
    /// As `client.created`.
    action: String,
    /// Id of what it was done to.
    target: String,
    request_id: String,
    /// Names of changed fields, and other plain facts.
    details: Value,
}

impl From<RecordedEvent> for EventOut {
    fn from(event: RecordedEvent) -> Self {
        let RecordedEvent { id, at, provider: _, provider_slug, actor, action, target, request_id, details } = event;
        let details = serde_json::from_str(&details).unwrap_or_else(|_| json!({}));
        Self { id, at: time_millis(at), provider: provider_slug, actor, action, target, request_id, details }
    }
}

/// The filters, for the document.
fn filters(doc: &mut OperationDoc<'_>) {
    let text = || json!({"type": "string", "minLength": 1, "maxLength": MAX_VALUE});
    let action = json!({"type": "string", "maxLength": 100, "pattern": "^(\\*|[a-z_]+\\.([a-z_]+|\\*))$"});
    doc.query("provider", "Slug or id of a provider.", text());
    doc.query("actor", "Who did it.", text());
    doc.query("action", "As `client.created`, or `client.*` for all of a family.", action);
    doc.query("target", "What it was done to.", text());
    doc.query("request_id", "The `x-request-id` of the request that did it.", text());
    doc.query("since", "From this time on.", json!({"type": "string", "format": "date-time"}));
    doc.query("until", "Before this time.", json!({"type": "string", "format": "date-time"}));
}

pub fn lists(doc: &mut OperationDoc<'_>) {
    doc.says("The newest first. An API key that is bound to a provider sees what happened there.");
    filters(doc);
    describe::lists::<EventOut>(doc);
}

pub fn exports(doc: &mut OperationDoc<'_>) {
    doc.says(
        "One event a line, the newest first, as they are listed. An answer that breaks off is not complete: it took \
         more than ten minutes, or the API key may not read this any more.",
    );
    filters(doc);
    let about = "Too many exports at once: two of an API key, or of all keys bound to one provider, and four of a \
                 node. Or too many wrong keys from this address. See `Retry-After`.";
    doc.answers_as::<Problem>(429, PROBLEM, about).with_header(429, "Retry-After", "Seconds.");
    doc.answers_as::<EventOut>(200, NDJSON, "The events, one a line.");
}

pub fn reads(doc: &mut OperationDoc<'_>) {
    doc.answers::<EventOut>(200, "As it was written.");
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let page = listing::page(received, &Kind::Id)?;
        let (provider, filter) = filter(received, &["limit", "cursor"])?;
        let filter = engine.event_filter(&received.ctx, actor, provider.as_deref(), filter).await?;
        let owner = actor.owner();
        let read = async |page| engine.list_events(&received.ctx, &owner, filter.clone(), page).await;
        listing::answer(received, page, read, |event| value(EventOut::from(event))).await
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let event = engine.read_event(&received.ctx, actor, received.path("event_id")).await?;
        Ok(HttpResponse::Ok().json(EventOut::from(event)))
    })
    .await
}

pub async fn export(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, asked) = filter(received, &[])?;
        let filter = engine.event_filter(&received.ctx, actor, provider.as_deref(), asked.clone()).await?;
        let edge = received.request.app_data::<web::Data<Edge>>();
        let edge = edge.ok_or_else(|| Fault::store("the application has no edge"))?;
        let export = Export {
            engine: engine.clone(),
            ctx: received.ctx.clone(),
            wall: Arc::clone(&edge.wall),
            proof: Proof::of(received)?,
            provider,
            asked,
            filter,
            turn: Arc::new(engine.begin_export(actor)?),
        };
        // The first page is read before the answer begins: what fails then has an answer of its own.
        let first = export.page(None).await?;
        let pages = stream::try_unfold(Next::Have(first), move |next| {
            let export = export.clone();
            async move { export.lines(next).await }
        });
        Ok(HttpResponse::Ok().content_type(NDJSON).streaming(pages))
    })
    .await
}

/// An export under way: a page of it is in memory at a time.
#[derive(Clone)]
struct Export {
    engine: Engine,
    ctx: Context,
    wall: Arc<dyn Wall>,
    proof: Proof,
    provider: Option<String>,
    asked: EventFilter,
    /// What the actor may ask for of it.
    filter: EventFilter,
    turn: Arc<ExportTurn>,
}

/// What an export goes on with.
enum Next {
    Have(Page<RecordedEvent>),
    After(String),
    End,
}

impl Export {
    async fn page(&self, after: Option<String>) -> Result<Page<RecordedEvent>, Failed> {
        let deadline = deadline_in(LONGEST_PAGE).min(self.turn.ends);
        let ctx = Context { deadline, now: self.wall.now(), ..self.ctx.clone() };
        // Minutes may lie between two pages: the key may have ended since, or reach less far.
        let actor = self.proof.actor(&self.engine, &ctx).await?;
        let allowed = self.engine.event_filter(&ctx, &actor, self.provider.as_deref(), self.asked.clone()).await?;
        if allowed != self.filter {
            return Err(Refusal::forbidden("The API key is bound to another provider now.").into());
        }
        let page = PageRequest { limit: PageRequest::MAX, after };
        self.engine.export_events(&ctx, &actor.owner(), self.filter.clone(), page).await
    }

    /// The lines of one page. What fails breaks the answer off, which the reader notices.
    async fn lines(&self, next: Next) -> Result<Option<(Bytes, Next)>, actix_web::Error> {
        let broken = actix_web::error::ErrorServiceUnavailable;
        let page = match next {
            Next::End => return Ok(None),
            Next::Have(page) => page,
            Next::After(_) if monotonic() >= self.turn.ends => return Err(broken("the export took too long")),
            Next::After(key) => self.page(Some(key)).await.map_err(|failed| {
                log::warn!("{} the export broke off: {failed}", self.ctx.request_id);
                broken("the export broke off")
            })?,
        };
        // Whoever else is served by this worker comes first.
        yield_now().await;
        let mut lines = Vec::new();
        for event in page.items {
            if serde_json::to_writer(&mut lines, &EventOut::from(event)).is_err() {
                return Err(broken("an event cannot be written"));
            }
            lines.push(b'\n');
        }
        Ok(Some((lines.into(), page.next.map_or(Next::End, Next::After))))
    }
}

/// The provider and the other filters of the query; `others` are read elsewhere.
fn filter(received: &Received, others: &[&str]) -> Result<(Option<String>, EventFilter), Refusal> {
    let (mut provider, mut filter) = (None, EventFilter::default());
    for (name, value) in form_urlencoded::parse(received.request.query_string().as_bytes()) {
        if others.contains(&name.as_ref()) {
            continue;
        }
        if value.is_empty() || value.len() > MAX_VALUE || value.contains('\0') {
            return Err(Refusal::malformed("A filter must have 1 to 200 bytes."));
        }
        let value = value.into_owned();
        let time = |value: &str| {
            parse_time_millis(value).ok_or_else(|| Refusal::malformed("since and until must be RFC 3339 times."))
        };
        match name.as_ref() {
            "provider" => provider = Some(value),
            "actor" => filter.actor = Some(value),
            "target" => filter.target = Some(value),
            "request_id" => filter.request_id = Some(value),
            "since" => filter.since = Some(time(&value)?),
            "until" => filter.until = Some(time(&value)?),
            "action" => {
                let pattern = ActionPattern::parse(&value);
                let hint = "action must be one as client.created, or a family as client.*.";
                filter.action = Some(pattern.ok_or_else(|| Refusal::malformed(hint))?);
            }
            _ => {
                return Err(Refusal::malformed(
                    "A query parameter is none that is known here: provider, actor, action, target, request_id, since, until.",
                ));
            }
        }
    }
    Ok((provider, filter))
}
