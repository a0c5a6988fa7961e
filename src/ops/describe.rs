//! What the OpenAPI document says of operations.

use schemars::json_schema;
use serde_json::json;

use crate::edge::OperationDoc;
use crate::edge::describe::{HTML, JSON, Security};
use crate::ops::Status;

pub fn healthz(doc: &mut OperationDoc<'_>) {
    doc.says("Says nothing of the database: a process is restarted for being dead, not for its neighbour.");
    doc.answers::<Status<'_>>(200, "Alive.").example(200, &json!({"status": "ok"}));
}

pub fn readyz(doc: &mut OperationDoc<'_>) {
    doc.answers::<Status<'_>>(200, "Ready.").example(200, &json!({"status": "ready"}));
    doc.answers::<Status<'_>>(503, "Not ready; `reasons` says why.").with_header(503, "Retry-After", "Seconds.");
}

pub fn metrics(doc: &mut OperationDoc<'_>) {
    let text = json_schema!({"type": "string"});
    doc.answers_schema(200, "text/plain; version=0.0.4; charset=utf-8", "Prometheus text exposition format.", text);
    doc.answers::<Status<'_>>(401, "No API key, or none that is valid.");
    doc.answers::<Status<'_>>(403, "The key may not do this.");
    doc.answers::<Status<'_>>(429, "Too many wrong keys; see `Retry-After`.");
    doc.answers::<Status<'_>>(503, "The server cannot answer right now; see `Retry-After`.");
    doc.needs(&[Security::ApiKey]);
}

pub fn openapi(doc: &mut OperationDoc<'_>) {
    doc.answers_schema(
        200,
        JSON,
        "OpenAPI 3.1.",
        json_schema!({"type": "object", "required": ["openapi", "info", "paths"]}),
    );
}

pub fn page(doc: &mut OperationDoc<'_>) {
    doc.answers_schema(200, HTML, "The page.", json_schema!({"type": "string"}));
}

pub fn section(doc: &mut OperationDoc<'_>) {
    doc.in_path("section", "As the first page links to it.");
    page(doc);
    doc.answers::<Status<'_>>(404, "There is no such section.");
}

pub fn style(doc: &mut OperationDoc<'_>) {
    doc.answers_schema(200, "text/css; charset=utf-8", "The stylesheet.", json_schema!({"type": "string"}));
}

pub fn every(doc: &mut OperationDoc<'_>) {
    doc.tag("Operations").needs(&[Security::Nothing]);
    for (status, about) in [
        (400, "Malformed."),
        (408, "The body came too slowly."),
        (413, "The body is too large."),
        (500, "Something went wrong."),
    ] {
        doc.answers::<Status<'_>>(status, about);
    }
}
