//! `validate`: the same checks as an exchange, the policy beside, and nothing but `exp` told.

use grantd::domain::{Decision, ProviderId};
use grantd::store::issuers;
use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};
use crate::support::databases::soon;
use crate::support::http::Answer;
use crate::support::jose::Signer;
use crate::support::origin::{Origin, Reply};
use crate::usegrant::{AUDIENCE, FINGERPRINT, Sdk, condition, policy, refusal, text};

const URL: &str = "https://idp.example.com";

/// A tenant whose provider has keys that were pasted by the admin API: what it publishes, and by which
/// certificates, is asked in `process`.
struct Trusted<'a> {
    sdk: Sdk<'a>,
    signer: Signer,
    tenant: Value,
    issuer: Value,
    policy: Value,
}

impl<'a> Trusted<'a> {
    async fn on(app: &'a TestApp, conditions: Value) -> Self {
        let (sdk, signer) = (Sdk::of(app), Signer::es256());
        let tenant = sdk.tenant().await;
        let issuer = sdk.tenant_provider(&tenant, URL).await;
        let policy = sdk.policy(&tenant, &issuer, conditions).await;
        let trusted = Self { sdk, signer, tenant, issuer, policy };
        trusted.change(json!({"jwks": {"keys": [trusted.signer.jwk("k1")]}, "fingerprints": []})).await;
        trusted
    }

    async fn change(&self, fields: Value) {
        let row = format!("/providers/default/trusted-issuers/{}", text(&self.issuer, "id"));
        let answer = self.sdk.app.admin("PATCH", &row).json(&fields).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn claims(&self) -> Value {
        let now = self.sdk.app.now();
        json!({"iss": URL, "sub": "repo:acme/app", "aud": AUDIENCE, "iat": now, "exp": now + 600, "ref": "refs/heads/main"})
    }

    fn token(&self, more: &Value) -> String {
        let mut claims = self.claims();
        for (name, value) in more.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        self.signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims)
    }

    async fn validate(&self, token: &str) -> Answer {
        self.sdk.validate(&self.tenant, &self.policy, token).await
    }

    async fn refuses(&self, token: &str, check: &str) {
        let refused = refusal(&self.validate(token).await);
        assert_eq!(refused, (400, "bad_request".to_owned(), format!("The token is not accepted: {check}.")));
    }
}

fn main_branch() -> Value {
    json!([condition("sub", "stringLike", "repo:acme/*"), condition("ref", "stringEquals", "refs/heads/main")])
}

on_both_apps! {
    async fn a_token_that_fits_is_valid_until_its_end(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let token = trusted.token(&json!({}));
        for _ in 0..2 {
            let answer = trusted.validate(&token).await;
            assert_eq!((answer.status, answer.json()), (200, json!({"exp": app.now() + 600})), "and again");
        }
        let several = trusted.token(&json!({"aud": ["https://other.example", AUDIENCE]}));
        assert_eq!(trusted.validate(&several).await.status, 200);
        app.pass(600);
        trusted.refuses(&token, "expiry").await;
    }

    async fn a_pattern_that_costs_too_much_accepts_nothing(app: TestApp) {
        let trusted = Trusted::on(&app, json!([condition("sub", "stringLike", "*")])).await;
        let (short, long) = (trusted.token(&json!({"long": "b"})), trusted.token(&json!({"long": "a".repeat(2048)})));
        for (operator, pattern) in [("like", format!("*{}?b*", "a".repeat(251))), ("not_like", format!("*{}?b*", "a".repeat(250)))] {
            trusted.change(json!({"conditions": [{"claim": "long", "operator": operator, "value": pattern}]})).await;
            trusted.refuses(&long, "condition").await;
            assert_eq!(trusted.validate(&short).await.status == 200, operator == "not_like", "{operator}");
        }
    }

    /// The bound of rows of an issuer is not for tenants: each has an issuer once.
    async fn many_tenants_share_an_issuer_and_an_exchange_asks_none_of_them(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        for _ in 0..21 {
            let tenant = trusted.sdk.tenant().await;
            trusted.sdk.tenant_provider(&tenant, URL).await;
        }
        let path = format!("tenants/{}/providers", text(&trusted.tenant, "id"));
        let again = trusted.sdk.send("POST", &path, Some(&crate::usegrant::tenant_provider(URL))).await;
        assert_eq!(again.status, 409, "{}", again.text());
        let token = trusted.token(&json!({}));
        assert_eq!(trusted.validate(&token).await.status, 200);
        let tried = |place: String| app.admin("POST", &place).json(&json!({"token": token})).send();
        let rows = "/providers/default/trusted-issuers";
        assert_eq!(tried(format!("{rows}/test")).await.json()["rows"], json!([]));
        let own = tried(format!("{rows}/{}/test", text(&trusted.issuer, "id"))).await.json();
        assert_eq!(own["rows"].as_array().unwrap().len(), 1, "{own}");
        let own = app.admin("POST", rows).json(&json!({"issuer": URL, "audiences": ["a"]})).send().await;
        assert_eq!(own.status, 201, "{}", own.text());
    }

    async fn every_check_has_its_say(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let now = app.now();
        for (more, check) in [
            (json!({"iss": "https://other.example.com"}), "issuer"),
            (json!({"iss": format!("{URL}/")}), "issuer"),
            (json!({"aud": "https://other.example"}), "audience"),
            (json!({"aud": Value::Null}), "audience"),
            (json!({"exp": now}), "expiry"),
            (json!({"exp": Value::Null}), "expiry"),
            (json!({"iat": now - 43_201}), "issued_at"),
            (json!({"iat": now + 60}), "issued_at"),
            (json!({"iat": Value::Null}), "issued_at"),
            (json!({"nbf": now + 60}), "not_before"),
            (json!({"sub": Value::Null}), "subject"),
            (json!({"sub": "repo:globex/app"}), "condition"),
            (json!({"ref": "refs/heads/main2"}), "condition"),
            (json!({"ref": Value::Null}), "condition"),
            (json!({"cnf": {"jkt": "x"}}), "kind"),
        ] {
            trusted.refuses(&trusted.token(&more), check).await;
        }
        trusted.validate(&trusted.token(&json!({"iat": now - 43_200}))).await.json()["exp"].as_i64().unwrap();
        let forged = Signer::es256().sign(&json!({"alg": "ES256", "kid": "k1"}), &trusted.claims());
        trusted.refuses(&forged, "signature").await;
        let unsigned = trusted.signer.sign(&json!({"alg": "none"}), &trusted.claims());
        trusted.refuses(&unsigned, "algorithm").await;
        for junk in ["x", "a.b.c", "ey.ey.ey"] {
            trusted.refuses(junk, "format").await;
        }
        trusted.change(json!({"enabled": false})).await;
        trusted.refuses(&trusted.token(&json!({})), "enabled").await;
    }

    async fn provider_and_policy_both_name_an_audience(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let path = format!("tenants/{}/providers/{}/policies", text(&trusted.tenant, "id"), text(&trusted.issuer, "id"));
        let mut narrower = policy(main_branch());
        narrower["audience"] = json!("deploys.example.com");
        let narrower = trusted.sdk.made(&path, narrower, &crate::usegrant::POLICY).await;
        let judged = async |aud: Value| {
            let token = trusted.token(&json!({"aud": aud}));
            trusted.sdk.validate(&trusted.tenant, &narrower, &token).await.status
        };
        assert_eq!(judged(json!([AUDIENCE, "deploys.example.com"])).await, 200);
        assert_eq!(judged(json!(AUDIENCE)).await, 400);
        assert_eq!(judged(json!("deploys.example.com")).await, 400);
    }

    async fn a_policy_is_good_for_its_own_tenant_and_provider_only(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let sdk = &trusted.sdk;
        let token = trusted.token(&json!({}));
        let other = sdk.tenant().await;
        let unknown = (404, "not_found".to_owned(), "There is no such policy.".to_owned());
        assert_eq!(refusal(&sdk.validate(&other, &trusted.policy, &token).await), unknown);
        let same_url = sdk.tenant_provider(&other, URL).await;
        assert_eq!(refusal(&sdk.validate(&other, &trusted.policy, &token).await), unknown);
        // With a policy of its own it is judged by its own row, which knows no such keys.
        let own = sdk.policy(&other, &same_url, main_branch()).await;
        assert_eq!(refusal(&sdk.validate(&other, &own, &token).await).2, "The token is not accepted: keys.");
        for id in ["x", "497f6eca-6276-4993-bfeb-53cbbbba6f08"] {
            assert_eq!(refusal(&sdk.validate(&trusted.tenant, &json!({"id": id}), &token).await), unknown, "{id}");
        }
    }

    async fn what_was_ended_accepts_nothing(app: TestApp) {
        let (first, second) = (Trusted::on(&app, main_branch()).await, Trusted::on(&app, main_branch()).await);
        let path = |trusted: &Trusted<'_>| format!("tenants/{}", text(&trusted.tenant, "id"));
        let (of_first, of_second) = (first.token(&json!({})), second.token(&json!({})));
        assert_eq!((first.validate(&of_first).await.status, second.validate(&of_second).await.status), (200, 200));
        let issuer = format!("{}/providers/{}", path(&first), text(&first.issuer, "id"));
        first.sdk.delete(&format!("{issuer}/policies/{}", text(&first.policy, "id"))).await;
        assert_eq!(refusal(&first.validate(&of_first).await).0, 404);
        let again = first.sdk.policy(&first.tenant, &first.issuer, main_branch()).await;
        assert_eq!(first.sdk.validate(&first.tenant, &again, &of_first).await.status, 200);
        first.sdk.delete(&issuer).await;
        assert_eq!(refusal(&first.sdk.validate(&first.tenant, &again, &of_first).await).0, 404);
        second.sdk.delete(&path(&second)).await;
        assert_eq!(refusal(&second.validate(&of_second).await).0, 404);
    }

    async fn a_provider_of_a_tenant_gives_nobody_a_token(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let client = app.client(crate::trust::exchanging()).await;
        trusted.change(json!({"clients": [client.id], "provision": "jit"})).await;
        let answer = crate::trust::exchange(&app, &client, &trusted.token(&json!({})), &[]).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        // Nor does what may be exchanged become valid for a tenant.
        let own = app.token(&client).await;
        trusted.refuses(&own, "issuer").await;
    }

    async fn what_was_signed_as_an_issuer_that_was_ours_once_is_not_judged(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let token = trusted.token(&json!({}));
        assert_eq!(trusted.validate(&token).await.status, 200);
        let provider = app.admin("GET", "/providers/default").send().await.json();
        let (id, now) = (ProviderId::from(text(&provider, "id")), app.now());
        app.engine
            .db()
            .write(soon(), move |tx| {
                issuers::add(tx, &id, URL, now)?;
                issuers::end(tx, &id, URL, now)?;
                Ok(Decision::Allow(()))
            })
            .await
            .unwrap();
        trusted.refuses(&token, "issuer").await;
    }

    async fn a_token_that_works_once_is_valid_once(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        trusted.change(json!({"require_jti": true})).await;
        trusted.refuses(&trusted.token(&json!({})), "jti").await;
        let token = trusted.token(&json!({"jti": "one"}));
        assert_eq!(trusted.validate(&token).await.status, 200);
        trusted.refuses(&token, "replay").await;
    }

    async fn a_certificate_is_asked_for_only_where_a_server_could_show_one(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let jwks = json!({"keys": [trusted.signer.jwk("k1")]});
        let origin = Origin::always(Reply::json(jwks));
        trusted.change(json!({"jwks": null, "jwks_uri": origin.base})).await;
        assert_eq!(trusted.validate(&trusted.token(&json!({}))).await.status, 200, "nothing is asked of the server");
        let row = format!("/providers/default/trusted-issuers/{}", text(&trusted.issuer, "id"));
        for (fields, pointer) in [
            (json!({"fingerprints": [FINGERPRINT]}), "/jwks_uri"),
            (json!({"fingerprints": [FINGERPRINT], "jwks_uri": null, "issuer": "http://127.0.0.1"}), "/issuer"),
            (json!({"fingerprints": [FINGERPRINT], "jwks_uri": null, "jwks": {"keys": [trusted.signer.jwk("k1")]}}), "/fingerprints"),
            (json!({"fingerprints": ["x"]}), "/fingerprints"),
            (json!({"fingerprints": vec![FINGERPRINT; 6]}), "/fingerprints"),
        ] {
            let answer = app.admin("PATCH", &row).json(&fields).send().await;
            assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!(pointer)), "{fields}");
        }
    }

    async fn a_validation_writes_nothing(app: TestApp) {
        let trusted = Trusted::on(&app, main_branch()).await;
        let before = app.rows().await;
        assert_eq!(trusted.validate(&trusted.token(&json!({}))).await.status, 200);
        trusted.refuses(&trusted.token(&json!({"aud": "x"})), "audience").await;
        assert_eq!(app.rows().await, before);
    }
}
