//! `/admin/v1/providers/{p}/trusted-issuers`: what is taken, what is shown, and who may.

use serde_json::{Value, json};

use super::{AUDIENCE, IDP, ROWS};
use crate::support::app::{ISSUER, TestApp, on_both_apps};
use crate::support::http::Answer;
use crate::support::jose::Signer;

fn minimal() -> Value {
    json!({"issuer": IDP, "audiences": [AUDIENCE]})
}

fn pointers(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    assert_eq!(answer.status, 422, "{body}");
    let mut all: Vec<String> =
        body["errors"].as_array().unwrap().iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect();
    all.sort();
    all
}

async fn post(app: &TestApp, body: &Value) -> Answer {
    app.admin("POST", ROWS).json(body).send().await
}

on_both_apps! {
    async fn a_row_is_made_with_defaults_that_let_nobody_in(app: TestApp) {
        let made = post(&app, &minimal()).await;
        assert_eq!(made.status, 201, "{}", made.text());
        let row = made.json();
        let id = row["id"].as_str().unwrap();
        assert_eq!(made.header("location"), format!("/admin/v1{ROWS}/{id}"));
        let expected = json!({
            "id": id, "issuer": IDP, "jwks": null, "jwks_uri": null, "purpose": "exchange", "clients": [],
            "audiences": [AUDIENCE], "algorithms": ["RS256", "ES256", "EdDSA"], "subject_claim": "sub", "conditions": [],
            "token_types": [], "require_jti": false, "max_age": null, "map_to": "user", "provision": "none",
            "link_by_verified_email": false, "allow_refresh": false, "scope": null, "audience": [], "max_ttl": null,
            "fingerprints": [], "enabled": true, "created_at": row["created_at"], "updated_at": row["updated_at"],
        });
        assert_eq!(row, expected);
        let read = app.admin("GET", &format!("{ROWS}/{id}")).send().await;
        assert_eq!((read.json(), read.header("etag")), (expected, "\"1\""));
        let change = json!({"conditions": [{"claim": "a", "operator": "in", "value": ["x", true, 1]}, {"claim": "b", "operator": "like", "value": "*"}],
            "max_ttl": 60, "scope": "b a", "enabled": false, "jwks_uri": "https://idp.example.com/jwks", "map_to": "client", "purpose": "validate"});
        let changed = app.admin("PATCH", &format!("{ROWS}/{id}")).json(&change).header("if-match", "\"1\"").send().await;
        assert_eq!((changed.status, changed.header("etag")), (200, "\"2\""), "{}", changed.text());
        let shown = changed.json();
        assert_eq!(shown["conditions"], json!([{"claim": "a", "operator": "in", "value": ["x", "true", "1"]}, {"claim": "b", "operator": "like", "value": "*"}]));
        for name in ["max_ttl", "scope", "enabled", "jwks_uri", "map_to", "purpose"] {
            assert_eq!(shown[name], change[name], "{name}");
        }
        let stale = app.admin("PATCH", &format!("{ROWS}/{id}")).json(&json!({"max_ttl": 1})).header("if-match", "\"1\"").send().await;
        assert_eq!(stale.status, 412);
        let reset = json!({"conditions": null, "max_ttl": null, "scope": null, "jwks_uri": null, "map_to": null, "purpose": null, "enabled": null});
        let reset = app.admin("PATCH", &format!("{ROWS}/{id}")).json(&reset).send().await.json();
        assert_eq!((&reset["conditions"], &reset["map_to"], &reset["jwks_uri"], &reset["enabled"]), (&json!([]), &json!("user"), &json!(null), &json!(true)));
        let listed = app.admin("GET", ROWS).send().await.json();
        assert_eq!(listed["items"][0]["id"], json!(id));
        assert_eq!(app.admin("DELETE", &format!("{ROWS}/{id}")).send().await.status, 204);
        for (method, path) in [("GET", format!("{ROWS}/{id}")), ("DELETE", format!("{ROWS}/{id}")), ("GET", format!("{ROWS}/nonsense"))] {
            assert_eq!(app.admin(method, &path).send().await.status, 404, "{method} {path}");
        }
        assert_eq!(app.admin("GET", ROWS).send().await.json()["items"], json!([]));
        assert_eq!(post(&app, &minimal()).await.status, 201, "its issuer may be trusted again");
    }

    async fn every_field_comes_back_as_it_was_sent(app: TestApp) {
        let client = app.client(json!({})).await;
        let fields = json!({
            "issuer": "https://other.example/tenant/", "jwks_uri": "https://other.example/jwks?v=2", "purpose": "exchange",
            "clients": [client.id, "runai"], "audiences": ["a", "https://b.example"], "algorithms": ["PS384", "ES384"],
            "subject_claim": "oid", "conditions": [{"claim": "https://x.example/y", "operator": "not_like", "value": "?*"}],
            "token_types": ["urn:ietf:params:oauth:token-type:id_token"], "require_jti": true, "max_age": 77,
            "map_to": "user", "provision": "jit", "link_by_verified_email": true, "allow_refresh": true,
            "scope": "openid a", "audience": ["https://api.example"], "max_ttl": 99, "fingerprints": ["990F4193972F2BECF12DDEDA5237F9C952F20D9E"], "enabled": false,
        });
        let made = post(&app, &fields).await.json();
        let read = app.admin("GET", &format!("{ROWS}/{}", made["id"].as_str().unwrap())).send().await.json();
        assert_eq!(read, made);
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!(&read[name], value, "{name}");
        }
        let again = app.admin("PATCH", &format!("{ROWS}/{}", made["id"].as_str().unwrap())).json(&fields).send().await;
        assert_eq!((again.status, again.header("etag")), (200, "\"1\""), "the same again is no change");
    }

    async fn every_wrong_field_is_named(app: TestApp) {
        assert_eq!(pointers(&post(&app, &json!({})).await), ["/audiences", "/issuer"]);
        let keys = json!({"keys": [Signer::es256().jwk("k")]});
        for (field, value, pointer) in [
            ("issuer", json!(""), "/issuer"),
            ("issuer", json!("a b"), "/issuer"),
            ("issuer", json!("http://idp.example.com@127.0.0.2/"), "/issuer"),
            ("issuer", json!("urn:somebody"), "/issuer"),
            ("audiences", json!([]), "/audiences"),
            ("audiences", json!(null), "/audiences"),
            ("audiences", json!(["a b"]), "/audiences"),
            ("algorithms", json!([]), "/algorithms"),
            ("algorithms", json!(["RS256", "HS256"]), "/algorithms"),
            ("algorithms", json!(["none"]), "/algorithms"),
            ("algorithms", json!(["es256"]), "/algorithms"),
            ("purpose", json!("login"), "/purpose"),
            ("clients", json!(["a b"]), "/clients"),
            ("clients", json!(["nobody"]), "/clients/0"),
            ("subject_claim", json!(""), "/subject_claim"),
            ("conditions", json!("x"), "/conditions"),
            ("conditions", json!([{"claim": "a", "operator": "equals"}]), "/conditions"),
            ("conditions", json!([{"claim": "a", "operator": "equals", "value": "x", "more": 1}]), "/conditions"),
            ("conditions", json!([{"claim": "a", "operator": "equals", "value": null}]), "/conditions"),
            ("conditions", json!([{"claim": "a", "operator": "matches", "value": "x"}]), "/conditions/0/operator"),
            ("conditions", json!([{"claim": "a", "operator": "equals", "value": "x"}, {"claim": "", "operator": "equals", "value": "x"}]), "/conditions/1/claim"),
            ("conditions", json!([{"claim": "a", "operator": "in", "value": "x"}]), "/conditions/0/value"),
            ("conditions", json!([{"claim": "a", "operator": "in", "value": []}]), "/conditions/0/value"),
            ("conditions", json!([{"claim": "a", "operator": "like", "value": ["x"]}]), "/conditions/0/value"),
            ("conditions", json!([{"claim": "a", "operator": "like", "value": "x".repeat(256)}]), "/conditions/0/value"),
            ("token_types", json!(["urn:ietf:params:oauth:token-type:saml2"]), "/token_types"),
            ("max_age", json!(0), "/max_age"),
            ("max_ttl", json!(-1), "/max_ttl"),
            ("map_to", json!("group"), "/map_to"),
            ("provision", json!("always"), "/provision"),
            ("scope", json!("a\"b"), "/scope"),
            ("audience", json!(["a b"]), "/audience"),
            ("jwks", json!({"keys": [{"kty": "oct", "k": "AA"}]}), "/jwks"),
            ("jwks", json!("x"), "/jwks"),
            ("jwks_uri", json!("http://idp.example.com@10.0.0.1/jwks"), "/jwks_uri"),
            ("jwks_uri", json!("https://169.254.169.254/"), "/jwks_uri"),
            ("jwks_uri", json!("https://[::ffff:10.0.0.1]/"), "/jwks_uri"),
            ("jwks_uri", json!("https://2130706434/"), "/jwks_uri"),
            ("colour", json!("red"), "/colour"),
            ("id", json!("x"), "/id"),
            ("created_at", json!("2030-01-01T00:00:00Z"), "/created_at"),
            ("fingerprints", json!(["x"]), "/fingerprints"),
        ] {
            let mut body = minimal();
            body[field] = value;
            assert_eq!(pointers(&post(&app, &body).await), [pointer], "{body}");
        }
        let mut both = minimal();
        (both["jwks"], both["jwks_uri"]) = (keys.clone(), json!("https://idp.example.com/jwks"));
        assert_eq!(pointers(&post(&app, &both).await), ["/jwks_uri"]);
        let mut to_client = minimal();
        (to_client["map_to"], to_client["provision"], to_client["link_by_verified_email"], to_client["allow_refresh"]) = (json!("client"), json!("jit"), json!(true), json!(true));
        assert_eq!(pointers(&post(&app, &to_client).await), ["/allow_refresh", "/link_by_verified_email", "/provision"]);
        // With keys of its own an issuer is any text.
        assert_eq!(post(&app, &json!({"issuer": "urn:somebody", "audiences": ["a"], "jwks": keys})).await.status, 201);
        assert_eq!(app.admin("POST", ROWS).body("application/json", "{").send().await.status, 400);
        assert_eq!(app.admin("POST", ROWS).body("text/plain", "{}").send().await.status, 415);
    }

    async fn our_own_issuers_are_not_trusted_this_way(app: TestApp) {
        app.provider("acme", json!({})).await;
        for issuer in [ISSUER.to_owned(), format!("{ISSUER}/p/acme"), format!("{ISSUER}/p/yet-to-come")] {
            let body = json!({"issuer": issuer, "audiences": ["a"]});
            assert_eq!(pointers(&post(&app, &body).await), ["/issuer"], "{issuer}");
        }
        // Another spelling is no other server.
        for issuer in ["HTTPS://ID.example.com", "https://id.example.com/", "https://id.example.com:443/p/acme", "https://id.example.com/P/Acme/"] {
            let body = json!({"issuer": issuer, "audiences": ["a"]});
            assert_eq!(pointers(&post(&app, &body).await), ["/issuer"], "{issuer}");
        }
        assert_eq!(app.admin("DELETE", "/providers/acme").send().await.status, 204);
        let body = json!({"issuer": format!("{ISSUER}/p/acme"), "audiences": ["a"]});
        assert_eq!(pointers(&post(&app, &body).await), ["/issuer"], "nor is that of a deleted provider");
        let made = post(&app, &minimal()).await.json();
        let change = app.admin("PATCH", &format!("{ROWS}/{}", made["id"].as_str().unwrap())).json(&json!({"issuer": ISSUER})).send().await;
        assert_eq!(pointers(&change), ["/issuer"]);
    }

    async fn only_an_admin_of_the_provider_sees_any_of_it(app: TestApp) {
        app.provider("acme", json!({})).await;
        let id = post(&app, &minimal()).await.json()["id"].as_str().unwrap().to_owned();
        let calls = [
            ("GET", ROWS.to_owned(), ""), ("POST", ROWS.to_owned(), "{}"), ("GET", format!("{ROWS}/{id}"), ""),
            ("PATCH", format!("{ROWS}/{id}"), "{}"), ("POST", format!("{ROWS}/test"), r#"{"token":"x"}"#),
            ("POST", format!("{ROWS}/{id}/test"), r#"{"token":"x"}"#), ("DELETE", format!("{ROWS}/{id}"), ""),
        ];
        let statuses = async |key: &str| {
            let mut statuses = Vec::new();
            for (method, path, body) in &calls {
                let call = app.call(method, &format!("/admin/v1{path}")).bearer(key);
                let call = if body.is_empty() { call } else { call.body("application/json", body) };
                statuses.push(call.send().await.status);
            }
            statuses
        };
        for role in ["default", "member"] {
            let key = app.api_key(json!({"role": role, "provider": "default"})).await;
            assert_eq!(statuses(&key).await, [403; 7], "{role}");
        }
        let elsewhere = app.api_key(json!({"role": "admin", "provider": "acme"})).await;
        assert_eq!(statuses(&elsewhere).await, [404; 7]);
        let unknown = app.admin("GET", &format!("/providers/acme/trusted-issuers/{id}")).send().await;
        assert_eq!(unknown.status, 404, "another provider's");
        assert_eq!(app.admin("POST", &format!("/providers/acme/trusted-issuers/{id}/test")).json(&json!({"token": "x"})).send().await.status, 404);
        let own = app.api_key(json!({"role": "admin", "provider": "default"})).await;
        assert_eq!(statuses(&own).await, [200, 422, 200, 200, 200, 200, 204]);
        assert_eq!(app.get(&format!("/admin/v1{ROWS}")).send().await.status, 401);
    }

    async fn a_dry_run_needs_a_token_and_nothing_else(app: TestApp) {
        let id = post(&app, &minimal()).await.json()["id"].as_str().unwrap().to_owned();
        let path = format!("{ROWS}/{id}/test");
        for (body, pointer) in [(json!({}), "/token"), (json!({"token": 7}), "/token"), (json!({"token": "x", "colour": 1}), "/colour")] {
            assert_eq!(pointers(&app.admin("POST", &path).json(&body).send().await), [pointer], "{body}");
        }
        let signer = Signer::es256();
        let other = signer.sign(&json!({"alg": "ES256"}), &json!({"iss": "https://unknown.example"}));
        let said = app.admin("POST", &path).json(&json!({"token": other})).send().await.json();
        assert_eq!((&said["accepted"], &said["issuer"], &said["rows"]), (&json!(false), &json!("https://unknown.example"), &json!([])));
    }
}
