//! What the OpenAPI document says of management calls: the shapes that they have in common.

use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::admin::fields::{Body, Change, New};
use crate::admin::list::{ListSpec, Listed};
use crate::admin::problem::Problem;
use crate::domain::page::PageRequest;
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, PROBLEM, Security};

/// Whoever describes it takes it.
pub const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
pub const IF_MATCH: &str = "If-Match";
const MADE_BEFORE: &str = "There is one like it, or its name was used before. Or the answer to this `Idempotency-Key` was for a \
                           key that could do other things.";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// `GET` of a list, in pages.
pub fn lists<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": PageRequest::MAX, "default": PageRequest::DEFAULT});
    doc.query("limit", "How many at most.", limit);
    doc.query(
        "cursor",
        "`next_cursor` of the page before, with the same filters and order.",
        json!({"type": "string"}),
    );
    lists_all::<T>(doc);
}

/// `GET` of a list, in pages, with filters and an order that can be chosen.
pub fn searches<T: JsonSchema>(doc: &mut OperationDoc<'_>, list: &ListSpec) {
    for (name, kind, about) in list.filters {
        doc.query(name, about, kind.schema());
    }
    let orders: Vec<String> = list.sorts.iter().flat_map(|sort| [(*sort).to_owned(), format!("-{sort}")]).collect();
    let first = list.sorts.first();
    let about = "By what the list is ordered; with `-` in front the other way about.";
    doc.query("sort", about, json!({"type": "string", "enum": orders, "default": first}));
    lists::<T>(doc);
}

/// `GET` of a list that is short by nature and can be narrowed.
pub fn narrows<T: JsonSchema>(doc: &mut OperationDoc<'_>, list: &ListSpec) {
    for (name, kind, about) in list.filters {
        doc.query(name, about, kind.schema());
    }
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
    takes_idempotency_key(doc);
    doc.answers_as::<Problem>(409, PROBLEM, MADE_BEFORE);
}

/// A call that makes something each time: sent again with the same value, it gives the same answer. Its
/// handler commits once and does not read what it wrote.
pub fn takes_idempotency_key(doc: &mut OperationDoc<'_>) {
    doc.request_header_of(
        IDEMPOTENCY_KEY,
        "Sent again with the same value within 24 hours, the call gives the same answer and makes nothing more.",
        json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
    );
    doc.with_header(201, "Idempotency-Replayed", "`true`: this answer was given before.");
    doc.answers_as::<Problem>(
        422,
        PROBLEM,
        "A field is wrong; `errors` names every one. Or another request was sent with this `Idempotency-Key`.",
    );
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
    doc.request_header(
        IF_MATCH,
        "An `ETag` that was given out, or a list of them: none is current, the answer is 412.",
    );
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
    if doc.is_change() {
        let about =
            "`true`: everything is checked, nothing is changed. The answer is what it would be, without secrets.";
        doc.query("dry_run", about, json!({"type": "boolean", "default": false}));
    }
    if let Some(example) = example(doc.operation_id()) {
        doc.takes_example(&example);
    }
    if doc.has_body() {
        doc.answers_as::<Problem>(415, PROBLEM, "The body is not `application/json`.");
        doc.answers_as::<Problem>(422, PROBLEM, "A field is wrong; `errors` names every one.");
    }
    for (status, about) in FAILURES {
        doc.answers_as::<Problem>(status, PROBLEM, about);
    }
}

/// Bodies of the calls that people make first.
fn example(operation_id: &str) -> Option<Value> {
    Some(match operation_id {
        "create_provider" => json!({"slug": "acme", "name": "Acme", "default_audience": "https://api.acme.example"}),
        "create_client" => json!({
            "client_name": "Reports", "grant_types": ["client_credentials"], "scope": "orders:read",
            "audience": ["https://api.acme.example"],
        }),
        "update_client" => json!({"scope": "orders:read orders:write", "access_token_ttl": null}),
        "create_client_secret" => json!({"expires_at": "2030-01-31T12:00:00Z"}),
        "create_user" => {
            json!({"username": "alice", "email": "alice@acme.example", "password": "correct horse battery"})
        }
        "update_user" => json!({"groups": ["staff"]}),
        "create_api_key" => json!({"name": "billing", "role": "member", "provider": "acme", "scope": "orders:read"}),
        "create_trusted_issuer" => json!({
            "issuer": "https://token.actions.githubusercontent.com", "audiences": ["https://id.acme.example"],
            "clients": ["deploy"], "map_to": "client",
            "conditions": [{"claim": "repository", "operator": "equals", "value": "acme/shop"}],
        }),
        "create_domain" => json!({"domain": "login.acme.example"}),
        "update_domain" => json!({"primary": true}),
        _ => return None,
    })
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

const PATH_PARAMETERS: [(&str, &str); 15] = [
    ("name", "Its name, percent-encoded as a part of a path."),
    ("provider", "Id or slug of a provider."),
    ("client_id", "The client's `client_id`."),
    ("secret_id", "`id` of the secret."),
    ("user_id", "`id` of the user."),
    ("session_id", "`id` of the session."),
    ("grant_id", "`id` of the grant."),
    ("domain_id", "`id` of the domain."),
    ("issuer_id", "`id` of the trusted issuer."),
    ("key_id", "`id` of the API key."),
    ("kid", "`kid` of the key."),
    ("event_id", "`id` of the event."),
    ("request_id", "The `x-request-id` of an answer."),
    ("webhook_id", "`id` of the webhook."),
    ("delivery_id", "`id` of the delivery."),
];

/// The heading: the last resource that the path names.
pub fn tag(path: &str) -> &'static str {
    let known = |part: &str| TAGS.iter().find(|(segment, _)| *segment == part).map(|(_, tag)| *tag);
    path.split('/').rev().find_map(known).unwrap_or("Management")
}

const TAGS: [(&str, &str); 17] = [
    ("scopes", "Scopes, roles and groups"),
    ("roles", "Scopes, roles and groups"),
    ("groups", "Scopes, roles and groups"),
    ("sessions", "Sessions and grants"),
    ("grants", "Sessions and grants"),
    ("clients", "Clients"),
    ("users", "Users"),
    ("trusted-issuers", "Trusted issuers"),
    ("signing-keys", "Signing keys"),
    ("domains", "Domains"),
    ("api-keys", "API keys"),
    ("data-keys", "Data keys"),
    ("reports", "Reports"),
    ("events", "Events"),
    ("explain", "Explain"),
    ("webhooks", "Webhooks"),
    ("providers", "Providers"),
];
