//! `/providers/{provider}/signing-keys`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::input::Fields;
use crate::admin::wire::{SigningKeyOut, value};
use crate::admin::{call, list as listing};
use crate::domain::patch::Field;
use crate::domain::{Refusal, SigningAlg};
use crate::engine::Engine;

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let keys = engine.list_signing_keys(&received.ctx, actor, received.path("provider")).await?;
        Ok(listing::whole(keys, |key| value(SigningKeyOut::from(key))))
    })
    .await
}

pub async fn read(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let keys = engine.list_signing_keys(&received.ctx, actor, received.path("provider")).await?;
        let found = keys.into_iter().find(|key| key.kid == received.path("kid"));
        let found = found.ok_or_else(|| Refusal::unknown("There is no such signing key."))?;
        Ok(HttpResponse::Ok().json(SigningKeyOut::from(found)))
    })
    .await
}

/// `{alg, emergency}`; without `alg`, every algorithm that has an active key.
pub async fn rotate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, true)?;
        let alg: Field<String> = fields.take("alg");
        let emergency = matches!(fields.take("emergency"), Field::Set(true));
        fields.finish()?;
        let alg = match alg {
            Field::Set(name) => Some(
                SigningAlg::from_name(&name)
                    .ok_or_else(|| Refusal::invalid_field("/alg", "must be one of ES256, RS256, EdDSA"))?,
            ),
            Field::Keep | Field::Reset => None,
        };
        let (ctx, provider) = (&received.ctx, received.path("provider"));
        let keys = if emergency {
            engine.replace_signing_keys(ctx, actor, provider, alg).await?
        } else {
            engine.rotate_signing_keys(ctx, actor, provider, alg).await?
        };
        Ok(listing::whole(keys, |key| value(SigningKeyOut::from(key))))
    })
    .await
}
