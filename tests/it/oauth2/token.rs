//! The token endpoint and client_credentials.

use serde_json::{Value, json};

use crate::support::app::{ISSUER, on_both_apps};
use crate::support::http::{FORM, JSON, refused};
use crate::support::jose::{decoded, verified};

const TOKEN: &str = "/oauth2/token";
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];

on_both_apps! {
    // TE1
    async fn only_post_asks_for_a_token(app: TestApp) {
        for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "TRACE", "PROPFIND"] {
            let answer = app.call(method, TOKEN).send().await;
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(answer.header("allow"), "POST, OPTIONS");
        }
    }

    // TE2
    async fn nothing_is_read_from_the_query(app: TestApp) {
        let client = app.client(json!({"token_endpoint_auth_method": "client_secret_post", "scope": "a b"})).await;
        let (id, secret) = (client.id.as_str(), client.secret.as_str());
        let query = format!("{TOKEN}?grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let answer = app.post(&query).body(FORM, "").send().await;
        assert_eq!(answer.refusal(), refused(400, "invalid_request"));
        let answer = app.post(&query).form(&GRANT).send().await;
        assert_eq!(answer.refusal(), refused(401, "invalid_client"));
        let full = [GRANT[0], ("client_id", id), ("client_secret", secret)];
        let answer = app.post(&format!("{TOKEN}?scope=a&grant_type=password")).form(&full).send().await;
        assert_eq!((answer.status, &answer.json()["scope"]), (200, &json!("a b")));
    }

    // TE3
    async fn an_unknown_grant_type_is_unsupported(app: TestApp) {
        let client = app.client(json!({})).await;
        let strange = ["Client_Credentials", "client_credentials ", " client_credentials", "__proto__", "implicit", "ä", "%"];
        for grant_type in strange {
            let call = app.post(TOKEN).form(&[("grant_type", grant_type)]).basic(&client.id, &client.secret);
            assert_eq!(call.send().await.refusal(), refused(400, "unsupported_grant_type"), "{grant_type}");
        }
    }

    // TE4, TE11
    async fn a_missing_or_empty_grant_type_is_an_invalid_request(app: TestApp) {
        let client = app.client(json!({})).await;
        for body in ["", "grant_type=", "scope=a", "grant_type"] {
            let answer = app.post(TOKEN).body(FORM, body).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{body}");
        }
    }

    // TE5
    async fn the_password_grant_is_refused_and_not_advertised(app: TestApp) {
        let client = app.client(json!({})).await;
        let form = [("grant_type", "password"), ("username", "ann"), ("password", "secret")];
        let answer = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.refusal(), refused(400, "unauthorized_client"));
        let metadata = app.get("/.well-known/openid-configuration").send().await.json();
        assert!(!metadata["grant_types_supported"].to_string().contains("password"));
        let asked = json!({"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]});
        let answer = app.admin("POST", "/providers/default/clients").json(&asked).send().await;
        assert_eq!(answer.status, 422, "a grant that is not built is not registered");
    }

    // TE6
    async fn a_repeated_parameter_is_refused(app: TestApp) {
        let client = app.client(json!({"scope": "a"})).await;
        for again in ["grant_type=client_credentials", "scope=a&scope=a", "x=1&x=2", "scope=&scope="] {
            let body = format!("grant_type=client_credentials&{again}");
            let answer = app.post(TOKEN).body(FORM, body).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{again}");
        }
    }

    // TE7
    async fn only_a_form_is_read(app: TestApp) {
        let client = app.client(json!({})).await;
        let form = "grant_type=client_credentials";
        for media_type in ["", JSON, "text/plain", "multipart/form-data; boundary=x", "application/xml", "x", ";"] {
            let answer = app.post(TOKEN).body(media_type, form).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_request"), "{media_type}");
        }
        for media_type in [FORM, "application/x-www-form-urlencoded; charset=UTF-8", "Application/X-WWW-Form-Urlencoded"] {
            let answer = app.post(TOKEN).body(media_type, form).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.status, 200, "{media_type}: {}", answer.text());
        }
    }

    // TE8, HT6
    async fn an_error_is_json_in_allowed_characters_and_not_stored(app: TestApp) {
        let bodies = ["", "grant_type=x", "grant_type=client_credentials", "a=1&a=2", "%", "scope=%22%5C&grant_type=client_credentials"];
        for body in bodies {
            let answer = app.post(TOKEN).body(FORM, body).send().await;
            assert!((400..500).contains(&answer.status), "{body}");
            assert_eq!(answer.header("content-type"), JSON);
            assert_eq!(answer.header("cache-control"), "no-store");
            let description = answer.json()["error_description"].as_str().unwrap().to_owned();
            let allowed = |c: char| matches!(c, '\x20'..='\x21' | '\x23'..='\x5B' | '\x5D'..='\x7E');
            assert!(description.chars().all(allowed), "{description}");
        }
    }

    // TE9, TE14, CC1, CC2
    async fn a_client_gets_a_bearer_token_and_nothing_of_a_person(app: TestApp) {
        let client = app.client(json!({"scope": "orders:read"})).await;
        let answer = app.post(TOKEN).form(&GRANT).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.status, 200);
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        let body = answer.json();
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert!(body["expires_in"].is_i64());
        assert!(body.get("id_token").is_none() && body.get("refresh_token").is_none(), "{body}");
    }

    // The client of the first run, as the printed line asks.
    async fn the_first_service_gets_its_token(app: TestApp) {
        let first = app.first.clone();
        let answer = app.post(TOKEN).form(&GRANT).basic(&first.client_id, &first.client_secret).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(answer.json().get("scope").is_none(), "first-service has no scope");
    }

    // TE10, TE11
    async fn unknown_parameters_are_ignored_and_empty_ones_count_as_absent(app: TestApp) {
        let client = app.client(json!({"scope": "a"})).await;
        let form = [GRANT[0], ("scope", ""), ("resource", ""), ("client_id", ""), ("foo", "bar"), ("client_assertion", "")];
        let answer = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await;
        assert_eq!((answer.status, &answer.json()["scope"]), (200, &json!("a")), "{}", answer.text());
    }

    // A restriction that would be lost is refused.
    async fn a_restriction_that_is_not_built_is_refused(app: TestApp) {
        let client = app.client(json!({})).await;
        let form = [GRANT[0], ("authorization_details", "[{}]")];
        let answer = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.refusal(), refused(400, "invalid_request"));
        let call = app.post(TOKEN).form(&GRANT).basic(&client.id, &client.secret).header("dpop", "ey.ey.ey");
        assert_eq!(call.send().await.refusal(), refused(400, "invalid_request"));
    }

    // TE15, AT3
    async fn the_granted_scope_is_told_and_stands_in_the_token(app: TestApp) {
        let client = app.client(json!({"scope": "a b c"})).await;
        for (asked, granted) in [(None, "a b c"), (Some("b"), "b"), (Some("c a"), "c a")] {
            let mut form = GRANT.to_vec();
            form.extend(asked.map(|asked| ("scope", asked)));
            let body = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await.json();
            let (_, claims) = decoded(body["access_token"].as_str().unwrap());
            let mut told: Vec<&str> = body["scope"].as_str().unwrap().split(' ').collect();
            assert_eq!(body["scope"], claims["scope"]);
            let mut granted: Vec<&str> = granted.split(' ').collect();
            told.sort_unstable();
            granted.sort_unstable();
            assert_eq!(told, granted);
        }
    }

    // CC4
    async fn a_scope_the_client_does_not_have_is_refused(app: TestApp) {
        let client = app.client(json!({"scope": "a"})).await;
        for scope in ["b", "a b", "A", "openid", "grantd:admin", "a\u{e4}", "a\"b", "a\\"] {
            let form = [GRANT[0], ("scope", scope)];
            let answer = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_scope"), "{scope}");
        }
        let bare = app.client(json!({})).await;
        let answer = app.post(TOKEN).form(&[GRANT[0], ("scope", "a")]).basic(&bare.id, &bare.secret).send().await;
        assert_eq!(answer.refusal(), refused(400, "invalid_scope"));
    }

    // CC3
    async fn a_public_client_gets_no_token_of_its_own(app: TestApp) {
        let public = app.client(json!({"token_endpoint_auth_method": "none", "grant_types": []})).await;
        let answer = app.post(TOKEN).form(&[GRANT[0], ("client_id", &public.id)]).send().await;
        assert_eq!(answer.refusal(), refused(400, "unauthorized_client"));
        let both = json!({"token_endpoint_auth_method": "none", "grant_types": ["client_credentials"]});
        assert_eq!(app.admin("POST", "/providers/default/clients").json(&both).send().await.status, 422);
    }

    // CG10 for this grant.
    async fn a_client_without_the_grant_is_unauthorized(app: TestApp) {
        let client = app.client(json!({"grant_types": []})).await;
        let answer = app.post(TOKEN).form(&GRANT).basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.refusal(), refused(400, "unauthorized_client"));
    }

    // CC5 as far as there are subjects, AT4
    async fn no_two_principals_have_one_subject(app: TestApp) {
        let client = app.client(json!({"subject": "robot"})).await;
        let (_, claims) = decoded(&app.token(&client).await);
        assert_eq!(claims["sub"], json!("robot"));
        assert_eq!(claims["client_id"], json!(client.id));
        let key = app.admin("POST", "/api-keys").json(&json!({"name": "k"})).send().await.json();
        for taken in ["robot", &app.first.client_id, key["id"].as_str().unwrap()] {
            let body = json!({"subject": taken});
            let answer = app.admin("POST", "/providers/default/clients").json(&body).send().await;
            assert_eq!(answer.status, 409, "{taken}: {}", answer.text());
        }
        let answer = app.admin("POST", "/providers/default/clients").json(&json!({"client_id": "robot"})).send().await;
        assert_eq!(answer.status, 409, "a client_id is a subject too");
        app.admin("DELETE", &format!("/providers/default/clients/{}", client.id)).send().await;
        let answer = app.admin("POST", "/providers/default/clients").json(&json!({"subject": "robot"})).send().await;
        assert_eq!(answer.status, 409, "never used again");
    }

    // AT1, AT2, AT3
    async fn a_jwt_is_as_rfc_9068_says(app: TestApp) {
        let client = app.client(json!({"scope": "a"})).await;
        let token = app.token(&client).await;
        let jwks = app.get("/.well-known/jwks.json").send().await.json();
        let (header, claims) = verified(&token, &jwks);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
        let expected = [("iss", ISSUER), ("aud", ISSUER), ("sub", &client.id), ("client_id", &client.id), ("scope", "a")];
        for (name, value) in expected {
            assert_eq!(claims[name], json!(value), "{name}");
        }
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(app.now()), &json!(app.now() + 3600)));
        let (_, next) = decoded(&app.token(&client).await);
        assert!(claims["jti"].is_string() && claims["jti"] != next["jti"]);
    }

    // AT1 for every algorithm a provider can sign with.
    async fn every_algorithm_verifies_by_a_foreign_library(app: TestApp) {
        for alg in ["RS256", "EdDSA", "ES256"] {
            let change = json!({"access_token_signing_alg": alg});
            assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
            let token = app.token(&app.client(json!({})).await).await;
            let jwks = app.get("/.well-known/jwks.json").send().await.json();
            assert_eq!(verified(&token, &jwks).0["alg"], json!(alg));
            assert!(app.is_active(&token).await);
        }
    }

    // AT3: `resource` (RFC 8707) and `audience` say the same wish.
    async fn a_client_asks_for_the_audiences_on_its_list(app: TestApp) {
        let (one, two) = ("https://one.example", "https://two.example");
        let client = app.client(json!({"audience": [one, two]})).await;
        let granted: [(&[(&str, &str)], Value); 5] = [
            (&[], json!(one)),
            (&[("resource", two)], json!(two)),
            (&[("audience", two)], json!(two)),
            (&[("resource", one), ("resource", two)], json!([one, two])),
            (&[("resource", two), ("audience", two)], json!(two)),
        ];
        for (asked, audience) in granted {
            let form: Vec<_> = GRANT.iter().chain(asked).copied().collect();
            let body = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await.json();
            assert_eq!(decoded(body["access_token"].as_str().unwrap()).1["aud"], audience, "{asked:?}");
        }
        // RI1
        for foreign in ["https://three.example", "two.example", "https://one.example#f", "https://one.example/", ISSUER, "a b"] {
            let form = [GRANT[0], ("resource", one), ("resource", foreign)];
            let answer = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await;
            assert_eq!(answer.refusal(), refused(400, "invalid_target"), "{foreign}");
        }
    }

    async fn without_a_list_the_audience_is_the_providers_default(app: TestApp) {
        let client = app.client(json!({})).await;
        assert_eq!(decoded(&app.token(&client).await).1["aud"], json!(ISSUER));
        let change = json!({"default_audience": "https://api.example"});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
        assert_eq!(decoded(&app.token(&client).await).1["aud"], json!("https://api.example"));
        let answer = app.post(TOKEN).form(&[GRANT[0], ("resource", "https://other.example")]);
        assert_eq!(answer.basic(&client.id, &client.secret).send().await.refusal(), refused(400, "invalid_target"));
    }

    // Settable per provider and client, never beyond the provider's bound.
    async fn lifetimes_are_the_clients_else_the_providers_within_its_bound(app: TestApp) {
        let (plain, short) = (app.client(json!({})).await, app.client(json!({"access_token_ttl": 60})).await);
        let long = app.client(json!({"access_token_ttl": 7200})).await;
        let lifetime = async |client: &_| {
            let (_, claims) = decoded(&app.token(client).await);
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap()
        };
        assert_eq!((lifetime(&plain).await, lifetime(&short).await, lifetime(&long).await), (3600, 60, 7200));
        let change = json!({"access_token_ttl": 600, "max_ttl": 900});
        assert_eq!(app.admin("PATCH", "/providers/default").json(&change).send().await.status, 200);
        assert_eq!((lifetime(&plain).await, lifetime(&short).await, lifetime(&long).await), (600, 60, 900));
        let answer = app.post(TOKEN).form(&GRANT).basic(&long.id, &long.secret).send().await;
        assert_eq!(answer.json()["expires_in"], json!(900), "expires_in tells the real lifetime");
    }

    async fn an_opaque_token_says_nothing_by_itself(app: TestApp) {
        let client = app.client(json!({"access_token_format": "opaque", "scope": "a"})).await;
        let token = app.token(&client).await;
        assert!(token.starts_with("ga_") && !token.contains('.') && !token.contains(&client.id), "{token}");
        assert_ne!(token, app.token(&client).await);
        let said = app.introspected(&token).await;
        assert_eq!((&said["active"], &said["client_id"], &said["scope"]), (&json!(true), &json!(client.id), &json!("a")));
        assert_eq!(said["exp"], json!(app.now() + 3600));
    }

    // An API key is no client.
    async fn an_api_key_gets_no_token(app: TestApp) {
        let answer = app.post(TOKEN).form(&GRANT).bearer(&app.first.owner_key).send().await;
        assert_eq!(answer.refusal(), refused(401, "invalid_client"));
    }
}
