//! Every field that a file may hold: it is set by the file, and comes back from the server as it was.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::support::databases::Kind;
use crate::support::jose::Signer;
use crate::support::process::{Home, Installed, on_each};

/// What the server makes itself, and what is not of a file.
const MADE: [&str; 16] = [
    "id",
    "created_at",
    "updated_at",
    "surface",
    "tenant",
    "issuer",
    "verified",
    "primary",
    "dns_record",
    "verified_at",
    "built_in",
    "provider",
    "failures",
    "old_secret_until",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
];

/// A provider with nothing at its default.
fn whole(jwks: &Value) -> Value {
    let mut provider = json!({
        "slug": "whole", "name": "Whole", "description": "Of everything", "default_audience": "https://api.example",
        "access_token_signing_alg": "EdDSA", "access_token_ttl": 601, "id_token_ttl": 602, "authorization_code_ttl": 59,
        "refresh_token_ttl": 603, "refresh_token_max_ttl": 604, "max_ttl": 605, "jwks_max_age": 606, "key_rotation": 86_401,
        "session_idle_ttl": 607, "session_max_ttl": 608, "strict_scopes": true, "surfaces": ["runai"],
        "logo_uri": "data:image/png;base64,aGk=", "brand_color": "#a1b2c3", "enabled": false,
    });
    let below = json!({
        "scopes": [{"name": "read", "description": "Reads"}],
        "roles": [{"name": "buyer", "description": "Buys"}],
        "groups": [{"name": "staff", "description": "Works here", "roles": ["buyer"]}],
        "clients": clients(jwks),
        "trusted_issuers": trusted_issuers(jwks),
        "domains": [{"domain": "id.whole.example"}],
        "webhooks": [{"url": "https://hooks.example/a", "events": ["client.*"], "enabled": false}],
    });
    provider.as_object_mut().unwrap().extend(below.as_object().unwrap().clone());
    provider
}

fn clients(jwks: &Value) -> Value {
    let mut a = json!({
        "client_id": "a", "client_name": "A", "subject": "svc|a", "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": ["com.example.app:/cb"], "post_logout_redirect_uris": ["com.example.app:/bye"],
        "backchannel_logout_uri": "https://a.example/out", "backchannel_logout_session_required": true, "scope": "read",
        "audience": ["https://a.example"], "token_endpoint_auth_method": "client_secret_post", "access_token_format": "opaque",
        "application_type": "native", "resource_server": true, "resources": ["https://r.example"], "may_mint": true,
        "may_set_subject": true, "enabled": false,
    });
    let policy = json!({
        "access_token_ttl": 61, "authorization_code_ttl": 31, "refresh_token_ttl": 62, "refresh_token_max_ttl": 63, "max_ttl": 64,
        "refresh_rotation": "late", "refresh_grace": 33, "refresh_grace_unused": 34, "id_token_signed_response_alg": "RS256",
        "require_pkce": false, "require_consent": true,
    });
    a.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    json!([
        a,
        {
            "client_id": "b", "token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
            "response_types": ["code"], "jwks": jwks,
        },
        {"client_id": "c", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://c.example/jwks"},
    ])
}

fn trusted_issuers(jwks: &Value) -> Value {
    let a = json!({
        "issuer": "https://a.example", "purpose": "validate", "jwks_uri": "https://a.example/jwks", "clients": ["a"],
        "audiences": ["x"], "algorithms": ["ES256"], "subject_claim": "email",
        "conditions": [{"claim": "org", "operator": "in", "value": ["a", "b"]}],
        "token_types": ["urn:ietf:params:oauth:token-type:jwt"], "require_jti": true, "max_age": 60, "provision": "jit",
        "link_by_verified_email": true, "allow_refresh": true, "scope": "read", "audience": ["https://a.example"], "max_ttl": 65,
        "fingerprints": ["ab".repeat(32)], "enabled": false,
    });
    json!([a, {"issuer": "https://b.example", "purpose": "exchange", "jwks": jwks, "audiences": ["x"], "map_to": "client"}])
}

fn applied(home: &Home, document: &Value) -> String {
    fs::write(home.folder().join("whole.json"), document.to_string()).unwrap();
    let ran = home.run(&["apply", "-f", "whole.json", "--yes", "--prune"]);
    assert!(ran.status.success(), "{ran:?}");
    ran.stdout
}

fn names(item: &Value) -> BTreeSet<String> {
    item.as_object().unwrap().keys().cloned().collect()
}

on_each! {
    fn every_field_comes_back_as_it_was_set(home: Installed) {
        let wanted = json!({"version": 1, "providers": [whole(&json!({"keys": [Signer::es256().jwk("k1")]}))]});
        applied(&home, &wanted);
        let exported = home.json(&["export", "--provider", "whole"]);
        let (wanted_provider, provider) = (&wanted["providers"][0], &exported["providers"][0]);
        for name in names(wanted_provider).union(&names(provider)) {
            assert_eq!(provider[name], wanted_provider[name], "{name}");
        }
        assert!(applied(&home, &exported).contains("There is nothing to do."));
        // A field that the server has and that is not in here was forgotten.
        for (noun, section) in [
            ("scope", "scopes"), ("role", "roles"), ("group", "groups"), ("client", "clients"), ("trust", "trusted_issuers"),
            ("domain", "domains"), ("webhook", "webhooks"),
        ] {
            let at = if noun == "webhook" { &[][..] } else { &["--provider", "whole"] };
            let listed = home.json(&[&[noun, "list"], at].concat());
            let served: BTreeSet<String> = listed["items"].as_array().unwrap().iter().flat_map(names).collect();
            let set: BTreeSet<String> = wanted_provider[section].as_array().unwrap().iter().flat_map(names).collect();
            let left: Vec<&String> = served.difference(&set).filter(|name| !MADE.contains(&name.as_str())).collect();
            assert!(left.is_empty(), "{section}: {left:?}");
        }
        let served = names(&home.json(&["provider", "show", "whole"]));
        let left: Vec<_> = served.difference(&names(wanted_provider)).filter(|name| !MADE.contains(&name.as_str())).cloned().collect();
        assert!(left.is_empty(), "{left:?}");
        // And back to the defaults, one after the other with its name alone.
        let bare = json!({"version": 1, "providers": [{"slug": "whole", "clients": [], "trusted_issuers": [], "webhooks": []}]});
        applied(&home, &bare);
        let exported = home.json(&["export", "--provider", "whole"]);
        let provider = &exported["providers"][0];
        let left: Vec<_> = names(provider).into_iter().filter(|name| !provider[name].is_array()).collect();
        assert_eq!(left, ["slug"]);
        assert_eq!((&provider["clients"], &provider["domains"]), (&json!([]), &wanted_provider["domains"]));
    }
}

#[test]
fn what_another_reader_takes_for_something_else_is_in_quotes() {
    let home = Home::on(Kind::Sqlite).migrated();
    let odd = [
        "true",
        "False",
        "yes",
        "No",
        "on",
        "OFF",
        "null",
        "~",
        "y",
        "N",
        "7",
        "-1",
        "0x1F",
        "1e5",
        ".5",
        "1:30",
        "2026-11-22",
        "- a",
        "a: b",
        "a #b",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "a:",
    ];
    for (number, name) in odd.iter().enumerate() {
        let id = format!("c{number:02}");
        home.json(&["client", "create", "--client-id", &id, &format!("--name={name}")]);
    }
    let exported = home.run(&["export"]).stdout;
    for name in odd {
        let line = format!("        client_name: \"{name}\"");
        assert!(exported.lines().any(|own| own == line), "no {line} in {exported}");
    }
}
