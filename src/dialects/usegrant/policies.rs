//! `/v1/tenants/{tenantId}/providers/{tenantProviderId}/policies`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use crate::dialects::usegrant::wire::{self, Body, PolicyOut};
use crate::dialects::usegrant::{DELETE_SOME, Here, MANAGES, call};
use crate::domain::{Provider, Refusal};
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::policies::{PolicyDraft, PolicyPlace};
use crate::engine::manage::trusted_issuer_fields::{ConditionDraft, ConditionValue};

/// Characters; the API names no bound of its own.
const LONGEST_NAME: usize = 255;

fn draft(body: &Body) -> Result<PolicyDraft, Refusal> {
    let conditions = body.list("conditions", 1..=5)?.iter().enumerate();
    Ok(PolicyDraft {
        name: body.text("name", 3..=LONGEST_NAME)?,
        description: body.text("description", 10..=100)?,
        audience: body.trimmed("audience", 3..=100)?,
        conditions: conditions.map(|(at, item)| condition(item, at)).collect::<Result<_, _>>()?,
    })
}

fn condition(item: &Value, at: usize) -> Result<ConditionDraft, Refusal> {
    let named = |member: &str| format!("conditions/{at}/{member}");
    let text = |member: &str, most: usize| wire::text(item.get(member), &named(member), 1..=most);
    let operator = wire::operator(&text("operator", 32)?).ok_or_else(|| {
        wire::wrong(&named("operator"), "must be stringEquals, stringLike, stringNotEquals or stringNotLike")
    })?;
    Ok(ConditionDraft {
        claim: text("key", 10)?,
        operator: operator.name().to_owned(),
        value: ConditionValue::One(text("value", 100)?),
    })
}

fn place<'a>(here: &'a Here<'_>, home: &'a Provider) -> PolicyPlace<'a> {
    PolicyPlace { provider: home.id.as_str(), tenant: here.tenant(), issuer: here.issuer() }
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let list = async |page| here.engine.list_policies(ctx, here.actor, place(here, &home), page).await;
        Ok(HttpResponse::Ok().json(whole(list, |policy| Some(PolicyOut::from(policy)), DELETE_SOME).await?))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let draft = draft(&Body::read(&here.received.body)?)?;
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let policy = here.engine.create_policy(ctx, here.actor, place(here, &home), draft).await?;
        Ok(HttpResponse::Created().json(PolicyOut::from(&policy)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let id = here.received.path("policy_id");
        let policy = here.engine.read_policy(ctx, here.actor, place(here, &home), id).await?;
        Ok(HttpResponse::Ok().json(PolicyOut::from(&policy)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let id = here.received.path("policy_id");
        here.engine.delete_policy(ctx, here.actor, place(here, &home), id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
