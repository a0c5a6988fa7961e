//! Who may do what: every role at every endpoint, bound to the provider, to none, and to another.

use serde_json::json;

use super::{Api, problem};
use crate::support::process::on_each;

const ROLES: [&str; 4] = ["default", "member", "admin", "owner"];

/// Where the key stands to the provider that the call is about.
const PLACES: [&str; 3] = ["unbound", "bound", "elsewhere"];

/// Method, path (`P` the provider, `C` its client, `K` an API key of role default at it), body, and the
/// statuses for the roles default, member, admin, owner: unbound | bound to it | bound to another.
/// What lies elsewhere does not exist (404); 403 comes first where the role is too low anywhere.
#[rustfmt::skip]
const TABLE: &[(&str, &str, &str, [[u16; 4]; 3])] = &[
    ("GET",    "/providers",                     "",   [[403, 200, 200, 200], [403, 200, 200, 200], [403, 200, 200, 200]]),
    ("GET",    "/providers/P",                   "",   [[403, 200, 200, 200], [403, 200, 200, 200], [403, 404, 404, 404]]),
    ("PATCH",  "/providers/P",                   "{}", [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 404, 404]]),
    ("GET",    "/providers/P/clients",           "",   [[403, 200, 200, 200], [403, 200, 200, 200], [403, 404, 404, 404]]),
    ("POST",   "/providers/P/clients",           "{}", [[403, 403, 201, 201], [403, 403, 201, 201], [403, 403, 404, 404]]),
    ("GET",    "/providers/P/clients/C",         "",   [[403, 200, 200, 200], [403, 200, 200, 200], [403, 404, 404, 404]]),
    ("PATCH",  "/providers/P/clients/C",         "{}", [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 404, 404]]),
    ("DELETE", "/providers/P/clients/C/tokens",  "",   [[403, 403, 204, 204], [403, 403, 204, 204], [403, 403, 404, 404]]),
    ("POST",   "/providers/P/clients/C/secrets", "",   [[403, 403, 201, 201], [403, 403, 201, 201], [403, 403, 404, 404]]),
    ("DELETE", "/providers/P/clients/C/secrets/x", "", [[403, 403, 404, 404], [403, 403, 404, 404], [403, 403, 404, 404]]),
    ("GET",    "/providers/P/domains",           "",   [[403, 200, 200, 200], [403, 200, 200, 200], [403, 404, 404, 404]]),
    ("POST",   "/providers/P/domains",           "{}", [[403, 403, 422, 422], [403, 403, 422, 422], [403, 403, 404, 404]]),
    ("GET",    "/providers/P/signing-keys",      "",   [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 404, 404]]),
    ("GET",    "/providers/P/trusted-issuers",   "",   [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 404, 404]]),
    ("POST",   "/providers/P/trusted-issuers",   "{}", [[403, 403, 422, 422], [403, 403, 422, 422], [403, 403, 404, 404]]),
    ("POST",   "/providers/P/trusted-issuers/test", "{\"token\":\"x\"}", [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 404, 404]]),
    ("DELETE", "/providers/P/tokens",            "",   [[403, 403, 204, 204], [403, 403, 204, 204], [403, 403, 404, 404]]),
    ("GET",    "/api-keys",                      "",   [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 200, 200]]),
    ("POST",   "/api-keys",                      "{}", [[403, 403, 201, 201], [403, 403, 201, 201], [403, 403, 201, 201]]),
    ("GET",    "/api-keys/K",                    "",   [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 404, 404]]),
    ("PATCH",  "/api-keys/K",                    "{}", [[403, 403, 200, 200], [403, 403, 200, 200], [403, 403, 404, 404]]),
    ("DELETE", "/api-keys/K/tokens",             "",   [[403, 403, 204, 204], [403, 403, 204, 204], [403, 403, 404, 404]]),
    // Only a key that is bound to none makes and ends providers.
    ("POST",   "/providers",                     "{}", [[403, 403, 422, 422], [403, 403, 403, 403], [403, 403, 403, 403]]),
    ("DELETE", "/providers/P",                   "",   [[403, 403, 409, 409], [403, 403, 403, 403], [403, 403, 404, 404]]),
];

on_each! {
    fn each_role_does_at_each_endpoint_what_the_contract_says(api: Api) {
        let other = Api::on(api.kind);
        let (client, _) = api.new_client(&json!({}));
        let (key, _) = api.new_key(&json!({"role": "default", "provider": api.slug}));
        let mut wrong = Vec::new();
        for (place_at, place) in PLACES.iter().enumerate() {
            for (role_at, role) in ROLES.iter().enumerate() {
                let bound = [json!(null), json!(api.slug), json!(other.slug)];
                let (_, acting) = api.new_key(&json!({"role": role, "provider": bound[place_at]}));
                let actor = api.acting_as(&acting);
                for (method, path, body, expected) in TABLE {
                    let path = path.replace("/P", &format!("/{}", api.slug)).replace("/C", &format!("/{client}"));
                    let path = path.replace("/K", &format!("/{key}"));
                    let headers = [("content-type", "application/json")];
                    let body = (!body.is_empty()).then_some(*body);
                    let headers = if body.is_some() { &headers[..] } else { &[] };
                    let answer = actor.call(method, &path, headers, body);
                    let expected = expected[place_at][role_at];
                    if answer.status != expected {
                        wrong.push(format!("{role} {place}: {method} {path}: {} instead of {expected}", answer.status));
                    } else if expected >= 400 {
                        problem(&answer, expected);
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    fn every_role_introspects_and_sees_its_own_provider_only(api: Api) {
        let other = Api::on(api.kind);
        let (client, secret) = api.new_client(&json!({}));
        let token = api.access_token(&client, &secret);
        for role in ROLES {
            let key = |provider: serde_json::Value| api.new_key(&json!({"role": role, "provider": provider})).1;
            assert!(api.http.is_active(&api.below(), &key(json!(null)), &token), "{role} bound to none");
            assert!(api.http.is_active(&api.below(), &key(json!(api.slug)), &token), "{role} bound to it");
            let path = format!("{}/oauth2/introspect", api.below());
            let foreign = format!("Bearer {}", key(json!(other.slug)));
            let seen = api.http.form(&path, Some(&foreign), &format!("token={token}"));
            assert!(seen.status == 401 || seen.json() == json!({"active": false}), "{role} of another: {seen:?}");
        }
    }
}
