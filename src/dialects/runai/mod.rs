//! NVIDIA Run:ai: `POST /api/v1/token` (JSON, `grantType`), the legacy application token, and
//! `POST /api/v2/token`, which is RFC 6749 on another path. Its clients retry 401 and 5xx and never
//! look at the login's status, so every wrong credential is a 400 with a readable message.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use secrecy::ExposeSecret;

use crate::dialects::rfc6749::Habits;
use crate::dialects::runai::wire::{AppTokenAnswer, TokenAnswer, TokenRequest};
use crate::dialects::{Dialect, rfc6749, rfc6749_doc, serve};
use crate::domain::grant::{Ask, ExternalForm, Grant, GrantRequest, Granted, PresentedClient, SecretVia};
use crate::domain::{Context, Refusal};
use crate::edge::{Call, Failure, OperationDoc, RouteSpec, Surface};

mod describe;
mod fail;
mod wire;

/// `POST /api/v1/token`.
pub struct V1;

/// `POST /v1/k8s/auth/oauth/apptoken`, deprecated and still called.
pub struct AppToken;

/// `POST /api/v2/token`.
pub struct V2;

const NAME: &str = "runai";
/// The built-in client of this surface, for calls that name none.
const OWN_CLIENT: &str = "runai";

impl Surface for V1 {
    const NAME: &'static str = NAME;
    const PREFIXES: &'static [&'static str] = &["/api/v1"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec::new(
            Method::POST,
            "/api/v1/token",
            "runai_token_v1",
            "Run:ai token endpoint: grantType client_credentials, app_token, refresh_token, \
                      exchange_token, password, external_token_exchange",
            || web::to(serve::<V1>),
        )
        .doc(describe::v1)];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        fail::fail(failure)
    }
}

impl Dialect for V1 {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let request = wire::TokenRequest::read(call.body)?;
        let (client, grant) = match request.text("granttype")? {
            Some("client_credentials") => {
                (with_secret(&request, "clientid", "clientsecret")?, Grant::ClientCredentials)
            }
            Some("app_token") => (with_secret(&request, "appid", "appsecret")?, Grant::ClientCredentials),
            Some("refresh_token") => {
                let token = request.required("refreshtoken")?.into();
                (named(&request, request.required("clientid")?)?, Grant::RefreshToken { token })
            }
            Some("exchange_token") => (named(&request, request.required("clientid")?)?, authorization_code(&request)?),
            Some("password") => (named_or_own(&request)?, password(&request)?),
            Some("external_token_exchange") => {
                let token = request.required("externaltoken")?.into();
                (named_or_own(&request)?, Grant::External { token, form: ExternalForm::Surface })
            }
            Some(_) => return Err(wire::unsupported_grant()),
            None => return Err(wire::missing()),
        };
        let ask = Ask { force_jwt: true, scope_of_client: true, ..Ask::default() };
        Ok(GrantRequest { provider: call.surface_provider()?, client, grant, ask })
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        HttpResponse::Ok().json(TokenAnswer {
            access_token: granted.access_token.expose_secret(),
            expires_in: granted.expires_in,
            id_token: granted.id_token.as_ref().map(ExposeSecret::expose_secret),
            refresh_token: granted.refresh_token.as_ref().map(ExposeSecret::expose_secret),
        })
    }
}

impl Surface for AppToken {
    const NAME: &'static str = NAME;
    const PREFIXES: &'static [&'static str] = &["/v1/k8s"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec::new(
            Method::POST,
            "/v1/k8s/auth/oauth/apptoken",
            "runai_app_token",
            "Run:ai application token (deprecated): id, name, secret",
            || web::to(serve::<AppToken>),
        )
        .doc(describe::app_token)];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        fail::fail(failure)
    }
}

impl Dialect for AppToken {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let request = wire::TokenRequest::read(call.body)?;
        let client = with_secret(&request, "id", "secret")?;
        // Must be there and is compared with nothing: the published client sends what it likes.
        request.required("name")?;
        let ask = Ask { force_jwt: true, own_id_token: true, ..Ask::default() };
        Ok(GrantRequest { provider: call.surface_provider()?, client, grant: Grant::ClientCredentials, ask })
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        let id_token = granted.id_token.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        HttpResponse::Ok().json(AppTokenAnswer { access_token: granted.access_token.expose_secret(), id_token })
    }
}

impl Surface for V2 {
    const NAME: &'static str = NAME;
    const PREFIXES: &'static [&'static str] = &["/api/v2"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec::new(
            Method::POST,
            "/api/v2/token",
            "runai_token_v2",
            "Run:ai token endpoint, RFC 6749 form",
            || web::to(serve::<V2>),
        )
        .doc(rfc6749_doc::token)];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, ctx: &Context) -> HttpResponse {
        rfc6749::failure(failure, ctx)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        doc.tag("Run:ai");
        rfc6749_doc::failures(doc);
    }
}

impl Dialect for V2 {
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let habits = Habits { password_client: Some(OWN_CLIENT) };
        let mut request = rfc6749::token_request(call, call.surface_provider()?, habits)?;
        if let PresentedClient::Secret { via, .. } = &mut request.client {
            *via = SecretVia::Wire;
        }
        request.ask.force_jwt = true;
        request.ask.scope_of_client = true;
        Ok(request)
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        rfc6749::token_answer(&granted)
    }
}

/// A client that proves itself in the body; an `Authorization` header is not looked at, because
/// the published client sends its last, possibly expired, token there.
fn with_secret(request: &TokenRequest, id: &str, secret: &str) -> Result<PresentedClient, Refusal> {
    let (client_id, secret) = (request.required(id)?.into(), request.required(secret)?.into());
    Ok(PresentedClient::Secret { client_id, secret, via: SecretVia::Wire })
}

/// A client of people: with its secret where one was sent. One that has a secret and sends none is
/// refused when it is authenticated.
fn named(request: &TokenRequest, client_id: &str) -> Result<PresentedClient, Refusal> {
    let client_id = client_id.into();
    Ok(match request.text("clientsecret")? {
        Some(secret) => PresentedClient::Secret { client_id, secret: secret.into(), via: SecretVia::Wire },
        None => PresentedClient::Bare { client_id },
    })
}

fn named_or_own(request: &TokenRequest) -> Result<PresentedClient, Refusal> {
    match (request.text("clientid")?, request.text("clientsecret")?) {
        (Some(client_id), _) => named(request, client_id),
        (None, None) => Ok(PresentedClient::Bare { client_id: OWN_CLIENT.into() }),
        (None, Some(_)) => Err(wire::missing()),
    }
}

fn authorization_code(request: &TokenRequest) -> Result<Grant, Refusal> {
    Ok(Grant::AuthorizationCode {
        code: request.required("code")?.into(),
        redirect_uri: Some(request.required("redirecturi")?.to_owned()),
        verifier: request.text("codeverifier")?.map(Into::into),
    })
}

fn password(request: &TokenRequest) -> Result<Grant, Refusal> {
    let username = request.required("username")?.to_owned();
    Ok(Grant::Password { username, password: request.required("password")?.into() })
}
