//! A refresh whose answer never arrives: the server dies after the rotation is on the disk. The client
//! comes back with what it has and goes on.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use crate::process::admin::Api;
use crate::support::client::basic;
use crate::support::process::{Home, on_each, pause, until};

const PASSWORD: &str = "correct horse battery staple";

/// A client that rotates at every use, its credential and its first refresh token.
fn first_token(api: &Api) -> (String, String) {
    let fields = json!({
        "grant_types": ["password", "refresh_token"],
        "scope": "openid offline_access",
        "refresh_rotation": "always",
        "refresh_grace": 300,
    });
    let (id, secret) = api.new_client(&fields);
    api.post("/providers/default/users", &json!({"username": "ada", "password": PASSWORD})).expect(201);
    let authorization = basic(&id, &secret);
    let body = format!("grant_type=password&username=ada&password={}&scope=offline_access", PASSWORD.replace(' ', "+"));
    let tokens = api.http.form("/oauth2/token", Some(&authorization), &body).expect(200);
    (authorization, tokens.text_of("refresh_token"))
}

fn body_of(token: &str) -> String {
    format!("grant_type=refresh_token&refresh_token={token}")
}

/// Sends the request and reads nothing.
fn send_blindly(api: &Api, authorization: &str, token: &str) -> std::net::TcpStream {
    let body = body_of(token);
    let head = format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = api.http.connect();
    stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
    stream
}

on_each! {
    fn a_rotation_whose_answer_is_lost_with_the_server_is_found_again(home: Home) {
        let mut server = home.serve();
        let api = Api::of(&home, &server);
        let (client, first) = first_token(&api);
        let before = server.access_lines("/oauth2/token").len();
        let unread = send_blindly(&api, &client, &first);
        until("the rotation is answered", Duration::from_secs(20), || server.access_lines("/oauth2/token").len() > before);
        server.kill();
        drop(unread);
        let server = home.serve();
        let http = Api::of(&home, &server).http;
        let second = http.form("/oauth2/token", Some(&client), &body_of(&first)).expect(200).text_of("refresh_token");
        assert_ne!(second, first);
        // It is the successor of then: the same once more, and it works.
        let again = http.form("/oauth2/token", Some(&client), &body_of(&first)).expect(200);
        assert_eq!(again.text_of("refresh_token"), second);
        let third = http.form("/oauth2/token", Some(&client), &body_of(&second)).expect(200).text_of("refresh_token");
        assert_ne!(third, second);
    }

    fn whenever_the_server_is_killed_the_token_at_hand_still_works(home: Home) {
        let mut server = home.serve();
        let (client, mut token) = first_token(&Api::of(&home, &server));
        for _round in 0..4 {
            let _unread = send_blindly(&Api::of(&home, &server), &client, &token);
            for _ in 0..RandomState::new().build_hasher().finish() % 4 {
                pause();
            }
            server.kill();
            server = home.serve();
            let http = Api::of(&home, &server).http;
            token = http.form("/oauth2/token", Some(&client), &body_of(&token)).expect(200).text_of("refresh_token");
        }
    }
}
