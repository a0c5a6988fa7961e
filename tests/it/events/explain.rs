//! Why a request was refused or granted: the rule that decided, with its values, for each important
//! cause, in memory and on another node.

use serde_json::{Value, json};

use super::admin_of;
use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::browser::CALLBACK;
use crate::support::http::{Answer, Call};
use crate::support::people::{Wish, text};
use crate::trust::Trust;

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

/// What is explained of an answer.
async fn why(app: &TestApp, answer: &Answer) -> Value {
    let id = answer.header("x-request-id");
    let explained = app.admin("GET", &format!("/explain/{id}")).send().await;
    assert_eq!(explained.status, 200, "{}", explained.text());
    let explained = explained.json();
    assert_eq!(explained["request_id"], json!(id));
    explained
}

/// The rule that decided, and its values.
async fn rule(app: &TestApp, answer: &Answer) -> (String, Value) {
    let explained = why(app, answer).await;
    let rule = explained["rule"].as_str().unwrap().to_owned();
    let steps = explained["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["rule"] == json!(rule) && step["outcome"] == json!("failed"));
    (rule, step.unwrap_or_else(|| panic!("no step {explained}"))["values"].clone())
}

fn asks<'a>(app: &'a TestApp, client: &TestClient, more: &[(&str, &str)]) -> Call<'a> {
    let fields: Vec<_> = std::iter::once(GRANT).chain(more.iter().copied()).collect();
    app.post("/oauth2/token").form(&fields).basic(&client.id, &client.secret)
}

on_both_apps! {
    async fn a_client_learns_what_its_credential_lacks(app: TestApp) {
        let client = app.client(json!({"scope": "a b", "audience": ["https://a.example"]})).await;
        let granted = asks(&app, &client, &[]).send().await;
        let explained = why(&app, &granted).await;
        assert_eq!((&explained["outcome"], &explained["kind"]), (&json!("granted"), &json!("token")));
        assert_eq!((&explained["client_id"], &explained["address"]), (&json!(client.id), &json!("203.0.113.9")));

        let refused = asks(&app, &client, &[("scope", "a c")]).send().await;
        let (named, values) = rule(&app, &refused).await;
        assert_eq!((named.as_str(), &values["missing"], &values["allowed"]), ("scope.allowed", &json!("c"), &json!(["a", "b"])));
        let refused = asks(&app, &client, &[("resource", "https://b.example")]).send().await;
        let (named, values) = rule(&app, &refused).await;
        assert_eq!(named, "audience.allowed");
        assert_eq!(values, json!({"asked": ["https://b.example"], "allowed": ["https://a.example"]}));
        assert!(why(&app, &refused).await["sentence"].as_str().unwrap().contains("https://b.example"));

        let posted = app.post("/oauth2/token").form(&[GRANT, ("client_id", &client.id), ("client_secret", &client.secret)]);
        let (named, values) = rule(&app, &posted.send().await).await;
        assert_eq!((named.as_str(), &values["registered"]), ("client.auth_method", &json!("client_secret_basic")));
        let wrong = app.post("/oauth2/token").form(&[GRANT]).basic(&client.id, &app.first.client_secret).send().await;
        assert_eq!(rule(&app, &wrong).await.0, "client.secret_known");
        let unknown = app.post("/oauth2/token").form(&[GRANT]).basic("nobody", &client.secret).send().await;
        assert_eq!(rule(&app, &unknown).await.0, "client.known");
        assert_eq!(why(&app, &unknown).await["client_id"], json!(null), "what somebody typed is not shown");
        let code = app.post("/oauth2/token").form(&[("grant_type", "password"), ("username", "u"), ("password", "p")]);
        let (named, values) = rule(&app, &code.basic(&client.id, &client.secret).send().await).await;
        assert_eq!((named.as_str(), &values["asked"]), ("client.grant_type", &json!("password")));
        app.change(&client, json!({"enabled": false})).await;
        let disabled = asks(&app, &client, &[]).send().await;
        assert_eq!(rule(&app, &disabled).await, ("client.enabled".to_owned(), json!({"client": client.id})));
        assert_eq!(disabled.refusal().1, "invalid_client", "the answer itself says no more than before");
    }

    async fn a_secret_that_has_ended_is_told_by_its_hint_and_end(app: TestApp) {
        let client = app.client(json!({})).await;
        let path = format!("/providers/default/clients/{}/secrets", client.id);
        let ends = time::OffsetDateTime::from_unix_timestamp(app.now() + 60).unwrap();
        let ends = ends.format(&time::format_description::well_known::Rfc3339).unwrap();
        let made = app.admin("POST", &path).json(&json!({"expires_at": ends})).send().await.json();
        let second = TestClient { secret: text(&made, "client_secret"), ..client.clone() };
        app.token(&second).await;
        for node in [app.clone(), app.second_node().await] {
            // At first the entry is older than the end, then it is read anew.
            for passed in [60, 3600] {
                app.pass(passed);
                let refused = asks(&node, &second, &[]).send().await;
                assert_eq!(refused.status, 401);
                let (named, values) = rule(&node, &refused).await;
                assert_eq!(named, "client.secret_live");
                assert_eq!((&values["secret"], &values["hint"], &values["ended_at"]), (&made["id"], &made["hint"], &json!(ends)));
                assert_eq!(values["because"], json!("it expired"));
                app.change(&client, json!({"client_name": passed.to_string()})).await;
                node.poll().await;
            }
        }
        app.admin("DELETE", &format!("{path}/{}", made["id"].as_str().unwrap())).send().await;
        let others = app.admin("GET", &path).send().await.json()["items"].clone();
        let first = others.as_array().unwrap().iter().find(|secret| secret["id"] != made["id"]).unwrap();
        let first = first["id"].as_str().unwrap();
        app.admin("DELETE", &format!("{path}/{first}")).send().await;
        let (named, values) = rule(&app, &asks(&app, &client, &[]).send().await).await;
        assert_eq!((named.as_str(), &values["because"], &values["secret"]), ("client.secret_live", &json!("it was revoked"), &json!(first)));
    }

    async fn codes_and_refresh_tokens_say_which_rule_they_broke(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let who = app.logged_in("ada").await;
        let code = app.code(&client, &who, &Wish::default()).await;
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK), ("code_verifier", CALLBACK)];
        let refused = app.post("/oauth2/token").form(&fields).basic(&client.id, &client.secret).send().await;
        let (named, values) = rule(&app, &refused).await;
        assert_eq!((named.as_str(), values["because"].as_str().unwrap().contains("does not fit")), ("pkce.verifier", true));
        let tokens = app.redeem("", &client, &code).await.json();
        assert_eq!(rule(&app, &app.redeem("", &client, &code).await).await.0, "code.unspent");
        let expired = app.code(&client, &who, &Wish::default()).await;
        app.pass(61);
        assert_eq!(rule(&app, &app.redeem("", &client, &expired).await).await.0, "code.live");

        let revoked = app.refresh("", &client, &text(&tokens, "refresh_token")).await;
        let (named, values) = rule(&app, &revoked).await;
        assert_eq!((named.as_str(), &values["because"]), ("refresh.live", &json!("it was revoked")));
        let rotating = app.web_client(json!({"refresh_rotation": "always"})).await;
        let first = text(&app.tokens(&rotating, &who, &Wish::default()).await, "refresh_token");
        let mut newest = first.clone();
        for _ in 0..3 {
            app.pass(20);
            newest = text(&app.refresh("", &rotating, &newest).await.json(), "refresh_token");
        }
        let replayed = app.refresh("", &rotating, &first).await;
        let (named, values) = rule(&app, &replayed).await;
        assert_eq!((named.as_str(), &values["presented"], &values["row"]), ("refresh.replayed", &json!(1), &json!(4)));
        let sentence = why(&app, &replayed).await["sentence"].clone();
        assert_eq!(sentence, json!("Generation 1 came when the row was at 4: the family was revoked."));
    }

    async fn a_condition_that_is_false_is_named_with_what_it_wants(app: TestApp) {
        let rules = json!({"conditions": [
            {"claim": "tenant", "operator": "equals", "value": "acme"},
            {"claim": "groups", "operator": "like", "value": "dev-*"},
            {"claim": "level", "operator": "in", "value": ["3", "4"]},
        ]});
        let trust = Trust::on(&app, rules).await;
        let good = json!({"tenant": "acme", "groups": ["dev-a"], "level": 3});
        assert_eq!(why(&app, &trust.exchange(&trust.token("u1", good)).await).await["outcome"], json!("granted"));
        for (level, actual) in [(json!(5), "a number or a boolean"), (json!({"a": "s3cret"}), "an object or null"), (json!(["s3cret"]), "a list")] {
            let claims = json!({"tenant": "acme", "groups": ["dev-a"], "level": level});
            let refused = trust.exchange(&trust.token("u1", claims)).await;
            let (named, values) = rule(&app, &refused).await;
            assert_eq!(named, "trust.condition");
            assert_eq!((&values["condition"], &values["claim"], &values["operator"]), (&json!(3), &json!("level"), &json!("in")));
            assert_eq!((&values["expected"], &values["actual"]), (&json!(["3", "4"]), &json!(actual)));
            let whole = why(&app, &refused).await.to_string();
            assert!(!whole.contains("s3cret"), "{whole}");
        }
    }

    async fn a_minted_lifetime_names_the_bound_it_broke(app: TestApp) {
        let key = app.api_key(json!({"role": "member", "name": "short", "max_ttl": 60})).await;
        let asked = |ttl: i64| app.post("/oauth2/mint").bearer(&key).json(&json!({"ttl_seconds": ttl})).send();
        let (named, values) = rule(&app, &asked(61).await).await;
        assert_eq!(named, "lifetime.bounded");
        assert_eq!(values, json!({"asked": 61, "longest": 60, "bound_by": "credential"}));
        assert_eq!(why(&app, &asked(60).await).await["outcome"], json!("granted"));
    }

    async fn an_inactive_token_says_why_it_is(app: TestApp) {
        let client = app.client(json!({})).await;
        let token = app.token(&client).await;
        let asked = |token: &str| app.post("/oauth2/introspect").form(&[("token", token)]).bearer(&app.first.owner_key).send();
        app.post("/oauth2/revoke").form(&[("token", &token)]).basic(&client.id, &client.secret).send().await;
        let revoked = asked(&token).await;
        assert_eq!(revoked.json(), json!({"active": false}));
        assert_eq!(rule(&app, &revoked).await.0, "token.revoked");
        assert_eq!(rule(&app, &asked("junk").await).await.0, "token.genuine");
        let second = app.token(&client).await;
        app.pass(3601);
        assert_eq!(rule(&app, &asked(&second).await).await.0, "token.live");
        let third = app.token(&client).await;
        app.admin("DELETE", &format!("/providers/default/clients/{}/tokens", client.id)).send().await;
        assert_eq!(rule(&app, &asked(&third).await).await.0, "token.epoch");
    }

    async fn management_says_which_role_it_needs(app: TestApp) {
        app.provider("acme", json!({})).await;
        let member = app.api_key(json!({"role": "member", "name": "m"})).await;
        let bound = admin_of(&app, "acme").await;
        let refused = app.post("/admin/v1/providers/default/clients").bearer(&member).json(&json!({})).send().await;
        assert_eq!(rule(&app, &refused).await, ("role.reaches".to_owned(), json!({"role": "member", "needed": "admin"})));
        let elsewhere = app.post("/admin/v1/providers/default/clients").bearer(&bound).json(&json!({})).send().await;
        assert_eq!((elsewhere.status, rule(&app, &elsewhere).await.0), (404, "provider.visible".to_owned()));
        let made = app.admin("POST", "/providers/default/clients").json(&json!({})).send().await;
        assert_eq!(why(&app, &made).await["kind"], json!("management"));
        // A bound key sees what was decided at its provider, and no more than that.
        let own = app.post("/p/acme/oauth2/token").form(&[GRANT]).basic("nobody", "x").send().await;
        let seen = |answer: &Answer| {
            let path = format!("/admin/v1/explain/{}", answer.header("x-request-id"));
            app.get(&path).bearer(&bound).send()
        };
        assert_eq!(seen(&own).await.status, 200);
        assert_eq!(seen(&refused).await.status, 404);
        assert_eq!(seen(&made).await.status, 404);
    }

    async fn a_tenant_sees_nothing_of_a_foreign_key(app: TestApp) {
        let other = app.second_node().await;
        for slug in ["acme", "other"] {
            app.provider(slug, json!({"surfaces": ["usegrant", "deepgram"]})).await;
        }
        let (here, there) = (admin_of(&app, "acme").await, admin_of(&app, "other").await);
        let made = async |fields: Value| {
            let made = app.admin("POST", "/api-keys").json(&fields).send().await.json();
            (text(&made, "key"), text(&made, "id"))
        };
        let foreign = made(json!({"role": "member", "provider": "other", "scope": "s3cret:scope"})).await;
        let gone = made(json!({"role": "member"})).await;
        app.admin("DELETE", &format!("/api-keys/{}", gone.1)).send().await;
        let rotated = made(json!({"role": "member"})).await;
        app.admin("POST", &format!("/api-keys/{}/secrets/rotate", rotated.1)).json(&json!({"overlap_seconds": 0})).send().await;
        let unbound = made(json!({"role": "member", "scope": "s3cret:scope", "max_ttl": 7777})).await;
        let seen = async |node: &TestApp, answer: &Answer, key: &str| {
            let path = format!("/admin/v1/explain/{}", answer.header("x-request-id"));
            node.get(&path).bearer(key).send().await
        };
        let plain = |answer: Answer| {
            assert_eq!(answer.status, 200, "{}", answer.text());
            let mut explained = answer.json();
            for own in ["request_id", "at", "node", "address"] {
                explained.as_object_mut().unwrap().remove(own);
            }
            explained
        };
        let asks: [for<'a> fn(&'a TestApp, &str) -> Call<'a>; 4] = [
            |app, key| app.post("/p/acme/oauth2/introspect").form(&[("token", "x")]).bearer(key),
            |app, key| app.post("/p/acme/oauth2/revoke").form(&[("token", "x")]).bearer(key),
            |app, key| app.post("/p/acme/oauth2/mint").json(&json!({})).bearer(key),
            |app, key| app.post("/p/acme/v1/auth/grant").json(&json!({})).bearer(key),
        ];
        for (number, ask) in asks.into_iter().enumerate() {
            let unknown = ask(&app, &"k".repeat(40)).send().await;
            let expected = seen(&app, &unknown, &here).await;
            for (key, id) in [&foreign, &gone, &rotated] {
                let refused = ask(&app, key).send().await;
                assert_eq!((refused.status, unknown.status), (401, 401), "{number}: {}", refused.text());
                let shown = seen(&app, &refused, &here).await;
                assert_eq!(shown.status, expected.status, "{number}: {}", shown.text());
                if expected.status == 200 {
                    let expected = plain(seen(&app, &unknown, &here).await);
                    assert_eq!(plain(shown), expected, "{number}: as of a key that does not exist");
                }
                app.tick().await;
                let written = seen(&other, &refused, &here).await;
                assert!(!written.text().contains(id.as_str()), "{number}: {}", written.text());
                // The operator and the provider of the key see it.
                assert_eq!(plain(seen(&other, &refused, &app.first.owner_key).await)["client_id"], json!(id));
                let own = seen(&other, &refused, &there).await;
                assert_eq!(own.status, if *key == foreign.0 { 200 } else { 404 }, "{number}: {}", own.text());
            }
            // Wrong keys are slowed.
            app.pass(600);
        }
        // What an unbound key does here is shown without the key.
        let mint = |fields: Value| app.post("/p/acme/oauth2/mint").json(&fields).bearer(&unbound.0).send();
        for (answer, rule, outcome) in [
            (mint(json!({"scope": "s3cret:scope", "ttl_seconds": 60})).await, "granted", "granted"),
            (mint(json!({"scope": "other"})).await, "api_key.shown", "refused"),
            (mint(json!({"ttl_seconds": 7778})).await, "api_key.shown", "refused"),
        ] {
            app.tick().await;
            for node in [&app, &other] {
                let shown = seen(node, &answer, &here).await;
                if outcome == "granted" && shown.status == 404 {
                    continue;
                }
                let text = shown.text();
                let shown = plain(shown);
                assert_eq!((&shown["rule"], &shown["outcome"], &shown["client_id"]), (&json!(rule), &json!(outcome), &json!(null)), "{text}");
                for hidden in [unbound.1.as_str(), "s3cret", "7777", "member"] {
                    assert!(!text.replace(answer.header("x-request-id"), "").contains(hidden), "{hidden}: {text}");
                }
                let whole = plain(seen(node, &answer, &app.first.owner_key).await);
                assert_eq!(whole["client_id"], json!(unbound.1), "{whole}");
            }
        }
        let own = made(json!({"role": "member", "provider": "acme", "scope": "a"})).await;
        let refused = app.post("/p/acme/oauth2/mint").json(&json!({"scope": "b"})).bearer(&own.0).send().await;
        let shown = plain(seen(&app, &refused, &here).await);
        assert_eq!((&shown["rule"], &shown["client_id"]), (&json!("scope.allowed"), &json!(own.1)));
    }

    async fn another_node_finds_what_was_written_and_says_why_it_finds_nothing(app: TestApp) {
        let other = app.second_node().await;
        let client = app.client(json!({})).await;
        let refused = asks(&app, &client, &[("scope", "x")]).send().await;
        let path = format!("/explain/{}", refused.header("x-request-id"));
        let missing = other.admin("GET", &path).send().await;
        assert_eq!(missing.status, 404);
        let detail = text(&missing.json(), "detail");
        assert!(detail.contains("another node"), "{detail}");
        let here = app.admin("GET", &path).send().await.json();
        app.tick().await;
        assert_eq!(other.admin("GET", &path).send().await.json(), here, "as it was in memory");
        app.pass(86_401);
        app.engine.clean_up(app.context().now).await.unwrap();
        let old = other.admin("GET", &path).send().await;
        assert!(old.status == 404 && text(&old.json(), "detail").contains("older than"), "{}", old.text());
        let none = app.admin("GET", "/explain/nonsense").send().await;
        assert!(text(&none.json(), "detail").contains("shape"), "{}", none.text());
    }

    async fn every_answer_carries_a_request_id_that_is_explained(app: TestApp) {
        let big = vec![b'x'; 70_000];
        let answers = [
            app.get("/nothing/here").send().await,
            app.get("/admin/v1/nothing").send().await,
            app.get("/oauth2/token").send().await,
            app.call("PUT", "/admin/v1/providers").send().await,
            app.post("/oauth2/token").body("application/x-www-form-urlencoded", &big).send().await,
            app.post("/api/v1/token").body("application/json", &big).send().await,
            app.post("/v1/auth/grant").body("application/json", &big).send().await,
            app.get("/v1/auth/token").send().await,
            app.post("/security/generate-token").send().await,
            app.post("/api/v1/auth/tokens").body("", "x").send().await,
            app.get("/v1/providers").send().await,
            app.get("/forward-auth").send().await,
            app.get("/oauth2/authorize").send().await,
            app.get("/p/nobody/oauth2/token").send().await,
            app.get("/admin/v1/providers").send().await,
        ];
        for answer in &answers {
            assert!(answer.status >= 300, "{} {}", answer.status, answer.text());
            let explained = why(&app, answer).await;
            assert_eq!(explained["outcome"], json!("refused"), "{explained}");
            assert!(!explained["sentence"].as_str().unwrap().is_empty());
        }
        for path in ["/healthz", "/readyz", "/.well-known/jwks.json", "/openapi.json", "/login"] {
            assert_eq!(app.get(path).send().await.header("x-request-id").len(), 36, "{path}");
        }
    }
}
