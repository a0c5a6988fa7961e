//! Client secrets: several side by side, shown once, ended one by one.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Api, names, problem};
use crate::support::process::{on_each, until};

fn chosen() -> String {
    "chosen by a person, 32 or more characters".replace(' ', "-")
}

on_each! {
    fn several_secrets_work_side_by_side_and_each_ends_alone(api: Api) {
        let (id, first) = api.new_client(&json!({}));
        let made = api.post(&api.secrets(&id), &json!({})).expect(201);
        let body = made.json();
        assert_eq!(names(&body), ["client_secret", "created_at", "expires_at", "hint", "id", "last_used_at", "revoked_at"]);
        let second = made.text_of("client_secret");
        assert_eq!(body["hint"].as_str().unwrap(), &second[second.len() - 4..]);
        let shown = api.get(made.header("location").unwrap().trim_start_matches("/admin/v1")).expect(200).json();
        assert_eq!(shown["id"], body["id"]);
        assert!(shown.get("client_secret").is_none(), "{shown}");
        for secret in [&first, &second] {
            api.token(&id, secret).expect(200);
        }
        let path = format!("{}/{}", api.secrets(&id), made.text_of("id"));
        api.delete(&path).expect(204);
        api.token(&id, &second).expect(401);
        api.token(&id, &first).expect(200);
        problem(&api.delete(&path), 404);
        let shown = api.get(&path).expect(200).json();
        assert!(shown["revoked_at"].is_string(), "{shown}");
    }

    fn no_answer_but_the_first_shows_a_secret(api: Api) {
        let (id, first) = api.new_client(&json!({}));
        let (by_choice, text) = (chosen(), api.secrets(&id));
        let second = api.post(&text, &json!({ "client_secret": by_choice })).expect(201);
        assert_eq!(second.text_of("client_secret"), by_choice);
        for path in [api.client(&id), api.clients(), text] {
            let answer = api.get(&path).expect(200).text;
            for secret in [&first, &by_choice] {
                assert!(!answer.contains(secret.as_str()), "{path} shows a secret: {answer}");
            }
            assert!(!answer.contains("argon2") && !answer.contains("digest"), "{answer}");
        }
        let changed = api.patch(&api.client(&id), &json!({"client_name": "n"})).expect(200);
        assert!(changed.json().get("client_secret").is_none());
        assert_eq!(problem(&api.patch(&api.client(&id), &json!({"client_secret": chosen()})), 422), ["/client_secret"]);
    }

    fn there_are_at_most_eight_live_secrets(api: Api) {
        let (id, first) = api.new_client(&json!({}));
        for _ in 1..8 {
            api.post(&api.secrets(&id), &json!({})).expect(201);
        }
        problem(&api.post(&api.secrets(&id), &json!({})), 422);
        let listed = api.get(&api.secrets(&id)).json();
        assert_eq!(listed["items"].as_array().unwrap().len(), 8);
        let gone = listed["items"][3]["id"].as_str().unwrap();
        api.delete(&format!("{}/{gone}", api.secrets(&id))).expect(204);
        api.post(&api.secrets(&id), &json!({})).expect(201);
        problem(&api.post(&api.secrets(&id), &json!({})), 422);
        api.token(&id, &first).expect(200);
    }

    fn of_many_that_are_made_at_once_eight_live(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        let (api, path) = (&api, &api.secrets(&id));
        let statuses = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..12).map(|_| scope.spawn(|| api.post(path, &json!({})).status)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 7, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 422).count(), 5, "{statuses:?}");
    }

    fn a_secret_with_an_end_stops_there(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        for bad in [json!("2001-01-01T00:00:00Z"), json!("tomorrow"), json!(4_000_000_000_u32)] {
            assert_eq!(problem(&api.post(&api.secrets(&id), &json!({ "expires_at": bad })), 422), ["/expires_at"]);
        }
        let now = time::OffsetDateTime::from_unix_timestamp(now()).unwrap();
        let end = now + Duration::from_secs(2);
        let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
        let made = api.post(&api.secrets(&id), &json!({ "expires_at": end })).expect(201);
        assert_eq!(made.text_of("expires_at"), end);
        let secret = made.text_of("client_secret");
        api.token(&id, &secret).expect(200);
        until("the secret has expired", Duration::from_secs(5), || api.token(&id, &secret).status == 401);
    }

    fn a_chosen_secret_works_and_is_held_to_the_rules(api: Api) {
        for bad in ["short", &"a".repeat(31), &format!("gs_{}", "a".repeat(40)), &"ä".repeat(40)] {
            let body = json!({ "client_secret": bad });
            assert_eq!(problem(&api.post(&api.clients(), &body), 422), ["/client_secret"], "{bad}");
        }
        let (id, secret) = api.new_client(&json!({ "client_secret": chosen() }));
        assert_eq!(secret, chosen());
        api.token(&id, &secret).expect(200);
        api.token(&id, &format!("{secret}x")).expect(401);
        // Remembered or not, it is refused at once when it is revoked.
        let listed: Value = api.get(&api.secrets(&id)).json();
        api.delete(&format!("{}/{}", api.secrets(&id), listed["items"][0]["id"].as_str().unwrap())).expect(204);
        api.token(&id, &secret).expect(401);
    }

    fn a_client_that_uses_no_secret_gets_none(api: Api) {
        let body = json!({"token_endpoint_auth_method": "none", "grant_types": []});
        let id = api.post(&api.clients(), &body).expect(201).text_of("client_id");
        problem(&api.post(&api.secrets(&id), &json!({})), 422);
    }

    fn a_body_is_optional_and_unknown_fields_are_named(api: Api) {
        let (id, _) = api.new_client(&json!({}));
        api.call("POST", &api.secrets(&id), &[], None).expect(201);
        assert_eq!(problem(&api.post(&api.secrets(&id), &json!({"hint": "x", "ttl": 1})), 422), ["/hint", "/ttl"]);
        problem(&api.get(&format!("{}/nope", api.secrets(&id))), 404);
        problem(&api.delete(&format!("{}/nope", api.secrets(&id))), 404);
    }
}

/// Epoch seconds.
fn now() -> i64 {
    use grantd::domain::Wall as _;
    grantd::domain::clock::SystemWall.now().seconds()
}
