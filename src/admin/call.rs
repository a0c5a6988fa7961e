//! One management call, whatever it is about: who acts, what the query asks of every call, and what
//! becomes of the change.

use actix_web::body::to_bytes;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::LocalBoxFuture;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::admin::input::require_json;
use crate::admin::query::Query;
use crate::admin::{Admin, AsLocalOperator, parameters, version};
use crate::domain::explanation::{Fact, facts};
use crate::domain::{Context, Effect, Failed, Fault, OnceCall, Refusal};
use crate::edge::credentials::bearer;
use crate::edge::{Received, exchange};
use crate::engine::Engine;
use crate::engine::manage::Actor;
use crate::engine::manage::effect::Begun;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// On an answer to what was only tried.
const DRY_RUN: HeaderName = HeaderName::from_static("dry-run");
/// Most characters of an `Idempotency-Key`.
const MOST_KEY: usize = 255;

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct KeptAnswer {
    status: u16,
    location: Option<String>,
    etag: Option<String>,
    body: String,
}

/// What one call does, its type forgotten: what is the same for all of them is compiled once and not
/// for each of a hundred routes.
type Handle =
    Box<dyn for<'r> FnOnce(&'r Received, &'r Engine, &'r Actor) -> LocalBoxFuture<'r, Result<HttpResponse, Failed>>>;

/// One management call: who acts, then what `handle` does. A call that describes an `Idempotency-Key`
/// takes one.
pub fn call(
    request: HttpRequest,
    payload: web::Payload,
    engine: web::Data<Engine>,
    handle: impl AsyncFnOnce(&Received, &Engine, &Actor) -> Result<HttpResponse, Failed> + 'static,
) -> impl Future<Output = HttpResponse> {
    let handle: Handle = Box::new(move |received, engine, actor| Box::pin(handle(received, engine, actor)));
    carried(request, payload, engine, handle)
}

async fn carried(
    request: HttpRequest,
    payload: web::Payload,
    engine: web::Data<Engine>,
    handle: Handle,
) -> HttpResponse {
    exchange::<Admin>(request, payload, async |received| {
        let actor = actor_of(received, &engine).await?;
        if received.request.method() != Method::GET {
            received.ctx.trail.kind("management");
        }
        let known = parameters::of(&received.request);
        let query = Query::of(received)?;
        query.only(&known.query)?;
        let is_tried = query.flag("dry_run")?.unwrap_or(false);
        let value = idempotency_key(received.request.headers())?;
        if value.is_some() && !known.idempotency_key {
            return Err(Refusal::malformed("Idempotency-Key is taken by calls that make something.").into());
        }
        let is_change = !received.request.method().is_safe();
        if is_change && !known.if_match && received.request.headers().contains_key(header::IF_MATCH) {
            return Err(Refusal::malformed("If-Match is taken by calls that change or end one thing.").into());
        }
        if is_tried {
            // What is only tried makes nothing that could be made twice.
            received.ctx.trail.passed("request.dry_run", facts![dry_run: Fact::Flag(true)]);
            let mut answer = handle(&with_effect(received, Effect::DryRun), &engine, &actor).await?;
            // Nothing was changed, so there is nothing to explain.
            received.ctx.trail.take();
            answer.headers_mut().insert(DRY_RUN, HeaderValue::from_static("true"));
            return Ok(answer);
        }
        match value {
            Some(value) => once(received, &engine, &actor, &value, handle).await,
            None => handle(received, &engine, &actor).await,
        }
    })
    .await
}

/// Who calls.
async fn actor_of(received: &Received, engine: &Engine) -> Result<Actor, Failed> {
    Proof::of(received)?.actor(engine, &received.ctx).await
}

/// What a caller proves itself with: an answer that takes long asks for its actor again and again.
#[derive(Clone)]
pub enum Proof {
    LocalOperator,
    Bearer(Option<SecretString>),
}

impl Proof {
    pub fn of(received: &Received) -> Result<Self, Refusal> {
        if received.request.app_data::<web::Data<AsLocalOperator>>().is_some() {
            return Ok(Self::LocalOperator);
        }
        Ok(Self::Bearer(bearer(received.request.headers())?))
    }

    /// Who it is, as of now.
    pub async fn actor(&self, engine: &Engine, ctx: &Context) -> Result<Actor, Failed> {
        match self {
            Self::LocalOperator => Ok(Actor::LocalOperator),
            Self::Bearer(key) => engine.actor(ctx, key.as_ref()).await,
        }
    }
}

async fn once(
    received: &Received,
    engine: &Engine,
    actor: &Actor,
    value: &str,
    handle: Handle,
) -> Result<HttpResponse, Failed> {
    let request = [received.request.query_string().as_bytes(), b"\n", &received.body].concat();
    let (caller, reach, path) = (actor.name(), actor.reach(), received.request.path().to_owned());
    let method = received.request.method().as_str();
    let call = OnceCall { caller: &caller, reach: &reach, method, path: &path, value, request: &request };
    if !received.body.is_empty() {
        require_json(received)?;
    }
    let turn = match engine.begin_once(&received.ctx, &call).await? {
        Begun::First(turn) => turn,
        Begun::Again(answer) => return replayed(&answer),
        Begun::NotAgain => {
            // Whoever may not make it any more hears that.
            handle(&with_effect(received, Effect::DryRun), engine, actor).await?;
            return Err(Engine::not_given_again().into());
        }
    };
    let received = with_effect(received, Effect::WithAnswer);
    let answer = handle(&received, engine, actor).await?;
    let (kept, answer) = keep(answer).await?;
    match engine.commit_with_answer(&received.ctx, &call, turn, &kept).await? {
        Some(faster) => replayed(&faster),
        None => Ok(answer),
    }
}

fn with_effect(received: &Received, effect: Effect) -> Received {
    let Received { request, body, ctx, root_provider } = received;
    Received {
        request: request.clone(),
        body: body.clone(),
        ctx: Context { effect, ..ctx.clone() },
        root_provider: root_provider.clone(),
    }
}

/// The value as it was sent; the draft that names the header wants quotes, most clients send none.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut lines = headers.get_all(IDEMPOTENCY_KEY);
    let Some(line) = lines.next() else { return Ok(None) };
    let readable =
        |text: &&str| (1..=MOST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    match line.to_str().ok().filter(readable) {
        Some(text) if lines.next().is_none() => Ok(Some(text.to_owned())),
        _ => Err(Refusal::malformed("Idempotency-Key must be one value of 1 to 255 printable ASCII characters.")),
    }
}

/// The answer as bytes, and as it was.
async fn keep(answer: HttpResponse) -> Result<(Vec<u8>, HttpResponse), Failed> {
    let (head, body) = answer.into_parts();
    let bytes = to_bytes(body).await.map_err(|_| Fault::store("an answer could not be read"))?;
    let text = |name: HeaderName| head.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let kept = KeptAnswer {
        status: head.status().as_u16(),
        location: text(header::LOCATION),
        etag: text(header::ETAG),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    };
    let kept = serde_json::to_vec(&kept).map_err(Fault::store)?;
    Ok((kept, head.set_body(bytes).map_into_boxed_body()))
}

fn replayed(kept: &[u8]) -> Result<HttpResponse, Failed> {
    let kept: KeptAnswer = serde_json::from_slice(kept).map_err(Fault::store)?;
    let KeptAnswer { status, location, etag, body } = kept;
    let status = StatusCode::from_u16(status).map_err(Fault::store)?;
    let mut answer = HttpResponse::build(status);
    answer.insert_header((REPLAYED, "true"));
    for (name, value) in [(header::LOCATION, location), (header::ETAG, etag)] {
        if let Some(value) = value {
            answer.insert_header((name, value));
        }
    }
    Ok(answer.content_type("application/json").body(body))
}

/// A secret for the one time it is shown; `None` for what was only tried, since there is none.
pub fn shown_once(received: &Received, secret: &SecretString) -> Option<String> {
    (received.ctx.effect != Effect::DryRun).then(|| secret.expose_secret().to_owned())
}

/// 201 with where the new thing lies.
pub fn created(received: &Received, id: &str, version: Option<i64>, body: &impl Serialize) -> HttpResponse {
    let mut answer = HttpResponse::Created();
    if received.ctx.effect != Effect::DryRun {
        let base = received.request.path().trim_end_matches('/');
        // What a rotation makes lies beside it.
        let base = base.strip_suffix("/rotate").unwrap_or(base);
        answer.insert_header((header::LOCATION, format!("{base}/{}", path_segment(id))));
    }
    if let Some(version) = version {
        answer.insert_header((header::ETAG, version::etag(version)));
    }
    answer.json(body)
}

/// 200 with its version.
pub fn shown(version: i64, body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, version::etag(version))).json(body)
}

/// As one part of a path: what is no unreserved character is percent-encoded (RFC 3986 §2.3).
fn path_segment(id: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    id.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idempotency_key_is_one_printable_value() {
        let sent = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(line));
            }
            idempotency_key(&headers)
        };
        assert_eq!(sent(&[]).unwrap(), None);
        assert_eq!(sent(&["\"a-1\""]).unwrap().as_deref(), Some("\"a-1\""));
        for bad in [&[""][..], &["a b"], &["a", "a"]] {
            assert!(sent(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(path_segment("0197-ab.c_d~"), "0197-ab.c_d~");
        assert_eq!(path_segment("orders:read/ä %"), "orders%3Aread%2F%C3%A4%20%25");
    }
}
