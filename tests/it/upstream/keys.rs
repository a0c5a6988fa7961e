//! How published keys are fetched: one at a time, once for many, and never from where a token says.

use std::time::Duration;

use futures_util::future::join_all;
use grantd::domain::Owner;
use grantd::domain::clock::{deadline_in, monotonic};
use grantd::upstream::{KeySource, KeysFlaw, PublishedKeys};
use serde_json::json;

use crate::support::databases::block_on;
use crate::support::jose::Signer;
use crate::support::origin::{Asked, Origin, Reply};
use crate::upstream::fetch::fetcher;

fn published() -> PublishedKeys {
    PublishedKeys::new(fetcher(&["127.0.0.1"], &[&["127.0.0.1"]]).0)
}

fn jwks(kids: &[&str]) -> serde_json::Value {
    json!({"keys": kids.iter().map(|kid| Signer::es256().jwk(kid)).collect::<Vec<_>>()})
}

fn soon() -> std::time::Instant {
    deadline_in(Duration::from_secs(10))
}

#[test]
fn many_who_need_the_same_keys_cause_one_fetch() {
    let origin = Origin::always(Reply::json(jwks(&["a"])).after(Duration::from_millis(100)));
    let (keys, source) = (published(), KeySource::Url(origin.base.clone()));
    block_on(async {
        let all = (0..20).map(|_| keys.keys(&Owner::Installation, &source, Some("a"), "ES256", soon()));
        for found in join_all(all).await {
            assert!(found.unwrap().keys.knows(Some("a"), "ES256"));
        }
    });
    assert_eq!(origin.asked().len(), 1);
}

#[test]
fn a_key_that_is_not_known_is_asked_for_once_in_a_while_and_blocks_nobody() {
    let origin = Origin::always(Reply::json(jwks(&["a"])));
    let (keys, source) = (published(), KeySource::Url(origin.base.clone()));
    block_on(async {
        for kid in ["a", "b", "c", "d"] {
            let found = keys.keys(&Owner::Installation, &source, Some(kid), "ES256", soon()).await.unwrap();
            assert_eq!(found.keys.knows(Some(kid), "ES256"), kid == "a");
        }
    });
    assert_eq!(origin.asked().len(), 1, "fetched a moment ago: unknown ones do not fetch again");
}

#[test]
fn a_failure_is_remembered_and_told() {
    let origin = Origin::always(Reply::status(503));
    let (keys, source) = (published(), KeySource::Url(origin.base.clone()));
    block_on(async {
        for _ in 0..3 {
            let flaw = keys.keys(&Owner::Installation, &source, Some("a"), "ES256", soon()).await.unwrap_err();
            assert!(flaw.to_string().contains("503"), "{flaw}");
        }
    });
    assert_eq!(origin.asked().len(), 1);
    for (body, says) in [("<html>", "JWK Set"), ("{\"keys\":[]}", "JWK Set"), ("{}", "JWK Set")] {
        let origin = Origin::always(Reply::json(body));
        let flaw = block_on(async {
            published()
                .keys(&Owner::Installation, &KeySource::Url(origin.base.clone()), None, "ES256", soon())
                .await
                .unwrap_err()
        });
        assert!(flaw.to_string().contains(says), "{flaw}");
    }
}

#[test]
fn nobody_waits_longer_than_they_may() {
    let origin = Origin::always(Reply::json(jwks(&["a"])).after(Duration::from_millis(400)));
    let (keys, source) = (published(), KeySource::Url(origin.base.clone()));
    block_on(async {
        let began = monotonic();
        let flaw = keys
            .keys(&Owner::Installation, &source, Some("a"), "ES256", deadline_in(Duration::from_millis(50)))
            .await
            .unwrap_err();
        assert_eq!(flaw, KeysFlaw::Late);
        assert!(monotonic().duration_since(began) < Duration::from_millis(350));
        // The fetch went on without its caller.
        assert!(
            keys.keys(&Owner::Installation, &source, Some("a"), "ES256", soon())
                .await
                .unwrap()
                .keys
                .knows(Some("a"), "ES256")
        );
    });
    assert_eq!(origin.asked().len(), 1);
}

#[test]
fn metadata_speaks_for_its_own_issuer_only() {
    let origin = Origin::always(Reply::status(404));
    let base = origin.base.clone();
    let answer = move |issuer: String| {
        let base = base.clone();
        move |asked: &Asked| match asked.path.as_str() {
            "/own/.well-known/openid-configuration" => {
                Reply::json(json!({"issuer": issuer, "jwks_uri": format!("{base}/jwks")}))
            }
            "/jwks" => Reply::json(jwks(&["a"])),
            _ => Reply::status(404),
        }
    };
    let issuer = format!("{}/own", origin.base);
    let of = |issuer: &str| {
        let source = KeySource::Issuer(issuer.to_owned());
        block_on(async {
            published()
                .keys(&Owner::Installation, &source, Some("a"), "ES256", soon())
                .await
                .map(|keys| keys.keys.knows(Some("a"), "ES256"))
        })
    };
    origin.answers(answer(issuer.clone()));
    assert_eq!(of(&issuer), Ok(true));
    for other in [format!("{issuer}/"), "https://other.example".to_owned(), issuer.to_uppercase()] {
        origin.answers(answer(other));
        assert_eq!(of(&issuer), Err(KeysFlaw::OtherIssuer));
    }
    // The metadata may name a place, not open it.
    let named = issuer.clone();
    origin.answers(move |_| Reply::json(json!({"issuer": named, "jwks_uri": "http://127.0.0.2:1/jwks"})));
    let flaw = of(&issuer).unwrap_err();
    assert!(matches!(flaw, KeysFlaw::Fetch(_)) && flaw.to_string().contains("may not be called"), "{flaw}");
    origin.answers(|_| Reply::json("[]"));
    assert_eq!(of(&issuer), Err(KeysFlaw::Metadata));
}
