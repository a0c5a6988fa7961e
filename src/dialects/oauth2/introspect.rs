//! RFC 7662: a service asks what a token is worth.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use crate::dialects::oauth2::Services;
use crate::dialects::oauth2::wire::{ActiveToken, ActorOut, InactiveToken, Introspection, OneOrMany};
use crate::domain::{Access, AccessClaims, Failed, FreeClaim, Refusal, SessionId};
use crate::edge::form::Form;
use crate::edge::{credentials, exchange};
use crate::engine::Engine;

pub async fn introspect(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<Services>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let call = received.call();
        let form = Form::of(&call)?;
        let token = form.get("token").ok_or_else(|| Refusal::malformed("token is missing."))?;
        let caller = credentials::presented(call.headers, &form)?;
        let claims = engine.introspect(call.ctx, &call.provider()?, caller, token, form.get("use_id")).await?;
        Ok(HttpResponse::Ok().json(match &claims {
            Some(claims) => Introspection::Active(active(claims)),
            None => Introspection::Inactive(InactiveToken { active: false }),
        }))
    })
    .await
}

fn active(claims: &AccessClaims) -> ActiveToken<'_> {
    let extra = claims.extra.as_deref();
    ActiveToken {
        active: true,
        scope: claims.scope.as_str(),
        client_id: &claims.client_id,
        sub: &claims.subject,
        aud: one_or_many(claims),
        iss: &claims.issuer,
        jti: claims.jti.to_string(),
        iat: claims.issued_at,
        exp: claims.expires_at,
        token_type: "Bearer",
        grant_id: claims.person.as_ref().map(|person| person.grant.to_string()),
        sid: claims.person.as_ref().and_then(|person| person.session.as_ref()).map(SessionId::as_str),
        one_time: claims.is_one_time(),
        access: extra.and_then(|extra| extra.access).map(Access::name),
        act: extra.and_then(|extra| extra.actor.as_ref()).map(|actor| ActorOut { sub: &actor.subject }),
        free: extra.map(|extra| free(&extra.free)).unwrap_or_default(),
    }
}

fn free(claims: &[FreeClaim]) -> Map<String, Value> {
    let value = |json: &str| serde_json::from_str(json).unwrap_or_default();
    claims.iter().map(|FreeClaim { name, json }| (name.clone(), value(json))).collect()
}

fn one_or_many(claims: &AccessClaims) -> OneOrMany<'_> {
    let audience = &claims.audience;
    match (audience.first(), audience.len()) {
        (Some(only), 1) if !claims.audience_as_list => OneOrMany::One(only),
        _ => OneOrMany::Many(audience.iter().collect()),
    }
}
