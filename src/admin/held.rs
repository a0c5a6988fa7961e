//! `/providers/{provider}/sessions` and `…/grants`: who is logged in, and which client acts for whom.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::list::{Filters, Kind, ListSpec};
use crate::admin::problem::Problem;
use crate::admin::query::Query;
use crate::admin::user_wire::{GrantOut, SessionOut};
use crate::admin::wire::value;
use crate::admin::{call, describe, list as listing, route};
use crate::domain::Refusal;
use crate::domain::page::HeldFilter;
use crate::edge::describe::{OperationDoc, PROBLEM};
use crate::edge::{Received, RouteSpec};
use crate::engine::Engine;

const SESSIONS: &str = "/admin/v1/providers/{provider}/sessions";
const SESSION: &str = "/admin/v1/providers/{provider}/sessions/{session_id}";
const GRANTS: &str = "/admin/v1/providers/{provider}/grants";
const GRANT: &str = "/admin/v1/providers/{provider}/grants/{grant_id}";

pub static ROUTES: &[RouteSpec] = &[
    route(Method::GET, SESSIONS, "list_sessions", "Sessions", || web::to(sessions))
        .doc(|doc| describe::searches::<SessionOut>(doc, &LIST)),
    route(Method::DELETE, SESSIONS, "end_sessions", "End all sessions of a user or client", || web::to(end_sessions))
        .doc(describe_end),
    route(Method::GET, SESSION, "read_session", "A session", || web::to(session)).doc(describe::shows::<SessionOut>),
    route(Method::DELETE, SESSION, "end_session", "End a session", || web::to(end_session)).doc(describe::acts),
    route(Method::GET, GRANTS, "list_grants", "Grants", || web::to(grants))
        .doc(|doc| describe::searches::<GrantOut>(doc, &LIST)),
    route(Method::DELETE, GRANTS, "revoke_grants", "End all grants of a user or client", || web::to(revoke_grants))
        .doc(describe_end),
    route(Method::GET, GRANT, "read_grant", "A grant", || web::to(grant)).doc(describe::shows::<GrantOut>),
    route(Method::DELETE, GRANT, "revoke_grant", "End a grant and all its tokens", || web::to(revoke_grant))
        .doc(describe::acts),
];

const LIST: ListSpec = ListSpec {
    filters: &[
        ("user", Kind::Id, "Only those of this user; `id`."),
        ("client", Kind::ClientId, "Only those with this client; `client_id`."),
    ],
    sorts: &["created_at"],
    id: Kind::Id,
};

fn describe_end(doc: &mut OperationDoc<'_>) {
    doc.says(
        "Needs `user`, `client` or both. Answers when all have ended; a 503 says that some are left for another call.",
    );
    for (name, kind, about) in LIST.filters {
        doc.query(name, about, kind.schema());
    }
    doc.answers_as::<Problem>(422, PROBLEM, "Neither `user` nor `client` was given.");
    describe::acts(doc);
}

fn filter(filters: &Filters) -> Result<HeldFilter, Refusal> {
    Ok(HeldFilter { user: filters.text("user")?, client: filters.text("client")? })
}

/// Of a call that is no list.
fn whose(received: &Received) -> Result<HeldFilter, Refusal> {
    let query = Query::of(received)?;
    let text = |name| query.text(name).map(str::to_owned);
    Ok(HeldFilter { user: text("user"), client: text("client") })
}

async fn sessions(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, filter)?;
        let read = async |request| engine.find_sessions(&received.ctx, actor, received.path("provider"), request).await;
        listing::found(received, request, read, |session| value(SessionOut::from(session))).await
    })
    .await
}

async fn session(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("session_id"));
        let session = engine.read_session(&received.ctx, actor, provider, id).await?;
        Ok(HttpResponse::Ok().json(SessionOut::from(session)))
    })
    .await
}

async fn end_session(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("session_id"));
        engine.end_provider_session(&received.ctx, actor, provider, id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

async fn end_sessions(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let whose = whose(received)?;
        engine.end_found_sessions(&received.ctx, actor, received.path("provider"), whose).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

async fn grants(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let request = listing::asked(received, &LIST, filter)?;
        let read = async |request| engine.find_grants(&received.ctx, actor, received.path("provider"), request).await;
        listing::found(received, request, read, |grant| value(GrantOut::from(grant))).await
    })
    .await
}

async fn grant(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("grant_id"));
        let grant = engine.read_grant(&received.ctx, actor, provider, id).await?;
        Ok(HttpResponse::Ok().json(GrantOut::from(grant)))
    })
    .await
}

async fn revoke_grant(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, id) = (received.path("provider"), received.path("grant_id"));
        engine.end_provider_grant(&received.ctx, actor, provider, id).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

async fn revoke_grants(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let whose = whose(received)?;
        engine.end_found_grants(&received.ctx, actor, received.path("provider"), whose).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}
