//! What the OpenAPI document says of Endorsed's wire.

use serde_json::json;

use crate::dialects::endorsed::wire::{ErrorAnswer, TokenAnswer};
use crate::edge::OperationDoc;
use crate::edge::describe::{FORM, JSON, Security};

pub fn token(doc: &mut OperationDoc<'_>) {
    let scope = "Left out: all:read all:write, as far as the client has them.";
    let with = |scope: serde_json::Value| {
        json!({
            "type": "object",
            "properties": {
                "grant_type": {"type": "string", "enum": ["client_credentials"]},
                "client_id": {"type": "string"},
                "client_secret": {"type": "string", "format": "password"},
                "scope": scope,
            },
            "required": ["grant_type", "client_id", "client_secret"],
        })
    };
    let list = json!({"type": "array", "items": {"type": "string"}});
    doc.takes_schema(&[FORM], true, &with(json!({"type": "string", "description": scope})));
    doc.takes_schema(&[JSON], true, &with(json!({"anyOf": [{"type": "string"}, list], "description": scope})));
    doc.takes_example(&json!({
        "grant_type": "client_credentials", "client_id": "partner", "client_secret": "gs_…", "scope": "all:read",
    }));
    doc.answers::<TokenAnswer<'_>>(200, "The token.");
}

pub fn every(doc: &mut OperationDoc<'_>) {
    doc.tag("Endorsed").needs(&[Security::Nothing]);
    for (status, about) in [
        (400, "Malformed, or not allowed; `error` says what."),
        (401, "The client did not prove itself."),
        (404, "There is no such provider."),
        (408, "The body came too slowly."),
        (429, "Too many wrong tries; see `Retry-After`."),
        (500, "Something went wrong."),
        (503, "The server cannot answer right now; see `Retry-After`."),
    ] {
        doc.answers::<ErrorAnswer<'_>>(status, about);
    }
}
