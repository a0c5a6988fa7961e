//! `/providers/{provider}/clients/{client_id}/secrets`.

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret;

use crate::admin::input::{Fields, Timestamp};
use crate::admin::wire::{SecretOut, value};
use crate::admin::{call, created, created_at, list as listing};
use crate::domain::Refusal;
use crate::domain::patch::Field;
use crate::engine::Engine;
use crate::engine::manage::client_secrets::{DEFAULT_OVERLAP, SecretDraft, SecretRotation};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let secrets = engine.list_client_secrets(&received.ctx, actor, provider, client).await?;
        Ok(listing::whole(secrets, |secret| value(SecretOut::from(secret))))
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, true)?;
        let chosen = fields.take("client_secret");
        let expires_at = fields.take::<Timestamp>("expires_at").map(|Timestamp(at)| at);
        fields.finish()?;
        let draft = SecretDraft { chosen: set(chosen), expires_at: set(expires_at) };
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let made = engine.create_client_secret(&received.ctx, actor, provider, client, draft).await?;
        let id = made.row.id.clone();
        let mut body = SecretOut::from(made.row);
        body.client_secret = Some(made.text.expose_secret().to_owned());
        Ok(created(received, id.as_str(), None, &body))
    })
    .await
}

/// `{overlap_seconds, expires_at}`: a new secret, and an end for all others.
pub async fn rotate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let rotation = rotation(Fields::of(received, true)?)?;
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let made = engine.rotate_client_secrets(&received.ctx, actor, provider, client, rotation).await?;
        let id = made.row.id.clone();
        let mut body = SecretOut::from(made.row);
        body.client_secret = Some(made.text.expose_secret().to_owned());
        let base = received.request.path().trim_end_matches('/').trim_end_matches("/rotate");
        Ok(created_at(format!("{base}/{id}"), None, &body))
    })
    .await
}

/// What a rotation of secrets is asked to be.
pub fn rotation(mut fields: Fields) -> Result<SecretRotation, Refusal> {
    let overlap = fields.take("overlap_seconds");
    let expires_at = fields.take::<Timestamp>("expires_at").map(|Timestamp(at)| at);
    fields.finish()?;
    Ok(SecretRotation { overlap: set(overlap).unwrap_or(DEFAULT_OVERLAP), expires_at: set(expires_at) })
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let secrets = engine.list_client_secrets(&received.ctx, actor, provider, client).await?;
        let wanted = received.path("secret_id");
        let found = secrets.into_iter().find(|secret| secret.id.as_str() == wanted);
        let found = found.ok_or_else(|| Refusal::unknown("There is no such secret."))?;
        Ok(HttpResponse::Ok().json(SecretOut::from(found)))
    })
    .await
}

pub async fn revoke(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let secret = received.path("secret_id").into();
        engine.revoke_client_secret(&received.ctx, actor, provider, client, &secret).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

pub fn set<T>(field: Field<T>) -> Option<T> {
    if let Field::Set(value) = field { Some(value) } else { None }
}
