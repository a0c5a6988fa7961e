//! Nothing that was answered is lost: not by a restart, not by `kill -9`, not by SIGTERM.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use grantd::domain::clock::monotonic;
use serde_json::json;

use crate::process::admin::Api;
use crate::support::client::{basic, decoded, read_to_end};
use crate::support::databases::Kind;
use crate::support::process::{Home, OWNER, Server, on_each, pause, seconds_since, until};

/// What was answered before the end, and must hold after it.
struct Answered {
    client: (String, String),
    chosen: (String, String),
    revoked_secret: (String, String),
    disabled: (String, String),
    key: String,
    deleted_key: String,
    token: String,
    opaque: String,
    revoked: String,
    kids: Vec<String>,
}

impl Answered {
    fn by(api: &Api) -> Self {
        let chosen_secret = "chosen-by-a-person-32-or-more-characters";
        let client = api.new_client(&json!({"scope": "read"}));
        let chosen = api.new_client(&json!({ "client_secret": chosen_secret, "access_token_format": "opaque" }));
        let second = api.post(&api.secrets(&client.0), &json!({})).expect(201);
        api.delete(&format!("{}/{}", api.secrets(&client.0), second.text_of("id"))).expect(204);
        let disabled = api.new_client(&json!({}));
        api.patch(&api.client(&disabled.0), &json!({"enabled": false})).expect(200);
        let (_, key) = api.new_key(&json!({"role": "admin"}));
        let (gone, deleted_key) = api.new_key(&json!({"role": "admin"}));
        api.delete(&format!("/api-keys/{gone}")).expect(204);
        let revoked = api.access_token(&client.0, &client.1);
        let body = format!("token={revoked}");
        api.http.form("/oauth2/revoke", Some(&basic(&client.0, &client.1)), &body).expect(200);
        let token = api.access_token(&client.0, &client.1);
        let opaque = api.access_token(&chosen.0, &chosen.1);
        let rotated = api.post("/providers/default/signing-keys/rotate", &json!({"alg": "ES256"}));
        assert!(matches!(rotated.status, 200 | 201), "{rotated:?}");
        let revoked_secret = (client.0.clone(), second.text_of("client_secret"));
        let kids = api.http.kids("");
        assert_eq!(kids.len(), 3, "{kids:?}");
        Self { client, chosen, revoked_secret, disabled, key, deleted_key, token, opaque, revoked, kids }
    }

    fn assert_held(&self, api: &Api) {
        for (id, secret) in [&self.client, &self.chosen] {
            api.token(id, secret).expect(200);
        }
        for (id, secret) in [&self.revoked_secret, &self.disabled] {
            api.token(id, secret).expect(401);
        }
        api.acting_as(&self.key).get("/providers").expect(200);
        api.acting_as(&self.deleted_key).get("/providers").expect(401);
        assert!(api.is_active(&self.token) && api.is_active(&self.opaque));
        assert!(!api.is_active(&self.revoked));
        assert_eq!(api.http.kids(""), self.kids);
        let kid = decoded(&self.token).0["kid"].as_str().unwrap().to_owned();
        assert!(self.kids.contains(&kid), "a token of before cannot be verified");
        let again = api.access_token(&self.client.0, &self.client.1);
        assert_eq!(decoded(&again).0["kid"], kid.as_str(), "the same key signs");
    }
}

on_each! {
    fn a_restart_and_kill_9_lose_nothing_that_was_answered(home: Home) {
        let mut server = home.serve();
        let answered = Answered::by(&Api::of(&home, &server));
        server.kill();
        let mut server = home.serve();
        answered.assert_held(&Api::of(&home, &server));
        assert!(server.stop().success());
        let server = home.serve();
        answered.assert_held(&Api::of(&home, &server));
    }

    fn kill_9_under_load_loses_nothing_that_was_answered(home: Home) {
        for _round in 0..3 {
            let mut server = home.serve();
            let (clients, revoked) = under_load_until_killed(&home, &mut server);
            let server = home.serve();
            let api = Api::of(&home, &server);
            for (id, secret) in &clients {
                assert_eq!(api.token(id, secret).status, 200, "a client that was answered is lost: {id}");
            }
            for token in &revoked {
                assert!(!api.is_active(token), "a revocation that was answered is lost");
            }
            assert!(clients.len() + revoked.len() >= 10, "too little was going on");
        }
    }

    fn a_server_that_stood_still_answers_as_soon_as_it_goes_on(home: Home) {
        let server = home.serve();
        let api = Api::of(&home, &server);
        let (id, secret) = api.new_client(&json!({}));
        let token = api.access_token(&id, &secret);
        for _ in 0..3 {
            // As a virtual machine that is moved, or a process that gets no turn.
            server.signal("STOP");
            std::thread::sleep(Duration::from_millis(1300));
            server.signal("CONT");
            api.token(&id, &secret).expect(200);
            assert!(api.is_active(&token));
            api.get("/providers").expect(200);
        }
    }

    fn sigterm_finishes_what_is_in_flight_and_ends_with_status_0(home: Home) {
        let home = home.with("GRANTD_HTTP__READ_TIMEOUT_MS", "8000");
        let mut server = home.serve();
        let api = Api::of(&home, &server);
        let (id, secret) = api.new_client(&json!({}));
        let _idle = server.http.connect();
        let mut in_flight = server.http.connect();
        let body = "grant_type=client_credentials";
        let head = format!(
            "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n",
            basic(&id, &secret),
            body.len()
        );
        in_flight.write_all(head.as_bytes()).unwrap();
        in_flight.write_all(&body.as_bytes()[..10]).unwrap();
        // Answered after it: so the half request was accepted before the signal.
        server.http.get("/healthz").expect(200);
        let began = monotonic();
        server.signal("TERM");
        until("it was asked to end", Duration::from_secs(5), || server.stderr().contains("asked to end"));
        in_flight.write_all(&body.as_bytes()[10..]).unwrap();
        let answer = read_to_end(in_flight);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("access_token"), "{answer:?}");
        assert_eq!(server.ended(Duration::from_secs(11)).code(), Some(0), "{}", server.stderr());
        assert!(seconds_since(began) < 10.5, "it took {} s", seconds_since(began));
        assert!(server.stderr().contains("stopped"));
    }
}

/// Two write, one revokes; killed at a random moment. What was answered with success.
fn under_load_until_killed(home: &Home, server: &mut Server) -> (Vec<(String, String)>, Vec<String>) {
    let api = Api::of(home, server);
    let (id, secret) = api.new_client(&json!({}));
    let (clients, revoked) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let (answered, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let json = [("content-type", "application/json"), ("authorization", &*format!("Bearer {OWNER}"))];
    let create = || {
        while !over.load(Ordering::Relaxed) {
            let Ok(made) = api.http.send("POST", "/admin/v1/providers/default/clients", &json, Some(b"{}")) else {
                return;
            };
            if made.status == 201 {
                clients.lock().unwrap().push((made.text_of("client_id"), made.text_of("client_secret")));
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let revoke = || {
        let client = basic(&id, &secret);
        while !over.load(Ordering::Relaxed) {
            let grant = "grant_type=client_credentials";
            let Ok(token) = api.http.try_form("/oauth2/token", Some(&client), grant) else { return };
            let token = token.expect(200).text_of("access_token");
            let Ok(done) = api.http.try_form("/oauth2/revoke", Some(&client), &format!("token={token}")) else {
                return;
            };
            if done.status == 200 {
                revoked.lock().unwrap().push(token);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let enough = 20 + (RandomState::new().build_hasher().finish() % 60) as usize;
    std::thread::scope(|scope| {
        scope.spawn(create);
        scope.spawn(create);
        scope.spawn(revoke);
        let began = monotonic();
        while answered.load(Ordering::Relaxed) < enough && seconds_since(began) < 10.0 {
            pause();
        }
        server.kill();
        over.store(true, Ordering::Relaxed);
    });
    (clients.into_inner().unwrap(), revoked.into_inner().unwrap())
}

#[test]
fn a_request_that_never_ends_does_not_hold_up_the_end() {
    let home = Home::on(Kind::Sqlite).with("GRANTD_HTTP__READ_TIMEOUT_MS", "1000");
    let mut server = home.serve();
    let mut half = server.http.connect();
    half.write_all(b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\ngrant").unwrap();
    server.http.get("/healthz").expect(200);
    let began = monotonic();
    assert_eq!(server.stop().code(), Some(0));
    assert!(seconds_since(began) < 10.5);
    let answer = read_to_end(half);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer:?}");
}
