//! Bad input at every endpoint that takes a body: the surface's own error, never a 5xx, and nothing
//! changed (HT1 to HT4, HT7).

use serde_json::{Value, json};

use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::http::{Answer, FORM, JSON};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Shape {
    /// `{error, error_description}`.
    OAuth,
    /// `{code, message}`.
    RunAi,
    /// problem+json.
    Problem,
}

const FORMS: [&str; 4] = ["/oauth2/token", "/oauth2/introspect", "/oauth2/revoke", "/api/v2/token"];
const RUNAI: [&str; 2] = ["/api/v1/token", "/v1/k8s/auth/oauth/apptoken"];

/// The endpoints that read a body, with one of each kind of management call.
fn endpoints(client: &TestClient) -> Vec<(&'static str, String, Shape)> {
    let admin = |path: &str| format!("/admin/v1{path}");
    let forms = FORMS.map(|path| ("POST", path.to_owned(), Shape::OAuth));
    let runai = RUNAI.map(|path| ("POST", path.to_owned(), Shape::RunAi));
    let managed = [
        ("POST", admin("/providers")),
        ("PATCH", admin("/providers/default")),
        ("POST", admin("/providers/default/clients")),
        ("PATCH", admin(&format!("/providers/default/clients/{}", client.id))),
        ("POST", admin(&format!("/providers/default/clients/{}/secrets", client.id))),
        ("POST", admin("/providers/default/signing-keys/rotate")),
        ("POST", admin("/api-keys")),
    ];
    let managed = managed.map(|(method, path)| (method, path, Shape::Problem));
    forms.into_iter().chain(runai).chain(managed).collect()
}

/// A client error in the surface's own shape.
fn judged(answer: &Answer, shape: Shape, what: &str) {
    assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.text());
    let body = answer.json();
    let text = |name: &str| body[name].as_str().is_some_and(|text| !text.is_empty());
    match shape {
        Shape::OAuth => assert!(text("error") && text("error_description"), "{what}: {body}"),
        Shape::RunAi => {
            assert_eq!(body["code"], json!(answer.status), "{what}: {body}");
            assert!(text("message") && [400, 404, 405].contains(&answer.status), "{what}: {body}");
        }
        Shape::Problem => {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
            assert_eq!(body["status"], json!(answer.status), "{what}: {body}");
            assert!(text("title") && text("detail") && text("request_id"), "{what}: {body}");
        }
    }
    // HT6, HT7
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!((answer.header("server"), answer.header("x-powered-by")), ("", ""));
    assert_eq!(answer.header("cache-control"), "no-store", "{what}");
    let text = answer.text();
    for leak in ["serde", "diesel", "actix", "panicked", "src/", "line ", "sqlite", "postgres"] {
        assert!(!text.contains(leak), "{what} tells of its inside: {text}");
    }
}

/// Bodies that no endpoint may take, with their media type; `None`: the endpoint's own.
fn bad_bodies() -> Vec<(Option<&'static str>, Vec<u8>)> {
    let deep = |open: &str, depth: usize| open.repeat(depth).into_bytes();
    let mut bodies: Vec<(Option<&str>, Vec<u8>)> = vec![
        (Some("text/plain"), b"nonsense".to_vec()),
        (Some(""), b"nonsense".to_vec()),
        (Some("multipart/form-data; boundary=x"), b"--x--".to_vec()),
        (Some("\u{e4}"), b"nonsense".to_vec()),
        (Some(JSON), b"grant_type=client_credentials".to_vec()),
        (None, b"{".to_vec()),
        (None, b"\xff\xfe\xfd".to_vec()),
        (None, b"%".to_vec()),
        (None, b"%zz=%zz&token=%zz%FF".to_vec()),
        (None, b"\xef\xbb\xbf{}".to_vec()),
        (None, b"{\"token\":".to_vec()),
        (None, b"[]".to_vec()),
        (None, b"null".to_vec()),
        (None, b"\"x\"".to_vec()),
        (None, b"\0".to_vec()),
        (None, b"token=%00&grant_type=%00&client_id=%00".to_vec()),
        (None, br#"{"grantType":"app_token","appID":"\u0000","appSecret":"\u0000"}"#.to_vec()),
        (None, br#"{"id":"\u0000","name":"\u0000","secret":"\u0000"}"#.to_vec()),
        (
            None,
            br#"{"slug":"a\u0000","client_name":"a\u0000","scope":"\u0000","name":"a\u0000","alg":"\u0000"}"#.to_vec(),
        ),
        (None, br#"{"\u0000":1}"#.to_vec()),
        (None, br#"{"a":"\ud800"}"#.to_vec()),
        (None, br#"{"name":"a","name":"b","slug":"x"}"#.to_vec()),
        (None, br#"{"grantType":"app_token","granttype":"password"}"#.to_vec()),
        (None, b"token=a&token=b&grant_type=client_credentials&grant_type=x".to_vec()),
        (None, br#"{"jwks":{"keys":[{"kty":"EC","x":{"a":[1e999]}}]},"name":-1e308,"slug":7}"#.to_vec()),
        (None, deep("[", 20_000)),
        (None, deep("{\"a\":", 10_000)),
        (None, vec![b'a'; 64 * 1024]),
        (None, vec![b' '; 64 * 1024 + 1]),
        (None, vec![b'&'; 64 * 1024 + 1]),
    ];
    for media_type in [JSON, FORM] {
        bodies.push((Some(media_type), b"&".repeat(100)));
    }
    bodies
}

async fn nothing_changed(app: &TestApp, before: &[(&'static str, i64)], what: &str) {
    assert_eq!(app.rows().await, before, "{what}");
}

on_both_apps! {
    async fn a_bad_body_is_refused_in_the_surfaces_shape_and_changes_nothing(app: TestApp) {
        let client = app.client(json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        let before = app.rows().await;
        for (method, path, shape) in endpoints(&client) {
            for (number, (media_type, body)) in bad_bodies().into_iter().enumerate() {
                let own = if shape == Shape::OAuth { FORM } else { JSON };
                let mut call = app.call(method, &path).body(media_type.unwrap_or(own), &body);
                if shape == Shape::Problem {
                    call = call.bearer(&app.first.owner_key);
                }
                // Another address each time: failed clients are slowed elsewhere.
                let answer = call.at_address(&format!("198.51.100.{}", number + 1)).send().await;
                let what = format!("{method} {path} body {number}");
                judged(&answer, shape, &what);
                if body.len() > 64 * 1024 {
                    assert_eq!(answer.status, if shape == Shape::Problem { 413 } else { 400 }, "{what}");
                }
            }
        }
        nothing_changed(&app, &before, "bad bodies").await;
    }

    async fn an_empty_body_is_refused_but_where_it_means_the_defaults(app: TestApp) {
        let client = app.client(json!({})).await;
        let before = app.rows().await;
        for (method, path, shape) in endpoints(&client) {
            if path.ends_with("/secrets") || path.ends_with("/rotate") {
                continue;
            }
            for media_type in [JSON, FORM, "", "text/plain"] {
                let mut call = app.call(method, &path).body(media_type, "");
                if shape == Shape::Problem {
                    call = call.bearer(&app.first.owner_key);
                }
                judged(&call.send().await, shape, &format!("{path} {media_type}"));
            }
        }
        nothing_changed(&app, &before, "empty bodies").await;
    }

    // As large as it may be: read, judged by what it says.
    async fn a_body_of_exactly_64_kib_is_read(app: TestApp) {
        let client = app.client(json!({})).await;
        let form = format!("grant_type=client_credentials&x={}", "a".repeat(64 * 1024 - 32));
        assert_eq!(form.len(), 64 * 1024);
        let answer = app.post("/oauth2/token").body(FORM, &form).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let longer = format!("{form}a");
        let answer = app.post("/oauth2/token").body(FORM, longer).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.refusal().0, 400);
        let mut body = json!({"grantType": "app_token", "appID": client.id, "appSecret": client.secret, "x": ""}).to_string();
        let room = 64 * 1024 - body.len();
        body = body.replace("\"x\":\"\"", &format!("\"x\":\"{}\"", "a".repeat(room)));
        assert_eq!(app.post("/api/v1/token").body(JSON, &body).send().await.status, 200);
    }

    // HT1 to HT4: paths, queries, methods and headers of every kind.
    async fn odd_paths_methods_and_headers_are_client_errors(app: TestApp) {
        let client = app.client(json!({})).await;
        let before = app.rows().await;
        let long = format!("/{}", "a".repeat(20_000));
        let paths = [
            "/", "//", "/oauth2", "/oauth2/", "/oauth2/token/", "/OAUTH2/TOKEN", "/oauth2//token", "/oauth2/../admin/v1/providers", "/oauth2/%2e%2e/x",
            "/%00", "/oauth2/token%00", "/p/%00/oauth2/token", "/p/a%00b/.well-known/jwks.json", "/p//oauth2/token", "/p/%ff/oauth2/token",
            "/admin/v1/providers/%00", "/admin/v1/providers/default/clients/%00", "/admin/v1/api-keys/%00", "/admin/v1/providers/default/signing-keys/%00",
            "/admin/v1/providers/default/clients/%F0%9F/secrets", "/admin/v2/x", "/admin", "/.well-known", "/.well-known/x", "/p/none/api/v1/token", &long,
        ];
        for path in paths {
            for method in ["GET", "POST", "PATCH", "DELETE", "TRACE", "CONNECTED"] {
                let answer = app.call(method, path).bearer(&app.first.owner_key).body(JSON, "{}").send().await;
                assert!((400..500).contains(&answer.status), "{method} {path:.60}: {} {}", answer.status, answer.text());
                assert!(answer.json().is_object(), "{method} {path:.60}");
            }
        }
        for query in ["cursor=AA", "cursor=%00", "cursor=!", "limit=0", "limit=501", "limit=x", "limit=-1", "limit="] {
            for path in ["/providers", "/providers/default/clients", "/api-keys"] {
                let answer = app.admin("GET", &format!("{path}?{query}")).send().await;
                assert_eq!(answer.status, 400, "{path}?{query}: {}", answer.text());
            }
        }
        let huge = "x".repeat(30_000);
        for name in ["authorization", "content-type", "if-match", "if-none-match", "dpop", "idempotency-key", "x-forwarded-for", "cookie", "origin", "x-request-id"] {
            for path in ["/oauth2/token", "/oauth2/introspect", "/api/v1/token", "/admin/v1/providers", "/.well-known/jwks.json"] {
                for value in [huge.as_str(), "\u{ff}\u{fe}", "", ",", "\"", "Bearer", "Bearer  ", "Basic \u{e4}"] {
                    let answer = app.post(path).body(JSON, "").header(name, value).send().await;
                    assert!((400..500).contains(&answer.status), "{name} at {path}: {}", answer.status);
                }
            }
        }
        nothing_changed(&app, &before, "odd requests").await;
        let answer = app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.status, 200);
    }

    // NUL in places of its own: what proves a client.
    async fn a_nul_in_a_credential_is_a_failed_client(app: TestApp) {
        use crate::support::jose::Signer;
        let signer = Signer::es256();
        let fields = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [signer.jwk("k1")]}});
        let client = app.client(fields).await;
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let claims = |id: &str, jti: &str| json!({"iss": id, "sub": id, "aud": crate::support::app::ISSUER, "exp": app.now() + 60, "jti": jti});
        for claims in [claims("a\0", "j"), claims(&client.id, "a\0b")] {
            let assertion = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims);
            let form = [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", &assertion)];
            assert_eq!(app.post("/oauth2/token").form(&form).send().await.status, 401);
        }
        for pair in ["a%00:b", "a:%00", "a\0:b"] {
            use base64::Engine as _;
            let header = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
            let answer = app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).header("authorization", &header).send().await;
            assert_eq!(answer.status, 401, "{pair}");
        }
    }

    // A change that fails in one field changes none.
    async fn a_half_good_change_changes_nothing(app: TestApp) {
        let client = app.client(json!({"scope": "a"})).await;
        let before = app.rows().await;
        let path = format!("/providers/default/clients/{}", client.id);
        let shown: Value = app.admin("GET", &path).send().await.json();
        for bad in [
            json!({"scope": "b", "unknown": 1}), json!({"scope": "b", "access_token_ttl": 0}), json!({"scope": "b", "dpop_bound_access_tokens": true}),
            json!({"scope": "b", "client_id": "x"}), json!({"scope": "b", "client_secret": "x"}), json!({"scope": 7}),
        ] {
            let answer = app.admin("PATCH", &path).json(&bad).send().await;
            assert_eq!(answer.status, 422, "{bad}: {}", answer.text());
            assert_eq!(app.admin("GET", &path).send().await.json(), shown);
        }
        nothing_changed(&app, &before, "refused changes").await;
    }
}
