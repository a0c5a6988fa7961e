//! `grantd keys rekey` and `grantd keys reset`: what is done to the master key, on this machine only.

use std::path::PathBuf;

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::app::master_key::{self, Rekeyed, ResetDone};
use crate::app::{StartError, system_random};
use crate::cli::{CliError, output};
use crate::config::Settings;
use crate::domain::clock::SystemWall;
use crate::domain::{Failed, Wall};
use crate::engine::rekey::Reset;

#[derive(Subcommand)]
pub enum Command {
    /// Put the data keys under another master key; nothing that was issued ends
    Rekey {
        /// Where the new master key lies, or is to be written; without it master.key in the data
        /// directory is replaced
        #[arg(long, value_name = "FILE")]
        new_master_key_file: Option<PathBuf>,
    },
    /// The master key is lost: give up what it protected and begin anew
    Reset {
        /// Do it. Stop every server first
        #[arg(long)]
        yes: bool,
    },
}

/// What a reset ends, in the order of the pain.
const LOST: &str = "\
Without the master key these can never be opened again, and `keys reset --yes` ends them:
  - every signing key: tokens that are out there verify nowhere any more, key sets change at once
  - every client secret that the server made (chosen ones live on): each service needs a new one
  - every API key: a new owner key is printed once
  - opaque access tokens, one-time tokens, refresh tokens, authorization codes
  - every session: people log in again; browsers are strangers again
  - secrets of webhooks: they are switched off until you rotate their secret
Providers, clients, accounts and their passwords, scopes, domains, trusted issuers and events stay.
Stop every server before. Nothing was changed.";

impl Command {
    pub fn run(self, settings: &Settings, as_json: bool) -> Result<(), CliError> {
        match self {
            Self::Rekey { new_master_key_file } => rekey(settings, new_master_key_file, as_json),
            Self::Reset { yes } => reset(settings, yes, as_json),
        }
    }
}

fn rekey(settings: &Settings, file: Option<PathBuf>, as_json: bool) -> Result<(), CliError> {
    if file.as_ref().is_some_and(|file| file.as_os_str() == "-") {
        return Err(CliError::Usage("--new-master-key-file takes a file, not standard input".to_owned()));
    }
    let rekeyed = master_key::rekey(settings, &system_random(), SystemWall.now(), file.as_deref());
    let Rekeyed { data_keys, file, kept } = rekeyed.map_err(failed)?;
    let (file, kept) = (file.display().to_string(), kept.map(|kept| kept.display().to_string()));
    if as_json {
        let shown = json!({"data_keys": data_keys, "master_key_file": file, "old_master_key_file": kept});
        return Ok(output::show(&shown, true)?);
    }
    let next = match kept {
        Some(kept) => format!("The old one is kept in {kept}; older backups of the database need it."),
        None => "Give its content to every node as GRANTD_MASTER_KEY; a start with the old one is refused.".to_owned(),
    };
    let done = format!(
        "{data_keys} data keys are sealed under the master key in {file}. {next}\n\
         Servers that run go on, and are to be restarted before the next `rotate-data-key`."
    );
    Ok(output::done(&done, false)?)
}

fn reset(settings: &Settings, yes: bool, as_json: bool) -> Result<(), CliError> {
    if !yes {
        master_key::require_lost(settings, &system_random()).map_err(failed)?;
        return Err(CliError::Refused(LOST.to_owned()));
    }
    let ResetDone { reset: Reset { api_key, lost }, new_file } =
        master_key::reset(settings, &system_random(), SystemWall.now()).map_err(failed)?;
    let file = new_file.map(|file| file.display().to_string());
    let shown = json!({
        "api_key": api_key.expose_secret(),
        "master_key_file": file,
        "signing_keys_ended": lost.signing_keys,
        "client_secrets_ended": lost.client_secrets,
        "api_keys_ended": lost.api_keys,
        "sessions_ended": lost.sessions,
        "refresh_families_ended": lost.refresh_families,
        "webhooks_switched_off": lost.webhooks,
    });
    Ok(output::show(&shown, as_json)?)
}

/// Nothing starts here.
fn failed(error: StartError) -> CliError {
    match error {
        StartError::Start(fault) => CliError::Failed(Failed::Fault(fault)),
        error => CliError::Start(error),
    }
}
