//! Tokens: what they say, how long they live, and in which form they are asked for.

use serde_json::{Value, json};

use crate::support::app::on_both_apps;
use crate::support::jose::{decoded, verified};
use crate::usegrant::{AUDIENCE, Sdk, refusal, slug, text};

async fn claims_of(sdk: &Sdk<'_>, provider: &Value, client: &Value, ask: Value) -> (Value, Value) {
    decoded(text(&sdk.token(provider, client, ask).await, "accessToken"))
}

on_both_apps! {
    async fn a_token_speaks_for_the_client_and_is_verified_by_the_providers_own_keys(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme App").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let token = sdk.token(&provider, &client, json!({})).await;
        let (header, claims) = decoded(text(&token, "accessToken"));
        assert_eq!((&header["alg"], &header["typ"]), (&json!("RS256"), &json!("at+jwt")));
        assert_eq!(claims["iss"], provider["issuer"]);
        assert_eq!((&claims["sub"], &claims["aud"]), (&client["subject"], &json!(AUDIENCE)));
        assert_eq!(claims["client_id"], client["id"]);
        let subject = text(&client, "subject");
        assert!(subject.len() == 32 && subject.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{subject}");
        assert_eq!(claims["exp"].as_i64().unwrap(), app.now() + 3600);
        assert_eq!(token["expiresAt"], "2027-01-15T09:00:00Z");
        // As a verifier goes: discovery, keys without an extension, signature.
        let base = format!("/p/{}", slug(&provider));
        let found = app.get(&format!("{base}/.well-known/openid-configuration")).send().await.json();
        assert_eq!(found["issuer"], provider["issuer"]);
        for path in ["jwks", "jwks.json"] {
            let jwks = app.get(&format!("{base}/.well-known/{path}")).send().await.json();
            verified(text(&token, "accessToken"), &jwks);
        }
        assert!(sdk.is_active(&provider, text(&token, "accessToken")).await);
    }

    async fn the_switches_change_the_type_and_the_form_of_the_audience_and_nothing_else(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        for (ask, typ, audience) in [
            (json!({"useJwtType": false, "audienceAsArray": false}), "at+jwt", json!(AUDIENCE)),
            (json!({"useJwtType": true}), "jwt", json!(AUDIENCE)),
            (json!({"audienceAsArray": true}), "at+jwt", json!([AUDIENCE])),
            (json!({"expiresIn": 0, "useJwtType": true, "audienceAsArray": true, "forceDefaultDomain": true}), "jwt", json!([AUDIENCE])),
        ] {
            let (header, claims) = claims_of(&sdk, &provider, &client, ask.clone()).await;
            assert_eq!((&header["typ"], &claims["aud"]), (&json!(typ), &audience), "{ask}");
            assert_eq!((&claims["iss"], &claims["sub"]), (&provider["issuer"], &client["subject"]), "{ask}");
        }
        for switch in ["useJwtType", "audienceAsArray", "forceDefaultDomain"] {
            for wrong in [json!("true"), json!(1), json!({})] {
                let answer = sdk.token_answer(&provider, &client, json!({switch: wrong})).await;
                let expected = format!("{switch} must be true or false");
                assert_eq!(refusal(&answer), (400, "bad_request".to_owned(), expected));
            }
        }
    }

    async fn a_lifetime_is_at_most_48_hours_and_0_is_the_usual_one(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        for (asked, lives) in [
            (json!(172_800), 172_800),
            (json!(172_800.0), 172_800),
            (json!(1), 1),
            (json!(1.5), 1),
            (json!(0.5), 1),
            (json!(0), 3600),
            (json!(0.0), 3600),
            (Value::Null, 3600),
        ] {
            let token = sdk.token(&provider, &client, json!({"expiresIn": asked})).await;
            let (_, claims) = decoded(text(&token, "accessToken"));
            assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), lives, "{asked}");
        }
        for asked in [json!(172_801), json!(172_800.5), json!(172_800_000), json!(-1), json!("60"), json!(true), json!([60])] {
            let answer = sdk.token_answer(&provider, &client, json!({"expiresIn": asked})).await;
            let expected = "expiresIn must be a number from 0 to 172800".to_owned();
            assert_eq!(refusal(&answer), (400, "bad_request".to_owned(), expected), "{asked}");
        }
    }

    async fn the_bounds_of_provider_client_and_key_hold_here_too(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let id = text(&provider, "id");
        let bounded = json!({"max_ttl": 600, "access_token_ttl": 300});
        assert_eq!(app.admin("PATCH", &format!("/providers/{id}")).json(&bounded).send().await.status, 200);
        let lifetime = async |sdk: &Sdk<'_>, seconds: i64| {
            let answer = sdk.token_answer(&provider, &client, json!({"expiresIn": seconds})).await;
            let text = answer.json()["accessToken"].as_str().map(str::to_owned);
            (answer.status, text.map(|token| decoded(&token).1["exp"].as_i64().unwrap() - app.now()))
        };
        assert_eq!(lifetime(&sdk, 600).await, (201, Some(600)));
        assert_eq!(lifetime(&sdk, 601).await, (400, None));
        let longer = sdk.token_answer(&provider, &client, json!({"expiresIn": 601})).await;
        assert_eq!(longer.json()["message"], "The lifetime must be from 1 to 600 seconds here.");
        assert_eq!(lifetime(&sdk, 0).await, (201, Some(300)), "what is usual at the provider");
        let key = json!({"name": "short", "role": "member", "provider": id, "max_ttl": 60});
        let short = Sdk::with(&app, &app.api_key(key).await);
        assert_eq!((lifetime(&short, 60).await, lifetime(&short, 61).await), ((201, Some(60)), (400, None)));
        let key = json!({"name": "other", "role": "member", "provider": id, "audience": ["https://other.example"]});
        let other = Sdk::with(&app, &app.api_key(key).await);
        assert_eq!(lifetime(&other, 60).await, (400, None), "the key may not mint for this audience");
    }

    async fn every_body_that_its_samples_and_clients_send_is_read(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let path = format!("/v1/providers/{}/clients/{}/tokens", text(&provider, "id"), text(&client, "id"));
        let call = || app.post(&path).bearer(&app.first.owner_key);
        let sample = r#"{"expiresIn": 0, "useJwtType": true, "audienceAsArray": true, "forceDefaultDomain": true}"#;
        for (media_type, body) in [
            ("", ""),
            ("application/json", ""),
            ("application/json", "{}"),
            ("application/json", " \n"),
            ("text/plain;charset=UTF-8", sample),
            ("", sample),
            ("application/json; charset=utf-8", r#"{"expiresIn":60,"somethingElse":[1]}"#),
        ] {
            let answer = call().body(media_type, body).send().await;
            assert_eq!(answer.status, 201, "{media_type} {body}: {}", answer.text());
        }
        for body in ["{", "[]", "null", "\"x\"", "{\"expiresIn\":1,\"expiresIn\":2}", "{\"expiresIn\":NaN}", "\u{0}"] {
            let answer = call().body("application/json", body).send().await;
            let (status, code, _) = refusal(&answer);
            assert_eq!((status, code.as_str()), (400, "bad_request"), "{body}");
        }
        let answer = call().body("application/json", " ".repeat(64 * 1024 + 1)).send().await;
        assert_eq!(refusal(&answer), (400, "bad_request".to_owned(), "The body is larger than 64 KiB.".to_owned()));
    }

    async fn tokens_end_with_their_client_and_their_provider(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let path = format!("providers/{}", text(&provider, "id"));
        let (first, second) = (sdk.client(&provider, AUDIENCE).await, sdk.client(&provider, AUDIENCE).await);
        let token = async |client| text(&sdk.token(&provider, client, json!({})).await, "accessToken").to_owned();
        let (of_first, of_second) = (token(&first).await, token(&second).await);
        sdk.delete(&format!("{path}/clients/{}", text(&first, "id"))).await;
        assert!(sdk.is_active(&provider, &of_second).await && !sdk.is_active(&provider, &of_first).await);
        let answer = sdk.token_answer(&provider, &first, json!({})).await;
        assert_eq!(refusal(&answer).0, 404);
        sdk.delete(&path).await;
        let gone = app.post(&format!("/p/{}/oauth2/introspect", slug(&provider))).form(&[("token", &of_second)]);
        assert_eq!(gone.bearer(&app.first.owner_key).send().await.status, 404);
        assert_eq!(refusal(&sdk.token_answer(&provider, &second, json!({})).await).0, 404);
    }

    async fn a_disabled_client_or_provider_gets_none(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let (id, client_id) = (text(&provider, "id"), text(&client, "id"));
        let switch = async |path: String, on: bool| {
            let answer = app.admin("PATCH", &path).json(&json!({"enabled": on})).send().await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        };
        switch(format!("/providers/{id}/clients/{client_id}"), false).await;
        assert_eq!(refusal(&sdk.token_answer(&provider, &client, json!({})).await).0, 404);
        switch(format!("/providers/{id}/clients/{client_id}"), true).await;
        sdk.token(&provider, &client, json!({})).await;
        switch(format!("/providers/{id}"), false).await;
        assert_eq!(refusal(&sdk.token_answer(&provider, &client, json!({})).await).0, 404);
    }
}
