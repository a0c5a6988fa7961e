//! Abuse that was tried against this house and found a hole once: each stays shut.

use grantd::domain::{ClientId, Decision, ProviderId, UnixTime};
use grantd::store::{ChangedTable, Tx, clients};
use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::databases::soon;
use crate::support::http::refused;

const CLIENTS: &str = "/providers/default/clients";

on_both_apps! {
    async fn a_name_stands_for_one_client_as_id_or_as_subject(app: TestApp) {
        app.client(json!({"client_id": "billing", "subject": "robot"})).await;
        for fields in [json!({"subject": "billing"}), json!({"client_id": "robot"})] {
            assert_eq!(app.admin("POST", CLIENTS).json(&fields).send().await.status, 409, "{fields}");
        }
    }

    async fn a_refused_client_leaves_no_scope_behind(app: TestApp) {
        app.client(json!({"client_id": "taken"})).await;
        let before = app.rows().await;
        let again = app.admin("POST", CLIENTS).json(&json!({"client_id": "taken", "scope": "ghost:scope"}));
        assert_eq!(again.send().await.status, 409);
        assert_eq!(app.rows().await, before);
    }

    async fn the_last_owner_cannot_give_itself_an_end(app: TestApp) {
        let keys = app.admin("GET", "/api-keys").send().await.json();
        let owner = format!("/api-keys/{}", keys["items"][0]["id"].as_str().unwrap());
        let end = json!({"expires_at": "2999-01-01T00:00:00Z"});
        assert_eq!(app.admin("PATCH", &owner).json(&end).send().await.status, 409);
        app.api_key(json!({"role": "owner", "expires_at": "2998-01-01T00:00:00Z"})).await;
        assert_eq!(app.admin("PATCH", &owner).json(&end).send().await.status, 409, "the other one ends too");
        app.api_key(json!({"role": "owner"})).await;
        assert_eq!(app.admin("PATCH", &owner).json(&end).send().await.status, 200);
    }

    async fn an_owner_without_an_audience_reaches_every_key_and_a_bounded_admin_does_not(app: TestApp) {
        let made = app.admin("POST", "/api-keys").json(&json!({"role": "member", "audience": ["https://a.example"]}));
        let made = made.send().await;
        assert_eq!(made.status, 201);
        let admin = app.api_key(json!({"role": "admin", "audience": ["https://only.example"]})).await;
        for audience in [json!([]), json!(["https://a.example"])] {
            let call = app.call("POST", "/admin/v1/api-keys").bearer(&admin);
            let answer = call.json(&json!({"role": "member", "audience": audience})).send().await;
            assert_eq!(answer.status, 403, "{audience}: {}", answer.text());
        }
        let path = format!("/api-keys/{}", made.json()["id"].as_str().unwrap());
        assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
    }

    async fn a_key_bound_to_a_deleted_provider_opens_nothing(app: TestApp) {
        app.provider("acme", json!({})).await;
        let key = app.api_key(json!({"role": "admin", "provider": "acme"})).await;
        assert_eq!(app.call("GET", "/admin/v1/api-keys").bearer(&key).send().await.status, 200);
        assert_eq!(app.admin("DELETE", "/providers/acme?cascade=true").send().await.status, 204);
        for path in ["/admin/v1/api-keys", "/metrics"] {
            assert_eq!(app.call("GET", path).bearer(&key).send().await.status, 401, "{path}");
        }
    }

    async fn a_provider_takes_no_key_along_that_the_actor_may_not_delete(app: TestApp) {
        let admin = app.api_key(json!({"role": "admin"})).await;
        let short = app.api_key(json!({"role": "owner", "max_ttl": 60})).await;
        let delete = async |path: &str, key: &str| app.call("DELETE", path).bearer(key).send().await;
        for (role, refused) in [("owner", &admin), ("admin", &admin), ("member", &short)] {
            let id = app.provider(role, json!({"surfaces": ["usegrant", "deepgram"]})).await["id"].as_str().unwrap().to_owned();
            let bound = app.admin("POST", "/api-keys").json(&json!({"role": role, "provider": role})).send().await.json();
            let (key, own) = (bound["key"].as_str().unwrap(), format!("/admin/v1/providers/{role}"));
            for path in [own.clone(), format!("{own}?cascade=true"), format!("/v1/providers/{id}"), format!("/v1/projects/{id}")] {
                let answer = delete(&path, refused).await;
                assert!([400, 409].contains(&answer.status), "{path}: {} {}", answer.status, answer.text());
                assert!(answer.text().contains("with an owner API key"), "{path}: {}", answer.text());
            }
            assert_eq!(app.get("/v1/auth/token").bearer(key).send().await.status, 200, "the key of role {role} has ended");
            assert_eq!(app.get(&own).bearer(&admin).send().await.status, 200);
            // A key that has been deleted is in nobody's way.
            let path = format!("/api-keys/{}", bound["id"].as_str().unwrap());
            assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
            assert_eq!(delete(&own, refused).await.status, 204, "{role}");
        }
        app.provider("acme", json!({})).await;
        let weak = app.api_key(json!({"role": "member", "provider": "acme"})).await;
        assert_eq!(delete("/admin/v1/providers/acme", &admin).await.status, 204);
        assert_eq!(app.get("/v1/auth/token").bearer(&weak).send().await.status, 401, "a key within reach ends");
    }

    async fn a_key_is_not_made_for_a_provider_that_ends_at_the_same_moment(app: TestApp) {
        for round in 0..8 {
            let slug = format!("acme{round}");
            app.provider(&slug, json!({})).await;
            let key = app.admin("POST", "/api-keys").json(&json!({"role": "owner", "provider": slug})).send();
            let path = format!("/providers/{slug}");
            let (made, deleted) = futures_util::join!(key, app.admin("DELETE", &path).send());
            assert_eq!(deleted.status, 204);
            if made.status == 201 {
                let key = made.json()["key"].as_str().unwrap().to_owned();
                assert_eq!(app.get("/v1/auth/token").bearer(&key).send().await.status, 401, "round {round}");
            }
        }
    }

    async fn the_built_in_client_stays_what_it_is(app: TestApp) {
        let path = format!("{CLIENTS}/runai");
        assert_eq!(app.admin("DELETE", &path).send().await.status, 409);
        for fields in [json!({"grant_types": null}), json!({"token_endpoint_auth_method": null})] {
            assert_eq!(app.admin("PATCH", &path).json(&fields).send().await.status, 422, "{fields}");
        }
        assert_eq!(app.admin("PATCH", &path).json(&json!({"enabled": false})).send().await.status, 200);
    }

    async fn a_time_that_cannot_be_shown_is_not_taken(app: TestApp) {
        let fields = json!({"role": "member", "expires_at": "9999-12-31T23:59:59-23:59"});
        assert_eq!(app.admin("POST", "/api-keys").json(&fields).send().await.status, 422);
    }

    async fn what_costs_its_square_to_read_is_bounded(app: TestApp) {
        // Each request would be granted but for what it carries beside.
        let client = app.client(json!({})).await;
        let form = |beside: usize| {
            let parameters: String = (0..beside).map(|number| format!("&p{number}=1")).collect();
            let body = format!("grant_type=client_credentials{parameters}");
            app.post("/oauth2/token").body("application/x-www-form-urlencoded", body).basic(&client.id, &client.secret)
        };
        assert_eq!(form(99).send().await.status, 200);
        assert_eq!(form(100).send().await.refusal(), refused(400, "invalid_request"));
        let scope = (0..201).map(|number| format!("s{number}")).collect::<Vec<_>>().join(" ");
        let grant = [("grant_type", "client_credentials"), ("scope", scope.as_str())];
        let call = app.post("/oauth2/token").form(&grant).basic(&app.first.client_id, &app.first.client_secret);
        assert_eq!(call.send().await.refusal(), refused(400, "invalid_scope"));
        let run_ai = |beside: usize| {
            let members: String = (0..beside).map(|number| format!("\"m{number}\":1,")).collect();
            let (id, secret) = (&client.id, &client.secret);
            let body = format!(r#"{{{members}"grantType":"app_token","appID":"{id}","appSecret":"{secret}"}}"#);
            app.post("/api/v1/token").body("application/json", body)
        };
        assert_eq!(run_ai(61).send().await.status, 200);
        assert_eq!(run_ai(62).send().await.status, 400);
        assert_eq!(app.admin("POST", CLIENTS).json(&json!({ "scope": scope })).send().await.status, 422);
    }

    async fn inserted_metadata_answers_every_method_as_the_plain_one_does(app: TestApp) {
        app.provider("acme", json!({})).await;
        for document in ["oauth-authorization-server", "openid-configuration"] {
            let path = format!("/.well-known/{document}/p/acme");
            for (method, status) in [("GET", 200), ("HEAD", 200), ("OPTIONS", 204), ("POST", 405)] {
                let answer = app.call(method, &path).send().await;
                assert_eq!(answer.status, status, "{method} {path}");
                assert_eq!(answer.header("access-control-allow-origin"), "*", "{method} {path}");
            }
        }
    }

    // Anybody may ask, so asking must not take the connection that the change log is read on.
    async fn asking_whether_a_node_is_ready_costs_no_statement(app: TestApp) {
        let before = app.engine.db().statements();
        for _ in 0..20 {
            app.get("/readyz").send().await;
        }
        assert_eq!(app.engine.db().statements().since(before).round_trips(), 0);
    }

    // A request may begin long before its change is committed: a slow body, a lock, a slow commit.
    async fn a_change_stamped_long_before_its_commit_still_reaches_the_other_node(app: TestApp) {
        let other = app.second_node().await;
        let client = app.client(json!({})).await;
        other.poll().await;
        other.token(&client).await;
        let provider = app.admin("GET", "/providers/default").send().await.json();
        let provider = ProviderId::from(provider["id"].as_str().unwrap());
        let (id, stamp) = (ClientId::from(client.id.as_str()), UnixTime::from_seconds(app.now() - 120));
        let job = move |tx: &mut Tx<'_>| {
            assert!(clients::soft_delete(tx, &provider, &id, None, stamp.seconds())?);
            tx.changed(ChangedTable::Clients, &format!("{provider}/{id}"), stamp)?;
            Ok(Decision::Allow(()))
        };
        app.engine.db().write(soon(), job).await.unwrap();
        other.poll().await;
        let grant = [("grant_type", "client_credentials")];
        let answer = other.post("/oauth2/token").form(&grant).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.status, 401);
    }
}
