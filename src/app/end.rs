//! The end of the server: in order where that is possible, and in time in any case. What hangs is not
//! waited for, so nothing here relies on a runtime that ends.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use tokio::time::timeout_at;

use crate::domain::clock::deadline_in;
use crate::domain::{UnixTime, Wall};
use crate::engine::Engine;

/// For what is left to do when the requests in flight have had their time.
const AFTER_REQUESTS: Duration = Duration::from_secs(1);
/// Of that, for the database to be closed.
const CLOSING: Duration = Duration::from_millis(400);
/// Of that, for what follows.
const LEAVING: Duration = Duration::from_millis(150);

/// By when this process has ended. The time runs from the first signal, or from the first question.
#[derive(Clone)]
pub struct End {
    within: Duration,
    at: Arc<OnceLock<Instant>>,
}

impl End {
    /// `shutdown`: what requests in flight may take.
    pub fn after(shutdown: Duration) -> Self {
        Self { within: shutdown + AFTER_REQUESTS, at: Arc::default() }
    }

    fn at(&self) -> Instant {
        *self.at.get_or_init(|| deadline_in(self.within))
    }

    /// SIGINT and SIGTERM end the server, letting requests in flight finish, and the process.
    pub fn on_signal(&self, server: ServerHandle) {
        let end = self.clone();
        actix_web::rt::spawn(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                log::error!("signals cannot be caught: stop the process by its handle");
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => log::info!("interrupted: finishing what is in flight"),
                _ = terminate.recv() => log::info!("asked to end: finishing what is in flight"),
            }
            end.at();
            watch(end.within);
            server.stop(true).await;
        });
    }

    /// Writes what was noted last and closes the database. Answers whether all of it was done.
    pub async fn write_and_close(&self, engine: &Engine, wall: &Arc<dyn Wall>) -> bool {
        let end = self.at();
        let now: UnixTime = wall.now();
        let written = match timeout_at((end - CLOSING).into(), engine.last_tick(now)).await {
            Ok(Ok(())) => true,
            Ok(Err(fault)) => {
                log::error!("what was noted last could not be written: {fault}");
                false
            }
            Err(_) => {
                log::error!("what was noted last could not be written: the database did not answer in time");
                false
            }
        };
        let closed = engine.db().close(end - LEAVING).await;
        if !closed {
            log::error!("the database could not be closed: work on it did not end in time");
        }
        written && closed
    }
}

/// A thread that ends the process when its time is over: one that hangs in a call of the system, or in the end of
/// a runtime, does not keep it.
fn watch(within: Duration) {
    let watch = move || {
        std::thread::sleep(within);
        log::error!(
            "the server did not end within {} s and is stopped: what waited to be written is lost",
            within.as_secs()
        );
        log::logger().flush();
        std::process::exit(1);
    };
    if let Err(error) = std::thread::Builder::new().name("end-watch".to_owned()).spawn(watch) {
        log::error!("the end of the server cannot be watched: {error}");
    }
}
