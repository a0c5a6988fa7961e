//! `/v1/tenants`, and `…/validate`: what a token of one of a tenant's issuers is worth by a policy.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::usegrant::wire::{Body, TenantOut, ValidationAnswer};
use crate::dialects::usegrant::{DELETE_SOME, MANAGES, call};
use crate::domain::Role;
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::tenants::TenantDraft;
use crate::engine::trust::validate::Validation;

/// Characters; the API names no bound of its own.
const LONGEST_NAME: usize = 255;
const LONGEST_TOKEN: usize = 16_384;

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let list = async |page| here.engine.list_tenants(ctx, here.actor, home.id.as_str(), page).await;
        Ok(HttpResponse::Ok().json(whole(list, |tenant| Some(TenantOut::from(tenant)), DELETE_SOME).await?))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let body = Body::read(&here.received.body)?;
        let draft =
            TenantDraft { name: body.text("name", 3..=LONGEST_NAME)?, description: body.text("description", 1..=100)? };
        let home = here.home().await?;
        let tenant = here.engine.create_tenant(&here.received.ctx, here.actor, home.id.as_str(), draft).await?;
        Ok(HttpResponse::Created().json(TenantOut::from(&tenant)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let tenant = here.engine.read_tenant(ctx, here.actor, home.id.as_str(), here.tenant()).await?;
        Ok(HttpResponse::Ok().json(TenantOut::from(&tenant)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        here.engine.delete_tenant(ctx, here.actor, home.id.as_str(), here.tenant()).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn validate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, Role::Default, async |here| {
        let body = Body::read(&here.received.body)?;
        let policy = body.text("tenantProviderPolicyId", 1..=LONGEST_NAME)?;
        let token = body.text("token", 1..=LONGEST_TOKEN)?.into();
        let (ctx, home) = (&here.received.ctx, here.home().await?);
        let asked = Validation { tenant: here.tenant(), policy: &policy, token };
        let exp = here.engine.validate_token(ctx, here.actor, home.id.as_str(), asked).await?;
        Ok(HttpResponse::Ok().json(ValidationAnswer { exp }))
    })
    .await
}
