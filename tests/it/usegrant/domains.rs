//! Domains through this API, and what a verified one does to tokens.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::support::app::on_both_apps;
use crate::support::dns::dns;
use crate::support::jose::decoded;
use crate::usegrant::{AUDIENCE, DOMAIN, Sdk, has, text};

/// A domain that no other test of this run has.
fn fresh_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("auth.ug{}.example", NUMBER.fetch_add(1, Ordering::Relaxed))
}

async fn verified(sdk: &Sdk<'_>, path: &str) -> Value {
    let answer = sdk.send("POST", &format!("{path}/verify"), None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    has(&body["domain"], &DOMAIN);
    assert!(body["verified"].is_boolean() && body["message"].is_string(), "{body}");
    body
}

on_both_apps! {
    async fn a_domain_is_added_proven_used_and_ended(app: TestApp) {
        let sdk = Sdk::of(&app);
        let provider = sdk.provider("Acme").await;
        let client = sdk.client(&provider, AUDIENCE).await;
        let (name, domains) = (fresh_name(), format!("providers/{}/domains", text(&provider, "id")));
        let added = sdk.made(&domains, json!({"domain": name}), &DOMAIN).await;
        assert_eq!((&added["domain"], &added["verified"]), (&json!(name), &json!(false)));
        let path = format!("{domains}/{}", text(&added, "id"));
        let unproven = verified(&sdk, &path).await;
        assert_eq!((&unproven["verified"], &unproven["domain"]["verified"]), (&json!(false), &json!(false)));
        let issuer = async |ask: Value| {
            let token = sdk.token(&provider, &client, ask).await;
            text(&decoded(text(&token, "accessToken")).1, "iss").to_owned()
        };
        assert_eq!(issuer(json!({})).await, text(&provider, "issuer"), "an unproven one is nobody's");
        dns().says(text(&added["dnsRecord"], "name"), text(&added["dnsRecord"], "value"));
        let proven = verified(&sdk, &path).await;
        assert_eq!((&proven["verified"], &proven["domain"]["verified"]), (&json!(true), &json!(true)));
        assert_eq!(sdk.get(&path, &DOMAIN).await["verified"], true);
        assert_eq!(sdk.list(&domains, &DOMAIN).await.len(), 1);
        // New tokens name it unless the default one is forced; both verify.
        let own = format!("https://{name}");
        assert_eq!(issuer(json!({})).await, own);
        assert_eq!(issuer(json!({"forceDefaultDomain": false})).await, own);
        assert_eq!(issuer(json!({"forceDefaultDomain": true})).await, text(&provider, "issuer"));
        let token = text(&sdk.token(&provider, &client, json!({})).await, "accessToken").to_owned();
        assert!(sdk.is_active(&provider, &token).await);
        let stated = app.get("/.well-known/openid-configuration").header("host", &name).send().await.json();
        assert_eq!(stated["issuer"], own);
        // Made primary by the admin API, the default one is still the one below the public URL.
        let primary = app.admin("PATCH", &format!("/{path}")).json(&json!({"primary": true})).send().await;
        assert_eq!(primary.status, 200, "{}", primary.text());
        assert_eq!(issuer(json!({})).await, own);
        assert_eq!(issuer(json!({"forceDefaultDomain": true})).await, text(&provider, "issuer"));
        sdk.delete(&path).await;
        for method in ["GET", "DELETE"] {
            assert_eq!(sdk.refused(method, &path, None).await.0, 404);
        }
        assert_eq!(issuer(json!({})).await, text(&provider, "issuer"));
    }

    async fn the_surface_answers_on_the_domain_for_its_provider_only(app: TestApp) {
        let sdk = Sdk::of(&app);
        let (provider, other) = (sdk.provider("Acme").await, sdk.provider("Globex").await);
        let (name, domains) = (fresh_name(), format!("providers/{}/domains", text(&provider, "id")));
        let added = sdk.made(&domains, json!({"domain": name}), &DOMAIN).await;
        dns().says(text(&added["dnsRecord"], "name"), text(&added["dnsRecord"], "value"));
        verified(&sdk, &format!("{domains}/{}", text(&added, "id"))).await;
        let at = async |path: String| {
            let call = app.get(&path).bearer(&app.first.owner_key).header("host", &name);
            let answer = call.send().await;
            (answer.status, answer.json())
        };
        let (status, listed) = at("/v1/providers".to_owned()).await;
        assert_eq!((status, listed.as_array().unwrap().len(), &listed[0]["id"]), (200, 1, &provider["id"]));
        assert_eq!(at(format!("/v1/providers/{}", text(&other, "id"))).await.0, 404);
        let clients = format!("/v1/providers/{}/clients", text(&provider, "id"));
        assert_eq!(at(clients).await.0, 200);
        let off = json!({"surfaces": []});
        let row = format!("/providers/{}", text(&provider, "id"));
        assert_eq!(app.admin("PATCH", &row).json(&off).send().await.status, 200);
        assert_eq!(at("/v1/providers".to_owned()).await.0, 404, "it has turned the surface off");
    }

    async fn names_that_are_no_domains_and_domains_of_others_are_refused(app: TestApp) {
        let sdk = Sdk::of(&app);
        let (first, second) = (sdk.provider("Acme").await, sdk.provider("Globex").await);
        let path = |provider: &Value| format!("providers/{}/domains", text(provider, "id"));
        for bad in ["www.acme.example", "https://acme.example", "acme", "a b.example", "192.0.2.1", "ab", "id.example.com"] {
            let (status, code, message) = sdk.refused("POST", &path(&first), Some(&json!({"domain": bad}))).await;
            assert_eq!((status, code.as_str()), (400, "bad_request"), "{bad}");
            assert!(message.starts_with("domain ") && !message.contains(bad), "{bad}: {message}");
        }
        let name = fresh_name();
        let of_first = sdk.made(&path(&first), json!({"domain": name}), &DOMAIN).await;
        let again = sdk.refused("POST", &path(&first), Some(&json!({"domain": name}))).await;
        assert_eq!((again.0, again.1.as_str()), (409, "conflict"));
        // Another may add it too; who proves it first has it.
        let of_second = sdk.made(&path(&second), json!({"domain": name}), &DOMAIN).await;
        for domain in [&of_first, &of_second] {
            dns().says(text(&domain["dnsRecord"], "name"), text(&domain["dnsRecord"], "value"));
            let owner = if domain == &of_first { &first } else { &second };
            let own = format!("{}/{}", path(owner), text(domain, "id"));
            let answer = sdk.send("POST", &format!("{own}/verify"), None).await;
            assert_eq!(answer.status, if domain == &of_first { 200 } else { 409 }, "{}", answer.text());
        }
        let mixed = format!("{}/{}", path(&second), text(&of_first, "id"));
        for (method, path) in [("GET", mixed.clone()), ("DELETE", mixed.clone()), ("POST", format!("{mixed}/verify"))] {
            assert_eq!(sdk.refused(method, &path, None).await.0, 404, "{method} {path}");
        }
    }
}
