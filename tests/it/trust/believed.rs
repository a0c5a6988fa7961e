//! What an external token says counts only in the form that its specification gives it.

use serde_json::{Value, json};

use super::{AUDIENCE, IDP, ROWS, Trust, tried};
use crate::support::app::{ISSUER, on_both_apps};
use crate::support::http::refused;

on_both_apps! {
    /// With serde_json's feature `raw_value` such an object is the value that its text spells.
    async fn an_object_with_a_magic_member_is_no_text_no_number_and_no_flag(app: TestApp) {
        let magic = |json: &str| json!({"$serde_json::private::RawValue": json});
        let rules = json!({"link_by_verified_email": true, "conditions": [{"claim": "tenant", "operator": "equals", "value": "acme"}]});
        let trust = Trust::on(&app, rules).await;
        let answer = async |claims: Value| {
            let mut all = json!({"tenant": "acme"});
            all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            trust.exchange(&trust.token("u1", all)).await
        };
        assert_eq!(answer(json!({})).await.status, 200);
        for (name, value) in [
            ("tenant", magic("\"acme\"")), ("sub", magic("\"u1\"")), ("iss", magic(&format!("{IDP:?}"))),
            ("aud", magic(&format!("{AUDIENCE:?}"))), ("exp", magic("9999999999")), ("iat", magic(&app.now().to_string())), ("nbf", magic("1")),
        ] {
            let answer = answer(json!({name: value})).await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{name}: {}", answer.text());
        }
        let victim = app.person_at("default", "victim", json!({"email": "victim@example.com", "email_verified": true})).await["id"].as_str().unwrap().to_owned();
        let linked = async |subject: &str, claims: Value| {
            let mut all = json!({"tenant": "acme"});
            all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            trust.subject_for(&trust.token(subject, all)).await == victim
        };
        assert!(!linked("u2", json!({"email": "victim@example.com", "email_verified": magic("true")})).await);
        assert!(!linked("u3", json!({"email": magic("\"victim@example.com\""), "email_verified": true})).await);
        let number = json!({"$serde_json::private::Number": "1"});
        assert_eq!(answer(json!({"nbf": number})).await.status, 400);
        let condition = json!({"conditions": [{"claim": "a", "operator": "equals", "value": magic("\"x\"")}]});
        let changed = app.admin("PATCH", &format!("{ROWS}/{}", trust.row)).json(&condition).send().await;
        assert_eq!(changed.status, 422, "{}", changed.text());
        assert!(linked("u4", json!({"email": "victim@example.com", "email_verified": true})).await, "and this is how");
    }

    async fn only_the_boolean_true_verifies_an_email(app: TestApp) {
        let trust = Trust::on(&app, json!({"link_by_verified_email": true})).await;
        let victim = app.person_at("default", "victim", json!({"email": "victim@example.com", "email_verified": true})).await["id"].as_str().unwrap().to_owned();
        for (at, word) in [json!("true"), json!("True"), json!(1), json!("1"), json!([true]), json!({"v": true}), json!(null)].into_iter().enumerate() {
            let token = trust.token(&format!("u{at}"), json!({"email": "victim@example.com", "email_verified": word}));
            assert_ne!(trust.subject_for(&token).await, victim, "{word}");
        }
        let token = trust.token("u", json!({"email": "victim@example.com", "email_verified": true}));
        assert_eq!(trust.subject_for(&token).await, victim);
    }

    // RFC 8693 §4.4
    async fn may_act_names_a_party_by_its_issuer_too(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let id = &trust.client.id;
        let ours = ISSUER;
        for (may_act, status) in [
            (json!({"sub": id}), 200),
            (json!({"sub": id, "iss": ours}), 200),
            (json!({"client_id": id, "sub": id}), 200),
            (json!({"sub": id, "iss": IDP}), 400),
            (json!({"client_id": id, "iss": "https://other.example"}), 400),
            (json!({"sub": id, "iss": [ours]}), 400),
            (json!({"sub": id, "iss": null}), 400),
            (json!({"iss": ours}), 400),
            (json!({"client_id": id, "sub": "somebody"}), 400),
            (json!({"client_id": "another", "sub": id}), 400),
            (json!({"client_id": 7, "sub": id}), 400),
        ] {
            let token = trust.token("u1", json!({"may_act": may_act}));
            assert_eq!(trust.exchange(&token).await.status, status, "{may_act}");
            let (accepted, _) = tried(&app, &token, Some(id)).await;
            assert_eq!(accepted, status == 200, "{may_act}");
        }
    }
}
