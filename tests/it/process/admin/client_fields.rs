//! The fields of a client: all there, stored and returned, and what is refused.

use serde_json::{Map, Value, json};

use super::{Api, names, problem};
use crate::support::process::on_each;

on_each! {
    fn every_field_of_the_contract_is_shown_with_its_default(api: Api) {
        let made = api.post(&api.clients(), &json!({})).expect(201).json();
        assert_eq!(names(&made), [
            "access_token_format", "access_token_ttl", "application_type", "audience", "authorization_code_ttl",
            "backchannel_logout_session_required", "backchannel_logout_uri", "client_id", "client_name",
            "client_secret", "created_at", "dpop_bound_access_tokens", "enabled", "grant_types",
            "id_token_signed_response_alg", "jwks", "jwks_uri", "max_ttl", "may_mint", "may_set_subject",
            "post_logout_redirect_uris", "redirect_uris", "refresh_grace", "refresh_grace_unused",
            "refresh_rotation", "refresh_token_max_ttl", "refresh_token_ttl", "require_consent", "require_pkce",
            "require_pushed_authorization_requests", "resource_server", "resources", "response_types", "scope",
            "subject", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "updated_at",
        ]);
        assert_eq!(made["token_endpoint_auth_method"], "client_secret_basic");
        assert_eq!((&made["scope"], &made["audience"]), (&json!(""), &json!([])));
        assert_eq!((&made["access_token_format"], &made["enabled"]), (&json!("jwt"), &json!(true)));
        assert_eq!(made["subject"], made["client_id"]);
        for name in ["may_mint", "may_set_subject", "dpop_bound_access_tokens", "resource_server"] {
            assert_eq!(made[name], false, "{name}");
        }
    }

    fn fields_of_grants_that_are_not_built_are_stored_and_returned(api: Api) {
        let fields = json!({
            "client_name": "Täst & Söhne", "response_types": ["code"], "redirect_uris": ["https://a.example/cb?x=1"],
            "post_logout_redirect_uris": ["https://a.example/bye"], "backchannel_logout_uri": "https://a.example/out",
            "backchannel_logout_session_required": true, "scope": "openid read", "audience": ["https://api.example"],
            "token_endpoint_auth_method": "client_secret_post", "token_endpoint_auth_signing_alg": "ES256",
            "access_token_ttl": 100, "authorization_code_ttl": 31, "refresh_token_ttl": 101,
            "refresh_token_max_ttl": 102, "max_ttl": 103, "refresh_rotation": "late", "refresh_grace": 11,
            "refresh_grace_unused": 12, "access_token_format": "opaque", "id_token_signed_response_alg": "EdDSA",
            "require_pkce": false, "require_consent": true, "application_type": "native", "resource_server": true,
            "resources": ["https://r.example"], "enabled": false,
        });
        let made = api.post(&api.clients(), &fields).expect(201).json();
        let shown = api.get(&api.client(made["client_id"].as_str().unwrap())).expect(200).json();
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!((&made[name], &shown[name]), (value, value), "{name}");
        }
        // Each by itself, by PATCH, and back by null.
        let blank = api.post(&api.clients(), &json!({})).expect(201).json();
        let path = api.client(blank["client_id"].as_str().unwrap());
        api.patch(&path, &fields).expect(200);
        let nulls: Map<String, Value> =
            fields.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect();
        let back = api.patch(&path, &Value::Object(nulls)).expect(200).json();
        for name in fields.as_object().unwrap().keys() {
            assert_eq!(back[name], blank[name], "null is the default of {name}");
        }
    }

    fn what_is_not_built_is_refused_and_named(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        for (field, value) in [
            ("require_pushed_authorization_requests", json!(true)),
            ("dpop_bound_access_tokens", json!(true)),
            ("grant_types", json!(["urn:ietf:params:oauth:grant-type:device_code"])),
            ("grant_types", json!(["implicit"])),
            ("token_endpoint_auth_method", json!("client_secret_jwt")),
            ("token_endpoint_auth_method", json!("tls_client_auth")),
        ] {
            let body = json!({ field: value });
            let pointer = format!("/{field}");
            assert_eq!(problem(&api.post(&api.clients(), &body), 422), [pointer.as_str()], "{body}");
            assert_eq!(problem(&api.patch(&api.client(&id), &body), 422), [pointer.as_str()], "{body}");
        }
        // Off is what they are.
        api.patch(&api.client(&id), &json!({"may_mint": false, "dpop_bound_access_tokens": false})).expect(200);
    }

    fn a_client_of_codes_needs_a_place_to_send_them_to(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        let codes = json!({"grant_types": ["authorization_code"]});
        assert_eq!(problem(&api.post(&api.clients(), &codes), 422), ["/redirect_uris"]);
        assert_eq!(problem(&api.patch(&api.client(&id), &codes), 422), ["/redirect_uris"]);
        let full = json!({"grant_types": ["authorization_code", "refresh_token"], "redirect_uris": ["https://a.example/cb"], "response_types": null});
        for method in ["none", "client_secret_basic"] {
            let mut body = full.clone();
            body["token_endpoint_auth_method"] = json!(method);
            let made = api.post(&api.clients(), &body).expect(201);
            assert_eq!(made.json()["response_types"], json!(["code"]));
            let gone = json!({"redirect_uris": []});
            assert_eq!(problem(&api.patch(&api.client(&made.text_of("client_id")), &gone), 422), ["/redirect_uris"]);
        }
        // The others need nothing of it.
        for grants in [json!(["password"]), json!(["password", "refresh_token"]), json!(["urn:ietf:params:oauth:grant-type:token-exchange"])] {
            let made = api.post(&api.clients(), &json!({"grant_types": grants, "token_endpoint_auth_method": "none"})).expect(201);
            assert_eq!(made.json()["response_types"], json!([]));
        }
    }

    fn a_public_client_cannot_use_client_credentials(api: Api) {
        let public = json!({"token_endpoint_auth_method": "none"});
        assert_eq!(problem(&api.post(&api.clients(), &public), 422), ["/grant_types"]);
        let (id, _) = api.new_client(&json!({}));
        assert_eq!(problem(&api.patch(&api.client(&id), &public), 422), ["/grant_types"]);
        let body = json!({"token_endpoint_auth_method": "none", "grant_types": [], "client_secret": "x".repeat(40)});
        assert_eq!(problem(&api.post(&api.clients(), &body), 422), ["/client_secret"]);
        let made = api.post(&api.clients(), &json!({"token_endpoint_auth_method": "none", "grant_types": []})).expect(201);
        assert!(made.json().get("client_secret").is_none(), "{made:?}");
        for (field, value) in [("refresh_rotation", json!("late")), ("refresh_rotation", json!("never"))] {
            let change = json!({ field: value });
            let refused = problem(&api.patch(&api.client(&made.text_of("client_id")), &change), 422);
            assert_eq!(refused, [format!("/{field}")]);
        }
    }

    fn a_client_without_client_credentials_gets_no_token(api: Api) {
        let (id, secret) = api.new_client(&json!({"grant_types": []}));
        let refused = api.token(&id, &secret).expect(400);
        assert_eq!(refused.json()["error"], "unauthorized_client");
    }

    fn several_wrong_fields_come_back_in_one_answer(api: Api) {
        let wrong = json!({
            "redirect_uris": ["/relative"], "access_token_ttl": 0, "scope": "a\"b", "colour": "red",
            "refresh_rotation": "sometimes", "application_type": "fridge", "refresh_grace": 301,
            "refresh_grace_unused": 86401, "authorization_code_ttl": 601, "access_token_format": "xml",
            "audience": [7], "id_token_signed_response_alg": "none", "jwks": {"keys": [{"kty": "oct"}]},
        });
        let expected: Vec<String> = names(&wrong).iter().map(|name| format!("/{name}")).collect();
        assert_eq!(problem(&api.post(&api.clients(), &wrong), 422), expected);
        let (id, _) = api.new_client(&json!({}));
        let before = api.get(&api.client(&id)).json();
        assert_eq!(problem(&api.patch(&api.client(&id), &wrong), 422), expected);
        assert_eq!(api.get(&api.client(&id)).json(), before, "nothing changed");
        for read_only in ["created_at", "updated_at", "version", "epoch", "provider"] {
            let refused = problem(&api.patch(&api.client(&id), &json!({ read_only: "2030-01-01T00:00:00Z" })), 422);
            assert_eq!(refused, [format!("/{read_only}")]);
        }
    }

    fn redirect_uris_are_held_to_the_rules(api: Api) {
        let refused = |kind: &str, uri: &str| {
            let body = json!({"application_type": kind, "redirect_uris": [uri]});
            assert_eq!(problem(&api.post(&api.clients(), &body), 422), ["/redirect_uris"], "{kind} {uri}");
        };
        for uri in [
            "", "/relative", "a.example/cb", "https://a.example/#f", "https://*.example/cb", "javascript:alert(1)",
            "data:text/html,x", "http://a.example/cb", "https://user:pw@a.example/cb", "https://a.example/a b",
            "https://a.example\\@b.example/", "com.example.app:/cb", "http://localhost.evil.example/",
        ] {
            refused("web", uri);
        }
        for uri in ["myapp:/cb", "javascript:alert(1)", "http://a.example/cb"] {
            refused("native", uri);
        }
        let good = json!({"application_type": "native", "redirect_uris": [
            "https://a.example/cb", "http://localhost:3000/cb", "http://127.0.0.1/cb", "http://[::1]:1/", "com.example.app:/cb",
        ]});
        let made = api.post(&api.clients(), &good).expect(201).json();
        assert_eq!(made["redirect_uris"], good["redirect_uris"], "byte for byte");
    }

    fn private_key_jwt_needs_keys_and_never_private_ones(api: Api) {
        let method = json!({"token_endpoint_auth_method": "private_key_jwt"});
        assert_eq!(problem(&api.post(&api.clients(), &method), 422), ["/jwks"]);
        let key = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "k",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
        });
        let mut private = key.clone();
        private["d"] = json!("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI");
        let with = |key: &Value| json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}});
        assert_eq!(problem(&api.post(&api.clients(), &with(&private)), 422), ["/jwks"]);
        let made = api.post(&api.clients(), &with(&key)).expect(201).json();
        assert!(made.get("client_secret").is_none(), "{made}");
        assert_eq!(made["jwks"]["keys"][0]["x"], key["x"]);
    }

    fn a_lifetime_is_bounded_by_the_providers(api: Api) {
        api.patch(&api.provider(), &json!({"access_token_ttl": 50, "max_ttl": 100})).expect(200);
        assert_eq!(problem(&api.post(&api.clients(), &json!({"access_token_ttl": 101})), 422), ["/access_token_ttl"]);
        let (id, secret) = api.new_client(&json!({"access_token_ttl": 100}));
        assert_eq!(api.token(&id, &secret).expect(200).json()["expires_in"], 100);
        let (id, secret) = api.new_client(&json!({}));
        assert_eq!(api.token(&id, &secret).expect(200).json()["expires_in"], 50);
    }
}
