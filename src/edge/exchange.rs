//! One exchange: context, body, the handler, and whatever happens an answer in the surface's shape.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt;

use crate::domain::clock::monotonic;
use crate::domain::explanation::{End, HIDDEN};
use crate::domain::hidden::without_credentials;
use crate::domain::{Context, Failed, Fault, Refusal};
use crate::edge::body::{self, Unread};
use crate::edge::mount::allow_header;
use crate::edge::{Edge, Failure, Received, Surface, access_line, security_headers};

/// Answers a request on surface `S` with what `handle` makes of it. A panic, a refusal, a fault, a
/// body that is too large or too slow: all leave in the surface's own shape, with one access line.
pub async fn exchange<S: Surface>(
    request: HttpRequest,
    payload: web::Payload,
    handle: impl AsyncFnOnce(&Received) -> Result<HttpResponse, Failed>,
) -> HttpResponse {
    let Some(edge) = request.app_data::<web::Data<Edge>>().cloned() else {
        log::error!("the edge is not configured");
        return HttpResponse::InternalServerError().finish();
    };
    let began = monotonic();
    let ctx = edge.context(&request, S::NAME);
    let body = match body::read(&request, payload, edge.read_timeout).await {
        Ok(body) => body,
        Err(unread) => {
            return finish::<S>(&edge, &request, fail_unread::<S>(&edge, &request, unread, &ctx), &ctx, began);
        }
    };
    let root_provider = match &ctx.domain {
        Some(domain) => domain.provider.clone(),
        None => edge.root_provider(S::NAME),
    };
    let received = Received { request, body, ctx, root_provider };
    if received.request.match_info().iter().any(|(_, value)| value.contains('\0')) {
        // Nothing has such a name, and PostgreSQL cannot even be asked for it.
        edge.witness.ended(&received.ctx, End::Turned(turned(Failure::NotFound)));
        let answer = failed::<S>(&received.request, Failure::NotFound, &received.ctx);
        return finish::<S>(&edge, &received.request, answer, &received.ctx, began);
    }
    let outcome = AssertUnwindSafe(handle(&received)).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| Err(Failed::Fault(fault_of(panic.as_ref()))));
    edge.witness.ended(&received.ctx, End::of(&outcome));
    let response = outcome.unwrap_or_else(|failed| failed_response::<S>(&received, &failed));
    finish::<S>(&edge, &received.request, response, &received.ctx, began)
}

/// Answers an unknown path in the shape of surface `S`.
pub async fn not_found<S: Surface>(request: HttpRequest) -> HttpResponse {
    turned_away::<S>(request, Failure::NotFound)
}

/// Answers a wrong method in the shape of surface `S`, naming the methods there are.
pub fn wrong_method<S: Surface>(request: HttpRequest, allowed: &[Method]) -> HttpResponse {
    turned_away::<S>(request, Failure::Method(allowed))
}

fn turned_away<S: Surface>(request: HttpRequest, failure: Failure<'_>) -> HttpResponse {
    without_body::<S>(request, |request, ctx| {
        if let Some(edge) = request.app_data::<web::Data<Edge>>() {
            edge.witness.ended(ctx, End::Turned(turned(failure)));
        }
        failed::<S>(request, failure, ctx)
    })
}

/// What `explain` says of a request that was not even judged.
fn turned(failure: Failure<'_>) -> &'static str {
    match failure {
        Failure::NotFound => "There is nothing at this path.",
        Failure::Method(_) => "The path is known, but not this method.",
        Failure::TooLarge => "The body is too large.",
        Failure::TooSlow => "The body came too slowly.",
        Failure::Refused(_) | Failure::Fault(_) => "The body could not be read.",
    }
}

/// Answers without looking at the body.
pub fn without_body<S: Surface>(
    request: HttpRequest,
    answer: impl FnOnce(&HttpRequest, &Context) -> HttpResponse,
) -> HttpResponse {
    let Some(edge) = request.app_data::<web::Data<Edge>>().cloned() else {
        return HttpResponse::InternalServerError().finish();
    };
    let began = monotonic();
    let ctx = edge.context(&request, S::NAME);
    let response = answer(&request, &ctx);
    finish::<S>(&edge, &request, response, &ctx, began)
}

fn finish<S: Surface>(
    edge: &Edge,
    request: &HttpRequest,
    mut response: HttpResponse,
    ctx: &Context,
    began: Instant,
) -> HttpResponse {
    if S::CROSS_ORIGIN {
        security_headers::allow_any_origin(&mut response);
    }
    if let Some(dress_for) = edge.dress_for {
        dress_for(request.headers(), &mut response);
    }
    S::dress(&mut response, ctx);
    security_headers::dress(&mut response, ctx);
    access_line::write(request, response.status(), ctx, began);
    response
}

fn failed_response<S: Surface>(received: &Received, failed: &Failed) -> HttpResponse {
    let ctx = &received.ctx;
    match failed {
        Failed::Refused(refusal) => log_refusal(refusal, ctx),
        Failed::Fault(fault) => log_fault(fault, ctx),
    }
    self::failed::<S>(&received.request, Failure::from(failed), ctx)
}

/// The failure in the surface's shape, with what HTTP itself says of it: `Allow` beside 405 (RFC 9110
/// §15.5.6), `Retry-After` beside 409, 429 and 503.
fn failed<S: Surface>(request: &HttpRequest, failure: Failure<'_>, ctx: &Context) -> HttpResponse {
    let mut response = S::fail_for(request, failure, ctx);
    let retry_after = match failure {
        Failure::Refused(refusal) => refusal.retry_after(),
        Failure::Fault(Fault::Busy { retry_after, .. }) => Some(*retry_after),
        // Some surfaces tell every fault as 503.
        Failure::Fault(_) => Some(1),
        Failure::Method(methods) => {
            if let Ok(methods) = HeaderValue::from_str(&allow_header(methods)) {
                response.headers_mut().insert(header::ALLOW, methods);
            }
            None
        }
        Failure::NotFound | Failure::TooLarge | Failure::TooSlow => None,
    };
    // Where a surface folds this onto another status, the header would mean something else.
    let later = [StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
    let says_later = later.contains(&response.status());
    if let (Some(seconds), true) = (retry_after, says_later) {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn fail_unread<S: Surface>(edge: &Edge, request: &HttpRequest, unread: Unread, ctx: &Context) -> HttpResponse {
    let broken = Refusal::malformed("The body could not be read.");
    let failure = match unread {
        Unread::TooLarge => Failure::TooLarge,
        Unread::TooSlow => Failure::TooSlow,
        Unread::Broken => Failure::Refused(&broken),
    };
    edge.witness.ended(ctx, End::Turned(turned(failure)));
    failed::<S>(request, failure, ctx)
}

/// For a handler that answers a refusal itself, with a form that says what was wrong.
pub fn log_refusal(refusal: &Refusal, ctx: &Context) {
    ctx.trail.refused_as(refusal);
    // What it is about may be what somebody sent, who sent a secret in the wrong place.
    let (request_id, class, about) = (&ctx.request_id, refusal.class(), refusal.to_string());
    let about = without_credentials(&about, HIDDEN);
    log::info!(target: "grantd::refused", "{request_id} {class:?} {about}");
}

fn log_fault(fault: &Fault, ctx: &Context) {
    let mut chain = fault.to_string();
    let mut cause = std::error::Error::source(fault);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !chain.ends_with(&text) {
            chain = format!("{chain}: {text}");
        }
        cause = inner.source();
    }
    let chain = without_credentials(&chain, HIDDEN);
    match fault {
        Fault::Busy { .. } => log::warn!("{} {chain}", ctx.request_id),
        Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_) => log::error!("{} {chain}", ctx.request_id),
    }
}

/// The panic's message stays in the log: it is ours, but may be built from input.
fn fault_of(panic: &(dyn Any + Send)) -> Fault {
    let message = panic.downcast_ref::<&str>().map(ToString::to_string);
    let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
    Fault::crypto(format!("a handler panicked: {}", message.unwrap_or_default()))
}
