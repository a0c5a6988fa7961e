//! Redeeming a code: groups CG and PK, and what hangs on them.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::app::{ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::browser::{CALLBACK, CHALLENGE, VERIFIER, claims};
use crate::support::databases::{Kind, block_on};
use crate::support::http::{Answer, refused};
use crate::support::people::{LoggedIn, Wish, text};

async fn public_client(app: &TestApp, more: Value) -> TestClient {
    let mut fields = json!({"token_endpoint_auth_method": "none"});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.web_client(fields).await
}

/// A redemption with these parameters; an empty value leaves one out.
async fn redeem_with(app: &TestApp, client: &TestClient, more: &[(&str, &str)]) -> Answer {
    let mut fields =
        vec![("grant_type", "authorization_code"), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    for (name, value) in more {
        fields.retain(|(own, _)| own != name);
        fields.push((name, value));
    }
    app.as_client("", client, &fields).await
}

async fn is_dead(app: &TestApp, client: &TestClient, tokens: &Value) -> bool {
    let access = text(tokens, "access_token");
    let refreshed = app.refresh("", client, &text(tokens, "refresh_token")).await;
    !app.is_active(&access).await
        && refreshed.refusal() == refused(400, "invalid_grant")
        && app.userinfo(&access).await.status == 401
}

/// Sixteen redemptions at once, shared out over the nodes: at most one succeeds, and as the code was
/// used more than once, what it gave is dead.
async fn race(nodes: &[TestApp], client: &TestClient, who: &LoggedIn) {
    for _ in 0..3 {
        let code = nodes[0].code(client, who, &Wish::default()).await;
        let all = (0..16).map(|number| nodes[number % nodes.len()].redeem("", client, &code));
        let answers = join_all(all).await;
        let (good, bad): (Vec<&Answer>, Vec<&Answer>) = answers.iter().partition(|answer| answer.status == 200);
        assert_eq!(good.len(), 1);
        assert!(bad.iter().all(|answer| answer.refusal() == refused(400, "invalid_grant")));
        for node in nodes {
            node.poll().await;
            assert!(is_dead(node, client, &good[0].json()).await);
        }
    }
}

on_both_apps! {
    // CG1, PK8
    async fn a_code_becomes_tokens_that_name_their_grant(app: TestApp) {
        let who = app.logged_in("ada").await;
        for client in [app.web_client(json!({})).await, public_client(&app, json!({})).await] {
            let tokens = app.tokens(&client, &who, &Wish::default()).await;
            assert_eq!((&tokens["token_type"], &tokens["expires_in"]), (&json!("Bearer"), &json!(3600)));
            assert_eq!(tokens["scope"], json!("openid profile email offline_access"));
            let access = claims(&text(&tokens, "access_token"));
            assert_eq!((&access["sub"], &access["client_id"], &access["aud"]), (&json!(who.user), &json!(client.id), &json!(ISSUER)));
            assert!(access["grant_id"].is_string() && access.get("sid").is_none(), "offline access outlives the session");
            assert_eq!(access["ep"], json!("0.0.1.0"));
            let id = claims(&text(&tokens, "id_token"));
            assert_eq!((&id["sub"], &id["aud"], &id["nonce"]), (&json!(who.user), &json!(client.id), &json!("n-0S6_WzA2Mj")));
            assert_eq!((&id["email"], &id["name"], &id["sid"]), (&json!("ada@example.com"), &json!("Ada Lovelace"), &json!(who.session.as_str())));
            assert!(text(&tokens, "refresh_token").starts_with("gr_"));
            assert!(app.is_active(&text(&tokens, "access_token")).await);
        }
    }

    async fn without_offline_access_the_tokens_end_with_the_session(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let tied = app.tokens(&client, &who, &Wish { scope: "openid", ..Wish::default() }).await;
        let free = app.tokens(&client, &who, &Wish::default()).await;
        let access = claims(&text(&tied, "access_token"));
        assert_eq!((&access["sid"], &access["ep"]), (&json!(who.session.as_str()), &json!("0.0.1.1")));
        app.end_session(&who.session).await;
        assert!(is_dead(&app, &client, &tied).await);
        assert!(app.is_active(&text(&free, "access_token")).await);
        assert_eq!(app.refresh("", &client, &text(&free, "refresh_token")).await.status, 200);
    }

    // CG2, CG3
    async fn a_second_use_ends_everything_the_code_gave(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let code = app.code(&client, &who, &Wish::default()).await;
        let tokens = app.redeem("", &client, &code).await.json();
        let renewed = app.refresh("", &client, &text(&tokens, "refresh_token")).await.json();
        // Also when the code itself has long expired.
        app.pass(600);
        for _ in 0..2 {
            assert_eq!(app.redeem("", &client, &code).await.refusal(), refused(400, "invalid_grant"));
        }
        assert!(is_dead(&app, &client, &tokens).await && is_dead(&app, &client, &renewed).await);
        let events = app.rows().await.into_iter().find(|(table, _)| *table == "events").unwrap().1;
        app.redeem("", &client, &code).await;
        assert_eq!(app.rows().await.into_iter().find(|(table, _)| *table == "events").unwrap().1, events);
    }

    // CG4
    async fn of_sixteen_redemptions_at_once_one_succeeds_and_the_grant_is_over(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        race(std::slice::from_ref(&app), &client, &who).await;
    }

    // CG5, CG6, PK5, PK6, PK7, PK9
    async fn what_is_wrong_changes_nothing_and_does_not_spend_the_code(app: TestApp) {
        let (client, public) = (app.web_client(json!({})).await, public_client(&app, json!({})).await);
        let (other, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        app.provider("acme", json!({})).await;
        let foreign = app.web_client_of("acme", json!({})).await;
        for client in [&client, &public] {
            let code = app.code(client, &who, &Wish::default()).await;
            let code = code.as_str();
            for (name, value) in [
                ("redirect_uri", ""), ("redirect_uri", "https://app.example.com/cb/"), ("redirect_uri", "https://evil.example/cb"),
                ("code_verifier", ""), ("code_verifier", CHALLENGE), ("code_verifier", "short"), ("code_verifier", &VERIFIER[1..]),
            ] {
                let answer = redeem_with(&app, client, &[("code", code), (name, value)]).await;
                assert_eq!(answer.refusal(), refused(400, "invalid_grant"), "{name}={value}");
            }
            for thief in [&other, &public_client(&app, json!({})).await] {
                assert_eq!(redeem_with(&app, thief, &[("code", code)]).await.refusal(), refused(400, "invalid_grant"));
            }
            let at_acme = app.redeem("/p/acme", &foreign, code).await;
            assert_eq!(at_acme.refusal(), refused(400, "invalid_grant"));
            for (name, value, error) in [("scope", "openid groups", "invalid_scope"), ("resource", "https://elsewhere.example", "invalid_target")] {
                let answer = redeem_with(&app, client, &[("code", code), (name, value)]).await;
                assert_eq!(answer.refusal(), refused(400, error));
            }
            let answer = redeem_with(&app, client, &[("code", code)]).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(app.is_active(&text(&answer.json(), "access_token")).await);
            // Spent by now: who is not its client cannot end the grant by it.
            redeem_with(&app, &other, &[("code", code)]).await;
            redeem_with(&app, client, &[("code", code), ("code_verifier", CHALLENGE)]).await;
            assert!(app.is_active(&text(&answer.json(), "access_token")).await);
        }
    }

    // PK7, PK1
    async fn without_a_challenge_there_is_no_verifier_and_no_public_client(app: TestApp) {
        let (client, public) = (app.web_client(json!({"require_pkce": false})).await, public_client(&app, json!({})).await);
        let who = app.logged_in("ada").await;
        let plain = Wish { challenge: None, redirect_uri_sent: false, ..Wish::default() };
        let code = app.code(&client, &who, &plain).await;
        assert_eq!(redeem_with(&app, &client, &[("code", &code)]).await.refusal(), refused(400, "invalid_grant"));
        let answer = redeem_with(&app, &client, &[("code", &code), ("code_verifier", ""), ("redirect_uri", "")]).await;
        assert_eq!(answer.status, 200, "a redirect_uri that was not sent may be left out: {}", answer.text());
        let code = app.code(&public, &who, &plain).await;
        let answer = redeem_with(&app, &public, &[("code", &code), ("code_verifier", "")]).await;
        assert_eq!(answer.refusal(), refused(400, "invalid_grant"));
    }

    // CG7, CG8
    async fn expired_unknown_and_malformed_codes_are_one_invalid_grant(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let code = app.code(&client, &who, &Wish::default()).await;
        app.pass(60);
        let never_made = "gc_0000000000000000000000000000000000000000000000000000";
        for bad in [code.as_str(), never_made, "gc_", "x", "\u{e4}", &"gc_a".repeat(4000), &code.to_lowercase(), &format!("{code}x")] {
            assert_eq!(redeem_with(&app, &client, &[("code", bad)]).await.refusal(), refused(400, "invalid_grant"), "{bad}");
        }
        assert_eq!(redeem_with(&app, &client, &[]).await.refusal(), refused(400, "invalid_request"));
        assert_eq!(redeem_with(&app, &client, &[("code", "")]).await.refusal(), refused(400, "invalid_request"));
    }

    // CG9, RI2
    async fn scope_and_resource_at_redemption_narrow_the_answer(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let wish = Wish { audience: vec!["https://a.example", "https://b.example"], ..Wish::default() };
        let code = app.code(&client, &who, &wish).await;
        let fields = [("code", code.as_str()), ("scope", "profile offline_access"), ("resource", "https://b.example")];
        let tokens = redeem_with(&app, &client, &fields).await.json();
        let access = claims(&text(&tokens, "access_token"));
        assert_eq!((&access["aud"], &access["scope"]), (&json!("https://b.example"), &json!("profile offline_access")));
        assert!(tokens.get("id_token").is_none(), "without openid there is no ID token");
        let renewed = app.refresh("", &client, &text(&tokens, "refresh_token")).await.json();
        assert_eq!(claims(&text(&renewed, "access_token"))["aud"], json!("https://a.example"), "the first of the grant");
        assert_eq!(renewed["scope"], json!("openid profile email offline_access"), "the grant is as it was");
    }

    // CG10, RT10
    async fn grant_types_that_a_client_does_not_have_are_not_served(app: TestApp) {
        let who = app.logged_in("ada").await;
        let no_refresh = app.web_client(json!({"grant_types": ["authorization_code"]})).await;
        let tokens = app.tokens(&no_refresh, &who, &Wish::default()).await;
        assert!(tokens.get("refresh_token").is_none());
        let machine = app.client(json!({})).await;
        let code = app.code(&machine, &who, &Wish::default()).await;
        assert_eq!(redeem_with(&app, &machine, &[("code", &code)]).await.refusal(), refused(400, "unauthorized_client"));
    }

    // CG11, RT8
    async fn a_person_or_session_that_is_over_gives_nothing(app: TestApp) {
        let (client, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let before = app.tokens(&client, &who, &Wish::default()).await;
        let code = app.code(&client, &who, &Wish::default()).await;
        app.end_session(&who.session).await;
        assert_eq!(redeem_with(&app, &client, &[("code", &code)]).await.refusal(), refused(400, "invalid_grant"));
        let who = LoggedIn { session: app.session_of(&who.user).await, ..who };
        let code = app.code(&client, &who, &Wish::default()).await;
        let path = format!("/providers/default/users/{}", who.user);
        assert_eq!(app.admin("PATCH", &path).json(&json!({"enabled": false})).send().await.status, 200);
        assert_eq!(redeem_with(&app, &client, &[("code", &code)]).await.refusal(), refused(400, "invalid_grant"));
        assert!(is_dead(&app, &client, &before).await);
        // Enabling again revives nothing.
        assert_eq!(app.admin("PATCH", &path).json(&json!({"enabled": true})).send().await.status, 200);
        assert!(is_dead(&app, &client, &before).await);
    }

    async fn a_client_that_wants_to_know_of_the_logout_is_noted_once(app: TestApp) {
        let fields = json!({"backchannel_logout_uri": "https://app.example.com/logout"});
        let (told, quiet) = (app.web_client(fields).await, app.web_client(json!({})).await);
        let who = app.logged_in("ada").await;
        for client in [&told, &told, &quiet] {
            app.tokens(client, &who, &Wish::default()).await;
        }
        let noted = app.rows().await.into_iter().find(|(table, _)| *table == "session_clients").unwrap().1;
        assert_eq!(noted, 1);
    }
}

// CG4 over two servers.
#[test]
fn of_redemptions_on_two_nodes_one_succeeds() {
    block_on(async {
        let first = TestApp::start(Kind::Postgres).await;
        let (client, who) = (first.web_client(json!({})).await, first.logged_in("ada").await);
        let second = first.second_node().await;
        race(&[first, second], &client, &who).await;
    });
}
