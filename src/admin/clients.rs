//! `/providers/{provider}/clients`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::admin::client_wire::{ClientFields, ClientOut};
use crate::admin::input::Fields;
use crate::admin::list::{Kind, ListSpec};
use crate::admin::query::Query;
use crate::admin::wire::value;
use crate::admin::{call, created, describe, list as listing, shown, version};
use crate::domain::Effect;
use crate::domain::page::ClientFilter;
use crate::edge::describe::OperationDoc;
use crate::engine::Engine;

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("enabled", Kind::Flag, "Only clients that are enabled, or that are not."),
        ("grant_type", Kind::Text, "Only clients that may use this grant type."),
        ("scope", Kind::Text, "Only clients that have this scope; one name."),
        ("q", Kind::Text, "Only clients whose `client_name` begins so."),
    ],
    sorts: &["client_id", "client_name", "created_at"],
    id: Kind::ClientId,
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(ClientFilter {
                enabled: filters.flag("enabled")?,
                grant_type: filters.text("grant_type")?,
                scope: filters.text("scope")?,
                name_prefix: filters.text("q")?,
            })
        })?;
        let read = async |request| engine.find_clients(&received.ctx, actor, received.path("provider"), request).await;
        listing::found(received, request, read, |client| value(ClientOut::of(client, None))).await
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = ClientFields::draft(&mut fields);
        let (ctx, provider) = (&received.ctx, received.path("provider"));
        let made = if Query::of(received)?.flag("keep_id")?.unwrap_or(false) {
            engine.recreate_client(ctx, actor, provider, draft).await?
        } else {
            engine.create_client(ctx, actor, provider, draft).await?
        };
        let (id, version) = (made.client.client_id.clone(), made.client.version);
        let told = made.secret.as_ref().filter(|_| received.ctx.effect != Effect::DryRun);
        let body = ClientOut::of(made.client, told);
        Ok(created(received, id.as_str(), Some(version), &body))
    })
    .await
}

/// What `?keep_id` means, for the document.
pub fn describe_creation(doc: &mut OperationDoc<'_>) {
    describe::creates::<ClientFields, ClientOut>(doc);
    let about = "Take a `client_id` that another installation has generated, to move a configuration. Needs an API \
                 key of role admin that is bound to no provider.";
    doc.query("keep_id", about, json!({ "type": "boolean", "default": false }));
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
