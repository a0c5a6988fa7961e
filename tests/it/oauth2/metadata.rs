//! What a provider says of itself, its keys and how they change.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::support::app::{ISSUER, Setup, TestApp, on_both_apps};
use crate::support::databases::{Kind, block_on};
use crate::support::jose::{decoded, verified};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const JWKS: &str = "/.well-known/jwks.json";

async fn kids(app: &TestApp, base: &str) -> HashSet<String> {
    let jwks = app.get(&format!("{base}{JWKS}")).send().await.json();
    let keys = jwks["keys"].as_array().unwrap();
    let kids: HashSet<String> = keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kids.len(), keys.len(), "JK2: a kid stands once");
    kids
}

fn kid(token: &str) -> String {
    decoded(token).0["kid"].as_str().unwrap().to_owned()
}

/// Every URL of a document, by name.
fn endpoints(document: &Value) -> Vec<(String, String)> {
    let members = document.as_object().unwrap().iter();
    let urls = members.filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri");
    urls.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

on_both_apps! {
    // MD1, MD2, MD3
    async fn the_document_states_its_issuer_and_what_is_on(app: TestApp) {
        app.provider("acme", json!({})).await;
        for (base, issuer) in [("", ISSUER.to_owned()), ("/p/acme", format!("{ISSUER}/p/acme"))] {
            let answer = app.get(&format!("{base}{OPENID}")).send().await;
            assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
            let document = answer.json();
            assert_eq!(document["issuer"], json!(issuer));
            for name in [
                "issuer", "token_endpoint", "jwks_uri", "introspection_endpoint", "revocation_endpoint", "response_types_supported",
                "subject_types_supported", "id_token_signing_alg_values_supported", "scopes_supported", "claims_supported",
                "grant_types_supported", "token_endpoint_auth_methods_supported",
            ] {
                assert!(document.get(name).is_some(), "{name}");
            }
            let urls = endpoints(&document);
            assert_eq!(urls.len(), 7);
            assert!(urls.iter().all(|(_, url)| url.starts_with(&format!("{issuer}/")) && url.starts_with("https://")), "{urls:?}");
            assert!(!document.to_string().contains('?') && !issuer.contains('#'));
        }
    }

    // MD2, MD5, MD6, MD7, MD8: what is not built is not said.
    async fn nothing_is_advertised_that_is_not_there(app: TestApp) {
        let document = app.get(OPENID).send().await.json();
        for absent in [
            "registration_endpoint", "device_authorization_endpoint", "pushed_authorization_request_endpoint",
            "dpop_signing_alg_values_supported", "check_session_iframe", "frontchannel_logout_supported",
        ] {
            assert!(document.get(absent).is_none(), "{absent}");
        }
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], json!(true));
        let grants = [
            "client_credentials", "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer",
        ];
        assert_eq!(document["grant_types_supported"], json!(grants));
        assert_eq!(document["subject_types_supported"], json!(["public"]));
        assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256", "ES256", "EdDSA"]));
        let methods = json!(["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]);
        assert_eq!(document["token_endpoint_auth_methods_supported"], methods);
        assert_eq!(document["introspection_endpoint_auth_methods_supported"].as_array().unwrap().len(), 3, "never a public client");
        let algs = document.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("alg_values_supported"));
        assert!(algs.clone().count() == 4 && algs.clone().all(|(_, algs)| !algs.to_string().contains("none")));
        let text = document.to_string();
        assert!(!text.contains("HS256") && !text.contains("implicit") && !text.contains("password") && !text.contains("plain"));
    }

    // MD4
    async fn both_documents_agree_also_in_the_inserted_form(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (openid, oauth) = (app.get(OPENID).send().await.json(), app.get(OAUTH).send().await.json());
        assert_eq!(openid, oauth);
        let appended = app.get(&format!("/p/acme{OAUTH}")).send().await.json();
        for path in [format!("{OAUTH}/p/acme"), format!("{OPENID}/p/acme"), format!("/p/acme{OPENID}")] {
            assert_eq!(app.get(&path).send().await.json(), appended, "{path}");
        }
        for unknown in ["/p/none", "/p/default"] {
            for path in [format!("{OAUTH}{unknown}"), format!("{unknown}{OAUTH}"), format!("{unknown}{JWKS}")] {
                assert_eq!(app.get(&path).send().await.status, 404, "{path}");
            }
        }
    }

    // MD9
    async fn no_header_changes_what_a_provider_says(app: TestApp) {
        let document = app.get(OPENID).send().await.text();
        let client = app.client(json!({})).await;
        let headers = [
            ("host", "evil.example"), ("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "http"), ("x-forwarded-prefix", "/evil"),
            ("forwarded", "host=evil.example;proto=http"), ("x-original-url", "/evil"), ("x-rewrite-url", "/evil"), ("host", "id.example.com:8443"),
        ];
        for (name, value) in headers {
            assert_eq!(app.get(OPENID).header(name, value).send().await.text(), document, "{name}");
            let call = app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).header(name, value);
            let token = call.basic(&client.id, &client.secret).send().await.json();
            assert_eq!(decoded(token["access_token"].as_str().unwrap()).1["iss"], json!(ISSUER), "{name}");
        }
    }

    // MD10: which answers any origin may read.
    async fn metadata_keys_token_and_revocation_are_readable_from_any_origin_the_rest_is_not(app: TestApp) {
        for path in [OPENID, OAUTH, JWKS, "/.well-known/jwks"] {
            let answer = app.get(path).header("origin", "https://spa.example").send().await;
            assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "*"), "{path}");
            assert_eq!(answer.header("access-control-allow-credentials"), "");
        }
        for (path, open) in [("/oauth2/token", true), ("/oauth2/revoke", true), ("/oauth2/introspect", false), ("/admin/v1/providers", false), ("/api/v1/token", false)] {
            let answer = app.post(path).header("origin", "https://spa.example").send().await;
            assert_eq!(answer.header("access-control-allow-origin") == "*", open, "{path}");
            let call = app.call("OPTIONS", path).header("origin", "https://spa.example").header("access-control-request-method", "POST");
            let preflight = call.send().await;
            assert_eq!(preflight.header("access-control-allow-origin") == "*", open, "{path}");
            if open {
                assert_eq!(preflight.status, 204);
                assert!(preflight.header("access-control-allow-methods").contains("POST"));
                assert!(preflight.header("access-control-allow-headers").contains("Authorization"));
            }
        }
    }

    async fn metadata_and_keys_may_be_kept_and_asked_for_again_by_tag(app: TestApp) {
        for path in [OPENID, JWKS] {
            let answer = app.get(path).send().await;
            assert_eq!(answer.header("cache-control"), "public, max-age=3600");
            let tag = answer.header("etag").to_owned();
            let again = app.get(path).header("if-none-match", &tag).send().await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
            assert_eq!(app.get(path).header("if-none-match", "\"other\"").send().await.status, 200);
            assert_eq!(app.call("HEAD", path).send().await.status, 200);
            assert_eq!(app.post(path).send().await.status, 405);
        }
    }

    // JK1, JK2
    async fn only_public_members_of_sound_keys_are_shown(app: TestApp) {
        let change = json!({"access_token_signing_alg": "EdDSA"});
        app.admin("PATCH", "/providers/default").json(&change).send().await;
        app.token(&app.client(json!({})).await).await;
        let jwks = app.get(JWKS).send().await.json();
        assert_eq!(jwks, app.get("/.well-known/jwks").send().await.json());
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 3);
        for key in keys {
            for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
                assert!(key.get(private).is_none(), "{private}");
            }
            assert_eq!(key["use"], json!("sig"));
            match key["alg"].as_str().unwrap() {
                "ES256" => assert_eq!((&key["kty"], &key["crv"]), (&json!("EC"), &json!("P-256"))),
                "EdDSA" => assert_eq!((&key["kty"], &key["crv"]), (&json!("OKP"), &json!("Ed25519"))),
                "RS256" => assert!(key["n"].as_str().unwrap().len() >= 342, "2048 bits"),
                other => panic!("{other}"),
            }
        }
        kids(&app, "").await;
        let listed = app.admin("GET", "/providers/default/signing-keys").send().await.text();
        for private in ["\"d\"", "\"p\"", "private", "sealed"] {
            assert!(!listed.contains(private), "{private}");
        }
    }

    // Keys of one provider are unknown at every other.
    async fn providers_share_no_key(app: TestApp) {
        app.provider("acme", json!({})).await;
        let client = app.client_of("acme", json!({})).await;
        let token = app.token_at("/p/acme", &client).await;
        let (here, there) = (kids(&app, "").await, kids(&app, "/p/acme").await);
        assert!(here.is_disjoint(&there) && there.contains(&kid(&token)));
        assert_eq!(app.introspected(&token).await, json!({"active": false}));
        assert_eq!(decoded(&token).1["iss"], json!(format!("{ISSUER}/p/acme")));
    }

    // JK4
    async fn a_next_key_is_published_before_it_signs_and_the_old_one_after(app: TestApp) {
        let node = app.second_node().await;
        let client = app.client(json!({"access_token_ttl": 7200})).await;
        let old = app.token(&client).await;
        node.poll().await;
        let before = kids(&node, "").await;
        let rotate = json!({"alg": "ES256"});
        let answer = app.admin("POST", "/providers/default/signing-keys/rotate").json(&rotate).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let next = answer.json()["items"][0]["kid"].as_str().unwrap().to_owned();
        assert_eq!(app.admin("POST", "/providers/default/signing-keys/rotate").json(&rotate).send().await.status, 409);
        assert!(!before.contains(&next) && kids(&app, "").await.contains(&next), "published at once");
        node.poll().await;
        assert!(kids(&node, "").await.contains(&next));
        for _ in 0..2 {
            app.tick().await;
            assert_eq!(kid(&app.token(&client).await), kid(&old), "not before one max-age has passed");
            app.pass(if app.now() < crate::support::app::BEGIN + 3599 { 3599 } else { 0 });
        }
        // And five seconds for who asked the slowest node.
        app.pass(1 + 5);
        app.tick().await;
        let new = app.token(&client).await;
        assert_eq!(kid(&new), next);
        node.poll().await;
        assert_eq!(kid(&node.token(&client).await), next, "the other node signs with it too");
        let jwks = node.get(JWKS).send().await.json();
        for token in [&old, &new] {
            verified(token, &jwks);
            assert!(app.is_active(token).await && node.is_active(token).await);
        }
        // Gone when nothing it signed can live any more: max_ttl of the provider, 14 days.
        app.pass(1_209_599);
        app.tick().await;
        assert!(kids(&app, "").await.contains(&kid(&old)));
        app.pass(2);
        app.tick().await;
        assert!(!kids(&app.second_node().await, "").await.contains(&kid(&old)));
        assert!(!kids(&app, "").await.contains(&kid(&old)), "also where it was known before");
    }

    async fn keys_of_every_algorithm_rotate_together_when_none_is_named(app: TestApp) {
        let answer = app.admin("POST", "/providers/default/signing-keys/rotate").send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let items = answer.json()["items"].as_array().unwrap().clone();
        let algs: HashSet<&str> = items.iter().map(|key| key["alg"].as_str().unwrap()).collect();
        assert_eq!((algs, kids(&app, "").await.len()), (HashSet::from(["ES256", "RS256"]), 4));
        assert!(items.iter().all(|key| key["state"] == json!("next") && key["activated_at"].is_null()));
        let unknown = app.admin("POST", "/providers/default/signing-keys/rotate").json(&json!({"alg": "none"})).send().await;
        assert_eq!(unknown.status, 422);
    }
}

/// MD1, MD4 for a public URL with a path.
fn below_a_path(kind: Kind) {
    block_on(async {
        let setup = Setup { public_url: "http://localhost:8080/auth", ..Setup::default() };
        let app = TestApp::start_as(kind, setup).await;
        let document = app.get(&format!("/auth{OPENID}")).send().await.json();
        assert_eq!(document["issuer"], json!("http://localhost:8080/auth"));
        assert_eq!(document["token_endpoint"], json!("http://localhost:8080/auth/oauth2/token"));
        for path in [format!("{OAUTH}/auth"), format!("{OPENID}/auth"), format!("/auth{OAUTH}")] {
            assert_eq!(app.get(&path).send().await.json(), document, "{path}");
        }
        for path in ["/auth/healthz", "/healthz"] {
            assert_eq!(app.get(path).send().await.status, 200, "{path}");
        }
        for path in [OPENID, JWKS, "/oauth2/token", "/admin/v1/providers", "/authx/healthz", "/auth"] {
            assert_eq!(app.get(path).send().await.status, 404, "{path}");
        }
        let grant = [("grant_type", "client_credentials")];
        let call = app.post("/auth/oauth2/token").form(&grant).basic(&app.first.client_id, &app.first.client_secret);
        let token = call.send().await.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(decoded(&token).1["iss"], json!("http://localhost:8080/auth"));
        let made = app
            .call("POST", "/auth/admin/v1/providers")
            .bearer(&app.first.owner_key)
            .json(&json!({"slug": "acme"}))
            .send()
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert!(made.header("location").starts_with("/auth/admin/v1/providers/"), "{}", made.header("location"));
        let document = app.get(&format!("/auth/p/acme{OPENID}")).send().await.json();
        assert_eq!(document["issuer"], json!("http://localhost:8080/auth/p/acme"));
        assert_eq!(app.get(&format!("{OAUTH}/auth/p/acme")).send().await.json(), document);
    });
}

#[test]
fn below_a_path_everything_lies_below_it_sqlite() {
    below_a_path(Kind::Sqlite);
}

#[test]
fn below_a_path_everything_lies_below_it_postgres() {
    below_a_path(Kind::Postgres);
}
