//! `/v1/providers`: a provider of this API is one of ours, with an issuer of its own.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::usegrant::wire::{Body, ProviderOut};
use crate::dialects::usegrant::{MANAGES, NAME, PROVIDERS_IN_PAGES, call};
use crate::domain::patch::Field;
use crate::domain::{Refusal, SigningAlg};
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::provider_fields::ProviderDraft;

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let ctx = &here.received.ctx;
        let list = async |page| here.engine.list_providers(ctx, here.actor, page).await;
        let providers = match &here.below {
            Some(own) => vec![ProviderOut::from(own)],
            None => whole(list, |provider| Some(ProviderOut::from(provider)), PROVIDERS_IN_PAGES).await?,
        };
        Ok(HttpResponse::Ok().json(providers))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        if here.below.is_some() {
            return Err(Refusal::forbidden("Providers are made at the root, not below one of them.").into());
        }
        let body = Body::read(&here.received.body)?;
        let name = body.text("name", 3..=50)?;
        let draft = ProviderDraft {
            slug: Field::Set(here.engine.fresh_slug(&name)),
            name: Field::Set(name),
            description: Field::Set(body.text("description", 1..=100)?),
            surfaces: Field::Set(vec![NAME.to_owned()]),
            // What its tokens are signed with, so that the key is published before the first of them: whoever is
            // told of a provider fetches its keys then.
            access_token_signing_alg: Field::Set(SigningAlg::Rs256.name().to_owned()),
            ..ProviderDraft::default()
        };
        let provider = here.engine.create_provider(&here.received.ctx, here.actor, draft).await?;
        Ok(HttpResponse::Created().json(ProviderOut::from(&provider)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let provider = here.engine.read_provider(&here.received.ctx, here.actor, here.provider()?).await?;
        Ok(HttpResponse::Ok().json(ProviderOut::from(&provider)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        here.engine.delete_surface_provider(&here.received.ctx, here.actor, here.provider()?).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
