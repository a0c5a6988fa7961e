//! `/v1/projects`: providers, as the SDKs know them.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::deepgram::wire::{Message, ProjectOut, Projects, project_name};
use crate::dialects::deepgram::{manage, manage_project};
use crate::domain::Role;
use crate::domain::patch::Field;
use crate::edge::list::whole;
use crate::engine::Engine;
use crate::engine::manage::provider_fields::ProviderDraft;

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage((request, payload, engine), Role::Admin, async |manager| {
        if let Some(only) = &manager.only {
            return Ok(HttpResponse::Ok().json(Projects { projects: vec![ProjectOut::of(only)] }));
        }
        let read = async |page| manager.engine.list_providers(manager.ctx(), &manager.actor, page).await;
        let instead = "Read it in pages from the admin API: GET /admin/v1/providers.";
        let projects = whole(read, |project| Some(ProjectOut::of(project)), instead).await?;
        Ok(HttpResponse::Ok().json(Projects { projects }))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage_project((request, payload, engine), async |_manager, project| {
        Ok(HttpResponse::Ok().json(ProjectOut::of(project)))
    })
    .await
}

pub async fn update(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage_project((request, payload, engine), async |manager, project| {
        let name = project_name(&manager.received.body)?;
        let draft = ProviderDraft { name: Field::Set(name), ..ProviderDraft::default() };
        manager.engine.update_provider(manager.ctx(), &manager.actor, project.id.as_str(), draft, None).await?;
        Ok(HttpResponse::Ok().json(Message { message: "The project was changed." }))
    })
    .await
}

/// Refused while anything lives in it.
pub async fn delete(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    manage_project((request, payload, engine), async |manager, project| {
        let id = project.id.as_str();
        manager.engine.delete_provider(manager.ctx(), &manager.actor, id, false, None).await?;
        Ok(HttpResponse::Ok().json(Message { message: "The project was deleted." }))
    })
    .await
}
