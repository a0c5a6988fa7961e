//! Who may not: weak keys, tokens in the place of keys, keys of other providers.

use serde_json::{Value, json};

use crate::support::app::{TestApp, on_both_apps};
use crate::usegrant::{
    AUDIENCE, CLIENT, DOMAIN, PROVIDER, Sdk, TENANT, condition, policy, refusal, slug, tenant_provider, text,
};

/// Everything there is at one provider.
struct World {
    provider: Value,
    client: Value,
    domain: Value,
    tenant: Value,
    issuer: Value,
    policy: Value,
}

impl World {
    /// Made with the owner key for the provider, the rest by a key of its own.
    async fn of(app: &TestApp, name: &str) -> Self {
        let owner = Sdk::of(app);
        let provider = owner.provider(name).await;
        let sdk = Sdk::of_role(app, "admin", Some(text(&provider, "id"))).await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let domains = format!("providers/{}/domains", text(&provider, "id"));
        let name = format!("{}.example", name.to_lowercase());
        let domain = sdk.made(&domains, json!({"domain": name}), &DOMAIN).await;
        let tenant = sdk.tenant().await;
        let issuer = sdk.tenant_provider(&tenant, "https://idp.example.com").await;
        let policy = sdk.policy(&tenant, &issuer, json!([condition("sub", "stringLike", "*")])).await;
        Self { provider, client, domain, tenant, issuer, policy }
    }

    /// Every management call with a body that would be taken.
    fn management(&self) -> Vec<(&'static str, String, Option<Value>)> {
        let provider = format!("providers/{}", text(&self.provider, "id"));
        let client = format!("{provider}/clients/{}", text(&self.client, "id"));
        let domain = format!("{provider}/domains/{}", text(&self.domain, "id"));
        let tenant = format!("tenants/{}", text(&self.tenant, "id"));
        let issuer = format!("{tenant}/providers/{}", text(&self.issuer, "id"));
        let rule = format!("{issuer}/policies/{}", text(&self.policy, "id"));
        let named = || Some(json!({"name": "Another", "description": "made by nobody"}));
        vec![
            ("GET", "providers".to_owned(), None),
            ("POST", "providers".to_owned(), named()),
            ("GET", provider.clone(), None),
            ("GET", format!("{provider}/clients"), None),
            ("POST", format!("{provider}/clients"), Some(json!({"name": "Another", "audience": AUDIENCE}))),
            ("GET", client.clone(), None),
            ("GET", format!("{provider}/domains"), None),
            ("POST", format!("{provider}/domains"), Some(json!({"domain": "another.example"}))),
            ("GET", domain.clone(), None),
            ("POST", format!("{domain}/verify"), None),
            ("DELETE", domain, None),
            ("GET", "tenants".to_owned(), None),
            ("POST", "tenants".to_owned(), named()),
            ("GET", tenant.clone(), None),
            ("GET", format!("{tenant}/providers"), None),
            ("POST", format!("{tenant}/providers"), Some(tenant_provider("https://other.example.com"))),
            ("GET", issuer.clone(), None),
            ("GET", format!("{issuer}/policies"), None),
            ("POST", format!("{issuer}/policies"), Some(policy(json!([condition("sub", "stringEquals", "x")])))),
            ("GET", rule.clone(), None),
            ("DELETE", rule, None),
            ("DELETE", issuer, None),
            ("DELETE", tenant, None),
            ("DELETE", client, None),
            ("DELETE", provider, None),
        ]
    }

    fn tokens(&self) -> String {
        format!("providers/{}/clients/{}/tokens", text(&self.provider, "id"), text(&self.client, "id"))
    }

    fn validate(&self) -> (String, Value) {
        let body = json!({"tenantProviderPolicyId": self.policy["id"], "token": "x"});
        (format!("tenants/{}/validate", text(&self.tenant, "id")), body)
    }
}

on_both_apps! {
    async fn a_key_below_admin_manages_nothing(app: TestApp) {
        let world = World::of(&app, "Acme").await;
        let before = app.rows().await;
        for role in ["default", "member"] {
            for provider in [None, Some(text(&world.provider, "id"))] {
                let weak = Sdk::of_role(&app, role, provider).await;
                for (method, path, body) in world.management() {
                    let refused = weak.refused(method, &path, body.as_ref()).await;
                    let expected = (403, "forbidden".to_owned(), "This needs an API key of role admin.".to_owned());
                    assert_eq!(refused, expected, "{role}: {method} {path}");
                }
            }
        }
        let after = app.rows().await;
        for table in ["providers", "clients", "provider_domains", "tenants", "trusted_issuers", "trust_policies"] {
            let count = |rows: &[(&str, i64)]| rows.iter().find(|(name, _)| *name == table).unwrap().1;
            assert_eq!(count(&before), count(&after), "{table}");
        }
    }

    async fn tokens_need_a_member_key_and_validation_any(app: TestApp) {
        let world = World::of(&app, "Acme").await;
        let own = Some(text(&world.provider, "id"));
        let (weak, member) = (Sdk::of_role(&app, "default", own).await, Sdk::of_role(&app, "member", own).await);
        let refused = weak.refused("POST", &world.tokens(), Some(&json!({}))).await;
        assert_eq!(refused, (403, "forbidden".to_owned(), "This needs an API key of role member.".to_owned()));
        member.token(&world.provider, &world.client, json!({})).await;
        let (path, body) = world.validate();
        let refused = weak.refused("POST", &path, Some(&body)).await;
        assert_eq!(refused, (400, "bad_request".to_owned(), "The token is not accepted: format.".to_owned()));
    }

    async fn no_token_takes_the_place_of_a_key(app: TestApp) {
        let world = World::of(&app, "Acme").await;
        let owner = Sdk::of(&app);
        let own = text(&owner.token(&world.provider, &world.client, json!({"useJwtType": true})).await, "accessToken").to_owned();
        let minted = app.post("/oauth2/mint").bearer(&app.first.owner_key).json(&json!({"ttl_seconds": 60}));
        let minted = minted.send().await.json()["access_token"].as_str().unwrap().to_owned();
        let once = app.post("/oauth2/mint").bearer(&app.first.owner_key).json(&json!({"ttl_seconds": 60, "one_time": true}));
        let once = once.send().await.json()["access_token"].as_str().unwrap().to_owned();
        let why = "Access tokens do not work here: management needs an API key.";
        for token in [own, minted, once] {
            let holder = Sdk::with(&app, &token);
            let (validate, body) = world.validate();
            let more = [("POST", world.tokens(), Some(json!({}))), ("POST", validate, Some(body))];
            for (method, path, body) in world.management().into_iter().chain(more) {
                let refused = holder.refused(method, &path, body.as_ref()).await;
                assert_eq!(refused, (403, "forbidden".to_owned(), why.to_owned()), "{method} {path}");
            }
        }
    }

    async fn without_a_key_or_with_a_wrong_one_there_is_nothing(app: TestApp) {
        let world = World::of(&app, "Acme").await;
        for (method, path, body) in world.management() {
            let call = app.call(method, &format!("/v1/{path}"));
            let call = match &body {
                Some(body) => call.json(body),
                None => call,
            };
            let answer = call.send().await;
            assert_eq!((answer.status, answer.header("www-authenticate")), (401, "Bearer"), "{method} {path}");
            assert_eq!(refusal(&answer).1, "unauthorized");
        }
        let wrong = Sdk::with(&app, &format!("gk_{}", "A".repeat(49)));
        assert_eq!(wrong.refused("POST", &world.tokens(), Some(&json!({}))).await.0, 401);
        let basic = app.post(&format!("/v1/{}", world.tokens())).basic(&app.first.client_id, &app.first.client_secret);
        assert_eq!(refusal(&basic.send().await).0, 401);
    }

    async fn wrong_keys_are_slowed_and_a_right_one_is_not(app: TestApp) {
        let world = World::of(&app, "Acme").await;
        let mut last = None;
        for _ in 0..400 {
            let answer = Sdk::with(&app, &format!("wrong-{}", "x".repeat(40))).send("GET", "providers", None).await;
            if answer.status == 429 {
                last = Some(answer);
                break;
            }
            assert_eq!(answer.status, 401);
        }
        let slowed = last.expect("never slowed");
        assert_eq!(refusal(&slowed).1, "too_many_requests");
        assert!(slowed.header("retry-after").parse::<u32>().unwrap() >= 1);
        Sdk::of(&app).token(&world.provider, &world.client, json!({})).await;
    }

    async fn a_key_of_one_provider_finds_nothing_of_another(app: TestApp) {
        let (world, other) = (World::of(&app, "Acme").await, World::of(&app, "Globex").await);
        let theirs = text(&other.provider, "id");
        let sdk = Sdk::of_role(&app, "admin", Some(theirs)).await;
        // What is named by an id is not there; what is made or listed is at the key's own provider.
        for (method, path, body) in world.management() {
            if !path.contains('/') {
                continue;
            }
            let refused = sdk.refused(method, &path, body.as_ref()).await;
            assert_eq!((refused.0, refused.1.as_str()), (404, "not_found"), "{method} {path}");
        }
        assert_eq!(sdk.refused("POST", &world.tokens(), Some(&json!({}))).await.0, 404);
        let (path, body) = world.validate();
        assert_eq!(sdk.refused("POST", &path, Some(&body)).await.0, 404);
        let listed = sdk.list("providers", &PROVIDER).await;
        assert_eq!(listed.iter().map(|one| text(one, "id")).collect::<Vec<_>>(), [theirs]);
        let listed = sdk.list("tenants", &TENANT).await;
        assert_eq!(listed.iter().map(|one| &one["id"]).collect::<Vec<_>>(), [&other.tenant["id"]]);
        let refused = sdk.refused("POST", "providers", Some(&json!({"name": "Third", "description": "x"}))).await;
        let expected = "This needs an API key that is bound to no provider.".to_owned();
        assert_eq!(refused, (403, "forbidden".to_owned(), expected.clone()));
        let own = format!("providers/{theirs}");
        assert_eq!(sdk.refused("DELETE", &own, None).await, (403, "forbidden".to_owned(), expected));
        // Nor does a mixture of both find anything.
        let mixed = format!("providers/{theirs}/clients/{}/tokens", text(&world.client, "id"));
        assert_eq!(Sdk::of(&app).refused("POST", &mixed, Some(&json!({}))).await.0, 404);
    }

    async fn ids_that_are_none_are_not_found_and_never_a_fault(app: TestApp) {
        let world = World::of(&app, "Acme").await;
        let sdk = Sdk::of_role(&app, "admin", Some(text(&world.provider, "id"))).await;
        let ids = ["x", "default", "%00", "..%2f..", "497f6eca-6276-4993-bfeb-53cbbbba6f08", "%F0%9F%98%80", "a%20b"];
        let (provider, tenant, issuer) = (text(&world.provider, "id"), text(&world.tenant, "id"), text(&world.issuer, "id"));
        for id in ids {
            for path in [
                format!("providers/{id}"),
                format!("providers/{id}/clients"),
                format!("providers/{provider}/clients/{id}"),
                format!("tenants/{id}"),
                format!("tenants/{tenant}/providers/{id}"),
                format!("tenants/{tenant}/providers/{issuer}/policies/{id}"),
            ] {
                assert_eq!(sdk.refused("GET", &path, None).await.1, "not_found", "{path}");
                if path != format!("providers/{id}/clients") {
                    assert_eq!(sdk.refused("DELETE", &path, None).await.1, "not_found", "{path}");
                }
            }
            let path = format!("providers/{provider}/clients/{id}/tokens");
            assert_eq!(sdk.refused("POST", &path, Some(&json!({}))).await.1, "not_found", "{path}");
        }
    }

    async fn a_token_is_never_for_a_client_id(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let party = app.client_of(text(&provider, "id"), json!({"client_id": "relying-party"})).await;
        for audience in [party.id.as_str(), text(&sdk.client(&provider, AUDIENCE).await, "id")] {
            let client = sdk.client(&provider, audience).await;
            let (status, code, message) = refusal(&sdk.token_answer(&provider, &client, json!({})).await);
            assert_eq!((status, code.as_str()), (400, "bad_request"), "{message}");
        }
    }

    async fn below_a_providers_own_path_there_is_no_other(app: TestApp) {
        let (world, other) = (World::of(&app, "Acme").await, World::of(&app, "Globex").await);
        let owner = Sdk::of(&app).below(slug(&world.provider));
        let ids = |items: &[Value]| items.iter().map(|item| text(item, "id").to_owned()).collect::<Vec<_>>();
        assert_eq!(ids(&owner.list("providers", &PROVIDER).await), [text(&world.provider, "id")]);
        assert_eq!(ids(&owner.list("tenants", &TENANT).await), [text(&world.tenant, "id")]);
        owner.token(&world.provider, &world.client, json!({})).await;
        assert_eq!(owner.refused("GET", &format!("providers/{}", text(&other.provider, "id")), None).await.0, 404);
        assert_eq!(owner.refused("POST", &other.tokens(), Some(&json!({}))).await.0, 404);
        assert_eq!(owner.refused("GET", &format!("tenants/{}", text(&other.tenant, "id")), None).await.0, 404);
        let refused = owner.refused("POST", "providers", Some(&json!({"name": "Third", "description": "x"}))).await;
        assert_eq!(refused.0, 403);
        let stranger = Sdk::of_role(&app, "admin", Some(text(&other.provider, "id"))).await.below(slug(&world.provider));
        assert_eq!(stranger.refused("GET", "tenants", None).await.0, 401, "a key of another provider is none here");
        // One that has not turned the surface on serves none of it.
        app.provider("plain", json!({})).await;
        let plain = Sdk::of(&app).below("plain");
        assert_eq!(plain.refused("GET", "providers", None).await.0, 404);
        let off = json!({"surfaces": []});
        let path = format!("/providers/{}", text(&world.provider, "id"));
        assert_eq!(app.admin("PATCH", &path).json(&off).send().await.status, 200);
        assert_eq!(owner.refused("POST", &world.tokens(), Some(&json!({}))).await.0, 404);
        let clients = format!("providers/{}/clients", text(&world.provider, "id"));
        assert_eq!(Sdk::of(&app).list(&clients, &CLIENT).await.len(), 1, "at the root it is still managed");
    }
}
