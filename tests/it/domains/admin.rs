//! `/admin/v1/providers/{p}/domains`: what is taken, what is shown, and who may.

use serde_json::{Value, json};

use super::{added, deleted, fresh_name, issuer_at, made_primary, path, path_of, proven, text, texts};
use crate::support::app::{ISSUER, Setup, TestApp, on_both_apps};
use crate::support::http::Answer;

fn pointers(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    assert_eq!(answer.status, 422, "{body}");
    let errors = body["errors"].as_array().unwrap().iter();
    let mut all: Vec<String> = errors.map(|error| text(error, "pointer").to_owned()).collect();
    all.sort();
    all
}

async fn post(app: &TestApp, body: &Value) -> Answer {
    app.admin("POST", &path("default")).json(body).send().await
}

on_both_apps! {
    async fn a_domain_is_added_with_the_record_that_proves_it_and_selects_nothing_yet(app: TestApp) {
        let name = fresh_name();
        let made = post(&app, &json!({"domain": name.to_uppercase()})).await;
        assert_eq!((made.status, made.header("etag")), (201, "\"1\""), "{}", made.text());
        let domain = made.json();
        let (id, value) = (text(&domain, "id"), text(&domain["dns_record"], "value"));
        assert_eq!(made.header("location"), format!("/admin/v1{}/{id}", path("default")));
        assert_eq!(domain, json!({
            "id": id, "domain": name, "verified": false, "primary": false, "issuer": null, "verified_at": null,
            "dns_record": {"type": "TXT", "name": format!("_grantd-challenge.{name}"), "value": value},
            "created_at": domain["created_at"], "updated_at": domain["created_at"],
        }));
        let token = value.strip_prefix("grantd-verification=").unwrap();
        assert_eq!(token.len(), 43, "256 random bits");
        let read = app.admin("GET", &path_of("default", &domain)).send().await;
        assert_eq!((read.json(), read.header("etag")), (domain.clone(), "\"1\""));
        assert_eq!(app.admin("GET", &path("default")).send().await.json(), json!({"items": [domain], "next_cursor": null}));
        assert_eq!(issuer_at(&app, &name).await.as_deref(), Ok(ISSUER), "the public URL");
    }

    async fn every_wrong_field_is_named(app: TestApp) {
        for value in [
            json!(null), json!(""), json!(7), json!(["a.example"]), json!("example"), json!("localhost"), json!("a_b.example"), json!("*.example.com"),
            json!("https://a.example"), json!("a.example:443"), json!("a.example/x"), json!("a.example."), json!("192.0.2.1"), json!("[::1]"),
            json!("169.254.169.254"), json!("2130706433"), json!("www.a.example"), json!(format!("{}.example", "a.".repeat(120))),
            json!("id.example.com"), json!("ID.EXAMPLE.COM"), json!("a.example\r\nx: y"), json!("a b.example"),
        ] {
            let answer = post(&app, &json!({"domain": value})).await;
            assert_eq!(pointers(&answer), ["/domain"], "{value}");
            assert!(!answer.text().contains("169.254"), "no input in an answer: {}", answer.text());
        }
        assert_eq!(pointers(&post(&app, &json!({})).await), ["/domain"]);
        for field in ["verified", "primary", "issuer", "id", "dns_record", "challenge", "verified_at"] {
            let answer = post(&app, &json!({"domain": "a.example", field: true})).await;
            assert_eq!(pointers(&answer), [format!("/{field}")], "nobody says of a domain that it is proven");
        }
        assert_eq!(pointers(&post(&app, &json!({"domain": "x", "colour": 1})).await), ["/colour", "/domain"]);
        assert_eq!(app.admin("POST", &path("default")).body("application/json", "{").send().await.status, 400);
        assert_eq!(app.admin("POST", &path("default")).body("application/json", "{\"domain\":\"a.example\",\"domain\":\"b.example\"}").send().await.status, 400);
        assert_eq!(app.admin("POST", &path("default")).body("text/plain", "{}").send().await.status, 415);
        let domain = added(&app, "default", &fresh_name()).await;
        for change in [json!({"primary": "yes"}), json!({"primary": 1}), json!({"primary": true})] {
            let answer = app.admin("PATCH", &path_of("default", &domain)).json(&change).send().await;
            assert_eq!(pointers(&answer), ["/primary"], "{change}");
        }
        for field in ["domain", "verified", "issuer", "dns_record"] {
            let answer = app.admin("PATCH", &path_of("default", &domain)).json(&json!({field: "b.example"})).send().await;
            assert_eq!(pointers(&answer), [format!("/{field}")]);
        }
        let answer = app.admin("POST", &format!("{}/verify", path_of("default", &domain))).json(&json!({"force": true})).send().await;
        assert_eq!(pointers(&answer), ["/force"]);
    }

    async fn a_provider_has_a_domain_once_and_keeps_nobody_from_it(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        let first = added(&app, "default", &name).await;
        let again = post(&app, &json!({"domain": name})).await;
        assert_eq!(again.status, 409, "{}", again.text());
        let other = added(&app, "acme", &name).await;
        assert_ne!(other["dns_record"]["value"], first["dns_record"]["value"], "each has a challenge of its own");
        deleted(&app, "default", &first).await;
        let third = added(&app, "default", &name).await;
        assert_ne!(third["dns_record"]["value"], first["dns_record"]["value"], "also after a deletion");
        assert_ne!(third["id"], first["id"]);
    }

    async fn what_is_deleted_or_was_never_there_is_not_found(app: TestApp) {
        app.provider("acme", json!({})).await;
        let domain = added(&app, "default", &fresh_name()).await;
        let elsewhere = path_of("acme", &domain);
        deleted(&app, "default", &domain).await;
        let (gone, never) = (path_of("default", &domain), format!("{}/01234567-89ab-cdef-0123-456789abcdef", path("default")));
        for at in [&gone, &never, &elsewhere, &format!("{}/nonsense", path("default")), &format!("{}/x", path("nobody"))] {
            for (method, at, body) in [("GET", at.clone(), ""), ("PATCH", at.clone(), "{}"), ("DELETE", at.clone(), ""), ("POST", format!("{at}/verify"), "")] {
                let call = app.admin(method, &at);
                let call = if body.is_empty() { call } else { call.body("application/json", body) };
                assert_eq!(call.send().await.status, 404, "{method} {at}");
            }
        }
        assert_eq!(app.admin("PUT", &gone).send().await.status, 405);
        assert_eq!(app.admin("GET", &format!("{gone}/verify")).send().await.status, 405);
    }

    async fn members_read_and_admins_of_the_provider_change(app: TestApp) {
        app.provider("acme", json!({})).await;
        let domain = added(&app, "default", &fresh_name()).await;
        let at = path_of("default", &domain);
        let calls = [
            ("GET", path("default"), ""), ("GET", at.clone(), ""), ("POST", path("default"), "{}"), ("PATCH", at.clone(), "{}"),
            ("POST", format!("{at}/verify"), ""), ("DELETE", at, ""),
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
        let key = async |role: &str, provider: &str| app.api_key(json!({"role": role, "provider": provider})).await;
        assert_eq!(statuses(&key("default", "default").await).await, [403; 6]);
        assert_eq!(statuses(&key("member", "default").await).await, [200, 200, 403, 403, 403, 403]);
        assert_eq!(statuses(&key("admin", "acme").await).await, [404; 6]);
        let client = app.client(json!({})).await;
        assert_eq!(statuses(&app.token(&client).await).await, [403; 6], "an access token manages nothing");
        assert_eq!(statuses("gk_wrong").await, [401; 6]);
        assert_eq!(statuses(&key("admin", "default").await).await, [200, 200, 422, 200, 200, 204]);
    }

    async fn a_change_may_expect_a_version(app: TestApp) {
        let domain = proven(&app, "default", &fresh_name()).await;
        let at = path_of("default", &domain);
        let change = async |method: &str, version: &str| {
            let call = app.admin(method, &at).header("if-match", version);
            let call = if method == "PATCH" { call.json(&json!({"primary": true})) } else { call };
            call.send().await
        };
        assert_eq!(change("PATCH", "\"1\"").await.status, 412);
        assert_eq!(change("DELETE", "\"1\"").await.status, 412);
        let changed = change("PATCH", "\"2\"").await;
        assert_eq!((changed.status, changed.header("etag")), (200, "\"3\""), "{}", changed.text());
        let same = app.admin("PATCH", &at).json(&json!({"primary": true})).send().await;
        assert_eq!((same.status, same.header("etag")), (200, "\"3\""), "the same again is no change");
        let reset = app.admin("PATCH", &at).json(&json!({"primary": null})).send().await;
        assert_eq!((reset.header("etag"), &reset.json()["primary"]), ("\"4\"", &json!(false)));
        assert_eq!(change("DELETE", "\"4\"").await.status, 204);
    }

    async fn a_provider_has_at_most_a_hundred(app: TestApp) {
        for number in 0..100 {
            added(&app, "default", &format!("n{number}.many.example")).await;
        }
        assert_eq!(pointers(&post(&app, &json!({"domain": "one-more.many.example"})).await), ["/domain"]);
        let listed = app.admin("GET", &format!("{}?limit=99", path("default"))).send().await.json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 99);
        let next = app.admin("GET", &format!("{}?cursor={}", path("default"), text(&listed, "next_cursor"))).send().await.json();
        assert_eq!(next["items"].as_array().unwrap().len(), 1);
        deleted(&app, "default", &next["items"][0]).await;
        assert_eq!(post(&app, &json!({"domain": "one-more.many.example"})).await.status, 201);
    }

    async fn each_change_is_an_event(app: TestApp) {
        let domain = proven(&app, "default", &fresh_name()).await;
        made_primary(&app, "default", &domain, true).await;
        made_primary(&app, "default", &domain, false).await;
        deleted(&app, "default", &domain).await;
        let sql = format!("SELECT action FROM events WHERE target = '{}' ORDER BY action", text(&domain, "id"));
        let told = texts(&app, sql).await;
        assert_eq!(told, ["domain.created", "domain.deleted", "domain.updated", "domain.updated", "domain.verified"]);
    }
}

#[test]
fn a_host_that_a_surface_is_bound_to_is_no_domain() {
    use crate::support::databases::{Kind, block_on};
    block_on(async {
        let setup = Setup { runai_host: "runai.example:8443", ..Setup::default() };
        let app = TestApp::start_as(Kind::Sqlite, setup).await;
        assert_eq!(pointers(&post(&app, &json!({"domain": "runai.example"})).await), ["/domain"]);
    });
}
