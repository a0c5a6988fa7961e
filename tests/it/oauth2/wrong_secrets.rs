//! What a wrong client secret costs, and what a stranger who sends one can do to others by it.

use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use futures_util::future::{join, join_all};
use grantd::crypto::{Random, credential};
use grantd::domain::clock::monotonic;
use grantd::domain::secret::SecretKind;
use grantd::store::StatementCounts;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::support::app::{Setup, TestApp, TestClient, on_both_apps};

const TOKEN: &str = "/oauth2/token";
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];
const WRONG: &str = "a wrong one, as long as one has to be";
const CHOSEN: &str = "correct horse battery staple + %";

/// For tests in which something happens while a hash is computed.
const SLOW_HASHES: &[(&str, &str)] =
    &[("GRANTD_PASSWORDS__MEMORY_KIB", "8192"), ("GRANTD_PASSWORDS__ITERATIONS", "20")];

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

    async fn the_same_wrong_secret_asks_the_database_once_a_second(app: TestApp) {
        let held = clients_that_are_held(&app).await;
        for id in held.iter().map(|client| client.id.as_str()).chain(["nobody"]) {
            let mut again = StatementCounts { reads: 1, ..StatementCounts::default() };
            // The second may be over on a busy machine.
            for _ in 0..9 {
                let secret = other_secret();
                cost(&app, id, &secret).await;
                again = cost(&app, id, &secret).await;
                if again == StatementCounts::default() {
                    break;
                }
            }
            assert_eq!(again, StatementCounts::default(), "{id}");
        }
    }

    async fn who_fails_too_often_has_a_client_looked_for_once_a_second(app: TestApp) {
        let client = app.client(json!({})).await;
        assert_eq!(status(&app, &client.id, &client.secret).await, 200);
        for id in [client.id.as_str(), "nobody"] {
            let one = cost(&app, id, &other_secret()).await.reads;
            for _ in 0..20 {
                status(&app, id, &other_secret()).await;
            }
            let (began, before) = (monotonic(), app.engine.db().statements());
            for _ in 0..60 {
                assert_eq!(status(&app, id, &other_secret()).await, 429);
            }
            let (reads, seconds) = (app.engine.db().statements().since(before).reads, began.elapsed().as_secs());
            assert!(reads <= one * (seconds + 1), "{id}: {reads} reads of {one} in {seconds} s");
        }
    }

    async fn a_new_secret_that_many_bring_at_once_lets_all_of_them_in(app: TestApp) {
        let (client, node) = (app.client(json!({})).await, app.second_node().await);
        assert_eq!(status(&node, &client.id, &client.secret).await, 200);
        for _ in 0..5 {
            let path = format!("/providers/default/clients/{}/secrets/rotate", client.id);
            let made = app.admin("POST", &path).json(&json!({"overlap_seconds": 0})).send().await.json();
            let secret = made["client_secret"].as_str().unwrap();
            let statuses = join_all((0..8).map(|_| status(&node, &client.id, secret))).await;
            assert_eq!(statuses, [200; 8]);
            // Read once more it is held.
            assert_eq!(status(&node, &client.id, secret).await, 200);
            let before = node.engine.db().statements();
            assert_eq!(status(&node, &client.id, secret).await, 200);
            assert_eq!(node.engine.db().statements().since(before), StatementCounts::default());
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

    async fn of_one_that_comes_many_times_at_once_no_more_are_hashed_than_may_fail(app: TestApp) {
        let client = app.client(json!({"client_secret": CHOSEN})).await;
        for id in [client.id.as_str(), "nobody"] {
            let hashed = app.engine.hashes_computed();
            let statuses = join_all((0..40).map(|_| status(&app, id, WRONG))).await;
            let of = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
            assert_eq!((of(401), of(429), app.engine.hashes_computed() - hashed), (20, 20, 20), "{id}");
        }
    }

    async fn what_one_has_learnt_of_a_secret_counts_while_the_client_has_it(app: TestApp) {
        let app = app.started_again_as(Setup { environment: SLOW_HASHES, ..Setup::default() }).await;
        let [client, other] = [CHOSEN, WRONG].map(|secret| json!({"client_secret": secret}));
        let (client, other) = (app.client(client).await, app.client(other).await);
        let change = async |name: &str| app.change(&client, json!({"client_name": name})).await;
        change("held from now on").await;
        assert_eq!(status(&app, &client.id, &other_secret()).await, 401);
        let replaced = async {
            let stored = format!("(SELECT stored FROM client_secrets WHERE client_id = '{}')", other.id);
            let sql = format!("UPDATE client_secrets SET stored = {stored} WHERE client_id = '{}'", client.id);
            app.job(move |tx| Ok(tx.batch_execute(&sql)?)).await;
            change("with another secret").await;
            status(&app, &client.id, CHOSEN).await
        };
        // Both bring the same; what it is compared with is another when the second one comes.
        assert_eq!(join(status(&app, &client.id, CHOSEN), replaced).await.1, 401);
        assert_eq!(status(&app, &client.id, WRONG).await, 200, "that of the other client, which it has now");
    }

    async fn a_client_that_changes_while_its_secret_is_hashed_is_not_hashed_again(app: TestApp) {
        let app = app.started_again_as(Setup { environment: SLOW_HASHES, ..Setup::default() }).await;
        let client = app.client(json!({"client_secret": CHOSEN})).await;
        let mut hashed = 0;
        // The change has to come while the hash is being computed, which a busy machine may miss.
        for round in 0..10 {
            app.change(&client, json!({"client_name": format!("before {round}")})).await;
            assert_eq!(status(&app, &client.id, &other_secret()).await, 401, "held from now on");
            let before = app.engine.hashes_computed();
            let changed = async {
                app.change(&client, json!({"client_name": format!("after {round}")})).await;
                status(&app, &client.id, CHOSEN).await
            };
            assert_eq!(join(status(&app, &client.id, CHOSEN), changed).await, (200, 200));
            assert_eq!(status(&app, &client.id, CHOSEN).await, 200);
            hashed = app.engine.hashes_computed() - before;
            if hashed == 1 {
                break;
            }
        }
        assert_eq!(hashed, 1);
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
        let wrong = join_all((0..3).map(|_| status(&app, &client.id, WRONG))).await;
        assert_eq!((wrong, app.engine.hashes_computed()), (vec![401; 3], hashed + 3), "nothing is learnt of a wrong one");
    }
}
