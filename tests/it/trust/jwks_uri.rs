//! Clients that publish their keys instead of registering them (RFC 7591 §2 `jwks_uri`).

use serde_json::{Value, json};

use crate::support::app::{ISSUER, TestApp, TestClient, on_both_apps};
use crate::support::http::Answer;
use crate::support::jose::Signer;
use crate::support::origin::{Origin, Reply};

const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const CLIENTS: &str = "/providers/default/clients";

async fn with_assertion(app: &TestApp, client: &TestClient, signer: &Signer, kid: &str, jti: &str) -> Answer {
    let claims =
        json!({"iss": client.id, "sub": client.id, "aud": ISSUER, "exp": app.now() + 60, "iat": app.now(), "jti": jti});
    let assertion = signer.sign(&json!({"alg": "ES256", "kid": kid}), &claims);
    let form =
        [("grant_type", "client_credentials"), ("client_assertion_type", TYPE), ("client_assertion", &assertion)];
    app.post("/oauth2/token").form(&form.map(|(name, value)| (name, value))).send().await
}

on_both_apps! {
    async fn published_keys_prove_a_client(app: TestApp) {
        let (signer, other) = (Signer::es256(), Signer::es256());
        let origin = Origin::always(Reply::json(json!({"keys": [signer.jwk("k1")]})));
        let fields = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": format!("{}/keys", origin.base)});
        let client = app.client(fields).await;
        assert!(origin.asked().is_empty(), "fetched when it is needed");
        assert_eq!(with_assertion(&app, &client, &signer, "k1", "1").await.status, 200);
        assert_eq!(with_assertion(&app, &client, &signer, "k1", "2").await.status, 200);
        assert_eq!(with_assertion(&app, &client, &signer, "k1", "2").await.status, 401, "used twice");
        assert_eq!(with_assertion(&app, &client, &other, "k1", "3").await.status, 401);
        assert_eq!(with_assertion(&app, &client, &other, "k2", "4").await.status, 401);
        assert_eq!(origin.asked().len(), 1);
        // Registered keys replace them at once.
        app.change(&client, json!({"jwks_uri": null, "jwks": {"keys": [other.jwk("k2")]}})).await;
        assert_eq!(with_assertion(&app, &client, &signer, "k1", "5").await.status, 401);
        assert_eq!(with_assertion(&app, &client, &other, "k2", "6").await.status, 200);
    }

    async fn keys_that_cannot_be_fetched_prove_nobody(app: TestApp) {
        let signer = Signer::es256();
        for reply in [Reply::status(500), Reply::json("{}"), Reply::status(302).with("location", "http://127.0.0.1:1/")] {
            let origin = Origin::always(reply);
            let fields = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": origin.base});
            let client = app.client(fields).await;
            let answer = with_assertion(&app, &client, &signer, "k1", "1").await;
            assert_eq!((answer.status, answer.json()["error"].clone()), (401, json!("invalid_client")));
        }
    }

    // Mistake 17
    async fn a_place_inside_is_refused_when_it_is_registered(app: TestApp) {
        let refused = async |fields: Value, pointer: &str| {
            let answer = app.admin("POST", CLIENTS).json(&fields).send().await;
            assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{fields}");
        };
        for url in [
            "https://10.0.0.1/keys", "https://[::1]/keys", "https://169.254.169.254/latest", "http://keys.example.com@127.0.0.1/", "http://8.8.8.8/keys", "https://127.0.0.2/",
            "file:///etc/passwd", "keys", "https://user:pw@keys.example.com/", "https://0x7f000002/",
        ] {
            refused(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": url}), "/jwks_uri").await;
        }
        let keys = json!({"keys": [Signer::es256().jwk("k1")]});
        refused(json!({"jwks": keys, "jwks_uri": "https://keys.example.com/"}), "/jwks_uri").await;
        refused(json!({"token_endpoint_auth_method": "private_key_jwt"}), "/jwks").await;
        let client = app.client(json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://keys.example.com/"})).await;
        assert_eq!(client.body["jwks_uri"], "https://keys.example.com/");
    }
}
