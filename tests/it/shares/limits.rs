//! What one owner may make in number.

use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, authorize_path};

on_both_apps! {
    async fn a_provider_has_eight_live_keys_of_an_algorithm(app: TestApp) {
        let path = "/providers/default/signing-keys";
        let count = async || {
            let keys = app.admin("GET", path).send().await.json();
            keys["items"].as_array().unwrap().iter().filter(|key| key["alg"] == json!("ES256")).count()
        };
        let replace = async || {
            let body = json!({"alg": "ES256", "emergency": true});
            app.admin("POST", &format!("{path}/rotate")).json(&body).send().await
        };
        assert_eq!(count().await, 1);
        for made in 2..=8 {
            let answer = replace().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(count().await, made);
        }
        let rotate = async || {
            app.admin("POST", &format!("{path}/rotate")).json(&json!({"alg": "ES256"})).send().await
        };
        let refused = rotate().await;
        assert_eq!((refused.status, count().await), (429, 8), "{}", refused.text());
        // A key that has leaked is replaced all the same, up to another bound.
        for made in 9..=64 {
            assert_eq!(replace().await.status, 200);
            assert_eq!(count().await, made);
        }
        let refused = replace().await;
        assert_eq!((refused.status, count().await), (429, 64), "{}", refused.text());
        assert!(refused.text().contains("too many live keys"), "{}", refused.text());
        let wait: i64 = refused.header("retry-after").parse().unwrap();
        app.pass(wait - 1);
        assert_eq!(replace().await.status, 429);
        app.pass(1);
        assert_eq!(replace().await.status, 200, "a retired key has ended");
    }

    async fn a_session_gets_thirty_codes_a_minute(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let path = authorize_path("", &client, &[]);
        browser.authorize(&path, "ada").await.code();
        for _ in 1..30 {
            browser.open(&path).await.code();
        }
        let rows = async |table: &str| app.rows().await.into_iter().find(|(name, _)| *name == table).unwrap().1;
        let before = (rows("authorization_codes").await, rows("events").await);
        for _ in 0..5 {
            assert_eq!(browser.open(&path).await.error(), "temporarily_unavailable");
        }
        assert_eq!((rows("authorization_codes").await, rows("events").await), before);
        // Another session of the same person has codes of its own.
        Browser::new(&app).authorize(&path, "ada").await.code();
        app.pass(60);
        browser.open(&path).await.code();
    }
}
