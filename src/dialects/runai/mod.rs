//! NVIDIA Run:ai: `POST /api/v1/token` (JSON, `grantType`), the legacy application token, and
//! `POST /api/v2/token`, which is RFC 6749 on another path. Its clients retry 401 and 5xx and never
//! look at the login's status, so every wrong credential is a 400 with a readable message.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use secrecy::ExposeSecret;

use crate::dialects::runai::wire::{AppTokenAnswer, TokenAnswer};
use crate::dialects::{Dialect, rfc6749, serve};
use crate::domain::grant::{Ask, Grant, GrantRequest, Granted, PresentedClient, SecretVia};
use crate::domain::{Context, Refusal};
use crate::edge::{Call, Failure, RouteSpec, Surface};

mod fail;
mod wire;

/// `POST /api/v1/token`.
pub struct V1;

/// `POST /v1/k8s/auth/oauth/apptoken`, deprecated and still called.
pub struct AppToken;

/// `POST /api/v2/token`.
pub struct V2;

const NAME: &str = "runai";

impl Surface for V1 {
    const NAME: &'static str = NAME;
    const PREFIXES: &'static [&'static str] = &["/api/v1/token"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec {
            method: Method::POST,
            path: "/api/v1/token",
            operation_id: "runai_token_v1",
            summary: "Run:ai token endpoint: grantType client_credentials and app_token",
            route: || web::to(serve::<V1>),
        }];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        fail::fail(failure)
    }
}

impl Dialect for V1 {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let request = wire::TokenRequest::read(call.body)?;
        let (client_id, secret) = match request.text("granttype")? {
            Some("client_credentials") => (request.required("clientid")?, request.required("clientsecret")?),
            Some("app_token") => (request.required("appid")?, request.required("appsecret")?),
            Some(_) => return Err(wire::unsupported_grant()),
            None => return Err(wire::missing()),
        };
        machine_request(call, client_id, secret, Ask { force_jwt: true, ..Ask::default() })
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        let access_token = granted.access_token.expose_secret();
        HttpResponse::Ok().json(TokenAnswer { access_token, expires_in: granted.expires_in })
    }
}

impl Surface for AppToken {
    const NAME: &'static str = NAME;
    const PREFIXES: &'static [&'static str] = &["/v1/k8s/"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec {
            method: Method::POST,
            path: "/v1/k8s/auth/oauth/apptoken",
            operation_id: "runai_app_token",
            summary: "Run:ai application token (deprecated): id, name, secret",
            route: || web::to(serve::<AppToken>),
        }];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        fail::fail(failure)
    }
}

impl Dialect for AppToken {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let request = wire::TokenRequest::read(call.body)?;
        let (client_id, secret) = (request.required("id")?, request.required("secret")?);
        // Must be there and is compared with nothing: the published client sends what it likes.
        request.required("name")?;
        machine_request(call, client_id, secret, Ask { force_jwt: true, own_id_token: true, ..Ask::default() })
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        let id_token = granted.id_token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        HttpResponse::Ok().json(AppTokenAnswer { access_token: granted.access_token.expose_secret(), id_token })
    }
}

impl Surface for V2 {
    const NAME: &'static str = NAME;
    const PREFIXES: &'static [&'static str] = &["/api/v2/"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec {
            method: Method::POST,
            path: "/api/v2/token",
            operation_id: "runai_token_v2",
            summary: "Run:ai token endpoint, RFC 6749 form",
            route: || web::to(serve::<V2>),
        }];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        rfc6749::failure(failure, ctx)
    }
}

impl Dialect for V2 {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let mut request = rfc6749::token_request(call, call.surface_provider()?)?;
        if let PresentedClient::Secret { via, .. } = &mut request.client {
            *via = SecretVia::Wire;
        }
        request.ask.force_jwt = true;
        Ok(request)
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        rfc6749::token_answer(&granted)
    }
}

/// A client that proves itself in the body; an `Authorization` header is not looked at, because
/// the published client sends its last, possibly expired, token there.
fn machine_request(call: &Call<'_>, client_id: &str, secret: &str, ask: Ask) -> Result<GrantRequest, Refusal> {
    let client = PresentedClient::Secret { client_id: client_id.into(), secret: secret.into(), via: SecretVia::Wire };
    Ok(GrantRequest { provider: call.surface_provider()?, client, grant: Grant::ClientCredentials, ask })
}
