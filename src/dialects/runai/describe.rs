//! What the OpenAPI document says of Run:ai's wire.

use serde_json::{Value, json};

use crate::dialects::runai::wire::{AppTokenAnswer, ErrorAnswer, TokenAnswer};
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, Security};

fn text(longest: u32) -> Value {
    json!({"type": ["string", "null"], "maxLength": longest})
}

pub fn v1(doc: &mut OperationDoc<'_>) {
    let grants =
        ["client_credentials", "app_token", "refresh_token", "exchange_token", "password", "external_token_exchange"];
    let schema = json!({
        "type": "object",
        "description": "Names are read without regard to letter case.",
        "properties": {
            "grantType": {"type": "string", "enum": grants},
            "clientID": text(255), "clientSecret": text(500), "appId": text(255), "appSecret": text(500),
            "refreshToken": text(4096), "code": text(2048), "redirectUri": text(2048), "codeVerifier": text(255),
            "username": text(255), "password": text(255), "externalToken": text(4096),
        },
        "required": ["grantType"],
    });
    doc.takes_schema(&[JSON], true, &schema);
    doc.takes_example(&json!({"grantType": "client_credentials", "clientID": "trainer", "clientSecret": "gs_…"}));
    doc.answers::<TokenAnswer<'_>>(200, "The token.");
    every(doc);
}

pub fn app_token(doc: &mut OperationDoc<'_>) {
    let schema = json!({
        "type": "object",
        "properties": {
            "id": {"type": "string", "maxLength": 64},
            "name": {"type": "string", "maxLength": 255},
            "secret": {"type": "string", "maxLength": 500},
        },
        "required": ["id", "name", "secret"],
    });
    doc.takes_schema(&[JSON], true, &schema);
    doc.answers::<AppTokenAnswer<'_>>(200, "The token.");
    doc.deprecated();
    every(doc);
}

fn every(doc: &mut OperationDoc<'_>) {
    doc.tag("Run:ai").needs(&[Security::Nothing]);
    for (status, about) in [
        (400, "Malformed, not allowed, or not proven: its clients would repeat a 401."),
        (404, "There is no such provider."),
        (500, "Something went wrong."),
        (503, "The server cannot answer right now; see `Retry-After`."),
    ] {
        doc.answers::<ErrorAnswer<'_>>(status, about);
    }
}
