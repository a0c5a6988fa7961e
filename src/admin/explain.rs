//! `/explain/{request_id}`: why a request was refused or granted.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::admin::call;
use crate::admin::wire::{time, time_millis};
use crate::domain::Explanation;
use crate::domain::explanation::{Fact, Step};
use crate::edge::OperationDoc;
use crate::edge::describe::WireTime;
use crate::engine::Engine;

pub const EXPLAIN: &str = "/admin/v1/explain/{request_id}";

/// Why a request was decided as it was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Explanation")]
pub struct ExplanationOut {
    request_id: String,
    #[schemars(with = "WireTime")]
    at: String,
    /// The process that decided.
    node: String,
    surface: String,
    /// What was asked for, as `token` or `introspection`.
    kind: String,
    #[schemars(extend("enum" = ["granted", "refused", "failed"]))]
    outcome: &'static str,
    /// The client or API key, if there is such a one.
    client_id: Option<String>,
    /// Slug of the provider.
    provider: Option<String>,
    address: String,
    /// The rule that decided.
    rule: String,
    sentence: String,
    /// Every rule that was asked, in order.
    steps: Vec<StepOut>,
    /// Of the same kind, client and address so many more were not written.
    skipped: u64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExplanationStep")]
struct StepOut {
    rule: String,
    #[schemars(extend("enum" = ["passed", "failed", "skipped"]))]
    outcome: &'static str,
    /// What the rule looked at; never a secret.
    values: BTreeMap<String, Value>,
}

impl From<Step> for StepOut {
    fn from(step: Step) -> Self {
        let Step { rule, outcome, values } = step;
        let shown = |fact| match fact {
            Fact::Text(text) => json!(text),
            Fact::Number(number) => json!(number),
            Fact::Time(seconds) => json!(time(seconds)),
            Fact::Flag(flag) => json!(flag),
            Fact::List(items) => json!(items),
        };
        let values = values.into_iter().map(|(name, fact)| (name.into_owned(), shown(fact))).collect();
        Self { rule: rule.into_owned(), outcome: outcome.name(), values }
    }
}

impl ExplanationOut {
    fn of(explanation: Explanation, provider: Option<String>) -> Self {
        let Explanation {
            request_id,
            at,
            node,
            surface,
            kind,
            outcome,
            client,
            key: _,
            provider: _,
            address,
            rule,
            sentence,
            steps,
            skipped,
        } = explanation;
        Self {
            request_id,
            at: time_millis(at.millis()),
            node: node.into_owned(),
            surface: surface.into_owned(),
            kind: kind.into_owned(),
            outcome: outcome.name(),
            client_id: client.map(|id| id.to_string()),
            provider,
            address: address.to_string(),
            rule: rule.into_owned(),
            sentence: sentence.into_owned(),
            steps: steps.into_iter().map(StepOut::from).collect(),
            skipped,
        }
    }
}

pub fn reads(doc: &mut OperationDoc<'_>) {
    doc.says(
        "Every answer carries `x-request-id`. Where nothing is kept for one, the 404 says why. An API key that is bound \
         to a provider sees what was decided there, and nothing about API keys that are not bound to it.",
    );
    doc.answers::<ExplanationOut>(200, "The rule that decided, and all that were asked.");
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (explanation, provider) = engine.explain(&received.ctx, actor, received.path("request_id")).await?;
        Ok(HttpResponse::Ok().json(ExplanationOut::of(explanation, provider)))
    })
    .await
}
