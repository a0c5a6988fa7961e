//! How a SQLite database is opened: one file, WAL, one writer and readers that cannot write.

use std::fs::OpenOptions;
use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::store::connection::ConnectError;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum SqliteRole {
    /// Creates the file when it is missing and turns WAL on.
    Migrator,
    /// The one connection of this process that writes.
    Writer,
    /// `query_only`: a write through it is an error, not a surprise.
    Reader,
}

/// The file that `sqlite://<path>` names. A relative path gets `./` in front, so that SQLite never
/// reads it as a `file:` URI.
pub(in crate::store) fn path(path: &str) -> Result<String, ConnectError> {
    if path.is_empty() || path.contains(":memory:") || path.contains(['?', '\0']) {
        return Err(ConnectError(
            "a sqlite:// URL names a file: sqlite:///absolute/path or sqlite://relative/path, without parameters"
                .to_owned(),
        ));
    }
    Ok(if path.starts_with(['/', '.']) { path.to_owned() } else { format!("./{path}") })
}

/// Opens the file and sets what does not outlive a connection.
pub(in crate::store) fn open(path: &str, role: SqliteRole, durable: bool) -> Result<SqliteConnection, ConnectError> {
    match role {
        SqliteRole::Migrator => create_private(path)?,
        SqliteRole::Writer | SqliteRole::Reader if !Path::new(path).exists() => {
            return Err(ConnectError(format!("the database file {path} does not exist")));
        }
        SqliteRole::Writer | SqliteRole::Reader => {}
    }
    let failed = |error: &dyn std::fmt::Display| ConnectError(format!("cannot open the database {path}: {error}"));
    let mut conn = SqliteConnection::establish(path).map_err(|error| failed(&error))?;
    // First of all: every statement after it may meet another process. The command line works
    // beside the server, and one that migrates may keep the lock for a while.
    let patience = if role == SqliteRole::Migrator { 30_000 } else { 5_000 };
    conn.batch_execute(&format!("PRAGMA busy_timeout = {patience}")).map_err(|error| failed(&error))?;
    if role == SqliteRole::Migrator {
        turn_on_wal(&mut conn).map_err(|error| failed(&error))?;
    }
    let synchronous = if durable { "FULL" } else { "OFF" };
    conn.batch_execute(&format!(
        "PRAGMA synchronous = {synchronous};
         PRAGMA foreign_keys = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA cache_size = -8192;
         PRAGMA mmap_size = 67108864;
         PRAGMA journal_size_limit = 67108864;"
    ))
    .map_err(|error| failed(&error))?;
    if role == SqliteRole::Reader {
        conn.batch_execute("PRAGMA query_only = ON").map_err(|error| failed(&error))?;
    }
    Ok(conn)
}

/// Makes the file readable for its owner only. The `-wal` and `-shm` files take its mode.
fn create_private(path: &str) -> Result<(), ConnectError> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let created = options.open(path);
    created.map(drop).map_err(|error| ConnectError(format!("cannot create the database {path}: {error}")))
}

/// WAL is a property of the file. Changing to it needs the file alone and does not wait as
/// `busy_timeout` says, so two first starts at the same moment try again.
fn turn_on_wal(conn: &mut SqliteConnection) -> QueryResult<()> {
    const TRIES: u32 = 500;
    let mut tries = 0;
    loop {
        let mode = diesel::dsl::sql::<Text>("PRAGMA journal_mode = WAL").get_result::<String>(conn);
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Err(error) if tries >= TRIES => return Err(error),
            Ok(mode) if tries >= TRIES => {
                let sentence = format!("the journal mode stays {mode}; the file system must allow WAL");
                return Err(diesel::result::Error::QueryBuilderError(sentence.into()));
            }
            Ok(_) | Err(_) => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
