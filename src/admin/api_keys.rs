//! `/api-keys`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::input::{Fields, Timestamp};
use crate::admin::list::{Kind, ListSpec};
use crate::admin::wire::{ApiKeyOut, value};
use crate::admin::{call, created, list as listing, shown, shown_once, version};
use crate::domain::page::ApiKeyFilter;
use crate::engine::Engine;
use crate::engine::manage::api_key_fields::ApiKeyDraft;

fn draft(fields: &mut Fields) -> ApiKeyDraft {
    ApiKeyDraft {
        name: fields.take("name"),
        role: fields.take("role"),
        provider: fields.take("provider"),
        scope: fields.take("scope"),
        audience: fields.take("audience"),
        max_ttl: fields.take("max_ttl"),
        may_set_subject: fields.take("may_set_subject"),
        expires_at: fields.take::<Timestamp>("expires_at").map(|Timestamp(at)| at),
        // Last: what is left over is no field.
        slips: fields.slips(),
    }
}

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("role", Kind::OneOf(&["default", "member", "admin", "owner"]), "Only keys of this role."),
        ("provider", Kind::Text, "Only keys that are bound to this provider; id or slug."),
    ],
    sorts: &["created_at", "name"],
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(ApiKeyFilter { role: filters.text("role")?, provider: filters.text("provider")? })
        })?;
        let keys = engine.find_api_keys(&received.ctx, actor, request).await?;
        Ok(listing::found(received, keys, |key| value(ApiKeyOut::from(key))))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = draft(&mut fields);
        let made = engine.create_api_key(&received.ctx, actor, draft).await?;
        let (id, version) = (made.shown.key.id.clone(), made.shown.key.version);
        let mut body = ApiKeyOut::from(made.shown);
        body.key = shown_once(received, &made.text);
        Ok(created(received, id.as_str(), Some(version), &body))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let key = engine.read_api_key(&received.ctx, actor, received.path("key_id")).await?;
        Ok(shown(key.key.version, &ApiKeyOut::from(key)))
    })
    .await
}

pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut fields = Fields::of(received, false)?;
        let change = draft(&mut fields);
        let key = engine.update_api_key(&received.ctx, actor, received.path("key_id"), change, expected).await?;
        Ok(shown(key.key.version, &ApiKeyOut::from(key)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        engine.delete_api_key(&received.ctx, actor, received.path("key_id"), expected).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub async fn revoke_tokens(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        engine.revoke_api_key_tokens(&received.ctx, actor, received.path("key_id")).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
