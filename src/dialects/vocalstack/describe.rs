//! What the OpenAPI document says of VocalStack's wire.

use serde_json::json;

use crate::dialects::vocalstack::wire::{ErrorAnswer, TokenAnswer};
use crate::edge::OperationDoc;
use crate::edge::describe::Security;

pub fn token(doc: &mut OperationDoc<'_>) {
    let access = json!({"type": "string", "enum": ["readonly", "readwrite"], "default": "readonly"});
    let seconds = json!({"type": "number", "minimum": 1, "maximum": 120, "default": 10});
    doc.query("access", "What its holder may do.", access);
    doc.query("lifetime_s", "Its life in seconds; a fraction is cut off.", seconds);
    doc.query("one_time", "Whether it is good for one use.", json!({"type": "boolean", "default": true}));
    doc.answers::<TokenAnswer<'_>>(200, "The token.");
    doc.with_header(200, "X-API-Version", "The version of the API that is spoken here.");
}

pub fn every(doc: &mut OperationDoc<'_>) {
    doc.tag("VocalStack").needs(&[Security::ApiKey, Security::ApiKeyAsToken]);
    for (status, about) in [
        (400, "A parameter is wrong."),
        (401, "No API key, or none that is valid."),
        (403, "The key may not do this."),
        (404, "There is no such provider."),
        (408, "The body came too slowly."),
        (413, "The body is too large."),
        (429, "Too many wrong keys; see `Retry-After`."),
        (500, "Something went wrong."),
        (503, "The server cannot answer right now; see `Retry-After`."),
    ] {
        doc.answers::<ErrorAnswer<'_>>(status, about);
    }
}
