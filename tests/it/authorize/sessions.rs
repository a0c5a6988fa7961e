//! Browser sessions: begun by a login only, bound to one browser and one provider, and over at once
//! when they end.

use std::sync::mpsc;

use grantd::domain::User;
use grantd::engine::names::keys_of;
use grantd::store::users;
use serde_json::json;

use crate::support::app::on_both_apps;
use crate::support::browser::{Browser, PASSWORD, authorize_path, claims};

/// The one cookie that is the session.
fn session_cookie(browser: &Browser<'_>) -> (String, String) {
    let cookies = browser.cookies();
    let mut sessions = cookies.into_iter().filter(|(name, _)| !name.contains("-flow-") && !name.contains("-device-"));
    sessions.next().expect("no session cookie")
}

on_both_apps! {
    async fn a_cookie_from_before_the_login_does_not_become_a_session(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let probe = Browser::new(&app);
        probe.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let (name, _) = session_cookie(&probe);
        let planted = "A".repeat(43);
        let browser = Browser::new(&app);
        browser.set_cookie(&name, &planted);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        assert_ne!(session_cookie(&browser).1, planted);
        let thief = Browser::new(&app);
        thief.set_cookie(&name, &planted);
        assert_eq!(thief.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
    }

    async fn the_cookie_changes_at_each_login_and_the_session_stays_the_same(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let sid = |tokens: serde_json::Value| claims(tokens["id_token"].as_str().unwrap())["sid"].clone();
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let first = sid(app.redeem("", &client, &code).await.json());
        let (name, old) = session_cookie(&browser);
        let page = browser.open(&authorize_path("", &client, &[("prompt", "login")])).await;
        let code = browser.log_in(&page, "ada", PASSWORD).await.code();
        assert_eq!(sid(app.redeem("", &client, &code).await.json()), first);
        assert_ne!(session_cookie(&browser).1, old);
        let thief = Browser::new(&app);
        thief.set_cookie(&name, &old);
        assert_eq!(thief.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
    }

    async fn another_persons_login_ends_the_session_before_it(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        app.person("bob").await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let ada = app.redeem("", &client, &code).await.json();
        let token = ada["access_token"].as_str().unwrap();
        assert!(app.is_active(token).await);
        let page = browser.open(&authorize_path("", &client, &[("prompt", "select_account")])).await;
        browser.log_in(&page, "bob", PASSWORD).await.code();
        assert!(!app.is_active(token).await, "a token that is tied to the ended session");
        assert_eq!(app.refresh("", &client, ada["refresh_token"].as_str().unwrap()).await.status, 400);
    }

    async fn a_session_is_over_unused_or_at_its_longest(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let quiet = authorize_path("", &client, &[("prompt", "none")]);
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        for _ in 0..3 {
            app.pass(11 * 3600);
            browser.open(&quiet).await.code();
        }
        app.pass(12 * 3600);
        assert_eq!(browser.open(&quiet).await.error(), "login_required");
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        for _ in 0..66 {
            app.pass(11 * 3600);
            let _used = browser.open(&quiet).await;
        }
        assert_eq!(browser.open(&quiet).await.error(), "login_required", "30 days are the longest");
    }

    async fn a_flow_is_finished_only_by_the_browser_that_began_it(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let attacker = Browser::new(&app);
        let page = attacker.open(&authorize_path("", &client, &[])).await;
        let victim = Browser::new(&app);
        victim.open(&authorize_path("", &client, &[])).await;
        let arrived = victim.log_in(&page, "ada", PASSWORD).await;
        assert!(arrived.page().status >= 400, "{}", arrived.page().status);
        assert!(!attacker.open(&authorize_path("", &client, &[("prompt", "none")])).await.left().contains("code="));
    }

    async fn a_flow_is_over_after_an_hour_and_cannot_be_forged(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let page = browser.open(&authorize_path("", &client, &[])).await;
        let forged = browser.submit(&page, "login-form", &[("username", "ada"), ("password", PASSWORD), ("flow", "AAAA")]).await;
        assert!(forged.page().status >= 400);
        app.pass(3601);
        let late = browser.log_in(&page, "ada", PASSWORD).await;
        assert!(late.page().status >= 400);
    }

    async fn a_locked_person_gets_no_more_codes(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let ada = app.person("ada").await["id"].as_str().unwrap().to_owned();
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[("scope", "openid offline_access")]), "ada").await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        let waiting = browser.open(&authorize_path("", &client, &[])).await.code();
        let lock = app.admin("POST", &format!("/providers/default/users/{ada}/lock")).json(&json!({})).send().await;
        assert!(lock.status < 300, "{}", lock.text());
        assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
        assert_eq!(app.redeem("", &client, &waiting).await.refusal(), (400, "invalid_grant".to_owned()));
        assert_eq!(app.refresh("", &client, tokens["refresh_token"].as_str().unwrap()).await.refusal(), (400, "invalid_grant".to_owned()));
        assert!(!app.is_active(tokens["access_token"].as_str().unwrap()).await);
        let unlock = app.admin("DELETE", &format!("/providers/default/users/{ada}/lock")).send().await;
        assert!(unlock.status < 300, "{}", unlock.text());
        assert!(!app.is_active(tokens["access_token"].as_str().unwrap()).await, "unlocking revives nothing");
        assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
    }

    async fn a_login_under_way_when_the_access_ends_begins_no_session(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let ada = app.person("ada").await["id"].as_str().unwrap().to_owned();
        let browser = Browser::new(&app);
        let page = browser.open(&authorize_path("", &client, &[])).await;
        // The account is changed and its row held while the password is being checked.
        let (release, held) = mpsc::channel();
        let (holding, holds) = mpsc::channel();
        let provider = app.provider_id().await;
        let change = app.job(move |tx| {
            let user = users::get(tx, &provider.as_str().into(), &ada.as_str().into())?.unwrap();
            let raised = User { epoch: user.epoch + 1, ..user.clone() };
            assert!(users::update(tx, &raised, &keys_of(&raised), user.version)?);
            holding.send(()).unwrap();
            let _released = held.recv();
            Ok(())
        });
        let hashed = app.engine.hashes_computed();
        let let_go = async {
            while app.engine.hashes_computed() == hashed {
                tokio::task::yield_now().await;
            }
            release.send(()).unwrap();
        };
        let log_in = async {
            // Before the row is held the login could be over before the change begins.
            while holds.try_recv().is_err() {
                tokio::task::yield_now().await;
            }
            browser.log_in(&page, "ada", PASSWORD).await
        };
        let (_, arrived, ()) = futures_util::future::join3(change, log_in, let_go).await;
        assert!(arrived.shows("login-form"), "a login that was proven before the change");
        assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
    }

    async fn what_ends_a_providers_tokens_ends_its_sessions_and_codes_too(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let ended = app.admin("DELETE", "/providers/default/tokens").send().await;
        assert!(ended.status < 300, "{}", ended.text());
        assert_eq!(app.redeem("", &client, &code).await.refusal(), (400, "invalid_grant".to_owned()));
        assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
    }

    async fn a_code_dies_with_what_its_client_holds(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let path = format!("/providers/default/clients/{}/tokens", client.id);
        assert!(app.admin("DELETE", &path).send().await.status < 300);
        assert_eq!(app.redeem("", &client, &code).await.refusal(), (400, "invalid_grant".to_owned()));
        let code = browser.open(&authorize_path("", &client, &[])).await.code();
        app.change(&client, json!({"enabled": false})).await;
        app.change(&client, json!({"enabled": true})).await;
        assert_eq!(app.redeem("", &client, &code).await.refusal(), (400, "invalid_grant".to_owned()));
    }

    async fn using_the_application_keeps_the_session_alive(app: TestApp) {
        let client = app.web_client(json!({"refresh_rotation": "always"})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let mut token = app.redeem("", &client, &code).await.json()["refresh_token"].as_str().unwrap().to_owned();
        for _ in 0..3 {
            app.pass(11 * 3600);
            let answer = app.refresh("", &client, &token).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            token = answer.json()["refresh_token"].as_str().unwrap().to_owned();
            app.tick().await;
        }
        browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.code();
        app.pass(12 * 3600 + 1);
        assert_eq!(app.refresh("", &client, &token).await.status, 400);
        assert_eq!(browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
    }

    async fn a_new_login_moves_the_end_of_the_session_on_every_node(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let ends = json!({"session_max_ttl": 60, "session_idle_ttl": 60});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&ends).send().await.status, 200);
        let node = app.second_node().await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        assert_eq!(node.redeem("", &client, &code).await.status, 200);
        app.pass(45);
        let page = browser.open(&authorize_path("", &client, &[("prompt", "login")])).await;
        browser.log_in(&page, "ada", PASSWORD).await.code();
        node.poll().await;
        app.pass(18);
        let code = browser.open(&authorize_path("", &client, &[("prompt", "none")])).await.code();
        assert_eq!(node.redeem("", &client, &code).await.status, 200, "beyond the end before the new login");
    }

    async fn another_node_knows_the_end_within_one_look_at_the_log(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let node = app.second_node().await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let tokens = node.redeem("", &client, &code).await.json();
        let token = tokens["access_token"].as_str().unwrap();
        assert!(node.is_active(token).await && app.is_active(token).await);
        let account = browser.open("/account").await;
        browser.submit(&account, "end-all-form", &[]).await;
        assert!(!app.is_active(token).await);
        node.poll().await;
        assert!(!node.is_active(token).await);
        assert_eq!(node.refresh("", &client, tokens["refresh_token"].as_str().unwrap()).await.status, 400);
    }

    async fn a_family_with_offline_access_outlives_the_session(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let path = authorize_path("", &client, &[("scope", "openid offline_access")]);
        let code = browser.authorize(&path, "ada").await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        let account = browser.open("/account").await;
        browser.submit(&account, "end-all-form", &[]).await;
        assert!(app.is_active(tokens["access_token"].as_str().unwrap()).await);
        assert_eq!(app.refresh("", &client, tokens["refresh_token"].as_str().unwrap()).await.status, 200);
    }

    async fn a_changed_password_ends_the_other_sessions_and_all_families(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let [here, there] = [Browser::new(&app), Browser::new(&app)];
        let offline = authorize_path("", &client, &[("scope", "openid offline_access")]);
        here.authorize(&offline, "ada").await.code();
        let code = there.authorize(&offline, "ada").await.code();
        let tokens = app.redeem("", &client, &code).await.json();
        let account = here.open("/account").await;
        let new = "another battery, quite staple";
        let fields = [("current", PASSWORD), ("new", new)];
        let after = here.submit(&account, "password-form", &fields).await;
        assert_eq!(after.page().status, 200, "{}", after.page().text());
        here.open(&authorize_path("", &client, &[("prompt", "none")])).await.code();
        assert_eq!(there.open(&authorize_path("", &client, &[("prompt", "none")])).await.error(), "login_required");
        assert!(!app.is_active(tokens["access_token"].as_str().unwrap()).await);
        assert_eq!(app.refresh("", &client, tokens["refresh_token"].as_str().unwrap()).await.status, 400);
        let fresh = Browser::new(&app);
        let page = fresh.open(&offline).await;
        assert!(fresh.log_in(&page, "ada", PASSWORD).await.shows("login-form"));
        let page = fresh.open(&offline).await;
        fresh.log_in(&page, "ada", new).await.code();
    }

    async fn a_wrong_current_password_changes_nothing(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let account = browser.open("/account").await;
        let fields = [("current", "wrong wrong wrong"), ("new", "a new one, longer")];
        let after = browser.submit(&account, "password-form", &fields).await;
        assert_eq!(after.page().status, 400);
        let fresh = Browser::new(&app);
        fresh.authorize(&authorize_path("", &client, &[]), "ada").await.code();
    }
}
