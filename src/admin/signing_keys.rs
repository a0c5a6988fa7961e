//! `/providers/{provider}/signing-keys`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::fields::fields;
use crate::admin::input::Fields;
use crate::admin::list::Listed;
use crate::admin::problem::Problem;
use crate::admin::wire::{SigningKeyOut, value};
use crate::admin::{call, list as listing};
use crate::domain::patch::Field;
use crate::domain::{Refusal, SigningAlg};
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, PROBLEM};
use crate::engine::Engine;

fields! {
    /// Which key is to be followed by another.
    struct SigningKeyRotation required [] {
        /// Null: every algorithm that has an active key.
        alg: String { "enum": ["ES256", "RS256", "EdDSA"] },
    }
}

pub fn describe_rotate(doc: &mut OperationDoc<'_>) {
    doc.takes::<SigningKeyRotation>(&[JSON], false);
    doc.answers::<Listed<SigningKeyOut>>(200, "All keys as they are now, the next ones among them.");
    doc.answers_as::<Problem>(409, PROBLEM, "Something stands against it.");
}

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

/// `{alg}`; without it, every algorithm that has an active key.
pub async fn rotate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let alg = match SigningKeyRotation::read(Fields::of(received, true)?)?.alg {
            Field::Set(name) => Some(
                SigningAlg::from_name(&name)
                    .ok_or_else(|| Refusal::invalid_field("/alg", "must be one of ES256, RS256, EdDSA"))?,
            ),
            Field::Keep | Field::Reset => None,
        };
        let keys = engine.rotate_signing_keys(&received.ctx, actor, received.path("provider"), alg).await?;
        Ok(listing::whole(keys, |key| value(SigningKeyOut::from(key))))
    })
    .await
}
