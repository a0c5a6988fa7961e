//! The standard endpoints: token, revocation, introspection, userinfo, metadata and keys, by the RFCs'
//! own words, and minting. Two surfaces, because browsers of any origin may use the first and none the second.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use crate::dialects::{Dialect, rfc6749, rfc6749_doc, serve};
use crate::domain::grant::{GrantRequest, Granted};
use crate::domain::{Context, Refusal};
use crate::edge::{Call, Failure, OperationDoc, RouteSpec, Surface};

mod describe;
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
            RouteSpec::new(
                Method::POST,
                "/oauth2/token",
                "oauth2_token",
                "Token endpoint (RFC 6749 §3.2): client_credentials, authorization_code, refresh_token, password, \
                          token exchange, jwt-bearer",
                || web::to(serve::<OAuth2>),
            )
            .doc(rfc6749_doc::token),
            RouteSpec::new(Method::POST, "/oauth2/revoke", "oauth2_revoke", "Token revocation (RFC 7009)", || {
                web::to(revoke::revoke)
            })
            .doc(describe::revoke),
            RouteSpec::new(
                Method::GET,
                "/oauth2/userinfo",
                "oauth2_userinfo",
                "Claims about the person (OpenID Connect Core §5.3)",
                || web::to(userinfo::userinfo),
            )
            .doc(describe::userinfo),
            RouteSpec::new(
                Method::POST,
                "/oauth2/userinfo",
                "oauth2_userinfo_by_post",
                "Claims about the person (OpenID Connect Core §5.3)",
                || web::to(userinfo::userinfo),
            )
            .doc(describe::userinfo_by_post),
            RouteSpec::new(Method::GET, "/.well-known/jwks.json", "jwks", "Public signing keys (RFC 7517)", || {
                web::to(metadata::jwks)
            })
            .doc(describe::jwks),
            RouteSpec::new(
                Method::GET,
                "/.well-known/jwks",
                "jwks_without_extension",
                "Public signing keys (RFC 7517)",
                || web::to(metadata::jwks),
            )
            .doc(describe::jwks),
            RouteSpec::new(
                Method::GET,
                "/.well-known/openid-configuration",
                "openid_configuration",
                "Provider metadata (OpenID Connect Discovery §4)",
                || web::to(metadata::metadata),
            )
            .doc(describe::metadata),
            RouteSpec::new(
                Method::GET,
                "/.well-known/oauth-authorization-server",
                "oauth_authorization_server",
                "Provider metadata (RFC 8414 §3)",
                || web::to(metadata::metadata),
            )
            .doc(describe::metadata),
        ];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        rfc6749::failure(failure, ctx)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        doc.tag("Standard endpoints");
        rfc6749_doc::failures(doc);
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
            RouteSpec::new(
                Method::POST,
                "/oauth2/introspect",
                "oauth2_introspect",
                "Token introspection (RFC 7662), by client authentication or an API key; spends a one-time token",
                || web::to(introspect::introspect),
            )
            .doc(describe::introspect),
            RouteSpec::new(
                Method::POST,
                "/oauth2/mint",
                "oauth2_mint",
                "An ephemeral or one-time token, by an API key or a client with may_mint",
                || web::to(mint::mint),
            )
            .doc(describe::mint),
        ];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        rfc6749::failure(failure, ctx)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        doc.tag("Standard endpoints");
        rfc6749_doc::failures(doc);
    }
}
