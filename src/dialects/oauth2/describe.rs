//! What the OpenAPI document says of the standard endpoints.

use serde_json::{Value, json};

use crate::dialects::oauth2::wire::{Introspection, Metadata, UserInfoAnswer};
use crate::dialects::rfc6749_doc::{self, with_client};
use crate::edge::OperationDoc;
use crate::edge::describe::{FORM, JSON, Security};
use crate::edge::mint_request;

fn form(mut properties: Value, required: &[&str]) -> Value {
    with_client(&mut properties);
    json!({"type": "object", "properties": properties, "required": required})
}

pub fn revoke(doc: &mut OperationDoc<'_>) {
    let about = "An access token or a refresh token of the caller's own.";
    let properties = json!({
        "token": {"type": "string", "description": about},
        "token_type_hint": {"type": "string", "description": "Not needed: a token says what it is."},
    });
    doc.takes_schema(&[FORM], true, &form(properties, &["token"]));
    doc.answers_empty(200, "It is revoked, or was never good.");
    doc.needs(&rfc6749_doc::CLIENT);
}

pub fn introspect(doc: &mut OperationDoc<'_>) {
    let properties = json!({
        "token": {"type": "string"},
        "token_type_hint": {"type": "string", "description": "Not needed: a token says what it is."},
        "use_id": {
            "type": "string", "maxLength": 64,
            "description": "The verifier's own name for this use: asked again with it within ten seconds, a one-time \
                            token gets the same answer.",
        },
    });
    doc.takes_schema(&[FORM], true, &form(properties, &["token"]));
    doc.takes_example(&json!({"token": "eyJhbGciOiJFUzI1NiIs…"}));
    doc.answers::<Introspection<'_>>(200, "What the token is worth right now.");
    doc.example(200, &json!({
        "active": true, "scope": "orders:read", "client_id": "reports", "sub": "reports", "aud": "https://id.example",
        "iss": "https://id.example", "jti": "0191e0a4-8f3a-7c1e-b3a1-1f0a4c9d2e77", "iat": 1_763_820_000, "exp": 1_763_823_600,
        "token_type": "Bearer",
    }));
    doc.with_header(200, "X-Grantd-Stale", "Seconds since the database was last heard, where it is away.");
    doc.needs(&[Security::ClientBasic, Security::ApiKey, Security::Nothing]);
}

pub fn mint(doc: &mut OperationDoc<'_>) {
    let mut schema = mint_request::schema();
    with_client(&mut schema["properties"]);
    for name in ["client_id", "client_secret", "client_assertion", "client_assertion_type"] {
        if let Some(kind) = schema["properties"][name].get_mut("type") {
            *kind = json!(["string", "null"]);
        }
    }
    doc.takes_schema(&[JSON], false, &schema);
    doc.takes_example(&json!({"ttl_seconds": 60, "scope": "orders:read", "one_time": true}));
    rfc6749_doc::token_answer(doc);
    doc.needs(&[Security::ApiKey, Security::ClientBasic, Security::Nothing]);
}

pub fn userinfo(doc: &mut OperationDoc<'_>) {
    doc.answers::<UserInfoAnswer<'_>>(200, "The claims that the token's scope allows.");
    doc.needs(&[Security::AccessToken]);
}

pub fn userinfo_by_post(doc: &mut OperationDoc<'_>) {
    let properties =
        json!({"access_token": {"type": "string", "description": "Where the header has none (RFC 6750 §2.2)."}});
    doc.takes_schema(&[FORM], false, &json!({"type": "object", "properties": properties}));
    doc.needs(&[Security::AccessToken, Security::Nothing]);
    userinfo(doc);
}

pub fn jwks(doc: &mut OperationDoc<'_>) {
    let key = json!({
        "type": "object",
        "properties": {"kty": {"type": "string"}, "kid": {"type": "string"}, "alg": {"type": "string"}, "use": {"type": "string"}},
        "required": ["kty", "kid"],
    });
    let keys = json!({"type": "array", "items": key});
    let schema = schemars::json_schema!({"type": "object", "properties": {"keys": keys}, "required": ["keys"]});
    doc.answers_schema(200, JSON, "The keys that sign now, have signed what may be alive, or will sign next.", schema);
    cached(doc);
}

pub fn metadata(doc: &mut OperationDoc<'_>) {
    doc.answers::<Metadata<'_>>(200, "What the provider supports.");
    cached(doc);
}

fn cached(doc: &mut OperationDoc<'_>) {
    doc.request_header("If-None-Match", "An `ETag` that was given out.");
    doc.with_header(200, "Cache-Control", "For how long it may be kept.").with_header(200, "ETag", "Its version.");
    doc.answers_empty(304, "It has not changed.");
    doc.needs(&[Security::Nothing]);
}
