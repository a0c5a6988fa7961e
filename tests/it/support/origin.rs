//! A server of somebody else on this machine: it answers as a test says and remembers what it was
//! asked. Plain threads, so that it is there for tests with and without a runtime.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// How it answers.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Before the first byte.
    pub wait: Duration,
}

impl Reply {
    pub fn json(body: impl ToString) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status: 200, headers, body: body.to_string().into_bytes(), wait: Duration::ZERO }
    }

    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), wait: Duration::ZERO }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

type Answering = dyn Fn(&Asked) -> Reply + Send + Sync;

pub struct Origin {
    /// `http://127.0.0.1:<port>`
    pub base: String,
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    answering: Arc<Mutex<Arc<Answering>>>,
    ends: Arc<AtomicBool>,
}

impl Origin {
    pub fn answering(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("no port");
        let port = listener.local_addr().unwrap().port();
        let origin = Self {
            base: format!("http://127.0.0.1:{port}"),
            port,
            asked: Arc::default(),
            answering: Arc::new(Mutex::new(Arc::new(answer))),
            ends: Arc::default(),
        };
        let (asked, answering, ends) =
            (Arc::clone(&origin.asked), Arc::clone(&origin.answering), Arc::clone(&origin.ends));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let (asked, answering) = (Arc::clone(&asked), Arc::clone(&answering));
                let Ok(stream) = stream else { continue };
                thread::spawn(move || serve(stream, &asked, &answering));
            }
        });
        origin
    }

    /// The same answer to everything.
    pub fn always(reply: Reply) -> Self {
        Self::answering(move |_| reply.clone())
    }

    /// From now on.
    pub fn answers(&self, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        *self.answering.lock().unwrap() = Arc::new(answer);
    }

    /// Everything it was asked, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<Asked>>, answering: &Mutex<Arc<Answering>>) {
    let Some(request) = read(&stream) else { return };
    asked.lock().unwrap().push(request.clone());
    let answer = Arc::clone(&answering.lock().unwrap());
    let Reply { status, headers, body, wait } = answer(&request);
    thread::sleep(wait);
    let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    // Whoever hangs up early has heard enough.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let request = Asked { method, path, headers, body: String::new() };
    let length = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { body: String::from_utf8_lossy(&body).into_owned(), ..request })
}
