//! What every token surface has in common: it can be switched off, bound to a host and pointed at a
//! provider, and a provider turns it on below its own path.

use serde_json::{Value, json};

use crate::support::app::{Setup, TestApp};
use crate::support::databases::{Kind, block_on};
use crate::support::http::Answer;
use crate::support::jose::decoded;

/// Name, method and path of a token call.
const SURFACES: [(&str, &str, &str); 3] = [
    ("deepgram", "POST", "/v1/auth/grant"),
    ("vocalstack", "GET", "/security/generate-token?one_time=false"),
    ("endorsed", "POST", "/api/v1/auth/tokens"),
];

/// Who calls: a key for the surfaces that take one, a client of `provider` for the other.
struct Caller {
    key: String,
    client: Value,
}

impl Caller {
    async fn of(app: &TestApp, provider: &str, key: Value) -> Self {
        let client = app.client_of(provider, json!({})).await;
        let client =
            json!({"grant_type": "client_credentials", "client_id": client.id, "client_secret": client.secret});
        Self { key: app.api_key(key).await, client }
    }

    async fn call(&self, app: &TestApp, (name, method, path): (&str, &str, &str), base: &str, host: &str) -> Answer {
        let call = app.call(method, &format!("{base}{path}")).header("host", host);
        let call = if name == "endorsed" { call.json(&self.client) } else { call.header("authorization", &self.key) };
        call.send().await
    }
}

/// `iss` of the token in a successful answer.
#[track_caller]
fn issuer(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let token = body["access_token"].as_str().or(body["data"].as_str()).unwrap();
    decoded(token).1["iss"].as_str().unwrap().to_owned()
}

/// Whether the OpenAPI document has each of the calls.
async fn described(app: &TestApp) -> [bool; 3] {
    let document = app.get("/openapi.json").send().await.json();
    SURFACES.map(|(_, method, path)| {
        let path = path.split('?').next().unwrap();
        document["paths"][path][method.to_lowercase()].is_object()
    })
}

fn started(environment: &'static [(&'static str, &'static str)], test: impl AsyncFnOnce(TestApp)) {
    block_on(async {
        test(TestApp::start_as(Kind::Sqlite, Setup { environment, ..Setup::default() }).await).await;
    });
}

#[test]
fn a_surface_that_is_off_is_not_there() {
    let environment = &[
        ("GRANTD_SURFACES__DEEPGRAM__ENABLED", "false"),
        ("GRANTD_SURFACES__VOCALSTACK__ENABLED", "false"),
        ("GRANTD_SURFACES__ENDORSED__ENABLED", "false"),
    ];
    started(environment, async |app| {
        let caller = Caller::of(&app, "default", json!({"role": "member"})).await;
        app.provider("acme", json!({"surfaces": ["deepgram", "vocalstack", "endorsed"]})).await;
        for surface in SURFACES {
            for base in ["", "/p/acme"] {
                assert_eq!(caller.call(&app, surface, base, "id.example.com").await.status, 404, "{base} {surface:?}");
            }
        }
        let answer = app.get("/api/v1/auth/other").send().await;
        assert_eq!((answer.status, &answer.json()["code"]), (404, &json!(404)), "what is not Endorsed's is Run:ai's");
        for path in ["/security/other", "/p/acme/security/other", "/v1/auth/other"] {
            let answer = app.get(path).send().await;
            assert_eq!((answer.refusal().1.as_str(), answer.header("x-api-version")), ("not_found", ""), "{path}");
        }
        assert_eq!(described(&app).await, [false; 3]);
        let answer = app.get("/healthz").header("x-expected-api-version", "1.1.0").send().await;
        assert_eq!(answer.header("x-api-version"), "", "nobody speaks that version");
    });
}

#[test]
fn what_is_unknown_below_a_surface_is_answered_by_it_and_a_longer_word_is_not_below() {
    started(&[], async |app| {
        app.provider("acme", json!({})).await;
        let member = |answer: &Answer| answer.json().as_object().map(|body| body.keys().next().unwrap().clone());
        for base in ["", "/p/acme"] {
            for (path, first) in [
                ("/v1/auth", "err_code"),
                ("/api/v1/auth", "error"),
                ("/api/v2", "error"),
                ("/v1/k8s", "code"),
                ("/v1/tenants/", "code"),
            ] {
                for path in [format!("{base}{path}"), format!("{base}{path}/nothing")] {
                    let answer = app.get(&path).send().await;
                    assert_eq!((answer.status, member(&answer).as_deref()), (404, Some(first)), "{path}");
                    assert_eq!(answer.json()["is_error"] == json!(true), path.contains("/api/v1/auth"), "{path}");
                }
            }
            for path in ["/security", "/security/", "/security/other"] {
                let answer = app.get(&format!("{base}{path}")).send().await;
                assert_eq!((answer.status, answer.header("x-api-version")), (404, "1.1.0"), "{base}{path}");
            }
            // Run:ai has all of /api/v1 but Endorsed's part.
            for path in ["/api/v1/authority", "/api/v1/tokens", "/api/v1"] {
                let answer = app.get(&format!("{base}{path}")).send().await;
                assert_eq!((answer.status, &answer.json()["code"]), (404, &json!(404)), "{base}{path}");
            }
            for path in ["/v1/projectsx", "/v1/authx", "/securityx", "/v1/tenantsx", "/adminx", "/loginx"] {
                let answer = app.get(&format!("{base}{path}")).send().await;
                assert_eq!(answer.refusal(), (404, "not_found".to_owned()), "{base}{path}");
                assert_eq!(
                    (answer.header("x-api-version"), answer.json()["is_error"].clone()),
                    ("", Value::Null),
                    "{base}{path}"
                );
            }
        }
        for path in ["/admin", "/admin/x"] {
            assert_eq!(app.get(path).send().await.header("content-type"), "application/problem+json", "{path}");
        }
        for path in ["/account/x", "/assets", "/p/acme/assets/x"] {
            assert!(app.get(path).send().await.header("content-type").starts_with("text/html"), "{path}");
        }
    });
}

#[test]
fn a_surface_that_is_bound_to_a_host_answers_there_only() {
    let environment = &[
        ("GRANTD_SURFACES__DEEPGRAM__HOST", "deepgram.example.com"),
        ("GRANTD_SURFACES__VOCALSTACK__HOST", "vocalstack.example.com"),
        ("GRANTD_SURFACES__ENDORSED__HOST", "endorsed.example.com"),
    ];
    started(environment, async |app| {
        let caller = Caller::of(&app, "default", json!({"role": "member"})).await;
        app.provider("acme", json!({"surfaces": ["deepgram", "vocalstack", "endorsed"]})).await;
        let acme = Caller::of(&app, "acme", json!({"role": "member", "provider": "acme"})).await;
        for surface in SURFACES {
            let answer = acme.call(&app, surface, "/p/acme", "id.example.com").await;
            assert_eq!(issuer(&answer), "https://id.example.com/p/acme", "the host binds the root: {surface:?}");
            let host = format!("{}.example.com", surface.0);
            for host in [host.clone(), host.to_uppercase(), format!("{host}:8443")] {
                assert_eq!(caller.call(&app, surface, "", &host).await.status, 200, "{host} {surface:?}");
            }
            for host in ["id.example.com", "example.com", &format!("x{host}")] {
                assert_eq!(caller.call(&app, surface, "", host).await.status, 404, "{host} {surface:?}");
            }
        }
    });
}

#[test]
fn a_surface_serves_the_provider_it_is_pointed_at_and_a_bound_key_its_own() {
    let environment = &[
        ("GRANTD_SURFACES__DEEPGRAM__PROVIDER", "acme"),
        ("GRANTD_SURFACES__VOCALSTACK__PROVIDER", "acme"),
        ("GRANTD_SURFACES__ENDORSED__PROVIDER", "acme"),
    ];
    started(environment, async |app| {
        for slug in ["acme", "other"] {
            app.provider(slug, json!({})).await;
        }
        let free = Caller::of(&app, "acme", json!({"role": "member"})).await;
        let bound = Caller::of(&app, "other", json!({"role": "member", "provider": "other"})).await;
        for surface in SURFACES {
            let host = "id.example.com";
            let answer = free.call(&app, surface, "", host).await;
            assert_eq!(issuer(&answer), "https://id.example.com/p/acme", "{surface:?}");
            let answer = bound.call(&app, surface, "", host).await;
            match surface.0 {
                "endorsed" => assert_eq!(answer.status, 401, "a client of another provider is unknown"),
                _ => assert_eq!(issuer(&answer), "https://id.example.com/p/other", "{surface:?}"),
            }
        }
    });
}

#[test]
fn a_provider_turns_a_surface_on_below_its_own_path() {
    started(&[], async |app| {
        assert_eq!(described(&app).await, [true; 3]);
        app.provider("acme", json!({})).await;
        let free = Caller::of(&app, "acme", json!({"role": "member"})).await;
        let foreign = Caller::of(&app, "default", json!({"role": "member", "provider": "default"})).await;
        for surface in SURFACES {
            let host = "id.example.com";
            assert_eq!(free.call(&app, surface, "/p/acme", host).await.status, 404, "{surface:?}");
            let change = json!({"surfaces": [surface.0]});
            assert_eq!(app.admin("PATCH", "/providers/acme").json(&change).send().await.status, 200);
            let answer = free.call(&app, surface, "/p/acme", host).await;
            assert_eq!(issuer(&answer), "https://id.example.com/p/acme", "{surface:?}");
            assert_eq!(foreign.call(&app, surface, "/p/acme", host).await.status, 401, "{surface:?}");
            assert_eq!(free.call(&app, surface, "/p/default", host).await.status, 404, "{surface:?}");
        }
    });
}
