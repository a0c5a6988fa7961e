//! What a file may hold: each kind of resource, its fields, and what a field is when the file does not
//! name it. A test holds the defaults against those of the server.

use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::cli::call::{Path, path};

/// What a field is when nobody has set it.
#[derive(Clone, Copy, Debug)]
pub enum Default {
    Null,
    No,
    Yes,
    Empty,
    Text(&'static str),
    Number(i64),
    Words(&'static [&'static str]),
    /// What this field of the same thing is.
    SameAs(&'static str),
    /// `["code"]` where the grant types have authorization_code.
    CodeIfGranted,
}

#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub name: &'static str,
    pub default: Default,
    /// The order of its words or items means nothing.
    pub unordered: bool,
    /// It can be given to a new one and never be changed.
    pub fixed: bool,
}

/// A kind of resource.
#[derive(Debug)]
pub struct Kind {
    /// As sentences call one.
    pub noun: &'static str,
    /// Its section in the file, and its collection in the API.
    pub section: &'static str,
    pub collection: &'static str,
    /// Below a provider, or beside them with a field `provider`.
    pub below_provider: bool,
    /// The fields by which one in the file is known again at the server. They cannot be left out, but
    /// for those that have a default.
    pub known_by: &'static [&'static str],
    /// The member that stands in the path.
    pub id: &'static str,
    pub fields: &'static [Field],
}

const fn field(name: &'static str, default: Default) -> Field {
    Field { name, default, unordered: false, fixed: false }
}

const fn unordered(name: &'static str, default: Default) -> Field {
    Field { name, default, unordered: true, fixed: false }
}

const DAY: i64 = 86_400;

pub static PROVIDER: Kind = Kind {
    noun: "provider",
    section: "providers",
    collection: "providers",
    below_provider: false,
    known_by: &["slug"],
    id: "slug",
    fields: &[
        field("slug", Default::Null),
        field("name", Default::SameAs("slug")),
        field("description", Default::Null),
        field("default_audience", Default::SameAs("issuer")),
        field("access_token_signing_alg", Default::Text("ES256")),
        field("access_token_ttl", Default::Number(3600)),
        field("id_token_ttl", Default::Number(3600)),
        field("authorization_code_ttl", Default::Number(60)),
        field("refresh_token_ttl", Default::Number(30 * DAY)),
        field("refresh_token_max_ttl", Default::Number(180 * DAY)),
        field("max_ttl", Default::Number(14 * DAY)),
        field("jwks_max_age", Default::Number(3600)),
        field("key_rotation", Default::Number(90 * DAY)),
        field("session_idle_ttl", Default::Number(12 * 3600)),
        field("session_max_ttl", Default::Number(30 * DAY)),
        field("strict_scopes", Default::No),
        unordered("surfaces", Default::Empty),
        field("logo_uri", Default::Null),
        field("brand_color", Default::Null),
        field("enabled", Default::Yes),
    ],
};

/// In the order in which they are made; what ends goes the other way.
pub static BELOW: [&Kind; 7] = [&SCOPE, &ROLE, &GROUP, &CLIENT, &TRUST, &DOMAIN, &WEBHOOK];

static SCOPE: Kind = Kind {
    noun: "scope",
    section: "scopes",
    collection: "scopes",
    below_provider: true,
    known_by: &["name"],
    id: "name",
    fields: &[field("name", Default::Null), field("description", Default::Null)],
};

static ROLE: Kind = Kind {
    noun: "role",
    section: "roles",
    collection: "roles",
    below_provider: true,
    known_by: &["name"],
    id: "name",
    fields: &[field("name", Default::Null), field("description", Default::Null)],
};

static GROUP: Kind = Kind {
    noun: "group",
    section: "groups",
    collection: "groups",
    below_provider: true,
    known_by: &["name"],
    id: "name",
    fields: &[field("name", Default::Null), field("description", Default::Null), unordered("roles", Default::Empty)],
};

static CLIENT: Kind = Kind {
    noun: "client",
    section: "clients",
    collection: "clients",
    below_provider: true,
    known_by: &["client_id"],
    id: "client_id",
    fields: &[
        field("client_id", Default::Null),
        field("client_name", Default::SameAs("client_id")),
        Field { name: "subject", default: Default::SameAs("client_id"), unordered: false, fixed: true },
        unordered("grant_types", Default::Words(&["client_credentials"])),
        unordered("response_types", Default::CodeIfGranted),
        field("redirect_uris", Default::Empty),
        field("post_logout_redirect_uris", Default::Empty),
        field("backchannel_logout_uri", Default::Null),
        field("backchannel_logout_session_required", Default::No),
        unordered("scope", Default::Text("")),
        field("audience", Default::Empty),
        field("token_endpoint_auth_method", Default::Text("client_secret_basic")),
        field("token_endpoint_auth_signing_alg", Default::Null),
        field("jwks", Default::Null),
        field("jwks_uri", Default::Null),
        field("access_token_format", Default::Text("jwt")),
        field("access_token_ttl", Default::Null),
        field("authorization_code_ttl", Default::Null),
        field("refresh_token_ttl", Default::Null),
        field("refresh_token_max_ttl", Default::Null),
        field("max_ttl", Default::Null),
        field("refresh_rotation", Default::Null),
        field("refresh_grace", Default::Null),
        field("refresh_grace_unused", Default::Null),
        field("id_token_signed_response_alg", Default::Null),
        field("require_pkce", Default::Yes),
        field("require_consent", Default::No),
        field("application_type", Default::Text("web")),
        field("resource_server", Default::No),
        field("resources", Default::Empty),
        field("may_mint", Default::No),
        field("may_set_subject", Default::No),
        field("require_pushed_authorization_requests", Default::No),
        field("dpop_bound_access_tokens", Default::No),
        field("enabled", Default::Yes),
    ],
};

static TRUST: Kind = Kind {
    noun: "trusted issuer",
    section: "trusted_issuers",
    collection: "trusted-issuers",
    below_provider: true,
    known_by: &["issuer", "purpose"],
    id: "id",
    fields: &[
        field("issuer", Default::Null),
        field("purpose", Default::Text("exchange")),
        field("jwks", Default::Null),
        field("jwks_uri", Default::Null),
        unordered("clients", Default::Empty),
        field("audiences", Default::Empty),
        unordered("algorithms", Default::Words(&["RS256", "ES256", "EdDSA"])),
        field("subject_claim", Default::Text("sub")),
        field("conditions", Default::Empty),
        unordered("token_types", Default::Empty),
        field("require_jti", Default::No),
        field("max_age", Default::Null),
        field("map_to", Default::Text("user")),
        field("provision", Default::Text("none")),
        field("link_by_verified_email", Default::No),
        field("allow_refresh", Default::No),
        unordered("scope", Default::Null),
        field("audience", Default::Empty),
        field("max_ttl", Default::Null),
        unordered("fingerprints", Default::Empty),
        field("enabled", Default::Yes),
    ],
};

static DOMAIN: Kind = Kind {
    noun: "domain",
    section: "domains",
    collection: "domains",
    below_provider: true,
    known_by: &["domain"],
    id: "id",
    fields: &[field("domain", Default::Null)],
};

/// Of one provider, or of all of them where it stands beside the providers.
pub static WEBHOOK: Kind = Kind {
    noun: "webhook",
    section: "webhooks",
    collection: "webhooks",
    below_provider: false,
    known_by: &["url"],
    id: "id",
    fields: &[field("url", Default::Null), unordered("events", Default::Empty), field("enabled", Default::Yes)],
};

impl Default {
    /// The value, for a thing with these members. `known`: what the server says of it, where it does.
    pub fn of(self, members: &Map<String, Value>, known: &Map<String, Value>) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::No => json!(false),
            Self::Yes => json!(true),
            Self::Empty => json!([]),
            Self::Text(text) => json!(text),
            Self::Number(number) => json!(number),
            Self::Words(words) => json!(words),
            Self::SameAs(field) => members.get(field).or_else(|| known.get(field)).cloned().unwrap_or_default(),
            Self::CodeIfGranted => {
                let grants = members.get("grant_types").and_then(Value::as_array);
                let has_code = grants.is_some_and(|grants| grants.contains(&json!("authorization_code")));
                if has_code { json!(["code"]) } else { json!([]) }
            }
        }
    }
}

/// What a value is as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    WholeNumber,
    YesOrNo,
    Texts,
    Objects,
    Object,
}

impl Shape {
    /// Whether a value has it. Null is the default, whatever that is.
    pub fn fits(self, value: &Value) -> bool {
        let all = |fits: fn(&Value) -> bool| value.as_array().is_some_and(|items| items.iter().all(fits));
        value.is_null()
            || match self {
                Self::Text => value.is_string(),
                Self::WholeNumber => value.is_i64(),
                Self::YesOrNo => value.is_boolean(),
                Self::Texts => all(Value::is_string),
                Self::Objects => all(Value::is_object),
                Self::Object => value.is_object(),
            }
    }

    /// After "must be".
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text; what looks like a number goes in quotes",
            Self::WholeNumber => "a whole number",
            Self::YesOrNo => "true or false",
            Self::Texts => "a list of texts",
            Self::Objects => "a list of mappings",
            Self::Object => "a mapping",
        }
    }
}

impl Field {
    pub fn shape(&self) -> Shape {
        match (self.default, self.name) {
            (_, "conditions") => Shape::Objects,
            (_, "jwks") => Shape::Object,
            (Default::Null, "max_age" | "refresh_grace" | "refresh_grace_unused") => Shape::WholeNumber,
            (Default::Null, name) if name.ends_with("_ttl") => Shape::WholeNumber,
            (Default::Number(_), _) => Shape::WholeNumber,
            (Default::No | Default::Yes, _) => Shape::YesOrNo,
            (Default::Empty | Default::Words(_) | Default::CodeIfGranted, _) => Shape::Texts,
            (Default::Null | Default::Text(_) | Default::SameAs(_), _) => Shape::Text,
        }
    }

    /// Whether two values of this field mean the same.
    pub fn same(&self, left: &Value, right: &Value) -> bool {
        self.canonical(left) == self.canonical(right)
    }

    fn canonical(&self, value: &Value) -> Value {
        match value {
            // A text that says nothing is none.
            Value::String(text) if text.is_empty() => Value::Null,
            Value::String(text) if self.unordered => {
                let mut words: Vec<&str> = text.split_whitespace().collect();
                words.sort_unstable();
                words.dedup();
                json!(words)
            }
            Value::Array(items) if self.unordered => {
                let mut items = items.clone();
                items.sort_by_key(ToString::to_string);
                items.dedup();
                Value::Array(items)
            }
            Value::Array(items) if self.name == "conditions" => items.iter().map(condition).collect(),
            other => other.clone(),
        }
    }
}

/// The server keeps what a claim is compared with as text.
fn condition(value: &Value) -> Value {
    let as_text = |value: &Value| if value.is_string() { value.clone() } else { json!(value.to_string()) };
    let mut condition = value.clone();
    if let Some(value) = condition.get_mut("value") {
        *value = match &*value {
            Value::Array(items) => items.iter().map(as_text).collect(),
            one => as_text(one),
        };
    }
    condition
}

impl Kind {
    /// The collection, at this provider.
    pub fn path(&self, provider: &str, id: Option<&str>) -> Result<Path, CliError> {
        let mut segments = vec![self.collection];
        if self.below_provider {
            segments.splice(0..0, ["providers", provider]);
        }
        segments.extend(id);
        path(&segments)
    }

    /// What stands in sentences and plans.
    pub fn name_of(&self, members: &Map<String, Value>) -> String {
        let of = |field: &&str| members.get(*field).and_then(Value::as_str).map(str::to_owned);
        self.known_by.iter().filter_map(of).collect::<Vec<_>>().join(" ")
    }

    /// The fields that are not at their default, in the order of the file. `known` is what the server
    /// shows.
    pub fn set_fields(&self, known: &Map<String, Value>) -> Vec<(String, Value)> {
        let differs = |field: &&Field| {
            let value = known.get(field.name).unwrap_or(&Value::Null);
            self.known_by.contains(&field.name) || !field.same(value, &field.default.of(known, known))
        };
        let value = |field: &Field| (field.name.to_owned(), known.get(field.name).cloned().unwrap_or_default());
        self.fields.iter().filter(differs).map(value).collect()
    }
}
