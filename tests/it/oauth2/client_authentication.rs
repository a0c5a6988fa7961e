//! How clients prove themselves by secret, and what happens to those who only pretend.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::app::{TestClient, on_both_apps};
use crate::support::http::refused;

const TOKEN: &str = "/oauth2/token";
const GRANT: [(&str, &str); 1] = [("grant_type", "client_credentials")];
/// 32 characters: as short as a chosen secret may be.
const CHOSEN: &str = "correct horse battery staple + %";

/// A generated secret of the right shape that nobody has.
fn other_secret() -> String {
    use grantd::crypto::{Random, credential};
    use secrecy::ExposeSecret as _;
    let made = credential::generate(grantd::domain::secret::SecretKind::ClientSecret, &Random::system());
    made.expose_secret().to_owned()
}

on_both_apps! {
    // CA1
    async fn a_wrong_secret_by_header_is_401_and_says_how_to_come_back(app: TestApp) {
        let client = app.client(json!({})).await;
        for wrong in [&other_secret(), "wrong", CHOSEN, &client.secret[..50], &client.secret.to_lowercase()] {
            let answer = app.post(TOKEN).form(&GRANT).basic(&client.id, wrong).send().await;
            assert_eq!(answer.refusal(), refused(401, "invalid_client"), "{wrong}");
            assert!(answer.header("www-authenticate").starts_with("Basic"), "{wrong}");
        }
    }

    // CA2
    async fn a_wrong_secret_in_the_body_is_an_invalid_client(app: TestApp) {
        let client = app.client(json!({"token_endpoint_auth_method": "client_secret_post"})).await;
        for wrong in [&other_secret(), "wrong", CHOSEN] {
            let form = [GRANT[0], ("client_id", &client.id), ("client_secret", wrong)];
            assert_eq!(app.post(TOKEN).form(&form).send().await.refusal(), refused(401, "invalid_client"));
        }
        let form = [GRANT[0], ("client_id", &client.id), ("client_secret", &client.secret)];
        assert_eq!(app.post(TOKEN).form(&form).send().await.status, 200);
    }

    // CA3
    async fn unknown_disabled_deleted_and_wrong_look_alike(app: TestApp) {
        let (client, off, gone) = (app.client(json!({})).await, app.client(json!({})).await, app.client(json!({})).await);
        app.change(&off, json!({"enabled": false})).await;
        app.admin("DELETE", &format!("/providers/default/clients/{}", gone.id)).send().await;
        let mut answers = Vec::new();
        for (id, secret) in [
            (client.id.as_str(), other_secret()),
            (&client.id, "wrong".to_owned()),
            ("nobody", other_secret()),
            ("nobody", "wrong".to_owned()),
            (&off.id, off.secret.clone()),
            (&gone.id, gone.secret.clone()),
            (app.first.client_id.as_str(), client.secret.clone()),
        ] {
            let answer = app.post(TOKEN).form(&GRANT).basic(id, &secret).send().await;
            answers.push((answer.status, answer.text(), answer.header("www-authenticate").to_owned()));
        }
        assert_eq!(answers[0].0, 401);
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    }

    // CA4
    async fn two_proofs_in_one_request_are_refused(app: TestApp) {
        let client = app.client(json!({})).await;
        let (id, secret) = (client.id.as_str(), client.secret.as_str());
        let assertion = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let both: [&[(&str, &str)]; 2] = [&[("client_id", id), ("client_secret", secret)], &[assertion, ("client_assertion", "a.b.c")]];
        for beside in both {
            let form: Vec<_> = GRANT.iter().chain(beside).copied().collect();
            let (status, code) = app.post(TOKEN).form(&form).basic(id, secret).send().await.refusal();
            assert_eq!((status, code.as_str()), (400, "invalid_request"));
        }
        let form = [GRANT[0], ("client_id", id), ("client_secret", secret), assertion, ("client_assertion", "a.b.c")];
        assert_eq!(app.post(TOKEN).form(&form).send().await.refusal(), refused(400, "invalid_request"));
        let twice = app.post(TOKEN).form(&GRANT).basic(id, secret).basic(id, secret);
        assert_eq!(twice.send().await.refusal(), refused(400, "invalid_request"));
    }

    // CA5
    async fn basic_user_and_password_are_form_decoded(app: TestApp) {
        let client = app.client(json!({"client_id": "a.b_c-d", "client_secret": CHOSEN})).await;
        let encoded = "correct+horse+battery%20staple+%2B+%25";
        let pair = |text: &str| format!("Basic {}", STANDARD.encode(format!("a.b%5Fc-d:{text}")));
        let answer = app.post(TOKEN).form(&GRANT).header("authorization", &pair(encoded)).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = app.post(TOKEN).form(&GRANT).header("authorization", &pair(CHOSEN)).send().await;
        assert_eq!(answer.refusal(), refused(401, "invalid_client"), "a plus is a space here");
        assert_eq!(app.post(TOKEN).form(&GRANT).basic(&client.id, CHOSEN).send().await.status, 200);
    }

    // CA6, here and at the other endpoints
    async fn only_the_registered_method_works(app: TestApp) {
        for (method, basic, post) in [("client_secret_basic", 200, 401), ("client_secret_post", 401, 200)] {
            for chosen in [None, Some(CHOSEN)] {
                let mut fields = json!({"token_endpoint_auth_method": method});
                if let Some(chosen) = chosen {
                    fields["client_secret"] = json!(chosen);
                }
                let client = app.client(fields).await;
                let secret = chosen.unwrap_or(&client.secret);
                let proof = [("client_id", client.id.as_str()), ("client_secret", secret)];
                for (path, own) in [(TOKEN, GRANT[0]), ("/oauth2/introspect", ("token", "x")), ("/oauth2/revoke", ("token", "x"))] {
                    let by_header = app.post(path).form(&[own]).basic(&client.id, secret).send().await;
                    let by_body = app.post(path).form(&[own, proof[0], proof[1]]).send().await;
                    assert_eq!((by_header.status, by_body.status), (basic, post), "{method} at {path}");
                }
            }
        }
    }

    // CA7
    async fn no_empty_or_malformed_credentials_are_refused_and_never_a_fault(app: TestApp) {
        let client = app.client(json!({})).await;
        let id = client.id.as_str();
        for form in [
            vec![],
            vec![("client_id", id)],
            vec![("client_id", id), ("client_secret", "")],
            vec![("client_secret", client.secret.as_str())],
            vec![("client_id", "")],
        ] {
            let form: Vec<_> = GRANT.into_iter().chain(form).collect();
            assert_eq!(app.post(TOKEN).form(&form).send().await.refusal(), refused(401, "invalid_client"), "{form:?}");
        }
        let huge = format!("Basic {}", STANDARD.encode("x".repeat(9000)));
        let pairs = [id.to_owned(), format!("{id}:"), format!(":{}", client.secret), format!("{id}:%FF")];
        let encoded = pairs.map(|pair| format!("Basic {}", STANDARD.encode(pair)));
        let others = ["Basic", "Basic ", "Basic !!!", "Basic\t", "Negotiate abc", "Digest a=b", "Bearer", "x", "", &huge];
        for header in encoded.iter().map(String::as_str).chain(others) {
            let answer = app.post(TOKEN).form(&GRANT).header("authorization", header).send().await;
            assert_eq!(answer.refusal(), refused(401, "invalid_client"), "{header:.40}");
        }
    }

    // CA9
    async fn a_client_id_beside_another_client_is_refused(app: TestApp) {
        let client = app.client(json!({})).await;
        let form = [GRANT[0], ("client_id", app.first.client_id.as_str())];
        let (status, _) = app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await.refusal();
        assert!([400, 401].contains(&status));
        let form = [GRANT[0], ("client_id", client.id.as_str())];
        assert_eq!(app.post(TOKEN).form(&form).basic(&client.id, &client.secret).send().await.status, 200);
    }

    // CA10
    async fn guessing_is_slowed_but_a_right_generated_secret_never(app: TestApp) {
        let client = app.client(json!({})).await;
        let mut slowed = 0;
        for number in 0..150 {
            let wrong = if number % 2 == 0 { other_secret() } else { format!("{number} is a guess of some length, is it not") };
            let answer = app.post(TOKEN).form(&GRANT).basic(&client.id, &wrong).send().await;
            if answer.status == 429 {
                let seconds: i64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=60).contains(&seconds));
                slowed += 1;
            } else {
                assert_eq!(answer.refusal(), refused(401, "invalid_client"));
            }
        }
        assert_eq!(slowed, 130, "twenty failures a minute are free");
        assert_eq!(app.post(TOKEN).form(&GRANT).basic(&client.id, &client.secret).send().await.status, 200);
        let elsewhere = app.post(TOKEN).form(&GRANT).basic(&client.id, "wrong").at_address("198.51.100.7").send().await;
        assert_eq!(elsewhere.status, 401, "another address is not slowed");
        app.pass(60);
        let later = app.post(TOKEN).form(&GRANT).basic(&client.id, "wrong").send().await;
        assert_eq!(later.status, 401, "a minute later it may try again");
    }

    // Which check runs depends on what is presented.
    async fn chosen_secrets_work_and_must_be_long_and_not_look_generated(app: TestApp) {
        let client = app.client(json!({"client_secret": CHOSEN})).await;
        assert_eq!(client.body["client_secret"], json!(CHOSEN));
        for _ in 0..2 {
            assert_eq!(app.post(TOKEN).form(&GRANT).basic(&client.id, CHOSEN).send().await.status, 200);
        }
        for bad in [&CHOSEN[..31], "", "gs_0123456789012345678901234567890123456789", &"x".repeat(501)] {
            let answer = app.admin("POST", "/providers/default/clients").json(&json!({"client_secret": bad})).send().await;
            assert_eq!(answer.status, 422, "{bad}");
        }
    }

    async fn several_secrets_stand_side_by_side_and_end_one_by_one(app: TestApp) {
        let client = app.client(json!({})).await;
        let path = format!("/providers/default/clients/{}/secrets", client.id);
        let second = app.admin("POST", &path).json(&json!({})).send().await.json();
        let chosen = app.admin("POST", &path).json(&json!({"client_secret": CHOSEN})).send().await.json();
        let works = async |secret: &str| app.post(TOKEN).form(&GRANT).basic(&client.id, secret).send().await.status == 200;
        let second_secret = second["client_secret"].as_str().unwrap();
        assert!(works(&client.secret).await && works(second_secret).await && works(CHOSEN).await);
        let token = app.token(&client).await;
        let revoke = async |secret: &serde_json::Value| {
            let path = format!("{path}/{}", secret["id"].as_str().unwrap());
            app.admin("DELETE", &path).send().await.status
        };
        assert_eq!(revoke(&second).await, 204);
        assert!(works(&client.secret).await && !works(second_secret).await && works(CHOSEN).await);
        assert_eq!(revoke(&chosen).await, 204);
        assert!(!works(CHOSEN).await, "a remembered chosen secret is forgotten when it is revoked");
        assert!(app.is_active(&token).await, "tokens outlive the secret they were got with");
        let listed = app.admin("GET", &path).send().await;
        assert!(!listed.text().contains("gs_") && !listed.text().contains(CHOSEN), "secrets are shown once");
    }

    async fn a_client_has_at_most_eight_live_secrets(app: TestApp) {
        let client = app.client(json!({})).await;
        let path = format!("/providers/default/clients/{}/secrets", client.id);
        for _ in 1..8 {
            assert_eq!(app.admin("POST", &path).send().await.status, 201);
        }
        assert_eq!(app.admin("POST", &path).send().await.status, 422);
    }

    async fn a_secret_ends_when_it_expires(app: TestApp) {
        let client = app.client(json!({})).await;
        let path = format!("/providers/default/clients/{}/secrets", client.id);
        for chosen in [None, Some(CHOSEN)] {
            // BEGIN is 2027-01-15T08:00:00Z.
            let at = if chosen.is_none() { "2027-01-15T08:01:00Z" } else { "2027-01-15T08:02:00Z" };
            let mut body = json!({"expires_at": at});
            if let Some(chosen) = chosen {
                body["client_secret"] = json!(chosen);
            }
            let made = app.admin("POST", &path).json(&body).send().await;
            assert_eq!(made.status, 201, "{}", made.text());
            let secret = made.json()["client_secret"].as_str().unwrap().to_owned();
            app.pass(59);
            assert_eq!(app.post(TOKEN).form(&GRANT).basic(&client.id, &secret).send().await.status, 200);
            app.pass(1);
            assert_eq!(app.post(TOKEN).form(&GRANT).basic(&client.id, &secret).send().await.status, 401);
        }
        let past = app.admin("POST", &path).json(&json!({"expires_at": "2020-01-01T00:00:00Z"})).send().await;
        assert_eq!(past.status, 422);
    }

    // Disabling ends tokens; enabling again revives nothing.
    async fn a_disabled_client_and_its_tokens_are_refused_at_once(app: TestApp) {
        let client = app.client(json!({})).await;
        let opaque = app.client(json!({"access_token_format": "opaque"})).await;
        let tokens = [app.token(&client).await, app.token(&opaque).await];
        for (client, token) in [(&client, &tokens[0]), (&opaque, &tokens[1])] {
            app.change(client, json!({"enabled": false})).await;
            assert!(!app.is_active(token).await);
            assert_eq!(app.post(TOKEN).form(&GRANT).basic(&client.id, &client.secret).send().await.status, 401);
            app.change(client, json!({"enabled": true})).await;
            assert!(!app.is_active(token).await);
            assert!(app.is_active(&app.token(client).await).await);
        }
    }

    async fn a_deleted_client_and_its_tokens_are_gone_for_ever(app: TestApp) {
        let client = app.client(json!({"client_id": "robot"})).await;
        let token = app.token(&client).await;
        let path = format!("/providers/default/clients/{}", client.id);
        assert_eq!(app.admin("DELETE", &path).send().await.status, 204);
        assert!(!app.is_active(&token).await);
        assert_eq!(app.post(TOKEN).form(&GRANT).basic(&client.id, &client.secret).send().await.status, 401);
        assert_eq!(app.admin("GET", &path).send().await.status, 404);
        let listed = app.admin("GET", "/providers/default/clients").send().await;
        assert!(!listed.text().contains("robot"));
        assert_eq!(app.admin("DELETE", &path).send().await.status, 404);
        let again = app.admin("POST", "/providers/default/clients").json(&json!({"client_id": "robot"})).send().await;
        assert_eq!(again.status, 409, "its id is never used again");
    }

    // What belongs to one provider is unknown at every other.
    async fn clients_of_one_provider_are_unknown_at_another(app: TestApp) {
        app.provider("acme", json!({})).await;
        let here = app.client(json!({"client_id": "robot"})).await;
        let there: TestClient = app.client_of("acme", json!({"client_id": "robot"})).await;
        for (base, client, status) in
            [("", &here, 200), ("/p/acme", &there, 200), ("", &there, 401), ("/p/acme", &here, 401), ("/p/none", &here, 404), ("/p/default", &here, 404)]
        {
            let call = app.post(&format!("{base}/oauth2/token")).form(&GRANT).basic(&client.id, &client.secret);
            assert_eq!(call.send().await.status, status, "{base}");
        }
    }
}
