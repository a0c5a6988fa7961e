//! Tenants, their providers and policies.

use serde_json::{Value, json};

use crate::support::app::{ISSUER, on_both_apps};
use crate::usegrant::{FINGERPRINT, POLICY, Sdk, TENANT, TENANT_PROVIDER, condition, policy, tenant_provider, text};

const URL: &str = "https://idp.example.com";

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

on_both_apps! {
    async fn a_tenant_is_made_listed_read_and_ended_with_all_it_has(app: TestApp) {
        let sdk = Sdk::of(&app);
        assert!(sdk.list("tenants", &TENANT).await.is_empty());
        let tenant = sdk.tenant().await;
        let path = format!("tenants/{}", text(&tenant, "id"));
        assert_eq!(sdk.get(&path, &TENANT).await, tenant);
        assert_eq!(sdk.list("tenants", &TENANT).await, [tenant.clone()]);
        let issuer = sdk.tenant_provider(&tenant, URL).await;
        let issuers = format!("{path}/providers");
        let own = format!("{issuers}/{}", text(&issuer, "id"));
        assert_eq!(issuer["fingerprints"], json!([FINGERPRINT]), "in the spelling it was sent in");
        assert_eq!(sdk.get(&own, &TENANT_PROVIDER).await, issuer);
        assert_eq!(sdk.list(&issuers, &TENANT_PROVIDER).await, [issuer.clone()]);
        let conditions = json!([
            condition("sub", "stringLike", "repo:acme/*"),
            condition("ref", "stringNotEquals", "refs/heads/x"),
            condition("a", "stringEquals", " with space "),
            condition("b", "stringNotLike", "?"),
        ]);
        let rule = sdk.policy(&tenant, &issuer, conditions.clone()).await;
        assert_eq!(rule["conditions"], conditions);
        let rules = format!("{own}/policies");
        assert_eq!(sdk.get(&format!("{rules}/{}", text(&rule, "id")), &POLICY).await, rule);
        assert_eq!(sdk.list(&rules, &POLICY).await, [rule.clone()]);
        // Each end takes what hangs on it.
        sdk.delete(&format!("{rules}/{}", text(&rule, "id"))).await;
        assert!(sdk.list(&rules, &POLICY).await.is_empty());
        let rule = sdk.policy(&tenant, &issuer, conditions).await;
        let rule = format!("{rules}/{}", text(&rule, "id"));
        sdk.delete(&own).await;
        for (method, path) in [("GET", &own), ("DELETE", &own), ("GET", &rules), ("GET", &rule), ("DELETE", &rule)] {
            assert_eq!(sdk.refused(method, path, None).await.0, 404, "{method} {path}");
        }
        // The same URL again, and the tenant as a whole.
        let second = sdk.tenant_provider(&tenant, URL).await;
        sdk.delete(&path).await;
        for (method, path) in [("GET", &path), ("DELETE", &path), ("GET", &issuers)] {
            assert_eq!(sdk.refused(method, path, None).await.0, 404, "{method} {path}");
        }
        let row = format!("/providers/default/trusted-issuers/{}", text(&second, "id"));
        assert_eq!(app.admin("GET", &row).send().await.status, 404, "its issuer went with it");
    }

    async fn a_tenants_provider_is_a_trusted_issuer_that_is_only_for_validation(app: TestApp) {
        let sdk = Sdk::of(&app);
        let tenant = sdk.tenant().await;
        let issuer = sdk.tenant_provider(&tenant, URL).await;
        let row = format!("/providers/default/trusted-issuers/{}", text(&issuer, "id"));
        let shown = app.admin("GET", &row).send().await.json();
        assert_eq!((&shown["purpose"], &shown["issuer"]), (&json!("validate"), &json!(URL)));
        assert_eq!((&shown["max_age"], &shown["fingerprints"]), (&json!(43_200), &json!([FINGERPRINT])));
        let change = async |fields: Value| app.admin("PATCH", &row).json(&fields).send().await;
        let answer = change(json!({"purpose": "exchange"})).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/purpose")));
        let answer = change(json!({"jwks": {"keys": []}})).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["pointer"]), (422, &json!("/jwks")));
        // What the admin API changes, this API shows.
        assert_eq!(change(json!({"max_age": 5400, "fingerprints": []})).await.status, 200);
        let path = format!("tenants/{}/providers/{}", text(&tenant, "id"), text(&issuer, "id"));
        let shown = sdk.get(&path, &TENANT_PROVIDER).await;
        assert_eq!((&shown["earliestIssuanceTimeAllowed"], &shown["fingerprints"]), (&json!(1.5), &json!([])));
    }

    async fn a_tenant_has_each_provider_once_and_none_of_ours(app: TestApp) {
        let sdk = Sdk::of(&app);
        let (tenant, other) = (sdk.tenant().await, sdk.tenant().await);
        let path = |tenant: &Value| format!("tenants/{}/providers", text(tenant, "id"));
        sdk.tenant_provider(&tenant, URL).await;
        let refused = sdk.refused("POST", &path(&tenant), Some(&tenant_provider(&format!("{URL}/")))).await;
        let expected = "The tenant has a provider with this URL already.".to_owned();
        assert_eq!(refused, (409, "conflict".to_owned(), expected));
        let stripped = sdk.tenant_provider(&other, &format!("{URL}/")).await;
        assert_eq!(stripped["url"], URL, "without the slash, as the published client sends it");
        for ours in [ISSUER.to_owned(), format!("{ISSUER}/p/acme")] {
            let (status, code, message) = sdk.refused("POST", &path(&other), Some(&tenant_provider(&ours))).await;
            assert_eq!((status, code.as_str()), (400, "bad_request"), "{ours}");
            assert!(message.starts_with("url is an issuer of this server"), "{message}");
        }
        // A tenant that comes to an end meanwhile gets no provider.
        sdk.delete(&format!("tenants/{}", text(&other, "id"))).await;
        assert_eq!(sdk.refused("POST", &path(&other), Some(&tenant_provider("https://x.example.com"))).await.0, 404);
    }

    async fn fields_of_tenants_have_the_bounds_of_the_published_schema(app: TestApp) {
        let sdk = Sdk::of(&app);
        let refuses = async |path: &str, body: Value, starts: &str| {
            let (status, code, message) = sdk.refused("POST", path, Some(&body)).await;
            assert_eq!((status, code.as_str()), (400, "bad_request"), "{body}");
            assert!(message.starts_with(starts), "{body}: {message}");
        };
        for (name, value) in [("name", json!("ab")), ("description", json!("")), ("description", json!("x".repeat(101)))] {
            refuses("tenants", with(json!({"name": "abc", "description": "x"}), name, value), name).await;
        }
        let tenant = sdk.tenant().await;
        let path = format!("tenants/{}/providers", text(&tenant, "id"));
        let digits = |count: usize| "a".repeat(count);
        for (name, value, starts) in [
            ("url", json!("idp.example.com"), "url "),
            ("url", json!("http://idp.example.com"), "url "),
            ("url", json!("https://10.0.0.1"), "url "),
            ("url", json!("https://user@idp.example.com"), "url "),
            ("url", Value::Null, "url is needed"),
            ("fingerprints", json!([]), "fingerprints must be a list of 1 to 5 items"),
            ("fingerprints", json!([FINGERPRINT, FINGERPRINT, FINGERPRINT, FINGERPRINT, FINGERPRINT, FINGERPRINT]), "fingerprints must"),
            ("fingerprints", json!(FINGERPRINT), "fingerprints must"),
            ("fingerprints", json!([digits(31)]), "fingerprints/0 must be text of 32 to 64 characters"),
            ("fingerprints", json!([FINGERPRINT, digits(65)]), "fingerprints/1 must be text of 32 to 64 characters"),
            ("fingerprints", json!([digits(32)]), "fingerprints/0 must be the SHA-1 or SHA-256"),
            ("fingerprints", json!(["z".repeat(40)]), "fingerprints/0 must be the SHA-1 or SHA-256"),
            ("fingerprints", json!([7]), "fingerprints/0 must be text"),
            ("audience", json!("  ab  "), "audience must be text of 3 to 100 characters"),
            ("audience", json!("two words"), "audience "),
            ("earliestIssuanceTimeAllowed", json!(12.5), "earliestIssuanceTimeAllowed must be a number from 0 to 12"),
            ("earliestIssuanceTimeAllowed", json!(-1), "earliestIssuanceTimeAllowed must be a number from 0 to 12"),
            ("earliestIssuanceTimeAllowed", json!("12"), "earliestIssuanceTimeAllowed must be a number from 0 to 12"),
            ("earliestIssuanceTimeAllowed", Value::Null, "earliestIssuanceTimeAllowed is needed"),
        ] {
            refuses(&path, with(tenant_provider(URL), name, value), starts).await;
        }
        for (at, hours, shown) in [(1, json!(0), json!(0)), (2, json!(12), json!(12)), (3, json!(0.5), json!(0.5))] {
            let body = with(tenant_provider(&format!("https://idp{at}.example.com")), "earliestIssuanceTimeAllowed", hours);
            assert_eq!(sdk.made(&path, body, &TENANT_PROVIDER).await["earliestIssuanceTimeAllowed"], shown);
        }
        let colons = FINGERPRINT.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned());
        let colons = colons.collect::<Vec<_>>().join(":");
        sdk.made(&path, with(tenant_provider("https://idp4.example.com"), "fingerprints", json!([colons, digits(64)])), &TENANT_PROVIDER).await;
        let issuer = sdk.tenant_provider(&tenant, URL).await;
        let path = format!("{path}/{}/policies", text(&issuer, "id"));
        let good = condition("sub", "stringEquals", "x");
        for (name, value, starts) in [
            ("name", json!("ab"), "name must"),
            ("description", json!("too short"), "description must be text of 10 to 100 characters"),
            ("audience", json!("ab"), "audience must be text of 3 to 100 characters"),
            ("conditions", json!([]), "conditions must be a list of 1 to 5 items"),
            ("conditions", json!([good, good, good, good, good, good]), "conditions must be a list of 1 to 5 items"),
            ("conditions", json!([good, condition("", "stringEquals", "x")]), "conditions/1/key must be text of 1 to 10"),
            ("conditions", json!([condition(&"k".repeat(11), "stringEquals", "x")]), "conditions/0/key must be text of 1 to 10"),
            ("conditions", json!([condition("sub", "equals", "x")]), "conditions/0/operator must be stringEquals"),
            ("conditions", json!([condition("sub", "StringEquals", "x")]), "conditions/0/operator must be stringEquals"),
            ("conditions", json!([condition("sub", "stringEquals", "")]), "conditions/0/value must be text of 1 to 100"),
            ("conditions", json!([condition("sub", "stringEquals", &"v".repeat(101))]), "conditions/0/value must be text"),
            ("conditions", json!(["sub"]), "conditions/0/operator is needed"),
            ("conditions", Value::Null, "conditions is needed"),
        ] {
            refuses(&path, with(policy(json!([good])), name, value), starts).await;
        }
        assert!(sdk.list(&path, &POLICY).await.is_empty());
        let most = condition(&"k".repeat(10), "stringEquals", &"v".repeat(100));
        sdk.policy(&tenant, &issuer, json!([most, most, most, most, most])).await;
    }
}
