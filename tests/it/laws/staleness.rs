//! A node that has not read the change log for too long decides nothing: it might honour what was
//! revoked. Keys, metadata and its pulse it goes on telling. One that only stood still reads first.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use grantd::domain::clock::{deadline_in, monotonic};
use serde_json::json;

use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::databases::{Kind, block_on};

const JWKS: &str = "/.well-known/jwks.json";
const OPENID: &str = "/.well-known/openid-configuration";

async fn deciding(app: &TestApp, token: &str) -> Vec<(&'static str, u16, String)> {
    let (id, secret) = (app.first.client_id.as_str(), app.first.client_secret.as_str());
    let run = json!({"grantType": "client_credentials", "clientID": id, "clientSecret": secret});
    let apptoken = json!({"id": id, "name": "x", "secret": secret});
    let calls = [
        ("/oauth2/token", app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).basic(id, secret)),
        ("/oauth2/introspect", app.post("/oauth2/introspect").form(&[("token", token)]).basic(id, secret)),
        ("/forward-auth", app.get("/forward-auth").bearer(token)),
        ("/oauth2/revoke", app.post("/oauth2/revoke").form(&[("token", "x")]).basic(id, secret)),
        ("/api/v1/token", app.post("/api/v1/token").json(&run)),
        ("/v1/k8s/auth/oauth/apptoken", app.post("/v1/k8s/auth/oauth/apptoken").json(&apptoken)),
        ("/api/v2/token", app.post("/api/v2/token").form(&[("grant_type", "client_credentials")]).basic(id, secret)),
        ("/admin/v1/providers", app.admin("GET", "/providers")),
    ];
    let mut answers = Vec::new();
    for (path, call) in calls {
        let answer = call.send().await;
        answers.push((path, answer.status, answer.header("retry-after").to_owned()));
    }
    answers
}

async fn goes_stale_and_recovers(kind: Kind) {
    let setup = Setup { stale_after: Duration::from_millis(500), ..Setup::default() };
    let app = TestApp::start_as(kind, setup).await;
    let mut token = None;
    let patience = deadline_in(Duration::from_secs(20));
    // Warm: what is refused later is refused for its age, not for want of a cache.
    while token.is_none() && monotonic() < patience {
        app.poll().await;
        app.get(JWKS).send().await;
        let grant = [("grant_type", "client_credentials")];
        let call = app.post("/oauth2/token").form(&grant).basic(&app.first.client_id, &app.first.client_secret);
        let answer = call.send().await;
        token = (answer.status == 200).then(|| answer.json()["access_token"].as_str().unwrap().to_owned());
    }
    let token = token.expect("never fresh");
    while app.admin("GET", "/providers").send().await.status != 503 {
        assert!(monotonic() < patience, "it never went stale");
    }
    for (path, status, retry_after) in deciding(&app, &token).await {
        assert_eq!(status, 503, "{path}");
        assert!(retry_after.parse::<u32>().is_ok_and(|seconds| seconds >= 1), "{path}: {retry_after:?}");
    }
    for path in [JWKS, OPENID, "/healthz", "/openapi.json"] {
        assert_eq!(app.get(path).send().await.status, 200, "{path}");
    }
    let ready = app.get("/readyz").send().await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reasons"][0], json!("database"));
    let recovered = async || {
        app.poll().await;
        deciding(&app, &token).await.iter().all(|(_, status, _)| *status == 200)
    };
    let patience = deadline_in(Duration::from_secs(20));
    while !recovered().await {
        assert!(monotonic() < patience, "it does not recover");
    }
}

/// Every kind of call waits for a read that comes at once, and none for one that does not.
async fn waits_for_the_next_read(kind: Kind) {
    let setup = Setup { stale_after: Duration::from_millis(500), ..Setup::default() };
    let app = TestApp::start_as(kind, setup).await;
    app.poll().await;
    for path in ["/oauth2/token", "/forward-auth", "/admin/v1/providers", "/oauth2/authorize"] {
        let ask = || match path {
            "/oauth2/token" => {
                let grant = [("grant_type", "client_credentials")];
                app.post(path).form(&grant).basic(&app.first.client_id, &app.first.client_secret)
            }
            "/admin/v1/providers" => app.admin("GET", "/providers"),
            _ => app.get(path),
        };
        // On a busy machine a read can take longer than a request waits.
        let patience = deadline_in(Duration::from_secs(20));
        loop {
            tokio::time::sleep(Duration::from_millis(600)).await;
            let later = async {
                tokio::time::sleep(Duration::from_millis(50)).await;
                app.poll().await;
            };
            let (answer, ()) = tokio::join!(ask().send(), later);
            if answer.status != 503 {
                break;
            }
            assert!(monotonic() < patience, "{path} did not wait for the read");
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(ask().send().await.status, 503, "{path} was decided by a node that is behind");
    }
}

#[test]
fn a_node_that_is_behind_for_a_moment_reads_before_it_answers_sqlite() {
    block_on(waits_for_the_next_read(Kind::Sqlite));
}

#[test]
fn a_node_that_is_behind_for_a_moment_reads_before_it_answers_postgres() {
    block_on(waits_for_the_next_read(Kind::Postgres));
}

#[test]
fn a_stale_node_refuses_and_recovers_sqlite() {
    block_on(goes_stale_and_recovers(Kind::Sqlite));
}

#[test]
fn a_stale_node_refuses_and_recovers_postgres() {
    block_on(goes_stale_and_recovers(Kind::Postgres));
}

on_both_apps! {
    async fn a_node_that_loads_anew_holds_nothing_of_before(app: TestApp) {
        let node = app.second_node().await;
        let (changed, kept) = (app.client(json!({})).await, app.client(json!({})).await);
        let (token, _held) = (node.token(&kept).await, node.token(&changed).await);
        assert!(node.is_active(&token).await);
        app.change(&changed, json!({"enabled": false})).await;
        let call = app.post("/oauth2/revoke").form(&[("token", &token)]);
        assert_eq!(call.basic(&kept.id, &kept.secret).send().await.status, 200);
        // What it has not read yet, and what is too old to be read at all.
        for passed in [0, 1200] {
            app.pass(passed);
            node.engine.load(grantd::domain::Wall::now(&node.wall)).await.unwrap();
            let call = node.post("/oauth2/token").form(&[("grant_type", "client_credentials")]);
            assert_eq!(call.basic(&changed.id, &changed.secret).send().await.status, 401, "{passed}");
            assert!(!node.is_active(&token).await, "{passed}");
        }
    }

    async fn a_change_that_becomes_visible_late_is_taken_in(app: TestApp) {
        let node = app.second_node().await;
        let client = app.client(json!({})).await;
        node.poll().await;
        node.token(&client).await;
        let log = async |seq: &'static str, row: String| {
            let own_number = if app.kind == Kind::Postgres { "OVERRIDING SYSTEM VALUE" } else { "" };
            let sql = format!(
                "INSERT INTO change_log (seq, table_name, row_id, at) {own_number} \
                 SELECT max(seq) {seq}, 'clients', {row}, max(at) FROM change_log"
            );
            app.job(move |tx| Ok(tx.batch_execute(&sql)?)).await;
        };
        // A transaction that has taken its number before others and is still open.
        log("+ 2", "'nobody'".to_owned()).await;
        node.poll().await;
        let off = format!("UPDATE clients SET enabled = false WHERE client_id = '{}'", client.id);
        app.job(move |tx| Ok(tx.batch_execute(&off)?)).await;
        log("- 1", format!("(SELECT provider_id || '/{id}' FROM clients WHERE client_id = '{id}')", id = client.id)).await;
        let asked = async || {
            let call = node.post("/oauth2/token").form(&[("grant_type", "client_credentials")]);
            call.basic(&client.id, &client.secret).send().await.status
        };
        assert_eq!(asked().await, 200, "it is held");
        node.poll().await;
        assert_eq!(asked().await, 401);
    }

    async fn the_clock_of_the_database_is_read_with_the_change_log(app: TestApp) {
        let app = app.started_again_as(Setup { real_database_clock: true, ..Setup::default() }).await;
        app.poll().await;
        let before = app.engine.clock_skew();
        app.pass(1000);
        app.poll().await;
        let moved = app.engine.clock_skew().abs_diff(before);
        assert!((900_000..1_100_000).contains(&moved), "{moved} ms");
        assert!(app.engine.readiness().reasons.contains(&"clock"));
        let form = [("grant_type", "client_credentials")];
        let call = app.post("/oauth2/token").form(&form).basic(&app.first.client_id, &app.first.client_secret);
        assert_eq!(call.send().await.status, 503);
    }
}
