//! Guessing is slowed by name and bounded by account: over every spelling and alias, over addresses,
//! over nodes and restarts. A device that has logged in before is not locked out by strangers.

use grantd::domain::{Context, Failed, RefusalKind};
use grantd::engine::cache::providers::ProviderEntry;
use grantd::store::{events, providers};
use secrecy::SecretString;
use serde_json::json;

use super::{HERE, Login, PASSWORD, THERE, app_client, id_of, path_of, tried, user};
use crate::support::app::{TestApp, on_both_apps};
use crate::support::databases::soon;

const GUESS: &str = "a wrong horse";
const EMAIL: &str = "ada@example.com";
const SPELLINGS: [&str; 3] = ["ada", "ADA", " Ａｄａ "];
const ALIASES: [&str; 5] = ["ada", "ADA", EMAIL, "Ada@EXAMPLE.com", " Ａｄａ "];

async fn ada(app: &TestApp) -> serde_json::Value {
    user(app, json!({"username": "Ada", "email": "ada@example.com", "password": PASSWORD})).await
}

async fn provider(app: &TestApp) -> ProviderEntry {
    let read = |conn: &mut _| providers::by_slug(conn, "default");
    ProviderEntry::of_row(app.engine.db().read(soon(), read).await.unwrap().unwrap())
}

/// A login with the secret of a device.
async fn with_device(app: &TestApp, address: &str, password: &str, device: Option<&SecretString>) -> Login {
    named_with_device(app, address, "ada", password, device).await
}

async fn named_with_device(
    app: &TestApp,
    address: &str,
    name: &str,
    password: &str,
    device: Option<&SecretString>,
) -> Login {
    let ctx = Context { client_address: address.parse().unwrap(), ..app.context() };
    let provider = provider(app).await;
    match app.engine.prove_password(&ctx, &provider, name, &password.into(), device).await {
        Ok(_) => Login::In,
        Err(Failed::Refused(refusal)) if refusal.kind == RefusalKind::InvalidGrant => Login::Wrong,
        Err(Failed::Refused(refusal)) => match refusal.kind {
            RefusalKind::RateLimited { retry_after } => Login::Slowed(retry_after),
            kind => panic!("{kind:?}"),
        },
        Err(Failed::Fault(fault)) => panic!("{fault:?}"),
    }
}

/// A hundred failures of the account by one of its names, ten from each of ten addresses, written down.
async fn besieged_by(app: &TestApp, client: &str, name: &str) {
    for n in 0..10 {
        for _ in 0..10 {
            assert_eq!(tried(app, client, &format!("192.0.2.{n}"), name, GUESS).await, Login::Wrong);
        }
    }
    app.tick().await;
}

async fn besieged(app: &TestApp, client: &str) {
    besieged_by(app, client, "ada").await;
}

/// How many guesses were compared with the account's password: each has an event.
async fn looked_at(app: &TestApp) -> usize {
    app.tick().await;
    let read = |conn: &mut _| events::newest(conn, 500);
    let told = app.engine.db().read(soon(), read).await.unwrap();
    told.iter().filter(|event| event.action == "user.login_failed").count()
}

on_both_apps! {
    async fn two_hundred_guesses_over_all_aliases_are_ten(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        let before = app.engine.hashes_computed();
        let mut ended = Vec::new();
        for n in 0..200 {
            ended.push(tried(&app, &client, HERE, ALIASES[n % ALIASES.len()], GUESS).await);
            if n % 7 == 0 {
                app.tick().await;
            }
        }
        // Ten by each of both names are wrong, wherever the account has its bound.
        let wrong = ended.iter().filter(|login| **login == Login::Wrong).count();
        assert_eq!(wrong, 20, "{ended:?}");
        assert!(ended[30..].iter().all(|login| matches!(login, Login::Slowed(1..))), "{ended:?}");
        assert_eq!(app.engine.hashes_computed(), before + 20, "what has to wait costs no hash");
        assert_eq!(looked_at(&app).await, 10, "what goes beyond the account's bound is not compared");
        // From there the right password is not even looked at; from elsewhere it is.
        assert!(matches!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::Slowed(_)));
        assert_eq!(tried(&app, &client, THERE, "ada", PASSWORD).await, Login::In);
        user(&app, json!({"username": "bob", "password": PASSWORD})).await;
        assert_eq!(tried(&app, &client, HERE, "bob", PASSWORD).await, Login::In, "others at that address are not she");
    }

    async fn many_guesses_at_once_are_ten_too(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        let storm = (0..60).map(|n| tried(&app, &client, HERE, ALIASES[n % ALIASES.len()], GUESS));
        let ended = futures_util::future::join_all(storm).await;
        assert_eq!(ended.iter().filter(|login| **login == Login::Wrong).count(), 20, "{ended:?}");
        assert_eq!(looked_at(&app).await, 10);
    }

    async fn beyond_the_bound_of_the_account_the_right_password_is_wrong_too(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        for _ in 0..10 {
            assert_eq!(tried(&app, &client, HERE, EMAIL, GUESS).await, Login::Wrong);
        }
        let before = app.engine.hashes_computed();
        assert_eq!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::Wrong, "as this node remembers");
        app.tick().await;
        assert_eq!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::Wrong, "as the database remembers");
        assert_eq!(app.engine.hashes_computed(), before + 2, "it costs what a wrong password costs");
        assert_eq!(looked_at(&app).await, 10);
        let read = |conn: &mut _| events::newest(conn, 50);
        let told = app.engine.db().read(soon(), read).await.unwrap();
        assert_eq!(told.iter().filter(|event| event.action == "user.login_slowed").count(), 1, "the owner is told");
        app.pass(60);
        assert_eq!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::In);
    }

    async fn right_logins_at_once_by_both_names_all_get_in(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        let storm = (0..20).map(|n| tried(&app, &client, HERE, ["ada", EMAIL][n % 2], PASSWORD));
        let ended = futures_util::future::join_all(storm).await;
        assert!(ended.iter().all(|login| *login == Login::In), "{ended:?}");
    }

    async fn right_passwords_are_never_counted(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        for _ in 0..40 {
            assert_eq!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::In);
        }
        app.tick().await;
        let rows = app.rows().await;
        assert!(rows.contains(&("login_failures", 0)), "{rows:?}");
    }

    async fn the_memory_outlives_the_node_and_fades_with_time(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        for spelling in SPELLINGS.iter().cycle().take(10) {
            assert_eq!(tried(&app, &client, HERE, spelling, GUESS).await, Login::Wrong);
        }
        app.tick().await;
        // A node that begins now, and is told by the database only.
        let node = app.second_node().await;
        node.poll().await;
        assert_eq!(tried(&node, &client, HERE, "ada", PASSWORD).await, Login::Slowed(30));
        app.pass(20);
        assert_eq!(tried(&node, &client, HERE, "ada", PASSWORD).await, Login::Slowed(10));
        app.pass(10);
        assert_eq!(tried(&node, &client, HERE, "ada", GUESS).await, Login::Wrong);
        node.tick().await;
        assert!(matches!(tried(&node, &client, HERE, "ada", PASSWORD).await, Login::Slowed(_)));
        app.pass(30);
        assert_eq!(tried(&node, &client, HERE, "ada", PASSWORD).await, Login::In);
        // When all of it has leaked away, the rows go.
        app.pass(1000);
        node.engine.clean_up(grantd::domain::Wall::now(&app.wall)).await.unwrap();
        assert!(node.rows().await.contains(&("login_failures", 0)));
    }

    async fn a_device_from_before_the_clock_went_back_is_not_known(app: TestApp) {
        let client = app_client(&app).await;
        let ada = ada(&app).await;
        app.pass(10);
        let device = app.engine.device_secret(&provider(&app).await, &id_of(&ada), app.context().now).unwrap();
        besieged(&app, &client).await;
        assert_eq!(with_device(&app, THERE, PASSWORD, Some(&device)).await, Login::In);
        app.pass(-3600);
        besieged(&app, &client).await;
        assert!(matches!(with_device(&app, THERE, PASSWORD, Some(&device)).await, Login::Slowed(_)));
    }

    async fn two_nodes_add_up(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        let node = app.second_node().await;
        node.poll().await;
        for _ in 0..5 {
            assert_eq!(tried(&app, &client, HERE, "ada", GUESS).await, Login::Wrong);
            assert_eq!(tried(&node, &client, HERE, "ADA", GUESS).await, Login::Wrong);
        }
        app.tick().await;
        node.tick().await;
        for each in [&app, &node] {
            assert_eq!(tried(each, &client, HERE, "ada", PASSWORD).await, Login::Slowed(30));
            assert_eq!(tried(each, &client, HERE, EMAIL, PASSWORD).await, Login::Wrong, "the account's bound holds");
        }
    }

    async fn nobodys_name_is_slowed_like_somebodys_and_lies_nowhere(app: TestApp) {
        let client = app_client(&app).await;
        for n in 0..12 {
            let name = if n % 2 == 0 { "hunter2@example.com" } else { "HUNTER2@example.com" };
            let login = tried(&app, &client, HERE, name, GUESS).await;
            assert_eq!(login == Login::Wrong, n < 10, "{n}: {login:?}");
        }
        app.tick().await;
        let node = app.second_node().await;
        node.poll().await;
        assert_eq!(tried(&node, &client, HERE, "hunter2@example.com", GUESS).await, Login::Slowed(30));
        let read = |conn: &mut _| events::newest(conn, 50);
        let told = format!("{:?}", app.engine.db().read(soon(), read).await.unwrap());
        assert!(!told.contains("login_slowed") && !told.to_lowercase().contains("hunter2"), "anybody can think up names");
    }

    async fn an_account_is_besieged_from_everywhere_and_its_own_device_gets_in(app: TestApp) {
        let client = app_client(&app).await;
        let made = ada(&app).await;
        app.pass(5);
        let (entry, now) = (provider(&app).await, || grantd::domain::Wall::now(&app.wall));
        let device = app.engine.device_secret(&entry, &id_of(&made), now()).unwrap();
        besieged(&app, &client).await;
        assert_eq!(with_device(&app, THERE, PASSWORD, None).await, Login::Slowed(60));
        assert_eq!(with_device(&app, THERE, PASSWORD, Some(&device)).await, Login::In);
        // By the other name it is the same, but the stranger does not see it.
        assert_eq!(named_with_device(&app, THERE, EMAIL, PASSWORD, None).await, Login::Wrong);
        assert_eq!(named_with_device(&app, THERE, EMAIL, PASSWORD, Some(&device)).await, Login::In);
        // It proves nothing else, and its address is slowed like any.
        assert_eq!(with_device(&app, THERE, GUESS, Some(&device)).await, Login::Wrong);
        app.tick().await;
        assert!(matches!(with_device(&app, "192.0.2.1", PASSWORD, Some(&device)).await, Login::Slowed(_)));
        let bob = user(&app, json!({"username": "bob", "password": PASSWORD})).await;
        let acme = app.provider("acme", json!({})).await;
        let mut foreign = provider(&app).await;
        foreign.provider.id = acme["id"].as_str().unwrap().into();
        for (what, other) in [
            ("another's", app.engine.device_secret(&entry, &id_of(&bob), now()).unwrap()),
            ("another provider's", app.engine.device_secret(&foreign, &id_of(&made), now()).unwrap()),
            ("made up", SecretString::from("A".repeat(190))),
            ("none", SecretString::from("")),
            ("huge", SecretString::from("A".repeat(60_000))),
        ] {
            assert!(matches!(with_device(&app, THERE, PASSWORD, Some(&other)).await, Login::Slowed(_)), "{what}");
        }
    }

    async fn a_device_is_forgotten_with_the_password_and_after_180_days(app: TestApp) {
        let client = app_client(&app).await;
        let made = ada(&app).await;
        app.pass(5);
        let device = async || {
            let entry = provider(&app).await;
            app.engine.device_secret(&entry, &id_of(&made), grantd::domain::Wall::now(&app.wall)).unwrap()
        };
        let old = device().await;
        app.pass(180 * 86_400 - 10);
        besieged(&app, &client).await;
        assert_eq!(with_device(&app, THERE, PASSWORD, Some(&old)).await, Login::In);
        app.pass(10);
        assert!(matches!(with_device(&app, THERE, PASSWORD, Some(&old)).await, Login::Slowed(_)));
        let newer = device().await;
        assert_eq!(with_device(&app, THERE, PASSWORD, Some(&newer)).await, Login::In);
        app.pass(1);
        let set = app.admin("POST", &format!("{}/password", path_of(&made))).json(&json!({"password": PASSWORD}));
        assert_eq!(set.send().await.status, 204);
        assert!(matches!(with_device(&app, THERE, PASSWORD, Some(&newer)).await, Login::Slowed(_)));
    }

    async fn one_address_cannot_try_many_people_without_end(app: TestApp) {
        let client = app_client(&app).await;
        ada(&app).await;
        let mut wrong = 0;
        for n in 0..320 {
            wrong += u32::from(tried(&app, &client, HERE, &format!("user{n}"), GUESS).await == Login::Wrong);
        }
        assert_eq!(wrong, 300);
        assert!(matches!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::Slowed(1..)));
        assert_eq!(tried(&app, &client, THERE, "ada", PASSWORD).await, Login::In);
        app.pass(60);
        assert_eq!(tried(&app, &client, HERE, "ada", PASSWORD).await, Login::In);
    }

    async fn an_event_tells_of_a_slowed_account_once_a_minute(app: TestApp) {
        let client = app_client(&app).await;
        let made = ada(&app).await;
        for _ in 0..30 {
            tried(&app, &client, HERE, "ada", GUESS).await;
        }
        app.tick().await;
        for _ in 0..5 {
            tried(&app, &client, HERE, "ada", GUESS).await;
        }
        app.tick().await;
        let read = |conn: &mut _| events::newest(conn, 50);
        let told = app.engine.db().read(soon(), read).await.unwrap();
        let slowed: Vec<_> = told.iter().filter(|event| event.action == "user.login_slowed").collect();
        assert_eq!(slowed.len(), 1, "{slowed:?}");
        assert_eq!(slowed[0].target, made["id"].as_str().unwrap());
        assert_eq!(slowed[0].details, "{}");
    }
}
