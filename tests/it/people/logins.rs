//! Who gets in, and that those who do not learn nothing by it.

use std::time::Duration;

use futures_util::future::join_all;
use grantd::domain::clock::{deadline_in, monotonic};
use grantd::domain::grant::Granted;
use grantd::domain::{Context, Failed, ProviderId};
use grantd::engine::cache::providers::ProviderEntry;
use grantd::store::{providers, users};
use secrecy::ExposeSecret;
use serde_json::json;

use super::{HERE, IMPORTED, Login, PASSWORD, app_client, id_of, log_in, path_of, tried, user};
use crate::support::app::{Setup, TestApp, on_both_apps};
use crate::support::databases::{Kind, block_on, soon};
use crate::support::http::refused;

/// The stored hash of an account.
async fn stored_hash(app: &TestApp, name: &'static str) -> String {
    let read = move |conn: &mut _| {
        let provider = providers::by_slug(conn, "default")?.expect("no provider");
        users::by_name(conn, &provider.id, name)
    };
    let user = app.engine.db().read(soon(), read).await.unwrap().expect("no such user");
    user.password.expect("no password").0
}

async fn provider(app: &TestApp) -> ProviderEntry {
    let read = |conn: &mut _| providers::by_slug(conn, "default");
    ProviderEntry::of_row(app.engine.db().read(soon(), read).await.unwrap().unwrap())
}

/// How many hashes `act` costs.
async fn hashes(app: &TestApp, act: impl Future<Output = Login>, ends: Login) -> u64 {
    let before = app.engine.hashes_computed();
    assert_eq!(act.await, ends);
    app.engine.hashes_computed() - before
}

on_both_apps! {
    async fn every_spelling_of_name_and_email_is_the_same_person(app: TestApp) {
        let client = app_client(&app).await;
        let ada = user(&app, json!({"username": "Ada", "email": "ada@example.com", "password": PASSWORD})).await;
        for name in ["Ada", "ADA", " ada ", "Ａｄａ", "ada@example.com", "ADA@Example.Com"] {
            let granted = log_in(&app, &client, HERE, name, PASSWORD).await.unwrap_or_else(|failed| panic!("{name}: {failed}"));
            let shown = app.introspected(granted.access_token.expose_secret()).await;
            assert_eq!(shown["sub"], ada["id"], "{name}");
        }
        for name in ["", "ad", "ada\0", "ada@example.co", "bob", &"a".repeat(2000)] {
            assert_eq!(tried(&app, &client, HERE, name, PASSWORD).await, Login::Wrong, "{name:?}");
        }
    }

    async fn a_person_is_known_at_their_own_provider_only(app: TestApp) {
        app.provider("acme", json!({})).await;
        let call = app.admin("POST", "/providers/acme/users").json(&json!({"username": "ada", "password": PASSWORD}));
        assert_eq!(call.send().await.status, 201);
        let client = app_client(&app).await;
        assert_eq!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::Wrong);
    }

    async fn whoever_does_not_get_in_costs_one_hash_and_hears_the_same(app: TestApp) {
        let client = app_client(&app).await;
        for name in ["known", "locked", "disabled", "deleted"] {
            let made = user(&app, json!({"username": name, "password": PASSWORD})).await;
            let path = path_of(&made);
            match name {
                "locked" => app.admin("POST", &format!("{path}/lock")).send().await.status,
                "disabled" => app.admin("PATCH", &path).json(&json!({"enabled": false})).send().await.status,
                "deleted" => app.admin("DELETE", &path).send().await.status,
                _ => 200,
            };
        }
        user(&app, json!({"username": "without"})).await;
        user(&app, json!({"username": "imported", "password_hash": IMPORTED[0].1})).await;
        let cases = [
            ("known", "a wrong horse"), ("known", ""), ("unknown", PASSWORD), ("locked", PASSWORD), ("disabled", PASSWORD),
            ("deleted", PASSWORD), ("without", PASSWORD), ("without", ""), ("imported", "a wrong horse"), ("", ""),
        ];
        for (name, password) in cases {
            assert_eq!(hashes(&app, tried(&app, &client, HERE, name, password), Login::Wrong).await, 1, "{name} {password}");
        }
        assert_eq!(hashes(&app, tried(&app, &client, HERE, "known", PASSWORD), Login::In).await, 1);
    }

    async fn an_overlong_password_is_wrong_at_once_for_everybody(app: TestApp) {
        let client = app_client(&app).await;
        user(&app, json!({"username": "ada", "password": PASSWORD})).await;
        user(&app, json!({"username": "imported", "password_hash": IMPORTED[0].1})).await;
        let (huge, odd) = ("x".repeat(100_000), "\u{0}\u{202e}ﷺ\r\n".repeat(20));
        for name in ["ada", "imported", "nobody"] {
            let began = monotonic();
            assert_eq!(hashes(&app, tried(&app, &client, HERE, name, &huge), Login::Wrong).await, 0, "{name}");
            assert_eq!(hashes(&app, tried(&app, &client, HERE, name, &odd), Login::Wrong).await, 1, "{name}");
            assert!(began.elapsed() < Duration::from_secs(5));
        }
    }

    async fn a_request_that_can_come_to_nothing_tries_nobody(app: TestApp) {
        user(&app, json!({"username": "ada", "password": PASSWORD})).await;
        let fields = json!({"token_endpoint_auth_method": "none", "grant_types": ["authorization_code"], "redirect_uris": ["https://a.example/cb"]});
        let without = app.client(fields).await;
        let before = app.engine.hashes_computed();
        let refused = log_in(&app, &without.id, HERE, "ada", PASSWORD).await;
        assert!(matches!(&refused, Err(Failed::Refused(refusal)) if refusal.kind == grantd::domain::RefusalKind::UnauthorizedClient), "{refused:?}");
        assert_eq!(app.engine.hashes_computed(), before);
    }

    async fn imported_hashes_log_in_and_are_ours_afterwards(app: TestApp) {
        let client = app_client(&app).await;
        for (name, hash) in IMPORTED {
            user(&app, json!({"username": name, "password_hash": hash})).await;
            assert_eq!(tried(&app, &client, HERE, name, "a wrong horse").await, Login::Wrong, "{name}");
            assert_eq!(stored_hash(&app, name).await, hash, "{name}: nothing is learnt from a wrong password");
            assert_eq!(hashes(&app, tried(&app, &client, HERE, name, PASSWORD), Login::In).await, 2, "{name}");
            let ours = stored_hash(&app, name).await;
            assert!(ours.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{name}: {ours}");
            assert_eq!(hashes(&app, tried(&app, &client, HERE, name, PASSWORD), Login::In).await, 1, "{name}");
            assert_eq!(tried(&app, &client, HERE, name, "a wrong horse").await, Login::Wrong, "{name}");
            assert_eq!(stored_hash(&app, name).await, ours, "{name}");
        }
    }

    async fn a_hash_of_other_parameters_is_made_anew(app: TestApp) {
        let client = app_client(&app).await;
        // RFC 9106's first recommended option would take a while; these are merely others than ours.
        let other = "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
        user(&app, json!({"username": "ada", "password_hash": other})).await;
        assert_eq!(tried(&app, &client, HERE, "ada", "password").await, Login::In);
        assert!(stored_hash(&app, "ada").await.starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        assert_eq!(tried(&app, &client, HERE, "ada", "password").await, Login::In);
    }

    async fn a_password_changed_meanwhile_is_not_changed_back(app: TestApp) {
        use grantd::domain::user::PasswordHash;
        let made = user(&app, json!({"username": "ada", "password_hash": IMPORTED[0].1})).await;
        let (owner, id) = (provider(&app).await.provider.id, id_of(&made));
        let set = |old: &'static str, owner: ProviderId, id: grantd::domain::UserId| {
            let write = move |conn: &mut _| users::set_password_hash(conn, &owner, &id, &PasswordHash(old.to_owned()), &PasswordHash("$new".to_owned()));
            app.engine.db().write_one(soon(), write)
        };
        assert!(!set(IMPORTED[1].1, owner.clone(), id.clone()).await.unwrap());
        assert_eq!(stored_hash(&app, "ada").await, IMPORTED[0].1);
        assert!(set(IMPORTED[0].1, owner, id).await.unwrap());
    }

    async fn a_device_secret_is_sealed_and_says_nothing(app: TestApp) {
        let made = user(&app, json!({"username": "ada", "password": PASSWORD})).await;
        let provider = provider(&app).await;
        let now = grantd::domain::Wall::now(&app.wall);
        let secret = || app.engine.device_secret(&provider, &id_of(&made), now).unwrap().expose_secret().to_owned();
        assert_ne!(secret(), secret());
        assert!(secret().len() < 300 && secret().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
    }
}

/// Milliseconds until a login has failed, with a floor of `floor` and time until `deadline`.
async fn took(app: &TestApp, name: &str, deadline: Duration) -> Duration {
    let provider = provider(app).await;
    let began = monotonic();
    let ctx = Context { deadline: deadline_in(deadline), ..app.context() };
    let failed = app.engine.prove_password(&ctx, &provider, name, &"a wrong horse".into(), None).await;
    assert!(matches!(failed, Err(Failed::Refused(_))), "{failed:?}");
    began.elapsed()
}

async fn no_failed_login_answers_before_the_floor(kind: Kind) {
    let floor = Duration::from_millis(300);
    let app = TestApp::start_as(kind, Setup { login_floor: floor, ..Setup::default() }).await;
    let client = app_client(&app).await;
    let locked = user(&app, json!({"username": "locked", "password": PASSWORD})).await;
    app.admin("POST", &format!("{}/lock", path_of(&locked))).send().await;
    let long = Duration::from_secs(20);
    for name in ["locked", "nobody", &"x".repeat(5000)] {
        assert!(took(&app, name, long).await >= floor, "{name}");
    }
    join_all((0..10).map(|_| took(&app, "slowed", long))).await;
    assert!(took(&app, "slowed", long).await >= floor, "too many tries wait too");
    assert!(took(&app, "somebody", Duration::from_millis(100)).await < floor, "nobody waits beyond the deadline");
    user(&app, json!({"username": "ada", "password": PASSWORD})).await;
    let granted: Result<Granted, Failed> = log_in(&app, &client, HERE, "ada", PASSWORD).await;
    assert!(granted.is_ok());
}

#[test]
fn no_failed_login_answers_before_the_floor_sqlite() {
    block_on(no_failed_login_answers_before_the_floor(Kind::Sqlite));
}

#[test]
fn no_failed_login_answers_before_the_floor_postgres() {
    block_on(no_failed_login_answers_before_the_floor(Kind::Postgres));
}

async fn a_full_queue_is_too_busy_and_not_wrong(kind: Kind) {
    let app = TestApp::start_as(kind, Setup { hash_queue: "1", ..Setup::default() }).await;
    let client = app_client(&app).await;
    // Cost 10: each takes two orders of magnitude longer than the others here.
    let slow = "$2b$10$KIXQ4tC0p4Xh0mM0y0xq4eYb0r5Q1cM8w7c7zv8qK7m1m1b8q2H0u";
    user(&app, json!({"username": "ada", "password_hash": slow})).await;
    let addresses: Vec<String> = (0..30).map(|n| format!("198.51.100.{n}")).collect();
    let call = |address: &String| {
        let form =
            [("grant_type", "password"), ("username", "ada"), ("password", "a wrong horse"), ("client_id", &client)];
        let call = app.post("/oauth2/token").form(&form).at_address(address);
        async move { call.send().await }
    };
    let ended = join_all(addresses.iter().map(call)).await;
    let (busy, wrong): (Vec<_>, Vec<_>) = ended.iter().partition(|answer| answer.status == 503);
    // Of one provider: one of two lanes, and one that waits.
    assert!(!busy.is_empty() && wrong.len() >= 2, "{} busy, {} wrong", busy.len(), wrong.len());
    assert!(busy.iter().all(|answer| answer.header("retry-after").parse::<u32>().is_ok_and(|seconds| seconds >= 1)));
    assert!(wrong.iter().all(|answer| answer.refusal() == refused(400, "invalid_grant")));
    // Nobody who was turned away counts as having failed.
    app.tick().await;
    let hashes = app.engine.hashes_computed();
    assert_eq!(tried(&app, &client, HERE, "ada", "a wrong horse").await, Login::Wrong);
    assert_eq!(app.engine.hashes_computed(), hashes + 1);
}

#[test]
fn a_full_queue_is_too_busy_and_not_wrong_sqlite() {
    block_on(a_full_queue_is_too_busy_and_not_wrong(Kind::Sqlite));
}

#[test]
fn a_full_queue_is_too_busy_and_not_wrong_postgres() {
    block_on(a_full_queue_is_too_busy_and_not_wrong(Kind::Postgres));
}
