//! Clients as a resource: made, shown, changed, ended.

use serde_json::json;

use super::{Api, problem};
use crate::support::client::decoded;
use crate::support::process::on_each;

on_each! {
    fn a_client_is_made_with_a_location_that_answers_and_works(api: Api) {
        let made = api.post(&api.clients(), &json!({"client_name": "A", "scope": "read write"})).expect(201);
        let location = made.header("location").expect("a Location").to_owned();
        let etag = made.header("etag").expect("an ETag").to_owned();
        let mut body = made.json();
        let (id, secret) = (made.text_of("client_id"), made.text_of("client_secret"));
        assert!(id.len() == 36 && secret.starts_with("gs_"), "{body}");
        let shown = api.get(location.trim_start_matches("/admin/v1")).expect(200);
        assert_eq!(shown.header("etag"), Some(etag.as_str()));
        body.as_object_mut().unwrap().remove("client_secret");
        assert_eq!(shown.json(), body, "the secret is shown once, everything else again");
        let token = api.token(&id, &secret).expect(200);
        assert_eq!(token.json()["scope"], "read write");
        assert_eq!(decoded(&token.text_of("access_token")).1["sub"], id.as_str());
    }

    fn a_chosen_client_id_is_checked_and_never_reused(api: Api) {
        let uuid = "018f4b5e-6f7a-7b3c-8d9e-0123456789ab";
        for id in ["", "a b", "a/b", "ä", uuid, &"a".repeat(65)] {
            let refused = problem(&api.post(&api.clients(), &json!({ "client_id": id })), 422);
            assert_eq!(refused, ["/client_id"], "{id}");
        }
        let made = api.post(&api.clients(), &json!({"client_id": "My.Client_1-x", "subject": "svc:1"})).expect(201);
        let secret = made.text_of("client_secret");
        assert_eq!(made.text_of("client_id"), "My.Client_1-x");
        assert_eq!(decoded(&api.access_token("My.Client_1-x", &secret)).1["sub"], "svc:1");
        problem(&api.post(&api.clients(), &json!({"client_id": "My.Client_1-x"})), 409);
        problem(&api.post(&api.clients(), &json!({"subject": "svc:1"})), 409);
        problem(&api.post(&api.clients(), &json!({"client_id": "svc", "subject": "svc:1"})), 409);
        api.delete(&api.client("My.Client_1-x")).expect(204);
        problem(&api.post(&api.clients(), &json!({"client_id": "My.Client_1-x"})), 409);
        problem(&api.post(&api.clients(), &json!({"subject": "svc:1"})), 409);
        let (id, _) = api.new_client(&json!({}));
        let refused = problem(&api.patch(&api.client(&id), &json!({"client_id": "b", "subject": "c"})), 422);
        assert_eq!(refused, ["/client_id", "/subject"]);
    }

    fn a_subject_names_one_principal_of_the_provider(api: Api) {
        let (key, _) = api.new_key(&json!({"role": "member", "provider": api.slug}));
        problem(&api.post(&api.clients(), &json!({ "subject": key })), 409);
        let (id, _) = api.new_client(&json!({}));
        problem(&api.post(&api.clients(), &json!({ "subject": id })), 409);
    }

    fn the_same_client_id_at_two_providers_is_two_clients(api: Api) {
        let other = Api::on(api.kind);
        let (_, secret) = api.new_client(&json!({"client_id": "twin"}));
        let (_, foreign) = other.new_client(&json!({"client_id": "twin"}));
        assert_eq!(api.token("twin", &foreign).status, 401);
        assert_eq!(other.token("twin", &secret).status, 401);
        let (_, key) = other.new_key(&json!({"role": "default", "provider": other.slug}));
        let token = api.access_token("twin", &secret);
        assert!(!api.http.is_active(&other.below(), &key, &token), "unknown at every other provider");
        assert!(!other.is_active(&token));
    }

    fn two_admins_do_not_overwrite_each_other(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        let path = api.client(&id);
        let etag = api.get(&path).header("etag").unwrap().to_owned();
        let merge = ("content-type", "application/merge-patch+json");
        let change = |tag: &str, name: &str| {
            let body = format!(r#"{{"client_name":"{name}"}}"#);
            api.call("PATCH", &path, &[merge, ("if-match", tag)], Some(&body))
        };
        let newer = change(&etag, "one").expect(200).header("etag").unwrap().to_owned();
        assert_ne!(newer, etag);
        problem(&change(&etag, "two"), 412);
        problem(&change("\"foreign\"", "two"), 412);
        problem(&api.call("DELETE", &path, &[("if-match", &etag)], None), 412);
        let shown = api.get(&path);
        assert_eq!((shown.json()["client_name"].as_str(), shown.header("etag")), (Some("one"), Some(newer.as_str())));
        change("*", "three").expect(200);
        // Without If-Match the last one wins.
        let last = api.patch(&path, &json!({"client_name": "four"})).expect(200);
        api.call("DELETE", &path, &[("if-match", last.header("etag").unwrap())], None).expect(204);
    }

    fn of_many_changes_on_one_version_one_wins(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        let path = api.client(&id);
        let etag = api.get(&path).header("etag").unwrap().to_owned();
        let (path, etag, api) = (&path, &etag, &api);
        let change = move |n: u32| {
            let body = format!(r#"{{"client_name":"n{n}"}}"#);
            let headers = [("content-type", "application/json"), ("if-match", etag.as_str())];
            api.call("PATCH", path, &headers, Some(&body)).status
        };
        let mut statuses = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8).map(|n| scope.spawn(move || change(n))).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
    }

    fn a_deleted_client_is_gone_from_everywhere_at_once(api: Api) {
        let (id, secret) = api.new_client(&json!({}));
        let token = api.access_token(&id, &secret);
        api.delete(&api.client(&id)).expect(204);
        assert_eq!(api.token(&id, &secret).status, 401);
        assert!(!api.is_active(&token));
        for (method, path) in [
            ("GET", api.client(&id)), ("DELETE", api.client(&id)), ("GET", api.secrets(&id)),
            ("POST", api.secrets(&id)), ("DELETE", format!("{}/tokens", api.client(&id))),
        ] {
            problem(&api.call(method, &path, &[], None), 404);
        }
        problem(&api.patch(&api.client(&id), &json!({})), 404);
        assert_eq!(api.get(&api.clients()).json()["items"], json!([]));
    }

    fn a_disabled_client_is_refused_and_enabling_revives_no_token(api: Api) {
        let (id, secret) = api.new_client(&json!({}));
        let token = api.access_token(&id, &secret);
        api.patch(&api.client(&id), &json!({"enabled": false})).expect(200);
        assert_eq!(api.token(&id, &secret).status, 401);
        assert!(!api.is_active(&token));
        api.patch(&api.client(&id), &json!({"enabled": true})).expect(200);
        api.access_token(&id, &secret);
        assert!(!api.is_active(&token));
    }

    fn all_tokens_of_a_client_are_revoked_and_only_its_own(api: Api) {
        let (id, secret) = api.new_client(&json!({}));
        let (other, other_secret) = api.new_client(&json!({"access_token_format": "opaque"}));
        let token = api.access_token(&id, &secret);
        let kept = api.access_token(&other, &other_secret);
        assert!(kept.starts_with("ga_"), "{kept}");
        api.delete(&format!("{}/tokens", api.client(&id))).expect(204);
        assert!(!api.is_active(&token));
        assert!(api.is_active(&kept));
        assert!(api.is_active(&api.access_token(&id, &secret)));
    }

    fn changing_scope_or_name_or_revoking_a_secret_leaves_tokens_alone(api: Api) {
        let (id, secret) = api.new_client(&json!({"scope": "a b"}));
        let token = api.access_token(&id, &secret);
        api.patch(&api.client(&id), &json!({"scope": "a", "client_name": "n"})).expect(200);
        assert_eq!(api.token(&id, &secret).expect(200).json()["scope"], "a");
        let listed = api.get(&api.secrets(&id)).json();
        api.delete(&format!("{}/{}", api.secrets(&id), listed["items"][0]["id"].as_str().unwrap())).expect(204);
        assert!(api.is_active(&token));
    }

    fn a_representation_that_was_read_may_be_sent_back(api: Api) {
        let (id, _) = api.new_client(&json!({"scope": "a", "redirect_uris": ["https://a.example/cb"]}));
        let shown = api.get(&api.client(&id));
        let mut body = shown.json();
        for read_only in ["created_at", "updated_at"] {
            body.as_object_mut().unwrap().remove(read_only);
        }
        let back = api.patch(&api.client(&id), &body).expect(200);
        assert_eq!(back.json(), shown.json());
        assert_eq!(back.header("etag"), shown.header("etag"), "the same value is no change");
    }
}
