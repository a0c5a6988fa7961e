//! The OpenAPI 3.1 document, from the same tables that mount the routes and the same types that read
//! and write the bodies, so that neither can drift.

use serde_json::{Map, Value, json};

use crate::edge::describe::{OperationDoc, Schemas};
use crate::edge::surface::Operation;

/// Every operation that is served, collected by the application.
pub struct Operations(pub Vec<Operation>);

pub fn document(operations: &Operations) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let mut schemas = Schemas::default();
    for operation in &operations.0 {
        let route = operation.route;
        let mut doc = OperationDoc::new(route, &mut schemas);
        (route.describe)(&mut doc);
        (operation.of_surface)(&mut doc);
        doc.tag(operation.surface);
        let described = doc.finish();
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.as_str().to_lowercase()] = described;
    }
    let (schemas, _) = schemas.finish();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "grantd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Standard endpoints and surfaces are also served below /p/{provider_slug}, and at the root of verified domains.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "headers": {"x-request-id": {"description": "Names this call in the logs and in `explain`.", "schema": {"type": "string"}}},
            "securitySchemes": {
                "api_key": {"type": "http", "scheme": "bearer", "description": "An API key, `gk_…`."},
                "api_key_as_token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`Token gk_…`"},
                "access_token": {"type": "http", "scheme": "bearer", "description": "An access token."},
                "client_basic": {"type": "http", "scheme": "basic", "description": "Client id and secret, form-encoded (RFC 6749 §2.3.1)."},
                "session": {"type": "apiKey", "in": "cookie", "name": "grantd_session", "description": "A browser that is logged in."},
            },
        },
    })
}
