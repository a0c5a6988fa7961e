//! `POST /providers/{provider}/clients/{client_id}/tokens`: an ephemeral token for a client, under the
//! client's own subject and audience.

use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use crate::admin::call;
use crate::admin::input::object;
use crate::domain::{Class, Failed, MintAsk, Refusal};
use crate::edge::OperationDoc;
use crate::edge::describe::JSON;
use crate::edge::mint_request;
use crate::engine::Engine;

/// The minted token, shown once.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "MintedToken")]
pub struct MintedOut<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: i64,
    scope: &'a str,
    one_time: bool,
}

pub fn describe_mint(doc: &mut OperationDoc<'_>) {
    doc.takes_schema(&[JSON], false, &mint_request::schema());
    doc.takes_example(&json!({"ttl_seconds": 60, "scope": "orders:read", "one_time": true}));
    doc.answers::<MintedOut<'_>>(201, "The token, shown once.");
}

pub async fn mint(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (mint, ask) = mint_request::read(object(received, true)?).map_err(Refusal::invalid)?;
        let (provider, client) = (received.path("provider"), received.path("client_id"));
        let mint = MintAsk { for_client: Some(client.into()), ..mint };
        let granted = engine.mint_as(&received.ctx, actor, provider, mint, &ask).await.map_err(as_field)?;
        let mut answer = HttpResponse::Created();
        answer.insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        Ok(answer.json(MintedOut {
            access_token: granted.access_token.expose_secret(),
            token_type: "Bearer",
            expires_in: granted.expires_in,
            scope: granted.scope.as_str(),
            one_time: granted.one_time,
        }))
    })
    .await
}

/// A bound that was passed is a field that cannot be accepted.
fn as_field(failed: Failed) -> Failed {
    let Failed::Refused(refusal) = &failed else { return failed };
    let pointer = match refusal.class() {
        Class::BadScope => "/scope",
        Class::BadTarget => "/audience",
        _ => return failed,
    };
    Refusal::invalid_field(pointer, refusal.hint.clone()).about(refusal.about.clone()).into()
}
