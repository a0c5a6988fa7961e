//! `/v1/providers/{providerId}/clients`: those that were made here. Nobody logs in as one; tokens are
//! made for it.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::usegrant::wire::{Body, ClientOut};
use crate::dialects::usegrant::{CLIENTS_IN_PAGES, MANAGES, call};
use crate::domain::patch::Field;
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::client_draft::ClientDraft;

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (ctx, provider) = (&here.received.ctx, here.provider()?);
        let list = async |page| here.engine.list_surface_clients(ctx, here.actor, provider, page).await;
        Ok(HttpResponse::Ok().json(whole(list, |client| Some(ClientOut::from(client)), CLIENTS_IN_PAGES).await?))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let body = Body::read(&here.received.body)?;
        let draft = ClientDraft {
            client_name: Field::Set(body.text("name", 3..=50)?),
            audience: Field::Set(vec![body.text("audience", 3..=100)?]),
            ..ClientDraft::default()
        };
        let provider = here.provider()?;
        let client = here.engine.create_surface_client(&here.received.ctx, here.actor, provider, draft).await?;
        Ok(HttpResponse::Created().json(ClientOut::from(&client)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (provider, client_id) = (here.provider()?, here.received.path("client_id"));
        let client = here.engine.read_surface_client(&here.received.ctx, here.actor, provider, client_id).await?;
        Ok(HttpResponse::Ok().json(ClientOut::from(&client)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, MANAGES, async |here| {
        let (provider, client_id) = (here.provider()?, here.received.path("client_id"));
        here.engine.delete_surface_client(&here.received.ctx, here.actor, provider, client_id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
