//! Providers and their signing keys.

use serde_json::json;

use super::{Api, names, problem};
use crate::support::client::decoded;
use crate::support::process::{ISSUER, OWNER, on_each};

on_each! {
    fn a_provider_is_made_shown_and_serves(api: Api) {
        let slug = format!("{}-x", api.slug);
        let made = api.post("/providers", &json!({"slug": slug, "name": "Acme"})).expect(201);
        let (location, etag) = (made.header("location").unwrap().to_owned(), made.header("etag").unwrap().to_owned());
        let body = made.json();
        assert_eq!(names(&body), [
            "access_token_signing_alg", "access_token_ttl", "authorization_code_ttl", "brand_color", "created_at",
            "default_audience", "description", "enabled", "id", "id_token_ttl", "issuer", "jwks_max_age", "key_rotation", "logo_uri",
            "max_ttl", "name", "refresh_token_max_ttl", "refresh_token_ttl", "session_idle_ttl", "session_max_ttl",
            "slug", "strict_scopes", "surfaces", "updated_at",
        ]);
        assert_eq!(body["issuer"], format!("{ISSUER}/p/{slug}"));
        assert_eq!(body["default_audience"], body["issuer"]);
        for (name, value) in [
            ("access_token_ttl", 3600), ("id_token_ttl", 3600), ("authorization_code_ttl", 60),
            ("refresh_token_ttl", 30 * 86400), ("refresh_token_max_ttl", 180 * 86400), ("max_ttl", 1_209_600),
            ("jwks_max_age", 3600), ("key_rotation", 90 * 86400),
            ("session_idle_ttl", 12 * 3600), ("session_max_ttl", 30 * 86400),
        ] {
            assert_eq!(body[name], value, "{name}");
        }
        assert_eq!((&body["access_token_signing_alg"], &body["enabled"]), (&json!("ES256"), &json!(true)));
        let shown = api.get(location.trim_start_matches("/admin/v1")).expect(200);
        assert_eq!((shown.json(), shown.header("etag")), (body.clone(), Some(etag.as_str())));
        for name in [slug.as_str(), body["id"].as_str().unwrap()] {
            assert_eq!(api.get(&format!("/providers/{name}")).expect(200).json(), body);
        }
        let metadata = api.http.get(&format!("/p/{slug}/.well-known/openid-configuration")).expect(200);
        assert_eq!(metadata.json()["issuer"], body["issuer"]);
    }

    fn a_slug_is_checked_unchangeable_and_never_reused(api: Api) {
        let uuid = "018f4b5e-6f7a-7b3c-8d9e-0123456789ab";
        for slug in ["", "-a", "A", "a b", "a_b", "ä", uuid, &"a".repeat(64)] {
            assert_eq!(problem(&api.post("/providers", &json!({ "slug": slug })), 422), ["/slug"], "{slug}");
        }
        assert_eq!(problem(&api.post("/providers", &json!({})), 422), ["/slug"]);
        problem(&api.post("/providers", &json!({ "slug": api.slug })), 409);
        assert_eq!(problem(&api.patch(&api.provider(), &json!({"slug": "other"})), 422), ["/slug"]);
        api.patch(&api.provider(), &json!({ "slug": api.slug })).expect(200);
        api.delete(&api.provider()).expect(204);
        problem(&api.post("/providers", &json!({ "slug": api.slug })), 409);
    }

    fn a_change_is_a_merge_patch_and_null_is_the_default(api: Api) {
        let before = api.get(&api.provider()).expect(200).json();
        let change = json!({
            "name": "New", "description": "For API clients", "default_audience": "https://api.example", "access_token_ttl": 60, "max_ttl": 120,
            "id_token_ttl": 61, "authorization_code_ttl": 30, "refresh_token_ttl": 62, "refresh_token_max_ttl": 63,
            "jwks_max_age": 64, "key_rotation": 86400, "access_token_signing_alg": "EdDSA", "strict_scopes": true,
            "surfaces": ["runai"],
        });
        let after = api.patch(&api.provider(), &change).expect(200).json();
        for (name, value) in change.as_object().unwrap() {
            assert_eq!(&after[name], value, "{name}");
        }
        assert_eq!(api.get(&api.provider()).expect(200).json(), after);
        let nulls = change.as_object().unwrap().keys().map(|name| (name.clone(), json!(null)));
        let nulls: serde_json::Map<_, _> = nulls.collect();
        let mut back = api.patch(&api.provider(), &json!(nulls)).expect(200).json();
        back["updated_at"] = before["updated_at"].clone();
        assert_eq!(back, before, "null is the default");
    }

    fn every_wrong_field_is_named_at_once(api: Api) {
        let wrong = json!({"max_ttl": "x", "name": 7, "enabled": "yes", "issuer": "https://x.example", "a/b~c": 1});
        let named = problem(&api.patch(&api.provider(), &wrong), 422);
        assert_eq!(named, ["/a~1b~0c", "/enabled", "/issuer", "/max_ttl", "/name"]);
        let wrong = json!({
            "access_token_ttl": 0, "jwks_max_age": -1, "access_token_signing_alg": "HS256", "surfaces": ["nope"],
            "authorization_code_ttl": 601, "default_audience": "",
        });
        let named = problem(&api.patch(&api.provider(), &wrong), 422);
        assert_eq!(named, [
            "/access_token_signing_alg", "/access_token_ttl", "/authorization_code_ttl", "/default_audience",
            "/jwks_max_age", "/surfaces",
        ]);
        // A mistyped field does not hide a wrong one, nor an unknown one.
        let named = problem(&api.patch(&api.provider(), &json!({"name": 7, "access_token_ttl": 0, "x": 1})), 422);
        assert_eq!(named, ["/access_token_ttl", "/name", "/x"]);
        let named = problem(&api.patch(&api.provider(), &json!({"access_token_ttl": 10, "max_ttl": 9})), 422);
        assert_eq!(named, ["/access_token_ttl"]);
    }

    fn the_provider_default_stays(api: Api) {
        problem(&api.delete("/providers/default"), 409);
        problem(&api.delete("/providers/default?cascade=true"), 409);
        api.get("/providers/default").expect(200);
    }

    fn a_provider_with_live_clients_goes_only_by_cascade_and_takes_everything_along(api: Api) {
        let (client, secret) = api.new_client(&json!({}));
        let (_, key) = api.new_key(&json!({"role": "member", "provider": api.slug}));
        api.acting_as(&key).get(&api.provider()).expect(200);
        api.access_token(&client, &secret);
        problem(&api.delete(&api.provider()), 409);
        problem(&api.delete(&format!("{}?cascade=false", api.provider())), 409);
        api.delete(&format!("{}?cascade=true", api.provider())).expect(204);
        for path in [api.provider(), api.clients(), api.client(&client)] {
            problem(&api.get(&path), 404);
        }
        problem(&api.delete(&api.provider()), 404);
        assert_eq!(api.token(&client, &secret).status, 404);
        assert_eq!(api.http.get(&format!("{}/.well-known/jwks.json", api.below())).status, 404);
        // No key of it manages anything any more.
        let status = api.acting_as(&key).get("/providers").status;
        assert!([401, 403, 404].contains(&status), "{status}");
    }

    fn a_provider_without_live_clients_goes_without_cascade(api: Api) {
        let (client, _) = api.new_client(&json!({}));
        api.delete(&api.client(&client)).expect(204);
        api.delete(&api.provider()).expect(204);
    }

    fn a_disabled_provider_issues_nothing_and_its_tokens_end(api: Api) {
        let (client, secret) = api.new_client(&json!({}));
        let token = api.access_token(&client, &secret);
        api.patch(&api.provider(), &json!({"enabled": false})).expect(200);
        assert_ne!(api.token(&client, &secret).status, 200);
        api.patch(&api.provider(), &json!({"enabled": true})).expect(200);
        api.access_token(&client, &secret);
        assert!(!api.is_active(&token), "enabling again revives nothing");
    }

    fn all_tokens_of_a_provider_are_revoked(api: Api) {
        let (client, secret) = api.new_client(&json!({}));
        let token = api.access_token(&client, &secret);
        assert!(api.is_active(&token));
        api.delete(&format!("{}/tokens", api.provider())).expect(204);
        assert!(!api.is_active(&token));
        assert!(api.is_active(&api.access_token(&client, &secret)));
    }

    fn signing_keys_are_listed_shown_and_rotated(api: Api) {
        let keys = format!("{}/signing-keys", api.provider());
        let (client, secret) = api.new_client(&json!({}));
        let token = api.access_token(&client, &secret);
        let listed = api.get(&keys).expect(200).json();
        let active = listed["items"].as_array().unwrap().iter().find(|key| key["state"] == "active").unwrap().clone();
        assert_eq!(names(&active), ["activated_at", "alg", "created_at", "kid", "public_jwk", "retired_at", "state"]);
        assert_eq!(decoded(&token).0["kid"], active["kid"]);
        let shown = api.get(&format!("{keys}/{}", active["kid"].as_str().unwrap())).expect(200);
        assert_eq!(shown.json(), active);
        assert!(active["public_jwk"].get("d").is_none(), "the private part is told");
        problem(&api.get(&format!("{keys}/nope")), 404);
        assert_eq!(problem(&api.post(&format!("{keys}/rotate"), &json!({"alg": "HS256"})), 422), ["/alg"]);
        let made = api.post(&format!("{keys}/rotate"), &json!({}));
        assert!(matches!(made.status, 200 | 201), "{made:?}");
        let kids = api.http.kids(&api.below());
        assert!(kids.len() == 2 && kids.iter().any(|kid| *kid == active["kid"]), "{kids:?}");
        // Next is published before it signs.
        assert_eq!(decoded(&api.access_token(&client, &secret)).0["kid"], active["kid"]);
        problem(&api.post(&format!("{keys}/rotate"), &json!({})), 409);
    }

    fn with_strict_scopes_nobody_creates_a_scope_by_writing_it(api: Api) {
        api.new_client(&json!({"scope": "known"}));
        api.patch(&api.provider(), &json!({"strict_scopes": true})).expect(200);
        assert_eq!(problem(&api.post(&api.clients(), &json!({"scope": "known strange"})), 422), ["/scope"]);
        api.new_client(&json!({"scope": "known openid usage:write all:read all:write"}));
    }
}

#[test]
fn the_owner_key_of_the_environment_is_in_no_list() {
    let api = Api::on(crate::support::databases::Kind::Sqlite);
    assert!(!api.get("/api-keys").expect(200).text.contains(OWNER));
}
