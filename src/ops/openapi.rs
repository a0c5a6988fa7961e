//! The OpenAPI 3.1 document, from the same tables that mount the routes: paths, operations and
//! parameters cannot drift. Schemas of bodies come with the release that completes the admin API.

use serde_json::{Map, Value, json};

use crate::edge::RouteSpec;

/// Every operation with the name of its surface, collected by the application.
pub struct Operations(pub Vec<(&'static str, &'static RouteSpec)>);

/// Surfaces whose every call takes an API key, as `Bearer` too.
const BY_API_KEY: [&str; 3] = ["deepgram", "usegrant", "vocalstack"];

pub fn document(operations: &Operations) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (surface, route) in &operations.0 {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(route.method.as_str().to_lowercase(), operation(surface, route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "grantd",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Standard endpoints and surfaces are also served below /p/{provider_slug}, and at the root of verified domains.",
        },
        "components": {"securitySchemes": {"api_key": {"type": "http", "scheme": "bearer"}}},
        "paths": paths,
    })
}

fn operation(surface: &str, route: &RouteSpec) -> Value {
    let parameters: Vec<Value> = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    let mut operation = json!({
        "operationId": route.operation_id,
        "summary": route.summary,
        "tags": [surface],
        "parameters": parameters,
        "responses": {"default": {"description": "See the documentation of the surface."}},
    });
    if BY_API_KEY.contains(&surface) || route.path.starts_with("/admin/") || route.path == "/metrics" {
        operation["security"] = json!([{"api_key": []}]);
    }
    operation
}
