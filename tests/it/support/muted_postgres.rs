//! A way to PostgreSQL that can lose an answer: everything is passed on as it is, until the answer to
//! one statement is kept back. The statement itself is executed.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

const SOCKET: &str = ".s.PGSQL.5432";

/// Ends with the process that uses it; the folder ends with the value.
pub struct MutedPostgres {
    folder: TempDir,
    real: PathBuf,
    mutes: Arc<AtomicBool>,
}

impl MutedPostgres {
    /// Before the server of this URL (`…?host=<folder of its socket>&…`). Answers to statements that hold
    /// `words` are kept back until [`Self::heal`].
    pub fn before(url: &str, words: &'static str) -> Self {
        let real = url.split("host=").nth(1).and_then(|rest| rest.split('&').next()).expect("a socket's folder");
        let folder = tempfile::Builder::new().prefix("grantd-muted-").tempdir().expect("no temporary folder");
        let listener = UnixListener::bind(folder.path().join(SOCKET)).expect("no socket");
        let muted = Self { folder, real: real.into(), mutes: Arc::new(AtomicBool::new(true)) };
        let (real, mutes) = (muted.real.join(SOCKET), Arc::clone(&muted.mutes));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, UnixStream::connect(&real)) else { return };
                pass(client, server, words, &mutes);
            }
        });
        muted
    }

    /// The same URL by this way.
    pub fn url(&self, url: &str) -> String {
        url.replace(&*self.real.display().to_string(), &self.folder.path().display().to_string())
    }

    /// Loses nothing more.
    pub fn heal(&self) {
        self.mutes.store(false, Ordering::SeqCst);
    }
}

/// Both directions of one connection.
fn pass(client: UnixStream, server: UnixStream, words: &'static str, mutes: &Arc<AtomicBool>) {
    let muted = Arc::new(AtomicBool::new(false));
    let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (mut from_server, mut to_client) = (server, client);
    let (mutes, mute) = (Arc::clone(mutes), Arc::clone(&muted));
    thread::spawn(move || {
        let (mut buffer, mut was_named) = ([0; 65_536], false);
        while let Ok(length @ 1..) = from_client.read(&mut buffer) {
            let sent = &buffer[..length];
            was_named |= sent.windows(words.len()).any(|part| part == words.as_bytes());
            // Prepared first (Parse), now or in a message of its own: the answer to its execution is lost.
            if was_named && binds(sent) && mutes.load(Ordering::SeqCst) {
                mute.store(true, Ordering::SeqCst);
            }
            if to_server.write_all(sent).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(length @ 1..) = from_server.read(&mut buffer) {
            if !muted.load(Ordering::SeqCst) && to_client.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}

/// Whether a Bind is among these messages: each a letter, and its length with the four bytes of itself.
fn binds(mut messages: &[u8]) -> bool {
    while let [kind, a, b, c, d, ..] = *messages {
        if kind == b'B' {
            return true;
        }
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        messages = messages.get(1 + length..).unwrap_or_default();
    }
    false
}
