//! Data keys: announced before they make anything, and what older ones made goes on to work.

use serde_json::{Value, json};

use super::{ask, events, listed, made, text, works};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::people::Wish;

const PURPOSES: [&str; 5] = ["signing", "pepper", "tokens", "refresh", "browser"];

async fn rotated(app: &TestApp, purpose: &str) -> Value {
    made(app, "/data-keys/rotate", json!({ "purpose": purpose })).await
}

async fn states(app: &TestApp, purpose: &str) -> Vec<String> {
    let keys = listed(app, "/data-keys").await;
    let own = keys.iter().filter(|key| key["purpose"] == json!(purpose));
    own.map(|key| text(key, "state")).collect()
}

on_both_apps! {
    async fn a_new_key_is_known_everywhere_before_it_makes_anything(app: TestApp) {
        let other = app.second_node().await;
        let client = app.client(json!({"access_token_format": "opaque"})).await;
        let before = app.token(&client).await;
        let key = rotated(&app, "tokens").await;
        assert_eq!((text(&key, "state"), states(&app, "tokens").await), ("announced".to_owned(), vec!["active".to_owned(), "announced".to_owned()]));
        // The other node has not heard of it, and can read whatever this one makes.
        let announced = app.token(&client).await;
        assert!(other.is_active(&announced).await);
        other.poll().await;
        app.pass(10);
        for node in [&app, &other] {
            node.poll().await;
        }
        assert_eq!(states(&app, "tokens").await, ["older", "active"]);
        let (here, there) = (app.token(&client).await, other.token(&client).await);
        for node in [&app, &other] {
            for token in [&before, &announced, &here, &there] {
                assert!(node.is_active(token).await);
            }
        }
        let id = text(&key, "id");
        let made_by = |token: &str| {
            use base64::Engine as _;
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&token[3..token.len() - 6]).unwrap();
            String::from_utf8(bytes[1..=usize::from(bytes[0])].to_vec()).unwrap()
        };
        assert_ne!(made_by(&announced), id);
        assert_eq!((made_by(&here), made_by(&there)), (id.clone(), id));
        assert_eq!(events(&app, "data_key.created").await, 1);
    }

    async fn nothing_that_older_keys_made_ends(app: TestApp) {
        let secret = app.client(json!({})).await;
        let opaque = app.client(json!({"access_token_format": "opaque"})).await;
        let web = app.web_client(json!({})).await;
        let who = app.logged_in("ada").await;
        let refresh = text(&app.tokens(&web, &who, &Wish::default()).await, "refresh_token");
        let (jwt, sealed) = (app.token(&secret).await, app.token(&opaque).await);
        let key = app.api_key(json!({"role": "member"})).await;
        for purpose in PURPOSES {
            rotated(&app, purpose).await;
        }
        app.pass(10);
        app.poll().await;
        let fresh = app.second_node().await;
        for node in [&app, &fresh] {
            assert!(node.is_active(&jwt).await && node.is_active(&sealed).await && works(node, &key).await);
            assert_eq!(ask(node, &secret.id, &secret.secret).await.status, 200);
        }
        let answer = fresh.refresh("", &web, &refresh).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let (new_client, new_key) = (app.client(json!({})).await, app.api_key(json!({"role": "member"})).await);
        assert_eq!(ask(&fresh, &new_client.id, &new_client.secret).await.status, 200);
        assert!(works(&fresh, &new_key).await);
        made(&app, "/providers/default/signing-keys/rotate", json!({"emergency": true})).await;
        fresh.poll().await;
        fresh.token(&secret).await;
    }

    async fn a_key_of_an_older_pepper_costs_no_read(app: TestApp) {
        let key = app.api_key(json!({"role": "member"})).await;
        rotated(&app, "pepper").await;
        app.pass(10);
        app.poll().await;
        assert!(works(&app, &key).await);
        // What is known to be absent is forgotten after a second; this key is in use.
        let before = app.engine.db().statements();
        for _ in 0..3 {
            assert!(works(&app, &key).await);
        }
        let sent = app.engine.db().statements().since(before);
        assert_eq!((sent.reads, sent.writes), (0, 0), "{sent:?}");
    }

    async fn one_at_a_time_of_a_purpose_that_there_is_by_an_owner_of_all(app: TestApp) {
        let rotate = async |key: &str, body: Value| {
            app.post("/admin/v1/data-keys/rotate").bearer(key).json(&body).send().await.status
        };
        let owner = app.first.owner_key.clone();
        let admin = app.api_key(json!({"role": "admin"})).await;
        let bound = app.api_key(json!({"role": "owner", "provider": "default"})).await;
        for weak in [&admin, &bound] {
            assert_eq!(rotate(weak, json!({"purpose": "tokens"})).await, 403);
            assert_eq!(app.get("/admin/v1/data-keys").bearer(weak).send().await.status, 403);
        }
        for bad in [json!({}), json!({"purpose": "all"}), json!({"purpose": null}), json!({"purpose": "tokens", "x": 1})] {
            assert_eq!(rotate(&owner, bad).await, 422);
        }
        assert_eq!(rotate(&owner, json!({"purpose": "tokens"})).await, 200);
        assert_eq!(rotate(&owner, json!({"purpose": "tokens"})).await, 409);
        assert_eq!(rotate(&owner, json!({"purpose": "refresh"})).await, 200);
        app.pass(10);
        assert_eq!(rotate(&owner, json!({"purpose": "tokens"})).await, 200);
        let shown = app.admin("GET", "/data-keys").send().await.text();
        assert!(!shown.contains("sealed"), "{shown}");
    }
}
