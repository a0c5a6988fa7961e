//! What one owner may make in number.

use serde_json::json;

use crate::support::app::on_both_apps;

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
        let refused = replace().await;
        assert_eq!((refused.status, count().await), (429, 8), "{}", refused.text());
        assert!(refused.text().contains("8 live keys"), "{}", refused.text());
        let wait: i64 = refused.header("retry-after").parse().unwrap();
        app.pass(wait - 1);
        assert_eq!(replace().await.status, 429);
        app.pass(1);
        assert_eq!(replace().await.status, 200, "a retired key has ended");
    }
}
