//! `/data-keys`: what seals and keys the installation's own secrets, without their bytes.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;

use crate::admin::input::Fields;
use crate::admin::wire::{time, value};
use crate::admin::{call, list as listing};
use crate::domain::Refusal;
use crate::domain::key::DataKeyPurpose;
use crate::domain::patch::Field;
use crate::engine::Engine;
use crate::engine::manage::data_keys::ShownDataKey;

/// A data key. Times are RFC 3339.
#[derive(Serialize)]
pub struct DataKeyOut {
    id: String,
    purpose: &'static str,
    /// `announced`, `active` or `older`.
    state: &'static str,
    created_at: String,
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
        Ok(listing::whole(keys, |key| value(DataKeyOut::from(key))))
    })
    .await
}

/// `{purpose}`.
pub async fn rotate(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let named: Field<String> = fields.take("purpose");
        fields.finish()?;
        let purpose = match named {
            Field::Set(name) => DataKeyPurpose::from_name(&name),
            Field::Keep | Field::Reset => None,
        };
        let purpose = purpose.ok_or_else(|| Refusal::invalid_field("/purpose", purposes()))?;
        let made = engine.rotate_data_key(&received.ctx, actor, purpose).await?;
        Ok(HttpResponse::Ok().json(DataKeyOut::from(made)))
    })
    .await
}

fn purposes() -> String {
    format!("must be one of {}", DataKeyPurpose::ALL.map(DataKeyPurpose::name).join(", "))
}
