//! What the OpenAPI document says of management calls: the shapes that they have in common.

use schemars::JsonSchema;
use serde_json::json;

use crate::admin::fields::{Body, Change, New};
use crate::admin::list::Listed;
use crate::admin::problem::Problem;
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, PROBLEM, Security};

const MERGE_PATCH: &str = "application/merge-patch+json";

/// `GET` of a list, in pages.
pub fn lists<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.query("limit", "How many at most.", json!({"type": "integer", "minimum": 1, "maximum": 500, "default": 100}));
    doc.query("cursor", "`next_cursor` of the page before.", json!({"type": "string"}));
    lists_all::<T>(doc);
}

/// `GET` of a list that is short by nature: the same shape, one page.
pub fn lists_all<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.answers::<Listed<T>>(200, "A page of the list.");
}

/// `GET` of one thing.
pub fn reads<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.answers::<T>(200, "As it is.").with_header(200, "ETag", "Its version, for `If-Match`.");
}

/// `GET` of one thing that is never changed, so has no version.
pub fn shows<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.answers::<T>(200, "As it is.");
}

/// `POST` that makes something with the fields of `B`.
pub fn creates<B: Body, T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    makes::<New<B>, T>(doc, true);
}

/// `POST` that makes something with a body of its own kind.
pub fn makes<B: JsonSchema, T: JsonSchema>(doc: &mut OperationDoc<'_>, required: bool) {
    doc.takes::<B>(&[JSON], required);
    doc.answers::<T>(201, "Made.").with_header(201, "Location", "Where it lies.");
    doc.answers_as::<Problem>(409, PROBLEM, "There is one like it, or its name was used before.");
}

/// `PATCH` as JSON merge patch.
pub fn changes<B: Body, T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.takes::<Change<B>>(&[MERGE_PATCH, JSON], true);
    doc.answers::<T>(200, "As it is now.").with_header(200, "ETag", "Its new version.");
    doc.answers_as::<Problem>(409, PROBLEM, "The change contradicts what there is.");
    honours_if_match(doc);
}

/// `DELETE` of one thing.
pub fn deletes(doc: &mut OperationDoc<'_>) {
    acts(doc);
    honours_if_match(doc);
}

/// Anything that answers 204.
pub fn acts(doc: &mut OperationDoc<'_>) {
    doc.answers_empty(204, "Done.");
    doc.answers_as::<Problem>(409, PROBLEM, "Something stands against it.");
}

pub fn honours_if_match(doc: &mut OperationDoc<'_>) {
    doc.request_header("If-Match", "An `ETag` that was given out: changed since, the answer is 412.");
    doc.answers_as::<Problem>(412, PROBLEM, "It has changed since.");
}

/// What every management call has: the key, its tag, and how it fails.
pub fn every(doc: &mut OperationDoc<'_>) {
    doc.needs(&[Security::ApiKey]);
    let tag = tag(doc.path());
    doc.tag(tag);
    for (name, about) in PATH_PARAMETERS {
        doc.in_path(name, about);
    }
    if doc.has_body() {
        doc.answers_as::<Problem>(415, PROBLEM, "The body is not `application/json`.");
        doc.answers_as::<Problem>(422, PROBLEM, "A field is wrong; `errors` names every one.");
    }
    for (status, about) in FAILURES {
        doc.answers_as::<Problem>(status, PROBLEM, about);
    }
}

const FAILURES: [(u16, &str); 9] = [
    (400, "Malformed: query, header or JSON."),
    (401, "No API key, or none that is valid."),
    (403, "The key may not do this."),
    (404, "There is no such thing, or not for this key."),
    (408, "The body came too slowly."),
    (413, "The body is larger than 64 KiB."),
    (429, "Too many wrong keys from this address; see `Retry-After`."),
    (500, "Something went wrong; the request id finds it in the log."),
    (503, "The server cannot answer right now; see `Retry-After`."),
];

const PATH_PARAMETERS: [(&str, &str); 10] = [
    ("provider", "Id or slug of a provider."),
    ("client_id", "The client's `client_id`."),
    ("secret_id", "`id` of the secret."),
    ("user_id", "`id` of the user."),
    ("session_id", "`id` of the session."),
    ("grant_id", "`id` of the grant."),
    ("domain_id", "`id` of the domain."),
    ("issuer_id", "`id` of the trusted issuer."),
    ("kid", "`kid` of the key."),
    ("key_id", "`id` of the API key."),
];

/// The heading: the last resource that the path names.
pub fn tag(path: &str) -> &'static str {
    let known = |part: &str| TAGS.iter().find(|(segment, _)| *segment == part).map(|(_, tag)| *tag);
    path.split('/').rev().find_map(known).unwrap_or("Management")
}

const TAGS: [(&str, &str); 8] = [
    ("clients", "Clients"),
    ("secrets", "Clients"),
    ("users", "Users"),
    ("trusted-issuers", "Trusted issuers"),
    ("signing-keys", "Signing keys"),
    ("domains", "Domains"),
    ("api-keys", "API keys"),
    ("providers", "Providers"),
];
