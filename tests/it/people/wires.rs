//! Passwords over every wire that takes one: one count for all of them, and the same answer to
//! whoever does not get in.

use serde_json::{Value, json};

use super::{HERE, PASSWORD, THERE, USERS, path_of, user};
use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::browser::{Browser, authorize_path, claims};
use crate::support::http::{Answer, refused};

const GUESS: &str = "a wrong horse";

/// The built-in client is off on an issuer like the tests'.
async fn turn_runai_on(app: &TestApp) {
    let answer = app.admin("PATCH", "/providers/default/clients/runai").json(&json!({"enabled": true})).send().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn password_client(app: &TestApp, more: Value) -> TestClient {
    let mut fields = json!({"grant_types": ["password", "refresh_token"], "scope": "openid profile email read"});
    for (name, value) in more.as_object().into_iter().flatten() {
        fields[name] = value.clone();
    }
    app.client(fields).await
}

async fn oauth2(app: &TestApp, client: &TestClient, address: &str, name: &str, password: &str) -> Answer {
    let form = [("grant_type", "password"), ("username", name), ("password", password)];
    app.post("/oauth2/token").form(&form).basic(&client.id, &client.secret).at_address(address).send().await
}

async fn runai(app: &TestApp, address: &str, name: &str, password: &str) -> Answer {
    let body = json!({"grantType": "password", "username": name, "password": password});
    app.post("/api/v1/token").json(&body).at_address(address).send().await
}

async fn runai_v2(app: &TestApp, address: &str, name: &str, password: &str) -> Answer {
    let form = [("grant_type", "password"), ("username", name), ("password", password)];
    app.post("/api/v2/token").form(&form).at_address(address).send().await
}

/// The login page, from a browser of its own; status and page.
async fn page(app: &TestApp, client: &TestClient, address: &str, name: &str, password: &str) -> Option<Answer> {
    let browser = Browser::at(app, address);
    let page = browser.open(&authorize_path("", client, &[])).await;
    match browser.log_in(&page, name, password).await {
        crate::support::browser::Arrived::Page { answer, .. } => Some(answer),
        crate::support::browser::Arrived::Left(_) => None,
    }
}

/// What stands outside of the tags of a page: fields of forms differ with every request.
fn words(text: &str) -> String {
    let outside = text.split('<').map(|part| part.split_once('>').map_or(part, |(_, words)| words));
    outside.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

on_both_apps! {
    async fn guesses_count_together_over_wires_aliases_and_grants(app: TestApp) {
        turn_runai_on(&app).await;
        let (client, web) = (password_client(&app, json!({})).await, app.web_client(json!({})).await);
        user(&app, json!({"username": "ada", "email": "ada@example.com", "password": PASSWORD})).await;
        let before = app.engine.hashes_computed();
        for n in 0..200 {
            let name = ["ada", "ADA@example.com", "Ａda"][n % 3];
            let answer = match n % 4 {
                0 => oauth2(&app, &client, HERE, name, GUESS).await,
                1 => runai(&app, HERE, name, GUESS).await,
                2 => runai_v2(&app, HERE, name, GUESS).await,
                _ => page(&app, &web, HERE, name, GUESS).await.expect("a wrong password got in"),
            };
            assert!((400..500).contains(&answer.status), "{n}: {} {}", answer.status, answer.text());
            if n % 9 == 0 {
                app.tick().await;
            }
        }
        assert_eq!(app.engine.hashes_computed(), before + 20, "ten by each of both names");
        let slowed = oauth2(&app, &client, HERE, "ada", PASSWORD).await;
        assert_eq!(slowed.status, 429, "{}", slowed.text());
        assert!(slowed.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1));
        assert_eq!(runai(&app, HERE, "ada", PASSWORD).await.status, 400, "that wire knows no 429");
        assert_eq!(page(&app, &web, HERE, "ada", PASSWORD).await.map(|answer| answer.status), Some(429));
        for answer in [oauth2(&app, &client, THERE, "ada", PASSWORD).await, runai(&app, THERE, "ada", PASSWORD).await] {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert!(page(&app, &web, THERE, "ada@EXAMPLE.com", PASSWORD).await.is_none());
    }

    async fn no_sequence_of_tries_tells_that_two_names_are_one_account(app: TestApp) {
        turn_runai_on(&app).await;
        let (client, web) = (password_client(&app, json!({})).await, app.web_client(json!({})).await);
        for name in ["ada", "bob", "cyd"] {
            user(&app, json!({"username": name, "email": format!("{name}@example.com"), "password": PASSWORD})).await;
        }
        // One account; two unknown names; two accounts.
        let pairs = [["ada", "ada@example.com"], ["nobody", "nobody@example.com"], ["bob", "cyd@example.com"]];
        for (wire, what) in ["the page", "the password grant", "Run:ai"].into_iter().enumerate() {
            let mut said: Vec<Vec<(u16, String, String)>> = Vec::new();
            for (number, pair) in pairs.iter().enumerate() {
                let address = format!("203.0.113.{}", 10 * wire + number + 1);
                let mut answers = Vec::new();
                for which in [0, 0, 1, 0, 1, 1, 0].into_iter().cycle().take(26) {
                    let name = pair[which];
                    let answer = match wire {
                        0 => page(&app, &web, &address, name, GUESS).await.expect("a wrong password got in"),
                        1 => oauth2(&app, &client, &address, name, GUESS).await,
                        _ => runai(&app, &address, name, GUESS).await,
                    };
                    app.tick().await;
                    answers.push((answer.status, answer.header("retry-after").to_owned(), words(&answer.text())));
                }
                said.push(answers);
            }
            assert!(said[0].iter().any(|answer| *answer != said[0][0]), "{what}: nobody was slowed: {:?}", said[0]);
            assert_eq!(said[0], said[1], "{what}: one account reads unlike two unknown names");
            assert_eq!(said[0], said[2], "{what}: one account reads unlike two accounts");
        }
    }

    async fn every_way_to_be_wrong_reads_the_same(app: TestApp) {
        turn_runai_on(&app).await;
        let client = password_client(&app, json!({})).await;
        for name in ["known", "locked"] {
            let made = user(&app, json!({"username": name, "password": PASSWORD})).await;
            if name == "locked" {
                app.admin("POST", &format!("{}/lock", path_of(&made))).send().await;
            }
        }
        user(&app, json!({"username": "without"})).await;
        let cases = [("known", GUESS), ("nobody", GUESS), ("locked", PASSWORD), ("without", PASSWORD),];
        let mut said = Vec::new();
        for (name, password) in cases {
            let answers = [
                oauth2(&app, &client, HERE, name, password).await,
                runai(&app, HERE, name, password).await,
                runai_v2(&app, HERE, name, password).await,
            ];
            said.push(answers.map(|answer| (answer.status, answer.text())));
        }
        for other in &said[1..] {
            assert_eq!(*other, said[0]);
        }
        assert_eq!(said[0][0].0, 400);
        assert!(said[0][0].1.contains("invalid_grant"), "{}", said[0][0].1);
    }

    async fn a_password_gives_the_tokens_that_were_asked_for(app: TestApp) {
        let client = password_client(&app, json!({})).await;
        let ada = user(&app, json!({"username": "ada", "password": PASSWORD})).await;
        let ask = async |client: &TestClient, scope: &str| {
            let form = [("grant_type", "password"), ("username", "ada"), ("password", PASSWORD), ("scope", scope)];
            app.post("/oauth2/token").form(&form).basic(&client.id, &client.secret).send().await
        };
        let answer = ask(&client, "openid profile").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let body = answer.json();
        let shown = app.introspected(body["access_token"].as_str().unwrap()).await;
        assert_eq!((&shown["sub"], &shown["scope"]), (&ada["id"], &json!("openid profile")));
        let identity = claims(body["id_token"].as_str().unwrap());
        assert_eq!((&identity["sub"], &identity["amr"], &identity["sid"]), (&ada["id"], &json!(["pwd"]), &json!(null)));
        assert_eq!(app.refresh("", &client, body["refresh_token"].as_str().unwrap()).await.status, 200);
        let before = app.engine.hashes_computed();
        assert_eq!(ask(&client, "openid write").await.refusal(), refused(400, "invalid_scope"));
        let without = app.client(json!({"grant_types": ["client_credentials"], "scope": "openid"})).await;
        assert_eq!(ask(&without, "openid").await.refusal(), refused(400, "unauthorized_client"));
        assert_eq!(app.engine.hashes_computed(), before, "a password is looked at last");
        let lean = app.client(json!({"grant_types": ["password"], "scope": "openid"})).await;
        let body = ask(&lean, "").await.json();
        assert_eq!((&body["refresh_token"], &body["id_token"]), (&json!(null), &json!(null)));
        for missing in [vec![("username", "ada")], vec![("password", PASSWORD)], vec![("username", ""), ("password", "")]] {
            let form: Vec<_> = missing.into_iter().chain([("grant_type", "password")]).collect();
            let answer = app.post("/oauth2/token").form(&form).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"));
        }
    }

    async fn management_sees_and_ends_sessions_and_grants(app: TestApp) {
        let web = app.web_client(json!({})).await;
        let (ada, bob) = (app.person("ada").await, app.person("bob").await);
        let tied = app.login_tokens(&web, "ada", &[]).await;
        let offline = app.login_tokens(&web, "ada", &[("scope", "openid offline_access"), ("prompt", "consent")]).await;
        let token = |tokens: &Value| tokens["access_token"].as_str().unwrap().to_owned();
        let list = async |user: &Value, what: &str| {
            let answer = app.admin("GET", &format!("{}/{what}", path_of(user))).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.json()["items"].as_array().unwrap().clone()
        };
        let sessions = list(&ada, "sessions").await;
        assert_eq!(sessions.len(), 2, "{sessions:?}");
        let sid = claims(tied["id_token"].as_str().unwrap())["sid"].clone();
        let own = sessions.iter().find(|session| session["id"] == sid).expect("the session is not listed");
        assert_eq!((&own["user_agent"], &own["address"], &own["amr"]), (&json!("Test/1.0"), &json!(HERE), &json!(["pwd"])));
        let grants = list(&ada, "grants").await;
        assert_eq!(grants.len(), 2, "{grants:?}");
        assert!(grants.iter().all(|grant| grant["client_id"] == json!(web.id)));
        assert_eq!((list(&bob, "sessions").await.len(), list(&bob, "grants").await.len()), (0, 0));
        // Another person's session and grant do not exist.
        let path = |user: &Value, what: &str, id: &Value| format!("{}/{what}/{}", path_of(user), id.as_str().unwrap());
        let family = |tokens: &Value| claims(tokens["access_token"].as_str().unwrap())["grant_id"].clone();
        for path in [path(&bob, "sessions", &sid), path(&bob, "grants", &family(&offline)), path(&ada, "grants", &json!("x")), path(&ada, "sessions", &json!("x"))] {
            assert_eq!(app.admin("DELETE", &path).send().await.status, 404, "{path}");
        }
        let node = app.second_node().await;
        assert!(app.is_active(&token(&tied)).await && app.is_active(&token(&offline)).await);
        // One session: what is tied to it ends, on every node.
        assert_eq!(app.admin("DELETE", &path(&ada, "sessions", &sid)).send().await.status, 204);
        assert_eq!(app.admin("DELETE", &path(&ada, "sessions", &sid)).send().await.status, 404);
        node.poll().await;
        for each in [&app, &node] {
            assert!(!each.is_active(&token(&tied)).await && each.is_active(&token(&offline)).await);
        }
        assert_eq!(app.refresh("", &web, tied["refresh_token"].as_str().unwrap()).await.status, 400);
        assert_eq!(list(&ada, "sessions").await.len(), 1);
        // All sessions: what was granted beyond them lives on until it is revoked.
        assert_eq!(app.admin("DELETE", &format!("{}/sessions", path_of(&ada))).send().await.status, 204);
        assert_eq!(list(&ada, "sessions").await.len(), 0);
        assert!(app.is_active(&token(&offline)).await);
        assert_eq!(app.admin("DELETE", &path(&ada, "grants", &family(&offline))).send().await.status, 204);
        assert_eq!(app.admin("DELETE", &path(&ada, "grants", &family(&offline))).send().await.status, 404);
        node.poll().await;
        for each in [&app, &node] {
            assert!(!each.is_active(&token(&offline)).await);
        }
        assert_eq!(app.refresh("", &web, offline["refresh_token"].as_str().unwrap()).await.status, 400);
        assert_eq!(list(&ada, "grants").await.len(), 0);
        let member = app.api_key(json!({"role": "member"})).await;
        for (method, what) in [("GET", "grants"), ("DELETE", "grants/018bcfe5-687b-7000-8000-000000000000")] {
            let call = app.call(method, &format!("/admin/v1{}/{what}", path_of(&ada))).bearer(&member);
            assert_eq!(call.send().await.status, 403, "{method} {what}");
        }
    }

    async fn whoever_is_locked_or_has_another_password_is_logged_out_everywhere(app: TestApp) {
        let web = app.web_client(json!({})).await;
        let ada = app.person("ada").await;
        let acts = [
            ("POST", "/lock", json!({})),
            ("POST", "/password", json!({"password": "correct horse battery staple"})),
            ("PATCH", "", json!({"enabled": false})),
        ];
        for (method, below, body) in acts {
            let path = path_of(&ada);
            app.admin("DELETE", &format!("{path}/lock")).send().await;
            app.pass(1);
            let browser = Browser::new(&app);
            let code = browser.authorize(&authorize_path("", &web, &[("scope", "openid offline_access"), ("prompt", "consent")]), "ada").await;
            let code = match &code {
                crate::support::browser::Arrived::Left(_) => code.code(),
                page @ crate::support::browser::Arrived::Page { .. } => browser.submit(page, "consent-form", &[("decision", "allow")]).await.code(),
            };
            let tokens = app.redeem("", &web, &code).await.json();
            let answer = app.admin(method, &format!("{path}{below}")).json(&body).send().await;
            assert!((200..300).contains(&answer.status), "{}", answer.text());
            assert!(!app.is_active(tokens["access_token"].as_str().unwrap()).await, "{method} {below}");
            assert_eq!(app.refresh("", &web, tokens["refresh_token"].as_str().unwrap()).await.status, 400, "{method} {below}");
            let grants = app.admin("GET", &format!("{path}/grants")).send().await.json();
            assert_eq!(grants["items"], json!([]), "{method} {below}");
            let silent = browser.open(&authorize_path("", &web, &[("prompt", "none")])).await;
            assert_eq!(silent.error(), "login_required", "{method} {below}");
        }
        assert_eq!(app.admin("GET", USERS).send().await.json()["items"].as_array().unwrap().len(), 1);
    }
}
