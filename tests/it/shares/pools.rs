//! The table shared thing × owner. Times are compared within one run: the slowest call of the other owner
//! beside its slowest call in quiet times. The slack is for a busy machine; an owner that had to wait for
//! the calls of the first one would wait for longer than that.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use grantd::crypto::Random;
use grantd::crypto::passwords::{Params, Passwords};
use grantd::domain::clock::{deadline_in, monotonic};
use grantd::domain::{Owner, ProviderId};
use grantd::upstream::{Fetcher, KeySource, PublishedKeys, TxtOptions, TxtRecords, UpstreamOptions};
use secrecy::SecretString;
use serde_json::json;

use crate::support::app::{TestApp, on_both_apps};
use crate::support::databases::{block_on, soon};
use crate::support::dns::{Zone, dns};
use crate::support::origin::{Origin, Reply};

const SLACK: Duration = Duration::from_millis(700);
/// How long a server of the first owner hangs.
const HANGS: Duration = Duration::from_millis(1500);
/// Calls of the first owner at once.
const CALLERS: usize = 40;
/// Calls of the other one, one after the other.
const CALLS: usize = 8;

fn owner(name: &str) -> Owner {
    Owner::Provider(ProviderId::from(name.to_owned()))
}

async fn slowest<F: Future>(call: &impl Fn(usize) -> F) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0..CALLS {
        let began = monotonic();
        call(number).await;
        slowest = slowest.max(monotonic().duration_since(began));
    }
    slowest
}

/// `worst`: one of many callers of the first owner, again and again. `other`: a call of another owner.
async fn is_served<W: Future, F: Future>(thing: &str, worst: impl Fn(usize) -> W, other: impl Fn(usize) -> F) {
    let quiet = slowest(&other).await;
    let again = async |caller: usize| {
        loop {
            worst(caller).await;
            tokio::task::yield_now().await;
        }
    };
    let attack = pin!(join_all((0..CALLERS).map(again)));
    let served = pin!(async {
        // The first owner has taken what it can.
        tokio::time::sleep(Duration::from_millis(100)).await;
        slowest(&other).await
    });
    let Either::Right((loud, _)) = select(attack, served).await else { panic!("{thing}: the attack ended") };
    assert!(loud <= quiet * 3 + SLACK, "{thing}: {loud:?} beside another owner, {quiet:?} alone");
}

#[test]
fn hash_lanes() {
    // About ten times the usual cost, so that waiting for the other callers takes longer than the slack.
    let params = Params { memory_kib: 65_536, iterations: 6, parallelism: 1 };
    let pool = Passwords::new(params, 2, 128).unwrap();
    let (first, other, random) = (owner("first"), owner("other"), Random::system());
    let hash = async |owner: &Owner, secret: &str| {
        pool.hash(owner, SecretString::from(secret), &random, deadline_in(Duration::from_secs(60))).await.unwrap();
    };
    block_on(is_served("hash lanes", |_| hash(&first, "a"), |_| hash(&other, "b")));
}

#[test]
fn a_full_queue_of_one_owner_leaves_places_to_others() {
    let pool = Passwords::new(Params { memory_kib: 8192, iterations: 8, parallelism: 1 }, 2, 8).unwrap();
    let random = Random::system();
    block_on(async {
        let first = owner("first");
        let many = join_all((0..20).map(|_| pool.hash(&first, SecretString::from("a"), &random, soon())));
        let another = owner("other");
        let other = async {
            tokio::task::yield_now().await;
            pool.hash(&another, SecretString::from("b"), &random, soon()).await
        };
        let (many, other) = tokio::join!(many, other);
        assert_eq!(many.iter().filter(|hash| hash.is_ok()).count(), 5, "one runs, four wait");
        assert!(other.is_ok(), "{other:?}");
    });
}

#[test]
fn names() {
    let origin = Origin::always(Reply::json("{}"));
    let options = UpstreamOptions {
        allow_networks: vec!["127.0.0.1".parse().unwrap()],
        lookup: Arc::new(|name| {
            if name.starts_with("hangs") {
                std::thread::sleep(HANGS);
            }
            Ok(vec![IpAddr::from([127, 0, 0, 1])])
        }),
        ..UpstreamOptions::default()
    };
    let fetcher = Fetcher::new(options);
    let (first, other) = (fetcher.of(owner("first")), fetcher.of(owner("other")));
    let (hangs, quick) =
        (format!("http://hangs.example:{}/", origin.port), format!("http://quick.example:{}/", origin.port));
    let served = is_served(
        "names",
        |_| async {
            drop(first.get(&hangs).await);
        },
        |_| async {
            other.get(&quick).await.unwrap();
        },
    );
    block_on(served);
}

#[test]
fn published_keys() {
    const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k",
        "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
    let (silent, quick) = (Origin::always(Reply::json(KEYS).after(HANGS)), Origin::always(Reply::json(KEYS)));
    let options = UpstreamOptions { allow_networks: vec!["127.0.0.1".parse().unwrap()], ..UpstreamOptions::default() };
    let keys = PublishedKeys::new(Fetcher::new(options));
    let (first, other) = (owner("first"), owner("other"));
    let number = std::sync::atomic::AtomicUsize::new(0);
    let fetch = async |owner: &Owner, origin: &Origin| {
        // A place of its own for each, so that nothing is remembered.
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let source = KeySource::Url(format!("{}/{number}", origin.base));
        keys.keys(owner, &source, Some("k"), "ES256", soon()).await.is_ok()
    };
    let served = is_served(
        "published keys",
        |_| fetch(&first, &silent),
        |_| async {
            assert!(fetch(&other, &quick).await);
        },
    );
    block_on(served);
}

#[test]
fn txt_records() {
    let (silent, known) = ("silent.shares.example", "known.shares.example");
    dns().holds(silent, Zone::Silence);
    dns().says(known, "here");
    let records = TxtRecords::new(TxtOptions { resolver: Some(dns().address), timeout: HANGS });
    let (first, other) = (ProviderId::from("first".to_owned()), ProviderId::from("other".to_owned()));
    let served = is_served(
        "TXT records",
        |_| async {
            drop(records.at(&first, silent, soon()).await);
        },
        |_| async {
            assert_eq!(records.at(&other, known, soon()).await.map(|texts| texts.len()), Ok(1));
        },
    );
    block_on(served);
}

/// So many logout tokens wait for this client.
async fn wait_for(app: &TestApp, provider: &str, client: &str, count: usize, mark: &str) {
    let now = app.now();
    let rows = (0..count).map(|number| {
        format!(
            "INSERT INTO logout_deliveries \
             (id, provider_id, client_id, user_id, session_id, attempts, next_at, created_at) \
             VALUES ('{mark}-{client}-{number}', (SELECT id FROM providers WHERE slug = '{provider}'), '{client}', \
             'user', '{mark}-{number}', 0, {now}, {now})"
        )
    });
    let sql = rows.collect::<Vec<_>>().join(";");
    app.job(move |tx| Ok(diesel::connection::SimpleConnection::batch_execute(&mut **tx, &sql)?)).await;
}

on_both_apps! {
    async fn back_channel_logout(app: TestApp) {
        let silent = Origin::always(Reply::status(200).after(Duration::from_secs(30)));
        let quick = Origin::always(Reply::status(200));
        app.provider("acme", json!({})).await;
        let client = app.web_client(json!({"backchannel_logout_uri": quick.base})).await;
        let delivered = async |mark: &str| {
            wait_for(&app, "default", &client.id, 1, mark).await;
            let (began, before) = (monotonic(), quick.asked().len());
            while quick.asked().len() == before {
                assert!(monotonic().duration_since(began) < Duration::from_secs(30), "it was never delivered");
                app.tick().await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            monotonic().duration_since(began)
        };
        // The first call makes the client for other servers and the key.
        delivered("first").await;
        let quiet = delivered("quiet").await.max(delivered("again").await);
        for number in 0..40 {
            let fields = json!({"backchannel_logout_uri": format!("{}/{number}", silent.base)});
            let client = app.web_client_of("acme", fields).await;
            wait_for(&app, "acme", &client.id, 2, "silent").await;
        }
        let began = monotonic();
        while silent.asked().is_empty() {
            assert!(monotonic().duration_since(began) < Duration::from_secs(30), "no silent client was called");
            app.tick().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for number in 0..4 {
            let loud = delivered(&format!("loud-{number}")).await;
            assert!(loud <= quiet * 3 + SLACK, "{loud:?} beside silent clients, {quiet:?} alone");
        }
    }
}
