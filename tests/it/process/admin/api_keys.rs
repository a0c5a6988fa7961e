//! API keys: nobody makes one that is stronger than itself, and the last owner stays.

use serde_json::{Value, json};

use super::{Api, names, problem};
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, on_each};

on_each! {
    fn a_key_is_made_shown_changed_and_ended(api: Api) {
        let made = api.post("/api-keys", &json!({"name": "ci", "role": "member", "provider": api.slug})).expect(201);
        let mut body = made.json();
        assert!(made.text_of("key").starts_with("gk_"));
        body.as_object_mut().unwrap().remove("key");
        for field in [
            "id", "name", "role", "scope", "audience", "max_ttl", "may_set_subject", "provider", "expires_at", "last_used_at",
        ] {
            assert!(body.get(field).is_some(), "no {field} in {body}");
        }
        assert_eq!(body["provider"], api.slug.as_str());
        let path = made.header("location").unwrap().trim_start_matches("/admin/v1").to_owned();
        let shown = api.get(&path).expect(200);
        assert_eq!((shown.json(), shown.header("etag")), (body.clone(), made.header("etag")));
        let change = json!({
            "name": "n", "role": "admin", "scope": "a b", "audience": ["https://a.example"], "max_ttl": 60,
            "expires_at": "2099-01-01T00:00:00Z",
        });
        let changed = api.patch(&path, &change).expect(200);
        for name in names(&change) {
            assert_eq!(changed.json()[&name], change[&name], "{name}");
        }
        let headers = [("content-type", "application/json"), ("if-match", made.header("etag").unwrap())];
        problem(&api.call("PATCH", &path, &headers, Some("{\"name\":\"x\"}")), 412);
        let back = api.patch(&path, &json!({"scope": null, "audience": null, "max_ttl": null, "expires_at": null}));
        let back = back.expect(200).json();
        assert_eq!((&back["scope"], &back["max_ttl"], &back["expires_at"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!(problem(&api.patch(&path, &json!({"provider": "default"})), 422), ["/provider"]);
        assert_eq!(problem(&api.patch(&path, &json!({"key": "x", "id": "y"})), 422), ["/id", "/key"]);
        api.delete(&path).expect(204);
        problem(&api.get(&path), 404);
        problem(&api.delete(&path), 404);
    }

    fn each_wrong_field_of_a_key_is_named(api: Api) {
        let wrong = json!({
            "name": "", "role": "god", "scope": "a\"", "audience": [""], "max_ttl": 0, "may_set_subject": 1,
            "expires_at": "2001-01-01T00:00:00Z", "provider": "nope", "x": 1,
        });
        let expected: Vec<String> = names(&wrong).iter().map(|name| format!("/{name}")).collect();
        let named = problem(&api.post("/api-keys", &wrong), 422);
        assert_eq!(named, expected);
    }

    fn nobody_makes_a_key_that_is_stronger_than_itself(api: Api) {
        let other = Api::on(api.kind);
        let bounds = json!({
            "role": "admin", "provider": api.slug, "scope": "a b", "audience": ["https://a.example"], "max_ttl": 60,
            "expires_at": "2090-01-01T00:00:00Z",
        });
        let (own_id, key) = api.new_key(&bounds);
        let admin = api.acting_as(&key);
        let weaker = json!({
            "role": "member", "scope": "a", "audience": ["https://a.example"], "max_ttl": 60,
            "expires_at": "2089-01-01T00:00:00Z",
        });
        let (weak_id, _) = admin.new_key(&weaker);
        assert_eq!(api.get(&format!("/api-keys/{weak_id}")).json()["provider"], api.slug.as_str(), "its own provider");
        // Left out, everything is the maker's own.
        let (heir, _) = admin.new_key(&json!({}));
        let heir = api.get(&format!("/api-keys/{heir}")).json();
        for name in ["scope", "audience", "max_ttl", "expires_at", "provider"] {
            assert_eq!(heir[name], bounds[name], "{name}");
        }
        assert_eq!(heir["role"], "default");
        let stronger = [
            ("role", json!("owner")), ("role", json!("admin")), ("scope", json!("a c")), ("scope", Value::Null),
            ("audience", json!(["https://a.example", "https://b.example"])), ("max_ttl", json!(61)),
            ("max_ttl", Value::Null), ("expires_at", json!("2091-01-01T00:00:00Z")), ("expires_at", Value::Null),
        ];
        for (name, value) in &stronger {
            let mut body = weaker.clone();
            body[*name] = value.clone();
            problem(&admin.post("/api-keys", &body), 403);
            problem(&admin.patch(&format!("/api-keys/{weak_id}"), &json!({ *name: value })), 403);
            problem(&admin.patch(&format!("/api-keys/{own_id}"), &json!({ *name: value })), 403);
        }
        for provider in [json!(other.slug), json!("default"), Value::Null] {
            let refused = admin.post("/api-keys", &json!({"role": "member", "provider": provider}));
            assert!(matches!(refused.status, 403 | 422), "{provider}: {refused:?}");
        }
        // No list for a key that may mint for some only: whatever "none" means, it is not more.
        let mut unlimited = weaker.clone();
        unlimited["audience"] = json!([]);
        let made = admin.post("/api-keys", &unlimited);
        assert!(matches!(made.status, 201 | 403), "{made:?}");
        assert_eq!(api.get(&format!("/api-keys/{weak_id}")).json()["scope"], "a", "nothing changed");
    }

    fn a_bound_owner_makes_no_key_outside_its_provider(api: Api) {
        let (_, key) = api.new_key(&json!({"role": "owner", "provider": api.slug}));
        let owner = api.acting_as(&key);
        owner.post("/api-keys", &json!({"role": "owner"})).expect(201);
        for provider in [json!("default"), Value::Null] {
            let refused = owner.post("/api-keys", &json!({"role": "member", "provider": provider}));
            assert!(matches!(refused.status, 403 | 422), "{provider}: {refused:?}");
        }
    }

    fn an_admin_reaches_no_admin_and_no_owner(api: Api) {
        let (_, key) = api.new_key(&json!({"role": "admin"}));
        let admin = api.acting_as(&key);
        for role in ["admin", "owner"] {
            problem(&admin.post("/api-keys", &json!({ "role": role })), 403);
            let (id, _) = api.new_key(&json!({ "role": role }));
            problem(&admin.patch(&format!("/api-keys/{id}"), &json!({"name": "x"})), 403);
            problem(&admin.delete(&format!("/api-keys/{id}")), 403);
        }
        for role in ["default", "member"] {
            let (id, _) = admin.new_key(&json!({ "role": role }));
            admin.patch(&format!("/api-keys/{id}"), &json!({"name": "x"})).expect(200);
            admin.delete(&format!("/api-keys/{id}")).expect(204);
        }
    }
}

/// A home whose first start made the owner key.
struct FirstOwner(Home);

impl FirstOwner {
    fn on(kind: Kind) -> Self {
        Self(Home::on(kind).without("GRANTD_ADMIN_KEY"))
    }
}

on_each! {
    fn the_last_owner_key_stays(first: FirstOwner) {
        let server = first.0.serve();
        let key = server.first_run().api_key;
        assert_ne!(key, OWNER);
        let api = Api::of(&first.0, &server).acting_as(&key);
        let listed = api.get("/api-keys").expect(200).json();
        let path = format!("/api-keys/{}", listed["items"][0]["id"].as_str().unwrap());
        problem(&api.delete(&path), 409);
        problem(&api.patch(&path, &json!({"role": "admin"})), 409);
        api.get("/providers").expect(200);
        // A weaker key does not count, another owner does.
        api.new_key(&json!({"role": "admin"}));
        problem(&api.delete(&path), 409);
        let (_, other) = api.new_key(&json!({"role": "owner"}));
        api.delete(&path).expect(204);
        problem(&api.get("/providers"), 401);
        api.acting_as(&other).get("/providers").expect(200);
    }

    fn of_two_owners_that_end_each_other_one_stays(first: FirstOwner) {
        let server = first.0.serve();
        let one = Api::of(&first.0, &server).acting_as(&server.first_run().api_key);
        let listed = one.get("/api-keys").expect(200).json();
        let one_id = listed["items"][0]["id"].as_str().unwrap().to_owned();
        let (two_id, two_key) = one.new_key(&json!({"role": "owner"}));
        let two = one.acting_as(&two_key);
        two.get("/providers").expect(200);
        let statuses = std::thread::scope(|scope| {
            let first = scope.spawn(|| one.delete(&format!("/api-keys/{two_id}")).status);
            let second = scope.spawn(|| two.delete(&format!("/api-keys/{one_id}")).status);
            [first.join().unwrap(), second.join().unwrap()]
        });
        assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    }
}
