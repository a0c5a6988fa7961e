//! Drills under load: secrets and keys are exchanged while services work, and not one request fails.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Duration;

use grantd::domain::clock::monotonic;
use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::basic;
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Server, on_each, pause, seconds_since, until};

/// One server on SQLite, two on PostgreSQL.
fn nodes(home: &Home) -> Vec<Server> {
    let count = if home.kind == Kind::Postgres { 2 } else { 1 };
    (0..count).map(|_| home.serve()).collect()
}

/// Asks on every node, over and over, on two threads, while `work` runs: how often. Panics with what an
/// ask says is wrong.
pub fn under_load(
    nodes: &[Api],
    ask: &(dyn Fn(&Api, usize) -> Result<(), String> + Sync),
    work: impl FnOnce(),
) -> usize {
    let (over, asked, wrong) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let number = asked.fetch_add(1, Ordering::Relaxed);
                    if let Err(what) = ask(&nodes[number % nodes.len()], number) {
                        wrong.lock().unwrap().push(what);
                    }
                }
            });
        }
        let _end = Ends(&over);
        work();
    });
    let wrong = wrong.into_inner().unwrap();
    let asked = asked.into_inner();
    assert!(wrong.is_empty(), "{} of {asked} failed: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
    asked
}

/// Ends the load, also when the work panics.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// For so long.
fn go_on_for(seconds: f64) {
    let began = monotonic();
    while seconds_since(began) < seconds {
        pause();
    }
}

fn granted(api: &Api, client: &str, secret: &str) -> Result<String, String> {
    let answer = api.http.try_form("/oauth2/token", Some(&basic(client, secret)), "grant_type=client_credentials")?;
    if answer.status == 200 { Ok(answer.text_of("access_token")) } else { Err(format!("{answer:?}")) }
}

fn active(api: &Api, token: &str) -> Result<(), String> {
    let answer =
        api.http.try_form("/oauth2/introspect", Some(&format!("Bearer {OWNER}")), &format!("token={token}"))?;
    if answer.status == 200 && answer.json()["active"] == true { Ok(()) } else { Err(format!("{token}: {answer:?}")) }
}

fn apis(home: &Home, nodes: &[Server]) -> Vec<Api> {
    nodes.iter().map(|node| Api::of(home, node)).collect()
}

on_each! {
    fn a_service_gets_a_new_secret_and_the_old_one_is_dropped_without_one_failed_request(home: Home) {
        let servers = nodes(&home);
        let nodes = apis(&home, &servers);
        let (id, first) = nodes[0].new_client(&json!({}));
        // Held while a request is under way: who exchanges it knows that nobody uses the old one any more.
        let held = RwLock::new(first);
        let ask = |api: &Api, _: usize| {
            let secret = held.read().unwrap();
            granted(api, &id, &secret).map(drop)
        };
        let asked = under_load(&nodes, &ask, || {
            for round in 0..6 {
                go_on_for(0.2);
                let api = &nodes[round % nodes.len()];
                let made = api.post(&format!("{}/rotate", api.secrets(&id)), &json!({"overlap_seconds": 60})).expect(201);
                let old = std::mem::replace(&mut *held.write().unwrap(), made.text_of("client_secret"));
                let shown = api.get(&api.secrets(&id)).json();
                let hint = &old[old.len() - 4..];
                let dropped = shown["items"].as_array().unwrap().iter().find(|secret| secret["hint"] == hint && secret["revoked_at"].is_null());
                let dropped = dropped.expect("the old one is listed")["id"].as_str().unwrap().to_owned();
                api.delete(&format!("{}/{dropped}", api.secrets(&id))).expect(204);
                for api in &nodes {
                    until("the old one is refused", Duration::from_secs(2), || granted(api, &id, &old).is_err());
                }
            }
        });
        assert!(asked > 100, "{asked}");
    }

    fn an_api_key_gets_a_new_secret_likewise(home: Home) {
        let servers = nodes(&home);
        let nodes = apis(&home, &servers);
        let (id, first) = nodes[0].new_key(&json!({"role": "member"}));
        let held = RwLock::new(first);
        let ask = |api: &Api, _: usize| {
            let key = held.read().unwrap();
            let headers = [("authorization", &*format!("Bearer {key}")), ("content-type", "application/json")];
            let answer = api.http.send("POST", "/oauth2/mint", &headers, Some(b"{}"))?;
            if answer.status == 200 { Ok(()) } else { Err(format!("{answer:?}")) }
        };
        under_load(&nodes, &ask, || {
            for round in 0..6 {
                go_on_for(0.2);
                let made = nodes[round % nodes.len()].post(&format!("/api-keys/{id}/secrets/rotate"), &json!({"overlap_seconds": 2})).expect(201);
                *held.write().unwrap() = made.text_of("key");
            }
            go_on_for(2.5);
        });
        let shown = nodes[0].get(&format!("/api-keys/{id}/secrets")).json();
        assert_eq!(shown["items"].as_array().unwrap().len(), 7);
    }

    fn every_data_key_is_exchanged_under_load_and_every_node_reads_every_token(home: Home) {
        let servers = nodes(&home);
        let nodes = apis(&home, &servers);
        let (id, secret) = nodes[0].new_client(&json!({"access_token_format": "opaque"}));
        let (jwt_id, jwt_secret) = nodes[0].new_client(&json!({}));
        let others = nodes.clone();
        let ask = move |api: &Api, number: usize| {
            let sealed = granted(api, &id, &secret)?;
            active(&others[(number + 1) % others.len()], &sealed)?;
            granted(api, &jwt_id, &jwt_secret).map(drop)
        };
        let asked = under_load(&nodes, &ask, || {
            for purpose in ["tokens", "pepper", "signing", "refresh", "browser"] {
                let key = nodes[0].post("/data-keys/rotate", &json!({ "purpose": purpose })).expect(200).json();
                assert_eq!(key["state"], "announced");
            }
            // By the command line too, beside the servers.
            let refused = home.run(&["keys", "rotate-data-key", "tokens"]);
            assert!(refused.stderr.contains("announced already"), "{refused:?}");
            until("the new ones are used", Duration::from_secs(15), || {
                let keys = nodes[0].get("/data-keys").json();
                let count = |state: &str| keys["items"].as_array().unwrap().iter().filter(|key| key["state"] == state).count();
                (count("active"), count("older")) == (5, 5)
            });
            go_on_for(1.0);
            // What is made now is made with the new ones, on every node.
            let (fresh, text) = nodes[0].new_client(&json!({}));
            for node in &nodes {
                granted(node, &fresh, &text).unwrap();
            }
            for node in &nodes {
                let rotated = node.post("/providers/default/signing-keys/rotate", &json!({"emergency": true}));
                rotated.expect(200);
                go_on_for(0.5);
            }
        });
        assert!(asked > 100, "{asked}");
        let listed: Value = home.json(&["keys", "data-keys"]);
        assert_eq!(listed["items"].as_array().unwrap().len(), 10);
    }
}
