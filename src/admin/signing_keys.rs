//! `/providers/{provider}/signing-keys`.

use actix_web::{HttpRequest, HttpResponse, web};

use crate::admin::fields::fields;
use crate::admin::input::Fields;
use crate::admin::list::{Kind, ListSpec, Listed};
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
        /// The key is known to others: sign with a fresh one at once.
        emergency: bool,
    }
}

pub fn describe_rotate(doc: &mut OperationDoc<'_>) {
    doc.takes::<SigningKeyRotation>(&[JSON], false);
    doc.answers::<Listed<SigningKeyOut>>(200, "All keys as they are now, the next ones among them.");
    doc.answers_as::<Problem>(409, PROBLEM, "Something stands against it.");
    let about = "The provider has 8 live keys of this algorithm, or too many wrong keys came from this address. See \
                 `Retry-After`.";
    doc.answers_as::<Problem>(429, PROBLEM, about).with_header(429, "Retry-After", "Seconds.");
}

pub const LIST: ListSpec = ListSpec {
    filters: &[
        ("state", Kind::OneOf(&["next", "active", "retired"]), "Only keys in this state."),
        ("alg", Kind::OneOf(&["ES256", "RS256", "EdDSA"]), "Only keys of this algorithm."),
    ],
    sorts: &[],
    id: Kind::Text,
};

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let filters = listing::filters(received, &LIST)?;
        let (state, alg) = (filters.text("state")?, filters.text("alg")?);
        let mut keys = engine.list_signing_keys(&received.ctx, actor, received.path("provider")).await?;
        let is = |wanted: &Option<String>, own: &str| wanted.as_deref().is_none_or(|wanted| wanted == own);
        keys.retain(|key| is(&state, key.state.name()) && is(&alg, key.alg.name()));
        listing::whole(keys, |key| value(SigningKeyOut::from(key)), listing::END_SOME)
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
        let SigningKeyRotation { alg, emergency } = SigningKeyRotation::read(Fields::of(received, true)?)?;
        let emergency = matches!(emergency, Field::Set(true));
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
        listing::whole(keys, |key| value(SigningKeyOut::from(key)), listing::END_SOME)
    })
    .await
}
