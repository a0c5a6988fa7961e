//! Under a flood explanations keep to their bounds: of rows a second, of rows in all, of memory.

use grantd::domain::Wall;
use serde_json::json;

use super::admin_of;
use crate::support::app::{Setup, TestApp, on_both_apps};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn rows(app: &TestApp) -> i64 {
    app.rows().await.into_iter().find(|(table, _)| *table == "explanations").unwrap().1
}

on_both_apps! {
    async fn a_second_writes_no_more_than_the_rate_and_the_newest_of_each_stays(app: TestApp) {
        let environment = &[("GRANTD_EXPLAIN_RATE", "20"), ("GRANTD_EXPLAIN_KEEP_ROWS", "30"), ("GRANTD_EXPLAIN_MEMORY_KIB", "256")];
        let app = app.started_again_as(Setup { environment, ..Setup::default() }).await;
        let (client, other) = (app.client(json!({})).await, app.client(json!({})).await);
        app.tick().await;
        let before = rows(&app).await;
        let refused = async |client: &crate::support::app::TestClient| {
            let call = app.post("/oauth2/token").form(&[GRANT, ("scope", "x")]).basic(&client.id, &client.secret);
            call.send().await.header("x-request-id").to_owned()
        };
        let (mut first, mut newest) = (String::new(), String::new());
        for number in 0..300 {
            newest = refused(&client).await;
            if number == 100 {
                first = newest.clone();
            }
        }
        let quiet = refused(&other).await;
        app.tick().await;
        let written = rows(&app).await - before;
        assert!(written <= 20, "{written}");
        let cold = app.second_node().await;
        for (id, status) in [(&newest, 200), (&quiet, 200), (&first, 404)] {
            assert_eq!(cold.admin("GET", &format!("/explain/{id}")).send().await.status, status);
        }
        let kept = cold.admin("GET", &format!("/explain/{newest}")).send().await.json();
        assert!(kept["skipped"].as_u64().unwrap() > 200, "{kept}");
        let (bytes, skipped) = app.engine.explanations_held();
        assert!(bytes <= 256 << 10 && skipped > 200, "{bytes} {skipped}");
        let gone = format!("/explain/{}", first.replace(|c: char| c.is_ascii_digit(), "0"));
        let detail = app.admin("GET", &gone).send().await.json()["detail"].to_string();
        assert!(detail.contains("No explanation is kept"), "{detail}");
        // Of the same second, as one that was not written would be; who is bound hears nothing of how many come.
        let unknown = format!("/admin/v1/explain/{}", grantd::crypto::Random::system().uuid_v7(app.wall.now()));
        for (key, told) in [(app.first.owner_key.clone(), true), (admin_of(&app, "default").await, false)] {
            let answer = app.get(&unknown).bearer(&key).send().await;
            let detail = answer.json()["detail"].to_string();
            assert_eq!((answer.status, detail.contains("refusals were not kept on this node")), (404, told), "{detail}");
        }
        for _ in 0..5 {
            app.pass(1);
            for _ in 0..20 {
                refused(&other).await;
            }
            app.tick().await;
        }
        app.engine.clean_up(app.wall.now()).await.unwrap();
        assert!(rows(&app).await <= 31, "{}", rows(&app).await);
    }

    async fn without_a_rate_nothing_is_written_and_memory_still_explains(app: TestApp) {
        let app = app.started_again_as(Setup { environment: &[("GRANTD_EXPLAIN_RATE", "0")], ..Setup::default() }).await;
        let before = rows(&app).await;
        let refused = app.post("/oauth2/token").form(&[GRANT]).basic("nobody", "x").send().await;
        app.tick().await;
        assert_eq!(rows(&app).await, before);
        let path = format!("/explain/{}", refused.header("x-request-id"));
        assert_eq!(app.admin("GET", &path).send().await.status, 200);
    }
}
