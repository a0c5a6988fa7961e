//! `/providers/{provider}/scopes`, `…/roles`, `…/groups`: names, what they are for, and what a group gives.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::admin::fields::fields;
use crate::admin::input::Fields;
use crate::admin::list::Kind;
use crate::admin::wire::{time, value};
use crate::admin::{call, created, describe, list as listing, route, shown, version};
use crate::domain::{Named, NamedKind};
use crate::edge::RouteSpec;
use crate::edge::describe::WireTime;
use crate::engine::Engine;
use crate::engine::manage::named::{NamedDraft, PlainDraft};

const SCOPES: &str = "/admin/v1/providers/{provider}/scopes";
const SCOPE: &str = "/admin/v1/providers/{provider}/scopes/{name}";
const ROLES: &str = "/admin/v1/providers/{provider}/roles";
const ROLE: &str = "/admin/v1/providers/{provider}/roles/{name}";
const GROUPS: &str = "/admin/v1/providers/{provider}/groups";
const GROUP: &str = "/admin/v1/providers/{provider}/groups/{name}";

pub static ROUTES: &[RouteSpec] = &[
    route(Method::GET, SCOPES, "list_scopes", "Scopes", || web::to(list::<Scope>)).doc(describe::lists::<ScopeOut>),
    route(Method::POST, SCOPES, "create_scope", "Make a scope", || web::to(create::<Scope>))
        .doc(describe::creates::<ScopeFields, ScopeOut>),
    route(Method::GET, SCOPE, "read_scope", "A scope", || web::to(read::<Scope>)).doc(describe::reads::<ScopeOut>),
    route(Method::PATCH, SCOPE, "update_scope", "Change a scope", || web::to(update::<Scope>))
        .doc(describe::changes::<ScopeFields, ScopeOut>),
    route(Method::DELETE, SCOPE, "delete_scope", "End a scope that no client has", || web::to(delete::<Scope>))
        .doc(describe::deletes),
    route(Method::GET, ROLES, "list_roles", "Roles", || web::to(list::<Role>)).doc(describe::lists::<RoleOut>),
    route(Method::POST, ROLES, "create_role", "Make a role", || web::to(create::<Role>))
        .doc(describe::creates::<RoleFields, RoleOut>),
    route(Method::GET, ROLE, "read_role", "A role", || web::to(read::<Role>)).doc(describe::reads::<RoleOut>),
    route(Method::PATCH, ROLE, "update_role", "Change a role", || web::to(update::<Role>))
        .doc(describe::changes::<RoleFields, RoleOut>),
    route(Method::DELETE, ROLE, "delete_role", "End a role, and take it off everybody", || web::to(delete::<Role>))
        .doc(describe::deletes),
    route(Method::GET, GROUPS, "list_groups", "Groups", || web::to(list::<Group>)).doc(describe::lists::<GroupOut>),
    route(Method::POST, GROUPS, "create_group", "Make a group", || web::to(create::<Group>))
        .doc(describe::creates::<GroupFields, GroupOut>),
    route(Method::GET, GROUP, "read_group", "A group", || web::to(read::<Group>)).doc(describe::reads::<GroupOut>),
    route(Method::PATCH, GROUP, "update_group", "Change a group", || web::to(update::<Group>))
        .doc(describe::changes::<GroupFields, GroupOut>),
    route(Method::DELETE, GROUP, "delete_group", "End a group, and take it off its members", || {
        web::to(delete::<Group>)
    })
    .doc(describe::deletes),
];

fields! {
    /// A scope: what a client may ask for.
    ScopeFields => PlainDraft named "Scope" required [name] at_creation [name] {
        /// One scope token (RFC 6749 §3.3).
        name: String { "minLength": 1, "maxLength": 256 },
        /// What it is for.
        description: String { "minLength": 1, "maxLength": 255 },
    }
}

fields! {
    /// A role: what a person is to the applications, in claim `roles`.
    RoleFields => PlainDraft named "Role" required [name] at_creation [name] {
        name: String { "minLength": 1, "maxLength": 255 },
        /// What it is for.
        description: String { "minLength": 1, "maxLength": 255 },
    }
}

fields! {
    /// A group of people, in claim `groups`, and the roles that they have by it.
    GroupFields => NamedDraft named "Group" required [name] at_creation [name] {
        name: String { "minLength": 1, "maxLength": 255 },
        /// What it is for.
        description: String { "minLength": 1, "maxLength": 255 },
        /// What its members are given; one that does not exist is made.
        roles: Vec<String> { "items": { "type": "string", "minLength": 1, "maxLength": 255 }, "maxItems": 256 },
    }
}

/// A scope.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Scope")]
pub struct ScopeOut {
    name: String,
    description: Option<String>,
    /// Exists at every provider; nothing about it can be changed.
    built_in: bool,
    /// Null where it is built in.
    #[schemars(with = "Option<WireTime>")]
    created_at: Option<String>,
}

/// A role.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Role")]
pub struct RoleOut {
    name: String,
    description: Option<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
}

/// A group.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Group")]
pub struct GroupOut {
    name: String,
    description: Option<String>,
    roles: Vec<String>,
    #[schemars(with = "WireTime")]
    created_at: String,
}

/// One of the three sorts.
trait Sort: 'static {
    const KIND: NamedKind;
    fn draft(fields: &mut Fields) -> NamedDraft;
    fn show(named: Named) -> Value;
}

struct Scope;
struct Role;
struct Group;

impl Sort for Scope {
    const KIND: NamedKind = NamedKind::Scope;

    fn draft(fields: &mut Fields) -> NamedDraft {
        ScopeFields::draft(fields).into()
    }

    fn show(named: Named) -> Value {
        let built_in = named.is_built_in();
        let created_at = (!built_in).then(|| time(named.created_at));
        value(ScopeOut { name: named.name, description: named.description, built_in, created_at })
    }
}

impl Sort for Role {
    const KIND: NamedKind = NamedKind::Role;

    fn draft(fields: &mut Fields) -> NamedDraft {
        RoleFields::draft(fields).into()
    }

    fn show(named: Named) -> Value {
        let created_at = time(named.created_at);
        value(RoleOut { name: named.name, description: named.description, created_at })
    }
}

impl Sort for Group {
    const KIND: NamedKind = NamedKind::Group;

    fn draft(fields: &mut Fields) -> NamedDraft {
        GroupFields::draft(fields)
    }

    fn show(named: Named) -> Value {
        let Named { provider: _, name, description, roles, version: _, created_at } = named;
        value(GroupOut { name, description, roles, created_at: time(created_at) })
    }
}

async fn list<S: Sort>(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let page = listing::page(received, &Kind::Text)?;
        let provider = received.path("provider");
        let read = async |page| engine.list_named(&received.ctx, actor, S::KIND, provider, page).await;
        listing::answer(received, page, read, S::show).await
    })
    .await
}

async fn create<S: Sort>(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let mut fields = Fields::of(received, false)?;
        let draft = S::draft(&mut fields);
        let named = engine.create_named(&received.ctx, actor, S::KIND, received.path("provider"), draft).await?;
        let (name, version) = (named.name.clone(), named.version);
        Ok(created(received, &name, Some(version), &S::show(named)))
    })
    .await
}

async fn read<S: Sort>(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let (provider, name) = (received.path("provider"), name(received.path("name")));
        let named = engine.read_named(&received.ctx, actor, S::KIND, provider, &name).await?;
        Ok(shown(named.version, &S::show(named)))
    })
    .await
}

async fn update<S: Sort>(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let mut fields = Fields::of(received, false)?;
        let change = S::draft(&mut fields);
        let (provider, name) = (received.path("provider"), name(received.path("name")));
        let which = (S::KIND, provider, name.as_str());
        let named = engine.update_named(&received.ctx, actor, which, change, expected).await?;
        Ok(shown(named.version, &S::show(named)))
    })
    .await
}

async fn delete<S: Sort>(request: HttpRequest, payload: web::Payload, engine: web::Data<Engine>) -> HttpResponse {
    call(request, payload, engine, async |received, engine, actor| {
        let expected = version::expected(received.request.headers())?;
        let (provider, name) = (received.path("provider"), name(received.path("name")));
        engine.delete_named(&received.ctx, actor, (S::KIND, provider, &name), expected).await?;
        Ok(HttpResponse::NoContent().finish())
    })
    .await
}

/// The router leaves `%2F`, `%2B` and `%25` as they are, and decodes everything else.
fn name(part: &str) -> String {
    let mut name = part.to_owned();
    for (encoded, plain) in [("%2F", "/"), ("%2f", "/"), ("%2B", "+"), ("%2b", "+"), ("%25", "%")] {
        name = name.replace(encoded, plain);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_out_of_its_path_whole() {
        assert_eq!(name("https:%2F%2Fapi.example%2fread"), "https://api.example/read");
        assert_eq!(name("50%25%2Bä"), "50%+ä");
        assert_eq!(name("%252F"), "%2F");
    }
}
