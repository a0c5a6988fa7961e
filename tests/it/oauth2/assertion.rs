//! `private_key_jwt`: assertions that are good, and every way in which they are not.

use serde_json::{Value, json};

use crate::support::app::{BEGIN, ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::http::{Answer, refused};
use crate::support::jose::{Signer, encode};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

async fn registered(app: &TestApp, signer: &Signer, more: Value) -> TestClient {
    let mut fields = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [signer.jwk("k1")]}});
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    app.client(fields).await
}

fn header(signer: &Signer) -> Value {
    json!({"alg": signer.alg(), "kid": "k1"})
}

/// Good claims with a `jti` of their own.
fn claims(app: &TestApp, client: &TestClient, jti: &str) -> Value {
    json!({"iss": client.id, "sub": client.id, "aud": ISSUER, "exp": app.now() + 60, "iat": app.now(), "jti": jti})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

async fn presented(app: &TestApp, assertion: &str, beside: &[(&str, &str)]) -> Answer {
    let form = [("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", assertion)];
    let form: Vec<_> = form.iter().chain(beside).copied().collect();
    // Failures are many here, and slowing them is another test's matter.
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let address = format!("198.51.{}.{}", number / 250 % 250, number % 250);
    app.post("/oauth2/token").form(&form).at_address(&address).send().await
}

async fn refuses(app: &TestApp, assertion: &str, why: &str) {
    assert_eq!(presented(app, assertion, &[]).await.refusal(), refused(401, "invalid_client"), "{why}");
}

on_both_apps! {
    // JA1
    async fn a_good_assertion_gets_a_token_here_and_proves_at_the_other_endpoints(app: TestApp) {
        for (signer, aud) in [(Signer::es256(), json!(ISSUER)), (Signer::eddsa(), json!([ISSUER])), (Signer::es256(), json!(format!("{ISSUER}/oauth2/token")))] {
            let client = registered(&app, &signer, json!({})).await;
            let assertion = |jti: &str| signer.sign(&header(&signer), &with(claims(&app, &client, jti), "aud", aud.clone()));
            let answer = presented(&app, &assertion("1"), &[]).await;
            assert_eq!(answer.status, 200, "{aud}: {}", answer.text());
            let answer = presented(&app, &assertion("2"), &[("client_id", &client.id)]).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            let form = |jti: &str| [("token", token.clone()), ("client_assertion_type", TYPE.to_owned()), ("client_assertion", assertion(jti))];
            let pairs = form("3");
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(app.post("/oauth2/introspect").form(&pairs).send().await.json()["active"], json!(true));
            let pairs = form("4");
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            assert_eq!(app.post("/oauth2/revoke").form(&pairs).send().await.status, 200);
            assert!(!app.is_active(&token).await);
        }
    }

    // JA2, JA9, JA13
    async fn issuer_and_subject_are_the_client_and_nobody_else(app: TestApp) {
        let signer = Signer::es256();
        let (client, other) = (registered(&app, &signer, json!({})).await, registered(&app, &Signer::es256(), json!({})).await);
        let good = claims(&app, &client, "good");
        for (name, value) in [
            ("iss", json!(other.id)), ("sub", json!(other.id)), ("iss", Value::Null), ("sub", Value::Null),
            ("iss", json!([client.id])), ("sub", json!(7)), ("iss", json!("")), ("sub", json!("nobody")),
        ] {
            refuses(&app, &signer.sign(&header(&signer), &with(good.clone(), name, value.clone())), &format!("{name} {value}")).await;
        }
        let stolen = with(with(good.clone(), "iss", json!(other.id)), "sub", json!(other.id));
        refuses(&app, &signer.sign(&header(&signer), &stolen), "signed by another client").await;
        let answer = presented(&app, &signer.sign(&header(&signer), &good), &[("client_id", &other.id)]).await;
        assert_eq!(answer.refusal(), refused(401, "invalid_client"), "client_id beside it differs");
        assert_eq!(presented(&app, &signer.sign(&header(&signer), &good), &[]).await.status, 200);
    }

    // JA3
    async fn the_audience_is_this_provider_whole(app: TestApp) {
        app.provider("acme", json!({})).await;
        let signer = Signer::es256();
        let client = registered(&app, &signer, json!({})).await;
        for aud in [
            Value::Null, json!(""), json!([]), json!([""]), json!("https://other.example"), json!(format!("{ISSUER}.evil.example")),
            json!(format!("{ISSUER}/")), json!(format!("{ISSUER}/oauth2")), json!(format!("{ISSUER}/p/acme")), json!("HTTPS://ID.EXAMPLE.COM"),
            json!({"a": ISSUER}), json!(7), json!(format!("{ISSUER}/oauth2/token/")), json!(&ISSUER[..20]),
        ] {
            let assertion = signer.sign(&header(&signer), &with(claims(&app, &client, "j"), "aud", aud.clone()));
            refuses(&app, &assertion, &aud.to_string()).await;
        }
    }

    // JA4, JA5, JA11
    async fn times_are_judged(app: TestApp) {
        let signer = Signer::es256();
        let client = registered(&app, &signer, json!({})).await;
        let bad = [
            ("exp", Value::Null), ("exp", json!(BEGIN)), ("exp", json!(BEGIN - 1)), ("exp", json!("2099-01-01")), ("exp", json!((BEGIN + 60).to_string())),
            ("exp", json!(true)), ("exp", json!(BEGIN + 3601)), ("exp", json!(BEGIN + 10 * 365 * 86_400)), ("exp", json!(1e300)),
            ("nbf", json!(BEGIN + 11)), ("nbf", json!("soon")), ("iat", json!(BEGIN - 3601)), ("iat", json!(BEGIN + 3600)), ("iat", json!(0)),
        ];
        for (name, value) in bad {
            let assertion = signer.sign(&header(&signer), &with(claims(&app, &client, "j"), name, value.clone()));
            refuses(&app, &assertion, &format!("{name} {value}")).await;
        }
        let good = [("exp", json!(BEGIN + 3600)), ("exp", json!(BEGIN + 1)), ("nbf", json!(BEGIN + 10)), ("nbf", json!(BEGIN)), ("iat", Value::Null), ("iat", json!(BEGIN - 3600))];
        for (number, (name, value)) in good.into_iter().enumerate() {
            let assertion = signer.sign(&header(&signer), &with(claims(&app, &client, &number.to_string()), name, value.clone()));
            assert_eq!(presented(&app, &assertion, &[]).await.status, 200, "{name} {value}");
        }
    }

    // JA6
    async fn what_the_registered_key_did_not_sign_proves_nothing(app: TestApp) {
        let signer = Signer::es256();
        let client = registered(&app, &signer, json!({})).await;
        let good = claims(&app, &client, "j");
        let payload = encode(good.to_string());
        for alg in ["none", "None", "NONE", "nOnE", "HS256", "HS512", ""] {
            let head = encode(json!({"alg": alg, "kid": "k1"}).to_string());
            let message = format!("{head}.{payload}");
            let public = signer.jwk("k1").to_string();
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, public.as_bytes());
            let mac = encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
            for assertion in [format!("{message}."), format!("{message}.{mac}"), message] {
                refuses(&app, &assertion, alg).await;
            }
        }
        let signed = signer.sign(&header(&signer), &good);
        let parts: Vec<&str> = signed.split('.').collect();
        let altered = encode(with(good.clone(), "scope", json!("all")).to_string());
        let zero = encode([0; 64]);
        for (assertion, why) in [
            (format!("{}.{altered}.{}", parts[0], parts[2]), "altered payload"),
            (format!("{}.{}.{zero}", parts[0], parts[1]), "zero signature"),
            (Signer::es256().sign(&header(&signer), &good), "foreign key"),
            (Signer::eddsa().sign(&header(&signer), &good), "foreign kind of key"),
            ("garbage".to_owned(), "garbage"), ("a.b.c".to_owned(), "garbage"), ("..".to_owned(), "nothing"),
            (format!("{signed}.x"), "four parts"), ("A.".repeat(9000), "long"),
        ] {
            refuses(&app, &assertion, why).await;
        }
        assert_eq!(presented(&app, &signed, &[]).await.status, 200);
    }

    // JA7
    async fn keys_in_the_header_are_never_trusted(app: TestApp) {
        let (signer, evil) = (Signer::es256(), Signer::es256());
        let client = registered(&app, &signer, json!({})).await;
        let good = claims(&app, &client, "j");
        for head in [
            json!({"alg": "ES256", "jwk": evil.jwk("k1")}),
            json!({"alg": "ES256", "jwk": evil.jwk("k1"), "kid": "k1"}),
            json!({"alg": "ES256", "jku": "https://evil.example/jwks"}),
            json!({"alg": "ES256", "x5u": "https://evil.example/cert", "x5c": ["AAAA"]}),
            json!({"alg": "ES256", "kid": "../../../dev/null"}),
            json!({"alg": "ES256", "kid": "https://evil.example/jwks"}),
            json!({"alg": "ES256", "kid": "k1' OR '1'='1"}),
        ] {
            refuses(&app, &evil.sign(&head, &good), &head.to_string()).await;
        }
    }

    // JA8
    async fn one_jti_works_once_on_every_node_and_is_needed(app: TestApp) {
        let signer = Signer::es256();
        let client = registered(&app, &signer, json!({})).await;
        let other_node = app.second_node().await;
        let assertion = signer.sign(&header(&signer), &claims(&app, &client, "once"));
        assert_eq!(presented(&app, &assertion, &[]).await.status, 200);
        refuses(&app, &assertion, "used twice").await;
        refuses(&other_node, &assertion, "used at another node").await;
        let same_jti = signer.sign(&header(&signer), &with(claims(&app, &client, "once"), "exp", json!(app.now() + 120)));
        refuses(&app, &same_jti, "another assertion with the same jti").await;
        for jti in [Value::Null, json!(""), json!(7), json!("x".repeat(300))] {
            refuses(&app, &signer.sign(&header(&signer), &with(claims(&app, &client, "x"), "jti", jti.clone())), &jti.to_string()).await;
        }
        // The jti is the client's own: another client may use the same word.
        let signer = Signer::es256();
        let client = registered(&app, &signer, json!({})).await;
        assert_eq!(presented(&app, &signer.sign(&header(&signer), &claims(&app, &client, "once")), &[]).await.status, 200);
    }

    // JA10
    async fn the_algorithm_is_the_registered_one_or_the_keys(app: TestApp) {
        let (es, ed) = (Signer::es256(), Signer::eddsa());
        let keys = json!({"jwks": {"keys": [es.jwk("k1"), ed.jwk("k1b")]}, "token_endpoint_auth_signing_alg": "EdDSA"});
        let client = registered(&app, &es, keys).await;
        refuses(&app, &es.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims(&app, &client, "1")), "not the pinned one").await;
        let pinned = ed.sign(&json!({"alg": "EdDSA", "kid": "k1b"}), &claims(&app, &client, "2"));
        assert_eq!(presented(&app, &pinned, &[]).await.status, 200);
        let client = registered(&app, &es, json!({})).await;
        for alg in ["ES384", "RS256", "EdDSA", "PS256", "es256"] {
            refuses(&app, &es.sign(&json!({"alg": alg, "kid": "k1"}), &claims(&app, &client, "3")), alg).await;
        }
    }

    // JA12
    async fn another_assertion_type_is_refused(app: TestApp) {
        let signer = Signer::es256();
        let client = registered(&app, &signer, json!({})).await;
        let assertion = signer.sign(&header(&signer), &claims(&app, &client, "j"));
        for kind in ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer", "jwt-bearer", "x"] {
            let form = [("grant_type", "client_credentials"), ("client_assertion_type", kind), ("client_assertion", &assertion)];
            assert_eq!(app.post("/oauth2/token").form(&form).send().await.refusal(), refused(401, "invalid_client"), "{kind}");
        }
        let form = [("grant_type", "client_credentials"), ("client_assertion_type", TYPE)];
        assert_eq!(app.post("/oauth2/token").form(&form).send().await.refusal(), refused(401, "invalid_client"));
    }

    // CA6
    async fn a_client_with_a_secret_proves_nothing_by_assertion_and_the_reverse(app: TestApp) {
        let signer = Signer::es256();
        let with_jwks = app.client(json!({"jwks": {"keys": [signer.jwk("k1")]}})).await;
        refuses(&app, &signer.sign(&header(&signer), &claims(&app, &with_jwks, "j")), "its method is a secret").await;
        let client = registered(&app, &signer, json!({})).await;
        let answer = app.post("/oauth2/token").form(&[("grant_type", "client_credentials")]).basic(&client.id, "x").send().await;
        assert_eq!(answer.refusal(), refused(401, "invalid_client"));
        assert!(client.body.get("client_secret").is_none(), "no secret is made for it");
    }

    // CA10 for signatures
    async fn guessing_by_assertion_is_slowed(app: TestApp) {
        let signer = Signer::es256();
        let client = registered(&app, &signer, json!({})).await;
        let mut statuses = Vec::new();
        for _ in 0..25 {
            let forged = Signer::es256().sign(&header(&signer), &claims(&app, &client, "j"));
            let form = [("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", &forged)];
            statuses.push(app.post("/oauth2/token").form(&form).send().await.status);
        }
        assert_eq!((statuses[0], statuses[24]), (401, 429), "{statuses:?}");
    }

    // JK1 the other way round: a private key has no place in a registration.
    async fn a_registration_with_bad_keys_is_refused(app: TestApp) {
        let signer = Signer::es256();
        let mut private = signer.jwk("k1");
        private["d"] = json!(signer.private_scalar());
        let symmetric = json!({"kty": "oct", "k": "AAAA", "kid": "k1"});
        for keys in [json!([private]), json!([symmetric]), json!([]), json!([{"kty": "EC"}]), json!("x")] {
            let fields = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": keys}});
            let answer = app.admin("POST", "/providers/default/clients").json(&fields).send().await;
            assert_eq!(answer.status, 422, "{fields}");
        }
        let none = json!({"token_endpoint_auth_method": "private_key_jwt"});
        assert_eq!(app.admin("POST", "/providers/default/clients").json(&none).send().await.status, 422);
        let both = json!({"jwks": {"keys": [Signer::es256().jwk("k1")]}, "jwks_uri": "https://a.example/jwks"});
        assert_eq!(app.admin("POST", "/providers/default/clients").json(&both).send().await.status, 422);
    }
}
