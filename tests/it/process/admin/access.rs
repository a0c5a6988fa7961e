//! What every call of the API has in common: credentials, media types, methods, bodies.

use serde_json::json;

use super::{Api, problem};
use crate::support::client::basic;
use crate::support::process::{OWNER, on_each};

on_each! {
    fn without_a_key_it_is_401_with_a_challenge(api: Api) {
        for authorization in ["", "Bearer wrong", "Bearer gk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "Basic Og==", "Bearer", "Digest x"] {
            let refused = api.with_authorization(authorization).get("/providers");
            assert!(refused.header("www-authenticate").is_some(), "{authorization}: {refused:?}");
            problem(&refused, 401);
        }
        let (id, secret) = api.new_client(&json!({}));
        problem(&api.with_authorization(&basic(&id, &secret)).get("/providers"), 401);
        problem(&api.with_authorization(&basic("x", OWNER)).get("/providers"), 401);
        // A client secret is no API key.
        problem(&api.with_authorization(&format!("Bearer {secret}")).get("/providers"), 401);
    }

    fn bearer_and_token_are_taken_in_any_letter_case(api: Api) {
        let (_, key) = api.new_key(&json!({"role": "member"}));
        for scheme in ["Bearer", "bearer", "BEARER", "Token", "token"] {
            for key in [OWNER, &key] {
                api.with_authorization(&format!("{scheme} {key}")).get(&api.provider()).expect(200);
            }
        }
    }

    fn access_tokens_manage_nothing_and_are_told_so(api: Api) {
        for format in ["jwt", "opaque"] {
            let (id, secret) = api.new_client(&json!({"access_token_format": format, "scope": "grantd:admin openid"}));
            let token = api.access_token(&id, &secret);
            for (method, path) in [("GET", "/providers".to_owned()), ("POST", api.clients()), ("DELETE", api.provider())] {
                let refused = api.acting_as(&token).call(method, &path, &[], None);
                problem(&refused, 403);
                assert!(refused.text_of("detail").contains("API key"), "{refused:?}");
            }
        }
    }

    fn a_key_that_is_deleted_or_expired_is_nobody(api: Api) {
        let (id, key) = api.new_key(&json!({"role": "admin"}));
        api.acting_as(&key).get("/providers").expect(200);
        api.delete(&format!("/api-keys/{id}")).expect(204);
        problem(&api.acting_as(&key).get("/providers"), 401);
    }

    fn another_media_type_is_415_and_a_large_body_413(api: Api) {
        for headers in [vec![], vec![("content-type", "text/plain")], vec![("content-type", "application/x-www-form-urlencoded")]] {
            problem(&api.call("POST", &api.clients(), &headers, Some("{}")), 415);
        }
        for good in ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/merge-patch+json"] {
            api.call("POST", &api.clients(), &[("content-type", good)], Some("{}")).expect(201);
        }
        let json = [("content-type", "application/json")];
        let padded = |size: usize| format!("{{\"client_name\":\"n\"{}}}", " ".repeat(size - 19));
        assert_eq!(padded(100).len(), 100);
        api.call("POST", &api.clients(), &json, Some(&padded(65_536))).expect(201);
        problem(&api.call("POST", &api.clients(), &json, Some(&padded(65_537))), 413);
    }

    fn a_body_that_is_no_object_is_400(api: Api) {
        let json = [("content-type", "application/json")];
        for body in ["", "{", "[]", "null", "7", "{} {}", "{\"a\":1,}", "{\"client_name\":\"a\",\"client_name\":\"b\"}", "\u{feff}{}", "{\"client_name\":\"\\ud800\"}"] {
            problem(&api.call("POST", &api.clients(), &json, Some(body)), 400);
        }
        let deep = format!("{{\"jwks\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
        problem(&api.call("POST", &api.clients(), &json, Some(&deep)), 400);
        assert_eq!(api.get(&api.clients()).json()["items"], json!([]), "nothing was made");
    }

    fn a_wrong_method_is_405_with_allow_and_an_unknown_path_404(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        for (path, allowed) in [
            ("/providers".to_owned(), "GET, POST"),
            (api.provider(), "DELETE, GET, PATCH"),
            (format!("{}/tokens", api.provider()), "DELETE"),
            (format!("{}/signing-keys", api.provider()), "GET"),
            (format!("{}/signing-keys/rotate", api.provider()), "POST"),
            (format!("{}/domains", api.provider()), "GET, POST"),
            (format!("{}/domains/x", api.provider()), "DELETE, GET, PATCH"),
            (format!("{}/domains/x/verify", api.provider()), "POST"),
            (api.clients(), "GET, POST"),
            (api.client(&id), "DELETE, GET, PATCH"),
            (format!("{}/tokens", api.client(&id)), "DELETE, POST"),
            (api.secrets(&id), "GET, POST"),
            (format!("{}/x", api.secrets(&id)), "DELETE, GET"),
            ("/api-keys".to_owned(), "GET, POST"),
            ("/api-keys/x".to_owned(), "DELETE, GET, PATCH"),
            ("/api-keys/x/tokens".to_owned(), "DELETE"),
        ] {
            let refused = api.call("PUT", &path, &[], Some("{}"));
            problem(&refused, 405);
            let mut allow: Vec<_> = refused.header("allow").expect("an Allow").split(", ").filter(|m| *m != "HEAD").collect();
            allow.sort_unstable();
            assert_eq!(allow.join(", "), allowed, "{path}");
        }
        for path in ["", "/", "/nope", "/providers/default/nope", "/providers/default/clients/a/b/c/d"] {
            problem(&api.get(path), 404);
        }
        problem(&api.get("/providers/nope"), 404);
        problem(&api.get("/providers/nope/clients"), 404);
        problem(&api.get("/api-keys/nope"), 404);
        problem(&api.patch("/api-keys/nope", &json!({})), 404);
    }

    fn answers_are_not_stored_and_carry_our_request_id(api: Api) {
        let answer = api.call("GET", "/providers", &[("x-request-id", "theirs")], None).expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_ne!(answer.header("x-request-id"), Some("theirs"));
        let refused = api.get("/nope");
        assert_eq!(refused.header("x-request-id"), Some(refused.text_of("request_id").as_str()));
        assert_eq!(refused.header("access-control-allow-origin"), None, "never cross-origin");
    }
}
