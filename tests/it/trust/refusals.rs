//! Every way in which a token is not good enough: one answer for all of them, and in the dry run the
//! check that says why.

use futures_util::future::join_all;
use grantd::domain::TrustedIssuer;
use grantd::store::trusted_issuers;
use serde_json::{Value, json};

use super::{IDP, ROWS, Trust, add, bearer, exchange, tried};
use crate::support::app::{ISSUER, TestApp, on_both_apps};
use crate::support::http::refused;
use crate::support::jose::{Signer, encode};
use crate::support::origin::{Origin, Reply};

const HINT: &str = "The external token was not accepted.";

/// Refused on both wires with the same answer; the dry run names the check.
async fn refuses(trust: &Trust<'_>, token: &str, check: &str) {
    let (app, client) = (trust.app, &trust.client);
    for (answer, code) in [
        (exchange(app, client, token, &[]).await, "invalid_request"),
        (bearer(app, client, token, &[]).await, "invalid_grant"),
    ] {
        assert_eq!(answer.refusal(), refused(400, code), "{check}: {}", answer.text());
        assert_eq!(answer.json()["error_description"], HINT, "{check}");
    }
    let (accepted, objections) = tried(app, token, Some(&client.id)).await;
    assert!(!accepted && objections.iter().any(|objection| objection.starts_with(check)), "{check}: {objections:?}");
}

async fn users(app: &TestApp) -> i64 {
    app.rows().await.into_iter().find(|(table, _)| *table == "users").unwrap().1
}

on_both_apps! {
    // TX2, JA14; mistakes 36, 37
    async fn a_token_that_is_not_good_enough_is_refused_and_the_dry_run_says_why(app: TestApp) {
        let rules = json!({"conditions": [
            {"claim": "groups", "operator": "like", "value": "dev-*"},
            {"claim": "tenant", "operator": "in", "value": ["acme", 7]},
            {"claim": "level", "operator": "not_equals", "value": 0},
        ], "max_age": 300, "token_types": [crate::trust::JWT]});
        let trust = Trust::on(&app, rules).await;
        let now = app.now();
        let good = json!({"groups": ["x", "dev-a"], "tenant": "acme", "level": 3});
        let with = |more: Value| {
            let mut claims = good.clone();
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            trust.token("u1", claims)
        };
        for (why, more, check) in [
            ("expired", json!({"exp": now}), "expiry: expired"),
            ("no exp", json!({"exp": null}), "expiry: exp is missing"),
            ("no iat", json!({"iat": null}), "issued_at: iat is missing"),
            ("iat ahead", json!({"iat": now + 11}), "issued_at"),
            ("too old", json!({"iat": now - 301}), "issued_at"),
            ("not yet", json!({"nbf": now + 11}), "not_before"),
            ("no aud", json!({"aud": null}), "audience: aud is missing"),
            ("other aud", json!({"aud": "https://other.example"}), "audience"),
            ("no sub", json!({"sub": null}), "subject"),
            ("sub is a number", json!({"sub": 7}), "subject"),
            ("long sub", json!({"sub": "x".repeat(256)}), "subject"),
            ("no group", json!({"groups": null}), "condition: groups like: the claim is absent"),
            ("other group", json!({"groups": ["x", "xdev-a"]}), "condition: groups like"),
            ("other tenant", json!({"tenant": "acme2"}), "condition: tenant in"),
            ("level", json!({"level": 0}), "condition: level not_equals"),
            ("no level", json!({"level": null}), "condition: level not_equals"),
        ] {
            refuses(&trust, &with(more), check).await;
            assert_eq!(users(&app).await, 0, "{why}: nobody is made");
        }
        let claims = {
            let mut claims = trust.claims("u1");
            claims.as_object_mut().unwrap().extend(good.as_object().unwrap().clone());
            claims
        };
        let es256 = json!({"alg": "ES256", "kid": "k1"});
        refuses(&trust, &Signer::es256().sign(&es256, &claims), "signature: the signature is wrong").await;
        refuses(&trust, &trust.signer.sign(&json!({"alg": "ES256", "kid": "k2"}), &claims), "keys: no published key").await;
        refuses(&trust, &trust.signer.sign(&json!({"alg": "HS256", "kid": "k1"}), &claims), "algorithm").await;
        refuses(&trust, &trust.signer.sign(&json!({"alg": "none"}), &claims), "algorithm").await;
        refuses(&trust, &trust.signer.sign(&json!({"alg": "ES384", "kid": "k1"}), &claims), "algorithm").await;
        refuses(&trust, &trust.signer.sign(&json!({"alg": "RS256", "kid": "k1"}), &claims), "keys").await;
        refuses(&trust, &trust.signer.sign(&json!({"alg": "ES256", "kid": "k1", "crit": ["x"], "x": 1}), &claims), "critical").await;
        let unsigned = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims.to_string()));
        refuses(&trust, &unsigned, "algorithm").await;
        let (message, signature) = trust.signed(&claims).rsplit_once('.').map(|(m, s)| (m.to_owned(), s.to_owned())).unwrap();
        for damaged in [format!("{message}."), format!("{message}.{}", &signature[..signature.len() - 4]), message.clone(), "x".to_owned(), format!("{message}.{signature}.")] {
            assert_eq!(trust.exchange(&damaged).await.refusal(), refused(400, "invalid_request"), "{damaged}");
            assert!(!tried(&app, &damaged, None).await.0, "{damaged}");
        }
        let long = trust.token("u1", json!({"pad": "x".repeat(16_000)}));
        assert_eq!(trust.exchange(&long).await.refusal(), refused(400, "invalid_request"));
        // Another token type than the row takes.
        let fields = [("grant_type", crate::trust::EXCHANGE), ("subject_token", &trust.signed(&claims)), ("subject_token_type", crate::trust::ACCESS_TOKEN)];
        assert_eq!(app.as_client("", &trust.client, &fields.map(|(a, b)| (a, b))).await.refusal(), refused(400, "invalid_request"));
        assert_eq!(users(&app).await, 0);
        app.pass(61);
        let fine = with(json!({"iat": app.now() - 300, "exp": app.now() + 60}));
        assert_eq!(tried(&app, &fine, Some(&trust.client.id)).await, (true, Vec::new()));
        assert_eq!(users(&app).await, 0, "a dry run makes nobody");
        assert_eq!(trust.exchange(&fine).await.status, 200);
    }

    async fn two_rows_that_both_accept_are_one_too_many(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let second = add(&app, &trust.signer, &trust.client, json!({"scope": "orders:read"})).await;
        let token = trust.token("u1", json!({}));
        refuses(&trust, &token, "ambiguous").await;
        let off = app.admin("PATCH", &format!("{ROWS}/{second}")).json(&json!({"enabled": false})).send().await;
        assert_eq!(off.status, 200);
        assert_eq!(trust.exchange(&token).await.status, 200);
        // One for judging only never exchanges.
        trust.change(json!({"purpose": "validate"})).await;
        refuses(&trust, &token, "purpose").await;
    }

    // Mistake 12
    async fn a_token_that_works_once_works_once(app: TestApp) {
        let trust = Trust::on(&app, json!({"require_jti": true})).await;
        refuses(&trust, &trust.token("u1", json!({})), "jti").await;
        refuses(&trust, &trust.token("u1", json!({"jti": "x".repeat(257)})), "jti").await;
        refuses(&trust, &trust.token("u1", json!({"jti": "far", "exp": app.now() + 86_401})), "jti").await;
        let token = trust.token("u1", json!({"jti": "one"}));
        // Refused for another reason: not spent.
        let outside = exchange(&app, &trust.client, &token, &[("scope", "not:mine")]).await;
        assert_eq!(outside.refusal(), refused(400, "invalid_scope"));
        let all = join_all((0..8).map(|_| exchange(&app, &trust.client, &token, &[]))).await;
        assert_eq!(all.iter().filter(|answer| answer.status == 200).count(), 1, "{:?}", all.iter().map(|a| a.status).collect::<Vec<_>>());
        refuses(&trust, &token, "replay").await;
        let node = app.second_node().await;
        assert_eq!(exchange(&node, &trust.client, &token, &[]).await.refusal(), refused(400, "invalid_request"));
        // Another row of the same issuer reads the same token.
        let other = app.client(crate::trust::exchanging()).await;
        add(&app, &trust.signer, &other, json!({"require_jti": true})).await;
        assert_eq!(exchange(&app, &other, &token, &[]).await.refusal(), refused(400, "invalid_request"));
        assert_eq!(trust.exchange(&trust.token("u1", json!({"jti": "two"}))).await.status, 200);
    }

    // RG6, HT5, mistake 17
    async fn only_what_stands_in_a_row_is_ever_fetched(app: TestApp) {
        let signer = Signer::es256();
        let keys = json!({"keys": [signer.jwk("k1")]});
        let origin = Origin::always(Reply::json(&keys));
        let trust = Trust::on(&app, json!({})).await;
        let header = json!({"alg": "ES256", "kid": "k1", "jku": origin.base, "x5u": origin.base, "jwk": signer.jwk("k1")});
        for issuer in [IDP.to_owned(), origin.base.clone(), "https://unknown.example".to_owned()] {
            let mut claims = trust.claims("u1");
            claims["iss"] = json!(issuer);
            assert_eq!(trust.exchange(&signer.sign(&header, &claims)).await.refusal(), refused(400, "invalid_request"), "{issuer}");
        }
        assert!(origin.asked().is_empty());
        // Nor for a client that is not named, nor for an algorithm that is not the row's.
        trust.change(json!({"jwks": null, "jwks_uri": format!("{}/jwks", origin.base), "clients": []})).await;
        let good = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &trust.claims("u1"));
        assert_eq!(trust.exchange(&good).await.status, 400);
        trust.change(json!({"clients": [trust.client.id], "algorithms": ["RS256"]})).await;
        assert_eq!(trust.exchange(&good).await.status, 400);
        assert!(origin.asked().is_empty());
        trust.change(json!({"algorithms": null})).await;
        let answer = trust.exchange(&good).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(origin.asked().iter().map(|asked| asked.path.clone()).collect::<Vec<_>>(), ["/jwks"]);
        assert_eq!(trust.exchange(&good).await.status, 200);
        assert_eq!(origin.asked().len(), 1, "kept");
    }

    async fn an_issuer_that_cannot_be_reached_is_a_refusal_and_no_fault(app: TestApp) {
        let origin = Origin::always(Reply::status(500));
        let trust = Trust::on(&app, json!({"jwks": null, "jwks_uri": origin.base})).await;
        let token = trust.token("u1", json!({}));
        refuses(&trust, &token, "keys: the keys could not be fetched: it answered with status 500").await;
        trust.change(json!({"jwks_uri": "https://127.0.0.1:1/jwks"})).await;
        refuses(&trust, &token, "keys: the keys could not be fetched").await;
    }

    async fn a_token_of_this_server_is_none_of_another(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let own = app.token(&trust.client).await;
        assert_eq!(trust.exchange(&own).await.refusal(), refused(400, "invalid_request"));
        let (accepted, why) = tried(&app, &own, None).await;
        assert!(!accepted && why[0].contains("this server"), "{why:?}");
        // Nor with a row that names us: one from before the provider was ours.
        let (provider, id) = (app.provider_id().await, trust.row.clone());
        app.job(move |tx| {
            let row = trusted_issuers::get(tx, &provider.as_str().into(), &id.as_str().into())?.expect("no row");
            let ours = TrustedIssuer { id: "01900000-0000-7000-8000-000000000000".into(), issuer: ISSUER.to_owned(), ..row };
            trusted_issuers::insert(tx, ours)
        })
        .await;
        let mut claims = trust.claims("u1");
        claims["iss"] = json!(ISSUER);
        let token = trust.signed(&claims);
        assert_eq!(trust.exchange(&token).await.refusal(), refused(400, "invalid_request"));
        let (accepted, why) = tried(&app, &token, None).await;
        assert!(!accepted && why[0].contains("this server"), "{why:?}");
    }

    async fn forged_tokens_are_slowed_and_old_ones_are_not(app: TestApp) {
        let trust = Trust::on(&app, json!({})).await;
        let old = trust.token("u1", json!({"exp": app.now() - 5}));
        for _ in 0..25 {
            assert_eq!(trust.exchange(&old).await.status, 400);
        }
        let forged = Signer::es256().sign(&json!({"alg": "ES256", "kid": "k1"}), &trust.claims("u1"));
        let mut statuses = Vec::new();
        for _ in 0..25 {
            statuses.push(trust.exchange(&forged).await.status);
        }
        assert_eq!((statuses[0], *statuses.last().unwrap()), (400, 429), "{statuses:?}");
    }
}
