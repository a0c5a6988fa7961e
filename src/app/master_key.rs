//! The master key of an installation: given by the configuration, or in a file of the data directory;
//! replaced (`keys rekey`), or given up (`keys reset`).
//!
//! ```text
//! rekey:  lock → [ write master.key.new → seal the data keys under it → read it back ] → commit
//!              → keep what master.key was → rename .new over master.key
//! ```
//!
//! A crash in between leaves a start that works: before the commit the old file opens the database, after it
//! whoever comes next finds `.new` beside and finishes the rename. `master.key.lock` lets one process at a time
//! read and replace these files; a key file elsewhere is made and judged under the migration lock of the database.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::app::files::{self, LockedFile, beside, read_if_there};
use crate::app::{COMMAND_WAITS, Purpose, RETRY_DATABASE, StartError, command_store_options};
use crate::config::Settings;
use crate::crypto::{MasterKey, Random};
use crate::domain::clock::monotonic;
use crate::domain::{Fault, UnixTime};
use crate::engine::first_run::{self, Start, Started};
use crate::engine::rekey::{self, Reset};
use crate::store::{Db, StoreOptions, Tx, is_away};

/// A master key, where it is to be kept if it was made just now, and the one that a change of it that was
/// cut off has left.
pub struct Master {
    key: MasterKey,
    new_file: Option<PathBuf>,
    successor: Option<MasterKey>,
    /// Nobody replaces the files while this process goes by them.
    _lock: Option<LockedFile>,
}

/// The master key that was given, or the one in the data directory, or a new one for it.
pub fn find(settings: &Settings, random: &Random) -> Result<Master, StartError> {
    if let Some(given) = &settings.master_key {
        let key = MasterKey::from_base64(given)?;
        return Ok(Master { key, new_file: None, successor: None, _lock: None });
    }
    if settings.uses_postgres() {
        return Err(StartError::MasterKeyNeeded);
    }
    let path = settings.master_key_file();
    let lock = files::lock_beside(&path)?;
    let successor = read_key(&beside(&path, "new"))?;
    let (key, new_file) = match read_key(&path)? {
        Some(key) => (key, None),
        None => (MasterKey::generate(random)?, Some(path)),
    };
    Ok(Master { key, new_file, successor, _lock: lock })
}

/// Migrates and does the first run, if that is what the process is for; waits for a database that is away, and
/// says so; a command waits a few seconds. Answers with the master key that opens it.
pub async fn open(
    settings: &Settings,
    store: &StoreOptions,
    mut master: Master,
    random: &Random,
    mut start: Start,
    purpose: Purpose,
) -> Result<(Started, MasterKey), StartError> {
    finish_change(settings, store, &mut master)?;
    start.master_key_is_new = master.new_file.is_some();
    let began = monotonic();
    let started = loop {
        let begin = |tx: &mut Tx<'_>| {
            if purpose == Purpose::Manage && !first_run::is_done(tx)? {
                return Err(files::no_installation(store));
            }
            let started = first_run::start(tx, &master.key, random, &start)?;
            // The key is on disk before what it seals is committed.
            if let Some(path) = &master.new_file {
                make_key_file(path, &master.key)?;
            }
            Ok(started)
        };
        match in_database(store, begin) {
            Err(StartError::Start(fault)) if is_away(&fault) => {
                if purpose == Purpose::Manage && monotonic().duration_since(began) >= COMMAND_WAITS {
                    return Err(StartError::NoAnswer(fault));
                }
                log::warn!("the database is away, trying again in 2 s: {fault}");
                tokio::time::sleep(RETRY_DATABASE).await;
            }
            outcome => break outcome?,
        }
    };
    Ok((started, master.key))
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
/// one for the data directory. A change that was cut off is finished first.
pub fn rekey(settings: &Settings, random: &Random, now: UnixTime, file: Option<&Path>) -> Result<Rekeyed, StartError> {
    let store = command_store_options(settings);
    files::require_installation(&store)?;
    let own = settings.master_key.is_none().then(|| settings.master_key_file());
    let pending = own.as_deref().map(|path| beside(path, "new"));
    let mut master = find(settings, random)?;
    if let Some(file) = file {
        refuse_own_work(file, pending.as_deref())?;
    } else if own.is_none() {
        return Err(StartError::NewMasterKeyFileNeeded);
    }
    let shown = |path: &Path| file.map_or_else(|| path.to_path_buf(), Path::to_path_buf);
    if let (Some(kept), Some(path)) = (finish_change(settings, &store, &mut master)?, &own) {
        let given = file.map(read_key).transpose()?.flatten();
        if file.is_none() || given.is_some_and(|given| given.is_same(&master.key)) {
            // That was this very change.
            let data_keys = look(&store, |tx| rekey::opened_by(tx, &master.key))?;
            return Ok(Rekeyed { data_keys, file: shown(path), kept });
        }
    }
    if master.new_file.is_some() {
        return Err(StartError::NoMasterKey);
    }
    let places = Places { file, pending: pending.as_deref() };
    let data_keys = in_database(&store, |tx| reseal(tx, &master.key, &places, random, now))?;
    let kept = own.as_deref().map(put_in_place).transpose()?.flatten();
    Ok(Rekeyed { data_keys, file: shown(own.as_deref().unwrap_or_else(|| Path::new(""))), kept })
}

/// Where a new master key is to lie before the data keys are sealed under it.
struct Places<'a> {
    /// The one that was named.
    file: Option<&'a Path>,
    /// `master.key.new`, where the installation keeps its key itself.
    pending: Option<&'a Path>,
}

/// One rekey at a time gets here: the transaction holds the migration lock.
fn reseal(
    tx: &mut Tx<'_>,
    old: &MasterKey,
    places: &Places<'_>,
    random: &Random,
    now: UnixTime,
) -> Result<usize, StartError> {
    let Places { file, pending } = *places;
    let given = file.map(read_fit).transpose()?.flatten();
    if let (Some(given), Some(file)) = (&given, file) {
        if given.is_same(old) {
            return Err(unfit(file, "it holds the master key that is in use"));
        }
        // Another process, or one that was cut off, has done it with this very file.
        if pending.is_none() && rekey::opener(tx, &[given])?.is_some() {
            return Ok(rekey::opened_by(tx, given)?);
        }
    }
    // Before a file is made or replaced: what opens the database is never lost.
    rekey::opened_by(tx, old)?;
    let new = match (given, file, pending) {
        (Some(given), _, _) => given,
        (None, Some(file), _) => {
            let new = MasterKey::generate(random)?;
            make_key_file(file, &new)?;
            new
        }
        // Left by one that was cut off before its commit.
        (None, None, Some(pending)) => match read_fit_or_empty(pending)?.filter(|left| !left.is_same(old)) {
            Some(left) => left,
            None => MasterKey::generate(random)?,
        },
        (None, None, None) => return Err(StartError::NewMasterKeyFileNeeded),
    };
    if let Some(pending) = pending.filter(|pending| !matches!(holds(pending, &new), Ok(true))) {
        files::replace_secret(pending, new.to_base64().expose_secret())?;
    }
    let data_keys = rekey::reseal_all(tx, old, &new, random, now)?;
    for place in [file, pending].into_iter().flatten() {
        require_held(place, &new)?;
    }
    Ok(data_keys)
}

/// What `keys reset` came to.
pub struct ResetDone {
    pub reset: Reset,
    /// The configured key was none, so this one was made.
    pub new_file: Option<PathBuf>,
}

/// Gives up all that the lost master key sealed, and begins anew under the configured one.
pub fn reset(settings: &Settings, random: &Random, now: UnixTime) -> Result<ResetDone, StartError> {
    let store = command_store_options(settings);
    files::require_installation(&store)?;
    let _lock = files::lock_database(settings, Purpose::Serve)?;
    let mut master = find(settings, random)?;
    // The key that a change of it left is at hand too; then nothing is lost.
    finish_change(settings, &store, &mut master)?;
    let Master { key, new_file, .. } = &master;
    let reset = in_database(&store, |tx| {
        let reset = rekey::reset(tx, key, random, now)?;
        if let Some(path) = new_file {
            make_key_file(path, key)?;
        }
        Ok(reset)
    })?;
    Ok(ResetDone { reset, new_file: master.new_file })
}

/// Refuses a reset that nobody needs. Changes nothing.
pub fn require_lost(settings: &Settings, random: &Random) -> Result<(), StartError> {
    let store = command_store_options(settings);
    files::require_installation(&store)?;
    let Master { key, successor, _lock, .. } = find(settings, random)?;
    let at_hand: Vec<&MasterKey> = [Some(&key), successor.as_ref()].into_iter().flatten().collect();
    look(&store, |tx| rekey::require_lost(tx, &at_hand))
}

/// Puts the new key in place where a rekey was cut off behind its commit. `Some`: it did, and so the key before
/// was kept there.
fn finish_change(
    settings: &Settings,
    store: &StoreOptions,
    master: &mut Master,
) -> Result<Option<Option<PathBuf>>, StartError> {
    let Some(new) = master.successor.take() else { return Ok(None) };
    if look(store, |tx| rekey::opener(tx, &[&master.key, &new]))? != Some(1) {
        return Ok(None);
    }
    let kept = put_in_place(&settings.master_key_file())?;
    (master.key, master.new_file) = (new, None);
    log::warn!("a change of the master key that was cut off is finished now");
    Ok(Some(kept))
}

/// `master.key.new` becomes `master.key`; what that was is kept beside under a name of its own, because backups of
/// the database need it. At every moment there is a `master.key`.
fn put_in_place(path: &Path) -> Result<Option<PathBuf>, StartError> {
    let old = read_if_there(path)?.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let kept = old.map(|old| keep(path, &old)).transpose()?;
    files::rename(&beside(path, "new"), path)?;
    Ok(kept)
}

/// `master.key.old`, then `.old.2`, `.old.3`, …
fn keep(path: &Path, old: &str) -> Result<PathBuf, StartError> {
    let mut number = 1_u32;
    loop {
        let place = beside(path, &if number == 1 { "old".to_owned() } else { format!("old.{number}") });
        match read_if_there(&place)? {
            // By a change that was cut off.
            Some(text) if text.trim() == old => return Ok(place),
            Some(_) => number += 1,
            None => {
                files::make_secret(&place, old)?;
                return Ok(place);
            }
        }
    }
}

/// The key of a file; an empty one is none.
fn read_key(path: &Path) -> Result<Option<MasterKey>, StartError> {
    let Some(text) = read_if_there(path)?.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    let key = MasterKey::from_base64(&SecretString::from(text.trim()));
    key.map(Some).map_err(|_| StartError::NoKeyInFile { path: path.display().to_string() })
}

/// The same of a file that is to become the master key.
fn read_fit(path: &Path) -> Result<Option<MasterKey>, StartError> {
    let file = match fs::metadata(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(files::cannot("cannot read", path)(source)),
    };
    if !file.is_file() {
        return Err(unfit(path, "it is no regular file"));
    }
    if file.permissions().mode() & 0o077 != 0 {
        return Err(unfit(path, "others than its owner may read or write it: chmod 600"));
    }
    let Some(key) = read_key(path)? else { return Err(unfit(path, "it is empty: remove it, and one is made")) };
    if key.is_degenerate() {
        return Err(unfit(path, "it is one byte over and over"));
    }
    Ok(Some(key))
}

fn read_fit_or_empty(path: &Path) -> Result<Option<MasterKey>, StartError> {
    files::remove_if_empty(path)?;
    read_fit(path)
}

/// `master.key.new` is renamed in the end, so it cannot be the file that is named.
fn refuse_own_work(file: &Path, pending: Option<&Path>) -> Result<(), StartError> {
    let folder = |path: &Path| path.parent().and_then(|folder| fs::canonicalize(Path::new(".").join(folder)).ok());
    let same = |pending: &Path| file.file_name() == pending.file_name() && folder(file) == folder(pending);
    if pending.is_some_and(same) {
        return Err(unfit(file, "a rekey keeps its own work there: name another file"));
    }
    Ok(())
}

fn make_key_file(path: &Path, key: &MasterKey) -> Result<(), StartError> {
    // It does where the transaction of a first start runs a second time.
    if !holds(path, key)? {
        files::remove_if_empty(path)?;
        files::make_secret(path, key.to_base64().expose_secret())?;
    }
    require_held(path, key)
}

fn require_held(path: &Path, key: &MasterKey) -> Result<(), StartError> {
    if holds(path, key)? { Ok(()) } else { Err(StartError::OtherKeyInFile { path: path.display().to_string() }) }
}

fn holds(path: &Path, key: &MasterKey) -> Result<bool, StartError> {
    Ok(read_key(path)?.is_some_and(|held| held.is_same(key)))
}

fn unfit(path: &Path, why: &'static str) -> StartError {
    StartError::UnfitKeyFile { path: path.display().to_string(), why }
}

/// Work under the migration lock that may refuse by its own error.
fn in_database<T>(
    store: &StoreOptions,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, StartError>,
) -> Result<T, StartError> {
    let mut refused = None;
    let done = Db::migrate(store, |tx| {
        work(tx).map_err(|error| match error {
            StartError::Start(fault) => fault,
            error => {
                refused = Some(error);
                Fault::store("it was refused")
            }
        })
    });
    done.map_err(|fault| refused.unwrap_or(StartError::Start(fault)))
}

/// Asks the database and leaves it as it is, whatever release it is of.
fn look<T>(store: &StoreOptions, question: impl FnOnce(&mut Tx<'_>) -> Result<T, Fault>) -> Result<T, StartError> {
    let mut answer = None;
    let undone: Result<(), Fault> = Db::migrate(store, |tx| {
        answer = Some(question(tx)?);
        Err(Fault::store("it was only looked at"))
    });
    match (answer, undone) {
        (Some(answer), _) => Ok(answer),
        (None, Err(fault)) => Err(fault.into()),
        (None, Ok(())) => Err(Fault::store("it was not looked at").into()),
    }
}
