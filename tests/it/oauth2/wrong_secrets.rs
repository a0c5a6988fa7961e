//! What a wrong client secret costs, and what a stranger who sends one can do to others by it.

use std::time::Duration;

use futures_util::future::join_all;
use grantd::crypto::{Random, credential};
use grantd::domain::secret::SecretKind;
use grantd::store::StatementCounts;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::app::{TestApp, TestClient, on_both_apps};

const TOKEN: &str = "/oauth2/token";
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];
const CHOSEN: &str = "correct horse battery staple + %";

/// Of the right shape, and nobody's.
fn other_secret() -> String {
    credential::generate(SecretKind::ClientSecret, &Random::system()).expose_secret().to_owned()
}

async fn status(app: &TestApp, id: &str, secret: &str) -> u16 {
    app.post(TOKEN).form(&GRANT).basic(id, secret).send().await.status
}

/// What the database is asked for a refusal.
async fn cost(app: &TestApp, id: &str, secret: &str) -> StatementCounts {
    let before = app.engine.db().statements();
    assert_eq!(status(app, id, secret).await, 401, "{id}");
    app.engine.db().statements().since(before)
}

async fn clients_that_are_held(app: &TestApp) -> [TestClient; 3] {
    let [live, off, chosen] = [json!({}), json!({}), json!({"client_secret": CHOSEN})];
    let clients = [app.client(live).await, app.client(off).await, app.client(chosen).await];
    app.change(&clients[1], json!({"enabled": false})).await;
    for client in &clients {
        status(app, &client.id, &client.secret).await;
    }
    // The one that is disabled was refused by it, and is looked at once a second.
    actix_web::rt::time::sleep(Duration::from_millis(1100)).await;
    clients
}

on_both_apps! {
    async fn a_wrong_secret_costs_the_same_whoever_it_is_for(app: TestApp) {
        let held = clients_that_are_held(&app).await;
        let new = app.client(json!({})).await;
        let unknown = cost(&app, "nobody", &other_secret()).await;
        assert!(unknown.reads > 0, "{unknown:?}");
        assert_eq!(cost(&app, &new.id, &other_secret()).await, unknown, "not held yet");
        for client in &held {
            assert_eq!(cost(&app, &client.id, &other_secret()).await, unknown);
            assert_eq!(cost(&app, &client.id, &other_secret()).await, unknown, "another one");
        }
        assert_eq!(cost(&app, "nobody", &other_secret()).await, unknown, "another one, for nobody");
    }

    async fn a_wrong_secret_keeps_no_new_one_out(app: TestApp) {
        let (client, node) = (app.client(json!({})).await, app.second_node().await);
        for _ in 0..4 {
            assert_eq!(status(&node, &client.id, &other_secret()).await, 401);
            let path = format!("/providers/default/clients/{}/secrets/rotate", client.id);
            let made = app.admin("POST", &path).json(&json!({"overlap_seconds": 0})).send().await.json();
            // The other node has not read the change log since.
            assert_eq!(status(&node, &client.id, made["client_secret"].as_str().unwrap()).await, 200);
        }
    }

    async fn a_secret_that_was_cut_asks_nobody(app: TestApp) {
        let held = clients_that_are_held(&app).await;
        let new = app.client(json!({})).await;
        let cut = &other_secret()[..40];
        for id in [&held[0].id, &held[1].id, &held[2].id, &new.id, "nobody"] {
            assert_eq!(cost(&app, id, cut).await, StatementCounts::default(), "{id}");
        }
    }

    async fn what_a_stranger_sends_makes_this_node_forget_nothing(app: TestApp) {
        let client = app.client(json!({"client_secret": CHOSEN})).await;
        assert_eq!(status(&app, &client.id, CHOSEN).await, 200);
        let hashed = app.engine.hashes_computed();
        for number in 1..40 {
            let wrong = app.post(TOKEN).form(&GRANT).basic(&client.id, &other_secret());
            assert_eq!(wrong.at_address(&format!("198.51.100.{number}")).send().await.status, 401);
            assert_eq!(status(&app, &client.id, CHOSEN).await, 200);
        }
        assert_eq!(app.engine.hashes_computed(), hashed);
    }

    async fn a_secret_that_comes_many_times_at_once_is_hashed_once(app: TestApp) {
        let client = app.client(json!({"client_secret": CHOSEN})).await;
        for _ in 0..2 {
            let hashed = app.engine.hashes_computed();
            let statuses = join_all((0..30).map(|_| status(&app, &client.id, CHOSEN))).await;
            assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
            assert_eq!(app.engine.hashes_computed(), hashed + 1);
            // A change makes the client prove itself again.
            app.change(&client, json!({"client_name": format!("after {hashed}")})).await;
        }
        let hashed = app.engine.hashes_computed();
        let wrong = join_all((0..3).map(|_| status(&app, &client.id, "a wrong one, as long as one has to be"))).await;
        assert_eq!((wrong, app.engine.hashes_computed()), (vec![401; 3], hashed + 3), "nothing is learnt of a wrong one");
    }
}
