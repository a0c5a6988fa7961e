//! What the OpenAPI document says of the wire of RFC 6749.

use serde_json::json;

use crate::dialects::rfc6749::{ErrorAnswer, TokenAnswer};
use crate::domain::client::GrantType;
use crate::edge::OperationDoc;
use crate::edge::describe::{FORM, JSON, Security};

/// How a client proves itself at the endpoints of the standard.
pub const CLIENT: [Security; 2] = [Security::ClientBasic, Security::Nothing];

/// A token request (RFC 6749 §3.2) and its answer.
pub fn token(doc: &mut OperationDoc<'_>) {
    let text = |about: &str| json!({"type": "string", "description": about});
    let served = GrantType::ALL.into_iter().filter(|grant| grant.is_served()).map(GrantType::name);
    let grants: Vec<&str> = served.collect();
    let mut properties = json!({
        "grant_type": {"type": "string", "enum": grants},
        "scope": text("Scope names, separated by spaces; left out: all that the client has (client_credentials)."),
        "resource": text("The `aud` that is wanted (RFC 8707). May be repeated."),
        "audience": text("What other servers' clients send for the same wish."),
        "code": text("authorization_code"),
        "redirect_uri": text("authorization_code: as at the authorization endpoint."),
        "code_verifier": text("authorization_code (RFC 7636)."),
        "refresh_token": text("refresh_token"),
        "username": text("password"),
        "assertion": text("jwt-bearer (RFC 7523)."),
        "subject_token": text("token-exchange (RFC 8693)."),
        "subject_token_type": text("token-exchange"),
        "requested_token_type": text("An access token, or a JWT whatever the client's format."),
    });
    properties["password"] = json!({"type": "string", "format": "password", "description": "password"});
    with_client(&mut properties);
    let schema = json!({"type": "object", "properties": properties, "required": ["grant_type"]});
    doc.takes_schema(&[FORM], true, &schema);
    doc.takes_example(&json!({"grant_type": "client_credentials", "scope": "orders:read"}));
    token_answer(doc);
    doc.needs(&CLIENT);
}

/// RFC 6749 §5.1.
pub fn token_answer(doc: &mut OperationDoc<'_>) {
    doc.answers::<TokenAnswer<'_>>(200, "The token.");
    doc.example(
        200,
        &json!({"access_token": "eyJhbGciOiJFUzI1NiIs…", "token_type": "Bearer", "expires_in": 3600, "scope": "orders:read"}),
    );
}

/// A client that proves itself in the body (RFC 6749 §2.3.1, RFC 7523 §2.2), or only says its name.
pub fn with_client(properties: &mut serde_json::Value) {
    properties["client_id"] = json!({"type": "string", "description": "Where the header does not say it."});
    properties["client_secret"] = json!({"type": "string", "format": "password"});
    properties["client_assertion_type"] =
        json!({"type": "string", "enum": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]});
    properties["client_assertion"] = json!({"type": "string", "description": "private_key_jwt"});
}

/// RFC 6749 §5.2, and what every endpoint may answer besides.
pub fn failures(doc: &mut OperationDoc<'_>) {
    for (status, about) in [
        (400, "Malformed, or not allowed; `error` says what (RFC 6749 §5.2)."),
        (401, "The caller did not prove itself."),
        (403, "What was presented is not enough."),
        (404, "There is no such provider."),
        (408, "The body came too slowly."),
        (429, "Too many wrong tries; see `Retry-After`."),
        (500, "Something went wrong; the request id finds it in the log."),
        (503, "The server cannot answer right now; see `Retry-After`."),
    ] {
        doc.answers_as::<ErrorAnswer<'_>>(status, JSON, about);
    }
}
