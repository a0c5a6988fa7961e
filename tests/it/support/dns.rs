//! A DNS server of somebody else on this machine, on UDP: one for the whole run. It answers as tests
//! say for the names they have told it of, denies every other, and remembers what it was asked.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Mutex, OnceLock};
use std::thread;

/// RFC 1035 §3.2.2.
pub const TXT: u16 = 16;
const CNAME: u16 = 5;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

/// What stands at a name.
#[derive(Clone, Debug)]
pub enum Zone {
    /// One TXT record each, made of its parts.
    Texts(Vec<Vec<String>>),
    /// Another name, which holds one TXT record.
    Alias(String, String),
    /// The name is there, a TXT record is not.
    NoData,
    Failure,
    /// No answer ever.
    Silence,
}

/// A question: name in lower case, without the dot at its end, and type.
pub type Question = (String, u16);

pub struct Dns {
    pub address: SocketAddr,
    zones: Mutex<HashMap<String, Zone>>,
    asked: Mutex<Vec<Question>>,
}

/// The server of this run.
pub fn dns() -> &'static Dns {
    static SERVER: OnceLock<Dns> = OnceLock::new();
    let mut socket = None;
    let server = SERVER.get_or_init(|| {
        let bound = UdpSocket::bind("127.0.0.1:0").expect("no port");
        let address = bound.local_addr().unwrap();
        socket = Some(bound);
        Dns { address, zones: Mutex::default(), asked: Mutex::default() }
    });
    if let Some(socket) = socket {
        thread::spawn(move || serve(&socket, server));
    }
    server
}

impl Dns {
    /// From now on.
    pub fn holds(&self, name: &str, zone: Zone) {
        self.zones.lock().unwrap().insert(name.to_ascii_lowercase(), zone);
    }

    /// One TXT record in one part.
    pub fn says(&self, name: &str, text: &str) {
        self.holds(name, Zone::Texts(vec![vec![text.to_owned()]]));
    }

    /// Every question about this name or one that ends in it.
    pub fn asked_about(&self, suffix: &str) -> Vec<Question> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(name, _)| name.ends_with(suffix)).cloned().collect()
    }
}

fn serve(socket: &UdpSocket, server: &Dns) {
    let mut buffer = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut buffer) {
        let Some((question, end)) = read(&buffer[..length]) else { continue };
        server.asked.lock().unwrap().push(question.clone());
        let zone = server.zones.lock().unwrap().get(&question.0).cloned();
        if let Some(answer) = answer(&buffer[..end], &question, zone) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The one question of a message, and where it ends.
fn read(message: &[u8]) -> Option<(Question, usize)> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    Some(((labels.join("."), kind), at + 4))
}

/// RFC 1035 §4.1: the question as it was sent, then the answers.
fn answer(question: &[u8], (_, kind): &Question, zone: Option<Zone>) -> Option<Vec<u8>> {
    let (code, records) = match zone {
        Some(Zone::Silence) => return None,
        Some(Zone::Failure) => (SERVFAIL, Vec::new()),
        None => (NXDOMAIN, Vec::new()),
        Some(_) if *kind != TXT => (0, Vec::new()),
        Some(Zone::NoData) => (0, Vec::new()),
        Some(Zone::Texts(texts)) => (0, texts.iter().map(|parts| record(&[0xC0, 12], TXT, &text(parts))).collect()),
        Some(Zone::Alias(to, value)) => {
            let to = encoded(&to);
            (0, vec![record(&[0xC0, 12], CNAME, &to), record(&to, TXT, &text(&[value]))])
        }
    };
    let mut message = question.to_vec();
    // A response, recursion was desired and is available.
    (message[2], message[3]) = (0x81, 0x80 | code);
    let count = u16::try_from(records.len()).unwrap();
    message[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    message[6..8].copy_from_slice(&count.to_be_bytes());
    message.extend(records.concat());
    Some(message)
}

fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let head = [&kind.to_be_bytes()[..], &[0, 1], &[0, 0, 0, 60], &length.to_be_bytes()].concat();
    [name, &head, data].concat()
}

fn text(parts: &[String]) -> Vec<u8> {
    parts.iter().flat_map(|part| [&[u8::try_from(part.len()).unwrap()], part.as_bytes()].concat()).collect()
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat());
    labels.chain([0]).collect()
}
