//! Bad days: the database hangs under many connections, clients are slow, headers lie.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use grantd::domain::clock::monotonic;
use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::{Http, basic, read_to_end};
use crate::support::databases::Kind;
use crate::support::process::{Home, ISSUER, OWNER, Server, on_each, seconds_since, until};
use crate::support::proxy::Proxy;

/// Threads of the server's process.
pub fn threads(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("no /proc");
    let line = status.lines().find(|line| line.starts_with("Threads:")).expect("no thread count");
    line.rsplit('\t').next().unwrap().trim().parse().unwrap()
}

fn token_request(client: &str, secret: &str) -> String {
    let body = "grant_type=client_credentials";
    format!(
        "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n{body}",
        basic(client, secret),
        body.len()
    )
}

#[test]
fn with_the_database_hung_500_connections_are_answered_and_threads_stay_bounded() {
    let home = Home::on(Kind::Postgres).with("GRANTD_HTTP__REQUEST_TIMEOUT_MS", "2000");
    let proxy = Proxy::before(&home.database().options().url);
    let home = home.with("GRANTD_DATABASE_URL", &proxy.url);
    let server = home.serve();
    let (id, secret) = Api::of(&home, &server).new_client(&json!({}));
    server.http.token(&id, &secret).expect(200);
    let calm = threads(&server);
    proxy.freeze(true);
    let began = monotonic();
    let mut open: Vec<TcpStream> = (0..500).map(|_| server.http.connect()).collect();
    // Known and unknown clients, management, and tokens to look at: what needs the database and what does not.
    for (n, stream) in open.iter_mut().enumerate() {
        let request = match n % 4 {
            0 => token_request(&id, &secret),
            1 => token_request(&format!("unknown-{n}"), "gs_x"),
            2 => format!(
                "GET /admin/v1/providers HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {OWNER}\r\nConnection: close\r\n\r\n"
            ),
            _ => "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(),
        };
        stream.write_all(request.as_bytes()).unwrap();
    }
    let most = threads(&server);
    // Beside them keys, metadata and liveness are answered, and at once.
    for path in ["/.well-known/jwks.json", "/.well-known/openid-configuration", "/healthz"] {
        let asked = monotonic();
        server.http.get(path).expect(200);
        assert!(seconds_since(asked) < 2.0, "{path} took {} s", seconds_since(asked));
    }
    let answers: Vec<String> = open.into_iter().map(read_to_end).collect();
    let most = most.max(threads(&server));
    assert!(seconds_since(began) < 20.0, "it took {} s", seconds_since(began));
    for (n, answer) in answers.iter().enumerate() {
        let refused = answer.starts_with("HTTP/1.1 503") && answer.to_lowercase().contains("\r\nretry-after: ");
        // Before a second has passed the node may still answer from what it knows.
        let known = n % 4 == 0 && answer.starts_with("HTTP/1.1 200");
        assert!(refused || known, "request {n}: {answer:?}");
    }
    // Seven connections may work, and twice as many hang beside them.
    assert!(most <= calm + 21 && most < 80, "{calm} threads became {most}");
    // After a second nothing but keys, metadata and /healthz answers.
    let refused = server.http.token(&id, &secret).expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    server.http.get("/readyz").expect(503);
    server.http.get("/.well-known/jwks.json").expect(200);
    // It recovers by itself.
    proxy.freeze(false);
    until("it is ready again", Duration::from_secs(15), || server.http.get("/readyz").status == 200);
    until("it issues again", Duration::from_secs(5), || server.http.token(&id, &secret).status == 200);
    assert!(threads(&server) <= calm + 21);
}

#[test]
fn forwarded_headers_of_an_untrusted_peer_are_ignored() {
    let forwarded = [("x-forwarded-for", "203.0.113.9"), ("x-forwarded-proto", "https")];
    let logged = |server: &Server| server.access_lines("/healthz").last().cloned().expect("an access line");
    let home = Home::on(Kind::Sqlite).with("GRANTD_TRUSTED_PROXIES", "10.0.0.0/8");
    let server = home.serve();
    server.http.call("GET", "/healthz", &forwarded, None).expect(200);
    assert!(logged(&server).contains(" 127.0.0.1 ") && !server.stderr().contains("203.0.113.9"), "{}", logged(&server));
    drop(server);
    // Loopback is trusted unless something else is said.
    let server = home.without("GRANTD_TRUSTED_PROXIES").serve();
    server.http.call("GET", "/healthz", &forwarded, None).expect(200);
    assert!(logged(&server).contains(" 203.0.113.9 "), "{}", logged(&server));
}

#[test]
fn a_body_that_comes_too_slowly_is_408_and_400_on_run_ai() {
    let home = Home::on(Kind::Sqlite).with("GRANTD_HTTP__READ_TIMEOUT_MS", "250");
    let server = home.serve();
    let half = |path: &str, kind: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: 100\r\n\r\n{{");
        let mut stream = server.http.connect();
        stream.write_all(head.as_bytes()).unwrap();
        let answer = read_to_end(stream);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.split(' ').nth(1).unwrap_or_default().to_owned(), body.to_owned())
    };
    let form = "application/x-www-form-urlencoded";
    let (status, _) = half("/oauth2/token", form);
    assert_eq!(status, "408");
    let (status, body) = half("/admin/v1/api-keys", "application/json");
    assert_eq!((status.as_str(), serde_json::from_str::<Value>(&body).unwrap()["status"].as_u64()), ("408", Some(408)));
    for path in ["/api/v1/token", "/v1/k8s/auth/oauth/apptoken"] {
        let (status, body) = half(path, "application/json");
        assert_eq!(
            (status.as_str(), serde_json::from_str::<Value>(&body).unwrap()["code"].as_u64()),
            ("400", Some(400))
        );
    }
    let (status, _) = half("/api/v2/token", form);
    assert!(status == "408" || status == "400", "{status}");
    server.http.get("/healthz").expect(200);
}

#[test]
fn who_asks_for_another_protocol_is_answered_at_once_and_the_connection_ends() {
    // Whatever waits for the read timeout fails here by its 408.
    let home = Home::on(Kind::Sqlite);
    let server = home.serve();
    let (id, secret) = Api::of(&home, &server).new_client(&json!({}));
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let basic = format!("Authorization: {}", basic(&id, &secret));
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 29\r\n";
    let body = "grant_type=client_credentials";
    for (request, status) in [
        (format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"), "200"),
        (format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{upgrade}Content-Length: 0\r\n\r\n"), "200"),
        (format!("GET /forward-auth HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"), "401"),
        (format!("GET /forward-auth/chat HTTP/1.1\r\nHost: x\r\n{upgrade}\r\nGET /healthz HTTP/1.1\r\n"), "401"),
        (format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{upgrade}Content-Length: 999999\r\n\r\n"), "413"),
        ("CONNECT /forward-auth HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "401"),
        // A body with a length is read to its end, and no further.
        (format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{basic}\r\n{upgrade}{form}\r\n{body}"), "200"),
        (format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{basic}\r\n{upgrade}{form}\r\n{body}&scope=more"), "200"),
    ] {
        let mut stream = server.http.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let asked = monotonic();
        let answer = read_to_end(stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}\n{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{request}\n{answer}");
        assert!(seconds_since(asked) < 3.0, "{request} took {} s", seconds_since(asked));
    }
    server.http.get("/healthz").expect(200);
}

#[test]
fn the_access_line_does_not_tell_the_path_of_another_server() {
    let home = Home::on(Kind::Sqlite);
    let server = home.serve();
    for path in ["/forward-auth/reset/s3cret", "/p/acme/forward-auth/reset/s3cret?x=1", "/forward%2Dauth/s3cret"] {
        let answer = server.http.call("GET", path, &[], None);
        assert!(matches!(answer.status, 401 | 404), "{answer:?}");
    }
    for path in ["/forward-auth", "/p/acme/forward-auth", "/forward%2Dauth"] {
        assert_eq!(server.access_lines(path).len(), 1, "{path}: {}", server.stderr());
    }
    assert!(!server.stderr().contains("s3cret"), "{}", server.stderr());
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let home = Home::on(Kind::Sqlite).with("GRANTD_HTTP__READ_TIMEOUT_MS", "250");
    let server = home.serve();
    let mut stream = server.http.connect();
    stream.write_all(b"POST /oauth2/token HTTP/1.1\r\nHost: x\r\n").unwrap();
    let began = monotonic();
    let answer = read_to_end(stream);
    assert!(seconds_since(began) < 8.0, "still open after {} s", seconds_since(began));
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer:?}");
}

#[test]
fn each_request_has_one_access_line_in_both_formats() {
    for format in ["text", "json"] {
        let home = Home::on(Kind::Sqlite).with("GRANTD_LOG_FORMAT", format);
        let server = home.serve();
        let (id, secret) = Api::of(&home, &server).new_client(&json!({}));
        let token = server.http.token(&id, &secret).expect(200);
        let request_id = token.header("x-request-id").expect("a request id").to_owned();
        server.http.call("GET", "/nope?secret=abc123", &[("x-request-id", "sent-in.1")], None).expect(404);
        let log = server.stderr();
        let of_token: Vec<&str> = log.lines().filter(|line| line.contains(&request_id)).collect();
        assert_eq!(of_token.len(), 1, "{log}");
        assert!(
            of_token[0].contains("/oauth2/token") && of_token[0].contains("200") && of_token[0].contains("127.0.0.1")
        );
        assert!(log.contains("sent-in.1"), "the id that was sent in is logged: {log}");
        for hidden in [&*secret, &token.text_of("access_token"), "abc123", OWNER] {
            assert!(!log.contains(hidden), "the log holds {hidden}");
        }
        if format == "json" {
            for line in log.lines() {
                let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(line["ts"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
            }
        }
    }
}

on_each! {
    fn the_metrics_need_a_key_unless_they_have_an_address_of_their_own(home: Home) {
        let server = home.serve();
        server.http.get("/metrics").expect(401);
        let owner = format!("Bearer {OWNER}");
        let text = server.http.call("GET", "/metrics", &[("authorization", &owner)], None).expect(200).text;
        assert!(text.contains("# TYPE"), "{text}");
        assert!(!text.contains(ISSUER) && !text.contains(OWNER));
        drop(server);
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let home = home.with("GRANTD_METRICS_LISTEN", &address);
        let _server = home.serve();
        let open = Http::to(&format!("http://{address}"));
        open.get("/metrics").expect(200);
        open.get("/admin/v1/providers").expect(404);
    }
}
