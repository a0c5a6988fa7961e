//! `/reports/…`: what an operator should look at.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::admin::describe::lists;
use crate::admin::list::Kind;
use crate::admin::query::Query;
use crate::admin::wire::{time, value};
use crate::admin::{call, list as listing};
use crate::domain::Refusal;
use crate::edge::describe::WireTime;
use crate::edge::{OperationDoc, Received};
use crate::engine::Engine;
use crate::engine::manage::secret_report::{OwnerKind, ReportedSecret, SecretReportAsk};

/// The most days that may be asked for: ten years.
const MOST_DAYS: i64 = 3650;

/// A live secret that nobody uses or that ends soon.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ReportedSecret")]
pub struct ReportedSecretOut {
    /// `client_secret` or `api_key_secret`.
    #[schemars(extend("enum" = ["client_secret", "api_key_secret"]))]
    kind: &'static str,
    /// Slug; null for an API key that is bound to none.
    provider: Option<String>,
    client_id: Option<String>,
    /// Id of the API key.
    api_key: Option<String>,
    id: String,
    hint: String,
    #[schemars(with = "WireTime")]
    created_at: String,
    #[schemars(with = "Option<WireTime>")]
    expires_at: Option<String>,
    #[schemars(with = "Option<WireTime>")]
    last_used_at: Option<String>,
    unused: bool,
    expires_soon: bool,
}

impl From<ReportedSecret> for ReportedSecretOut {
    fn from(reported: ReportedSecret) -> Self {
        let ReportedSecret { kind, secret, unused, expires_soon } = reported;
        let (kind, client_id, api_key) = match kind {
            OwnerKind::Client => ("client_secret", Some(secret.owner), None),
            OwnerKind::ApiKey => ("api_key_secret", None, Some(secret.owner)),
        };
        Self {
            kind,
            provider: secret.provider_slug,
            client_id,
            api_key,
            id: secret.id,
            hint: secret.hint,
            created_at: time(secret.created_at),
            expires_at: secret.expires_at.map(time),
            last_used_at: secret.last_used_at.map(time),
            unused,
            expires_soon,
        }
    }
}

/// `?unused_days=&expires_within_days=&provider=`; with neither of the first two, 90 and 30.
pub async fn secrets(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (ask, page) = (asked(received)?, listing::page(received, &Kind::Text)?);
        let found = engine.report_secrets(&received.ctx, actor, ask, page).await?;
        Ok(listing::small(received, found, |secret| value(ReportedSecretOut::from(secret))))
    })
    .await
}

/// What the OpenAPI document says of it.
pub fn describe(doc: &mut OperationDoc<'_>) {
    doc.says("A page may be short, or empty, and have a next one: go on until `next_cursor` is null.");
    let days = || json!({"type": "integer", "minimum": 0, "maximum": MOST_DAYS});
    doc.query("unused_days", "Neither made nor used for so many days.", days());
    doc.query("expires_within_days", "Ending within so many days.", days());
    doc.query("provider", "Of this provider only; id or slug.", json!({"type": "string", "minLength": 1}));
    lists::<ReportedSecretOut>(doc);
}

fn asked(received: &Received) -> Result<SecretReportAsk, Refusal> {
    let query = Query::of(received)?;
    let days = |text: &str| text.parse().ok().filter(|days| (0..=MOST_DAYS).contains(days));
    Ok(SecretReportAsk {
        provider: query.text("provider").map(str::to_owned),
        unused_days: query.read("unused_days", "must be 0 to 3650", days)?,
        expires_within_days: query.read("expires_within_days", "must be 0 to 3650", days)?,
    })
}
