//! `/v1/auth/token` and `/v1/projects/{project_id}/keys`: API keys, made and ended by the same rules as
//! in the admin API.

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret;

use crate::dialects::deepgram::wire::{
    KeyOfMember, KeyOut, Keys, Message, NewKey, OneKey, OwnKey, Status, scopes_of, time,
};
use crate::dialects::deepgram::{Manager, manage, manage_project};
use crate::domain::patch::Field;
use crate::domain::{ApiKey, Failed, Provider, Refusal, Role, ScopeSet};
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::api_key_fields::ApiKeyDraft;

/// What the fields of a key are called here.
const NAMES: [(&str, &str); 4] =
    [("/name", "/comment"), ("/role", "/scopes"), ("/scope", "/scopes"), ("/expires_at", "/expiration_date")];

/// The key that asks: a check whether it works.
pub async fn own(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage((request, payload, engine), Role::Default, async |manager| {
        let own = match manager.actor.key() {
            Some(key) => {
                OwnKey { api_key_id: key.id.to_string(), scopes: scopes_of(key), created: Some(time(key.created_at)) }
            }
            None => {
                let scopes = vec![manager.actor.role().name().to_owned()];
                OwnKey { api_key_id: manager.actor.name(), scopes, created: None }
            }
        };
        Ok(HttpResponse::Ok().json(own))
    })
    .await
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage_project((request, payload, engine), async |manager, project| {
        let status = Status::read(manager.received.request.query_string())?;
        let now = manager.ctx().now.seconds();
        let read = async |page| manager.engine.list_api_keys_of(manager.ctx(), &manager.actor, project, page).await;
        let show = |key: &ApiKey| status.shows(key, now).then(|| KeyOfMember::of(key));
        let instead = "Read it in pages from the admin API: GET /admin/v1/api-keys?provider={project_id}.";
        Ok(HttpResponse::Ok().json(Keys { api_keys: whole(read, show, instead).await? }))
    })
    .await
}

/// The key's text stands in this answer and in no other.
pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage_project((request, payload, engine), async |manager, project| {
        let NewKey { comment, role, scope, expires_at } =
            NewKey::read(&manager.received.body, manager.ctx().now.seconds())?;
        let draft = ApiKeyDraft {
            name: comment.into(),
            role: Field::Set(role.name().to_owned()),
            provider: Field::Set(project.id.to_string()),
            scope: scope.as_ref().map(|scope| ScopeSet::as_str(scope).to_owned()).into(),
            expires_at: expires_at.into(),
            ..ApiKeyDraft::default()
        };
        let made = manager.engine.create_api_key(manager.ctx(), &manager.actor, draft).await.map_err(told_here)?;
        let mut body = KeyOut::of(&made.shown.key);
        body.key = Some(made.text.expose_secret().to_owned());
        Ok(HttpResponse::Ok().json(body))
    })
    .await
}

/// A refusal with the names that the fields have here.
fn told_here(failed: Failed) -> Failed {
    match failed {
        Failed::Refused(refusal) => refusal.with_pointers(&NAMES).into(),
        failed => failed,
    }
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage_project((request, payload, engine), async |manager, project| {
        Ok(HttpResponse::Ok().json(OneKey::of(&key_of(manager, project).await?)))
    })
    .await
}

pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage_project((request, payload, engine), async |manager, project| {
        let key = key_of(manager, project).await?;
        manager.engine.delete_api_key(manager.ctx(), &manager.actor, key.id.as_str(), None).await?;
        Ok(HttpResponse::Ok().json(Message { message: "The API key was deleted." }))
    })
    .await
}

/// The key that the path names; one of another project is none.
async fn key_of(manager: &Manager<'_>, project: &Provider) -> Result<ApiKey, Failed> {
    let id = manager.received.path("key_id");
    let key = manager.engine.read_api_key(manager.ctx(), &manager.actor, id).await?.key;
    if key.provider.as_ref() == Some(&project.id) {
        return Ok(key);
    }
    Err(Refusal::unknown("There is no such API key.").into())
}
