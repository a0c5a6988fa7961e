//! Users as a resource: made, found, changed, locked, ended; nobody else's, and without a password
//! in any answer.

use grantd::domain::Fault;
use grantd::store::{Conn, events, users};
use serde_json::{Value, json};

use super::{HERE, IMPORTED, PASSWORD, USERS, app_client, id_of, log_in, path_of, user};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::databases::soon;

/// Status and the pointers of the wrong fields, sorted.
async fn wrong_fields(app: &TestApp, method: &str, path: &str, body: &Value) -> Vec<String> {
    let answer = app.admin(method, path).json(body).send().await;
    assert_eq!(answer.status, 422, "{body}: {}", answer.text());
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let mut pointers: Vec<_> = errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect();
    pointers.sort();
    pointers
}

async fn stored<T: Send + 'static>(
    app: &TestApp,
    read: impl FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static,
) -> T {
    app.engine.db().read(soon(), read).await.unwrap()
}

on_both_apps! {
    async fn a_user_is_made_shown_changed_and_gone(app: TestApp) {
        let fields = json!({"username": " Ada ", "email": "Ada@Example.com", "email_verified": true, "name": "Ada L.", "groups": ["a b", "c", "a b"]});
        let made = app.admin("POST", USERS).json(&fields).send().await;
        assert_eq!(made.status, 201, "{}", made.text());
        let (location, etag) = (made.header("location").to_owned(), made.header("etag").to_owned());
        let body = made.json();
        assert_eq!((&body["username"], &body["email"], &body["groups"]), (&json!("Ada"), &json!("Ada@Example.com"), &json!(["a b", "c"])));
        assert_eq!((&body["enabled"], &body["has_password"], &body["locked_at"]), (&json!(true), &json!(false), &json!(null)));
        let shown = app.admin("GET", location.trim_start_matches("/admin/v1")).send().await;
        assert_eq!((shown.json(), shown.header("etag")), (body.clone(), etag.as_str()));
        let path = path_of(&body);
        let change = json!({"name": null, "groups": null, "username": "ada.l"});
        let changed = app.admin("PATCH", &path).header("if-match", &etag).json(&change).send().await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        assert_eq!((&changed.json()["name"], &changed.json()["groups"], &changed.json()["email_verified"]), (&json!(null), &json!([]), &json!(true)));
        for (method, body) in [("PATCH", json!({"name": "x"})), ("DELETE", json!({}))] {
            assert_eq!(app.admin(method, &path).header("if-match", &etag).json(&body).send().await.status, 412, "{method}");
        }
        // Nothing named, nothing changed: no version, no event.
        let same = app.admin("PATCH", &path).json(&json!({"username": "ada.l"})).send().await;
        assert_eq!(same.header("etag"), changed.header("etag"));
        assert_eq!(app.admin("DELETE", &path).header("if-match", changed.header("etag")).send().await.status, 204);
        for (method, below) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/lock"), ("DELETE", "/lock"), ("POST", "/password"), ("GET", "/sessions"), ("DELETE", "/sessions")] {
            let call = app.admin(method, &format!("{path}{below}")).json(&json!({}));
            assert_eq!(call.send().await.status, 404, "{method} {below}");
        }
        assert_eq!(app.admin("GET", USERS).send().await.json()["items"], json!([]));
        let again = user(&app, fields).await;
        assert_ne!(again["id"], body["id"], "the names are free, the id is not");
    }

    async fn a_name_is_one_accounts_whatever_its_spelling_and_whether_name_or_email(app: TestApp) {
        let ada = user(&app, json!({"username": "Ada", "email": "ada@example.com"})).await;
        let bob = user(&app, json!({"username": "bob@example.com"})).await;
        for taken in [
            json!({"username": "ADA"}),
            json!({"username": "Ａｄａ"}),
            json!({"username": "ADA@example.com"}),
            json!({"username": "x", "email": "Ada@Example.COM"}),
            json!({"username": "x", "email": "Bob@example.com"}),
        ] {
            let answer = app.admin("POST", USERS).json(&taken).send().await;
            assert_eq!(answer.status, 409, "{taken}: {}", answer.text());
        }
        for taken in [json!({"username": "aDA"}), json!({"email": "ADA@example.com"}), json!({"username": "ada@EXAMPLE.com"})] {
            assert_eq!(app.admin("PATCH", &path_of(&bob)).json(&taken).send().await.status, 409, "{taken}");
        }
        // One's own names stay one's own; they may even be the same.
        let own = json!({"username": "ADA@example.com", "email": "ada@example.com"});
        assert_eq!(app.admin("PATCH", &path_of(&ada)).json(&own).send().await.status, 200);
        assert_eq!(app.admin("PATCH", &path_of(&bob)).json(&json!({"username": "ada"})).send().await.status, 200);
        app.provider("acme", json!({})).await;
        let there = app.admin("POST", "/providers/acme/users").json(&json!({"username": "Ada", "email": "ada@example.com"}));
        assert_eq!(there.send().await.status, 201, "another provider's people are others");
    }

    async fn of_many_who_want_a_name_at_once_one_gets_it(app: TestApp) {
        let make = |n: usize| {
            let fields = match n % 2 {
                0 => json!({"username": "a@example.com"}),
                _ => json!({"username": format!("u{n}"), "email": "A@example.com"}),
            };
            let call = app.admin("POST", USERS).json(&fields);
            async move { call.send().await.status }
        };
        let mut statuses = futures_util::future::join_all((0..8).map(make)).await;
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    }

    async fn an_import_that_costs_too_much_is_refused_with_the_figure(app: TestApp) {
        let body = "MDEyMzQ1Njc4OWFiY2RlZg$/UME2lNoSLCbq1rY9M6jCiFREZFuqeV6zm/nihiNuz0";
        let dear = format!("$scrypt$ln=18,r=8,p=16${body}");
        let made = user(&app, json!({"username": "a"})).await;
        let set = format!("{}/password", path_of(&made));
        for (path, fields) in [
            (USERS, json!({"username": "dear", "password_hash": dear})),
            (set.as_str(), json!({"password_hash": dear})),
        ] {
            let answer = app.admin("POST", path).json(&fields).send().await;
            assert_eq!(answer.status, 422, "{path}: {}", answer.text());
            let error = answer.json()["errors"][0].clone();
            assert_eq!(error["pointer"], "/password_hash");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.contains("20971520") && detail.contains("passwords.import_cost_max is 1245184"), "{detail}");
        }
        let usual = format!("$scrypt$ln=17,r=8,p=1${body}");
        user(&app, json!({"username": "usual", "password_hash": usual})).await;
    }

    async fn every_wrong_field_is_named(app: TestApp) {
        let long = "x".repeat(256);
        for (body, pointers) in [
            (json!({}), vec!["/username"]),
            (json!({"username": null}), vec!["/username"]),
            (json!({"username": "a b", "email": "x", "name": "", "nonsense": 1}), vec!["/email", "/name", "/nonsense", "/username"]),
            (json!({"username": long}), vec!["/username"]),
            (json!({"username": "a\u{202e}b"}), vec!["/username"]),
            (json!({"username": 7, "enabled": "yes", "groups": "a"}), vec!["/enabled", "/groups", "/username"]),
            (json!({"username": "a", "groups": [""]}), vec!["/groups"]),
            (json!({"username": "a", "email_verified": true}), vec!["/email_verified"]),
            (json!({"username": "a", "password": "short"}), vec!["/password"]),
            (json!({"username": "a", "password": "Password123"}), vec!["/password"]),
            (json!({"username": "ada.lovelace", "password": "Ada.Lovelace"}), vec!["/password"]),
            (json!({"username": "a", "email": "someone@example.com", "password": "SOMEONE@example.com"}), vec!["/password"]),
            (json!({"username": "a", "password": "x".repeat(501)}), vec!["/password"]),
            (json!({"username": "a", "password": PASSWORD, "password_hash": IMPORTED[0].1}), vec!["/password_hash"]),
            (json!({"username": "a", "password_hash": PASSWORD}), vec!["/password_hash"]),
            (json!({"username": "a", "password_hash": "$2b$15$qKkO.B9vLtfH9xHWlpCTcudjTlMQEDIRXceIhww0HK1kqCTmjd4AK"}), vec!["/password_hash"]),
            (json!({"username": "a", "id": "x", "locked_at": null, "has_password": true}), vec!["/has_password", "/id", "/locked_at"]),
        ] {
            assert_eq!(wrong_fields(&app, "POST", USERS, &body).await, pointers, "{body}");
        }
        let made = user(&app, json!({"username": "a"})).await;
        let path = path_of(&made);
        let fixed = json!({"password": PASSWORD, "password_hash": null, "username": null});
        assert_eq!(wrong_fields(&app, "PATCH", &path, &fixed).await, ["/password", "/password_hash", "/username"]);
        let set = format!("{path}/password");
        for (body, pointers) in [
            (json!({}), vec!["/password"]),
            (json!({"password": "short"}), vec!["/password"]),
            (json!({"password": PASSWORD, "x": 1}), vec!["/x"]),
            (json!({"password": 7}), vec!["/password"]),
            (json!({"password": PASSWORD, "password_hash": IMPORTED[0].1}), vec!["/password_hash"]),
        ] {
            assert_eq!(wrong_fields(&app, "POST", &set, &body).await, pointers, "{body}");
        }
        assert_eq!(wrong_fields(&app, "POST", &format!("{path}/lock"), &json!({"x": 1})).await, ["/x"]);
        for path in [USERS, set.as_str()] {
            for broken in ["", "{", "[]", "{\"username\":\"a\",\"username\":\"b\"}"] {
                let answer = app.admin("POST", path).body("application/json", broken).send().await;
                assert_eq!(answer.status, 400, "{path} {broken}: {}", answer.text());
            }
            assert_eq!(app.admin("POST", path).body("text/plain", "{}").send().await.status, 415, "{path}");
        }
        assert_eq!(app.admin("GET", USERS).send().await.json()["items"].as_array().unwrap().len(), 1);
    }

    async fn only_an_admin_of_the_provider_sees_people(app: TestApp) {
        let made = user(&app, json!({"username": "ada"})).await;
        app.provider("acme", json!({})).await;
        let path = path_of(&made);
        let foreign = app.api_key(json!({"role": "admin", "provider": "acme"})).await;
        let weak = [app.api_key(json!({"role": "member"})).await, app.api_key(json!({"role": "default"})).await];
        let calls = [
            ("GET", USERS.to_owned()),
            ("POST", USERS.to_owned()),
            ("GET", path.clone()),
            ("PATCH", path.clone()),
            ("DELETE", path.clone()),
            ("POST", format!("{path}/password")),
            ("POST", format!("{path}/lock")),
            ("DELETE", format!("{path}/lock")),
            ("GET", format!("{path}/sessions")),
            ("DELETE", format!("{path}/sessions")),
            ("DELETE", format!("{path}/sessions/{}", made["id"].as_str().unwrap())),
        ];
        let before = app.rows().await;
        for (method, path) in &calls {
            let call = || app.call(method, &format!("/admin/v1{path}")).json(&json!({"username": "bob", "password": PASSWORD}));
            for key in &weak {
                assert_eq!(call().bearer(key).send().await.status, 403, "{method} {path}");
            }
            assert_eq!(call().bearer(&foreign).send().await.status, 404, "{method} {path}");
            assert_eq!(call().send().await.status, 401, "{method} {path}");
            assert_eq!(call().bearer("gk_nonsense").send().await.status, 401, "{method} {path}");
        }
        assert_eq!(app.rows().await, before);
        // Nor is a user of one provider found at another.
        let elsewhere = path.replace("/default/", "/acme/");
        for (method, body) in [("GET", json!({})), ("PATCH", json!({"name": "x"})), ("DELETE", json!({}))] {
            assert_eq!(app.admin(method, &elsewhere).json(&body).send().await.status, 404, "{method}");
        }
        for odd in ["nobody", "..", "%00", "018bcfe5-687b-7000-8000-000000000000"] {
            assert_eq!(app.admin("GET", &format!("{USERS}/{odd}")).send().await.status, 404, "{odd}");
        }
    }

    async fn lists_are_paged_and_find_one_by_its_names(app: TestApp) {
        for name in ["ada", "bob", "cyd"] {
            // Ids of one millisecond have no order.
            app.pass(1);
            user(&app, json!({"username": name, "email": format!("{name}@example.com")})).await;
        }
        let list = async |query: &str| app.admin("GET", &format!("{USERS}{query}")).send().await.json();
        let names = |page: &Value| -> Vec<String> {
            page["items"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned()).collect()
        };
        let first = list("?limit=2").await;
        assert_eq!(names(&first), ["ada", "bob"]);
        let second = list(&format!("?limit=2&cursor={}", first["next_cursor"].as_str().unwrap())).await;
        assert_eq!((names(&second), &second["next_cursor"]), (vec!["cyd".to_owned()], &json!(null)));
        assert_eq!(names(&list("?username=ADA").await), ["ada"]);
        assert_eq!(names(&list("?email=Bob%40Example.com").await), ["bob"]);
        for nobody in ["?username=ad", "?username=ada%40example.com", "?email=ada", "?username=ada&email=bob%40example.com", "?username=%25"] {
            assert_eq!(names(&list(nobody).await), [""; 0], "{nobody}");
        }
        for bad in ["?limit=0", "?username=%00", "?email=%00"] {
            assert_eq!(app.admin("GET", &format!("{USERS}{bad}")).send().await.status, 400, "{bad}");
        }
    }

    async fn no_answer_and_no_event_carries_a_password_or_a_hash(app: TestApp) {
        let mut said = String::new();
        let made = app.admin("POST", USERS).json(&json!({"username": "ada", "password": PASSWORD})).send().await;
        said += &made.text();
        let path = path_of(&made.json());
        assert_eq!(made.json()["has_password"], json!(true));
        for body in [json!({"password_hash": IMPORTED[0].1}), json!({"password": "another horse"}), json!({"password": null})] {
            let answer = app.admin("POST", &format!("{path}/password")).json(&body).send().await;
            assert_eq!(answer.status, 204, "{body}: {}", answer.text());
            said += &app.admin("GET", &path).send().await.text();
        }
        assert_eq!(app.admin("GET", &path).send().await.json()["has_password"], json!(false));
        said += &app.admin("GET", USERS).send().await.text();
        said += &app.admin("POST", &format!("{path}/password")).json(&json!({"password_hash": "$2b$99$secret"})).send().await.text();
        said += &format!("{:?}", stored(&app, |conn| events::newest(conn, 50)).await);
        assert!(said.contains("user.password_changed") && said.contains("user.created"));
        for secret in [PASSWORD, "another horse", "$argon2", "$2b$", "qKkO", "secret"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
    }

    async fn what_ends_a_persons_access_ends_their_tokens_at_once(app: TestApp) {
        let client = app_client(&app).await;
        let made = user(&app, json!({"username": "ada", "password": PASSWORD})).await;
        let (path, node) = (path_of(&made), app.second_node().await);
        let token = async || {
            use secrecy::ExposeSecret;
            let granted = log_in(&app, &client, HERE, "ada", PASSWORD).await;
            granted.unwrap_or_else(|failed| panic!("{failed}")).access_token.expose_secret().to_owned()
        };
        let acts = [
            ("POST", "/lock", json!({}), ("DELETE", "/lock", json!({}))),
            ("PATCH", "", json!({"enabled": false}), ("PATCH", "", json!({"enabled": true}))),
            ("POST", "/password", json!({"password": "another horse"}), ("POST", "/password", json!({"password": PASSWORD}))),
            ("DELETE", "", json!({}), ("GET", "", json!({}))),
        ];
        for (method, below, body, (back_method, back, back_body)) in acts {
            let before = token().await;
            assert!(app.is_active(&before).await && node.is_active(&before).await);
            let answer = app.admin(method, &format!("{path}{below}")).json(&body).send().await;
            assert!((200..300).contains(&answer.status), "{method} {below}: {}", answer.text());
            assert!(!app.is_active(&before).await, "{method} {below}");
            node.poll().await;
            assert!(!node.is_active(&before).await, "{method} {below} on another node");
            app.admin(back_method, &format!("{path}{back}")).json(&back_body).send().await;
            node.poll().await;
            assert!(!app.is_active(&before).await && !node.is_active(&before).await, "{method} {below} was undone");
        }
    }

    async fn locking_twice_changes_nothing(app: TestApp) {
        let made = user(&app, json!({"username": "ada"})).await;
        let lock = format!("{}/lock", path_of(&made));
        let first = app.admin("POST", &lock).send().await;
        assert_eq!(first.status, 200, "{}", first.text());
        assert!(first.json()["locked_at"].is_string());
        app.pass(10);
        let second = app.admin("POST", &lock).send().await;
        assert_eq!((second.json(), second.header("etag")), (first.json(), first.header("etag")));
        for _ in 0..2 {
            assert_eq!(app.admin("DELETE", &lock).send().await.status, 204);
        }
        assert_eq!(app.admin("GET", &path_of(&made)).send().await.json()["locked_at"], json!(null));
    }

    async fn a_users_id_is_no_clients_name(app: TestApp) {
        let made = user(&app, json!({"username": "ada"})).await;
        let call = app.admin("POST", "/providers/default/clients").json(&json!({"subject": made["id"]}));
        assert_eq!(call.send().await.status, 409);
        app.admin("DELETE", &path_of(&made)).send().await;
        let call = app.admin("POST", "/providers/default/clients").json(&json!({"subject": made["id"]}));
        assert_eq!(call.send().await.status, 409, "it is never given out again");
    }

    async fn a_provider_with_people_is_ended_only_on_purpose(app: TestApp) {
        app.provider("acme", json!({})).await;
        let call = app.admin("POST", "/providers/acme/users").json(&json!({"username": "ada"}));
        assert_eq!(call.send().await.status, 201);
        let refused = app.admin("DELETE", "/providers/acme").send().await;
        assert_eq!(refused.status, 409);
        assert!(refused.text().contains("users"), "{}", refused.text());
        assert_eq!(app.admin("DELETE", "/providers/acme?cascade=true").send().await.status, 204);
        assert_eq!(app.admin("GET", "/providers/acme/users").send().await.status, 404);
    }

    async fn a_deleted_users_row_keeps_no_password(app: TestApp) {
        let made = user(&app, json!({"username": "ada", "password": PASSWORD})).await;
        app.admin("DELETE", &path_of(&made)).send().await;
        let provider = app.admin("GET", "/providers/default").send().await.json();
        let (provider, id) = (provider["id"].as_str().unwrap().into(), id_of(&made));
        let row = stored(&app, move |conn| users::get(conn, &provider, &id)).await.expect("the row stays");
        assert_eq!((row.password, row.deleted_at.is_some()), (None, true));
    }
}
