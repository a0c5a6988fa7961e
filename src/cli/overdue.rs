//! A command that opens the database does not wait for ever. What blocks there cannot be cut, so the process
//! ends instead. Nothing was changed then: an open transaction is rolled back by the server.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::cli::{CliError, leave, report};

/// Longer than every wait that ends by itself.
const LIMIT: Duration = Duration::from_secs(60);

/// Ends the process after [`LIMIT`], unless the value ends before.
#[must_use]
pub struct Overdue {
    _ends: Sender<()>,
}

impl Overdue {
    pub fn watch() -> Self {
        let (ends, waits) = mpsc::channel::<()>();
        let watch = move || {
            if waits.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
                let error = CliError::Unreachable(format!(
                    "the database did not answer within {} s. Check that it runs and can be reached, then try \
                     again",
                    LIMIT.as_secs()
                ));
                report(&error);
                leave(error.code());
            }
        };
        // Without the thread the command works as well, and waits longer at worst.
        drop(std::thread::Builder::new().name("overdue".to_owned()).spawn(watch));
        Self { _ends: ends }
    }
}
