//! The proof: which TXT records verify a domain, and that nothing else is ever asked.

use std::time::Duration;

use futures_util::join;
use grantd::domain::clock::monotonic;
use serde_json::{Value, json};

use super::{added, deleted, fresh_name, issuer_at, path_of, proven, publish, text, verify};
use crate::support::app::{ISSUER, on_both_apps};
use crate::support::databases::block_on;
use crate::support::dns::{TXT, Zone, dns};

fn record(domain: &Value) -> (&str, &str) {
    (text(&domain["dns_record"], "name"), text(&domain["dns_record"], "value"))
}

fn parts(texts: &[&[&str]]) -> Zone {
    Zone::Texts(texts.iter().map(|parts| parts.iter().map(|part| (*part).to_owned()).collect()).collect())
}

on_both_apps! {
    async fn the_record_verifies_however_the_dns_writes_it(app: TestApp) {
        for way in 0..4 {
            let name = fresh_name();
            let domain = added(&app, "default", &name).await;
            let (at, value) = record(&domain);
            let (head, tail) = value.split_at(30);
            dns().holds(at, match way {
                0 => parts(&[&[value]]),
                1 => parts(&[&[head, tail]]),
                2 => parts(&[&["v=spf1 -all"], &["grantd-verification=another"], &[value], &[""]]),
                _ => Zone::Alias("proofs.elsewhere.example".to_owned(), value.to_owned()),
            });
            let answer = verify(&app, "default", &domain).await;
            let body = answer.json();
            assert_eq!((answer.status, &body["verified"], answer.header("etag")), (200, &json!(true), "\"2\""), "way {way}: {body}");
            let shown = &body["domain"];
            assert_eq!((&shown["verified"], &shown["primary"], text(shown, "issuer")), (&json!(true), &json!(false), format!("https://{name}").as_str()));
            assert_eq!(shown["verified_at"], shown["updated_at"]);
            assert_eq!(app.admin("GET", &path_of("default", &domain)).send().await.json(), *shown);
        }
    }

    async fn anything_else_does_not(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        let domain = added(&app, "default", &name).await;
        let (at, value) = record(&domain);
        let of_other = added(&app, "acme", &name).await;
        let token = value.strip_prefix("grantd-verification=").unwrap();
        let zones = [
            ("There is no TXT record", None),
            ("There is no TXT record", Some(Zone::NoData)),
            ("none with the right value", Some(parts(&[&[token]]))),
            ("none with the right value", Some(parts(&[&["grantd-verification="]]))),
            ("none with the right value", Some(parts(&[&[&value[..value.len() - 1]]]))),
            ("none with the right value", Some(parts(&[&[value, "x"]]))),
            ("none with the right value", Some(parts(&[&[&value.to_uppercase()]]))),
            ("none with the right value", Some(parts(&[&[&value[..20]], &[token]]))),
            // Another provider's proof of the same domain.
            ("none with the right value", Some(parts(&[&[record(&of_other).1]]))),
            ("answered with a failure", Some(Zone::Failure)),
            ("did not answer in time", Some(Zone::Silence)),
        ];
        for (says, zone) in zones {
            if let Some(zone) = &zone {
                dns().holds(at, zone.clone());
            }
            let began = monotonic();
            let answer = verify(&app, "default", &domain).await;
            assert!(monotonic().duration_since(began) < Duration::from_secs(4), "bounded: {zone:?}");
            let body = answer.json();
            assert_eq!((answer.status, &body["verified"], &body["domain"]), (200, &json!(false), &domain), "{zone:?}");
            let message = text(&body, "message");
            assert!(message.contains(says) && message.contains(at) && message.contains(value), "{zone:?}: {message}");
        }
        // At the name itself, or at another provider's domain, it proves nothing either.
        dns().says(&name, value);
        dns().holds(at, Zone::NoData);
        assert_eq!(verify(&app, "default", &domain).await.json()["verified"], json!(false));
        assert_eq!(issuer_at(&app, &name).await.as_deref(), Ok(ISSUER), "nothing is served");
        publish(&domain);
        assert_eq!(verify(&app, "default", &domain).await.json()["verified"], json!(true), "no answer was kept");
    }

    async fn only_the_txt_record_is_asked_for_and_a_verified_domain_no_more(app: TestApp) {
        let name = fresh_name();
        let domain = proven(&app, "default", &name).await;
        let expected = (format!("_grantd-challenge.{name}"), TXT);
        let asked = dns().asked_about(&name);
        assert!(!asked.is_empty() && asked.iter().all(|question| *question == expected), "{asked:?}");
        // The record may go once it was seen.
        dns().holds(&expected.0, Zone::NoData);
        let again = verify(&app, "default", &domain).await;
        assert_eq!((&again.json()["verified"], again.header("etag")), (&json!(true), "\"2\""));
        assert_eq!(dns().asked_about(&name), asked);
    }

    async fn what_one_provider_has_verified_no_other_can(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        let first = proven(&app, "default", &name).await;
        let second = added(&app, "acme", &name).await;
        publish(&second);
        let answer = verify(&app, "acme", &second).await;
        assert_eq!(answer.status, 409, "{}", answer.text());
        assert_eq!(app.admin("GET", &path_of("acme", &second)).send().await.json()["verified"], json!(false));
        assert_eq!(issuer_at(&app, &name).await, Ok(format!("https://{name}")));
        deleted(&app, "default", &first).await;
        let answer = verify(&app, "acme", &second).await;
        assert_eq!((answer.status, &answer.json()["verified"]), (200, &json!(true)), "{}", answer.text());
    }

    async fn silent_names_of_one_provider_hold_half_of_the_lanes_at_most(app: TestApp) {
        app.provider("acme", json!({})).await;
        let mut silent = Vec::new();
        // Eight are asked for, eight wait.
        for _ in 0..17 {
            let domain = added(&app, "default", &fresh_name()).await;
            dns().holds(record(&domain).0, Zone::Silence);
            silent.push(domain);
        }
        let other = added(&app, "acme", &fresh_name()).await;
        publish(&other);
        let asked = |at: usize| verify(&app, "default", &silent[at]);
        let all = futures_util::future::join_all((0..17).map(asked));
        let (all, other) = join!(all, verify(&app, "acme", &other));
        let (told, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|answer| answer.status == 200);
        assert_eq!((told.len(), refused.len(), other.status), (16, 1, 200), "{}", other.text());
        let refused = &refused[0];
        assert_eq!((refused.status, refused.header("retry-after")), (429, "1"), "{}", refused.text());
        assert_eq!(other.json()["verified"], json!(true), "another provider is served meanwhile");
        publish(&silent[2]);
        assert_eq!(asked(2).await.json()["verified"], json!(true), "the share was given back");
    }

    async fn of_two_that_prove_a_domain_at_once_one_has_it(app: TestApp) {
        app.provider("acme", json!({})).await;
        let other = app.second_node().await;
        other.poll().await;
        for _round in 0..5 {
            let name = fresh_name();
            let (one, two) = (added(&app, "default", &name).await, added(&app, "acme", &name).await);
            let values = [record(&one).1, record(&two).1];
            dns().holds(record(&one).0, parts(&[&[values[0]], &[values[1]]]));
            let (first, second) = join!(verify(&app, "default", &one), verify(&other, "acme", &two));
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409], "{} {}", first.text(), second.text());
        }
    }
}

#[test]
fn a_turn_is_waited_for_while_sixteen_questions_are_under_way() {
    use futures_util::future::join_all;
    use grantd::domain::ProviderId;
    use grantd::domain::clock::deadline_in;
    use grantd::upstream::{TxtFlaw, TxtOptions, TxtRecords};

    let timeout = Duration::from_millis(400);
    let records = TxtRecords::new(TxtOptions { resolver: Some(dns().address), timeout });
    let (silent, known) = (fresh_name(), fresh_name());
    dns().holds(&silent, Zone::Silence);
    dns().says(&known, "here");
    let provider = |number: usize| ProviderId::from(format!("p{number}"));
    let owners: Vec<ProviderId> = (0..16).map(|number| provider(number / 2)).collect();
    let (patient, hurried) = (provider(8), provider(9));
    let far = deadline_in(Duration::from_secs(20));
    block_on(async {
        let held = join_all(owners.iter().map(|owner| records.at(owner, &silent, far)));
        let soon = deadline_in(timeout / 4);
        let (held, late, never) = join!(held, records.at(&patient, &known, far), records.at(&hurried, &known, soon));
        assert!(held.iter().all(|answer| *answer == Err(TxtFlaw::Slow)), "{held:?}");
        assert_eq!((late, never), (Ok(vec!["here".to_owned()]), Err(TxtFlaw::Busy)));
    });
}
