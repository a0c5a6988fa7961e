//! `/admin/v1`: management by REST. JSON in snake_case, problem+json for every failure, merge patch
//! with `If-Match`, cursors, secrets shown once. One file a resource; the rules are the engine's.

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::api_keys::ApiKeyFields;
use crate::admin::client_wire::{ClientFields, ClientOut};
use crate::admin::domains::{DomainChangeFields, DomainFields, DomainOut};
use crate::admin::providers::ProviderFields;
use crate::admin::secrets::NewClientSecret;
use crate::admin::trusted_issuers::{TrustedIssuerFields, TrustedIssuerOut};
use crate::admin::user_wire::{GrantOut, SessionOut, UserFields, UserOut};
use crate::admin::wire::{ApiKeyOut, ProviderOut, SecretOut, SigningKeyOut};
use crate::domain::{Context, Failed, Refusal};
use crate::edge::credentials::bearer;
use crate::edge::{Failure, OperationDoc, Received, RouteSpec, Surface, exchange};
use crate::engine::Engine;
use crate::engine::manage::Actor;

mod api_keys;
mod client_tokens;
pub mod client_wire;
mod clients;
mod describe;
mod domains;
mod fields;
mod input;
mod list;
mod problem;
mod providers;
mod secrets;
mod signing_keys;
pub mod trusted_issuers;
pub mod user_wire;
mod users;
mod version;
pub mod wire;

/// The admin REST API.
pub struct Admin;

impl Surface for Admin {
    const NAME: &'static str = "admin";
    const PREFIXES: &'static [&'static str] = &["/admin"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: &[RouteSpec] = &[
            route(Method::GET, "/admin/v1/providers", "list_providers", "Providers", || web::to(providers::list))
                .doc(describe::lists::<ProviderOut>),
            route(Method::POST, "/admin/v1/providers", "create_provider", "Make a provider", || {
                web::to(providers::create)
            })
            .doc(describe::creates::<ProviderFields, ProviderOut>),
            route(Method::GET, PROVIDER, "read_provider", "A provider", || web::to(providers::read))
                .doc(describe::reads::<ProviderOut>),
            route(Method::PATCH, PROVIDER, "update_provider", "Change a provider", || web::to(providers::update))
                .doc(describe::changes::<ProviderFields, ProviderOut>),
            route(Method::DELETE, PROVIDER, "delete_provider", "End a provider", || web::to(providers::delete))
                .doc(providers::describe_delete),
            route(Method::DELETE, PROVIDER_TOKENS, "revoke_provider_tokens", "Revoke all its tokens", || {
                web::to(providers::revoke_tokens)
            })
            .doc(describe::acts),
            route(Method::GET, SIGNING_KEYS, "list_signing_keys", "Signing keys", || web::to(signing_keys::list))
                .doc(describe::lists_all::<SigningKeyOut>),
            route(Method::POST, ROTATE, "rotate_signing_keys", "Make the next signing keys", || {
                web::to(signing_keys::rotate)
            })
            .doc(signing_keys::describe_rotate),
            route(Method::GET, DOMAINS, "list_domains", "Domains of a provider", || web::to(domains::list))
                .doc(describe::lists::<DomainOut>),
            route(Method::POST, DOMAINS, "create_domain", "Add a domain, to be verified", || web::to(domains::create))
                .doc(describe::creates::<DomainFields, DomainOut>),
            route(Method::GET, DOMAIN, "read_domain", "A domain, and the TXT record that proves it", || {
                web::to(domains::read)
            })
            .doc(describe::reads::<DomainOut>),
            route(
                Method::PATCH,
                DOMAIN,
                "update_domain",
                "Make a verified domain the issuer of new tokens, or not",
                || web::to(domains::update),
            )
            .doc(describe::changes::<DomainChangeFields, DomainOut>),
            route(Method::DELETE, DOMAIN, "delete_domain", "End a domain", || web::to(domains::delete))
                .doc(describe::deletes),
            route(
                Method::POST,
                VERIFY_DOMAIN,
                "verify_domain",
                "Look for the TXT record, and serve the domain",
                || web::to(domains::verify),
            )
            .doc(domains::describe_verify),
            route(Method::GET, CLIENTS, "list_clients", "Clients", || web::to(clients::list))
                .doc(describe::lists::<ClientOut>),
            route(Method::POST, CLIENTS, "create_client", "Make a client", || web::to(clients::create))
                .doc(clients::describe_creation),
            route(Method::GET, CLIENT, "read_client", "A client", || web::to(clients::read))
                .doc(describe::reads::<ClientOut>),
            route(Method::PATCH, CLIENT, "update_client", "Change a client", || web::to(clients::update))
                .doc(describe::changes::<ClientFields, ClientOut>),
            route(Method::DELETE, CLIENT, "delete_client", "End a client", || web::to(clients::delete))
                .doc(describe::deletes),
            route(Method::DELETE, CLIENT_TOKENS, "revoke_client_tokens", "Revoke all its tokens", || {
                web::to(clients::revoke_tokens)
            })
            .doc(describe::acts),
            route(Method::POST, CLIENT_TOKENS, "mint_client_token", "An ephemeral token for a client", || {
                web::to(client_tokens::mint)
            })
            .doc(client_tokens::describe_mint),
            route(Method::GET, SECRETS, "list_client_secrets", "Secrets of a client", || web::to(secrets::list))
                .doc(describe::lists_all::<SecretOut>),
            route(Method::POST, SECRETS, "create_client_secret", "Add a secret", || web::to(secrets::create))
                .doc(|doc| describe::makes::<NewClientSecret, SecretOut>(doc, false)),
            route(Method::GET, SECRET, "read_client_secret", "A secret, without its text", || web::to(secrets::read))
                .doc(describe::shows::<SecretOut>),
            route(Method::DELETE, SECRET, "revoke_client_secret", "Revoke a secret", || web::to(secrets::revoke))
                .doc(describe::acts),
            route(Method::GET, USERS, "list_users", "Users", || web::to(users::list)).doc(users::describe_list),
            route(Method::POST, USERS, "create_user", "Make a user", || web::to(users::create))
                .doc(describe::creates::<UserFields, UserOut>),
            route(Method::GET, USER, "read_user", "A user", || web::to(users::read)).doc(describe::reads::<UserOut>),
            route(Method::PATCH, USER, "update_user", "Change a user", || web::to(users::update))
                .doc(describe::changes::<UserFields, UserOut>),
            route(Method::DELETE, USER, "delete_user", "End a user", || web::to(users::delete)).doc(describe::deletes),
            route(Method::POST, USER_PASSWORD, "set_user_password", "Set, import or clear the password", || {
                web::to(users::set_password)
            })
            .doc(users::describe_set_password),
            route(Method::POST, USER_LOCK, "lock_user", "Keep a user out", || web::to(users::lock))
                .doc(users::describe_lock),
            route(Method::DELETE, USER_LOCK, "unlock_user", "Let a locked user in again", || web::to(users::unlock))
                .doc(describe::acts),
            route(Method::GET, USER_SESSIONS, "list_user_sessions", "Sessions of a user", || web::to(users::sessions))
                .doc(describe::lists_all::<SessionOut>),
            route(Method::DELETE, USER_SESSIONS, "end_user_sessions", "End all sessions of a user", || {
                web::to(users::end_sessions)
            })
            .doc(describe::acts),
            route(Method::DELETE, USER_SESSION, "end_user_session", "End a session of a user", || {
                web::to(users::end_session)
            })
            .doc(describe::acts),
            route(Method::GET, USER_GRANTS, "list_user_grants", "Grants of a user", || web::to(users::grants))
                .doc(describe::lists_all::<GrantOut>),
            route(Method::DELETE, USER_GRANT, "revoke_user_grant", "End a grant and all its tokens", || {
                web::to(users::revoke_grant)
            })
            .doc(describe::acts),
            route(Method::GET, "/admin/v1/api-keys", "list_api_keys", "API keys", || web::to(api_keys::list))
                .doc(describe::lists::<ApiKeyOut>),
            route(Method::POST, "/admin/v1/api-keys", "create_api_key", "Make an API key", || {
                web::to(api_keys::create)
            })
            .doc(describe::creates::<ApiKeyFields, ApiKeyOut>),
            route(Method::GET, API_KEY, "read_api_key", "An API key", || web::to(api_keys::read))
                .doc(describe::reads::<ApiKeyOut>),
            route(Method::PATCH, API_KEY, "update_api_key", "Change an API key", || web::to(api_keys::update))
                .doc(describe::changes::<ApiKeyFields, ApiKeyOut>),
            route(Method::DELETE, API_KEY, "delete_api_key", "End an API key", || web::to(api_keys::delete))
                .doc(describe::deletes),
            route(Method::DELETE, API_KEY_TOKENS, "revoke_api_key_tokens", "Revoke all it minted", || {
                web::to(api_keys::revoke_tokens)
            })
            .doc(describe::acts),
            route(Method::GET, TRUST, "list_trusted_issuers", "Trusted issuers", || web::to(trusted_issuers::list))
                .doc(describe::lists::<TrustedIssuerOut>),
            route(Method::POST, TRUST, "create_trusted_issuer", "Trust an issuer", || web::to(trusted_issuers::create))
                .doc(describe::creates::<TrustedIssuerFields, TrustedIssuerOut>),
            route(Method::POST, TRY_TRUST, "test_token", "Say what every row of its issuer thinks of a token", || {
                web::to(trusted_issuers::try_all)
            })
            .doc(trusted_issuers::describe_trial),
            route(Method::GET, TRUSTED, "read_trusted_issuer", "A trusted issuer", || web::to(trusted_issuers::read))
                .doc(describe::reads::<TrustedIssuerOut>),
            route(Method::PATCH, TRUSTED, "update_trusted_issuer", "Change a trusted issuer", || {
                web::to(trusted_issuers::update)
            })
            .doc(describe::changes::<TrustedIssuerFields, TrustedIssuerOut>),
            route(Method::DELETE, TRUSTED, "delete_trusted_issuer", "End the trust", || {
                web::to(trusted_issuers::delete)
            })
            .doc(describe::deletes),
            route(Method::POST, TRY_TRUSTED, "test_trusted_issuer", "Say what it thinks of a token", || {
                web::to(trusted_issuers::try_one)
            })
            .doc(trusted_issuers::describe_trial),
            route(Method::GET, SIGNING_KEY, "read_signing_key", "A signing key", || web::to(signing_keys::read))
                .doc(describe::shows::<SigningKeyOut>),
        ];
        ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        problem::fail(failure, ctx)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        describe::every(doc);
    }
}

const PROVIDER: &str = "/admin/v1/providers/{provider}";
const PROVIDER_TOKENS: &str = "/admin/v1/providers/{provider}/tokens";
const SIGNING_KEYS: &str = "/admin/v1/providers/{provider}/signing-keys";
const SIGNING_KEY: &str = "/admin/v1/providers/{provider}/signing-keys/{kid}";
const ROTATE: &str = "/admin/v1/providers/{provider}/signing-keys/rotate";
const DOMAINS: &str = "/admin/v1/providers/{provider}/domains";
const DOMAIN: &str = "/admin/v1/providers/{provider}/domains/{domain_id}";
const VERIFY_DOMAIN: &str = "/admin/v1/providers/{provider}/domains/{domain_id}/verify";
const CLIENTS: &str = "/admin/v1/providers/{provider}/clients";
const CLIENT: &str = "/admin/v1/providers/{provider}/clients/{client_id}";
const CLIENT_TOKENS: &str = "/admin/v1/providers/{provider}/clients/{client_id}/tokens";
const SECRETS: &str = "/admin/v1/providers/{provider}/clients/{client_id}/secrets";
const SECRET: &str = "/admin/v1/providers/{provider}/clients/{client_id}/secrets/{secret_id}";
const USERS: &str = "/admin/v1/providers/{provider}/users";
const USER: &str = "/admin/v1/providers/{provider}/users/{user_id}";
const USER_PASSWORD: &str = "/admin/v1/providers/{provider}/users/{user_id}/password";
const USER_LOCK: &str = "/admin/v1/providers/{provider}/users/{user_id}/lock";
const USER_SESSIONS: &str = "/admin/v1/providers/{provider}/users/{user_id}/sessions";
const USER_SESSION: &str = "/admin/v1/providers/{provider}/users/{user_id}/sessions/{session_id}";
const USER_GRANTS: &str = "/admin/v1/providers/{provider}/users/{user_id}/grants";
const USER_GRANT: &str = "/admin/v1/providers/{provider}/users/{user_id}/grants/{grant_id}";
const TRUST: &str = "/admin/v1/providers/{provider}/trusted-issuers";
const TRY_TRUST: &str = "/admin/v1/providers/{provider}/trusted-issuers/test";
const TRUSTED: &str = "/admin/v1/providers/{provider}/trusted-issuers/{issuer_id}";
const TRY_TRUSTED: &str = "/admin/v1/providers/{provider}/trusted-issuers/{issuer_id}/test";
const API_KEY: &str = "/admin/v1/api-keys/{key_id}";
const API_KEY_TOKENS: &str = "/admin/v1/api-keys/{key_id}/tokens";

const fn route(
    method: Method,
    path: &'static str,
    operation_id: &'static str,
    summary: &'static str,
    route: fn() -> actix_web::Route,
) -> RouteSpec {
    RouteSpec::new(method, path, operation_id, summary, route)
}

/// In the application data of routes that only the local operator can call: the command line on the
/// database. A server never has it.
pub struct AsLocalOperator;

/// Who calls.
async fn actor_of(received: &Received, engine: &Engine) -> Result<Actor, Failed> {
    if received.request.app_data::<web::Data<AsLocalOperator>>().is_some() {
        return Ok(Actor::LocalOperator);
    }
    let key = bearer(received.request.headers())?;
    engine.actor(&received.ctx, key.as_ref()).await
}

/// One management call: who acts, then what `handle` does.
async fn call(
    request: HttpRequest,
    payload: web::Payload,
    engine: web::Data<Engine>,
    handle: impl AsyncFnOnce(&Received, &Engine, &Actor) -> Result<HttpResponse, Failed>,
) -> HttpResponse {
    exchange::<Admin>(request, payload, async |received| {
        let actor = actor_of(received, &engine).await?;
        refuse_not_built(received)?;
        handle(received, &engine, &actor).await
    })
    .await
}

/// What a later release will understand must not be passed over silently now: a caller that sends
/// it counts on it.
fn refuse_not_built(received: &Received) -> Result<(), Refusal> {
    if received.request.headers().contains_key("idempotency-key") {
        return Err(Refusal::invalid_field("", "Idempotency-Key is not supported by this release"));
    }
    let query = url::form_urlencoded::parse(received.request.query_string().as_bytes());
    if query.into_iter().any(|(name, _)| name == "dry_run") {
        return Err(Refusal::invalid_field("", "dry_run is not supported by this release"));
    }
    Ok(())
}

/// 201 with where the new thing lies.
fn created(received: &Received, id: &str, version: Option<i64>, body: &impl serde::Serialize) -> HttpResponse {
    let mut answer = HttpResponse::Created();
    let base = received.request.path().trim_end_matches('/');
    answer.insert_header((header::LOCATION, format!("{base}/{id}")));
    if let Some(version) = version {
        answer.insert_header((header::ETAG, version::etag(version)));
    }
    answer.json(body)
}

/// 200 with its version.
fn shown(version: i64, body: &impl serde::Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::ETAG, version::etag(version))).json(body)
}
