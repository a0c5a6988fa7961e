//! Back-channel logout: each client of a session is told of its end, also when it is away for a
//! while.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::app::{ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::browser::{Browser, authorize_path, claims};
use crate::support::databases::soon;
use crate::support::jose::verified;
use crate::support::origin::{Origin, Reply};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// Ada logs in at a client that wants to be told, and ends the session: the client, her id and the
/// session's.
async fn logged_out(app: &TestApp, receiver: &Origin, more: Value) -> (TestClient, String, String) {
    let mut fields = json!({"backchannel_logout_uri": format!("{}/logout", receiver.base), "backchannel_logout_session_required": true});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let client = app.web_client(fields).await;
    app.person("ada").await;
    let browser = Browser::new(app);
    let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
    let tokens = app.redeem("", &client, &code).await.json();
    let id_token = claims(tokens["id_token"].as_str().unwrap());
    browser.open(&format!("/oauth2/logout?id_token_hint={}", tokens["id_token"].as_str().unwrap())).await;
    let text = |name: &str| id_token[name].as_str().unwrap_or_else(|| panic!("no {name} in {id_token}")).to_owned();
    let (sub, sid) = (text("sub"), text("sid"));
    (client, sub, sid)
}

async fn waiting(app: &TestApp) -> i64 {
    app.rows().await.into_iter().find(|(name, _)| *name == "logout_deliveries").unwrap().1
}

async fn round(app: &TestApp) -> usize {
    app.engine.deliver_logouts(app.context().now).await.unwrap()
}

on_both_apps! {
    // LO5
    async fn a_client_is_told_by_a_signed_logout_token(app: TestApp) {
        let receiver = Origin::always(Reply::status(200));
        let (client, user, session) = logged_out(&app, &receiver, json!({"id_token_signed_response_alg": "ES256"})).await;
        assert!(receiver.asked().is_empty(), "the logout itself waits for nobody");
        assert_eq!((waiting(&app).await, round(&app).await, waiting(&app).await), (1, 1, 0));
        let told = receiver.asked().remove(0);
        assert_eq!((told.method.as_str(), told.path.as_str()), ("POST", "/logout"));
        assert_eq!(told.header("content-type"), Some("application/x-www-form-urlencoded"));
        let jwt = told.body.strip_prefix("logout_token=").expect("a logout_token").to_owned();
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        let (header, token) = verified(&jwt, &jwks);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("logout+jwt"), &json!("ES256")));
        assert_eq!((&token["iss"], &token["aud"]), (&json!(ISSUER), &json!(client.id)));
        assert_eq!((&token["sub"], &token["sid"]), (&json!(user), &json!(session)));
        assert_eq!(token["events"], json!({ EVENT: {} }));
        assert_eq!((&token["iat"], &token["exp"]), (&json!(app.now()), &json!(app.now() + 120)));
        assert!(token["jti"].is_string() && token.get("nonce").is_none());
        // It is good for nothing else here.
        assert!(!app.is_active(&jwt).await);
        assert_eq!(app.get("/oauth2/userinfo").bearer(&jwt).send().await.status, 401);
        assert_eq!(round(&app).await, 0, "told once");
    }

    async fn a_client_that_is_away_is_told_later_and_at_last_given_up(app: TestApp) {
        let receiver = Origin::always(Reply::status(503));
        let (client, _, session) = logged_out(&app, &receiver, json!({})).await;
        for pause in [10, 60, 300, 1800, 7200] {
            assert_eq!(round(&app).await, 1);
            app.pass(pause - 1);
            assert_eq!(round(&app).await, 0, "{pause} s have not passed");
            app.pass(1);
        }
        assert_eq!((receiver.asked().len(), waiting(&app).await), (5, 1));
        assert_eq!((round(&app).await, waiting(&app).await), (1, 0));
        let events = app.engine.db().read(soon(), |conn| grantd::store::events::newest(conn, 50)).await.unwrap();
        let event = events.iter().find(|event| event.action == "client.logout_not_delivered").expect("no event");
        assert!(event.target == client.id && event.details.contains(&session), "{event:?}");
    }

    async fn a_redirect_or_an_inside_address_is_not_followed(app: TestApp) {
        let inside = Origin::always(Reply::status(200));
        let receiver = Origin::always(Reply::status(307).with("location", &inside.base));
        logged_out(&app, &receiver, json!({})).await;
        assert_eq!((round(&app).await, waiting(&app).await), (1, 1));
        assert!(inside.asked().is_empty());
    }

    async fn the_url_is_the_one_the_client_has_then(app: TestApp) {
        let (old, new) = (Origin::always(Reply::status(200)), Origin::always(Reply::status(204)));
        let (client, ..) = logged_out(&app, &old, json!({})).await;
        let path = format!("/providers/default/clients/{}", client.id);
        app.admin("PATCH", &path).json(&json!({"backchannel_logout_uri": format!("{}/new", new.base)})).send().await;
        assert_eq!((round(&app).await, waiting(&app).await), (1, 0));
        assert_eq!((old.asked().len(), new.asked().len()), (0, 1));
        // None any more: nobody to tell.
        let second = Origin::always(Reply::status(200));
        app.admin("PATCH", &path).json(&json!({"backchannel_logout_uri": second.base})).send().await;
        let browser = Browser::new(&app);
        let code = browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        assert_eq!(app.redeem("", &client, &code).await.status, 200);
        let user = app.admin("GET", "/providers/default/users?username=ada").send().await.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let ended = app.admin("DELETE", &format!("/providers/default/users/{user}/sessions")).send().await;
        assert_eq!(ended.status, 204, "{}", ended.text());
        assert_eq!(waiting(&app).await, 1);
        app.admin("PATCH", &path).json(&json!({"backchannel_logout_uri": null})).send().await;
        assert_eq!((round(&app).await, waiting(&app).await), (1, 0));
        assert!(second.asked().is_empty());
    }

    async fn a_slow_receiver_does_not_hold_up_the_tick(app: TestApp) {
        let receiver = Origin::always(Reply::status(200).after(Duration::from_millis(600)));
        logged_out(&app, &receiver, json!({})).await;
        let began = grantd::domain::clock::monotonic();
        app.tick().await;
        app.tick().await;
        assert!(grantd::domain::clock::monotonic().duration_since(began) < Duration::from_millis(500));
        // The round goes on by itself, and only one does.
        let until = grantd::domain::clock::deadline_in(Duration::from_secs(10));
        while waiting(&app).await > 0 {
            assert!(grantd::domain::clock::monotonic() < until, "it was never delivered");
            actix_web::rt::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(receiver.asked().len(), 1);
    }
}
