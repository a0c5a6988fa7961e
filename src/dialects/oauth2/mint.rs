//! `POST /oauth2/mint`: an API key, or a client that may, makes an ephemeral token. JSON in, RFC 6749
//! §5.1 out.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value};

use crate::dialects::oauth2::Services;
use crate::dialects::rfc6749;
use crate::domain::grant::{Grant, GrantRequest, PresentedClient};
use crate::domain::refusal::FieldError;
use crate::domain::{Failed, Refusal, RefusalKind};
use crate::edge::form::Form;
use crate::edge::json::Members;
use crate::edge::{Call, credentials, exchange, mint_request};
use crate::engine::Engine;

/// Members that say who the client is, where the header does not.
const CREDENTIALS: [&str; 4] = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];

pub async fn mint(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    exchange::<Services>(request, payload, async |received| -> Result<HttpResponse, Failed> {
        let wanted = parse(&received.call())?;
        let granted = engine.grant(&received.ctx, wanted).await?;
        Ok(rfc6749::token_answer(&granted))
    })
    .await
}

fn parse(call: &Call<'_>) -> Result<GrantRequest, Refusal> {
    let mut members = body(call)?;
    let who = Form::of_texts(take_credentials(&mut members)?);
    let client = credentials::presented(call.headers, &who)?;
    if matches!(client, PresentedClient::ApiKey { .. }) && who.get("client_id").is_some() {
        return Err(Refusal::malformed("client_id cannot stand beside an API key: who mints is the key."));
    }
    let (mint, ask) = mint_request::read(members).map_err(|errors| first(&errors))?;
    Ok(GrantRequest { provider: call.provider()?, client, grant: Grant::Mint(Box::new(mint)), ask })
}

/// No body is the same as `{}`: every member has a default.
fn body(call: &Call<'_>) -> Result<Map<String, Value>, Refusal> {
    if call.body.is_empty() {
        return Ok(Map::new());
    }
    if call.media_type().as_deref() != Some("application/json") {
        return Err(Refusal::new(RefusalKind::UnsupportedMediaType, "The body must be application/json."));
    }
    Members::parse(call.body)?.into_object()
}

fn take_credentials(members: &mut Map<String, Value>) -> Result<Vec<(&'static str, String)>, Refusal> {
    let mut texts = Vec::new();
    for name in CREDENTIALS {
        match members.remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => texts.push((name, text)),
            Some(_) => return Err(Refusal::malformed("A member that names the client is not a string.")),
        }
    }
    Ok(texts)
}

/// RFC 6749 §5.2 has room for one.
fn first(errors: &[FieldError]) -> Refusal {
    let Some(FieldError { pointer, detail }) = errors.first() else { return Refusal::malformed("") };
    let name = pointer.trim_start_matches('/');
    // What somebody thought up is not told back.
    let shown = if mint_request::MEMBERS.contains(&name) { name } else { "A member of the body" };
    let hint = format!("{shown} {detail}.");
    let kind = if pointer == "/scope" { RefusalKind::InvalidScope } else { RefusalKind::MalformedRequest };
    Refusal::with_hint(kind, hint)
}
