//! Every call of the admin API by every role, bound to a provider and not: who is let in, who is refused. A
//! route that the table does not name fails the test.

use grantd::domain::Role;
use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};
use crate::support::documented::document;

/// Whom a call lets in.
#[derive(Clone, Copy, PartialEq)]
enum Needs {
    /// At least this role; a bound key at its own provider only.
    Role(Role),
    /// At least this role, and bound to none.
    Unbound(Role),
}

use Needs::{Role as AtLeast, Unbound};

const MEMBER: Needs = AtLeast(Role::Member);
const ADMIN: Needs = AtLeast(Role::Admin);

/// PRODUCT: a member reads providers, clients and scopes and mints; it sees no person, event or key.
const TABLE: &[(Needs, &str)] = &[
    (
        MEMBER,
        "list_providers read_provider list_clients read_client list_client_secrets read_client_secret list_domains \
         read_domain mint_client_token list_scopes read_scope",
    ),
    (
        ADMIN,
        "update_provider revoke_provider_tokens list_signing_keys read_signing_key rotate_signing_keys create_domain \
         update_domain delete_domain verify_domain create_client update_client delete_client revoke_client_tokens \
         create_client_secret rotate_client_secrets revoke_client_secret",
    ),
    (
        ADMIN,
        "list_users create_user read_user update_user delete_user set_user_password lock_user unlock_user \
         list_user_sessions end_user_sessions end_user_session list_user_grants revoke_user_grant list_sessions \
         end_sessions read_session end_session list_grants revoke_grants read_grant revoke_grant",
    ),
    (
        ADMIN,
        "list_api_keys create_api_key read_api_key update_api_key delete_api_key revoke_api_key_tokens \
         list_api_key_secrets create_api_key_secret rotate_api_key_secrets read_api_key_secret revoke_api_key_secret",
    ),
    (
        ADMIN,
        "list_trusted_issuers create_trusted_issuer test_token read_trusted_issuer update_trusted_issuer \
         delete_trusted_issuer test_trusted_issuer create_scope update_scope delete_scope list_roles create_role \
         read_role update_role delete_role list_groups create_group read_group update_group delete_group",
    ),
    (
        ADMIN,
        "report_secrets list_events export_events read_event explain_request list_webhooks create_webhook \
         read_webhook update_webhook delete_webhook rotate_webhook_secret test_webhook list_deliveries retry_delivery",
    ),
    (Unbound(Role::Admin), "create_provider delete_provider"),
    (Unbound(Role::Owner), "list_data_keys rotate_data_key"),
];

fn needs(operation_id: &str) -> Needs {
    let found = TABLE.iter().find(|(_, names)| names.split(' ').any(|name| name == operation_id));
    found.unwrap_or_else(|| panic!("{operation_id} is in no row of the table: who may call it?")).0
}

struct Caller {
    role: Option<Role>,
    is_bound: bool,
    key: String,
}

async fn callers(app: &TestApp) -> Vec<Caller> {
    let mut all = vec![Caller { role: None, is_bound: false, key: "gk_nobody".to_owned() }];
    for role in [Role::Default, Role::Member, Role::Admin, Role::Owner] {
        for is_bound in [false, true] {
            let mut fields = json!({"role": role.name()});
            if is_bound {
                fields["provider"] = json!("acme");
            }
            all.push(Caller { role: Some(role), is_bound, key: app.api_key(fields).await });
        }
    }
    all
}

/// What must come out; `None`: the caller is let in, and anything but 401, 403 and 5xx may come of it.
fn expected(needs: Needs, caller: &Caller, elsewhere: bool) -> Option<u16> {
    let Some(role) = caller.role else { return Some(401) };
    let (least, unbound) = match needs {
        AtLeast(least) => (least, false),
        Unbound(least) => (least, true),
    };
    if role < least || (unbound && caller.is_bound) {
        return Some(403);
    }
    (caller.is_bound && elsewhere).then_some(404)
}

/// A thing that is not there.
const NOTHING: &str = "01900000-0000-7000-8000-000000000000";

fn concrete(path: &str, provider: &str) -> String {
    let part = |part: &str| match part {
        "{provider}" => provider.to_owned(),
        // The one the whole row of a provider's own things is about.
        name if name.starts_with('{') => NOTHING.to_owned(),
        literal => literal.to_owned(),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A body that says no more than it must.
fn body(operation_id: &str, is_bound: bool) -> Value {
    match operation_id {
        "create_api_key" | "create_webhook" if is_bound => json!({"provider": "acme"}),
        "rotate_data_key" => json!({"purpose": "refresh"}),
        _ => json!({}),
    }
}

async fn called(app: &TestApp, caller: &Caller, (method, path): (&str, &str), body: Option<&Value>) -> (u16, String) {
    let path = if method == "get" { path.to_owned() } else { format!("{path}?dry_run=true") };
    // Another address each time: wrong keys are throttled by address.
    let call = app.call(&method.to_uppercase(), &path).bearer(&caller.key);
    let call = match body {
        Some(body) => call.json(body),
        None => call,
    };
    let answer = call.send().await;
    (answer.status, answer.text())
}

on_both_apps! {
    async fn every_call_lets_in_whom_the_table_says_and_nobody_else(app: TestApp) {
        app.provider("acme", json!({})).await;
        app.provider("other", json!({})).await;
        let callers = callers(&app).await;
        let mut flaws = Vec::new();
        let mut calls = 0;
        for (path, item) in document()["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap().iter().filter(|_| path.starts_with("/admin/")) {
                let id = operation["operationId"].as_str().unwrap();
                let needs = needs(id);
                for caller in &callers {
                    for provider in ["acme", "other"] {
                        if provider == "other" && !path.contains("{provider}") {
                            continue;
                        }
                        let sent = operation.get("requestBody").map(|_| body(id, caller.is_bound));
                        let at = concrete(path, provider);
                        let (status, text) = called(&app, caller, (method, &at), sent.as_ref()).await;
                        calls += 1;
                        let right = match expected(needs, caller, provider == "other") {
                            Some(wanted) => status == wanted || (wanted == 401 && status == 429),
                            None => !matches!(status, 401 | 403) && status < 500,
                        };
                        if !right {
                            let role = caller.role.map_or("nobody", Role::name);
                            let bound = if caller.is_bound { "bound to acme" } else { "unbound" };
                            flaws.push(format!("{id} at {provider} by {role}, {bound}: {status} {text}"));
                        }
                    }
                }
            }
        }
        assert!(calls > 900, "only {calls} calls");
        assert!(flaws.is_empty(), "{flaws:#?}");
    }
}
