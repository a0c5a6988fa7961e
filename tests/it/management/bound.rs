//! A key that is bound to a provider: what it may not do there, and what it does not learn of others.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};
use crate::support::http::Answer;
use crate::support::people::text;

const ACME: &str = "/admin/v1/providers/acme";

async fn change(app: &TestApp, key: &str, query: &str, body: Value) -> Answer {
    app.call("PATCH", &format!("{ACME}{query}")).bearer(key).json(&body).send().await
}

/// What an answer and its explanation say, without what tells one request from another.
async fn told(app: &TestApp, key: &str, answer: Answer) -> (u16, Value, Value) {
    let path = format!("/admin/v1/explain/{}", answer.header("x-request-id"));
    let explained = app.get(&path).bearer(key).send().await;
    assert_eq!(explained.status, 200, "{}", explained.text());
    let (mut body, mut why) = (answer.json(), explained.json());
    for (object, names) in [(&mut body, &["request_id"][..]), (&mut why, &["request_id", "at"])] {
        for name in names {
            object.as_object_mut().unwrap().remove(*name).unwrap();
        }
    }
    (answer.status, body, why)
}

on_both_apps! {
    async fn a_suspended_tenant_does_not_lift_its_suspension(app: TestApp) {
        app.provider("acme", json!({})).await;
        let unbound = app.api_key(json!({"role": "admin"})).await;
        for role in ["admin", "owner"] {
            let own = app.api_key(json!({"role": role, "provider": "acme"})).await;
            // What is so already is no change of it.
            for body in [json!({"enabled": true, "name": "Acme"}), json!({"enabled": null})] {
                let kept = change(&app, &own, "", body).await;
                assert_eq!(kept.status, 200, "{}", kept.text());
            }
            assert_eq!(change(&app, &own, "", json!({"enabled": false})).await.status, 403);
            assert_eq!(change(&app, &unbound, "", json!({"enabled": false})).await.status, 200);
            for body in [json!({"enabled": true}), json!({"enabled": null}), json!({"enabled": true, "name": "Back"})] {
                for query in ["", "?dry_run=true"] {
                    let lifted = change(&app, &own, query, body.clone()).await;
                    assert_eq!(lifted.status, 403, "{body}: {}", lifted.text());
                }
            }
            // The rest is the tenant's own still.
            let rest = change(&app, &own, "", json!({"enabled": false, "max_ttl": 7200})).await.json();
            assert_eq!((&rest["enabled"], &rest["max_ttl"], &rest["name"]), (&json!(false), &json!(7200), &json!("Acme")));
            assert_eq!(change(&app, &unbound, "", json!({"enabled": true, "max_ttl": null})).await.status, 200);
        }
    }

    async fn to_a_bound_key_another_provider_and_none_read_alike(app: TestApp) {
        app.provider("acme", json!({})).await;
        let other = text(&app.provider("other", json!({})).await, "id");
        let key = app.api_key(json!({"role": "admin", "provider": "acme"})).await;
        let nobody = other.chars().rev().map(|digit| if digit == '-' { '-' } else { 'f' }).collect::<String>();
        let places = ["providers/{}", "providers/{}/clients", "events?provider={}", "events/export?provider={}",
            "reports/secrets?provider={}", "api-keys?provider={}"];
        for place in places {
            let mut said = Vec::new();
            for named in ["nobody", "other", &other, &nobody, "No Slug"] {
                let path = format!("/admin/v1/{}", place.replace("{}", &named.replace(' ', "%20")));
                said.push(told(&app, &key, app.get(&path).bearer(&key).send().await).await);
            }
            assert_eq!(said[0].0, 404, "{place}");
            assert!(said.iter().all(|own| *own == said[0]), "{place}: {said:#?}");
        }
        let mut said = Vec::new();
        for named in ["nobody", "other"] {
            let made = app.post("/admin/v1/api-keys").bearer(&key).json(&json!({"provider": named})).send().await;
            said.push(told(&app, &key, made).await);
        }
        assert_eq!(said[0], said[1]);
    }
}
