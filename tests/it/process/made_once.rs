//! A creation with an `Idempotency-Key` whose answer is lost with the server: sent again it gives the answer,
//! and the thing is there once.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;

use serde_json::json;

use crate::process::admin::Api;
use crate::support::process::{Home, OWNER, on_each, pause};

/// Sends the request and reads nothing.
fn send_blindly(api: &Api, value: &str, body: &str) -> std::net::TcpStream {
    let head = format!(
        "POST /admin/v1/providers/default/clients HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWNER}\r\n\
         Idempotency-Key: {value}\r\nContent-Length: {}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = api.http.connect();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    stream
}

on_each! {
    fn whenever_the_server_is_killed_what_is_sent_again_is_there_once(home: Home) {
        let mut server = home.serve();
        for round in 0..5 {
            let (value, name) = (format!("value-{round}"), format!("made-{round}"));
            let body = json!({"client_name": name}).to_string();
            let _unread = send_blindly(&Api::of(&home, &server), &value, &body);
            for _ in 0..RandomState::new().build_hasher().finish() % 4 {
                pause();
            }
            server.kill();
            server = home.serve();
            let api = Api::of(&home, &server);
            let headers = [("content-type", "application/json"), ("idempotency-key", value.as_str())];
            let send = || api.call("POST", &api.clients(), &headers, Some(&body)).expect(201);
            let (first, second) = (send(), send());
            assert_eq!(first.text, second.text, "the same secret too");
            assert_eq!(second.header("idempotency-replayed"), Some("true"));
            let found = api.get(&format!("{}?q={name}&limit=10", api.clients())).expect(200).json();
            assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
            api.token(&first.text_of("client_id"), &first.text_of("client_secret")).expect(200);
        }
    }
}
