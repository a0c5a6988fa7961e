//! What the OpenAPI document says of Deepgram's wire.

use serde_json::json;

use crate::dialects::deepgram::wire::{
    ErrorAnswer, KeyOut, Keys, Message, OneKey, OwnKey, ProjectOut, Projects, TokenAnswer,
};
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, Security};

pub fn grant(doc: &mut OperationDoc<'_>) {
    let seconds = json!({"type": ["number", "null"], "minimum": 1, "maximum": 3600, "default": 30});
    doc.takes_schema(&[JSON], false, &json!({"type": "object", "properties": {"ttl_seconds": seconds}}));
    doc.takes_example(&json!({"ttl_seconds": 30}));
    doc.answers::<TokenAnswer<'_>>(200, "The token.");
}

pub fn own_key(doc: &mut OperationDoc<'_>) {
    doc.answers::<OwnKey>(200, "The key that asks.");
}

pub fn projects(doc: &mut OperationDoc<'_>) {
    doc.answers::<Projects>(200, "What the key sees.");
}

pub fn project(doc: &mut OperationDoc<'_>) {
    doc.answers::<ProjectOut>(200, "The project.");
}

pub fn rename(doc: &mut OperationDoc<'_>) {
    let name = json!({"type": "string", "minLength": 1, "maxLength": 255});
    let schema = json!({"type": "object", "properties": {"name": name}, "required": ["name"]});
    doc.takes_schema(&[JSON], true, &schema);
    told(doc);
}

/// A sentence that says it is done.
pub fn told(doc: &mut OperationDoc<'_>) {
    doc.answers::<Message>(200, "Done.");
}

pub fn keys(doc: &mut OperationDoc<'_>) {
    doc.query("status", "Which keys; left out: all.", json!({"type": "string", "enum": ["active", "expired"]}));
    doc.answers::<Keys>(200, "The project's keys, without their text.");
}

pub fn new_key(doc: &mut OperationDoc<'_>) {
    let schema = json!({
        "type": "object",
        "properties": {
            "comment": {"type": ["string", "null"], "maxLength": 255},
            "scopes": {
                "type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1,
                "description": "A role, and scope names that narrow it.",
            },
            "expiration_date": {"type": ["string", "null"], "format": "date-time"},
            "time_to_live_in_seconds": {"type": ["number", "null"], "minimum": 1, "maximum": 315_360_000},
        },
        "required": ["scopes"],
    });
    doc.takes_schema(&[JSON], true, &schema);
    doc.takes_example(&json!({"comment": "browser demo", "scopes": ["member"]}));
    doc.answers::<KeyOut>(200, "The key, with its text this once.");
}

pub fn key(doc: &mut OperationDoc<'_>) {
    doc.answers::<OneKey>(200, "The key, in both places where SDKs look for it.");
}

pub fn every(doc: &mut OperationDoc<'_>) {
    doc.tag("Deepgram").needs(&[Security::ApiKeyAsToken, Security::ApiKey]);
    doc.in_path("project_id", "Id or slug of a provider.").in_path("key_id", "`api_key_id` of a key.");
    for (status, about) in [
        (400, "Malformed, or something stands against it."),
        (401, "No API key, or none that is valid."),
        (403, "The key may not do this."),
        (404, "There is no such thing, or not for this key."),
        (408, "The body came too slowly."),
        (429, "Too many wrong keys; see `Retry-After`."),
        (500, "Something went wrong."),
        (503, "The server cannot answer right now; see `Retry-After`."),
    ] {
        doc.answers::<ErrorAnswer<'_>>(status, about);
    }
}
