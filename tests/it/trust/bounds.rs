//! What one token may cost, and how many rows it is judged by: whoever makes rows or hands tokens in does not
//! decide how long a server that serves everybody works.

use std::time::Duration;

use futures_util::future::join_all;
use grantd::domain::clock::monotonic;
use grantd::domain::trust::{Condition, Operator};
use grantd::domain::{IssuerId, TrustedIssuer};
use grantd::store::trusted_issuers;
use serde_json::{Value, json};

use super::{AUDIENCE, IDP, ROWS, Trust, add, exchange, tried};
use crate::support::app::on_both_apps;
use crate::support::http::{Answer, refused};
use crate::support::jose::Signer;

/// More rows like the first one, as a release without the bound let anybody make them. The last is the only
/// one that stays enabled if `enabled` is false.
async fn crowd(trust: &Trust<'_>, more: usize, enabled: bool) {
    let (provider, id) = (trust.app.provider_id().await, trust.row.clone());
    trust
        .app
        .job(move |tx| {
            let row = trusted_issuers::get(tx, &provider.as_str().into(), &id.as_str().into())?.expect("no row");
            for at in 1..=more {
                let id = IssuerId::from(format!("01900000-0000-7000-8000-{at:012}"));
                trusted_issuers::insert(tx, TrustedIssuer { id, enabled: enabled || at == more, ..row.clone() })?;
            }
            Ok(())
        })
        .await;
}

fn like(pattern: &str) -> Value {
    json!({"claim": "c", "operator": "like", "value": pattern})
}

/// The row is refused for its `issuer`.
fn is_one_too_many(answer: &Answer) -> bool {
    answer.status == 422 && answer.json()["errors"][0]["pointer"] == "/issuer"
}

async fn took<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = monotonic();
    let done = work.await;
    (done, monotonic() - began)
}

on_both_apps! {
    async fn an_issuer_has_twenty_rows_however_many_are_made_at_once(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let node = app.second_node().await;
        let row = |issuer: &str| json!({"issuer": issuer, "audiences": [AUDIENCE]});
        let calls = (0..30).map(|at| [&app, &node][at % 2].admin("POST", ROWS).json(&row(IDP)).send());
        let answers = join_all(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 19, "beside the first");
        assert_eq!(answers.iter().filter(|answer| is_one_too_many(answer)).count(), 11);
        // Nor does a row move there; its own fields change as ever, and a row that ends makes room.
        let other = app.admin("POST", ROWS).json(&row("https://other.example")).send().await.json();
        let other = format!("{ROWS}/{}", other["id"].as_str().unwrap());
        let moved = app.admin("PATCH", &other).json(&json!({"issuer": IDP})).send().await;
        assert!(is_one_too_many(&moved), "{}", moved.text());
        trust.change(json!({"max_ttl": 60})).await;
        let one = answers.iter().find(|answer| answer.status == 201).unwrap().json();
        assert_eq!(app.admin("DELETE", &format!("{ROWS}/{}", one["id"].as_str().unwrap())).send().await.status, 204);
        let moves = join_all([&app, &node].map(|app| app.admin("POST", ROWS).json(&row(IDP)).send())).await;
        assert_eq!(moves.iter().filter(|answer| answer.status == 201).count(), 1);
        // Another provider has its own.
        app.provider("acme", json!({})).await;
        let there = app.admin("POST", "/providers/acme/trusted-issuers").json(&row(IDP)).send().await;
        assert_eq!(there.status, 201, "{}", there.text());
    }

    async fn rows_beyond_the_bound_are_not_asked_and_enabled_ones_come_first(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let token = trust.token("u1", json!({}));
        trust.change(json!({"enabled": false})).await;
        crowd(&trust, 200, false).await;
        assert_eq!(trust.exchange(&token).await.status, 200, "the one that is enabled is the last of all");
        let tried = app.admin("POST", &format!("{ROWS}/test")).json(&json!({"token": token})).send().await.json();
        assert_eq!(tried["rows"].as_array().unwrap().len(), 20);
    }

    async fn patterns_cost_a_token_no_more_than_any_other(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let claim = json!({"c": "a".repeat(2048)});
        // Twenty rows of twenty conditions, each of which would compare half a million characters.
        let patterns = [format!("*{}b", "a".repeat(253)), format!("*{}?b*", "a".repeat(251)), format!("{}b", "a*".repeat(127))];
        let token = trust.token("u1", claim);
        trust.change(json!({"conditions": vec![like("*"); 20]})).await;
        crowd(&trust, 19, true).await;
        let judged = async || {
            let call = app.admin("POST", &format!("{ROWS}/test")).json(&json!({"token": token}));
            let (answer, dry) = took(call.send()).await;
            assert_eq!(answer.status, 200);
            let (answer, real) = took(trust.exchange(&token)).await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "ambiguous, or refused");
            dry + real
        };
        judged().await;
        let plain = judged().await;
        for pattern in patterns {
            let condition = Condition { claim: "c".to_owned(), operator: Operator::Like, values: vec![pattern.clone()] };
            let provider = app.provider_id().await;
            app.job(move |tx| {
                for mut row in trusted_issuers::of_issuer(tx, &provider.as_str().into(), IDP)? {
                    row.rules.conditions = vec![condition.clone(); 20];
                    let version = row.version;
                    assert!(trusted_issuers::update(tx, row, version)?);
                }
                Ok(())
            })
            .await;
            let costly = judged().await;
            assert!(costly < plain * 60, "{pattern:.20}: {costly:?} against {plain:?}");
        }
        let (accepted, why) = tried(&app, &token, None).await;
        assert!(!accepted && why.iter().all(|why| why.starts_with("condition: c like: ")), "{why:?}");
    }

    async fn the_first_condition_that_is_false_ends_a_row(app: TestApp) {
        let conditions = json!([like("b*"), like("a*"), {"claim": "d", "operator": "equals", "value": "x"}]);
        let trust = Trust::on(&app, json!({"conditions": conditions})).await;
        let token = trust.token("u1", json!({"c": "abc"}));
        let answer = trust.exchange(&token).await;
        assert_eq!(answer.refusal(), refused(400, "invalid_request"));
        let id = answer.header("x-request-id").to_owned();
        app.tick().await;
        let told = app.admin("GET", &format!("/explain/{id}")).send().await.json();
        let steps = told["steps"].as_array().unwrap_or_else(|| panic!("{told}"));
        assert_eq!(steps.iter().filter(|step| step["rule"] == "trust.condition").count(), 1, "{told}");
        // A dry run says what the others would have said.
        assert_eq!(tried(&app, &token, None).await.1.len(), 2);
    }

    async fn no_more_than_forty_signatures_are_checked_for_a_token(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let strangers = |count: usize| -> Vec<Value> {
            (0..count).map(|_| {
                let mut jwk = Signer::es256().jwk("x");
                jwk.as_object_mut().unwrap().remove("kid");
                jwk
            }).collect()
        };
        let token = trust.signer.sign(&json!({"alg": "ES256"}), &trust.claims("u1"));
        assert_eq!(trust.exchange(&token).await.status, 200);
        // The keys of the first row are asked once, however many rows have them.
        crowd(&trust, 3, true).await;
        for at in 0..2 {
            add(&app, &trust.signer, &trust.client, json!({"jwks": {"keys": strangers(20)}, "scope": format!("s{at}")})).await;
        }
        let (_, why) = tried(&app, &token, None).await;
        assert_eq!(why.iter().filter(|why| why.starts_with("signature: the signature is wrong")).count(), 1, "{why:?}");
        let too_many = why.iter().filter(|why| why.starts_with("keys: more keys fit it")).count();
        assert_eq!(too_many, 1, "{why:?}");
    }

    async fn a_pasted_set_counts_as_soon_as_it_is_changed(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let node = app.second_node().await;
        let token = trust.token("u1", json!({}));
        for app in [&app, &node] {
            assert_eq!(exchange(app, &trust.client, &token, &[]).await.status, 200);
        }
        let other = Signer::es256();
        trust.change(json!({"jwks": {"keys": [other.jwk("k1")]}})).await;
        for app in [&app, &node] {
            assert_eq!(exchange(app, &trust.client, &token, &[]).await.refusal(), refused(400, "invalid_request"));
        }
        let signed = other.sign(&json!({"alg": "ES256", "kid": "k1"}), &trust.claims("u1"));
        assert_eq!(exchange(&node, &trust.client, &signed, &[]).await.status, 200);
    }

    async fn thousands_of_audiences_and_groups_are_looked_through_once(app: TestApp) {
        let rules = json!({"audiences": (10..60).map(|at| "a".repeat(75) + &at.to_string()).collect::<Vec<_>>(), "conditions": [
            {"claim": "groups", "operator": "in", "value": (0..100).map(|at| format!("g{at}")).collect::<Vec<_>>()}]});
        let trust = Trust::on(&app, rules).await;
        crowd(&trust, 19, true).await;
        let many: Vec<String> = (0..1900).map(|at| format!("{at:x}")).collect();
        // Of several, the quickest: others have the machine too.
        let least = async |claims: Value| {
            let token = trust.token("u1", claims);
            assert!(token.len() < 16_384);
            let mut least = Duration::MAX;
            for _ in 0..5 {
                let (answer, took) = took(trust.exchange(&token)).await;
                assert_eq!(answer.status, 400, "{}", answer.text());
                least = least.min(took);
            }
            least
        };
        let unread = least(json!({"aud": "x", "pad": many})).await;
        let audiences = least(json!({"aud": many})).await;
        assert!(audiences < unread * 4, "{audiences:?} against {unread:?}");
        let groups = least(json!({"aud": "a".repeat(75) + "10", "groups": many})).await;
        assert!(groups < unread * 50, "{groups:?} against {unread:?}");
    }

    /// A row of an index of PostgreSQL has at most 2,704 bytes, and compresses nothing that is random.
    async fn a_link_that_no_index_holds_is_refused(app: TestApp) {
        let mut state: u64 = 7;
        let mut random = move |below: u32| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u32::try_from(state >> 33).unwrap() % below
        };
        let mut noise = |least: u32, below: u32, count: usize| -> String {
            (0..count).map(|_| char::from_u32(least + random(below)).unwrap()).collect()
        };
        let (issuer, ascii) = (format!("https://idp.example/{}", noise(0x21, 94, 1900)), noise(0x61, 26, 255));
        let (wide, narrower, claim) = (noise(0x10000, 0x30000, 255), noise(0x10000, 0x30000, 150), noise(0x10000, 0x30000, 100));
        let trust = Trust::on(&app, json!({"issuer": issuer})).await;
        for (subject, status) in [(wide, 400), (ascii, 200), (narrower, 200)] {
            let token = trust.token(&subject, json!({"iss": issuer}));
            let answer = trust.exchange(&token).await;
            assert_eq!(answer.status, status, "{} bytes: {}", subject.len(), answer.text());
        }
        let row = json!({"issuer": issuer, "audiences": [AUDIENCE], "subject_claim": claim, "jwks": {"keys": [trust.signer.jwk("k1")]}});
        let made = app.admin("POST", ROWS).json(&row).send().await;
        assert_eq!((made.status, &made.json()["errors"][0]["pointer"]), (422, &json!("/subject_claim")), "{}", made.text());
    }
}
