//! What a request may ask and where its answer may go (RFC 6749 §4.1, RFC 7636, RFC 9207, RFC 9700).

use serde_json::json;

use crate::support::app::{ISSUER, on_both_apps};
use crate::support::browser::{Browser, CALLBACK, CHALLENGE, VERIFIER, authorize_path, claims};

on_both_apps! {
    async fn a_login_ends_with_a_code_the_state_and_the_issuer(app: TestApp) {
        let (client, user) = (app.web_client(json!({})).await, app.person("ada").await);
        let state = "ä&=%+\"<script>#/?";
        let left = Browser::new(&app).authorize(&authorize_path("", &client, &[("state", state)]), "ada").await;
        assert!(left.left().starts_with(&format!("{CALLBACK}?code=gc_")), "{}", left.left());
        assert_eq!(left.parameter("state").as_deref(), Some(state));
        assert_eq!(left.parameter("iss").as_deref(), Some(ISSUER));
        let answer = app.redeem("", &client, &left.code()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let tokens = answer.json();
        let id = claims(tokens["id_token"].as_str().unwrap());
        assert_eq!((&id["sub"], &id["aud"]), (&user["id"], &json!(client.id)));
        assert_eq!((&id["nonce"], &id["amr"], &id["auth_time"]), (&json!("n-0S6_WzA2Mj"), &json!(["pwd"]), &json!(app.now())));
        assert!(id["at_hash"].is_string() && id["sid"].is_string());
        assert!(app.is_active(tokens["access_token"].as_str().unwrap()).await);
    }

    async fn the_state_comes_back_only_if_it_was_sent(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let left = Browser::new(&app).authorize(&authorize_path("", &client, &[("state", "")]), "ada").await;
        assert_eq!(left.parameter("state"), None);
    }

    async fn get_and_post_both_work_and_form_post_answers_by_a_form(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        browser.authorize(&authorize_path("", &client, &[]), "ada").await.code();
        let path = authorize_path("", &client, &[("response_mode", "form_post")]);
        let query = path.split_once('?').unwrap().1.to_owned();
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = browser.send("POST", "/oauth2/authorize", Some(&fields)).await;
        assert_eq!(answer.status, 200);
        let text = answer.text();
        for part in ["name=\"code\" value=\"gc_", "name=\"state\"", "name=\"iss\"", CALLBACK] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }

    async fn nothing_leaves_before_client_and_redirect_uri_are_proven(app: TestApp) {
        let client = app.web_client(json!({"redirect_uris": [CALLBACK, "https://app.example.com/two"]})).await;
        let disabled = app.web_client(json!({"enabled": false})).await;
        let machine = app.client(json!({})).await;
        app.person("ada").await;
        let long = "x".repeat(5000);
        let others = [
            authorize_path("", &client, &[("client_id", "")]),
            authorize_path("", &client, &[("client_id", "nobody")]),
            authorize_path("", &client, &[("client_id", "' OR 1=1")]),
            authorize_path("", &client, &[("client_id", &long)]),
            authorize_path("", &disabled, &[]),
            authorize_path("", &machine, &[]),
            authorize_path("", &client, &[("redirect_uri", "")]),
            authorize_path("", &client, &[("redirect_uri", "https://app.example.com/cb/")]),
            authorize_path("", &client, &[("redirect_uri", "https://app.example.com.evil.test/cb")]),
            authorize_path("", &client, &[("redirect_uri", "https://app.example.com/cb#x")]),
            authorize_path("", &client, &[("redirect_uri", "javascript:alert(1)")]),
            format!("{}&client_id=other", authorize_path("", &client, &[])),
            format!("{}&state=again", authorize_path("", &client, &[])),
        ];
        for path in others {
            let arrived = Browser::new(&app).open(&path).await;
            let page = arrived.page();
            assert_eq!(page.status, 400, "{path}");
            assert!(!page.text().contains("login-form") && page.text().contains(page.header("x-request-id")), "{path}");
        }
    }

    async fn one_registered_redirect_uri_need_not_be_sent(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let left = Browser::new(&app).authorize(&authorize_path("", &client, &[("redirect_uri", "")]), "ada").await;
        let fields = [("grant_type", "authorization_code"), ("code", &left.code()), ("code_verifier", VERIFIER)];
        let answer = app.as_client("", &client, &fields).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn every_other_slip_goes_to_the_client(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let short = CHALLENGE[1..].to_owned();
        let long = "s".repeat(5000);
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[("response_type", "")], "invalid_request"),
            (&[("response_type", "token")], "unsupported_response_type"),
            (&[("response_type", "code id_token")], "unsupported_response_type"),
            (&[("response_type", "none")], "unsupported_response_type"),
            (&[("response_mode", "fragment")], "invalid_request"),
            (&[("scope", "openid admin")], "invalid_scope"),
            (&[("scope", "a\"b")], "invalid_scope"),
            (&[("code_challenge", "")], "invalid_request"),
            (&[("code_challenge", ""), ("code_challenge_method", "")], "invalid_request"),
            (&[("code_challenge_method", "plain")], "invalid_request"),
            (&[("code_challenge_method", "")], "invalid_request"),
            (&[("code_challenge_method", "s256")], "invalid_request"),
            (&[("code_challenge", &short)], "invalid_request"),
            (&[("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw/cM")], "invalid_request"),
            (&[("prompt", "none login")], "invalid_request"),
            (&[("prompt", "create")], "invalid_request"),
            (&[("max_age", "-1")], "invalid_request"),
            (&[("max_age", "soon")], "invalid_request"),
            (&[("claims", "[")], "invalid_request"),
            (&[("resource", "https://elsewhere.example")], "invalid_target"),
            (&[("resource", "relative")], "invalid_target"),
            (&[("request", "eyJhbGciOiJub25lIn0.e30.")], "request_not_supported"),
            (&[("request_uri", "https://169.254.169.254/x")], "request_uri_not_supported"),
            (&[("registration", "{}")], "registration_not_supported"),
            (&[("authorization_details", "[]")], "invalid_request"),
            (&[("state", &long)], "invalid_request"),
        ];
        for (more, error) in cases {
            let arrived = Browser::new(&app).open(&authorize_path("", &client, more)).await;
            assert_eq!(arrived.error(), *error, "{more:?}");
            assert_eq!(arrived.parameter("iss").as_deref(), Some(ISSUER), "{more:?}");
            if !more.iter().any(|(name, _)| *name == "state") {
                assert_eq!(arrived.parameter("state").as_deref(), Some("af0ifjsldkj"), "{more:?}");
            }
            assert!(arrived.left().starts_with(CALLBACK), "{}", arrived.left());
        }
    }

    async fn a_client_without_the_code_grant_is_told_so(app: TestApp) {
        let client = app.client(json!({"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"], "scope": "openid"})).await;
        assert_eq!(Browser::new(&app).open(&authorize_path("", &client, &[])).await.error(), "unauthorized_client");
    }

    async fn what_is_only_a_wish_is_accepted(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let wishes = [
            ("display", "popup"),
            ("ui_locales", "de en"),
            ("claims_locales", "de"),
            ("acr_values", "urn:mace:incommon:iap:silver"),
            ("login_hint", "ada"),
            ("max_age", "600"),
            ("unknown", "x"),
            ("claims", r#"{"userinfo":{"email":{"essential":true},"nickname":null},"id_token":{"auth_time":null}}"#),
        ];
        Browser::new(&app).authorize(&authorize_path("", &client, &wishes), "ada").await.code();
    }

    async fn a_native_app_chooses_the_port_of_its_loopback_address(app: TestApp) {
        let native = json!({
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "redirect_uris": ["http://127.0.0.1/cb", "com.example.app:/cb"],
        });
        let client = app.web_client(native).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let path = authorize_path("", &client, &[("redirect_uri", "http://127.0.0.1:49152/cb")]);
        let left = browser.authorize(&path, "ada").await;
        assert!(left.left().starts_with("http://127.0.0.1:49152/cb?code="), "{}", left.left());
        let path = authorize_path("", &client, &[("redirect_uri", "com.example.app:/cb")]);
        assert!(browser.open(&path).await.left().starts_with("com.example.app:/cb?code="));
        let path = authorize_path("", &client, &[("redirect_uri", "http://127.0.0.1:49152/other")]);
        assert_eq!(browser.open(&path).await.page().status, 400);
    }

    async fn no_header_chooses_the_issuer_or_a_place(app: TestApp) {
        let client = app.web_client(json!({})).await;
        let path = authorize_path("", &client, &[("prompt", "none")]);
        let forged = [("host", "evil.test"), ("x-forwarded-host", "evil.test"), ("forwarded", "host=evil.test;proto=http")];
        for (name, value) in forged {
            let answer = app.get(&path).header(name, value).send().await;
            let to = answer.header("location");
            assert!(to.starts_with(CALLBACK) && to.contains("iss=https%3A%2F%2Fid.example.com"), "{name}: {to}");
        }
    }

    async fn a_code_is_never_the_same_twice_and_no_token_leaves_here(app: TestApp) {
        let client = app.web_client(json!({})).await;
        app.person("ada").await;
        let browser = Browser::new(&app);
        let path = authorize_path("", &client, &[]);
        let first = browser.authorize(&path, "ada").await;
        let second = browser.open(&path).await;
        assert_ne!(first.code(), second.code());
        assert!(first.code().len() >= 46);
        for left in [first, second] {
            assert!(!left.left().contains("token"), "{}", left.left());
        }
        let answer = app.call("OPTIONS", "/oauth2/authorize").header("origin", "https://a.example").send().await;
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
}
