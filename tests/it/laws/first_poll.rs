//! The hot path waits for nothing: with warm caches the engine's answer is there on the first poll.

use std::future::Future;
use std::pin::pin;
use std::task::{Context as Polling, Poll, Waker};

use grantd::domain::grant::{Ask, Grant, GrantRequest, PresentedClient, ProviderRef, SecretVia};
use grantd::domain::{MintAsk, ScopeSet};
use grantd::engine::forward_auth::{Act, Question};
use serde_json::json;

use crate::support::app::{TestApp, TestClient, on_both_apps};
use crate::support::people::{Wish, text};

fn provider() -> ProviderRef {
    ProviderRef { slug: "default".into(), must_serve: None, key_decides: false }
}

fn secret(client: &TestClient) -> PresentedClient {
    let (client_id, secret) = (client.id.as_str().into(), client.secret.as_str().into());
    PresentedClient::Secret { client_id, secret, via: SecretVia::Basic }
}

fn request(client: &TestClient) -> GrantRequest {
    GrantRequest { provider: provider(), client: secret(client), grant: Grant::ClientCredentials, ask: Ask::default() }
}

/// What a future says when it is polled once, with nobody to wake.
fn first_poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).as_mut().poll(&mut Polling::from_waker(Waker::noop()))
}

fn is_granted(app: &TestApp, client: &TestClient) -> bool {
    let ctx = app.context();
    match first_poll(app.engine.grant(&ctx, request(client))) {
        Poll::Ready(granted) => granted.is_ok(),
        Poll::Pending => false,
    }
}

fn is_introspected(app: &TestApp, caller: PresentedClient, token: &str) -> bool {
    let (ctx, provider) = (app.context(), provider());
    match first_poll(app.engine.introspect(&ctx, &provider, caller, token, None)) {
        Poll::Ready(claims) => claims.unwrap().is_some(),
        Poll::Pending => false,
    }
}

/// The one question of a gateway about a token for provider `default`.
fn is_passed(app: &TestApp, token: &str) -> bool {
    let (ctx, provider) = (app.context(), provider());
    let question = Question {
        token: Some(token),
        act: Act::Change,
        scope: ScopeSet::default(),
        audience: None,
        preflight_passes: false,
    };
    match first_poll(app.engine.forward_auth(&ctx, &provider, &question)) {
        Poll::Ready(claims) => claims.unwrap().is_some(),
        Poll::Pending => false,
    }
}

/// Whether a read is seen as waiting. A very quick one may be over within the first poll, so one of
/// many is enough.
async fn waits_for_unknown_clients(app: &TestApp) -> bool {
    for _ in 0..30 {
        let client = app.client(json!({})).await;
        if !is_granted(app, &client) {
            return true;
        }
    }
    false
}

on_both_apps! {
    async fn client_credentials_and_introspection_are_ready_on_the_first_poll(app: TestApp) {
        assert!(waits_for_unknown_clients(&app).await, "a client that nobody knows yet has to be read");
        for format in ["jwt", "opaque"] {
            let client = app.client(json!({"access_token_format": format, "scope": "a"})).await;
            let token = app.token(&client).await;
            for _ in 0..3 {
                assert!(is_granted(&app, &client), "{format}");
            }
            let key = || PresentedClient::ApiKey { key: app.first.owner_key.as_str().into() };
            app.is_active(&token).await;
            for _ in 0..3 {
                assert!(is_introspected(&app, secret(&client), &token), "{format}");
                assert!(is_introspected(&app, key(), &token), "{format}");
                assert!(is_passed(&app, &token), "{format}");
            }
        }
    }

    async fn minting_is_ready_on_the_first_poll(app: TestApp) {
        let key = app.api_key(json!({"role": "member", "audience": ["api"]})).await;
        let client = app.client(json!({"may_mint": true})).await;
        let by_key = || PresentedClient::ApiKey { key: key.as_str().into() };
        for one_time in [false, true] {
            let callers: [&dyn Fn() -> PresentedClient; 2] = [&by_key, &|| secret(&client)];
            for caller in callers {
                let wanted = || {
                    let mint = MintAsk { one_time, ttl: Some(30), ..MintAsk::default() };
                    GrantRequest { provider: provider(), client: caller(), grant: Grant::Mint(Box::new(mint)), ask: Ask::default() }
                };
                let ctx = app.context();
                app.engine.grant(&ctx, wanted()).await.unwrap();
                for _ in 0..3 {
                    let Poll::Ready(granted) = first_poll(app.engine.grant(&ctx, wanted())) else { panic!("it waited") };
                    assert_eq!(granted.unwrap().one_time, one_time);
                }
            }
        }
    }

    async fn a_usegrant_token_is_ready_on_the_first_poll(app: TestApp) {
        let key = app.api_key(json!({"role": "admin"})).await;
        let made = |path: String| app.post(&path).bearer(&key).json(&json!({"name": "Acme", "description": "x", "audience": "api"})).send();
        let provider = text(&made("/v1/providers".to_owned()).await.json(), "id");
        let client = text(&made(format!("/v1/providers/{provider}/clients")).await.json(), "id");
        let mut ctx = app.context();
        ctx.surface = "usegrant";
        let actor = app.engine.actor(&ctx, Some(&key.as_str().into())).await.unwrap();
        let ask = Ask { force_jwt: true, signing_alg: Some(grantd::domain::SigningAlg::Rs256), ..Ask::default() };
        let mint = || MintAsk { for_client: Some(client.as_str().into()), ..MintAsk::default() };
        app.engine.mint_for_own_client(&ctx, &actor, &provider, mint(), &ask).await.unwrap();
        for _ in 0..3 {
            let minted = app.engine.mint_for_own_client(&ctx, &actor, &provider, mint(), &ask);
            let Poll::Ready(granted) = first_poll(minted) else { panic!("it waited") };
            granted.unwrap();
        }
    }

    async fn a_node_that_knows_nothing_yet_has_to_read(app: TestApp) {
        let client = app.client(json!({})).await;
        let token = app.token(&client).await;
        let cold = app.second_node().await;
        assert!(waits_for_unknown_clients(&cold).await);
        cold.token(&client).await;
        assert!(is_granted(&cold, &client));
        assert!(is_introspected(&cold, secret(&client), &token));
    }

    async fn a_persons_token_is_introspected_on_the_first_poll(app: TestApp) {
        let who = app.logged_in("ada").await;
        for (format, scope) in [("jwt", "openid"), ("opaque", "openid"), ("jwt", "openid offline_access")] {
            let client = app.web_client(json!({"access_token_format": format})).await;
            let token = text(&app.tokens(&client, &who, &Wish { scope, ..Wish::default() }).await, "access_token");
            app.is_active(&token).await;
            let key = || PresentedClient::ApiKey { key: app.first.owner_key.as_str().into() };
            for _ in 0..3 {
                assert!(is_introspected(&app, secret(&client), &token), "{format} {scope}");
                assert!(is_introspected(&app, key(), &token), "{format} {scope}");
            }
        }
    }
}
