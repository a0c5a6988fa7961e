//! UseGrant: tokens for clients, and the management calls its client library offers. A provider of
//! that API is one of ours, with issuer, discovery and keys of its own; a tenant provider is a trusted
//! issuer whose tokens are only validated. Tenants lie at the provider that the key or the surface is
//! for; everything else at the provider that the path names.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Route, web};

use crate::dialects::usegrant::wire::{ClientOut, DomainOut, PolicyOut, ProviderOut, TenantOut, TenantProviderOut};
use crate::domain::id::is_uuid_shaped;
use crate::domain::{Context, Failed, Provider, Refusal, Role};
use crate::edge::credentials::bearer;
use crate::edge::{Failure, OperationDoc, Received, RouteSpec, Surface, exchange};
use crate::engine::Engine;
use crate::engine::manage::Actor;

mod clients;
mod describe;
mod domains;
mod fail;
mod policies;
mod providers;
mod tenant_providers;
mod tenants;
mod tokens;
mod wire;

/// Tokens and management alike.
pub struct UseGrant;

const NAME: &str = "usegrant";
/// What management needs.
const MANAGES: Role = Role::Admin;

/// What to do about a list that is too long for this API, which has no pages.
const PROVIDERS_IN_PAGES: &str = "Read it in pages from the admin API: GET /admin/v1/providers.";
const CLIENTS_IN_PAGES: &str = "Read it in pages from the admin API: GET /admin/v1/providers/{provider}/clients.";
const DOMAINS_IN_PAGES: &str = "Read it in pages from the admin API: GET /admin/v1/providers/{provider}/domains.";
const DELETE_SOME: &str = "Read single entries by their ids, and delete those that are not needed.";

const PROVIDERS: &str = "/v1/providers";
const PROVIDER: &str = "/v1/providers/{provider_id}";
const CLIENTS: &str = "/v1/providers/{provider_id}/clients";
const CLIENT: &str = "/v1/providers/{provider_id}/clients/{client_id}";
const TOKENS: &str = "/v1/providers/{provider_id}/clients/{client_id}/tokens";
const DOMAINS: &str = "/v1/providers/{provider_id}/domains";
const DOMAIN: &str = "/v1/providers/{provider_id}/domains/{domain_id}";
const VERIFY: &str = "/v1/providers/{provider_id}/domains/{domain_id}/verify";
const TENANTS: &str = "/v1/tenants";
const TENANT: &str = "/v1/tenants/{tenant_id}";
const VALIDATE: &str = "/v1/tenants/{tenant_id}/validate";
const ISSUERS: &str = "/v1/tenants/{tenant_id}/providers";
const ISSUER: &str = "/v1/tenants/{tenant_id}/providers/{tenant_provider_id}";
const POLICIES: &str = "/v1/tenants/{tenant_id}/providers/{tenant_provider_id}/policies";
const POLICY: &str = "/v1/tenants/{tenant_id}/providers/{tenant_provider_id}/policies/{policy_id}";

impl Surface for UseGrant {
    const NAME: &'static str = NAME;
    const PREFIXES: &'static [&'static str] = &[PROVIDERS, TENANTS];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 27] = [
            get(PROVIDERS, "usegrant_list_providers", "UseGrant: providers", || web::to(providers::list))
                .doc(describe::lists::<ProviderOut>),
            post(PROVIDERS, "usegrant_create_provider", "UseGrant: make a provider (name, description)", || {
                web::to(providers::create)
            })
            .doc(describe::new_provider),
            get(PROVIDER, "usegrant_read_provider", "UseGrant: a provider", || web::to(providers::read))
                .doc(describe::reads::<ProviderOut>),
            delete(PROVIDER, "usegrant_delete_provider", "UseGrant: end a provider", || web::to(providers::delete))
                .doc(describe::deletes),
            get(CLIENTS, "usegrant_list_clients", "UseGrant: clients", || web::to(clients::list))
                .doc(describe::lists::<ClientOut>),
            post(CLIENTS, "usegrant_create_client", "UseGrant: make a client (name, audience)", || {
                web::to(clients::create)
            })
            .doc(describe::new_client),
            get(CLIENT, "usegrant_read_client", "UseGrant: a client", || web::to(clients::read))
                .doc(describe::reads::<ClientOut>),
            delete(CLIENT, "usegrant_delete_client", "UseGrant: end a client", || web::to(clients::delete))
                .doc(describe::deletes),
            post(
                TOKENS,
                "usegrant_create_token",
                "UseGrant: make a token for a client (expiresIn, useJwtType, audienceAsArray, forceDefaultDomain)",
                || web::to(tokens::create),
            )
            .doc(describe::token),
            get(DOMAINS, "usegrant_list_domains", "UseGrant: domains of a provider", || web::to(domains::list))
                .doc(describe::lists::<DomainOut>),
            post(DOMAINS, "usegrant_add_domain", "UseGrant: add a domain", || web::to(domains::create))
                .doc(describe::new_domain),
            get(DOMAIN, "usegrant_read_domain", "UseGrant: a domain", || web::to(domains::read))
                .doc(describe::reads::<DomainOut>),
            delete(DOMAIN, "usegrant_delete_domain", "UseGrant: end a domain", || web::to(domains::delete))
                .doc(describe::deletes),
            post(VERIFY, "usegrant_verify_domain", "UseGrant: look for the TXT record of a domain", || {
                web::to(domains::verify)
            })
            .doc(describe::verify),
            get(TENANTS, "usegrant_list_tenants", "UseGrant: tenants", || web::to(tenants::list))
                .doc(describe::lists::<TenantOut>),
            post(TENANTS, "usegrant_create_tenant", "UseGrant: make a tenant (name, description)", || {
                web::to(tenants::create)
            })
            .doc(describe::new_tenant),
            get(TENANT, "usegrant_read_tenant", "UseGrant: a tenant", || web::to(tenants::read))
                .doc(describe::reads::<TenantOut>),
            delete(TENANT, "usegrant_delete_tenant", "UseGrant: end a tenant", || web::to(tenants::delete))
                .doc(describe::deletes),
            post(
                VALIDATE,
                "usegrant_validate_token",
                "UseGrant: say until when a token of a tenant's provider is valid by a policy",
                || web::to(tenants::validate),
            )
            .doc(describe::validate),
            get(ISSUERS, "usegrant_list_tenant_providers", "UseGrant: providers of a tenant", || {
                web::to(tenant_providers::list)
            })
            .doc(describe::lists::<TenantProviderOut>),
            post(
                ISSUERS,
                "usegrant_create_tenant_provider",
                "UseGrant: make a provider of a tenant (url, fingerprints, audience, earliestIssuanceTimeAllowed)",
                || web::to(tenant_providers::create),
            )
            .doc(describe::new_tenant_provider),
            get(ISSUER, "usegrant_read_tenant_provider", "UseGrant: a provider of a tenant", || {
                web::to(tenant_providers::read)
            })
            .doc(describe::reads::<TenantProviderOut>),
            delete(ISSUER, "usegrant_delete_tenant_provider", "UseGrant: end a provider of a tenant", || {
                web::to(tenant_providers::delete)
            })
            .doc(describe::deletes),
            get(POLICIES, "usegrant_list_policies", "UseGrant: policies of a tenant's provider", || {
                web::to(policies::list)
            })
            .doc(describe::lists::<PolicyOut>),
            post(
                POLICIES,
                "usegrant_create_policy",
                "UseGrant: make a policy (name, description, audience, conditions)",
                || web::to(policies::create),
            )
            .doc(describe::new_policy),
            get(POLICY, "usegrant_read_policy", "UseGrant: a policy", || web::to(policies::read))
                .doc(describe::reads::<PolicyOut>),
            delete(POLICY, "usegrant_delete_policy", "UseGrant: end a policy", || web::to(policies::delete))
                .doc(describe::deletes),
        ];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        fail::fail(failure)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        describe::every(doc);
    }
}

const fn get(path: &'static str, operation_id: &'static str, summary: &'static str, route: fn() -> Route) -> RouteSpec {
    RouteSpec::new(Method::GET, path, operation_id, summary, route)
}

const fn post(
    path: &'static str,
    operation_id: &'static str,
    summary: &'static str,
    route: fn() -> Route,
) -> RouteSpec {
    RouteSpec::new(Method::POST, path, operation_id, summary, route)
}

const fn delete(
    path: &'static str,
    operation_id: &'static str,
    summary: &'static str,
    route: fn() -> Route,
) -> RouteSpec {
    RouteSpec::new(Method::DELETE, path, operation_id, summary, route)
}

/// A call with the key that acts.
struct Here<'a> {
    received: &'a Received,
    engine: &'a Engine,
    actor: &'a Actor,
    /// The provider at whose own path or domain the call came in; none: at the root.
    below: Option<Provider>,
}

impl Here<'_> {
    /// The id of the provider that the path names. At a provider's own place there is no other.
    fn provider(&self) -> Result<&str, Refusal> {
        let id = self.received.path("provider_id");
        let is_here = self.below.as_ref().is_none_or(|own| own.id.as_str() == id);
        if is_uuid_shaped(id) && is_here { Ok(id) } else { Err(Refusal::unknown("There is no such provider.")) }
    }

    /// The provider whose tenants these are.
    async fn home(&self) -> Result<Provider, Failed> {
        match &self.below {
            Some(own) => Ok(own.clone()),
            None => {
                let named = self.received.call().surface_provider()?;
                self.engine.surface_provider(&self.received.ctx, self.actor, &named).await
            }
        }
    }

    fn tenant(&self) -> &str {
        self.received.path("tenant_id")
    }

    fn issuer(&self) -> &str {
        self.received.path("tenant_provider_id")
    }
}

/// One call: who acts, by a key of at least this role, and what `handle` makes of it.
async fn call(
    request: HttpRequest,
    payload: web::Payload,
    engine: web::Data<Engine>,
    least: Role,
    handle: impl AsyncFnOnce(&Here<'_>) -> Result<HttpResponse, Failed>,
) -> HttpResponse {
    exchange::<UseGrant>(request, payload, async |received| {
        let key = bearer(received.request.headers())?;
        let actor = engine.actor(&received.ctx, key.as_ref()).await?;
        actor.require(least)?;
        let named = received.call().surface_provider()?;
        let below = match named.must_serve {
            Some(_) => Some(engine.surface_provider(&received.ctx, &actor, &named).await?),
            None => None,
        };
        handle(&Here { received, engine: &engine, actor: &actor, below }).await
    })
    .await
}
