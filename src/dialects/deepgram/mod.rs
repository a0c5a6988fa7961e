//! Deepgram: `POST /v1/auth/grant` turns an API key into a token for a browser, by default good for
//! thirty seconds, with permission `usage:write`. Beside it what its SDKs call to look after projects
//! and keys: a project is a provider, and the keys are the API keys that are bound to it.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret;

use crate::dialects::deepgram::wire::TokenAnswer;
use crate::dialects::{Dialect, serve};
use crate::domain::grant::{Ask, Grant, GrantRequest, Granted, PresentedClient};
use crate::domain::{AccessClaims, Class, Context, Failed, FreeClaim, MintAsk, Provider, Refusal, Role, ScopeSet};
use crate::edge::{Call, Failure, OperationDoc, Received, RouteSpec, Surface, credentials, exchange};
use crate::engine::Engine;
use crate::engine::manage::Actor;

mod describe;
mod fail;
mod keys;
mod projects;
mod wire;

/// Tokens, keys and projects.
pub struct Deepgram;

/// Seconds, where the call names none.
const USUAL_LIFETIME: i64 = 30;
/// What a granted token may do: use the API, and manage nothing.
const PERMISSION: &str = "usage:write";

const PROJECT: &str = "/v1/projects/{project_id}";
const KEYS: &str = "/v1/projects/{project_id}/keys";
const KEY: &str = "/v1/projects/{project_id}/keys/{key_id}";

impl Surface for Deepgram {
    const NAME: &'static str = "deepgram";
    const PREFIXES: &'static [&'static str] = &["/v1/auth", "/v1/projects"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 10] = [
            route(Method::POST, "/v1/auth/grant", "deepgram_grant", "Deepgram token: ttl_seconds=1..3600", || {
                web::to(serve::<Deepgram>)
            })
            .doc(describe::grant),
            route(Method::GET, "/v1/auth/token", "deepgram_own_key", "The API key that asks", || web::to(keys::own))
                .doc(describe::own_key),
            route(Method::GET, "/v1/projects", "deepgram_list_projects", "Providers as projects", || {
                web::to(projects::list)
            })
            .doc(describe::projects),
            route(Method::GET, PROJECT, "deepgram_read_project", "A provider as a project", || web::to(projects::read))
                .doc(describe::project),
            route(Method::PATCH, PROJECT, "deepgram_update_project", "Rename a project", || web::to(projects::update))
                .doc(describe::rename),
            route(Method::DELETE, PROJECT, "deepgram_delete_project", "End a project that is empty", || {
                web::to(projects::delete)
            })
            .doc(describe::told),
            route(Method::GET, KEYS, "deepgram_list_keys", "API keys of a project", || web::to(keys::list))
                .doc(describe::keys),
            route(Method::POST, KEYS, "deepgram_create_key", "Make an API key", || web::to(keys::create))
                .doc(describe::new_key),
            route(Method::GET, KEY, "deepgram_read_key", "An API key", || web::to(keys::read)).doc(describe::key),
            route(Method::DELETE, KEY, "deepgram_delete_key", "End an API key", || web::to(keys::delete))
                .doc(describe::told),
        ];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        fail::fail(failure, ctx)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        describe::every(doc);
    }
}

const fn route(
    method: Method,
    path: &'static str,
    operation_id: &'static str,
    summary: &'static str,
    route: fn() -> actix_web::Route,
) -> RouteSpec {
    RouteSpec::new(method, path, operation_id, summary, route)
}

impl Dialect for Deepgram {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let key = credentials::api_key(call.headers)?;
        let mint = MintAsk { ttl: wire::lifetime(call.body)?, ..MintAsk::default() };
        let ask = Ask {
            scope: ScopeSet::of([PERMISSION]).ok(),
            force_jwt: true,
            usual_lifetime: Some(USUAL_LIFETIME),
            wire_claims: Some(wire_claims),
            ..Ask::default()
        };
        Ok(GrantRequest {
            provider: call.surface_provider()?,
            client: PresentedClient::ApiKey { key },
            grant: Grant::Mint(Box::new(mint)),
            ask,
        })
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        let (access_token, expires_in) = (granted.access_token.expose_secret(), granted.expires_in);
        HttpResponse::Ok().json(TokenAnswer { access_token, expires_in })
    }
}

/// `subject`, `scopes` and `project_claims`, where the verifiers of this API look.
fn wire_claims(claims: &AccessClaims) -> Vec<FreeClaim> {
    let scopes = wire::scope_list(&claims.scope);
    let claim = |name: &str, json: String| FreeClaim { name: name.to_owned(), json };
    vec![
        claim("subject", wire::json_text(&claims.subject)),
        claim("scopes", scopes.clone()),
        claim("project_claims", scopes),
    ]
}

/// One management call: who acts, and which projects there are for it.
struct Manager<'a> {
    received: &'a Received,
    engine: &'a Engine,
    actor: Actor,
    /// The one project there is below a provider's own path, and on its domain.
    only: Option<Provider>,
}

/// A management call by an API key of role `needed` or higher.
async fn manage(
    (request, payload, engine): (HttpRequest, web::Payload, web::Data<Engine>),
    needed: Role,
    handle: impl AsyncFnOnce(&Manager<'_>) -> Result<HttpResponse, Failed>,
) -> HttpResponse {
    exchange::<Deepgram>(request, payload, async |received| {
        let call = received.call();
        let key = credentials::api_key(call.headers)?;
        let actor = engine.actor(call.ctx, Some(&key)).await?;
        let named = call.surface_provider()?;
        let provider = engine.surface_provider(call.ctx, &actor, &named).await?;
        actor.require(needed)?;
        let only = named.must_serve.is_some().then_some(provider);
        handle(&Manager { received, engine: &engine, actor, only }).await
    })
    .await
}

/// A management call in the project that the path names.
async fn manage_project(
    call: (HttpRequest, web::Payload, web::Data<Engine>),
    handle: impl AsyncFnOnce(&Manager<'_>, &Provider) -> Result<HttpResponse, Failed>,
) -> HttpResponse {
    manage(call, Role::Admin, async |manager| match manager.project().await? {
        Some(project) => handle(manager, &project).await,
        None => Ok(fail::no_such_project(manager.ctx())),
    })
    .await
}

impl Manager<'_> {
    fn ctx(&self) -> &Context {
        &self.received.ctx
    }

    /// The project that the path names; `None`: there is none that this key sees here.
    async fn project(&self) -> Result<Option<Provider>, Failed> {
        let named = self.received.path("project_id");
        match &self.only {
            Some(only) => Ok((only.id.as_str() == named || only.slug == named).then(|| only.clone())),
            None => found(self.engine.read_provider(self.ctx(), &self.actor, named).await),
        }
    }
}

/// What is unknown is told apart from other refusals.
fn found<T>(read: Result<T, Failed>) -> Result<Option<T>, Failed> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(Failed::Refused(refusal)) if refusal.class() == Class::Unknown => Ok(None),
        Err(failed) => Err(failed),
    }
}
