//! The files of an installation: data directory, master key, the lock beside the SQLite file.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use crate::app::{Serve, StartError};
use crate::config::Settings;

/// An exclusive lock that ends with the value.
pub struct LockedFile {
    _held: File,
}

/// Makes the data directory (0700) where something will lie in it.
pub fn make_data_dir(settings: &Settings) -> Result<(), StartError> {
    if settings.uses_postgres() && settings.master_key.is_some() {
        return Ok(());
    }
    let path = &settings.data_dir;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::File { doing: "cannot make the data directory", path: shown(path), source })
}

/// One server a SQLite file: `<file>.lock` is held while it runs.
pub fn lock_database(settings: &Settings, serve: Serve) -> Result<Option<LockedFile>, StartError> {
    let url = settings.database_url();
    let Some(database) = url.expose_secret().strip_prefix("sqlite://") else { return Ok(None) };
    if serve == Serve::No {
        return Ok(None);
    }
    let path = PathBuf::from(format!("{database}.lock"));
    let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let failed = |source| StartError::File { doing: "cannot open the lock file", path: shown(&path), source };
    let file = opened.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(LockedFile { _held: file })),
        Err(TryLockError::WouldBlock) => Err(StartError::Locked { path: shown(&path) }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

pub fn read_if_there(path: &Path) -> Result<Option<String>, StartError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StartError::File { doing: "cannot read", path: shown(path), source }),
    }
}

/// Writes a new file that only its owner reads, durably; never over one that is there.
pub fn write_secret(path: &Path, text: &str) -> Result<(), StartError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    };
    write().map_err(|source| StartError::File { doing: "cannot write", path: shown(path), source })
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
