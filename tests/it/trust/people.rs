//! Which account a subject stands for: the one it is linked to, one with the same verified email if
//! the switch is on, or a new one.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Trust, add, exchange, exchanging};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::browser::claims;
use crate::support::http::refused;

async fn user(app: &TestApp, id: &str) -> Value {
    app.admin("GET", &format!("/providers/default/users/{id}")).send().await.json()
}

async fn count(app: &TestApp, table: &str) -> i64 {
    app.rows().await.into_iter().find(|(name, _)| *name == table).unwrap().1
}

on_both_apps! {
    async fn the_same_text_in_another_claim_is_another_subject(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let victim = trust.subject_for(&trust.token("S-100", json!({}))).await;
        let other = app.client(exchanging()).await;
        add(&app, &trust.signer, &other, json!({"subject_claim": "nick"})).await;
        let token = trust.token("S-666", json!({"nick": "S-100"}));
        let answer = exchange(&app, &other, &token, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let sub = claims(answer.json()["access_token"].as_str().unwrap())["sub"].clone();
        assert_ne!(sub, json!(victim));
    }

    async fn an_issuer_that_is_not_trusted_with_emails_reserves_none(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let told = json!({"email": "victim@example.com", "email_verified": true});
        let id = trust.subject_for(&trust.token("u1", told)).await;
        let made = user(&app, &id).await;
        assert_eq!((&made["email"], &made["username"]), (&json!(null), &json!(id)));
        app.person_at("default", "victim", json!({"email": "victim@example.com"})).await;
    }

    async fn an_account_is_made_once_with_what_the_issuer_has_verified(app: TestApp) {
        let trust = Trust::on(&app, json!({"link_by_verified_email": true})).await;
        let told = json!({"preferred_username": "ada", "email": "Ada@example.com", "email_verified": true, "name": "Ada L."});
        let id = trust.subject_for(&trust.token("u1", told)).await;
        let made = user(&app, &id).await;
        assert_eq!((&made["username"], &made["email"], &made["email_verified"], &made["name"]), (&json!("ada"), &json!("Ada@example.com"), &json!(true), &json!("Ada L.")));
        assert_eq!(trust.subject_for(&trust.token("u1", json!({}))).await, id);
        // The same names belong to somebody by now.
        let again = json!({"preferred_username": "ADA", "email": "ada@example.com", "email_verified": false});
        let second = trust.subject_for(&trust.token("u2", again)).await;
        let second = user(&app, &second).await;
        assert_eq!((&second["username"], &second["email"]), (&second["id"], &json!(null)));
        let third = json!({"preferred_username": "victim@example.com", "email": "x@example.com", "email_verified": false, "name": "\u{7}"});
        let third = trust.subject_for(&trust.token("u3", third)).await;
        let third = user(&app, &third).await;
        assert_eq!((&third["username"], &third["email"], &third["name"]), (&third["id"], &json!(null), &json!(null)));
        let by_email = trust.subject_for(&trust.token("u4", json!({"email": "eve@example.com", "email_verified": true}))).await;
        assert_eq!(user(&app, &by_email).await["username"], "eve@example.com");
        assert_eq!(count(&app, "user_links").await, 4);
    }

    async fn two_at_once_make_one_account(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let node = app.second_node().await;
        let token = trust.token("u1", json!({"preferred_username": "ada"}));
        let all = join_all((0..12).map(|at| exchange(if at % 2 == 0 { &app } else { &node }, &trust.client, &token, &[]))).await;
        let mut subjects = Vec::new();
        for answer in all {
            assert_eq!(answer.status, 200, "{}", answer.text());
            subjects.push(app.introspected(answer.json()["access_token"].as_str().unwrap()).await["sub"].clone());
        }
        subjects.dedup();
        assert_eq!((subjects.len(), count(&app, "users").await, count(&app, "user_links").await), (1, 1, 1));
    }

    async fn without_provision_only_who_is_linked_gets_a_token(app: TestApp) {
        let trust = Trust::on(&app, json!({"provision": "none"})).await;
        let told = json!({"email": "ada@example.com", "email_verified": true, "preferred_username": "ada"});
        let ada = app.person_at("default", "ada", json!({"email": "ada@example.com", "email_verified": true})).await;
        let refuses = async |claims: &Value, why: &str| {
            let answer = trust.exchange(&trust.token("u1", claims.clone())).await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{why}");
            assert_eq!(count(&app, "user_links").await, 0, "{why}");
        };
        refuses(&told, "the switch is off").await;
        trust.change(json!({"link_by_verified_email": true})).await;
        refuses(&json!({"email": "ada@example.com"}), "the issuer has not verified it").await;
        refuses(&json!({"email": "ada@example.com", "email_verified": "yes"}), "the issuer has not verified it").await;
        refuses(&json!({"email": "other@example.com", "email_verified": true}), "nobody has it").await;
        let path = format!("/providers/default/users/{}", ada["id"].as_str().unwrap());
        app.admin("PATCH", &path).json(&json!({"email_verified": false})).send().await;
        refuses(&told, "we have not verified it").await;
        app.admin("PATCH", &path).json(&json!({"email_verified": true})).send().await;
        let squatter = json!({"email": "ada", "email_verified": true});
        refuses(&squatter, "a username is no email").await;
        assert_eq!(json!(trust.subject_for(&trust.token("u1", told)).await), ada["id"]);
        // From now on by the link, whatever the email is.
        trust.change(json!({"link_by_verified_email": false})).await;
        assert_eq!(json!(trust.subject_for(&trust.token("u1", json!({}))).await), ada["id"]);
        assert_eq!(trust.exchange(&trust.token("u2", json!({}))).await.status, 400);
    }

    async fn a_username_that_is_somebodys_address_links_nobody(app: TestApp) {
        let trust = Trust::on(&app, json!({"link_by_verified_email": true})).await;
        let own = json!({"email": "own@example.com", "email_verified": true});
        let squatter = app.person_at("default", "victim@example.com", own).await;
        let told = json!({"email": "victim@example.com", "email_verified": true});
        let subject = trust.subject_for(&trust.token("u1", told)).await;
        assert_ne!(json!(subject), squatter["id"]);
    }

    async fn who_is_not_live_gets_nothing_and_does_not_come_back_as_somebody_new(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let id = trust.subject_for(&trust.token("u1", json!({}))).await;
        let path = format!("/providers/default/users/{id}");
        app.admin("PATCH", &path).json(&json!({"enabled": false})).send().await;
        assert_eq!(trust.exchange(&trust.token("u1", json!({}))).await.refusal(), refused(400, "invalid_request"));
        app.admin("PATCH", &path).json(&json!({"enabled": true})).send().await;
        assert_eq!(trust.subject_for(&trust.token("u1", json!({}))).await, id);
        assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
        assert_eq!(trust.exchange(&trust.token("u1", json!({}))).await.refusal(), refused(400, "invalid_request"));
        assert_eq!(count(&app, "users").await, 1);
    }
}
