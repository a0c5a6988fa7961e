//! The master key of an installation: given by the configuration, or in a file of the data directory;
//! replaced (`keys rekey`), or given up (`keys reset`).
//!
//! ```text
//! rekey:  write master.key.new → commit the data keys under it → keep master.key.old → rename .new over master.key
//! ```
//!
//! A crash in between leaves a start that works: before the commit the old file opens the database, after it
//! the start finds `.new` beside and finishes the rename.

use std::cell::Cell;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::app::files::{read_if_there, write_secret};
use crate::app::{RETRY_DATABASE, Serve, StartError, files, store_options};
use crate::config::Settings;
use crate::crypto::{MasterKey, Random};
use crate::domain::{Fault, UnixTime};
use crate::engine::first_run::{self, Start, Started};
use crate::engine::rekey::{self, Reset};
use crate::store::{Db, StoreOptions, Tx, is_away};

/// A master key, where it is to be kept if it was made just now, and the one that a change of it that was
/// cut off has left.
pub struct Master {
    pub key: MasterKey,
    pub new_file: Option<PathBuf>,
    successor: Option<MasterKey>,
}

/// The master key that was given, or the one in the data directory, or a new one for it.
pub fn find(settings: &Settings, random: &Random) -> Result<Master, StartError> {
    let known = |key| Master { key, new_file: None, successor: None };
    if let Some(given) = &settings.master_key {
        return Ok(known(MasterKey::from_base64(given)?));
    }
    if settings.uses_postgres() {
        return Err(StartError::MasterKeyNeeded);
    }
    let path = settings.master_key_file();
    match read_key(&path)? {
        Some(key) => Ok(Master { key, new_file: None, successor: read_key(&beside(&path, "new"))? }),
        None => Ok(Master { key: MasterKey::generate(random)?, new_file: Some(path), successor: None }),
    }
}

/// Migrates and does the first run; waits for a database that is away, and says so. Answers with the
/// master key that opens it.
pub async fn open(
    settings: &Settings,
    store: &StoreOptions,
    master: Master,
    random: &Random,
    start: &Start,
) -> Result<(Started, MasterKey), StartError> {
    let Master { key, new_file, successor } = master;
    let succeeded = Cell::new(false);
    let started = loop {
        let begin = |tx: &mut Tx<'_>| {
            let new = successor.as_ref().filter(|_| new_file.is_none());
            let used = match new {
                Some(new) if !rekey::opens(tx, &key)? && rekey::opens(tx, new)? => {
                    succeeded.set(true);
                    new
                }
                _ => &key,
            };
            let started = first_run::start(tx, used, random, start)?;
            // The key is on disk before what it seals is committed.
            if let Some(path) = &new_file {
                write_secret(path, key.to_base64().expose_secret()).map_err(Fault::store)?;
            }
            Ok(started)
        };
        match Db::migrate(store, begin) {
            Err(fault) if is_away(&fault) => {
                log::warn!("the database is away, trying again in 2 s: {fault}");
                tokio::time::sleep(RETRY_DATABASE).await;
            }
            outcome => break outcome?,
        }
    };
    match successor.filter(|_| succeeded.get()) {
        Some(new) => {
            put_in_place(&settings.master_key_file())?;
            log::warn!("a change of the master key that was cut off is finished now");
            Ok((started, new))
        }
        None => Ok((started, key)),
    }
}

/// What `keys rekey` came to.
pub struct Rekeyed {
    pub data_keys: usize,
    /// Where the new master key lies.
    pub file: PathBuf,
    /// Where the old one lies now; `None`: it was given by the configuration.
    pub kept: Option<PathBuf>,
}

/// Seals the data keys under a new master key: that of `file`, which is made if it is not there, or a new
/// one for the data directory.
pub fn rekey(settings: &Settings, random: &Random, now: UnixTime, file: Option<&Path>) -> Result<Rekeyed, StartError> {
    let Master { key: old, new_file, successor: _ } = find(settings, random)?;
    if new_file.is_some() {
        return Err(StartError::NoMasterKey);
    }
    let path = settings.master_key_file();
    let own = settings.master_key.is_none();
    let pending = beside(&path, "new");
    let new = match file {
        Some(file) => read_or_make(file, random)?,
        None if own => read_or_make(&pending, random)?,
        None => return Err(StartError::NewMasterKeyFileNeeded),
    };
    if own && file.is_some() {
        replace_file(&pending, new.to_base64().expose_secret())?;
    }
    let store = store_options(settings);
    let data_keys = Db::migrate(&store, |tx| rekey::reseal_all(tx, &old, &new, random, now))?;
    if own {
        put_in_place(&path)?;
    }
    let kept = own.then(|| beside(&path, "old"));
    Ok(Rekeyed { data_keys, file: file.map_or(path, Path::to_path_buf), kept })
}

/// What `keys reset` came to.
pub struct ResetDone {
    pub reset: Reset,
    /// The configured key was none, so this one was made.
    pub new_file: Option<PathBuf>,
}

/// Gives up all that the lost master key sealed, and begins anew under the configured one.
pub fn reset(settings: &Settings, random: &Random, now: UnixTime) -> Result<ResetDone, StartError> {
    let _lock = files::lock_database(settings, Serve::Yes)?;
    let Master { key, new_file, successor: _ } = find(settings, random)?;
    let store = store_options(settings);
    let reset = Db::migrate(&store, |tx| {
        let reset = rekey::reset(tx, &key, random, now)?;
        if let Some(path) = &new_file {
            write_secret(path, key.to_base64().expose_secret()).map_err(Fault::store)?;
        }
        Ok(reset)
    })?;
    Ok(ResetDone { reset, new_file })
}

fn read_key(path: &Path) -> Result<Option<MasterKey>, StartError> {
    let Some(text) = read_if_there(path)? else { return Ok(None) };
    Ok(Some(MasterKey::from_base64(&SecretString::from(text.trim()))?))
}

fn read_or_make(path: &Path, random: &Random) -> Result<MasterKey, StartError> {
    if let Some(key) = read_key(path)? {
        return Ok(key);
    }
    let key = MasterKey::generate(random)?;
    replace_file(path, key.to_base64().expose_secret())?;
    Ok(key)
}

/// `master.key.new` becomes `master.key`; what that was is `master.key.old`. At every moment there is a
/// `master.key`.
fn put_in_place(path: &Path) -> Result<(), StartError> {
    if let Some(old) = read_if_there(path)? {
        replace_file(&beside(path, "old"), old.trim())?;
    }
    rename(&beside(path, "new"), path)
}

/// Writes a secret file as a whole: a crash leaves the one before or this one, never half of it.
fn replace_file(path: &Path, text: &str) -> Result<(), StartError> {
    let half = beside(path, "tmp");
    match fs::remove_file(&half) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(cannot("cannot remove", &half)(source));
        }
        _ => {}
    }
    write_secret(&half, text)?;
    rename(&half, path)
}

/// Renames durably.
fn rename(from: &Path, to: &Path) -> Result<(), StartError> {
    fs::rename(from, to).map_err(cannot("cannot write", to))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot("cannot write", folder))
}

fn cannot(doing: &'static str, path: &Path) -> impl Fn(std::io::Error) -> StartError {
    let path = path.display().to_string();
    move |source| StartError::File { doing, path: path.clone(), source }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
