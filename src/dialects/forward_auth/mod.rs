//! `/forward-auth`: a gateway asks whether a request may pass (nginx `auth_request`, Caddy
//! `forward_auth`, Traefik ForwardAuth, Envoy `ext_authz`). It hands over the request's credentials;
//! 2xx lets it pass, anything else does not. `docs/forward-auth.md` says how each is set up.

use serde_json::json;
use std::borrow::Cow;

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret, SecretString};
use url::form_urlencoded;

use crate::dialects::rfc6749::{self, ErrorAnswer};
use crate::domain::{AccessClaims, Context, Failed, Fault, Refusal, RefusalKind, ScopeSet};
use crate::edge::credentials::{Authorization, authorization};
use crate::edge::describe::{JSON, Security};
use crate::edge::mount::BELOW;
use crate::edge::{Call, Edge, Failure, JudgedMethod, OperationDoc, Received, RouteSpec, Surface, exchange};
use crate::engine::Engine;
use crate::engine::forward_auth::{Act, Question};

/// What a request that passes carries to the application. Always all of them, empty when unknown:
/// the gateway copies each over what the client itself may have sent.
const SUBJECT: HeaderName = HeaderName::from_static("x-auth-subject");
const CLIENT: HeaderName = HeaderName::from_static("x-auth-client");
const SCOPE: HeaderName = HeaderName::from_static("x-auth-scope");
const TOKEN_ID: HeaderName = HeaderName::from_static("x-auth-token-id");

const SUMMARY: &str = "Whether a request may pass";
const ABOUT: &str = "For nginx `auth_request`, Caddy, Traefik and Envoy: 2xx lets the request pass. Any method, and a path suffix is \
                     ignored.";

/// The one endpoint for gateways.
pub struct ForwardAuth;

impl Surface for ForwardAuth {
    const NAME: &'static str = "forward-auth";
    const PREFIXES: &'static [&'static str] = &[];
    const TAKES_ANY: bool = true;

    fn routes() -> &'static [RouteSpec] {
        const fn spec(method: Method, operation_id: &'static str) -> RouteSpec {
            RouteSpec::new(method, "/forward-auth", operation_id, SUMMARY, || web::to(judge)).doc(describe)
        }
        static ROUTES: [RouteSpec; 7] = [
            spec(Method::GET, "forward_auth"),
            spec(Method::HEAD, "forward_auth_of_head"),
            spec(Method::OPTIONS, "forward_auth_of_options"),
            spec(Method::POST, "forward_auth_of_post"),
            spec(Method::PUT, "forward_auth_of_put"),
            spec(Method::PATCH, "forward_auth_of_patch"),
            spec(Method::DELETE, "forward_auth_of_delete"),
        ];
        &ROUTES
    }

    /// As the standard endpoints fail, but nothing is a 500: a gateway has one question, and a
    /// server that cannot answer it says so.
    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        match failure {
            Failure::Fault(Fault::Store(_) | Fault::Crypto(_) | Fault::Upstream(_)) => {
                rfc6749::failure(Failure::Fault(&Fault::busy("cannot decide")), ctx)
            }
            other => rfc6749::failure_of_resource(other, ctx),
        }
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        doc.tag("Forward auth");
        for (status, about) in [
            (400, "The query is malformed."),
            (401, "No token, or none that is valid."),
            (403, "The token is not enough: scope, audience or access."),
            (404, "There is no such provider."),
            (408, "The body came too slowly."),
            (503, "Nobody can say right now: nothing should pass."),
        ] {
            doc.answers_as::<ErrorAnswer<'_>>(status, JSON, about);
        }
    }
}

fn describe(doc: &mut OperationDoc<'_>) {
    doc.says(ABOUT);
    doc.query("scope", "Scope names that the token must have, separated by spaces.", json!({"type": "string"}));
    doc.query("audience", "`aud` that it must have; left out: the provider's default.", json!({"type": "string"}));
    doc.query("preflight", "1: OPTIONS passes without a token.", json!({"type": "string", "enum": ["0", "1"]}));
    doc.request_header("X-Forwarded-Method", "The method that is judged, believed from trusted proxies.");
    doc.answers_empty(200, "It may pass.");
    for (name, about) in [
        ("X-Auth-Subject", "`sub`; empty when unknown, as all of these."),
        ("X-Auth-Client", "`client_id`"),
        ("X-Auth-Scope", "`scope`"),
        ("X-Auth-Token-Id", "`jti`"),
    ] {
        doc.with_header(200, name, about);
    }
    doc.needs(&[Security::AccessToken]);
}

async fn judge(
    request: HttpRequest,
    payload: web::Payload,
    engine: web::Data<Engine>,
    edge: web::Data<Edge>,
) -> HttpResponse {
    exchange::<ForwardAuth>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let call = received.call();
        let query = Query::of(received, edge.judged_method)?;
        let token = presented_token(&call)?;
        let question = Question {
            token: token.as_ref().map(ExposeSecret::expose_secret),
            act: act(edge.judged_method(&received.request).as_ref()),
            scope: query.scope,
            audience: query.audience.as_deref(),
            preflight_passes: query.preflight,
        };
        // Caddy and Envoy pass the client's Host on: it must not choose whose tokens are good.
        let provider = call.provider_whatever_host()?;
        let passed = engine.forward_auth(call.ctx, &provider, &question).await?;
        pass(passed.as_ref())
    })
    .await
}

/// What the gateway's own URL asks for.
struct Query {
    scope: ScopeSet,
    audience: Option<String>,
    preflight: bool,
}

impl Query {
    /// Behind a gateway that appends the client's path and query to its own URL, the query after a path
    /// suffix is the client's: there it may ask for more scope, but not choose the audience or let
    /// itself through.
    fn of(received: &Received, judged: JudgedMethod) -> Result<Self, Refusal> {
        let query = received.request.query_string();
        let is_clients = judged == JudgedMethod::OfTheCall && received.request.match_info().get(BELOW).is_some();
        let scope = only(query, "scope")?.unwrap_or_default();
        let scope = ScopeSet::parse(&scope).map_err(|_| Refusal::malformed("The scope in the query is malformed."))?;
        if is_clients {
            return Ok(Self { scope, audience: None, preflight: false });
        }
        let audience = only(query, "audience")?.filter(|audience| !audience.is_empty()).map(Cow::into_owned);
        let preflight = match only(query, "preflight")?.as_deref() {
            None | Some("" | "0") => false,
            Some("1") => true,
            Some(_) => return Err(Refusal::malformed("preflight in the query must be 0 or 1.")),
        };
        Ok(Self { scope, audience, preflight })
    }
}

/// The one value of a parameter. A second one is refused: where the client's query is appended to the
/// gateway's, it would be a wish of the client.
fn only<'a>(query: &'a str, name: &str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let mut values = form_urlencoded::parse(query.as_bytes()).filter(|(own, _)| own == name).map(|(_, value)| value);
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal::malformed("scope, audience and preflight may each stand once in the query."));
    }
    Ok(first)
}

/// The bearer token (RFC 6750 §2.1). Whatever else stands in the header is no valid one.
fn presented_token(call: &Call<'_>) -> Result<Option<SecretString>, Refusal> {
    let unreadable = |_| Refusal::new(RefusalKind::InvalidToken, "The access token is not valid.");
    Ok(match authorization(call.headers).map_err(unreadable)? {
        Some(Authorization::Bearer(token)) => Some(token),
        Some(Authorization::Basic { .. }) | None => None,
    })
}

fn act(method: Option<&Method>) -> Act {
    match method {
        None => Act::Unsaid,
        Some(&Method::OPTIONS) => Act::Preflight,
        Some(&Method::GET | &Method::HEAD) => Act::Read,
        Some(_) => Act::Change,
    }
}

fn pass(claims: Option<&AccessClaims>) -> Result<HttpResponse, Failed> {
    let mut answer = HttpResponse::Ok();
    let token_id = claims.map(|claims| claims.jti.to_string()).unwrap_or_default();
    for (name, value) in [
        (SUBJECT, claims.map_or("", |claims| claims.subject.as_str())),
        (CLIENT, claims.map_or("", |claims| claims.client_id.as_str())),
        (SCOPE, claims.map_or("", |claims| claims.scope.as_str())),
        (TOKEN_ID, token_id.as_str()),
    ] {
        // All of them are printable ASCII where they are made; one that were not must not get lost.
        answer.insert_header((name, HeaderValue::from_str(value).map_err(Fault::crypto)?));
    }
    answer.insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(answer.finish())
}
