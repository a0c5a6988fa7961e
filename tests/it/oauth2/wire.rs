//! Each success and each error shape as it goes over the wire, kept as snapshots: the standard
//! endpoints, Run:ai and the admin API.

use std::time::Duration;

use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::browser::{CALLBACK, VERIFIER};
use crate::support::databases::{Kind, block_on};
use crate::support::http::{Call, FORM, JSON};
use crate::support::people::{Wish, text};
use crate::support::wire::shown;

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

/// The answers by name.
async fn answers<'a>(calls: Vec<(&str, Call<'a>)>) -> Value {
    let mut all = serde_json::Map::new();
    for (name, call) in calls {
        all.insert(name.to_owned(), shown(&call.send().await));
    }
    Value::Object(all)
}

async fn fixed(app: &TestApp, more: Value) -> crate::support::app::TestClient {
    let mut fields = json!({"client_id": "billing", "client_name": "Billing", "scope": "orders:read orders:write"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.client(fields).await
}

on_both_apps! {
    async fn the_standard_endpoints(app: TestApp) {
        let client = fixed(&app, json!({"audience": ["https://orders.example", "https://billing.example"]})).await;
        let (id, secret) = (client.id.as_str(), client.secret.as_str());
        let token = app.token(&client).await;
        let post = |path: &str, form: &[(&str, &str)]| app.post(path).form(form).basic(id, secret);
        let introspect = |token: &str| post("/oauth2/introspect", &[("token", token)]);
        let two = [GRANT[0], ("scope", "orders:read"), ("resource", "https://orders.example"), ("resource", "https://billing.example")];
        assert_json_snapshot!("oauth2_success", answers(vec![
            ("token", post("/oauth2/token", &GRANT)),
            ("token with scope and two resources", post("/oauth2/token", &two)),
            ("introspect active", introspect(&token)),
            ("introspect inactive", introspect("x")),
            ("revoke", post("/oauth2/revoke", &[("token", &token)])),
            ("introspect revoked", introspect(&token)),
            ("metadata", app.get("/.well-known/openid-configuration")),
            ("keys", app.get("/.well-known/jwks.json")),
            ("preflight", app.call("OPTIONS", "/oauth2/token")),
        ]).await);
        assert_json_snapshot!("oauth2_errors", answers(vec![
            ("invalid_request", post("/oauth2/token", &[])),
            ("invalid_client", app.post("/oauth2/token").form(&GRANT).basic(id, "wrong")),
            ("unauthorized_client", {
                app.change(&client, json!({"grant_types": []})).await;
                post("/oauth2/token", &GRANT)
            }),
            ("unsupported_grant_type", post("/oauth2/token", &[("grant_type", "password")])),
            ("wrong media type", app.post("/oauth2/token").body(JSON, "{}").basic(id, secret)),
            ("too large", app.post("/oauth2/token").body(FORM, "a".repeat(65_537))),
            ("invalid API key", app.post("/oauth2/introspect").form(&[("token", "x")]).bearer("gk_wrong")),
            ("unknown provider", app.post("/p/none/oauth2/token").form(&GRANT).basic(id, secret)),
            ("unknown path", app.get("/oauth2/nothing")),
            ("wrong method", app.get("/oauth2/introspect")),
        ]).await);
        app.change(&client, json!({"grant_types": ["client_credentials"]})).await;
        assert_json_snapshot!("oauth2_policy_errors", answers(vec![
            ("invalid_scope", post("/oauth2/token", &[GRANT[0], ("scope", "admin")])),
            ("invalid_target", post("/oauth2/token", &[GRANT[0], ("resource", "https://other.example")])),
        ]).await);
        for _ in 0..21 {
            app.post("/oauth2/token").form(&GRANT).basic(id, "wrong").send().await;
        }
        assert_json_snapshot!("oauth2_slowed", answers(vec![
            ("too many", app.post("/oauth2/token").form(&GRANT).basic(id, "wrong")),
        ]).await);
    }

    async fn the_grants_of_people(app: TestApp) {
        let client = app.web_client(json!({"client_id": "web", "scope": "openid profile email groups offline_access"})).await;
        let who = app.logged_in("ada").await;
        let wish = Wish { scope: "openid profile email offline_access", ..Wish::default() };
        let (code, tied) = (app.code(&client, &who, &wish).await, app.code(&client, &who, &Wish { scope: "openid", ..wish.clone() }).await);
        let tokens = app.tokens(&client, &who, &wish).await;
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let post = |path: &str, form: &[(&str, &str)]| app.post(path).form(form).basic("web", &client.secret);
        let redeem = |code: &str| {
            let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
            post("/oauth2/token", &fields)
        };
        let renew = |more: (&str, &str)| post("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", &refresh), more]);
        let exchange = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", "x"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ];
        assert_json_snapshot!("people_success", answers(vec![
            ("code", redeem(&code)),
            ("code, tied to the session", redeem(&tied)),
            ("refresh", renew(("x", "y"))),
            ("refresh with less scope", renew(("scope", "email"))),
            ("introspect", post("/oauth2/introspect", &[("token", &access)])),
            ("introspect refresh token", post("/oauth2/introspect", &[("token", &refresh)])),
            ("userinfo", app.get("/oauth2/userinfo").bearer(&access)),
            ("userinfo preflight", app.call("OPTIONS", "/oauth2/userinfo")),
        ]).await);
        assert_json_snapshot!("people_errors", answers(vec![
            ("code without code", post("/oauth2/token", &[("grant_type", "authorization_code")])),
            ("refresh without token", post("/oauth2/token", &[("grant_type", "refresh_token")])),
            ("password without password", post("/oauth2/token", &[("grant_type", "password"), ("username", "ada")])),
            ("jwt-bearer without assertion", post("/oauth2/token", &[("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")])),
            ("exchange without type", post("/oauth2/token", &exchange[..2])),
            ("exchange with an actor", post("/oauth2/token", &[&exchange[..], &[("actor_token", "x")]].concat())),
            ("exchange for a refresh token", post("/oauth2/token", &[&exchange[..], &[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")]].concat())),
            ("exchange not allowed", post("/oauth2/token", &exchange)),
            ("device code", post("/oauth2/token", &[("grant_type", "urn:ietf:params:oauth:grant-type:device_code")])),
            ("spent code", redeem(&code)),
            ("refresh with more scope", renew(("scope", "openid groups"))),
            ("refresh for another resource", renew(("resource", "https://elsewhere.example"))),
            ("forged refresh token", post("/oauth2/token", &[("grant_type", "refresh_token"), ("refresh_token", "gr_x")])),
            ("userinfo without token", app.get("/oauth2/userinfo")),
            ("userinfo with a bad token", app.get("/oauth2/userinfo").bearer("x")),
            ("userinfo with a token in the URL", app.get("/oauth2/userinfo?access_token=x")),
            ("userinfo without openid", {
                let flat = app.tokens(&client, &who, &Wish { scope: "email", ..wish.clone() }).await;
                app.get("/oauth2/userinfo").bearer(&text(&flat, "access_token"))
            }),
        ]).await);
    }

    // The examples of the API's own reference, with what a client of ours fills in.
    async fn run_ai(app: TestApp) {
        let client = fixed(&app, json!({"access_token_format": "opaque"})).await;
        let (id, secret) = (client.id.as_str(), client.secret.as_str());
        let v1 = |body: Value| app.post("/api/v1/token").json(&body);
        let app_token = |body: Value| app.post("/v1/k8s/auth/oauth/apptoken").json(&body);
        let v2 = |form: &[(&str, &str)]| app.post("/api/v2/token").form(form);
        assert_json_snapshot!("runai_success", answers(vec![
            ("client_credentials", v1(json!({"grantType": "client_credentials", "clientID": id, "clientSecret": secret}))),
            ("app_token", v1(json!({"grantType": "app_token", "appID": id, "appSecret": secret}))),
            ("app_token as its client sends it", v1(json!({"grantType": "app_token", "AppId": id, "AppSecret": secret}))),
            ("apptoken", app_token(json!({"id": id, "name": "my app", "secret": secret}))),
            ("v2", v2(&GRANT).basic(id, secret)),
        ]).await);
        assert_json_snapshot!("runai_v1_errors", answers(vec![
            ("missing parameter", v1(json!({"grantType": "app_token"}))),
            ("wrong secret", v1(json!({"grantType": "app_token", "appID": id, "appSecret": "wrong"}))),
            ("unknown client", v1(json!({"grantType": "app_token", "appID": "nobody", "appSecret": "wrong"}))),
            ("refresh_token", v1(json!({"grantType": "refresh_token", "refreshToken": "x", "clientID": "runai"}))),
            ("exchange_token", v1(json!({"grantType": "exchange_token", "code": "x", "clientID": "runai", "redirectUri": "https://a.example"}))),
            ("password", v1(json!({"grantType": "password", "username": "ann", "password": "x"}))),
            ("external_token_exchange", v1(json!({"grantType": "external_token_exchange", "externalToken": "x"}))),
            ("not JSON", app.post("/api/v1/token").body(JSON, "{")),
            ("two values", app.post("/api/v1/token").body(JSON, r#"{"appID":"a","AppId":"b"}"#)),
            ("not a string", v1(json!({"grantType": 7}))),
            ("too large", app.post("/api/v1/token").body(JSON, " ".repeat(65_537))),
            ("unknown path", app.get("/api/v1/token/x")),
            ("wrong method", app.get("/api/v1/token")),
        ]).await);
        assert_json_snapshot!("runai_apptoken_errors", answers(vec![
            ("missing parameter", app_token(json!({"id": id, "secret": secret}))),
            ("wrong secret", app_token(json!({"id": id, "name": "x", "secret": "wrong"}))),
            ("not JSON", app.post("/v1/k8s/auth/oauth/apptoken").body(JSON, "[]")),
            ("unknown path", app.get("/v1/k8s/x")),
            ("wrong method", app.get("/v1/k8s/auth/oauth/apptoken")),
        ]).await);
        assert_json_snapshot!("runai_v2_errors", answers(vec![
            ("invalid_request", v2(&[]).basic(id, secret)),
            ("invalid_client", v2(&GRANT).basic(id, "wrong")),
            ("invalid_scope", v2(&[GRANT[0], ("scope", "admin")]).basic(id, secret)),
            ("unsupported_grant_type", v2(&[("grant_type", "password")]).basic(id, secret)),
            ("unknown path", app.get("/api/v2/x")),
            ("wrong method", app.get("/api/v2/token")),
        ]).await);
    }

    async fn the_admin_api(app: TestApp) {
        let client = fixed(&app, json!({})).await;
        let path = format!("/providers/default/clients/{}", client.id);
        let secrets = format!("{path}/secrets");
        assert_json_snapshot!("admin_success", answers(vec![
            ("client created", app.admin("POST", "/providers/default/clients").json(&json!({"client_name": "x"}))),
            ("client read", app.admin("GET", &path)),
            ("client changed", app.admin("PATCH", &path).json(&json!({"scope": "orders:read"})).header("if-match", "\"1\"")),
            ("secret created", app.admin("POST", &secrets)),
            ("API key created", app.admin("POST", "/api-keys").json(&json!({"name": "k", "role": "member"}))),
            ("provider created", app.admin("POST", "/providers").json(&json!({"slug": "acme"}))),
            ("provider deleted", app.admin("DELETE", "/providers/acme")),
        ]).await);
        let member = app.api_key(json!({"role": "member"})).await;
        let clients = "/providers/default/clients";
        let token = app.token(&client).await;
        assert_json_snapshot!("admin_errors", answers(vec![
            ("400 malformed", app.admin("POST", clients).body(JSON, "{")),
            ("400 repeated member", app.admin("POST", clients).body(JSON, r#"{"scope":"a","scope":"b"}"#)),
            ("400 limit", app.admin("GET", "/providers?limit=0")),
            ("401 no key", app.get("/admin/v1/providers")),
            ("401 wrong key", app.get("/admin/v1/providers").bearer("gk_wrong")),
            ("403 role", app.post("/admin/v1/providers").bearer(&member).json(&json!({"slug": "x"}))),
            ("403 access token", app.get("/admin/v1/providers").bearer(&token)),
            ("404 thing", app.admin("GET", "/providers/default/clients/nobody")),
            ("404 path", app.admin("GET", "/nothing")),
            ("405", app.admin("PUT", "/providers")),
            ("409", app.admin("POST", clients).json(&json!({"client_id": "billing"}))),
            ("412", app.admin("PATCH", &path).json(&json!({"scope": "b"})).header("if-match", "\"1\"")),
            ("413", app.admin("POST", clients).body(JSON, " ".repeat(65_537))),
            ("415", app.admin("POST", clients).body("text/plain", "{}")),
            ("422 fields", app.admin("POST", clients).json(&json!({"nonsense": 1, "scope": 7, "a/b~c": 0}))),
            ("422 not built", app.admin("POST", clients).json(&json!({"require_pushed_authorization_requests": true, "dpop_bound_access_tokens": true}))),
            ("400 idempotency key", app.admin("GET", clients).header("idempotency-key", "x")),
        ]).await);
        for _ in 0..21 {
            app.get("/admin/v1/providers").bearer("gk_wrong").send().await;
        }
        assert_json_snapshot!("admin_slowed", answers(vec![
            ("429", app.get("/admin/v1/providers").bearer("gk_wrong")),
        ]).await);
    }
}

async fn unavailable(kind: Kind) {
    let setup = Setup { stale_after: Duration::ZERO, ..Setup::default() };
    let app = TestApp::start_as(kind, setup).await;
    let body = json!({"grantType": "app_token", "appID": "x", "appSecret": "x"});
    let apptoken = json!({"id": "x", "name": "x", "secret": "x"});
    let calls = vec![
        ("oauth2", app.post("/oauth2/token").form(&GRANT).basic("x", "x")),
        ("introspect", app.post("/oauth2/introspect").form(&[("token", "x")]).basic("x", "x")),
        ("runai v1", app.post("/api/v1/token").json(&body)),
        ("runai apptoken", app.post("/v1/k8s/auth/oauth/apptoken").json(&apptoken)),
        ("runai v2", app.post("/api/v2/token").form(&GRANT).basic("x", "x")),
        ("admin", app.admin("GET", "/providers")),
    ];
    assert_json_snapshot!("unavailable", answers(calls).await);
}

#[test]
fn a_node_that_may_not_decide_says_so_on_every_surface_sqlite() {
    block_on(unavailable(Kind::Sqlite));
}

#[test]
fn a_node_that_may_not_decide_says_so_on_every_surface_postgres() {
    block_on(unavailable(Kind::Postgres));
}
