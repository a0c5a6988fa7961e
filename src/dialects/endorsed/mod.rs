//! Endorsed: `POST /api/v1/auth/tokens`, client_credentials in a form or in JSON. Every answer says
//! `is_error`; the lifetime is told as a string.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};
use secrecy::ExposeSecret;

use crate::dialects::endorsed::wire::{TokenAnswer, TokenRequest};
use crate::dialects::{Dialect, serve};
use crate::domain::grant::{Ask, Grant, GrantRequest, Granted, PresentedClient, SecretVia};
use crate::domain::{AccessClaims, Context, FreeClaim, Refusal, RefusalKind, ScopeSet};
use crate::edge::{Call, Failure, OperationDoc, RouteSpec, Surface};

mod describe;
mod fail;
mod wire;

/// `POST /api/v1/auth/tokens`.
pub struct Endorsed;

/// Fourteen days, seconds.
const LIFETIME: i64 = 1_209_600;
/// What is meant where no scope is named, as far as the client has it.
const USUAL_SCOPE: [&str; 2] = ["all:read", "all:write"];

impl Surface for Endorsed {
    const NAME: &'static str = "endorsed";
    const PREFIXES: &'static [&'static str] = &["/api/v1/auth"];

    fn routes() -> &'static [RouteSpec] {
        static ROUTES: [RouteSpec; 1] = [RouteSpec::new(
            Method::POST,
            "/api/v1/auth/tokens",
            "endorsed_token",
            "Endorsed access token: client_id, client_secret, grant_type, scope in a form or in JSON",
            || web::to(serve::<Endorsed>),
        )
        .doc(describe::token)];
        &ROUTES
    }

    fn fail(failure: Failure<'_>, _ctx: &Context) -> HttpResponse {
        fail::fail(failure)
    }

    fn describe(doc: &mut OperationDoc<'_>) {
        describe::every(doc);
    }
}

impl Dialect for Endorsed {
    /// The client proves itself in the body; an `Authorization` header is not looked at.
    fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
        let TokenRequest { grant_type, client_id, client_secret, scope, resources } = TokenRequest::read(call)?;
        if grant_type != "client_credentials" {
            return Err(Refusal::new(RefusalKind::UnsupportedGrantType, "Only client_credentials is supported."));
        }
        let client =
            PresentedClient::Secret { client_id: client_id.into(), secret: client_secret.into(), via: SecretVia::Wire };
        let ask = Ask {
            scope,
            resources,
            force_jwt: true,
            usual_scope: ScopeSet::of(USUAL_SCOPE).ok(),
            usual_lifetime: Some(LIFETIME),
            wire_claims: Some(wire_claims),
            ..Ask::default()
        };
        Ok(GrantRequest { provider: call.surface_provider()?, client, grant: Grant::ClientCredentials, ask })
    }

    fn render(granted: Granted, _ctx: &Context) -> HttpResponse {
        HttpResponse::Ok().json(TokenAnswer {
            is_error: false,
            access_token: granted.access_token.expose_secret(),
            token_type: "Bearer",
            expires_in: granted.expires_in.to_string(),
            scope: granted.scope.iter().collect(),
        })
    }
}

/// `data`, where the verifiers of this API look for client and scope.
fn wire_claims(claims: &AccessClaims) -> Vec<FreeClaim> {
    vec![FreeClaim { name: "data".to_owned(), json: wire::data_claim(&claims.client_id, &claims.scope) }]
}
