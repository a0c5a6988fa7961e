//! `/v1/auth/token` and `/v1/projects/{project_id}/keys`: API keys as the SDKs see them.

use serde_json::{Value, json};

use crate::deepgram::{code, granted, key, refused};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::http::{Answer, Call};

/// A project with a key of role admin that is bound to it.
struct Project {
    app: TestApp,
    id: String,
    admin: String,
}

impl Project {
    async fn of(app: &TestApp, slug: &str) -> Self {
        let id = app.provider(slug, json!({})).await["id"].as_str().unwrap().to_owned();
        let admin = app.api_key(json!({"role": "admin", "provider": slug})).await;
        Self { app: app.clone(), id, admin }
    }

    fn call(&self, method: &str, path: &str, key: &str) -> Call<'_> {
        let path = format!("/v1/projects/{}/keys{path}", self.id);
        self.app.call(method, &path).header("authorization", &format!("Token {key}"))
    }

    async fn create(&self, fields: &Value) -> Answer {
        self.call("POST", "", &self.admin).json(fields).send().await
    }

    /// A key that must be made.
    async fn made(&self, fields: &Value) -> Value {
        let answer = self.create(fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// The ids of the keys in a list.
    async fn listed(&self, query: &str) -> Vec<String> {
        let answer = self.call("GET", query, &self.admin).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let keys = answer.json()["api_keys"].as_array().unwrap().clone();
        keys.iter().map(|key| key["api_key"]["api_key_id"].as_str().unwrap().to_owned()).collect()
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

on_both_apps! {
    async fn a_key_is_made_listed_read_used_and_deleted(app: TestApp) {
        let project = Project::of(&app, "acme").await;
        let made = project.made(&json!({"comment": "browser backend", "scopes": ["member"], "tags": ["x"], "other": 1})).await;
        let (id, secret) = (text(&made, "api_key_id"), text(&made, "key"));
        let created = "2027-01-15T08:00:00Z";
        assert_eq!(made, json!({"api_key_id": id, "key": secret, "comment": "browser backend", "scopes": ["member"], "created": created}));
        let shown = json!({"api_key_id": id, "comment": "browser backend", "scopes": ["member"], "created": created});
        let member = json!({"member_id": id, "email": ""});

        assert!(project.listed("").await.contains(&id.to_owned()));
        let read = project.call("GET", &format!("/{id}"), &project.admin).send().await.json();
        assert_eq!(read["api_key"], shown);
        assert_eq!(read["member"], member);
        assert_eq!(read["item"]["member"], json!({"member_id": id, "email": "", "api_key": shown}));

        let own = app.get("/v1/auth/token").header("authorization", secret).send().await;
        assert_eq!((own.status, own.json()), (200, json!({"api_key_id": id, "scopes": ["member"], "created": created})));
        let token = granted(&app, secret).await;
        let introspect = app.post("/p/acme/oauth2/introspect").form(&[("token", &token)]).bearer(&app.first.owner_key);
        assert_eq!(introspect.send().await.json()["sub"], json!(id), "it mints at its own project");

        let deleted = project.call("DELETE", &format!("/{id}"), &project.admin).send().await;
        assert_eq!((deleted.status, deleted.json()["message"].is_string()), (200, true), "{}", deleted.text());
        assert!(!project.listed("").await.contains(&id.to_owned()));
        let again = project.call("DELETE", &format!("/{id}"), &project.admin).send().await;
        assert_eq!(refused(&again), code(404, "NOT_FOUND"));
        assert_eq!(refused(&app.get("/v1/auth/token").header("authorization", secret).send().await), code(401, "INVALID_AUTH"));
        let events = app.admin("GET", &format!("/api-keys/{id}")).send().await;
        assert_eq!(events.status, 404);
    }

    async fn a_role_among_the_scopes_makes_the_role_and_other_names_narrow(app: TestApp) {
        let project = Project::of(&app, "acme").await;
        for (scopes, role, scope) in [
            (json!(["usage:write"]), "default", json!("usage:write")), (json!(["member"]), "member", json!(null)),
            (json!(["member", "usage:write"]), "member", json!("usage:write")), (json!(["usage:read", "usage:write"]), "default", json!("usage:read usage:write")),
        ] {
            let made = project.made(&json!({"comment": "x", "scopes": scopes})).await;
            assert_eq!(made["scopes"], scopes);
            let key = app.admin("GET", &format!("/api-keys/{}", text(&made, "api_key_id"))).send().await.json();
            assert_eq!((&key["role"], &key["scope"], &key["name"]), (&json!(role), &scope, &json!("x")), "{scopes}");
            assert_eq!(key["provider"], json!("acme"));
        }
        for beyond in ["admin", "owner"] {
            let answer = project.create(&json!({"comment": "x", "scopes": [beyond]})).await;
            assert_eq!(refused(&answer), code(403, "FORBIDDEN"), "an admin key makes members: {beyond}");
        }
        let owner = Project { admin: app.first.owner_key.clone(), ..project };
        for scope in ["admin", "owner"] {
            let made = owner.made(&json!({"comment": "", "scopes": [scope]})).await;
            assert_eq!((&made["scopes"], &made["comment"]), (&json!([scope]), &json!("api key")));
        }
    }

    async fn a_key_ends_at_a_date_or_after_a_time_and_lists_tell_them_apart(app: TestApp) {
        let project = Project::of(&app, "acme").await;
        let by_date = project.made(&json!({"scopes": ["member"], "expiration_date": "2027-01-15T09:00:00+00:30"})).await;
        let by_time = project.made(&json!({"scopes": ["member"], "time_to_live_in_seconds": 3600, "expiration_date": null})).await;
        assert_eq!(text(&by_date, "expiration_date"), "2027-01-15T08:30:00Z");
        assert_eq!(text(&by_time, "expiration_date"), "2027-01-15T09:00:00Z");
        for (given, end) in [(json!(3600.0), "2027-01-15T09:00:00Z"), (json!(3600.9), "2027-01-15T09:00:00Z")] {
            let made = project.made(&json!({"scopes": ["member"], "time_to_live_in_seconds": given})).await;
            assert_eq!(text(&made, "expiration_date"), end, "{given}");
            let id = text(&made, "api_key_id");
            assert_eq!(project.call("DELETE", &format!("/{id}"), &project.admin).send().await.status, 200);
        }
        app.pass(1800);
        let (gone, stays) = (text(&by_date, "api_key_id").to_owned(), text(&by_time, "api_key_id").to_owned());
        let (active, expired, all) = (project.listed("?status=active").await, project.listed("?status=expired").await, project.listed("").await);
        assert_eq!(expired, std::slice::from_ref(&gone));
        assert!(active.contains(&stays) && !active.contains(&gone) && all.len() == active.len() + 1);
        assert_eq!(refused(&app.get("/v1/auth/token").header("authorization", text(&by_date, "key")).send().await).0, 401);
        for bad in ["?status=dead", "?status=active&status=expired"] {
            assert_eq!(refused(&project.call("GET", bad, &project.admin).send().await), code(400, "BAD_REQUEST"), "{bad}");
        }
    }

    async fn what_cannot_be_read_is_a_400_and_makes_no_key(app: TestApp) {
        let project = Project::of(&app, "acme").await;
        let before = project.listed("").await;
        for fields in [
            json!({}), json!({"comment": "x"}), json!({"scopes": []}), json!({"scopes": "member"}), json!({"scopes": [1]}), json!({"scopes": ["a b"]}),
            json!({"scopes": ["member"], "comment": 7}), json!({"scopes": ["member"], "comment": "x".repeat(256)}), json!({"scopes": ["member"], "comment": "a\u{0}b"}),
            json!({"scopes": ["member"], "comment": "a\u{202e}b"}),
            json!({"scopes": ["member"], "expiration_date": "2020-01-01T00:00:00Z"}), json!({"scopes": ["member"], "expiration_date": "soon"}),
            json!({"scopes": ["member"], "time_to_live_in_seconds": 0}), json!({"scopes": ["member"], "time_to_live_in_seconds": 0.5}),
            json!({"scopes": ["member"], "time_to_live_in_seconds": 60, "expiration_date": "2030-01-01T00:00:00Z"}), json!([]), json!(null),
        ] {
            assert_eq!(refused(&project.create(&fields).await), code(400, "BAD_REQUEST"), "{fields}");
        }
        assert_eq!(project.listed("").await, before);
    }

    async fn a_refusal_says_what_is_wrong_by_the_names_of_this_wire(app: TestApp) {
        let project = Project::of(&app, "acme").await;
        let many: Vec<String> = (0..500).map(|number| format!("s{number}")).collect();
        for (fields, says) in [
            (json!({"scopes": many}), "at most 200"), (json!({"scopes": ["a b"]}), "without space"), (json!({"scopes": []}), "at least one scope name"),
            (json!({"scopes": ["member"], "comment": "a\u{202e}b"}), "comment "),
        ] {
            let answer = project.create(&fields).await;
            assert_eq!(refused(&answer), code(400, "BAD_REQUEST"));
            assert!(answer.json()["err_msg"].as_str().unwrap().contains(says), "{}", answer.text());
        }
    }

    async fn management_needs_the_role_and_each_project_has_its_own_keys(app: TestApp) {
        let (project, other) = (Project::of(&app, "acme").await, Project::of(&app, "other").await);
        let made = project.made(&json!({"scopes": ["member"]})).await;
        let id = text(&made, "api_key_id");
        for role in ["default", "member"] {
            let weak = app.api_key(json!({"role": role, "provider": "acme"})).await;
            for (method, path) in [("GET", String::new()), ("POST", String::new()), ("GET", format!("/{id}")), ("DELETE", format!("/{id}"))] {
                let answer = project.call(method, &path, &weak).json(&json!({"scopes": ["member"]})).send().await;
                assert_eq!(refused(&answer), code(403, "FORBIDDEN"), "{role} {method} {path}");
            }
            let own = app.get("/v1/auth/token").header("authorization", &weak).send().await;
            assert_eq!(own.status, 200, "any key may ask about itself");
        }
        for (method, path) in [("GET", String::new()), ("POST", String::new()), ("GET", format!("/{id}")), ("DELETE", format!("/{id}"))] {
            let foreign = project.call(method, &path, &other.admin).json(&json!({"scopes": ["member"]})).send().await;
            assert_eq!(refused(&foreign), code(404, "PROJECT_NOT_FOUND"), "{method} {path}");
        }
        // The owner sees both, and still a key is found in its own project only.
        let misplaced = other.call("GET", &format!("/{id}"), &app.first.owner_key).send().await;
        assert_eq!(refused(&misplaced), code(404, "NOT_FOUND"));
        let misplaced = other.call("DELETE", &format!("/{id}"), &app.first.owner_key).send().await;
        assert_eq!(refused(&misplaced), code(404, "NOT_FOUND"));
        assert!(project.listed("").await.contains(&id.to_owned()));
        assert!(!other.listed("").await.contains(&id.to_owned()));
        for id in ["x", "00000000-0000-7000-8000-000000000000", "%00"] {
            let answer = project.call("GET", &format!("/{id}"), &project.admin).send().await;
            assert_eq!(refused(&answer), code(404, "NOT_FOUND"), "{id}");
        }
    }

    async fn a_key_without_a_project_manages_every_one_and_makes_bound_keys(app: TestApp) {
        let project = Project::of(&app, "acme").await;
        let free = key(&app, "admin").await;
        let answer = project.call("POST", "", &free).json(&json!({"scopes": ["member"]})).send().await;
        let id = answer.json()["api_key_id"].as_str().unwrap().to_owned();
        assert_eq!(app.admin("GET", &format!("/api-keys/{id}")).send().await.json()["provider"], json!("acme"));
        let own = app.get("/v1/auth/token").header("authorization", &free).send().await.json();
        assert_eq!(own["scopes"], json!(["admin"]));
    }
}

on_both_apps! {
    async fn a_list_that_is_too_long_is_refused_with_what_to_do(app: TestApp) {
        let provider = app.provider("long", json!({})).await["id"].as_str().unwrap().to_owned();
        for _ in 0..25 {
            app.api_key(json!({"name": "k", "role": "member", "provider": provider})).await;
        }
        let list = async || {
            let path = format!("/v1/projects/{provider}/keys");
            app.get(&path).header("authorization", &format!("Token {}", app.first.owner_key)).send().await
        };
        assert_eq!(list().await.json()["api_keys"].as_array().unwrap().len(), 25);
        let sql = format!("UPDATE api_keys SET name = '{}'", "x".repeat(50_000));
        app.job(move |tx| Ok(diesel::connection::SimpleConnection::batch_execute(&mut **tx, &sql)?)).await;
        let answer = list().await;
        assert_eq!(refused(&answer), code(400, "BAD_REQUEST"));
        assert!(answer.text().contains("GET /admin/v1/api-keys"), "{}", answer.text());
    }
}
