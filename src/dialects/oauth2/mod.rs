//! The standard endpoints: token, revocation, introspection, userinfo, metadata and keys, by the RFCs'
//! own words, and minting. Two surfaces, because browsers of any origin may use the first and none the second.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use crate::dialects::{Dialect, rfc6749, serve};
use crate::domain::grant::{GrantRequest, Granted};
use crate::domain::{Context, Refusal};
use crate::edge::{Call, Failure, RouteSpec, Surface};

mod introspect;
mod metadata;
mod mint;
mod revoke;
mod userinfo;
mod wire;

/// Token, revocation, userinfo, metadata, keys.
pub struct OAuth2;

/// Introspection and minting: for services, never for browsers.
pub struct Services;

impl Surface for OAuth2 {
    const NAME: &'static str = "oauth2";
    const PREFIXES: &'static [&'static str] = &["/oauth2", "/.well-known"];
    const CROSS_ORIGIN: bool = true;

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 8] = [
            RouteSpec {
                method: Method::POST,
                path: "/oauth2/token",
                operation_id: "oauth2_token",
                summary: "Token endpoint (RFC 6749 §3.2): client_credentials, authorization_code, refresh_token, password, \
                          token exchange, jwt-bearer",
                route: || web::to(serve::<OAuth2>),
            },
            RouteSpec {
                method: Method::POST,
                path: "/oauth2/revoke",
                operation_id: "oauth2_revoke",
                summary: "Token revocation (RFC 7009)",
                route: || web::to(revoke::revoke),
            },
            RouteSpec {
                method: Method::GET,
                path: "/oauth2/userinfo",
                operation_id: "oauth2_userinfo",
                summary: "Claims about the person (OpenID Connect Core §5.3)",
                route: || web::to(userinfo::userinfo),
            },
            RouteSpec {
                method: Method::POST,
                path: "/oauth2/userinfo",
                operation_id: "oauth2_userinfo_by_post",
                summary: "Claims about the person (OpenID Connect Core §5.3)",
                route: || web::to(userinfo::userinfo),
            },
            RouteSpec {
                method: Method::GET,
                path: "/.well-known/jwks.json",
                operation_id: "jwks",
                summary: "Public signing keys (RFC 7517)",
                route: || web::to(metadata::jwks),
            },
            RouteSpec {
                method: Method::GET,
                path: "/.well-known/jwks",
                operation_id: "jwks_without_extension",
                summary: "Public signing keys (RFC 7517)",
                route: || web::to(metadata::jwks),
            },
            RouteSpec {
                method: Method::GET,
                path: "/.well-known/openid-configuration",
                operation_id: "openid_configuration",
                summary: "Provider metadata (OpenID Connect Discovery §4)",
                route: || web::to(metadata::metadata),
            },
            RouteSpec {
                method: Method::GET,
                path: "/.well-known/oauth-authorization-server",
                operation_id: "oauth_authorization_server",
                summary: "Provider metadata (RFC 8414 §3)",
                route: || web::to(metadata::metadata),
            },
        ];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        rfc6749::failure(failure, ctx)
    }
}

impl Dialect for OAuth2 {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        rfc6749::token_request(call, call.provider()?, rfc6749::Habits::default())
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        rfc6749::token_answer(&granted)
    }
}

impl Surface for Services {
    const NAME: &'static str = "oauth2";
    const PREFIXES: &'static [&'static str] = &[];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 2] = [
            RouteSpec {
                method: Method::POST,
                path: "/oauth2/introspect",
                operation_id: "oauth2_introspect",
                summary: "Token introspection (RFC 7662), by client authentication or an API key; spends a one-time token",
                route: || web::to(introspect::introspect),
            },
            RouteSpec {
                method: Method::POST,
                path: "/oauth2/mint",
                operation_id: "oauth2_mint",
                summary: "An ephemeral or one-time token, by an API key or a client with may_mint",
                route: || web::to(mint::mint),
            },
        ];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        rfc6749::failure(failure, ctx)
    }
}
