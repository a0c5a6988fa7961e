//! `/data-keys`: what seals and keys the installation's own secrets, without their bytes.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;

use crate::admin::fields::fields;
use crate::admin::input::Fields;
use crate::admin::problem::Problem;
use crate::admin::wire::{time, value};
use crate::admin::{call, list as listing};
use crate::domain::Refusal;
use crate::domain::key::DataKeyPurpose;
use crate::domain::patch::Field;
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, PROBLEM, WireTime};
use crate::engine::Engine;
use crate::engine::manage::data_keys::ShownDataKey;

fields! {
    /// Which data key is to be replaced.
    struct NewDataKey required [purpose] {
        /// What the key is for.
        purpose: String { "enum": ["signing", "pepper", "tokens", "refresh", "browser"] },
    }
}

/// A data key, without its bytes.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DataKey")]
pub struct DataKeyOut {
    id: String,
    purpose: &'static str,
    /// `announced`: opens, and makes nothing yet; `active`: makes what is new; `older`: opens what it made.
    #[schemars(extend("enum" = ["announced", "active", "older"]))]
    state: &'static str,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "WireTime")]
    active_at: String,
}

impl From<ShownDataKey> for DataKeyOut {
    fn from(key: ShownDataKey) -> Self {
        let ShownDataKey { id, purpose, state, created_at, active_at } = key;
        Self {
            id,
            purpose: purpose.name(),
            state: state.name(),
            created_at: time(created_at),
            active_at: time(active_at),
        }
    }
}

pub async fn list(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let keys = engine.list_data_keys(&received.ctx, actor).await?;
        listing::whole(keys, |key| value(DataKeyOut::from(key)), listing::END_SOME)
    })
    .await
}

/// `{purpose}`.
pub async fn rotate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let NewDataKey { purpose } = NewDataKey::read(Fields::of(received, false)?)?;
        let purpose = match purpose {
            Field::Set(name) => DataKeyPurpose::from_name(&name),
            Field::Keep | Field::Reset => None,
        };
        let purpose = purpose.ok_or_else(|| Refusal::invalid_field("/purpose", purposes()))?;
        let made = engine.rotate_data_key(&received.ctx, actor, purpose).await?;
        Ok(HttpResponse::Ok().json(DataKeyOut::from(made)))
    })
    .await
}

/// What the OpenAPI document says of making one.
pub fn describe(doc: &mut OperationDoc<'_>) {
    doc.says(
        "It makes nothing for ten seconds, so that every node knows it by then. What older keys made goes on to work.",
    );
    doc.takes::<NewDataKey>(&[JSON], true);
    doc.answers::<DataKeyOut>(200, "The new key.");
    doc.answers_as::<Problem>(409, PROBLEM, "One is announced already, or this node has an older master key.");
}

fn purposes() -> String {
    format!("must be one of {}", DataKeyPurpose::ALL.map(DataKeyPurpose::name).join(", "))
}
