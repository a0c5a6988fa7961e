//! `/providers/{provider}/clients`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::client_wire::{ClientFields, ClientOut};
use crate::admin::input::Fields;
use crate::admin::wire::value;
use crate::admin::{call, created, list as listing, shown, version};
use crate::engine::Engine;

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let page = listing::page(received)?;
        let clients = engine.list_clients(&received.ctx, actor, received.path("provider"), page).await?;
        Ok(listing::answer(clients, |client| value(ClientOut::of(client, None))))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = ClientFields::draft(&mut fields);
        let made = engine.create_client(&received.ctx, actor, received.path("provider"), draft).await?;
        let (id, version) = (made.client.client_id.clone(), made.client.version);
        let body = ClientOut::of(made.client, made.secret.as_ref());
        Ok(created(received, id.as_str(), Some(version), &body))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("client_id"));
        let client = engine.read_client(&received.ctx, actor, provider, id).await?;
        Ok(shown(client.version, &ClientOut::of(client, None)))
    })
    .await
}

pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut fields = Fields::of(received, false)?;
        let change = ClientFields::draft(&mut fields);
        let (provider, id) = (received.path("provider"), received.path("client_id"));
        let client = engine.update_client(&received.ctx, actor, provider, id, change, expected).await?;
        Ok(shown(client.version, &ClientOut::of(client, None)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let (provider, id) = (received.path("provider"), received.path("client_id"));
        engine.delete_client(&received.ctx, actor, provider, id, expected).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn revoke_tokens(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("client_id"));
        engine.revoke_client_tokens(&received.ctx, actor, provider, id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
