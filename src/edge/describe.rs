//! What the OpenAPI document says of an operation: parameters, bodies, answers by status. Written
//! beside the route, in Rust types; the schemas come from `schemars` (JSON Schema 2020-12, which is
//! that of OpenAPI 3.1).

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use crate::edge::RouteSpec;

pub const JSON: &str = "application/json";
pub const FORM: &str = "application/x-www-form-urlencoded";
pub const PROBLEM: &str = "application/problem+json";
pub const HTML: &str = "text/html; charset=utf-8";

/// What a caller proves itself with; the names of `components.securitySchemes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// `Authorization: Bearer gk_…`
    ApiKey,
    /// `Authorization: Token gk_…`
    ApiKeyAsToken,
    /// `Authorization: Bearer <access token>`
    AccessToken,
    /// `Authorization: Basic …` with client id and secret.
    ClientBasic,
    /// The session cookie of a browser.
    Session,
    /// Nothing, or what stands in the body.
    Nothing,
}

impl Security {
    /// As in `components.securitySchemes`; `None` for nothing at all.
    pub fn scheme(self) -> Option<&'static str> {
        match self {
            Self::ApiKey => Some("api_key"),
            Self::ApiKeyAsToken => Some("api_key_as_token"),
            Self::AccessToken => Some("access_token"),
            Self::ClientBasic => Some("client_basic"),
            Self::Session => Some("session"),
            Self::Nothing => None,
        }
    }
}

/// The schemas that operations name, collected for `components.schemas`. What comes in and what goes
/// out are two generators, because a field that is left out where it is empty is required in neither.
pub struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Default for Schemas {
    fn default() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self { taken: settings().into_generator(), given: settings().for_serialize().into_generator() }
    }
}

impl Schemas {
    /// Every schema by name, and the names that mean two things.
    pub fn finish(mut self) -> (Map<String, Value>, Vec<String>) {
        let mut all = self.given.take_definitions(true);
        let mut twice = Vec::new();
        for (name, schema) in self.taken.take_definitions(true) {
            if all.get(&name).is_some_and(|other| *other != schema) {
                twice.push(name.clone());
            }
            all.insert(name, schema);
        }
        (all, twice)
    }
}

/// One operation while it is described. Every method gives it back, so that calls stand in a chain.
pub struct OperationDoc<'a> {
    path: &'static str,
    is_change: bool,
    schemas: &'a mut Schemas,
    operation: Map<String, Value>,
    parameters: Vec<Value>,
    responses: BTreeMap<u16, Map<String, Value>>,
    security: Option<Vec<Value>>,
}

impl<'a> OperationDoc<'a> {
    /// Path parameters come from the route's own path.
    pub fn new(route: &RouteSpec, schemas: &'a mut Schemas) -> Self {
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), route.operation_id.into());
        operation.insert("summary".to_owned(), route.summary.into());
        let names = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameter = |name| {
            let schema = json!({"type": "string", "minLength": 1});
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        };
        let parameters = names.map(parameter).collect();
        let is_change = !route.method.is_safe();
        Self { path: route.path, is_change, schemas, operation, parameters, responses: BTreeMap::new(), security: None }
    }

    /// The route's path, for what a surface says of all its operations.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Whether the method changes something.
    pub fn is_change(&self) -> bool {
        self.is_change
    }

    /// The names of the described parameters in a place: `query`, `header`, `path`.
    pub fn parameter_names(&self, place: &str) -> Vec<String> {
        let there = self.parameters.iter().filter(|parameter| parameter["in"] == place);
        there.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
    }

    pub fn operation_id(&self) -> &str {
        self.operation["operationId"].as_str().unwrap_or_default()
    }

    /// Whether a body is described.
    pub fn has_body(&self) -> bool {
        self.operation.contains_key("requestBody")
    }

    /// More than the summary says; CommonMark.
    pub fn says(&mut self, description: &str) -> &mut Self {
        self.operation.insert("description".to_owned(), description.into());
        self
    }

    /// Under which heading it stands; the first one said stays.
    pub fn tag(&mut self, tag: &str) -> &mut Self {
        self.operation.entry("tags").or_insert_with(|| json!([tag]));
        self
    }

    pub fn deprecated(&mut self) -> &mut Self {
        self.operation.insert("deprecated".to_owned(), true.into());
        self
    }

    /// Any one of these; what is said first stays.
    pub fn needs(&mut self, any_of: &[Security]) -> &mut Self {
        let requirement = |security: &Security| match security.scheme() {
            Some(name) => json!({name: []}),
            None => json!({}),
        };
        self.security.get_or_insert_with(|| any_of.iter().map(requirement).collect());
        self
    }

    /// Describes a parameter of the path.
    pub fn in_path(&mut self, name: &str, description: &str) -> &mut Self {
        for parameter in &mut self.parameters {
            if parameter["in"] == "path" && parameter["name"] == name && parameter.get("description").is_none() {
                parameter["description"] = description.into();
            }
        }
        self
    }

    /// An optional query parameter.
    pub fn query(&mut self, name: &str, description: &str, schema: Value) -> &mut Self {
        self.parameter("query", name, description, schema, false)
    }

    /// A query parameter that must be there.
    pub fn required_query(&mut self, name: &str, description: &str, schema: Value) -> &mut Self {
        self.parameter("query", name, description, schema, true)
    }

    /// An optional request header.
    pub fn request_header(&mut self, name: &str, description: &str) -> &mut Self {
        self.parameter("header", name, description, json!({"type": "string"}), false)
    }

    pub fn required_header(&mut self, name: &str, description: &str, schema: Value) -> &mut Self {
        self.parameter("header", name, description, schema, true)
    }

    fn parameter(&mut self, place: &str, name: &str, description: &str, schema: Value, required: bool) -> &mut Self {
        let mut parameter = json!({"name": name, "in": place, "description": description, "schema": schema});
        if required {
            parameter["required"] = true.into();
        }
        self.parameters.push(parameter);
        self
    }

    /// The request body, as any of `media_types`.
    pub fn takes<T: JsonSchema>(&mut self, media_types: &[&str], required: bool) -> &mut Self {
        let schema = self.schemas.taken.subschema_for::<T>();
        self.takes_schema(media_types, required, &schema.to_value())
    }

    /// The same with a schema by hand, or `true` for any body.
    pub fn takes_schema(&mut self, media_types: &[&str], required: bool, schema: &Value) -> &mut Self {
        let body = self.operation.entry("requestBody").or_insert_with(|| json!({"content": {}}));
        body["required"] = required.into();
        for media_type in media_types {
            body["content"][*media_type] = json!({"schema": schema});
        }
        self
    }

    /// An example of the request body, for every media type described so far.
    pub fn takes_example(&mut self, example: &Value) -> &mut Self {
        let content = self.operation.get_mut("requestBody").and_then(|body| body["content"].as_object_mut());
        for media in content.into_iter().flat_map(|content| content.values_mut()) {
            media["example"] = example.clone();
        }
        self
    }

    /// An answer with a JSON body.
    pub fn answers<T: JsonSchema>(&mut self, status: u16, description: &str) -> &mut Self {
        self.answers_as::<T>(status, JSON, description)
    }

    /// An answer with a body of some media type.
    pub fn answers_as<T: JsonSchema>(&mut self, status: u16, media_type: &str, description: &str) -> &mut Self {
        let schema = self.schemas.given.subschema_for::<T>();
        self.answers_schema(status, media_type, description, schema)
    }

    /// The same with a schema by hand. What is said first of a status and media type stays, so that a
    /// surface can add what all its operations answer.
    pub fn answers_schema(&mut self, status: u16, media_type: &str, description: &str, schema: Schema) -> &mut Self {
        let answer = self.response(status, description);
        let content = answer.entry("content").or_insert_with(|| json!({}));
        if content.get(media_type).is_none() {
            content[media_type] = json!({"schema": schema});
        }
        self
    }

    /// An answer without a body.
    pub fn answers_empty(&mut self, status: u16, description: &str) -> &mut Self {
        self.response(status, description);
        self
    }

    /// A header of an answer that is described already, or will be.
    pub fn with_header(&mut self, status: u16, name: &str, description: &str) -> &mut Self {
        let answer = self.response(status, "");
        let headers = answer.entry("headers").or_insert_with(|| json!({}));
        headers[name] = json!({"description": description, "schema": {"type": "string"}});
        self
    }

    /// An example of an answer, for every media type described so far.
    pub fn example(&mut self, status: u16, example: &Value) -> &mut Self {
        let answer = self.response(status, "");
        let content = answer.get_mut("content").and_then(Value::as_object_mut);
        for media in content.into_iter().flat_map(|content| content.values_mut()) {
            media["example"] = example.clone();
        }
        self
    }

    fn response(&mut self, status: u16, description: &str) -> &mut Map<String, Value> {
        let answer = self.responses.entry(status).or_default();
        let unsaid = answer.get("description").and_then(Value::as_str).is_none_or(str::is_empty);
        if unsaid {
            answer.insert("description".to_owned(), description.into());
        }
        answer
    }

    /// The operation object of OpenAPI. Every answer carries its request id.
    pub fn finish(mut self) -> Value {
        let mut responses = Map::new();
        for (status, mut answer) in self.responses {
            let headers = answer.entry("headers").or_insert_with(|| json!({}));
            headers["x-request-id"] = json!({"$ref": "#/components/headers/x-request-id"});
            responses.insert(status.to_string(), answer.into());
        }
        if !self.parameters.is_empty() {
            self.operation.insert("parameters".to_owned(), self.parameters.into());
        }
        self.operation.insert("responses".to_owned(), responses.into());
        self.operation.insert("security".to_owned(), self.security.unwrap_or_else(|| vec![json!({})]).into());
        Value::Object(self.operation)
    }
}

/// A time on the wire, for `#[schemars(with = "…")]` on fields that hold its text.
pub struct WireTime;

impl JsonSchema for WireTime {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}
