//! `/v1/providers/{providerId}/domains`: proven by a TXT record, which an answer names.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::usegrant::wire::{Body, DomainOut, VerificationAnswer};
use crate::dialects::usegrant::{DOMAINS_IN_PAGES, MANAGES, call};
use crate::domain::patch::Field;
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::domains::DomainDraft;

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, provider) = (&here.received.ctx, here.provider()?);
        let list = async |page| here.engine.list_domains(ctx, here.actor, provider, page).await;
        Ok(HttpResponse::Ok().json(whole(list, |domain| Some(DomainOut::from(domain)), DOMAINS_IN_PAGES).await?))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let domain = Body::read(&here.received.body)?.text("domain", 3..=255)?;
        let draft = DomainDraft { domain: Field::Set(domain), ..DomainDraft::default() };
        let domain = here.engine.create_domain(&here.received.ctx, here.actor, here.provider()?, draft).await?;
        Ok(HttpResponse::Created().json(DomainOut::from(&domain)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (provider, id) = (here.provider()?, here.received.path("domain_id"));
        let domain = here.engine.read_domain(&here.received.ctx, here.actor, provider, id).await?;
        Ok(HttpResponse::Ok().json(DomainOut::from(&domain)))
    })
    .await
}

/// The published client sends no body.
pub async fn verify(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (provider, id) = (here.provider()?, here.received.path("domain_id"));
        let found = here.engine.verify_domain(&here.received.ctx, here.actor, provider, id).await?;
        Ok(HttpResponse::Ok().json(VerificationAnswer {
            domain: DomainOut::from(&found.domain),
            verified: found.verified,
            message: &found.message,
        }))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (provider, id) = (here.provider()?, here.received.path("domain_id"));
        here.engine.delete_domain(&here.received.ctx, here.actor, provider, id, None).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
