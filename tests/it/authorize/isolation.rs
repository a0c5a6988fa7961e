//! Every kind of token, code, session, client and key of one provider at every endpoint of another:
//! unknown everywhere.

use serde_json::{Value, json};

use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::browser::{Arrived, Browser, PASSWORD, authorize_path};
use crate::support::http::Answer;

/// One provider with everything that can be had of it.
struct Tenant {
    base: &'static str,
    slug: &'static str,
    web: TestClient,
    public: TestClient,
    service: TestClient,
    opaque: TestClient,
    key: String,
}

/// What may be carried from one provider to another.
struct Loot {
    access: String,
    opaque: String,
    machine: String,
    refresh: String,
    id_token: String,
    code: String,
}

async fn tenant(app: &TestApp, base: &'static str, slug: &'static str) -> Tenant {
    app.person_at(slug, "ada", json!({})).await;
    let public = json!({"token_endpoint_auth_method": "none"});
    let opaque = json!({"access_token_format": "opaque"});
    Tenant {
        base,
        slug,
        web: app.web_client_of(slug, json!({})).await,
        public: app.web_client_of(slug, public).await,
        service: app.client_of(slug, json!({})).await,
        opaque: app.client_of(slug, opaque).await,
        key: app.api_key(json!({"name": slug, "role": "admin", "provider": slug})).await,
    }
}

async fn loot(app: &TestApp, tenant: &Tenant) -> Loot {
    let browser = Browser::new(app);
    let path = authorize_path(tenant.base, &tenant.web, &[("scope", "openid offline_access")]);
    let code = browser.authorize(&path, "ada").await.code();
    let tokens = app.redeem(tenant.base, &tenant.web, &code).await.json();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    Loot {
        access: text("access_token"),
        refresh: text("refresh_token"),
        id_token: text("id_token"),
        opaque: app.token_at(tenant.base, &tenant.opaque).await,
        machine: app.token_at(tenant.base, &tenant.service).await,
        code: browser.open(&path).await.code(),
    }
}

async fn introspect(app: &TestApp, at: &Tenant, token: &str) -> Value {
    let call = app.post(&format!("{}/oauth2/introspect", at.base)).form(&[("token", token)]).bearer(&at.key);
    call.send().await.json()
}

/// 400 or 401: unknown, never a success or a fault.
#[track_caller]
fn assert_unknown(answer: &Answer, what: &str) {
    assert!(matches!(answer.status, 400 | 401 | 404), "{what}: {} {}", answer.status, answer.text());
}

async fn tokens_are_unknown(app: &TestApp, from: &Tenant, to: &Tenant, loot: &Loot) {
    let all = [&loot.access, &loot.opaque, &loot.machine, &loot.refresh, &loot.id_token, &loot.code];
    for token in all {
        assert_eq!(introspect(app, to, token).await, json!({"active": false}), "{token}");
        let info = app.get(&format!("{}/oauth2/userinfo", to.base)).bearer(token).send().await;
        assert_eq!(info.status, 401, "userinfo of {}", to.slug);
        // Revoking it there is a 200 that changes nothing here.
        let revoke = app.post(&format!("{}/oauth2/revoke", to.base)).form(&[("token", token)]).bearer(&to.key);
        assert_eq!(revoke.send().await.status, 200);
    }
    assert_eq!(introspect(app, from, &loot.access).await["active"], json!(true));
    assert_eq!(introspect(app, from, &loot.opaque).await["active"], json!(true));
}

async fn grants_are_unknown(app: &TestApp, to: &Tenant, loot: &Loot) {
    for client in [&to.web, &to.public] {
        assert_unknown(&app.redeem(to.base, client, &loot.code).await, "code");
        assert_unknown(&app.refresh(to.base, client, &loot.refresh).await, "refresh token");
        for subject in [&loot.access, &loot.id_token] {
            let exchange = [
                ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
                ("subject_token", subject.as_str()),
                ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ];
            assert_unknown(&app.as_client(to.base, client, &exchange).await, "exchange");
        }
    }
}

async fn clients_are_unknown(app: &TestApp, from: &Tenant, to: &Tenant, loot: &Loot) {
    let credentials = [("grant_type", "client_credentials")];
    assert_eq!(app.as_client(to.base, &from.service, &credentials).await.status, 401);
    assert_eq!(app.redeem(to.base, &from.web, &loot.code).await.status, 401);
    assert_eq!(app.redeem(to.base, &from.public, &loot.code).await.status, 401);
    assert_eq!(app.refresh(to.base, &from.web, &loot.refresh).await.status, 401);
    let path = authorize_path(to.base, &from.web, &[]);
    assert_eq!(Browser::new(app).open(&path).await.page().status, 400);
    let call = app.post(&format!("{}/oauth2/introspect", to.base)).form(&[("token", &loot.access)]);
    assert_eq!(call.basic(&from.service.id, &from.service.secret).send().await.status, 401);
}

async fn keys_are_unknown(app: &TestApp, from: &Tenant, to: &Tenant, loot: &Loot) {
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let call = app.post(&format!("{}{path}", to.base)).form(&[("token", &loot.access)]);
        assert_eq!(call.bearer(&from.key).send().await.status, 401, "{path}");
    }
    for rest in ["", "/clients", "/users", "/trusted-issuers", "/signing-keys"] {
        let call = app.get(&format!("/admin/v1/providers/{}{rest}", to.slug));
        assert_eq!(call.bearer(&from.key).send().await.status, 404, "{rest}");
    }
    for token in [&loot.access, &loot.opaque, &loot.machine] {
        let call = app.get(&format!("/admin/v1/providers/{}", to.slug)).bearer(token);
        assert_eq!(call.send().await.status, 403);
    }
}

async fn sessions_are_unknown(app: &TestApp, from: &Tenant, to: &Tenant, loot: &Loot) {
    let browser = Browser::new(app);
    browser.authorize(&authorize_path(from.base, &from.web, &[]), "ada").await.code();
    let quiet = authorize_path(to.base, &to.web, &[("prompt", "none")]);
    assert_eq!(browser.open(&quiet).await.error(), "login_required");
    // The same secrets under the other provider's names.
    let names = Browser::new(app);
    names.authorize(&authorize_path(to.base, &to.web, &[]), "ada").await.code();
    let foreign = Browser::new(app);
    for ((name, _), (_, value)) in names.cookies().into_iter().zip(browser.cookies()) {
        foreign.set_cookie(&name, &value);
    }
    assert_eq!(foreign.open(&quiet).await.error(), "login_required");
    let hinted = authorize_path(to.base, &to.web, &[("prompt", "none"), ("id_token_hint", &loot.id_token)]);
    assert_eq!(names.open(&hinted).await.error(), "login_required");
    let logout = format!("{}/oauth2/logout?id_token_hint={}", to.base, loot.id_token);
    assert!(names.open(&logout).await.shows("logout-form"));
    // A flow of one provider at the other's login page.
    let page = browser.open(&authorize_path(from.base, &from.web, &[("prompt", "login")])).await;
    let Arrived::Page { path, .. } = &page else { panic!("no page") };
    let flow = path.split_once("flow=").map(|(_, flow)| flow).unwrap();
    let moved = browser.open(&format!("{}/login?flow={flow}", to.base)).await;
    assert!(moved.page().status >= 400);
}

on_both_apps! {
    async fn nothing_of_one_provider_is_known_at_another(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (default, acme) = (tenant(&app, "", "default").await, tenant(&app, "/p/acme", "acme").await);
        for (from, to) in [(&default, &acme), (&acme, &default)] {
            let loot = loot(&app, from).await;
            tokens_are_unknown(&app, from, to, &loot).await;
            grants_are_unknown(&app, to, &loot).await;
            clients_are_unknown(&app, from, to, &loot).await;
            keys_are_unknown(&app, from, to, &loot).await;
            sessions_are_unknown(&app, from, to, &loot).await;
            // After all that, everything still works at home.
            assert_eq!(app.redeem(from.base, &from.web, &loot.code).await.status, 200);
            assert_eq!(app.refresh(from.base, &from.web, &loot.refresh).await.status, 200);
        }
    }

    async fn a_person_of_one_provider_is_a_stranger_at_another(app: TestApp) {
        app.provider("acme", json!({})).await;
        app.person("ada").await;
        let fields = json!({"grant_types": ["password"], "scope": "openid"});
        let [here, there] = [app.client_of("default", fields.clone()).await, app.client_of("acme", fields).await];
        let login = [("grant_type", "password"), ("username", "ada"), ("password", PASSWORD)];
        assert_eq!(app.as_client("", &here, &login).await.status, 200);
        assert_eq!(app.as_client("/p/acme", &there, &login).await.refusal(), (400, "invalid_grant".to_owned()));
    }
}
