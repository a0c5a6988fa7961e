//! The authorization endpoint (RFC 6749 §3.1, OIDC Core §3.1.2), by GET and by form POST.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::domain::Failed;
use crate::edge::form::Form;
use crate::engine::Engine;
use crate::web::flow::{detour, proceed};
use crate::web::params;
use crate::web::visit::{Visit, serve};

pub async fn get(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| answer(visit, &visit.query()?).await).await
}

pub async fn post(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    serve(request, payload, engine, async |visit: &Visit<'_>| {
        let form = visit.form()?;
        match detour(visit, "/oauth2/authorize")? {
            Some(answer) => Ok(answer),
            None => answer(visit, &form).await,
        }
    })
    .await
}

async fn answer(visit: &Visit<'_>, form: &Form<'_>) -> Result<HttpResponse, Failed> {
    let asked = params::authorize(form);
    let next = visit.engine.authorize(visit.ctx, &visit.provider, asked, &visit.browser).await?;
    proceed(visit, next)
}
