//! What another process changes holds on a running server within a second: the command line beside
//! it, and a second server on the same PostgreSQL.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::basic;
use crate::support::databases::Kind;
use crate::support::process::{Home, on_each, until};

const SOON: Duration = Duration::from_secs(1);

/// Wrong credentials; a poll may also run into the limit of wrong tries.
fn is_refused(status: u16) -> bool {
    matches!(status, 401 | 429)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The id of the secret with this text.
fn id_of(home: &Home, client: &str, secret: &str) -> String {
    let listed = home.json(&["client", "secret", "list", client]);
    let hint = &secret[secret.len() - 4..];
    let found = listed["items"].as_array().unwrap().iter().find(|item| item["hint"] == hint);
    text(found.expect("the secret is listed"), "id").to_owned()
}

on_each! {
    fn the_command_line_beside_a_running_server_is_believed_within_a_second(home: Home) {
        let server = home.serve();
        let api = Api::of(&home, &server);
        let status = |id: &str, secret: &str| server.http.token(id, secret).status;

        // A new client works at once, also one that was asked for before it was there.
        server.http.token("fresh", "gs_x").expect(401);
        let made = home.json(&["client", "create", "--client-id", "fresh", "--name", "n", "--grant", "client_credentials", "--scope", "a b"]);
        let (id, first) = (text(&made, "client_id"), text(&made, "client_secret"));
        until("the new client works", SOON, || status(id, first) == 200);

        // A secret beside the first, then the first revoked.
        let second = home.json(&["client", "secret", "create", id]);
        let second = text(&second, "client_secret");
        until("the second secret works", SOON, || status(id, second) == 200);
        assert_eq!(status(id, first), 200);
        let first_id = id_of(&home, id, first);
        assert!(home.run(&["client", "secret", "revoke", id, &first_id]).status.success());
        until("the revoked secret is refused", SOON, || is_refused(status(id, first)));
        assert_eq!(status(id, second), 200);

        // Disabled, enabled, deleted; its tokens end.
        let token = api.access_token(id, second);
        assert!(api.is_active(&token));
        home.json(&["client", "update", id, "--enabled", "false"]);
        until("the disabled client is refused", SOON, || is_refused(status(id, second)));
        until("its token is inactive", SOON, || !api.is_active(&token));
        home.json(&["client", "update", id, "--enabled", "true"]);
        until("the enabled client works", SOON, || status(id, second) == 200);
        let token = api.access_token(id, second);
        home.json(&["client", "delete", id]);
        until("the deleted client is refused", SOON, || is_refused(status(id, second)));
        until("its token is inactive", SOON, || !api.is_active(&token));

        // API keys.
        let key = home.json(&["api-key", "create", "--role", "admin", "--name", "n"]);
        let acting = api.acting_as(text(&key, "key"));
        until("the new key works", SOON, || acting.get("/providers").status == 200);
        home.json(&["api-key", "update", text(&key, "id"), "--role", "member"]);
        until("the role is lower", SOON, || acting.get("/api-keys").status == 403);
        home.json(&["api-key", "delete", text(&key, "id")]);
        until("the deleted key is nobody", SOON, || acting.get("/providers").status == 401);

        // Providers and signing keys.
        assert_eq!(server.http.get("/p/acme/.well-known/jwks.json").status, 404);
        home.json(&["provider", "create", "acme"]);
        until("the new provider serves", SOON, || server.http.get("/p/acme/.well-known/jwks.json").status == 200);
        let rotated = home.json(&["keys", "rotate", "--alg", "ES256"]);
        let kid = text(&rotated["items"][0], "kid");
        until("the next key is published", SOON, || server.http.kids("").iter().any(|own| own == kid));
        home.json(&["provider", "delete", "acme"]);
        until("the provider is gone", SOON, || server.http.get("/p/acme/.well-known/jwks.json").status == 404);
    }
}

#[test]
fn a_second_server_on_the_same_postgres_is_believed_within_a_second() {
    let home = Home::on(Kind::Postgres);
    let (one, two) = (home.serve(), home.serve());
    let (here, there) = (Api::of(&home, &one), Api::of(&home, &two));
    let (id, first) = here.new_client(&json!({}));
    let basic_of = |secret: &str| basic(&id, secret);
    until("a client made here works there", SOON, || there.token(&id, &first).status == 200);
    let second = here.post(&here.secrets(&id), &json!({})).expect(201).text_of("client_secret");
    until("a secret made here works there", SOON, || there.token(&id, &second).status == 200);

    // A token that was revoked there is inactive here, JWT and opaque.
    for format in ["jwt", "opaque"] {
        here.patch(&here.client(&id), &json!({ "access_token_format": format })).expect(200);
        let token = here.access_token(&id, &first);
        assert!(here.is_active(&token));
        let body = format!("token={token}");
        there.http.form("/oauth2/revoke", Some(&basic_of(&first)), &body).expect(200);
        assert!(!there.is_active(&token), "at once where it was revoked");
        until("the revoked token is inactive", SOON, || !here.is_active(&token));
    }

    let secret_id = id_of(&home, &id, &second);
    there.delete(&format!("{}/{secret_id}", there.secrets(&id))).expect(204);
    there.token(&id, &second).expect(401);
    until("the revoked secret is refused", SOON, || is_refused(here.token(&id, &second).status));
    here.token(&id, &first).expect(200);

    let token = here.access_token(&id, &first);
    there.delete(&format!("{}/tokens", there.client(&id))).expect(204);
    until("all its tokens are inactive", SOON, || !here.is_active(&token));

    let token = here.access_token(&id, &first);
    there.patch(&there.client(&id), &json!({"enabled": false})).expect(200);
    until("the disabled client is refused", SOON, || is_refused(here.token(&id, &first).status));
    until("its token is inactive", SOON, || !here.is_active(&token));

    let (key_id, key) = here.new_key(&json!({"role": "member"}));
    until("the key works there", SOON, || there.acting_as(&key).get("/providers").status == 200);
    here.acting_as(&key).get("/providers").expect(200);
    there.delete(&format!("/api-keys/{key_id}")).expect(204);
    until("the deleted key is nobody", SOON, || here.acting_as(&key).get("/providers").status == 401);

    // What was revoked before a server started holds on it.
    let (id, secret) = here.new_client(&json!({}));
    let token = here.access_token(&id, &secret);
    here.http.form("/oauth2/revoke", Some(&basic(&id, &secret)), &format!("token={token}")).expect(200);
    let three = home.serve();
    assert!(!Api::of(&home, &three).is_active(&token));
}
