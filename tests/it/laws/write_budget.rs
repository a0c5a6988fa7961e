//! What a request may write, counted in statements (the budget of rows on the request's
//! path).

use grantd::store::StatementCounts;
use serde_json::json;

use crate::support::app::{ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::browser::{CALLBACK, VERIFIER};
use crate::support::jose::Signer;
use crate::support::people::{Wish, text};

const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];
const NOTHING: StatementCounts = StatementCounts { reads: 0, writes: 0, transactions: 0, others: 0 };

/// The statements that one call sends, and its status.
async fn cost(app: &TestApp, call: crate::support::http::Call<'_>) -> (u16, StatementCounts) {
    let before = app.engine.db().statements();
    let status = call.send().await.status;
    (status, app.engine.db().statements().since(before))
}

fn form<'a>(
    app: &'a TestApp,
    path: &str,
    client: &TestClient,
    form: &[(&str, &str)],
) -> crate::support::http::Call<'a> {
    app.post(path).form(form).basic(&client.id, &client.secret)
}

on_both_apps! {
    async fn the_counter_counts(app: TestApp) {
        let (status, sent) = cost(&app, app.admin("GET", "/providers/default/clients")).await;
        assert_eq!(status, 200);
        assert!(sent.reads > 0 && sent.writes == 0, "{sent:?}");
        let (status, sent) = cost(&app, app.admin("POST", "/providers/default/clients").json(&json!({}))).await;
        assert_eq!(status, 201);
        assert!(sent.writes >= 3, "client, event and change log: {sent:?}");
    }

    async fn client_credentials_and_introspection_touch_no_row(app: TestApp) {
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"access_token_format": format})).await;
            let token = app.token(&client).await;
            app.is_active(&token).await;
            for _ in 0..3 {
                assert_eq!(cost(&app, form(&app, "/oauth2/token", &client, &GRANT)).await, (200, NOTHING));
                assert_eq!(cost(&app, form(&app, "/oauth2/introspect", &client, &[("token", &token)])).await, (200, NOTHING));
                let by_key = app.post("/oauth2/introspect").form(&[("token", &token)]).bearer(&app.first.owner_key);
                assert_eq!(cost(&app, by_key).await, (200, NOTHING));
            }
        }
    }

    async fn minting_touches_no_row_and_a_use_costs_one(app: TestApp) {
        let key = app.api_key(json!({"role": "member"})).await;
        let client = app.client(json!({"may_mint": true, "audience": ["api"]})).await;
        let by_key = |body| app.post("/oauth2/mint").bearer(&key).json(&body);
        let by_client = |body| app.post("/oauth2/mint").basic(&client.id, &client.secret).json(&body);
        for warm in [true, false, false] {
            for one_time in [false, true] {
                let body = json!({"one_time": one_time, "ttl_seconds": 60, "access": "readonly", "claims": {"room": 7}});
                for call in [by_key(body.clone()), by_client(body)] {
                    let (status, sent) = cost(&app, call).await;
                    assert_eq!(status, 200);
                    assert!(warm || sent == NOTHING, "{sent:?}");
                }
            }
            let token = by_key(json!({"one_time": true})).send().await.json()["access_token"].as_str().unwrap().to_owned();
            let used = || app.post("/oauth2/introspect").form(&[("token", &token)]).bearer(&app.first.owner_key);
            for use_of_it in ["first", "second"] {
                let (status, sent) = cost(&app, used()).await;
                assert_eq!(status, 200);
                assert!(warm || (sent.reads, sent.writes) == (0, 1), "{use_of_it}: {sent:?}");
                if !warm && app.kind == crate::support::databases::Kind::Postgres {
                    assert_eq!(sent.round_trips(), 1, "{sent:?}");
                }
            }
        }
    }

    async fn a_usegrant_token_touches_no_row(app: TestApp) {
        let key = app.api_key(json!({"role": "admin"})).await;
        let made = |path: String| app.post(&path).bearer(&key).json(&json!({"name": "Acme", "description": "x", "audience": "api"})).send();
        let provider = text(&made("/v1/providers".to_owned()).await.json(), "id");
        let client = text(&made(format!("/v1/providers/{provider}/clients")).await.json(), "id");
        for warm in [true, false, false] {
            let call = app.post(&format!("/v1/providers/{provider}/clients/{client}/tokens")).bearer(&key);
            let (status, sent) = cost(&app, call).await;
            assert_eq!(status, 201);
            assert!(warm || sent == NOTHING, "{sent:?}");
        }
    }

    async fn an_assertion_costs_one_write_and_one_round_trip(app: TestApp) {
        let signer = Signer::es256();
        let fields = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [signer.jwk("k1")]}});
        let client = app.client(fields).await;
        for jti in ["warm", "1", "2", "3"] {
            let claims = json!({"iss": client.id, "sub": client.id, "aud": ISSUER, "exp": app.now() + 60, "jti": jti});
            let assertion = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims);
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            let form = [GRANT[0], ("client_assertion_type", kind), ("client_assertion", &assertion)];
            let (status, sent) = cost(&app, app.post("/oauth2/token").form(&form)).await;
            assert_eq!(status, 200);
            if jti == "warm" {
                continue;
            }
            assert_eq!((sent.reads, sent.writes), (0, 1), "{sent:?}");
            if app.kind == crate::support::databases::Kind::Postgres {
                assert_eq!(sent.round_trips(), 1, "{sent:?}");
            }
        }
    }

    async fn a_revocation_is_one_row_one_event_and_one_change(app: TestApp) {
        let client = app.client(json!({})).await;
        app.token(&client).await;
        for _ in 0..3 {
            let token = app.token(&client).await;
            let (status, sent) = cost(&app, form(&app, "/oauth2/revoke", &client, &[("token", &token)])).await;
            // The revocation, its event (on SQLite with a second statement for the webhooks), the change.
            let writes = if app.kind == crate::support::databases::Kind::Postgres { 3 } else { 4 };
            assert_eq!((status, sent.reads, sent.writes), (200, 0, writes), "{sent:?}");
            let again = cost(&app, form(&app, "/oauth2/revoke", &client, &[("token", &token)])).await;
            assert_eq!(again, (200, NOTHING), "it is revoked already");
            let unknown = cost(&app, form(&app, "/oauth2/revoke", &client, &[("token", "ga_x")])).await;
            assert_eq!(unknown, (200, NOTHING));
        }
    }

    async fn a_refusal_writes_nothing(app: TestApp) {
        let client = app.client(json!({"scope": "a"})).await;
        app.token(&client).await;
        let wrong = client.secret.replace(|c: char| c.is_ascii_digit(), "x");
        for _ in 0..30 {
            let (_, sent) = cost(&app, app.post("/oauth2/token").form(&GRANT).basic(&client.id, &wrong)).await;
            assert_eq!(sent, NOTHING, "wrong secret, later slowed");
        }
        let other = [GRANT[0], ("scope", "b")];
        assert_eq!(cost(&app, form(&app, "/oauth2/token", &client, &other)).await, (400, NOTHING));
        let other = [GRANT[0], ("resource", "https://b.example")];
        assert_eq!(cost(&app, form(&app, "/oauth2/token", &client, &other)).await, (400, NOTHING));
        let (status, sent) = cost(&app, app.post("/oauth2/token").form(&GRANT).basic("nobody", &client.secret)).await;
        assert_eq!((status, sent.writes), (401, 0), "an unknown client is looked for and nothing is written");
        let (status, sent) = cost(&app, app.admin("POST", "/providers/default/clients").json(&json!({"nonsense": 1}))).await;
        assert_eq!((status, sent.writes), (422, 0));
    }

    async fn a_redemption_is_one_update_and_one_insert(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        app.tokens(&client, &who, &Wish::default()).await;
        for _ in 0..3 {
            let code = app.code(&client, &who, &Wish::default()).await;
            let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
            let (status, sent) = cost(&app, form(&app, "/oauth2/token", &client, &fields)).await;
            assert_eq!((status, sent.reads, sent.writes), (200, 1, 2), "{sent:?}");
            if app.kind == crate::support::databases::Kind::Postgres {
                assert_eq!(sent.round_trips(), 5, "a read; then begin, update, insert, commit: {sent:?}");
            }
            let wrong = [fields[0], fields[1], fields[2], ("code_verifier", CALLBACK)];
            let (status, sent) = cost(&app, form(&app, "/oauth2/token", &client, &wrong)).await;
            assert_eq!((status, sent.writes), (400, 0), "{sent:?}");
        }
    }

    async fn a_refresh_is_one_update(app: TestApp) {
        for rotation in ["always", "never"] {
            let client = app.web_client(json!({"refresh_rotation": rotation})).await;
            let who = app.logged_in(&format!("ada-{rotation}")).await;
            let mut token = text(&app.tokens(&client, &who, &Wish::default()).await, "refresh_token");
            for _ in 0..3 {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
                let before = app.engine.db().statements();
                let answer = form(&app, "/oauth2/token", &client, &fields).send().await;
                let sent = app.engine.db().statements().since(before);
                assert_eq!((answer.status, sent.reads, sent.writes), (200, 1, 1), "{sent:?}");
                if app.kind == crate::support::databases::Kind::Postgres {
                    assert_eq!(sent.round_trips(), 2, "{sent:?}");
                }
                let successor = text(&answer.json(), "refresh_token");
                if rotation == "always" {
                    let (status, sent) = cost(&app, form(&app, "/oauth2/token", &client, &fields)).await;
                    assert_eq!((status, sent.reads, sent.writes), (200, 1, 0), "a repeat writes nothing: {sent:?}");
                }
                token = successor;
            }
        }
    }

    async fn a_gateway_costs_no_row_and_one_to_spend_a_token(app: TestApp) {
        let minted = async |one_time: bool| {
            let call = app.post("/oauth2/mint").json(&json!({"one_time": one_time})).bearer(&app.first.owner_key);
            text(&call.send().await.json(), "access_token")
        };
        let asked = |method: &str, token: &str| {
            app.get("/forward-auth").at_address("127.0.0.1").header("x-forwarded-method", method).bearer(token)
        };
        let token = minted(false).await;
        asked("GET", &token).send().await;
        for _ in 0..3 {
            for method in ["GET", "POST", "OPTIONS"] {
                assert_eq!(cost(&app, asked(method, &token)).await, (200, NOTHING));
            }
            let one_time = minted(true).await;
            for (method, status, reads, writes) in [("OPTIONS", 200, 1, 0), ("POST", 200, 0, 1), ("POST", 401, 0, 1), ("OPTIONS", 401, 1, 0)] {
                let (answered, sent) = cost(&app, asked(method, &one_time)).await;
                assert_eq!((answered, sent.reads, sent.writes), (status, reads, writes), "{method} {sent:?}");
                if app.kind == crate::support::databases::Kind::Postgres {
                    assert_eq!(sent.round_trips(), 1, "{sent:?}");
                }
            }
        }
    }

    async fn looking_at_a_persons_token_touches_no_row(app: TestApp) {
        let client = app.web_client(json!({"scope": "openid profile email"})).await;
        let who = app.logged_in("ada").await;
        let wish = Wish { scope: "openid profile email", ..Wish::default() };
        let token = text(&app.tokens(&client, &who, &wish).await, "access_token");
        assert!(app.is_active(&token).await);
        for _ in 0..3 {
            assert_eq!(cost(&app, form(&app, "/oauth2/introspect", &client, &[("token", &token)])).await, (200, NOTHING));
            assert_eq!(cost(&app, app.get("/oauth2/userinfo").bearer(&token)).await, (200, NOTHING));
        }
    }
}
