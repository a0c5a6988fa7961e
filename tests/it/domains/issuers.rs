//! What a domain does to the issuer: nothing until it is primary, and old tokens verify until they
//! expire.

use std::sync::Arc;

use grantd::domain::grant::ProviderRef;
use grantd::engine::cache::providers::ProviderEntry;
use serde_json::{Value, json};

use super::{added, at, deleted, fresh_name, issuer_at, made_primary, path_of, proven, publish, text, verify};
use crate::support::app::{ISSUER, Setup, TestApp, on_both_apps};
use crate::support::browser::{Browser, authorize_path, claims};
use crate::support::jose::{Signer, decoded};

async fn issuer_of_provider(app: &TestApp, provider: &str) -> String {
    let shown = app.admin("GET", &format!("/providers/{provider}")).send().await.json();
    text(&shown, "issuer").to_owned()
}

fn issuer_in(token: &str) -> Value {
    decoded(token).1["iss"].clone()
}

async fn entry(app: &TestApp, slug: &str) -> Arc<ProviderEntry> {
    let named = ProviderRef { slug: slug.into(), must_serve: None, key_decides: false };
    app.engine.described(&app.context(), &named).await.unwrap()
}

on_both_apps! {
    async fn new_tokens_carry_the_domain_while_it_is_primary_and_old_ones_verify(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (name, base) = (fresh_name(), format!("{ISSUER}/p/acme"));
        let own = format!("https://{name}");
        let domain = proven(&app, "acme", &name).await;
        let client = app.client_of("acme", json!({})).await;
        let active = async |token: &str, host: &str, path: &str| {
            let call = at(&app, host, "POST", path).form(&[("token", token)]).bearer(&app.first.owner_key);
            call.send().await.json()["active"] == json!(true)
        };
        let before = app.token_at("/p/acme", &client).await;
        assert_eq!(issuer_in(&before), json!(base), "verified is not primary");
        let etag = app.admin("GET", "/providers/acme").send().await.header("etag").to_owned();

        let domain = made_primary(&app, "acme", &domain, true).await;
        assert_eq!(issuer_of_provider(&app, "acme").await, own);
        assert_ne!(app.admin("GET", "/providers/acme").send().await.header("etag"), etag, "the provider shows another issuer");
        let during = app.token_at("/p/acme", &client).await;
        assert_eq!(issuer_in(&during), json!(own), "wherever it was asked for");
        let below = app.get("/p/acme/.well-known/openid-configuration").send().await.json();
        assert_eq!((text(&below, "issuer"), issuer_at(&app, &name).await), (base.as_str(), Ok(own.clone())), "both state themselves");

        made_primary(&app, "acme", &domain, false).await;
        assert_eq!(issuer_of_provider(&app, "acme").await, base);
        let after = app.token_at("/p/acme", &client).await;
        assert_eq!(issuer_in(&after), json!(base));
        for token in [&before, &during, &after] {
            assert!(active(token, "id.example.com", "/p/acme/oauth2/introspect").await && active(token, &name, "/oauth2/introspect").await);
        }
        deleted(&app, "acme", &domain).await;
        assert!(active(&during, "id.example.com", "/p/acme/oauth2/introspect").await, "until it expires");
        app.pass(3601);
        assert!(!active(&during, "id.example.com", "/p/acme/oauth2/introspect").await);
    }

    async fn a_login_says_the_primary_issuer_everywhere(app: TestApp) {
        let name = fresh_name();
        let domain = proven(&app, "default", &name).await;
        made_primary(&app, "default", &domain, true).await;
        app.person("ada").await;
        let client = app.web_client(json!({})).await;
        let arrived = Browser::new(&app).authorize(&authorize_path("", &client, &[("scope", "openid")]), "ada").await;
        assert_eq!(arrived.parameter("iss"), Some(format!("https://{name}")), "RFC 9207");
        let tokens = app.redeem("", &client, &arrived.code()).await.json();
        for token in ["id_token", "access_token"] {
            assert_eq!(claims(text(&tokens, token))["iss"], json!(format!("https://{name}")), "{token}");
        }
    }

    async fn one_domain_is_primary_at_most_and_the_primary_one_is_not_deleted(app: TestApp) {
        let (one, two) = (proven(&app, "default", &fresh_name()).await, proven(&app, "default", &fresh_name()).await);
        made_primary(&app, "default", &one, true).await;
        let refused = app.admin("DELETE", &path_of("default", &one)).send().await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        made_primary(&app, "default", &two, true).await;
        let shown = app.admin("GET", &path_of("default", &one)).send().await;
        assert_eq!((&shown.json()["primary"], shown.header("etag")), (&json!(false), "\"4\""), "what it shows has changed");
        assert_eq!(issuer_of_provider(&app, "default").await, text(&two, "issuer"));
        deleted(&app, "default", &one).await;
        made_primary(&app, "default", &two, false).await;
        assert_eq!(issuer_of_provider(&app, "default").await, ISSUER);
        deleted(&app, "default", &two).await;
    }

    async fn the_public_url_stays_what_it_is_under_a_primary_domain(app: TestApp) {
        let name = fresh_name();
        let domain = proven(&app, "default", &name).await;
        made_primary(&app, "default", &domain, true).await;
        let made = app.provider("acme", json!({})).await;
        assert_eq!(text(&made, "issuer"), format!("{ISSUER}/p/acme"));
        assert_eq!(text(&proven(&app, "acme", &fresh_name()).await, "issuer").matches("/p/").count(), 0);
        // Neither of its issuers is somebody else.
        for issuer in [ISSUER.to_owned(), format!("https://{name}"), format!("{ISSUER}/p/yet-to-come")] {
            let answer = app.admin("POST", "/providers/default/trusted-issuers").json(&json!({"issuer": issuer, "audiences": ["a"]})).send().await;
            assert_eq!(answer.status, 422, "{issuer}");
        }
        let own_host = app.admin("POST", "/providers/acme/domains").json(&json!({"domain": "id.example.com"})).send().await;
        assert_eq!(own_host.status, 422);
    }

    async fn a_surface_may_ask_for_the_issuer_of_the_domain(app: TestApp) {
        app.provider("acme", json!({})).await;
        let base = format!("{ISSUER}/p/acme");
        let chosen = async || {
            let entry = entry(&app, "acme").await;
            (entry.domain_issuer().map(str::to_owned), entry.base_issuer().to_owned())
        };
        assert_eq!(chosen().await, (None, base.clone()));
        added(&app, "acme", &fresh_name()).await;
        assert_eq!(chosen().await.0, None, "one that is not verified is none");
        let first = proven(&app, "acme", &fresh_name()).await;
        app.pass(1);
        let second = proven(&app, "acme", &fresh_name()).await;
        let issuer = |domain: &Value| Some(text(domain, "issuer").to_owned());
        assert_eq!(chosen().await, (issuer(&first), base.clone()), "the one that was proven first");
        made_primary(&app, "acme", &second, true).await;
        assert_eq!(chosen().await, (issuer(&second), base.clone()), "the primary one");
        made_primary(&app, "acme", &second, false).await;
        deleted(&app, "acme", &first).await;
        assert_eq!(chosen().await, (issuer(&second), base));
    }

    async fn an_assertion_may_name_a_domain_for_as_long_as_it_is_the_providers(app: TestApp) {
        let name = fresh_name();
        let domain = proven(&app, "default", &name).await;
        let signer = Signer::es256();
        let client = app.client(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [signer.jwk("k1")]}})).await;
        let asked = async |audience: String, jti: &str| {
            let claims = json!({"iss": client.id, "sub": client.id, "aud": audience, "exp": app.now() + 60, "iat": app.now(), "jti": jti});
            let assertion = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims);
            let form = [
                ("grant_type", "client_credentials"), ("client_assertion", assertion.as_str()),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ];
            at(&app, &name, "POST", "/oauth2/token").form(&form).send().await.status
        };
        assert_eq!(asked(format!("https://{name}"), "1").await, 200);
        assert_eq!(asked(format!("https://{name}/oauth2/token"), "2").await, 200);
        assert_eq!(asked(ISSUER.to_owned(), "3").await, 200);
        assert_eq!(asked("https://other.example".to_owned(), "4").await, 401);
        deleted(&app, "default", &domain).await;
        assert_eq!(asked(format!("https://{name}"), "5").await, 401, "whoever has the domain now must not use it here");
        assert_eq!(asked(ISSUER.to_owned(), "6").await, 200);
    }

    async fn a_domain_that_went_to_another_provider_is_that_providers_alone(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        let domain = proven(&app, "default", &name).await;
        made_primary(&app, "default", &domain, true).await;
        let client = app.client(json!({})).await;
        let old = app.token(&client).await;
        made_primary(&app, "default", &domain, false).await;
        deleted(&app, "default", &domain).await;
        let heir = added(&app, "acme", &name).await;
        publish(&heir);
        assert_eq!(verify(&app, "acme", &heir).await.json()["verified"], json!(true));
        made_primary(&app, "acme", &heir, true).await;
        assert_eq!(issuer_in(&old), json!(format!("https://{name}")));
        assert!(app.is_active(&old).await, "its own provider still knows it");
        let call = at(&app, &name, "POST", "/oauth2/introspect").form(&[("token", &old)]).bearer(&app.first.owner_key);
        assert_eq!(call.send().await.json(), json!({"active": false}), "the new one never made it");
    }

    async fn issuers_of_domains_follow_the_public_url(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (one, two) = (fresh_name(), fresh_name());
        let primary = proven(&app, "acme", &one).await;
        made_primary(&app, "acme", &primary, true).await;
        proven(&app, "acme", &two).await;
        let client = app.client_of("acme", json!({})).await;
        let token = app.token_at("/p/acme", &client).await;
        let moved = app.started_again_as(Setup { public_url: "https://new.example:81", ..Setup::default() }).await;
        assert_eq!(issuer_of_provider(&moved, "acme").await, format!("https://{one}:81"), "still the primary one");
        for name in [&one, &two] {
            assert_eq!(issuer_at(&moved, &format!("{name}:81")).await, Ok(format!("https://{name}:81")));
        }
        assert_eq!(issuer_at(&moved, "new.example:81").await.as_deref(), Ok("https://new.example:81"));
        let call = moved.post("/p/acme/oauth2/introspect").form(&[("token", &token)]).bearer(&moved.first.owner_key);
        assert_eq!(call.send().await.json()["active"], json!(true), "old tokens verify");
        assert_eq!(issuer_in(&moved.token_at("/p/acme", &client).await), json!(format!("https://{one}:81")));
        made_primary(&moved, "acme", &primary, false).await;
        assert_eq!(issuer_of_provider(&moved, "acme").await, "https://new.example:81/p/acme", "the base has moved too");
    }

    async fn a_token_of_a_former_issuer_of_ours_is_exchanged_for_nobodys_login(app: TestApp) {
        app.provider("acme", json!({})).await;
        let name = fresh_name();
        let own = format!("https://{name}");
        // Somebody trusts the name before it is a domain of ours, with the keys of the provider to come.
        let keys = app.get("/p/acme/.well-known/jwks.json").send().await.json();
        let row = json!({"issuer": own, "jwks": keys, "audiences": [format!("{ISSUER}/p/acme"), own]});
        let rows = "/providers/default/trusted-issuers";
        assert_eq!(app.admin("POST", rows).json(&row).send().await.status, 201);
        let domain = proven(&app, "acme", &name).await;
        made_primary(&app, "acme", &domain, true).await;
        let client = app.client_of("acme", json!({})).await;
        let token = app.token_at("/p/acme", &client).await;
        assert_eq!(issuer_in(&token), json!(own));
        made_primary(&app, "acme", &domain, false).await;
        deleted(&app, "acme", &domain).await;

        let call = app.post("/p/acme/oauth2/introspect").form(&[("token", &token)]).bearer(&app.first.owner_key);
        assert_eq!(call.send().await.json()["active"], json!(true), "it still verifies");
        let said = app.admin("POST", &format!("{rows}/test")).json(&json!({"token": token})).send().await.json();
        assert_eq!(said["accepted"], json!(false));
        assert!(said.to_string().contains("a token of this server"), "{said}");
        for issuer in [own.clone(), own.to_uppercase(), format!("{own}/"), format!("{own}:443")] {
            let mut again = row.clone();
            again["issuer"] = json!(issuer);
            let answer = app.admin("POST", rows).json(&again).send().await;
            assert_eq!(answer.status, 422, "{issuer}: {}", answer.text());
        }
    }
}
