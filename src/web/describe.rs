//! What the OpenAPI document says of the pages. They are for browsers; a program follows the redirects of
//! the authorization endpoint.

use schemars::json_schema;
use serde_json::{Value, json};

use crate::edge::OperationDoc;
use crate::edge::describe::{FORM, HTML, Security};

const FLOW: &str = "The request that waits, sealed, as the redirect to the page carried it.";
const FORM_POST: &str = "response_mode=form_post: a page that sends itself to the client.";
const TOKEN: &str = "As it stands in the page's form: bound to the browser.";

fn text(about: &str) -> Value {
    json!({"type": "string", "description": about})
}

/// An HTML page.
pub fn page(doc: &mut OperationDoc<'_>) {
    html(doc, 200, "The page.");
    doc.query("ui_locales", "Languages that the reader would like, separated by spaces.", json!({"type": "string"}));
}

fn html(doc: &mut OperationDoc<'_>, status: u16, about: &str) {
    doc.answers_schema(status, HTML, about, json_schema!({"type": "string"}));
}

/// The browser goes on.
fn onward(doc: &mut OperationDoc<'_>, about: &str) {
    doc.answers_empty(303, about).with_header(303, "Location", "Where it goes.");
}

/// Parameters of the authorization request.
const AUTHORIZE: [(&str, &str); 15] = [
    ("redirect_uri", "One of the client's, byte for byte."),
    ("response_mode", "query or form_post"),
    ("scope", "Scope names, separated by spaces."),
    ("state", "Comes back as it is."),
    ("nonce", "Stands in the ID token."),
    ("code_challenge", "RFC 7636"),
    ("code_challenge_method", "S256"),
    ("prompt", "none, login, consent, select_account"),
    ("max_age", "Seconds since the login, at most."),
    ("login_hint", "Who is expected to log in."),
    ("id_token_hint", "An ID token of who is expected to be logged in."),
    ("ui_locales", "Languages that the reader would like."),
    ("acr_values", "Taken and not acted upon."),
    ("claims", "Claims that are wanted one by one (OIDC Core §5.5)."),
    ("resource", "The `aud` that is wanted (RFC 8707). May be repeated."),
];

pub fn authorize(doc: &mut OperationDoc<'_>) {
    doc.required_query("client_id", "Who asks.", json!({"type": "string"}));
    doc.required_query("response_type", "code", json!({"type": "string", "enum": ["code"]}));
    for (name, about) in AUTHORIZE {
        doc.query(name, about, json!({"type": "string"}));
    }
    authorized(doc);
}

pub fn authorize_by_form(doc: &mut OperationDoc<'_>) {
    let mut properties = json!({"client_id": text("Who asks."), "response_type": {"type": "string", "enum": ["code"]}});
    for (name, about) in AUTHORIZE {
        properties[name] = text(about);
    }
    takes(doc, &properties, &["client_id", "response_type"]);
    authorized(doc);
}

fn authorized(doc: &mut OperationDoc<'_>) {
    onward(doc, "To the login, to the consent, or back to the client with `code` or `error`, `state` and `iss`.");
    html(doc, 200, FORM_POST);
    doc.needs(&[Security::Session, Security::Nothing]);
}

const LOGOUT: [(&str, &str); 6] = [
    ("id_token_hint", "An ID token of the session."),
    ("logout_hint", "Who logs out."),
    ("client_id", "Who asks."),
    ("post_logout_redirect_uri", "One of the client's, byte for byte."),
    ("state", "Comes back as it is."),
    ("ui_locales", "Languages that the reader would like."),
];

pub fn logout(doc: &mut OperationDoc<'_>) {
    for (name, about) in LOGOUT {
        doc.query(name, about, json!({"type": "string"}));
    }
    logged_out(doc);
}

pub fn logout_by_form(doc: &mut OperationDoc<'_>) {
    let mut properties = json!({});
    for (name, about) in LOGOUT {
        properties[name] = text(about);
    }
    takes(doc, &properties, &[]);
    logged_out(doc);
}

fn logged_out(doc: &mut OperationDoc<'_>) {
    onward(doc, "Logged out.");
    html(doc, 200, "A page that asks first: nothing proves that the person wants it.");
    doc.needs(&[Security::Session, Security::Nothing]);
}

pub fn login(doc: &mut OperationDoc<'_>) {
    doc.query("flow", FLOW, json!({"type": "string"}));
    html(doc, 200, "The page.");
}

pub fn login_form(doc: &mut OperationDoc<'_>) {
    let password = json!({"type": "string", "format": "password"});
    let action = json!({"type": "string", "enum": ["cancel"], "description": "Back to the client without a login."});
    let properties = json!({
        "flow": text(FLOW), "token": text(TOKEN), "username": text("Username or email."), "password": password, "action": action,
    });
    takes(doc, &properties, &["token"]);
    onward(doc, "Logged in.");
    html(doc, 200, FORM_POST);
}

pub fn consent(doc: &mut OperationDoc<'_>) {
    doc.required_query("flow", FLOW, json!({"type": "string"}));
    html(doc, 200, "The page.");
    doc.needs(&[Security::Session]);
}

pub fn consent_form(doc: &mut OperationDoc<'_>) {
    let decision = json!({"type": "string", "enum": ["allow", "deny"]});
    takes(
        doc,
        &json!({"flow": text(FLOW), "token": text(TOKEN), "decision": decision}),
        &["flow", "token", "decision"],
    );
    onward(doc, "Back to the client.");
    html(doc, 200, FORM_POST);
    doc.needs(&[Security::Session]);
}

pub fn logout_confirmed(doc: &mut OperationDoc<'_>) {
    takes(doc, &json!({"flow": text(FLOW), "token": text(TOKEN)}), &["flow", "token"]);
    onward(doc, "Logged out.");
    html(doc, 200, "The page that asks, once more.");
    doc.needs(&[Security::Session]);
}

pub fn account(doc: &mut OperationDoc<'_>) {
    let done = json!({"type": "string", "enum": ["profile", "password", "session"]});
    doc.query("done", "What the page says was done.", done);
    html(doc, 200, "The page.");
    onward(doc, "To the login.");
    doc.needs(&[Security::Session, Security::Nothing]);
}

pub fn profile(doc: &mut OperationDoc<'_>) {
    changes(doc, json!({"token": text(TOKEN), "name": text("For people; empty: none.")}));
}

pub fn password(doc: &mut OperationDoc<'_>) {
    let secret = json!({"type": "string", "format": "password"});
    changes(doc, json!({"token": text(TOKEN), "current": secret, "new": secret}));
}

pub fn session(doc: &mut OperationDoc<'_>) {
    changes(doc, json!({"token": text(TOKEN), "session": text("`id` of the session.")}));
}

pub fn sessions(doc: &mut OperationDoc<'_>) {
    changes(doc, json!({"token": text(TOKEN)}));
}

fn changes(doc: &mut OperationDoc<'_>, properties: Value) {
    takes(doc, &properties, &["token"]);
    onward(doc, "Done: back to the page, or to the login.");
    doc.needs(&[Security::Session, Security::Nothing]);
}

fn takes(doc: &mut OperationDoc<'_>, properties: &Value, required: &[&str]) {
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    doc.takes_schema(&[FORM], true, &schema);
}

pub fn style(doc: &mut OperationDoc<'_>) {
    asset(doc, "text/css; charset=utf-8");
}

pub fn script(doc: &mut OperationDoc<'_>) {
    asset(doc, "text/javascript; charset=utf-8");
}

fn asset(doc: &mut OperationDoc<'_>, media_type: &str) {
    doc.query("v", "Its version: another one is another address.", json!({"type": "string"}));
    doc.request_header("If-None-Match", "An `ETag` that was given out.");
    doc.answers_schema(200, media_type, "The file.", json_schema!({"type": "string"}));
    doc.with_header(200, "ETag", "Its version.").answers_empty(304, "It has not changed.");
}

pub fn every(doc: &mut OperationDoc<'_>) {
    doc.tag("Pages").needs(&[Security::Nothing]);
    for (status, about) in [
        (400, "Malformed, or a form that was filled in wrongly."),
        (403, "Not logged in, or a form that is too old."),
        (404, "There is no such page."),
        (408, "The body came too slowly."),
        (409, "Somebody else changed it meanwhile."),
        (413, "The body is too large."),
        (429, "Too many wrong tries; see `Retry-After`."),
        (500, "Something went wrong."),
        (503, "The server cannot answer right now; see `Retry-After`."),
    ] {
        html(doc, status, about);
    }
}
