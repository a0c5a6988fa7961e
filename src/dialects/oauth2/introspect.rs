//! RFC 7662: a service asks what a token is worth.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::dialects::oauth2::Introspection;
use crate::dialects::oauth2::wire::{ActiveToken, InactiveToken, OneOrMany};
use crate::domain::{AccessClaims, AudienceSet, Failed, Refusal, SessionId};
use crate::edge::form::Form;
use crate::edge::{credentials, exchange};
use crate::engine::Engine;

pub async fn introspect(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<Introspection>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let call = received.call();
        let form = Form::of(&call)?;
        let token = form.get("token").ok_or_else(|| Refusal::malformed("token is missing."))?;
        let caller = credentials::presented(call.headers, &form)?;
        let claims = engine.introspect(call.ctx, &call.provider()?, caller, token).await?;
        Ok(match claims {
            Some(claims) => HttpResponse::Ok().json(active(&claims)),
            None => HttpResponse::Ok().json(InactiveToken { active: false }),
        })
    })
    .await
}

fn active(claims: &AccessClaims) -> ActiveToken<'_> {
    ActiveToken {
        active: true,
        scope: claims.scope.as_str(),
        client_id: &claims.client_id,
        sub: &claims.subject,
        aud: one_or_many(&claims.audience),
        iss: &claims.issuer,
        jti: claims.jti.to_string(),
        iat: claims.issued_at,
        exp: claims.expires_at,
        token_type: "Bearer",
        grant_id: claims.person.as_ref().map(|person| person.grant.to_string()),
        sid: claims.person.as_ref().and_then(|person| person.session.as_ref()).map(SessionId::as_str),
    }
}

fn one_or_many(audience: &AudienceSet) -> OneOrMany<'_> {
    match (audience.first(), audience.len()) {
        (Some(only), 1) => OneOrMany::One(only),
        _ => OneOrMany::Many(audience.iter().collect()),
    }
}
