//! `/admin/v1`: management by REST. JSON in snake_case, problem+json for every failure, merge patch
//! with `If-Match`, cursors, secrets shown once. One file a resource; the rules are the engine's.

use std::sync::OnceLock;

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use crate::admin::api_key_secrets::{ApiKeySecretOut, NewApiKeySecret};
use crate::admin::api_keys::ApiKeyFields;
use crate::admin::call::{Proof, call, created, shown, shown_once};
use crate::admin::client_wire::{ClientFields, ClientOut};
use crate::admin::data_keys::DataKeyOut;
use crate::admin::domains::{DomainChangeFields, DomainFields, DomainOut};
use crate::admin::providers::ProviderFields;
use crate::admin::secrets::{NewClientSecret, NewRotation};
use crate::admin::trusted_issuers::{TrustedIssuerFields, TrustedIssuerOut};
use crate::admin::user_wire::{GrantOut, SessionOut, UserFields, UserOut};
use crate::admin::webhooks::{WebhookFields, WebhookOut};
use crate::admin::wire::{ApiKeyOut, ProviderOut, SecretOut, SigningKeyOut};
use crate::domain::Context;
use crate::edge::{Failure, OperationDoc, RouteSpec, Surface};

mod api_key_secrets;
mod api_keys;
mod call;
mod client_tokens;
pub mod client_wire;
mod clients;
pub mod data_keys;
mod describe;
mod domains;
pub mod events;
pub mod explain;
mod fields;
mod held;
mod input;
mod list;
mod named;
mod parameters;
mod problem;
mod providers;
mod query;
mod reports;
mod secrets;
mod signing_keys;
pub mod trusted_issuers;
pub mod user_wire;
mod users;
mod version;
pub mod webhooks;
pub mod wire;

/// The admin REST API.
pub struct Admin;

impl Surface for Admin {
    const NAME: &'static str = "admin";
    const PREFIXES: &'static [&'static str] = &["/admin"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: &[RouteSpec] = &[
            route(Method::GET, "/admin/v1/providers", "list_providers", "Providers", || web::to(providers::list))
                .doc(|doc| describe::searches::<ProviderOut>(doc, &providers::LIST)),
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
                .doc(|doc| describe::narrows::<SigningKeyOut>(doc, &signing_keys::LIST)),
            route(Method::POST, ROTATE, "rotate_signing_keys", "Make the next signing keys", || {
                web::to(signing_keys::rotate)
            })
            .doc(signing_keys::describe_rotate),
            route(Method::GET, DOMAINS, "list_domains", "Domains of a provider", || web::to(domains::list))
                .doc(|doc| describe::searches::<DomainOut>(doc, &domains::LIST)),
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
                .doc(|doc| describe::searches::<ClientOut>(doc, &clients::LIST)),
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
            route(
                Method::POST,
                ROTATE_SECRETS,
                "rotate_client_secrets",
                "A new secret, and an end for the others",
                || web::to(secrets::rotate),
            )
            .doc(|doc| describe::makes::<NewRotation, SecretOut>(doc, false)),
            route(Method::GET, SECRET, "read_client_secret", "A secret, without its text", || web::to(secrets::read))
                .doc(describe::shows::<SecretOut>),
            route(Method::DELETE, SECRET, "revoke_client_secret", "Revoke a secret", || web::to(secrets::revoke))
                .doc(describe::acts),
            route(Method::GET, USERS, "list_users", "Users", || web::to(users::list))
                .doc(|doc| describe::searches::<UserOut>(doc, &users::LIST)),
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
                .doc(|doc| describe::searches::<ApiKeyOut>(doc, &api_keys::LIST)),
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
                .doc(|doc| describe::searches::<TrustedIssuerOut>(doc, &trusted_issuers::LIST)),
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
            route(Method::GET, events::EVENTS, "list_events", "Audit events", || web::to(events::list))
                .doc(events::lists),
            route(Method::GET, events::EXPORT, "export_events", "Audit events as JSON lines", || {
                web::to(events::export)
            })
            .doc(events::exports),
            route(Method::GET, events::EVENT, "read_event", "An audit event", || web::to(events::read))
                .doc(events::reads),
            route(Method::GET, explain::EXPLAIN, "explain_request", "Why a request was refused or granted", || {
                web::to(explain::read)
            })
            .doc(explain::reads),
            route(Method::GET, webhooks::WEBHOOKS, "list_webhooks", "Webhooks", || web::to(webhooks::list))
                .doc(webhooks::lists),
            route(Method::POST, webhooks::WEBHOOKS, "create_webhook", "Make a webhook", || web::to(webhooks::create))
                .doc(webhooks::creates),
            route(Method::GET, webhooks::WEBHOOK, "read_webhook", "A webhook", || web::to(webhooks::read))
                .doc(describe::reads::<WebhookOut>),
            route(Method::PATCH, webhooks::WEBHOOK, "update_webhook", "Change a webhook", || web::to(webhooks::update))
                .doc(describe::changes::<WebhookFields, WebhookOut>),
            route(Method::DELETE, webhooks::WEBHOOK, "delete_webhook", "End a webhook", || web::to(webhooks::delete))
                .doc(describe::deletes),
            route(Method::POST, webhooks::ROTATE, "rotate_webhook_secret", "A new secret beside the old one", || {
                web::to(webhooks::rotate)
            })
            .doc(webhooks::rotates),
            route(Method::POST, webhooks::TEST, "test_webhook", "Send it an event", || web::to(webhooks::test))
                .doc(webhooks::tests),
            route(Method::GET, webhooks::DELIVERIES, "list_deliveries", "Events on their way to a webhook", || {
                web::to(webhooks::deliveries)
            })
            .doc(webhooks::lists_deliveries),
            route(Method::POST, webhooks::RETRY, "retry_delivery", "Begin a delivery anew that is over", || {
                web::to(webhooks::retry)
            })
            .doc(webhooks::retries),
            route(Method::GET, SIGNING_KEY, "read_signing_key", "A signing key", || web::to(signing_keys::read))
                .doc(describe::shows::<SigningKeyOut>),
            route(Method::GET, KEY_SECRETS, "list_api_key_secrets", "Secrets of an API key", || {
                web::to(api_key_secrets::list)
            })
            .doc(describe::lists_all::<ApiKeySecretOut>),
            route(Method::POST, KEY_SECRETS, "create_api_key_secret", "Add a secret to an API key", || {
                web::to(api_key_secrets::create)
            })
            .doc(|doc| describe::makes::<NewApiKeySecret, ApiKeySecretOut>(doc, false)),
            route(
                Method::POST,
                ROTATE_KEY_SECRETS,
                "rotate_api_key_secrets",
                "A new secret of an API key, and an end for the others",
                || web::to(api_key_secrets::rotate),
            )
            .doc(|doc| describe::makes::<NewRotation, ApiKeySecretOut>(doc, false)),
            route(Method::GET, KEY_SECRET, "read_api_key_secret", "A secret of an API key, without its text", || {
                web::to(api_key_secrets::read)
            })
            .doc(api_key_secrets::describe),
            route(Method::DELETE, KEY_SECRET, "revoke_api_key_secret", "Revoke a secret of an API key", || {
                web::to(api_key_secrets::revoke)
            })
            .doc(describe::acts),
            route(Method::GET, SECRET_REPORT, "report_secrets", "Secrets nobody uses or that end soon", || {
                web::to(reports::secrets)
            })
            .doc(reports::describe),
            route(Method::GET, DATA_KEYS, "list_data_keys", "Data keys of the installation", || {
                web::to(data_keys::list)
            })
            .doc(describe::lists_all::<DataKeyOut>),
            route(
                Method::POST,
                ROTATE_DATA_KEY,
                "rotate_data_key",
                "Make the data key that is used from now on",
                || web::to(data_keys::rotate),
            )
            .doc(data_keys::describe),
        ];
        static ALL: OnceLock<Vec<RouteSpec>> = OnceLock::new();
        ALL.get_or_init(|| [ROUTES, named::ROUTES, held::ROUTES].concat())
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
const ROTATE_SECRETS: &str = "/admin/v1/providers/{provider}/clients/{client_id}/secrets/rotate";
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
const SECRET_REPORT: &str = "/admin/v1/reports/secrets";
const DATA_KEYS: &str = "/admin/v1/data-keys";
const ROTATE_DATA_KEY: &str = "/admin/v1/data-keys/rotate";
const KEY_SECRETS: &str = "/admin/v1/api-keys/{key_id}/secrets";
const ROTATE_KEY_SECRETS: &str = "/admin/v1/api-keys/{key_id}/secrets/rotate";
const KEY_SECRET: &str = "/admin/v1/api-keys/{key_id}/secrets/{secret_id}";

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
