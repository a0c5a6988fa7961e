//! `/api-keys`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::fields::fields;
use crate::admin::input::{Fields, Timestamp};
use crate::admin::list::{Kind, ListSpec};
use crate::admin::wire::{ApiKeyOut, value};
use crate::admin::{call, created, list as listing, shown, shown_once, version};
use crate::domain::page::ApiKeyFilter;
use crate::engine::Engine;
use crate::engine::manage::api_key_fields::ApiKeyDraft;

fields! {
    /// An API key. Nobody makes one that is stronger than its own.
    ApiKeyFields => ApiKeyDraft named "ApiKey" required [] at_creation [provider] {
        /// For people.
        name: String { "minLength": 1, "maxLength": 255 },
        /// default: introspects and validates; member: mints and reads, too; admin: manages; owner: everything.
        role: String { "enum": ["default", "member", "admin", "owner"] },
        /// Id or slug of the only provider that it sees; null: all.
        provider: String { "minLength": 1 },
        /// The most that it can give; null: any.
        scope: String { "maxLength": 4096 },
        /// `aud` values that it can give; none listed: the provider's default.
        audience: Vec<String> { "items": { "type": "string", "minLength": 1 }, "maxItems": 50 },
        /// Seconds that a token of its making lives at most; null: the provider's.
        max_ttl: i64 { "minimum": 1, "maximum": 315_360_000 },
        /// Whether it may mint for a subject other than itself.
        may_set_subject: bool,
        /// In the future; null: never.
        expires_at: Timestamp => |Timestamp(at)| at,
    }
}

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("role", Kind::OneOf(&["default", "member", "admin", "owner"]), "Only keys of this role."),
        ("provider", Kind::Text, "Only keys that are bound to this provider; id or slug."),
    ],
    sorts: &["created_at", "name"],
    id: Kind::Id,
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, |filters| {
            Ok(ApiKeyFilter { role: filters.text("role")?, provider: filters.text("provider")? })
        })?;
        let read = async |request| engine.find_api_keys(&received.ctx, actor, request).await;
        listing::found(received, request, read, |key| value(ApiKeyOut::from(key))).await
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = ApiKeyFields::draft(&mut fields);
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
        let change = ApiKeyFields::draft(&mut fields);
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
