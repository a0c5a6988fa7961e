//! One good call of each management route that is no GET, in an order in which all of them succeed. A
//! route without a line here fails the tests that go through them.

use grantd::admin::Admin;
use grantd::edge::Surface;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::http::Call;
use crate::support::people::{Wish, text};

/// A call that succeeds.
pub struct Case {
    /// `operationId` of its route.
    pub operation: &'static str,
    pub method: &'static str,
    /// Below `/admin/v1`.
    pub path: String,
    pub body: Option<Value>,
    /// Whether something is another way after it.
    pub changes: bool,
}

impl Case {
    /// By the owner, with a query if any.
    pub fn call<'a>(&self, app: &'a TestApp, query: &str) -> Call<'a> {
        let query = if self.path.contains('?') { query.replace('?', "&") } else { query.to_owned() };
        let call = app.admin(self.method, &format!("{}{query}", self.path));
        match &self.body {
            Some(body) => call.json(body),
            None => call,
        }
    }
}

/// Whether the route takes an `Idempotency-Key`: it answers 201 and is no mint.
pub fn is_creating(case: &Case) -> bool {
    case.operation.starts_with("create_") || case.operation.ends_with("_secrets")
}

/// The operations of all routes that are no GET.
pub fn changing_operations() -> Vec<&'static str> {
    let routes = Admin::routes().iter().filter(|route| !route.method.is_safe());
    routes.map(|route| route.operation_id).collect()
}

/// Makes what the calls are about, and gives the calls.
pub async fn cases(app: &TestApp) -> Vec<Case> {
    let who = app.logged_in("ada").await;
    let web = app.web_client(json!({})).await;
    let other = app.logged_in("bob").await;
    let grant = app.tokens(&web, &who, &Wish::default()).await;
    let grant = app.family_of(&text(&grant, "access_token")).await.grant.id.to_string();
    let client = app.client(json!({"client_name": "before"})).await;
    let machine = app.client(json!({"audience": ["api"]})).await;
    let made = async |path: &str, body: Value| {
        let answer = app.admin("POST", path).json(&body).send().await;
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
        answer.json()
    };
    let secret = text(&made(&format!("/providers/default/clients/{}/secrets", client.id), json!({})).await, "id");
    app.provider("doomed", json!({})).await;
    let key = text(&made("/api-keys", json!({"name": "before"})).await, "id");
    let key_secrets = format!("/api-keys/{key}/secrets");
    let key_secret = text(&made(&key_secrets, json!({})).await, "id");
    let issuer = json!({"issuer": "https://idp.example.net", "audiences": ["api"]});
    let trusted = text(&made("/providers/default/trusted-issuers", issuer.clone()).await, "id");
    let proven = crate::domains::proven(app, "default", &crate::domains::fresh_name()).await;
    let domain = made("/providers/default/domains", json!({"domain": crate::domains::fresh_name()})).await;
    crate::domains::publish(&domain);
    let second = made("/providers/default/domains", json!({"domain": crate::domains::fresh_name()})).await;
    let p = |rest: &str| format!("/providers/default/{rest}");
    for (kind, name) in [("scopes", "a:old"), ("roles", "old"), ("groups", "old")] {
        made(&format!("/providers/default/{kind}"), json!({"name": name})).await;
    }
    let third = app.logged_in("eve").await;
    let fourth = app.logged_in("eva").await;
    for who in [&third, &fourth] {
        app.tokens(&web, who, &Wish::default()).await;
    }
    let one = app.logged_in("eli").await;
    let one_grant = app.tokens(&web, &one, &Wish::default()).await;
    let one_grant = app.family_of(&text(&one_grant, "access_token")).await.grant.id.to_string();
    let hook = json!({"url": "https://hooks.example.net/grantd", "events": ["client.*"]});
    let webhook = text(&made("/webhooks", hook.clone()).await, "id");
    let dead = app.admin("POST", &format!("/webhooks/{webhook}/test")).send().await;
    assert_eq!(dead.status, 202, "{}", dead.text());
    let dead = text(&dead.json(), "id");
    app.job(|tx| {
        let end = "/* a test */ UPDATE webhook_deliveries SET state = 'dead', next_at = NULL, finished_at = created_at";
        Ok(diesel::RunQueryDsl::execute(diesel::sql_query(end), &mut **tx)?)
    })
    .await;
    let user = |rest: &str| p(&format!("users/{}{rest}", who.user));
    let token = json!({"token": "a.b.c"});
    let case = |operation, method, path: String, body: Value, changes| {
        let body = if body.is_null() { None } else { Some(body) };
        Case { operation, method, path, body, changes }
    };
    let nothing = || Value::Null;
    vec![
        case("create_provider", "POST", "/providers".to_owned(), json!({"slug": "made"}), true),
        case("update_provider", "PATCH", "/providers/default".to_owned(), json!({"name": "after"}), true),
        case("rotate_signing_keys", "POST", p("signing-keys/rotate"), json!({"alg": "ES256"}), true),
        case("create_domain", "POST", p("domains"), json!({"domain": crate::domains::fresh_name()}), true),
        case("verify_domain", "POST", p(&format!("domains/{}/verify", text(&domain, "id"))), nothing(), true),
        case("update_domain", "PATCH", p(&format!("domains/{}", text(&proven, "id"))), json!({"primary": true}), true),
        case("delete_domain", "DELETE", p(&format!("domains/{}", text(&second, "id"))), nothing(), true),
        case("create_client", "POST", p("clients"), json!({"client_name": "made", "scope": "new:scope"}), true),
        case(
            "update_client",
            "PATCH",
            p(&format!("clients/{}", client.id)),
            json!({"client_name": "after", "scope": "newer"}),
            true,
        ),
        case(
            "mint_client_token",
            "POST",
            p(&format!("clients/{}/tokens", machine.id)),
            json!({"ttl_seconds": 60}),
            false,
        ),
        case("create_client_secret", "POST", p(&format!("clients/{}/secrets", client.id)), json!({}), true),
        case("rotate_client_secrets", "POST", p(&format!("clients/{}/secrets/rotate", client.id)), json!({}), true),
        case("revoke_client_secret", "DELETE", p(&format!("clients/{}/secrets/{secret}", client.id)), nothing(), true),
        case("revoke_client_tokens", "DELETE", p(&format!("clients/{}/tokens", client.id)), nothing(), true),
        case("delete_client", "DELETE", p(&format!("clients/{}", client.id)), nothing(), true),
        case("create_user", "POST", p("users"), json!({"username": "made", "groups": ["g"], "roles": ["r"]}), true),
        case("update_user", "PATCH", user(""), json!({"name": "after", "groups": ["h"]}), true),
        case("revoke_user_grant", "DELETE", user(&format!("/grants/{grant}")), nothing(), true),
        case("end_user_session", "DELETE", user(&format!("/sessions/{}", who.session)), nothing(), true),
        case("end_user_sessions", "DELETE", p(&format!("users/{}/sessions", other.user)), nothing(), true),
        case("set_user_password", "POST", user("/password"), json!({"password": "correct horse battery"}), true),
        case("lock_user", "POST", user("/lock"), nothing(), true),
        case("unlock_user", "DELETE", user("/lock"), nothing(), true),
        case("delete_user", "DELETE", user(""), nothing(), true),
        case(
            "create_scope",
            "POST",
            p("scopes"),
            json!({"name": "https://api.example/read", "description": "all of it"}),
            true,
        ),
        case("update_scope", "PATCH", p("scopes/a:old"), json!({"description": "after"}), true),
        case("delete_scope", "DELETE", p("scopes/a:old"), nothing(), true),
        case("create_role", "POST", p("roles"), json!({"name": "made / 50%"}), true),
        case("update_role", "PATCH", p("roles/old"), json!({"description": "after"}), true),
        case("delete_role", "DELETE", p("roles/old"), nothing(), true),
        case("create_group", "POST", p("groups"), json!({"name": "made", "roles": ["by act"]}), true),
        case("update_group", "PATCH", p("groups/old"), json!({"roles": ["given"]}), true),
        case("delete_group", "DELETE", p("groups/old"), nothing(), true),
        case("revoke_grant", "DELETE", p(&format!("grants/{one_grant}")), nothing(), true),
        case("end_session", "DELETE", p(&format!("sessions/{}", one.session)), nothing(), true),
        case("revoke_grants", "DELETE", p(&format!("grants?user={}", third.user)), nothing(), true),
        case("end_sessions", "DELETE", p(&format!("sessions?user={}", fourth.user)), nothing(), true),
        case("create_webhook", "POST", "/webhooks".to_owned(), hook, true),
        case("update_webhook", "PATCH", format!("/webhooks/{webhook}"), json!({"events": ["user.*"]}), true),
        case("rotate_webhook_secret", "POST", format!("/webhooks/{webhook}/rotate-secret"), json!({}), true),
        case("test_webhook", "POST", format!("/webhooks/{webhook}/test"), nothing(), true),
        case("retry_delivery", "POST", format!("/webhooks/{webhook}/deliveries/{dead}/retry"), nothing(), true),
        case("delete_webhook", "DELETE", format!("/webhooks/{webhook}"), nothing(), true),
        case("create_api_key", "POST", "/api-keys".to_owned(), json!({"name": "made"}), true),
        case("update_api_key", "PATCH", format!("/api-keys/{key}"), json!({"name": "after"}), true),
        case("create_api_key_secret", "POST", key_secrets.clone(), json!({}), true),
        case("rotate_api_key_secrets", "POST", format!("{key_secrets}/rotate"), json!({"overlap_seconds": 60}), true),
        case("revoke_api_key_secret", "DELETE", format!("{key_secrets}/{key_secret}"), nothing(), true),
        case("rotate_data_key", "POST", "/data-keys/rotate".to_owned(), json!({"purpose": "browser"}), true),
        case("revoke_api_key_tokens", "DELETE", format!("/api-keys/{key}/tokens"), nothing(), true),
        case("delete_api_key", "DELETE", format!("/api-keys/{key}"), nothing(), true),
        case("create_trusted_issuer", "POST", p("trusted-issuers"), issuer, true),
        case("test_token", "POST", p("trusted-issuers/test"), token.clone(), false),
        case("test_trusted_issuer", "POST", p(&format!("trusted-issuers/{trusted}/test")), token, false),
        case("update_trusted_issuer", "PATCH", p(&format!("trusted-issuers/{trusted}")), json!({"max_ttl": 60}), true),
        case("delete_trusted_issuer", "DELETE", p(&format!("trusted-issuers/{trusted}")), nothing(), true),
        case("revoke_provider_tokens", "DELETE", p("tokens"), nothing(), true),
        case("delete_provider", "DELETE", "/providers/doomed".to_owned(), nothing(), true),
    ]
}
