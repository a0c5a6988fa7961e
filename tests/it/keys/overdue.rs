//! What is late is told; ten thousand providers are rotated a few at a time.

use serde_json::json;

use super::listed;
use crate::support::app::{TestApp, on_both_apps};

const DAY: i64 = 86_400;

async fn overdue(app: &TestApp) -> String {
    app.engine.clean_up(app.context().now).await.unwrap();
    let metrics = app.get("/metrics").bearer(&app.first.owner_key).send().await.text();
    let line = metrics.lines().find_map(|line| line.strip_prefix("grantd_signing_keys_overdue "));
    line.unwrap_or_else(|| panic!("{metrics}")).to_owned()
}

on_both_apps! {
    async fn a_rotation_that_is_late_by_an_hour_is_overdue(app: TestApp) {
        let now = || app.context().now;
        app.engine.rotate_due_keys(now()).await.unwrap();
        app.pass(89 * DAY - 3600);
        assert_eq!(overdue(&app).await, "0", "due, and not late");
        app.pass(3600);
        assert_eq!(overdue(&app).await, "2");
        assert_eq!(app.engine.overdue_keys(&app.context(), 10).await.unwrap().len(), 2);
        app.engine.rotate_due_keys(now()).await.unwrap();
        assert_eq!(overdue(&app).await, "0");
        app.pass(2 * DAY);
        assert_eq!(overdue(&app).await, "2", "they should sign");
        app.tick().await;
        assert_eq!(overdue(&app).await, "0");
    }

    async fn many_providers_are_rotated_a_few_at_a_time_and_none_is_forgotten(app: TestApp) {
        for number in 0..6 {
            app.provider(&format!("p{number}"), json!({"access_token_signing_alg": "EdDSA"})).await;
        }
        app.engine.rotate_due_keys(app.context().now).await.unwrap();
        app.pass(89 * DAY);
        let mut rounds = Vec::new();
        loop {
            let made = app.engine.rotate_due_keys(app.context().now).await.unwrap();
            if made == 0 {
                break;
            }
            rounds.push(made);
        }
        assert_eq!(rounds, [4, 4], "six, and two of default");
        for number in 0..6 {
            let keys = listed(&app, &format!("/providers/p{number}/signing-keys")).await;
            let states: Vec<_> = keys.iter().map(|key| key["state"].as_str().unwrap()).collect();
            assert_eq!(states, ["active", "next"]);
        }
    }

    async fn a_deleted_provider_is_not_rotated_any_more(app: TestApp) {
        app.provider("gone", json!({"access_token_signing_alg": "EdDSA"})).await;
        app.engine.rotate_due_keys(app.context().now).await.unwrap();
        assert_eq!(app.admin("DELETE", "/providers/gone").send().await.status, 204);
        app.pass(89 * DAY);
        assert_eq!(app.engine.rotate_due_keys(app.context().now).await.unwrap(), 2, "those of default");
        app.pass(7200);
        assert_eq!(overdue(&app).await, "0");
    }
}
