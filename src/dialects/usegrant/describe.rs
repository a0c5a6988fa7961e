//! What the OpenAPI document says of UseGrant's wire. Bounds are those of its client's schema.

use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::dialects::usegrant::wire::{
    ClientOut, DomainOut, ErrorAnswer, PolicyOut, ProviderOut, TenantOut, TenantProviderOut, TokenAnswer,
    ValidationAnswer, VerificationAnswer,
};
use crate::edge::OperationDoc;
use crate::edge::describe::{JSON, Security};

fn text(least: u32, most: u32) -> Value {
    json!({"type": "string", "minLength": least, "maxLength": most})
}

/// A body whose members are all needed.
fn takes(doc: &mut OperationDoc<'_>, properties: &Value) {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|members| members.keys()).collect();
    doc.takes_schema(&[JSON], true, &json!({"type": "object", "properties": properties, "required": required}));
}

pub fn lists<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.answers::<Vec<T>>(200, "All of them.");
}

pub fn reads<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.answers::<T>(200, "As it is.");
}

pub fn deletes(doc: &mut OperationDoc<'_>) {
    doc.answers_empty(204, "Done.");
    conflict(doc);
}

pub fn new_provider(doc: &mut OperationDoc<'_>) {
    takes(doc, &json!({"name": text(3, 50), "description": text(1, 100)}));
    made::<ProviderOut>(doc);
}

pub fn new_client(doc: &mut OperationDoc<'_>) {
    takes(doc, &json!({"name": text(3, 50), "audience": text(3, 100)}));
    doc.takes_example(&json!({"name": "customer 42", "audience": "https://api.example"}));
    made::<ClientOut>(doc);
}

pub fn new_domain(doc: &mut OperationDoc<'_>) {
    takes(doc, &json!({"domain": text(3, 255)}));
    made::<DomainOut>(doc);
}

pub fn verify(doc: &mut OperationDoc<'_>) {
    doc.answers::<VerificationAnswer<'_>>(200, "Whether the record was found.");
    conflict(doc);
}

pub fn new_tenant(doc: &mut OperationDoc<'_>) {
    takes(doc, &json!({"name": text(3, 255), "description": text(1, 100)}));
    made::<TenantOut>(doc);
}

pub fn validate(doc: &mut OperationDoc<'_>) {
    takes(doc, &json!({"tenantProviderPolicyId": text(1, 255), "token": text(1, 16_384)}));
    doc.answers::<ValidationAnswer>(200, "Until when it is valid.");
}

pub fn new_tenant_provider(doc: &mut OperationDoc<'_>) {
    let digest = json!({"type": "string", "pattern": "^([0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})$"});
    takes(
        doc,
        &json!({
            "url": text(1, 2048),
            "fingerprints": {"type": "array", "items": digest, "minItems": 1, "maxItems": 5},
            "audience": text(3, 100),
            "earliestIssuanceTimeAllowed": {"type": "number", "minimum": 0, "maximum": 12, "description": "Hours."},
        }),
    );
    made::<TenantProviderOut>(doc);
}

pub fn new_policy(doc: &mut OperationDoc<'_>) {
    let operators = ["stringEquals", "stringLike", "stringNotEquals", "stringNotLike"];
    let condition = json!({
        "type": "object",
        "properties": {"key": text(1, 10), "operator": {"type": "string", "enum": operators}, "value": text(1, 100)},
        "required": ["key", "operator", "value"],
    });
    takes(
        doc,
        &json!({
            "name": text(3, 255), "description": text(10, 100), "audience": text(3, 100),
            "conditions": {"type": "array", "items": condition, "minItems": 1, "maxItems": 5},
        }),
    );
    made::<PolicyOut>(doc);
}

pub fn token(doc: &mut OperationDoc<'_>) {
    let flag = json!({"type": ["boolean", "null"], "default": false});
    let seconds = json!({
        "type": ["number", "null"], "minimum": 0, "maximum": 172_800, "description": "Seconds; 0: as is usual.",
    });
    let schema = json!({
        "type": "object",
        "properties": {
            "expiresIn": seconds, "useJwtType": flag, "audienceAsArray": flag, "forceDefaultDomain": flag,
        },
    });
    doc.takes_schema(&[JSON], false, &schema);
    doc.takes_example(&json!({"expiresIn": 3600}));
    doc.answers::<TokenAnswer<'_>>(201, "The token.");
    conflict(doc);
}

fn made<T: JsonSchema>(doc: &mut OperationDoc<'_>) {
    doc.answers::<T>(201, "Made.");
    conflict(doc);
}

fn conflict(doc: &mut OperationDoc<'_>) {
    doc.answers::<ErrorAnswer<'_>>(409, "Something stands against it.");
}

pub fn every(doc: &mut OperationDoc<'_>) {
    doc.tag("UseGrant").needs(&[Security::ApiKey]);
    for (name, about) in [
        ("provider_id", "`id` of a provider."),
        ("client_id", "`id` of a client."),
        ("domain_id", "`id` of a domain."),
        ("tenant_id", "`id` of a tenant."),
        ("tenant_provider_id", "`id` of a provider of the tenant."),
        ("policy_id", "`id` of a policy."),
    ] {
        doc.in_path(name, about);
    }
    for (status, about) in [
        (400, "Malformed, or a member is wrong; `message` says which."),
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
