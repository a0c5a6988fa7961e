//! `POST /v1/providers/{providerId}/clients/{clientId}/tokens`.

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret;

use crate::dialects::usegrant::wire::{Body, TokenAnswer, time};
use crate::dialects::usegrant::{Here, call};
use crate::domain::api_key::Role;
use crate::domain::ephemeral::IssuerChoice;
use crate::domain::grant::Ask;
use crate::domain::token::AccessTyp;
use crate::domain::{Failed, MintAsk, Refusal, SigningAlg};
use crate::engine::Engine;

/// Seconds: 48 hours. The published client means milliseconds and lets a thousand times as much pass.
const LONGEST: f64 = 172_800.0;

pub async fn create(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, Role::Member, async |here| mint(here).await).await
}

async fn mint(here: &Here<'_>) -> Result<HttpResponse, Failed> {
    let (mint, ask) = read(&here.received.body)?;
    let (ctx, provider) = (&here.received.ctx, here.provider()?);
    let client_id = here.received.path("client_id");
    let mint = MintAsk { for_client: Some(client_id.into()), ..mint };
    let granted = here.engine.mint_for_own_client(ctx, here.actor, provider, mint, &ask).await?;
    Ok(HttpResponse::Created().json(TokenAnswer {
        access_token: granted.access_token.expose_secret(),
        expires_at: time(ctx.now.seconds() + granted.expires_in),
        r#type: "Bearer",
    }))
}

fn read(body: &[u8]) -> Result<(MintAsk, Ask), Refusal> {
    let body = Body::read_optional(body)?;
    let typ = if body.flag("useJwtType")? { AccessTyp::Jwt } else { AccessTyp::AtJwt };
    let issuer = if body.flag("forceDefaultDomain")? { IssuerChoice::Base } else { IssuerChoice::VerifiedDomain };
    let ttl = body.number("expiresIn", LONGEST)?;
    // 0 is what the documentation's own sample sends: whatever is usual.
    let ttl = ttl.filter(|seconds| *seconds > 0.0).map(|seconds| (seconds as i64).max(1));
    let ask = Ask {
        force_jwt: true,
        scope_of_client: true,
        signing_alg: Some(SigningAlg::Rs256),
        issuer,
        audience_as_list: body.flag("audienceAsArray")?,
        ..Ask::default()
    };
    Ok((MintAsk { ttl, typ: Some(typ), ..MintAsk::default() }, ask))
}
