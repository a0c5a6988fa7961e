//! Copies of PostgreSQL databases, made before a test asks and dropped after it has gone. Making one
//! takes a few hundred milliseconds of waiting for the server, which no test needs to see.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crate::support::postgres;

/// Copies of one template that lie ready.
const READY: usize = 4;
/// Databases that wait to be dropped; after that a test drops its own.
const DROPPED_BEHIND: usize = 16;

type Ready = Arc<Mutex<Receiver<String>>>;

/// The name of a new database that is a copy of `template`, which has no connection and never changes.
pub fn copy_of(template: &str) -> String {
    static READY_COPIES: OnceLock<Mutex<HashMap<String, Ready>>> = OnceLock::new();
    let ready = {
        let mut all = READY_COPIES.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(template.to_owned()).or_insert_with(|| keep_ready(template.to_owned())))
    };
    let ready = ready.lock().unwrap_or_else(PoisonError::into_inner);
    ready.recv().expect("the thread that copies databases ended; its panic is above")
}

/// Drops the database soon; no test waits for it.
pub fn drop_behind(database: String) {
    static DROPPED: OnceLock<SyncSender<String>> = OnceLock::new();
    let behind = DROPPED.get_or_init(|| {
        let (sender, receiver) = sync_channel::<String>(DROPPED_BEHIND);
        thread::spawn(move || {
            let mut admin = postgres::server().connect();
            for database in receiver {
                postgres::execute(&mut admin, &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"));
            }
        });
        sender
    });
    behind.send(database).expect("the thread that drops databases ended; its panic is above");
}

fn keep_ready(template: String) -> Ready {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let (sender, receiver) = sync_channel(READY);
    thread::spawn(move || {
        let mut admin = postgres::server().connect();
        loop {
            let database = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
            postgres::server().copy_database(&mut admin, &template, &database);
            if sender.send(database).is_err() {
                return;
            }
        }
    });
    Arc::new(Mutex::new(receiver))
}
