//! Operations: alive, ready, metrics, the OpenAPI document.

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::{Class, Context, Failed, Fault};
use crate::edge::credentials::bearer;
use crate::edge::{Failure, OperationDoc, RouteSpec, Surface, exchange};
use crate::engine::Engine;

mod describe;
mod metrics;
mod openapi;
mod reference;

pub use openapi::Operations;

pub struct Ops;

/// How it is.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OperationalStatus")]
pub struct Status<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    reasons: &'a [&'a str],
}

impl Surface for Ops {
    const NAME: &'static str = "ops";
    const PREFIXES: &'static [&'static str] = &[];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 7] = [
            RouteSpec::new(Method::GET, "/healthz", "healthz", "Alive: the process answers", || web::to(healthz))
                .doc(describe::healthz),
            RouteSpec::new(Method::GET, "/readyz", "readyz", "Ready: this node can serve", || web::to(readyz))
                .doc(describe::readyz),
            RouteSpec::new(Method::GET, "/metrics", "metrics", "Prometheus text, with an API key", || {
                web::to(metrics_with_key)
            })
            .doc(describe::metrics),
            RouteSpec::new(Method::GET, "/openapi.json", "openapi", "This document", || web::to(openapi_json))
                .doc(describe::openapi),
            RouteSpec::new(Method::GET, "/docs", "docs", "This document for people", || web::to(reference::index))
                .doc(describe::page),
            RouteSpec::new(Method::GET, "/docs/style.css", "docs_style", "Stylesheet of these pages", || {
                web::to(reference::style)
            })
            .doc(describe::style),
            RouteSpec::new(Method::GET, "/docs/{section}", "docs_section", "One section of it", || {
                web::to(reference::section)
            })
            .doc(describe::section),
        ];
        &ROUTES
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        describe::every(doc);
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        let (mut answer, status) = match failure {
            Failure::Refused(refusal) if refusal.class() == Class::NotAllowed => {
                (HttpResponse::Forbidden(), "forbidden")
            }
            Failure::Refused(refusal) if refusal.class() == Class::TooMany => {
                (HttpResponse::TooManyRequests(), "too many failed attempts")
            }
            Failure::Refused(refusal) if refusal.class() == Class::Unknown => (HttpResponse::NotFound(), "not found"),
            Failure::Refused(refusal) if refusal.class() == Class::BadRequest => {
                (HttpResponse::BadRequest(), "malformed request")
            }
            Failure::Refused(_) => {
                let mut answer = HttpResponse::Unauthorized();
                answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
                (answer, "unauthorized")
            }
            Failure::Fault(Fault::Busy { .. }) => (HttpResponse::ServiceUnavailable(), "unavailable"),
            Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
                (HttpResponse::InternalServerError(), "error")
            }
            Failure::NotFound => (HttpResponse::NotFound(), "not found"),
            Failure::Method(_) => (HttpResponse::MethodNotAllowed(), "method not allowed"),
            Failure::TooLarge => (HttpResponse::PayloadTooLarge(), "too large"),
            Failure::TooSlow => (HttpResponse::RequestTimeout(), "too slow"),
        };
        answer.json(Status { status, reasons: &[] })
    }
}

/// Says nothing of the database: a process is restarted for being dead, not for its neighbour.
async fn healthz(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    exchange::<Ops>(request, payload, async |_received| -> Result<HttpResponse, Failed> {
        Ok(HttpResponse::Ok().json(Status { status: "ok", reasons: &[] }))
    })
    .await
}

async fn readyz(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<Ops>(request, payload, async |_received| -> Result<HttpResponse, Failed> {
        let readiness = engine.readiness();
        if readiness.is_ready() {
            return Ok(HttpResponse::Ok().json(Status { status: "ready", reasons: &[] }));
        }
        let mut answer = HttpResponse::ServiceUnavailable();
        answer.insert_header((header::RETRY_AFTER, "1"));
        Ok(answer.json(Status { status: "not ready", reasons: &readiness.reasons }))
    })
    .await
}

async fn metrics_with_key(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<Ops>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let key = bearer(received.request.headers())?;
        engine.actor(&received.ctx, key.as_ref()).await?;
        Ok(metrics_answer(&engine))
    })
    .await
}

/// Without a key: for the address of its own that `metrics_listen` opens.
pub async fn metrics_open(engine: web::Data<Engine>) -> HttpResponse {
    metrics_answer(&engine)
}

fn metrics_answer(engine: &Engine) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(metrics::text(engine))
}

async fn openapi_json(request: HttpRequest, payload: web::Payload, operations: web::Data<Operations>) -> HttpResponse {
    exchange::<Ops>(request, payload, async |_received| -> Result<HttpResponse, Failed> {
        Ok(HttpResponse::Ok().json(operations.document()))
    })
    .await
}
