//! What a good token is exchanged for: never more than the row, the client and its own end allow.

use serde_json::{Value, json};

use super::{ACCESS_TOKEN, AUDIENCE, JWT, ROWS, Trust, add, bearer, exchange, exchanging};
use crate::support::app::on_both_apps;
use crate::support::browser::claims;
use crate::support::http::refused;
use crate::support::jose::Signer;

on_both_apps! {
    // TX1, TX4
    async fn a_token_of_a_trusted_issuer_becomes_ours_in_both_forms(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let token = trust.token("u1", json!({"preferred_username": "ada"}));
        let first = exchange(&app, &trust.client, &token, &[("scope", "openid profile orders:read")]).await;
        assert_eq!(first.status, 200, "{}", first.text());
        let first = first.json();
        assert_eq!((&first["issued_token_type"], &first["token_type"]), (&json!(ACCESS_TOKEN), &json!("Bearer")));
        assert!(first.get("refresh_token").is_none(), "{first}");
        let seen = app.introspected(first["access_token"].as_str().unwrap()).await;
        assert_eq!((&seen["active"], &seen["client_id"]), (&json!(true), &json!(trust.client.id)));
        assert_eq!(seen["scope"], "openid profile orders:read");
        let user = app.get("/oauth2/userinfo").bearer(first["access_token"].as_str().unwrap()).send().await.json();
        assert_eq!((&user["sub"], &user["preferred_username"]), (&seen["sub"], &json!("ada")));
        assert_eq!(claims(first["id_token"].as_str().unwrap())["sub"], seen["sub"]);
        let second = bearer(&app, &trust.client, &trust.token("u1", json!({})), &[]).await;
        assert_eq!(second.status, 200, "{}", second.text());
        assert!(second.json().get("issued_token_type").is_none(), "{}", second.text());
        let again = app.introspected(second.json()["access_token"].as_str().unwrap()).await;
        assert_eq!(again["sub"], seen["sub"], "the same person");
        // RFC 8693 §2.1
        for (name, value, status) in [
            ("subject_token_type", "urn:ietf:params:oauth:token-type:saml2", 400),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token", 400),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:id_token", 200),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", 400),
            ("requested_token_type", ACCESS_TOKEN, 200),
            ("actor_token", "x", 400),
        ] {
            let mut fields = vec![("grant_type", crate::trust::EXCHANGE), ("subject_token", token.as_str())];
            if name != "subject_token_type" {
                fields.push(("subject_token_type", JWT));
            }
            fields.push((name, value));
            let answer = app.as_client("", &trust.client, &fields).await;
            assert_eq!(answer.status, status, "{name} {value}: {}", answer.text());
            if status == 400 {
                assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{name} {value}");
            }
        }
    }

    async fn the_run_ai_wire_hands_a_token_in_as_the_built_in_client(app: TestApp) {
        let trust = Trust::on(&app, json!({"clients": ["runai"]})).await;
        let enabled = app.admin("PATCH", "/providers/default/clients/runai").json(&json!({"enabled": true})).send().await;
        assert_eq!(enabled.status, 200, "{}", enabled.text());
        let call = async |token: String| {
            let body = json!({"grantType": "external_token_exchange", "externalToken": token});
            app.post("/api/v1/token").json(&body).send().await
        };
        let answer = call(trust.token("u1", json!({}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(app.introspected(answer.json()["accessToken"].as_str().unwrap()).await["client_id"], json!("runai"));
        let answer = call(trust.token("u1", json!({"exp": app.now() - 1}))).await;
        assert_eq!((answer.status, &answer.json()["code"]), (400, &json!(400)));
        trust.change(json!({"clients": []})).await;
        assert_eq!(call(trust.token("u1", json!({}))).await.status, 400, "empty: nobody");
    }

    // TX4
    async fn no_token_outlives_the_external_one_or_the_rows_bound(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let lifetime = async |claims: Value| {
            let answer = trust.exchange(&trust.token("u1", claims)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let token = app.introspected(answer.json()["access_token"].as_str().unwrap()).await;
            let expires_in = answer.json()["expires_in"].as_i64().unwrap();
            assert_eq!(token["exp"].as_i64().unwrap(), app.now() + expires_in);
            expires_in
        };
        assert_eq!(lifetime(json!({"exp": app.now() + 30})).await, 30);
        assert_eq!(lifetime(json!({"exp": app.now() + 90_000})).await, 3600);
        trust.change(json!({"max_ttl": 20})).await;
        assert_eq!(lifetime(json!({})).await, 20);
        assert_eq!(lifetime(json!({"exp": app.now() + 1})).await, 1);
    }

    // TX3
    async fn scope_is_what_both_the_row_and_the_client_have(app: TestApp) {
        let trust = Trust::on(&app, json!({"scope": "openid orders:read admin offline_access"})).await;
        let asked = async |scope: &str| exchange(&app, &trust.client, &trust.token("u1", json!({})), &[("scope", scope)]).await;
        assert_eq!(asked("orders:read").await.json()["scope"], "orders:read");
        for outside in ["orders:write", "admin", "orders:read profile"] {
            assert_eq!(asked(outside).await.refusal(), refused(400, "invalid_scope"), "{outside}");
        }
        let none = trust.exchange(&trust.token("u1", json!({}))).await.json();
        assert_eq!(app.introspected(none["access_token"].as_str().unwrap()).await.get("scope"), None);
        // Without refresh tokens it means nothing, and is not told back.
        let dropped = asked("orders:read offline_access").await.json();
        assert_eq!((&dropped["scope"], dropped.get("refresh_token")), (&json!("orders:read"), None));
        trust.change(json!({"allow_refresh": true})).await;
        let kept = asked("orders:read offline_access").await.json();
        assert_eq!(kept["scope"], "orders:read offline_access");
        let refreshed = app.refresh("", &trust.client, kept["refresh_token"].as_str().unwrap()).await;
        assert_eq!(refreshed.status, 200, "{}", refreshed.text());
        app.pass(600);
        let later = app.refresh("", &trust.client, refreshed.json()["refresh_token"].as_str().unwrap_or_else(|| kept["refresh_token"].as_str().unwrap())).await;
        assert_eq!(later.refusal(), refused(400, "invalid_grant"), "it ends with the external token");
    }

    // TX3, RI1, RI2
    async fn audience_is_what_both_the_row_and_the_client_have(app: TestApp) {
        let trust = Trust::on(&app, json!({"audience": ["https://a.example", "https://b.example"]})).await;
        let aud = async |asked: &[(&str, &str)]| {
            let answer = exchange(&app, &trust.client, &trust.token("u1", json!({})), asked).await;
            match answer.status {
                200 => app.introspected(answer.json()["access_token"].as_str().unwrap()).await["aud"].clone(),
                _ => json!(answer.refusal().1),
            }
        };
        assert_eq!(aud(&[]).await, "https://a.example");
        assert_eq!(aud(&[("resource", "https://b.example")]).await, "https://b.example");
        let both = [("resource", "https://b.example"), ("resource", "https://a.example")];
        assert_eq!(aud(&both).await, json!(["https://b.example", "https://a.example"]));
        assert_eq!(aud(&[("resource", "https://c.example")]).await, "invalid_target");
        app.change(&trust.client, json!({"audience": ["https://b.example", "https://c.example"]})).await;
        assert_eq!(aud(&[]).await, "https://b.example");
        for outside in ["https://a.example", "https://c.example"] {
            assert_eq!(aud(&[("resource", outside)]).await, "invalid_target", "{outside}");
        }
    }

    async fn a_subject_can_stand_for_a_client_and_never_becomes_a_person(app: TestApp) {
        let workload = app.client(json!({"client_id": "deployer", "subject": "repo:acme/x", "scope": "deploy orders:read", "audience": ["https://a.example"]})).await;
        let rules = json!({"map_to": "client", "provision": "none", "scope": "deploy"});
        let trust = Trust::on(&app, rules).await;
        for name in ["repo:acme/x", "deployer"] {
            let answer = trust.exchange(&trust.token(name, json!({}))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(answer.json().get("id_token").is_none() && answer.json().get("refresh_token").is_none());
            let seen = app.introspected(answer.json()["access_token"].as_str().unwrap()).await;
            assert_eq!((&seen["sub"], &seen["client_id"]), (&json!("repo:acme/x"), &json!("deployer")));
            assert_eq!((&seen["scope"], &seen["aud"]), (&json!("deploy"), &json!("https://a.example")));
            assert!(seen.get("grant_id").is_none(), "{seen}");
        }
        let before = app.rows().await;
        let refuses = async |subject: &str| {
            let answer = trust.exchange(&trust.token(subject, json!({}))).await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{subject}");
        };
        for nobody in ["nobody", "runai", "DEPLOYER", "../deployer"] {
            refuses(nobody).await;
        }
        assert_eq!(app.rows().await, before, "nobody is made");
        app.provider("acme", json!({})).await;
        app.client_of("acme", json!({"client_id": "elsewhere"})).await;
        refuses("elsewhere").await;
        app.client(json!({"client_id": "browser", "token_endpoint_auth_method": "none", "grant_types": []})).await;
        refuses("browser").await;
        app.change(&workload, json!({"enabled": false})).await;
        refuses("deployer").await;
    }

    async fn who_may_hand_a_token_in_is_named(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let token = trust.token("u1", json!({}));
        let other = app.client(exchanging()).await;
        assert_eq!(exchange(&app, &other, &token, &[]).await.refusal(), refused(400, "invalid_request"));
        assert_eq!(bearer(&app, &other, &token, &[]).await.refusal(), refused(400, "invalid_grant"));
        let without = app.client(json!({"scope": "a"})).await;
        trust.change(json!({"clients": [trust.client.id, without.id]})).await;
        for answer in [exchange(&app, &without, &token, &[]).await, bearer(&app, &without, &token, &[]).await] {
            assert_eq!(answer.refusal(), refused(400, "unauthorized_client"));
        }
        // A public client that is named may, one that is not may not.
        let mut fields = exchanging();
        fields["token_endpoint_auth_method"] = json!("none");
        fields["grant_types"] = json!([crate::trust::EXCHANGE]);
        let public = app.client(fields).await;
        assert_eq!(exchange(&app, &public, &token, &[]).await.refusal(), refused(400, "invalid_request"));
        trust.change(json!({"clients": [public.id]})).await;
        assert_eq!(exchange(&app, &public, &token, &[]).await.status, 200);
        // RFC 8693 §4.4
        let act = |who: Value| trust.token("u1", json!({"may_act": who}));
        assert_eq!(exchange(&app, &public, &act(json!({"sub": public.id})), &[]).await.status, 200);
        for other in [json!({"sub": "someone"}), json!({}), json!("x"), json!({"client_id": trust.client.id})] {
            assert_eq!(exchange(&app, &public, &act(other.clone()), &[]).await.refusal(), refused(400, "invalid_request"), "{other}");
        }
    }

    async fn rows_for_different_clients_share_an_issuer(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let other = app.client(exchanging()).await;
        let narrow = add(&app, &trust.signer, &other, json!({"scope": "orders:read"})).await;
        let token = trust.token("u1", json!({}));
        assert_eq!(trust.exchange(&token).await.status, 200);
        assert_eq!(exchange(&app, &other, &token, &[]).await.status, 200);
        // A row with other keys or a row that is off accepts nothing and is in nobody's way.
        add(&app, &Signer::es256(), &trust.client, json!({})).await;
        add(&app, &trust.signer, &trust.client, json!({"enabled": false})).await;
        assert_eq!(trust.exchange(&token).await.status, 200);
        let ended = app.admin("DELETE", &format!("{ROWS}/{narrow}")).send().await;
        assert_eq!(ended.status, 204);
        assert_eq!(exchange(&app, &other, &token, &[]).await.refusal(), refused(400, "invalid_request"));
        // Another provider trusts nobody.
        app.provider("acme", json!({})).await;
        let there = app.client_of("acme", exchanging()).await;
        let fields = [("grant_type", crate::trust::BEARER), ("assertion", token.as_str())];
        assert_eq!(app.as_client("/p/acme", &there, &fields).await.refusal(), refused(400, "invalid_grant"));
    }

    async fn an_audience_in_a_list_is_enough(app: TestApp) {
        let trust = Trust::on(&app, json!({"audiences": [AUDIENCE, "second"], "algorithms": ["ES256"], "subject_claim": "oid"})).await;
        for aud in [json!(["x", AUDIENCE]), json!("second")] {
            let answer = trust.exchange(&trust.token("u1", json!({"aud": aud, "oid": "o1"}))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(trust.exchange(&trust.token("u1", json!({}))).await.status, 400, "no oid");
    }
}
