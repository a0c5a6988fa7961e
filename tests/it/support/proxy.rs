//! A TCP way to PostgreSQL that can hang as networks and poolers do: bytes are acknowledged and never
//! arrive. It hangs for the one server that goes through it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::process::pause;

const SOCKET: &str = ".s.PGSQL.5432";

/// Ends with the process that uses it.
pub struct Proxy {
    /// The URL that leads through it.
    pub url: String,
    way: Arc<Way>,
}

#[derive(Default)]
struct Way {
    /// Nothing passes until it is thawed, on new connections neither.
    frozen: AtomicBool,
    /// New connections are accepted, and nothing is ever answered on them.
    swallows_new: AtomicBool,
    /// A client that sends these words loses the answer and everything after it.
    strands_at: Mutex<Option<&'static str>>,
    links: Mutex<Vec<Arc<Link>>>,
}

/// One connection.
struct Link {
    client: TcpStream,
    /// `None`: it leads nowhere.
    server: Option<UnixStream>,
    stranded: AtomicBool,
}

impl Proxy {
    /// Before the server of this URL (`…?host=<folder of its socket>&…`).
    pub fn before(url: &str) -> Self {
        let (before, rest) = url.split_once("host=").expect("a host");
        let (host, after) = rest.split_once('&').expect("a user");
        let listener = TcpListener::bind("127.0.0.1:0").expect("no port");
        let port = listener.local_addr().expect("no address").port();
        let way = Arc::<Way>::default();
        let (behind, accepting) = (Path::new(host).join(SOCKET), Arc::clone(&way));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                accepting.accept(client, &behind);
            }
        });
        Self { url: format!("{before}host=127.0.0.1&port={port}&{after}"), way }
    }

    /// Nothing passes, in no direction and on no connection.
    pub fn freeze(&self, frozen: bool) {
        self.way.frozen.store(frozen, Ordering::SeqCst);
    }

    /// Every connection that exists now passes nothing any more. New ones work.
    pub fn strand(&self) {
        self.way.links().iter().for_each(|link| link.stranded.store(true, Ordering::SeqCst));
    }

    /// The next client that sends `words` gets no answer to them: the server has them.
    pub fn strand_at(&self, words: &'static str) {
        *self.way.strands_at.lock().unwrap() = Some(words);
    }

    /// New connections are accepted and lead nowhere.
    pub fn swallow_new(&self, swallows: bool) {
        self.way.swallows_new.store(swallows, Ordering::SeqCst);
    }

    /// Closes every connection that was stranded, on both sides.
    pub fn cut(&self) {
        self.way.links().retain(|link| {
            let stranded = link.stranded.load(Ordering::SeqCst);
            if stranded {
                link.close();
            }
            !stranded
        });
    }
}

impl Way {
    fn links(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Link>>> {
        self.links.lock().unwrap()
    }

    fn accept(self: &Arc<Self>, client: TcpStream, behind: &PathBuf) {
        let swallowed = self.swallows_new.load(Ordering::SeqCst);
        let server = (!swallowed).then(|| UnixStream::connect(behind).expect("no PostgreSQL"));
        let link = Arc::new(Link { client, server, stranded: AtomicBool::new(swallowed) });
        self.links().push(Arc::clone(&link));
        let (there, back) = ((Arc::clone(self), Arc::clone(&link)), (Arc::clone(self), link));
        thread::spawn(move || {
            let (way, link) = there;
            way.pass(&link, &link.client, link.server.as_ref(), true);
        });
        thread::spawn(move || {
            let (way, link) = back;
            if let Some(server) = &link.server {
                way.pass(&link, server, Some(&link.client), false);
            }
        });
    }

    /// One direction, until one side closes. What is stranded is read all the same: so it is acknowledged.
    fn pass(&self, link: &Link, mut from: impl Read, mut to: Option<impl Write>, is_asking: bool) {
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            while self.frozen.load(Ordering::SeqCst) {
                pause();
            }
            let sent = &buffer[..read];
            let passes = !link.stranded.load(Ordering::SeqCst);
            if is_asking && passes && self.is_awaited(sent) {
                link.stranded.store(true, Ordering::SeqCst);
            }
            let arrived = !passes || to.as_mut().is_some_and(|to| to.write_all(sent).is_ok());
            if read == 0 || !arrived {
                return link.close();
            }
        }
    }

    /// Whether these bytes hold the words that are waited for; nobody is waited for after that.
    fn is_awaited(&self, sent: &[u8]) -> bool {
        let mut awaited = self.strands_at.lock().unwrap();
        let found = awaited.is_some_and(|words| sent.windows(words.len()).any(|part| part == words.as_bytes()));
        if found {
            *awaited = None;
        }
        found
    }
}

impl Link {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        if let Some(server) = &self.server {
            let _ = server.shutdown(Shutdown::Both);
        }
    }
}
