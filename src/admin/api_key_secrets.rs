//! `/api-keys/{key_id}/secrets`.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::fields::fields;
use crate::admin::input::{Fields, Timestamp};
use crate::admin::secrets::{rotation, set};
use crate::admin::wire::{time, value};
use crate::admin::{call, created, list as listing, shown_once};
use crate::domain::Refusal;
use crate::domain::api_key::ApiKeySecret;
use crate::edge::describe::WireTime;
use crate::edge::{OperationDoc, Received};
use crate::engine::Engine;
use crate::engine::manage::api_key_secrets::NewKeySecret;

fields! {
    /// A secret beside the others; no body makes one that does not expire.
    struct NewApiKeySecret required [] {
        expires_at: Timestamp,
    }
}

/// A secret of an API key.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeySecret")]
pub struct ApiKeySecretOut {
    id: String,
    hint: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "Option<WireTime>")]
    expires_at: Option<String>,
    #[schemars(with = "Option<WireTime>")]
    last_used_at: Option<String>,
    #[schemars(with = "Option<WireTime>")]
    revoked_at: Option<String>,
    /// Once, at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl From<ApiKeySecret> for ApiKeySecretOut {
    fn from(secret: ApiKeySecret) -> Self {
        let ApiKeySecret { id, hint, created_at, expires_at, last_used_at, revoked_at } = secret;
        Self {
            id: id.to_string(),
            hint,
            created_at: time(created_at),
            expires_at: expires_at.map(time),
            last_used_at: last_used_at.map(time),
            revoked_at: revoked_at.map(time),
            key: None,
        }
    }
}

impl ApiKeySecretOut {
    fn new(received: &Received, made: NewKeySecret) -> Self {
        Self { key: shown_once(received, &made.text), ..Self::from(made.row) }
    }
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let secrets = engine.list_api_key_secrets(&received.ctx, actor, received.path("key_id")).await?;
        listing::whole(secrets, |secret| value(ApiKeySecretOut::from(secret)), listing::END_SOME)
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let NewApiKeySecret { expires_at } = NewApiKeySecret::read(Fields::of(received, true)?)?;
        let expires_at = expires_at.map(|Timestamp(at)| at);
        let key = received.path("key_id");
        let made = engine.create_api_key_secret(&received.ctx, actor, key, set(expires_at)).await?;
        let id = made.row.id.clone();
        Ok(created(received, id.as_str(), None, &ApiKeySecretOut::new(received, made)))
    })
    .await
}

/// `{overlap_seconds, expires_at}`: a new secret, and an end for all others.
pub async fn rotate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let rotation = rotation(Fields::of(received, true)?)?;
        let made = engine.rotate_api_key_secrets(&received.ctx, actor, received.path("key_id"), rotation).await?;
        let id = made.row.id.clone();
        Ok(created(received, id.as_str(), None, &ApiKeySecretOut::new(received, made)))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let secrets = engine.list_api_key_secrets(&received.ctx, actor, received.path("key_id")).await?;
        let found = secrets.into_iter().find(|secret| secret.id.as_str() == received.path("secret_id"));
        let found = found.ok_or_else(|| Refusal::unknown("There is no such secret."))?;
        Ok(HttpResponse::Ok().json(ApiKeySecretOut::from(found)))
    })
    .await
}

/// What the OpenAPI document says of reading one.
pub fn describe(doc: &mut OperationDoc<'_>) {
    doc.answers::<ApiKeySecretOut>(200, "As it is.");
}

pub async fn revoke(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let secret = received.path("secret_id").into();
        engine.revoke_api_key_secret(&received.ctx, actor, received.path("key_id"), &secret).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
