//! Refresh tokens: group RT. The five rules themselves are a table beside their code; here they are
//! held against the server and both databases.

use futures_util::future::join_all;
use grantd::crypto::RefreshKeys;
use grantd::crypto::refresh::Derivation;
use grantd::crypto::{DataKeys, MasterKey};
use grantd::domain::RefreshFamily;
use grantd::store::{data_keys, refresh_families};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::app::{MASTER_KEY, TestApp, TestClient, on_both_apps};
use crate::support::browser::claims;
use crate::support::databases::{Kind, block_on};
use crate::support::http::{Answer, refused};
use crate::support::people::{LoggedIn, Wish, text};

const DAY: i64 = 86_400;

/// A public client, which rotates at every use; with these fields.
async fn app_client(app: &TestApp, more: Value) -> TestClient {
    let mut fields = json!({"token_endpoint_auth_method": "none"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.web_client(fields).await
}

async fn first_token(app: &TestApp, client: &TestClient, who: &LoggedIn) -> (String, String) {
    let tokens = app.tokens(client, who, &Wish::default()).await;
    (text(&tokens, "refresh_token"), text(&tokens, "access_token"))
}

/// Uses a token, which must succeed; its successor.
async fn next(app: &TestApp, client: &TestClient, token: &str) -> String {
    let answer = app.refresh("", client, token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    text(&answer.json(), "refresh_token")
}

async fn is_refused(app: &TestApp, client: &TestClient, token: &str) -> bool {
    app.refresh("", client, token).await.refusal() == refused(400, "invalid_grant")
}

async fn refresh_with(app: &TestApp, client: &TestClient, token: &str, more: &[(&str, &str)]) -> Answer {
    let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
    fields.extend_from_slice(more);
    app.as_client("", client, &fields).await
}

/// The token of any generation of a family, as a holder of the keys would make it.
async fn forged(app: &TestApp, family: &RefreshFamily, generation: u32) -> String {
    let sealed = app.job(|tx| data_keys::all(tx)).await;
    let keys =
        DataKeys::open(&sealed, &MasterKey::from_base64(&MASTER_KEY.into()).unwrap(), app.context().now).unwrap();
    let from = Derivation { key_id: &family.key_id, family: family.grant.id, salt: &family.salt };
    RefreshKeys::of(&keys).unwrap().token(from, generation).unwrap().expose_secret().to_owned()
}

async fn events(app: &TestApp, action: &'static str) -> usize {
    let newest = app.job(|tx| grantd::store::events::newest(tx, 200)).await;
    newest.iter().filter(|event| event.action == action).count()
}

on_both_apps! {
    // RT1, RT2
    async fn a_public_client_gets_a_new_token_each_time(app: TestApp) {
        let (client, who) = (app_client(&app, json!({})).await, app.logged_in("ada").await);
        let (first, access) = first_token(&app, &client, &who).await;
        app.pass(5);
        let answer = app.refresh("", &client, &first).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
        let tokens = answer.json();
        let second = text(&tokens, "refresh_token");
        assert_ne!(first, second);
        assert_eq!((&tokens["expires_in"], &tokens["scope"]), (&json!(3600), &json!("openid profile email offline_access")));
        let (old, new) = (claims(&access), claims(&text(&tokens, "access_token")));
        assert_eq!((&old["grant_id"], &old["sub"]), (&new["grant_id"], &new["sub"]));
        assert_ne!(old["jti"], new["jti"]);
        // OIDC Core §12.2: the same person and login, a new time, no nonce.
        let id = claims(&text(&tokens, "id_token"));
        assert_eq!((&id["sub"], &id["auth_time"], &id["iat"]), (&old["sub"], &json!(app.now() - 5), &json!(app.now())));
        assert!(id.get("nonce").is_none() && id["amr"] == json!(["pwd"]) && id["email"] == json!("ada@example.com"));
        assert!(app.is_active(&access).await, "rotation does not end the access token");
        next(&app, &client, &second).await;
    }

    // RT3
    async fn a_token_that_was_replaced_ends_the_grant_outside_the_windows(app: TestApp) {
        for (fields, wait) in [(json!({}), 10), (json!({"refresh_grace": 0, "refresh_grace_unused": 0}), 0)] {
            let client = app_client(&app, fields).await;
            let who = app.logged_in(&format!("ada{wait}")).await;
            let (first, old_access) = first_token(&app, &client, &who).await;
            let answer = app.refresh("", &client, &first).await.json();
            app.pass(wait);
            let before = events(&app, "refresh.replayed").await;
            assert!(is_refused(&app, &client, &first).await);
            assert_eq!(events(&app, "refresh.replayed").await, before + 1);
            assert!(is_refused(&app, &client, &text(&answer, "refresh_token")).await, "the newest is dead too");
            for access in [&old_access, &text(&answer, "access_token")] {
                assert!(!app.is_active(access).await && app.userinfo(access).await.status == 401);
            }
            is_refused(&app, &client, &first).await;
            assert_eq!(events(&app, "refresh.replayed").await, before + 1, "told once");
        }
    }

    async fn within_the_grace_any_lately_replaced_token_leads_to_the_newest(app: TestApp) {
        let (client, who) = (app_client(&app, json!({})).await, app.logged_in("ada").await);
        let (first, access) = first_token(&app, &client, &who).await;
        let second = next(&app, &client, &first).await;
        app.pass(3);
        let third = next(&app, &client, &second).await;
        app.pass(3);
        for old in [&first, &second, &first] {
            assert_eq!(next(&app, &client, old).await, third);
        }
        assert_eq!(app.family_of(&access).await.generation, 3, "nothing was written for the repeats");
        app.pass(4);
        // The first was replaced ten seconds ago, the second seven.
        assert_eq!(next(&app, &client, &second).await, third);
        assert!(is_refused(&app, &client, &first).await);
        assert!(is_refused(&app, &client, &third).await);
    }

    async fn a_client_that_slept_through_the_answer_comes_back_within_a_day(app: TestApp) {
        let (client, who) = (app.web_client(json!({"refresh_rotation": "always"})).await, app.logged_in("ada").await);
        let (first, _) = first_token(&app, &client, &who).await;
        let second = next(&app, &client, &first).await;
        app.pass(DAY - 1);
        assert_eq!(next(&app, &client, &first).await, second);
        // Once the successor was seen, the window is closed.
        next(&app, &client, &second).await;
        app.pass(11);
        assert!(is_refused(&app, &client, &first).await);
    }

    // Order of checks: what fails before the generation changes nothing.
    async fn strangers_and_forgeries_change_nothing_in_the_row(app: TestApp) {
        let (client, other) = (app_client(&app, json!({})).await, app_client(&app, json!({})).await);
        let confidential = app.web_client(json!({})).await;
        app.provider("acme", json!({})).await;
        let foreign = app.web_client_of("acme", json!({"token_endpoint_auth_method": "none"})).await;
        let who = app.logged_in("ada").await;
        let (first, access) = first_token(&app, &client, &who).await;
        let (row, second) = (app.family_of(&access).await, next(&app, &client, &first).await);
        let (before, changed) = (app.family_of(&access).await, row);
        assert_ne!(before, changed);
        let events_before = events(&app, "refresh.replayed").await;
        // Long replaced: by its own client it would end the grant.
        app.pass(60);
        for thief in [&other, &confidential] {
            assert!(is_refused(&app, thief, &first).await && is_refused(&app, thief, &second).await);
        }
        assert_eq!(app.refresh("/p/acme", &foreign, &first).await.refusal(), refused(400, "invalid_grant"));
        let strange = RefreshFamily { salt: [0; 16], ..before.clone() };
        for generation in [1, 2, 3, 7, u32::MAX] {
            assert!(is_refused(&app, &client, &forged(&app, &strange, generation).await).await);
        }
        let wrong = [("scope", "openid groups", "invalid_scope"), ("resource", "https://elsewhere.example", "invalid_target")];
        for (name, value, error) in wrong {
            assert_eq!(refresh_with(&app, &client, &second, &[(name, value)]).await.refusal(), refused(400, error));
        }
        assert_eq!(app.family_of(&access).await, before);
        assert_eq!(events(&app, "refresh.replayed").await, events_before);
        assert!(app.is_active(&access).await);
    }

    // A database that lost its last commits.
    async fn a_token_ahead_of_its_row_moves_the_row_on(app: TestApp) {
        let (client, who) = (app_client(&app, json!({})).await, app.logged_in("ada").await);
        let (_, access) = first_token(&app, &client, &who).await;
        let ahead = forged(&app, &app.family_of(&access).await, 5).await;
        let sixth = next(&app, &client, &ahead).await;
        assert_eq!(app.family_of(&access).await.generation, 6);
        assert_eq!(events(&app, "refresh.family_ahead").await, 1);
        next(&app, &client, &sixth).await;
        assert_eq!(events(&app, "refresh.family_ahead").await, 1);
    }

    // RT4
    async fn a_confidential_client_must_prove_itself(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let (first, _) = first_token(&app, &client, &who).await;
        let bare = [("grant_type", "refresh_token"), ("refresh_token", &first), ("client_id", &client.id)];
        assert_eq!(app.post("/oauth2/token").form(&bare).send().await.refusal(), refused(401, "invalid_client"));
        let wrong = app.post("/oauth2/token").form(&bare[..2]).basic(&client.id, "wrong").send().await;
        assert_eq!(wrong.refusal(), refused(401, "invalid_client"));
        next(&app, &client, &first).await;
    }

    // RT5, RT12
    async fn scope_shrinks_for_the_answer_only_and_never_grows(app: TestApp) {
        let (client, who) = (app_client(&app, json!({})).await, app.logged_in("ada").await);
        let wish = Wish { scope: "openid email offline_access", audience: vec!["https://a.example", "https://b.example"], ..Wish::default() };
        let tokens = app.tokens(&client, &who, &wish).await;
        let mut token = text(&tokens, "refresh_token");
        for (scope, resource, id_token) in [("email", "https://b.example", false), ("openid", "https://a.example", true)] {
            let answer = refresh_with(&app, &client, &token, &[("scope", scope), ("resource", resource)]).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let tokens = answer.json();
            assert_eq!(tokens["scope"], json!(scope));
            assert_eq!(tokens.get("id_token").is_some(), id_token);
            assert_eq!(claims(&text(&tokens, "access_token"))["aud"], json!(resource));
            token = text(&tokens, "refresh_token");
        }
        for (name, value, error) in [("scope", "openid profile", "invalid_scope"), ("scope", "\u{e4}", "invalid_scope"), ("resource", "https://c.example", "invalid_target")] {
            assert_eq!(refresh_with(&app, &client, &token, &[(name, value)]).await.refusal(), refused(400, error));
        }
        // What the client has lost since is left out.
        app.change(&client, json!({"scope": "openid offline_access"})).await;
        assert_eq!(app.refresh("", &client, &token).await.json()["scope"], json!("openid offline_access"));
    }

    // RT6
    async fn thirty_two_at_once_within_the_grace_are_one_rotation_and_one_successor(app: TestApp) {
        let (client, who) = (app_client(&app, json!({})).await, app.logged_in("ada").await);
        crowd(std::slice::from_ref(&app), &client, &who).await;
    }

    // RT6
    async fn with_both_windows_closed_at_most_one_of_many_succeeds(app: TestApp) {
        let client = app_client(&app, json!({"refresh_grace": 0, "refresh_grace_unused": 0})).await;
        let who = app.logged_in("ada").await;
        closed_crowd(std::slice::from_ref(&app), &client, &who).await;
    }

    // RT7
    async fn it_ends_when_it_is_not_used_and_at_the_latest_at_its_absolute_end(app: TestApp) {
        let client = app_client(&app, json!({"refresh_token_ttl": 1000, "refresh_token_max_ttl": 2500})).await;
        let who = app.logged_in("ada").await;
        let (idle, _) = first_token(&app, &client, &who).await;
        let (mut used, _) = first_token(&app, &client, &who).await;
        app.pass(999);
        used = next(&app, &client, &used).await;
        app.pass(1);
        assert!(is_refused(&app, &client, &idle).await);
        app.pass(900);
        used = next(&app, &client, &used).await;
        app.pass(599);
        let answer = app.refresh("", &client, &used).await.json();
        assert_eq!(answer["expires_in"], json!(1), "no access token lives longer than the grant");
        app.pass(1);
        assert!(is_refused(&app, &client, &text(&answer, "refresh_token")).await);
    }

    async fn a_family_of_a_session_is_idle_no_longer_than_sessions_are(app: TestApp) {
        let (client, who) = (app_client(&app, json!({})).await, app.logged_in("ada").await);
        let tokens = app.tokens(&client, &who, &Wish { scope: "openid", ..Wish::default() }).await;
        let family = app.family_of(&text(&tokens, "access_token")).await;
        assert_eq!((family.idle_ends_at - app.now(), family.ends_at - app.now()), (12 * 3600, 30 * DAY));
        let free = app.tokens(&client, &who, &Wish::default()).await;
        let family = app.family_of(&text(&free, "access_token")).await;
        assert_eq!((family.idle_ends_at - app.now(), family.ends_at - app.now()), (30 * DAY, 180 * DAY));
    }

    async fn late_and_never_keep_the_token(app: TestApp) {
        let who = app.logged_in("ada").await;
        let late = app.web_client(json!({})).await;
        let (first, access) = first_token(&app, &late, &who).await;
        for _ in 0..2 {
            assert_eq!(next(&app, &late, &first).await, first);
            app.pass(10 * DAY);
        }
        assert!(app.family_of(&access).await.newest_presented);
        app.pass(DAY);
        let second = next(&app, &late, &first).await;
        assert_ne!(second, first, "seventy percent of its life are over");
        let never = app.web_client(json!({"refresh_rotation": "never"})).await;
        let (first, _) = first_token(&app, &never, &who).await;
        app.pass(29 * DAY);
        assert_eq!(next(&app, &never, &first).await, first);
    }

    // RT8, RV2
    async fn revoking_it_or_everything_of_its_owner_ends_it(app: TestApp) {
        let who = app.logged_in("ada").await;
        let client = app_client(&app, json!({})).await;
        let revoke = |form: Vec<(&'static str, String)>| {
            let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let call = app.post("/oauth2/revoke").form(&form);
            async move { call.send().await.status }
        };
        let (first, access) = first_token(&app, &client, &who).await;
        let second = next(&app, &client, &first).await;
        let stranger = app_client(&app, json!({})).await;
        assert_eq!(revoke(vec![("token", second.clone()), ("client_id", stranger.id.clone())]).await, 200);
        assert!(app.is_active(&access).await, "another client's is left alone");
        assert_eq!(revoke(vec![("token", second.clone()), ("client_id", client.id.clone()), ("token_type_hint", "access_token".to_owned())]).await, 200);
        assert!(is_refused(&app, &client, &second).await && is_refused(&app, &client, &first).await);
        assert!(!app.is_active(&access).await);
        // An access token ends alone.
        let (first, access) = first_token(&app, &client, &who).await;
        assert_eq!(revoke(vec![("token", access.clone()), ("client_id", client.id.clone())]).await, 200);
        assert!(!app.is_active(&access).await);
        let second = next(&app, &client, &first).await;
        let by_key = app.post("/oauth2/revoke").form(&[("token", &second)]).bearer(&app.first.owner_key).send().await;
        assert_eq!(by_key.status, 200);
        assert!(is_refused(&app, &client, &second).await);
        // A new password.
        let (first, access) = first_token(&app, &client, &who).await;
        let path = format!("/providers/default/users/{}/password", who.user);
        let changed = app.admin("POST", &path).json(&json!({"password": "another long password"})).send().await;
        assert!(matches!(changed.status, 200 | 204), "{}", changed.text());
        assert!(is_refused(&app, &client, &first).await && !app.is_active(&access).await);
    }

    // RT9, IN1
    async fn the_three_sorts_of_tokens_cannot_stand_in_for_each_other(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let tokens = app.tokens(&client, &who, &Wish::default()).await;
        let [access, id, refresh] = ["access_token", "id_token", "refresh_token"].map(|name| text(&tokens, name));
        for wrong in [&access, &id] {
            assert!(is_refused(&app, &client, wrong).await);
        }
        for wrong in [&refresh, &id] {
            assert_eq!(app.userinfo(wrong).await.status, 401);
            assert!(!app.is_active(wrong).await, "no resource server may take it for an access token");
        }
        let seen = app.introspected(&access).await;
        assert_eq!((&seen["sub"], &seen["grant_id"]), (&json!(who.user), &claims(&access)["grant_id"]));
        assert!(seen.get("username").is_none());
    }

    // RT11
    async fn missing_empty_and_oversized_tokens_are_a_400(app: TestApp) {
        let client = app_client(&app, json!({})).await;
        let missing = [("grant_type", "refresh_token")];
        assert_eq!(app.as_client("", &client, &missing).await.refusal(), refused(400, "invalid_request"));
        assert_eq!(app.refresh("", &client, "").await.refusal(), refused(400, "invalid_request"));
        for junk in ["x", "gr_", "gr_000000", &"gr_a".repeat(3000)] {
            assert!(is_refused(&app, &client, junk).await);
        }
        assert_eq!(app.refresh("", &client, &"a".repeat(70_000)).await.status, 400);
    }
}

async fn crowd(nodes: &[TestApp], client: &TestClient, who: &LoggedIn) {
    let (mut token, access) = first_token(&nodes[0], client, who).await;
    for round in 1..=3 {
        let all = (0..32).map(|number| nodes[number % nodes.len()].refresh("", client, &token));
        let answers = join_all(all).await;
        let successors: Vec<String> = answers
            .iter()
            .map(|answer| {
                assert_eq!(answer.status, 200, "{}", answer.text());
                text(&answer.json(), "refresh_token")
            })
            .collect();
        assert!(successors.iter().all(|successor| *successor == successors[0] && *successor != token));
        assert_eq!(nodes[0].family_of(&access).await.generation, round + 1, "one rotation");
        token.clone_from(&successors[0]);
    }
}

async fn closed_crowd(nodes: &[TestApp], client: &TestClient, who: &LoggedIn) {
    for _ in 0..3 {
        let (token, access) = first_token(&nodes[0], client, who).await;
        let all = (0..8).map(|number| nodes[number % nodes.len()].refresh("", client, &token));
        let answers = join_all(all).await;
        let (good, bad): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(good.len(), 1);
        assert!(bad.iter().all(|answer| answer.refusal() == refused(400, "invalid_grant")));
        let grant = nodes[0].family_of(&access).await;
        assert!(grant.revoked_at.is_some());
        for node in nodes {
            node.poll().await;
            assert!(is_refused(node, client, &text(&good[0].json(), "refresh_token")).await);
            assert!(!node.is_active(&access).await);
        }
    }
}

// RT6 over two servers.
#[test]
fn on_two_nodes_many_refreshes_at_once_are_one_rotation_or_one_winner() {
    block_on(async {
        let first = TestApp::start(Kind::Postgres).await;
        let second = first.second_node().await;
        let open = app_client(&first, json!({})).await;
        let closed = app_client(&first, json!({"refresh_grace": 0, "refresh_grace_unused": 0})).await;
        let who = first.logged_in("ada").await;
        let nodes = [first, second];
        crowd(&nodes, &open, &who).await;
        closed_crowd(&nodes, &closed, &who).await;
    });
}

// A second node makes the same successor.
#[test]
fn every_node_gives_the_same_successor() {
    block_on(async {
        let first = TestApp::start(Kind::Postgres).await;
        let second = first.second_node().await;
        let (client, who) = (app_client(&first, json!({})).await, first.logged_in("ada").await);
        let (token, access) = first_token(&first, &client, &who).await;
        let id = first.family_of(&access).await.grant.id;
        let successor = next(&first, &client, &token).await;
        assert_eq!(next(&second, &client, &token).await, successor);
        let row = first.job(move |tx| refresh_families::get(tx, &id)).await.unwrap();
        assert_eq!(row.generation, 2);
    });
}
