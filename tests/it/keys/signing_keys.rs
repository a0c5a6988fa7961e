//! Signing keys by schedule and in an emergency, and a verifier that keeps the key set for its `max-age`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{events, listed, made, text};
use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::jose::decoded;

const DAY: i64 = 86_400;
const KEYS: &str = "/providers/default/signing-keys";

async fn kids(app: &TestApp) -> BTreeSet<String> {
    let set = app.get("/.well-known/jwks.json").send().await.json();
    set["keys"].as_array().unwrap().iter().map(|key| text(key, "kid")).collect()
}

async fn kid_of_a_token(app: &TestApp, client: &TestClient) -> String {
    text(&decoded(&app.token(client).await).0, "kid")
}

async fn es256(app: &TestApp, state: &str) -> Vec<Value> {
    let keys = listed(app, KEYS).await;
    keys.into_iter().filter(|key| key["alg"] == json!("ES256") && key["state"] == json!(state)).collect()
}

/// Rounds until nothing is due any more; how many keys were made.
async fn rotate(app: &TestApp) -> usize {
    let mut made = 0;
    loop {
        let round = app.engine.rotate_due_keys(app.context().now).await.unwrap();
        if round == 0 {
            return made;
        }
        made += round;
    }
}

/// `max-age` of the drill, seconds.
const MAX_AGE: i64 = 60;

/// Verifiers that asked at different times, each of the node that learns last, and tokens of the other.
struct Drill {
    app: TestApp,
    other: TestApp,
    client: TestClient,
    /// Until when a verifier keeps which key set.
    caches: Vec<(i64, BTreeSet<String>)>,
    checked: usize,
    signers: BTreeSet<String>,
}

impl Drill {
    /// So many steps of two seconds.
    async fn go_on(&mut self, steps: usize) {
        for step in 0..steps {
            self.app.engine.rotate_due_keys(self.app.context().now).await.unwrap();
            self.app.tick().await;
            let (kid, now) = (kid_of_a_token(&self.app, &self.client).await, self.app.now());
            self.caches.retain(|(until, _)| now < *until);
            for (until, known) in &self.caches {
                assert!(known.contains(&kid), "a key set that is kept until {until} lacks {kid} at {now}");
            }
            self.checked += self.caches.len();
            self.signers.insert(kid);
            // The other node is up to four seconds late, also with a key that was made at the first step.
            if step % 3 == 2 {
                self.other.poll().await;
            }
            self.caches.push((now + MAX_AGE, kids(&self.other).await));
            self.app.pass(2);
        }
    }
}

impl TestApp {
    async fn change_default(&self, fields: Value) {
        let answer = self.admin("PATCH", "/providers/default").json(&fields).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

on_both_apps! {
    async fn the_next_key_is_made_a_day_and_a_max_age_before_it_signs(app: TestApp) {
        let client = app.client(json!({})).await;
        let old = kid_of_a_token(&app, &client).await;
        assert_eq!(rotate(&app).await, 0);
        app.pass(89 * DAY - 3600 - 1);
        assert_eq!(rotate(&app).await, 0);
        app.pass(1);
        assert_eq!(rotate(&app).await, 2, "ES256 and RS256");
        assert_eq!(rotate(&app).await, 0);
        assert_eq!(events(&app, "signing_key.created").await, 2);
        assert_eq!(kids(&app).await.len(), 4, "published before it signs");
        app.pass(DAY + 3600 - 1);
        app.tick().await;
        assert_eq!(kid_of_a_token(&app, &client).await, old);
        app.pass(1);
        app.tick().await;
        let new = kid_of_a_token(&app, &client).await;
        assert_ne!(new, old);
        assert_eq!(events(&app, "signing_key.activated").await, 2);
        assert!(kids(&app).await.contains(&old), "retired, and published as long as a token may live");
        app.pass(1_209_600);
        app.engine.clean_up(app.context().now).await.unwrap();
        assert!(!kids(&app).await.contains(&old));
        app.pass(61);
        app.engine.clean_up(app.context().now).await.unwrap();
        assert!(!listed(&app, KEYS).await.iter().any(|key| key["kid"] == json!(old)), "deleted when nothing can be alive");
        // And so on.
        app.pass(90 * DAY - 1_209_600);
        assert_eq!(rotate(&app).await, 2);
    }

    async fn of_two_nodes_one_makes_the_next_key(app: TestApp) {
        let other = app.second_node().await;
        app.pass(89 * DAY);
        let now = app.context().now;
        let (here, there) = tokio::join!(app.engine.rotate_due_keys(now), other.engine.rotate_due_keys(now));
        let (here, there) = (here.unwrap(), there.unwrap());
        assert_eq!(here + there + rotate(&app).await, 2, "{here} {there}");
        assert_eq!(es256(&app, "next").await.len(), 1);
    }

    async fn other_settings_count_from_the_next_tick_on(app: TestApp) {
        assert_eq!(rotate(&app).await, 0);
        let change = json!({"key_rotation": DAY, "jwks_max_age": 60});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
        assert_eq!(rotate(&app).await, 2, "one that lives a day is followed at once");
        let next = &es256(&app, "next").await[0];
        assert_eq!(text(next, "created_at"), "2027-01-15T08:00:00Z");
        app.pass(DAY);
        app.tick().await;
        assert_eq!(es256(&app, "active").await[0]["kid"], next["kid"]);
        let change = json!({"key_rotation": 90 * DAY});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
        assert_eq!(rotate(&app).await, 0);
    }

    async fn a_key_that_was_made_by_hand_is_not_made_again(app: TestApp) {
        app.pass(89 * DAY - 3600);
        let by_hand = made(&app, &format!("{KEYS}/rotate"), json!({"alg": "ES256"})).await;
        assert_eq!(rotate(&app).await, 1, "RS256");
        assert_eq!(es256(&app, "next").await[0]["kid"], by_hand["items"][0]["kid"]);
        app.pass(3605);
        app.tick().await;
        assert_eq!(es256(&app, "active").await[0]["kid"], by_hand["items"][0]["kid"]);
    }

    async fn an_emergency_signs_with_a_fresh_key_at_once_on_every_node(app: TestApp) {
        let client = app.client(json!({})).await;
        let other = app.second_node().await;
        let old = kid_of_a_token(&other, &client).await;
        let waiting = text(&made(&app, &format!("{KEYS}/rotate"), json!({"alg": "ES256"})).await["items"][0], "kid");
        let answer = made(&app, &format!("{KEYS}/rotate"), json!({"alg": "ES256", "emergency": true})).await;
        let fresh = text(&answer["items"][0], "kid");
        assert_eq!(answer["items"].as_array().unwrap().len(), 1);
        assert_eq!(answer["items"][0]["state"], json!("active"));
        other.poll().await;
        for node in [&app, &other] {
            assert_eq!(kid_of_a_token(node, &client).await, fresh);
            let published = kids(node).await;
            assert!(published.contains(&old) && published.contains(&fresh) && !published.contains(&waiting));
        }
        assert_eq!(rotate(&app).await, 0);
        app.pass(7200);
        app.tick().await;
        assert_eq!(kid_of_a_token(&app, &client).await, fresh, "what waited is gone");
        let both = made(&app, &format!("{KEYS}/rotate"), json!({"emergency": true})).await;
        assert_eq!(both["items"].as_array().unwrap().len(), 2);
        let none = app.admin("POST", &format!("{KEYS}/rotate")).json(&json!({"alg": "EdDSA", "emergency": true})).send().await;
        assert_eq!(none.status, 409, "{}", none.text());
    }

    async fn a_verifier_that_keeps_the_key_set_for_its_max_age_knows_the_key_of_every_token(app: TestApp) {
        app.change_default(json!({"jwks_max_age": MAX_AGE})).await;
        let mut drill = Drill { client: app.client(json!({})).await, other: app.second_node().await, app: app.clone(), caches: Vec::new(), checked: 0, signers: BTreeSet::new() };
        for _ in 0..2 {
            made(&app, &format!("{KEYS}/rotate"), json!({"alg": "ES256"})).await;
            drill.go_on(60).await;
        }
        assert_eq!(drill.signers.len(), 3);
        // By schedule: the switch lies a day after the last one, and is looked at closely.
        app.change_default(json!({"key_rotation": DAY})).await;
        drill.go_on(1).await;
        app.pass(DAY - 200);
        drill.go_on(150).await;
        assert_eq!(drill.signers.len(), 4);
        assert!(drill.checked > 3000, "{}", drill.checked);
    }

    async fn every_signature_is_counted_by_its_key(app: TestApp) {
        let client = app.client(json!({})).await;
        let old = kid_of_a_token(&app, &client).await;
        app.token(&client).await;
        let fresh = text(&made(&app, &format!("{KEYS}/rotate"), json!({"alg": "ES256", "emergency": true})).await["items"][0], "kid");
        app.pass(30);
        app.token(&client).await;
        app.tick().await;
        let metrics = app.get("/metrics").bearer(&app.first.owner_key).send().await.text();
        let line = |name: &str, kid: &str| {
            let start = format!("{name}{{kid=\"{kid}\",alg=\"ES256\",provider=\"default\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&start).map(str::to_owned))
        };
        assert_eq!(line("grantd_signatures_total", &old).as_deref(), Some("2"), "{metrics}");
        assert_eq!(line("grantd_signatures_total", &fresh).as_deref(), Some("1"), "{metrics}");
        assert_eq!(line("grantd_signing_key_age_seconds", &fresh).as_deref(), Some("30"), "{metrics}");
        assert_eq!(line("grantd_signing_key_age_seconds", &old), None, "{metrics}");
    }
}
