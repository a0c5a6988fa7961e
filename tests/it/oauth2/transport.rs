//! Requests that only a socket can carry (HT1 to HT4, HT7): broken request lines, huge heads, bodies
//! that lie about their length. Each is answered with a client error or a closed connection within
//! five seconds, and the server lives on.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use actix_web::{App, HttpServer};

use crate::support::app::TestApp;
use crate::support::databases::{Kind, block_on};

/// What comes back, up to the end of the connection or five seconds of silence.
fn exchanged(address: SocketAddr, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    // The server may have closed the connection before it was told everything.
    let _closed_early = stream.write_all(sent);
    let _closed_early = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("no end within five seconds: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

fn broken_requests() -> Vec<Vec<u8>> {
    let post =
        |head: &str, body: &str| format!("POST /oauth2/token HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n{body}").into_bytes();
    let form = "Content-Type: application/x-www-form-urlencoded";
    let huge = "x".repeat(300_000);
    let many: Vec<String> = (0..500).map(|number| format!("X-H-{number}: y")).collect();
    vec![
        b"\r\n\r\n".to_vec(),
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET / x y HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        format!("GET /{huge} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes(),
        post(&format!("Authorization: Basic {huge}"), ""),
        post(&many.join("\r\n"), ""),
        post("Content-Length: -1", "a"),
        post("Content-Length: 99999999999999999999", "a"),
        post("Content-Length: 3\r\nContent-Length: 4", "abcd"),
        post("Transfer-Encoding: chunked", "zz\r\nabc\r\n0\r\n\r\n"),
        post(&format!("{form}\r\nTransfer-Encoding: chunked"), "3\r\na=b\r\n0\r\n\r\n"),
        post("Content-Length: 3\r\nTransfer-Encoding: chunked", "0\r\n\r\n"),
        post(&format!("{form}\r\nContent-Length: 100"), "too short"),
        post(&format!("{form}\r\nConnection: close\r\nContent-Length: 300000"), &huge),
        b"POST http://other.example/oauth2/token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        b"CONNECT id.example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
    ]
}

#[test]
fn broken_requests_are_client_errors_and_the_server_lives_on() {
    block_on(async {
        let app = TestApp::start(Kind::Sqlite).await;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let services = app.services.clone();
        let server = HttpServer::new(move || App::new().configure(|config| services.mount(config)));
        let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        let running = actix_web::rt::spawn(server);
        let asked = actix_web::rt::task::spawn_blocking(move || {
            for request in broken_requests() {
                let begun = String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned();
                let answer = exchanged(address, &request);
                let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
                assert!(answer.is_empty() || (400..500).contains(&status(&answer).unwrap()), "{begun:?}: {answer}");
                assert!(!head.contains("server:") && !head.contains("actix"), "{head}");
                let alive = exchanged(address, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                assert_eq!(status(&alive), Some(200), "after {begun:?}");
            }
        });
        let outcome = asked.await;
        handle.stop(false).await;
        running.await.unwrap().unwrap();
        outcome.unwrap();
    });
}
