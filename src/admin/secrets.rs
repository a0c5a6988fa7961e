//! `/providers/{provider}/clients/{client_id}/secrets`.

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::SecretString;

use crate::admin::fields::fields;
use crate::admin::input::{Fields, Timestamp};
use crate::admin::wire::{SecretOut, value};
use crate::admin::{call, created, list as listing, shown_once};
use crate::domain::Refusal;
use crate::domain::patch::Field;
use crate::engine::Engine;
use crate::engine::manage::client_secrets::{DEFAULT_OVERLAP, SecretDraft, SecretRotation};

fields! {
    /// A secret beside the others; no body makes a random one that does not expire.
    struct NewClientSecret required [] {
        /// Chosen by you, at least 32 characters; without it the server makes one.
        client_secret: SecretString { "minLength": 32 },
        expires_at: Timestamp,
    }
}

fields! {
    /// A new secret, and an end for all others.
    struct NewRotation required [] {
        /// Seconds for which the others live on; 0: they end at once.
        overlap_seconds: i64 { "minimum": 0, "maximum": 31_536_000, "default": 86_400 },
        /// When the new one ends.
        expires_at: Timestamp,
    }
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let secrets = engine.list_client_secrets(&received.ctx, actor, provider, client).await?;
        listing::whole(secrets, |secret| value(SecretOut::from(secret)), listing::END_SOME)
    })
    .await
}

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let NewClientSecret { client_secret: chosen, expires_at } = NewClientSecret::read(Fields::of(received, true)?)?;
        let expires_at = expires_at.map(|Timestamp(at)| at);
        let draft = SecretDraft { chosen: set(chosen), expires_at: set(expires_at) };
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let made = engine.create_client_secret(&received.ctx, actor, provider, client, draft).await?;
        let id = made.row.id.clone();
        let mut body = SecretOut::from(made.row);
        body.client_secret = shown_once(received, &made.text);
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
        body.client_secret = shown_once(received, &made.text);
        Ok(created(received, id.as_str(), None, &body))
    })
    .await
}

/// What a rotation of secrets is asked to be.
pub fn rotation(fields: Fields) -> Result<SecretRotation, Refusal> {
    let NewRotation { overlap_seconds, expires_at } = NewRotation::read(fields)?;
    let expires_at = expires_at.map(|Timestamp(at)| at);
    Ok(SecretRotation { overlap: set(overlap_seconds).unwrap_or(DEFAULT_OVERLAP), expires_at: set(expires_at) })
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
