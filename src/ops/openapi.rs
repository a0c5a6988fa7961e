//! The OpenAPI 3.1 document, from the same tables that mount the routes and the same types that read
//! and write the bodies, so that neither can drift.

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use crate::edge::describe::{OperationDoc, Schemas};
use crate::edge::surface::Operation;

/// Every operation that is served, collected by the application.
pub struct Operations {
    all: Vec<Operation>,
    /// Path of the public URL: `""` or `/auth`.
    base: String,
    made: OnceLock<Value>,
}

/// Headings, in the order in which they stand, and what is below them.
const TAGS: [(&str, &str); 23] = [
    ("Standard endpoints", "OAuth 2.0 and OpenID Connect by the RFCs' own words, and minting."),
    ("Forward auth", "For gateways that ask whether a request may pass."),
    ("Providers", "An issuer with its own keys, clients and users."),
    ("Clients", "What asks for tokens, and the secrets it proves itself with."),
    ("Users", "Accounts of people, their sessions and what they have allowed."),
    ("API keys", "What manages this server, introspects and mints."),
    ("Trusted issuers", "Issuers whose tokens are exchanged for ours, or only validated."),
    ("Domains", "Host names of a provider, each proven by a TXT record."),
    ("Signing keys", "What tokens are signed with: next, active, retired."),
    ("Scopes, roles and groups", "Names of what may be done, and of those who may."),
    ("Sessions and grants", "Who is logged in, and what they have allowed which client."),
    ("Events", "The audit trail."),
    ("Webhooks", "Who is told of events, and how that went."),
    ("Explain", "Why a request was refused or granted."),
    ("Reports", "What should be looked after."),
    ("Data keys", "What the server seals with."),
    ("Run:ai", "The token API of NVIDIA Run:ai."),
    ("Deepgram", "The token and key API of Deepgram."),
    ("VocalStack", "The client-side tokens of VocalStack."),
    ("UseGrant", "The API of UseGrant."),
    ("Endorsed", "The access tokens of Endorsed."),
    ("Pages", "What a person sees in a browser."),
    ("Operations", "For whoever runs the server."),
];

const ABOUT: &str = "A self-hosted OAuth 2.0 / OpenID Connect server.\n\n\
    **Management** (`/admin/v1`) takes an API key in `Authorization: Bearer`. It speaks JSON in snake_case; a failure is \
    `application/problem+json` (RFC 9457) and names every wrong field with its JSON pointer. Lists come in pages: \
    `?limit=` and `?cursor=`, with `next_cursor` in the answer; a page ends at 1 MiB too. A change is a JSON merge patch (RFC 7396), where null means \
    the default; send `If-Match` with the `ETag` that you have read, and a change that somebody else made in between \
    answers 412 instead of being lost. Secrets are shown once.\n\n\
    **Standard endpoints, surfaces and pages** are also served below `/p/{provider_slug}`, and at the root of a \
    provider's verified domains.\n\n\
    Every answer carries `x-request-id`, which names the call in the logs.";

impl Operations {
    pub fn new(all: Vec<Operation>, base: &str) -> Self {
        Self { all, base: base.to_owned(), made: OnceLock::new() }
    }

    /// Made once: it does not change while the process runs.
    pub fn document(&self) -> &Value {
        self.made.get_or_init(|| self.make().0)
    }

    /// Path of the public URL.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The document, and the names of schemas that mean two things.
    pub fn make(&self) -> (Value, Vec<String>) {
        let mut paths: Map<String, Value> = Map::new();
        let mut schemas = Schemas::default();
        let servers = self.servers();
        for Operation { surface, route, of_surface, of_provider } in &self.all {
            let mut doc = OperationDoc::new(route, &mut schemas);
            (route.describe)(&mut doc);
            of_surface(&mut doc);
            doc.tag(surface);
            let described = doc.finish();
            let item = paths.entry(route.path).or_insert_with(|| json!({}));
            item[route.method.as_str().to_lowercase()] = described;
            if *of_provider {
                item["servers"] = servers.clone();
            }
        }
        let (schemas, twice) = schemas.finish();
        let used = |tag: &str| {
            paths.values().filter_map(Value::as_object).flat_map(|item| item.values()).any(|op| op["tags"][0] == tag)
        };
        let tags = TAGS.iter().filter(|(name, _)| used(name));
        let tags: Vec<Value> = tags.map(|(name, about)| json!({"name": name, "description": about})).collect();
        let document = json!({
            "openapi": "3.1.0",
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "info": {
                "title": "grantd",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": env!("CARGO_PKG_DESCRIPTION"),
                "description": ABOUT,
                "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
            },
            "servers": [servers[0]],
            "tags": tags,
            "paths": paths,
            "components": {
                "schemas": schemas,
                "headers": {"x-request-id": {
                    "description": "Names this call in the logs and in `explain`.",
                    "schema": {"type": "string"},
                }},
                "securitySchemes": security_schemes(),
            },
        });
        (document, twice)
    }

    /// The root, and the place of each provider.
    fn servers(&self) -> Value {
        let root = if self.base.is_empty() { "/" } else { &self.base };
        json!([
            {"url": root, "description": "This server"},
            {
                "url": format!("{}/p/{{provider_slug}}", self.base),
                "description": "One of its providers",
                "variables": {"provider_slug": {"default": "default", "description": "The provider's slug."}},
            },
        ])
    }
}

fn security_schemes() -> Value {
    json!({
        "api_key": {"type": "http", "scheme": "bearer", "description": "An API key, `gk_…`."},
        "api_key_as_token": {
            "type": "apiKey", "in": "header", "name": "Authorization", "description": "An API key as `Token gk_…`.",
        },
        "access_token": {"type": "http", "scheme": "bearer", "description": "An access token of this server."},
        "client_basic": {
            "type": "http", "scheme": "basic", "description": "Client id and secret, form-encoded (RFC 6749 §2.3.1).",
        },
        "session": {
            "type": "apiKey", "in": "cookie", "name": "__Host-grantd-{provider_id}",
            "description": "A browser that is logged in; the name ends with the provider's id.",
        },
    })
}
