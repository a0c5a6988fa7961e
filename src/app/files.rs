//! The files of an installation: data directory, secret files, the locks beside SQLite file and master key.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;

use crate::app::{Purpose, StartError};
use crate::config::Settings;
use crate::store::StoreOptions;

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
pub fn lock_database(settings: &Settings, purpose: Purpose) -> Result<Option<LockedFile>, StartError> {
    let url = settings.database_url();
    let Some(database) = url.expose_secret().strip_prefix("sqlite://") else { return Ok(None) };
    if purpose != Purpose::Serve {
        return Ok(None);
    }
    let path = PathBuf::from(format!("{database}.lock"));
    let failed = |source| StartError::File { doing: "cannot open the lock file", path: shown(&path), source };
    let file = open_lock(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(LockedFile { _held: file })),
        Err(TryLockError::WouldBlock) => Err(StartError::Locked { path: shown(&path) }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Waits for the lock beside a file. `None` where nothing can be written beside it, so that nobody replaces it either.
pub fn lock_beside(path: &Path) -> Result<Option<LockedFile>, StartError> {
    let path = beside(path, "lock");
    let file = match open_lock(&path) {
        Ok(file) => file,
        Err(error) if is_unwritable(&error) => return Ok(None),
        Err(source) => return Err(cannot("cannot open the lock file", &path)(source)),
    };
    loop {
        match file.lock() {
            Ok(()) => return Ok(Some(LockedFile { _held: file })),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(cannot("cannot lock", &path)(source)),
        }
    }
}

fn open_lock(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

fn is_unwritable(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
}

/// For whoever works on an installation and may not make one: the SQLite file is there and not empty. Asked
/// before anything is opened, because opening makes the file.
pub fn require_installation(store: &StoreOptions) -> Result<(), StartError> {
    let Some(database) = store.url.strip_prefix("sqlite://") else { return Ok(()) };
    match fs::metadata(database) {
        Ok(file) if file.len() > 0 => Ok(()),
        Err(source) if source.kind() != ErrorKind::NotFound => Err(cannot("cannot read", Path::new(database))(source)),
        _ => Err(no_installation(store)),
    }
}

pub fn no_installation(store: &StoreOptions) -> StartError {
    // The URL of PostgreSQL holds a password.
    let place = match store.url.strip_prefix("sqlite://") {
        Some(database) => format!("at {database}"),
        None => "in the PostgreSQL database of this configuration".to_owned(),
    };
    StartError::NoInstallation { place }
}

pub fn read_if_there(path: &Path) -> Result<Option<String>, StartError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(cannot("cannot read", path)(source)),
    }
}

/// Makes a secret file, durably and as a whole: a crash or a full disk leaves no such file, never half of it. One
/// that is there is never replaced, whoever was faster.
pub fn make_secret(path: &Path, text: &str) -> Result<(), StartError> {
    let half = write_half(path, text)?;
    let linked = match fs::hard_link(&half, path) {
        // A file system without hard links.
        Err(error) if is_without_links(&error) && matches!(path.try_exists(), Ok(false)) => fs::rename(&half, path),
        linked => linked,
    };
    let _ = fs::remove_file(&half);
    linked.and_then(|()| sync_folder(path)).map_err(cannot("cannot write", path))
}

/// Writes a secret file over the one that is there: a crash leaves the one before or this one.
pub fn replace_secret(path: &Path, text: &str) -> Result<(), StartError> {
    rename(&write_half(path, text)?, path)
}

/// Renames durably.
pub fn rename(from: &Path, to: &Path) -> Result<(), StartError> {
    fs::rename(from, to).and_then(|()| sync_folder(to)).map_err(cannot("cannot write", to))
}

/// What a start left that was cut off before it wrote.
pub fn remove_if_empty(path: &Path) -> Result<(), StartError> {
    if read_if_there(path)?.is_some_and(|text| text.trim().is_empty()) {
        fs::remove_file(path).map_err(cannot("cannot remove", path))?;
    }
    Ok(())
}

/// The same name with an ending.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

pub fn cannot(doing: &'static str, path: &Path) -> impl Fn(Error) -> StartError {
    let path = shown(path);
    move |source| StartError::File { doing, path: path.clone(), source }
}

/// A file of its own, on disk, that only its owner reads; gone again if that fails.
fn write_half(path: &Path, text: &str) -> Result<PathBuf, StartError> {
    let half = beside(path, "tmp");
    match fs::remove_file(&half) {
        Err(source) if source.kind() != ErrorKind::NotFound => return Err(cannot("cannot remove", &half)(source)),
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&half)?;
        writeln!(file, "{text}")?;
        file.sync_all()
    };
    if let Err(source) = write() {
        let _ = fs::remove_file(&half);
        return Err(cannot("cannot write", &half)(source));
    }
    Ok(half)
}

fn is_without_links(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied)
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_file_is_made_whole_or_not_at_all_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        // What a crash left of an earlier try.
        fs::write(beside(&path, "tmp"), "ha").unwrap();
        make_secret(&path, "one").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        let refused = make_secret(&path, "two").unwrap_err().to_string();
        assert!(refused.contains("key"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");
        replace_secret(&path, "two").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        assert!(!beside(&path, "tmp").exists());
        assert!(make_secret(&folder.path().join("nowhere/key"), "x").is_err());
    }
}
