//! `grantd keys …`.

use std::path::PathBuf;

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::json;

use crate::admin::data_keys::DataKeyOut;
use crate::admin::wire::{SigningKeyOut, value};
use crate::app::master_key::{self, Rekeyed, ResetDone};
use crate::app::system_random;
use crate::cli::clients::At;
use crate::cli::{CliError, Local, output};
use crate::config::Settings;
use crate::domain::clock::SystemWall;
use crate::domain::key::{DataKeyPurpose, StoredSigningKey};
use crate::domain::{SigningAlg, Wall};
use crate::engine::rekey::Reset;

#[derive(Subcommand)]
pub enum Command {
    /// List the signing keys of a provider
    List {
        #[command(flatten)]
        at: At,
    },
    /// Publish the next keys; they sign one jwks_max_age later
    Rotate {
        #[command(flatten)]
        at: At,
        /// ES256, RS256 or EdDSA; without it every algorithm that signs
        #[arg(long)]
        alg: Option<String>,
        /// Sign with a fresh key at once: somebody else may hold the one that signs
        #[arg(long)]
        emergency: bool,
    },
    /// List the data keys, which seal and key the secrets of the installation
    DataKeys,
    /// Make the data key that new things of a purpose are made with, ten seconds from now
    RotateDataKey {
        /// signing, pepper, tokens, refresh or browser
        purpose: String,
    },
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
  - secrets of webhooks
Providers, clients, accounts and their passwords, scopes, domains, trusted issuers and events stay.
Stop every server before. Nothing was changed.";

pub(super) async fn run(command: Command, settings: &Settings, as_json: bool) -> Result<(), CliError> {
    match command {
        Command::Rekey { new_master_key_file } => rekey(settings, new_master_key_file, as_json),
        Command::Reset { yes } => reset(settings, yes, as_json),
        command => on_engine(command, Local::open(settings, as_json).await?).await,
    }
}

async fn on_engine(command: Command, local: Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    match command {
        Command::List { at } => {
            show(engine.list_signing_keys(&ctx, &actor, &at.provider).await?, local.json)?;
        }
        Command::Rotate { at, alg, emergency } => {
            let alg = alg.map(|name| algorithm(&name)).transpose()?;
            let keys = if emergency {
                engine.replace_signing_keys(&ctx, &actor, &at.provider, alg).await?
            } else {
                engine.rotate_signing_keys(&ctx, &actor, &at.provider, alg).await?
            };
            show(keys, local.json)?;
        }
        Command::DataKeys => {
            let keys = engine.list_data_keys(&ctx, &actor).await?;
            let items: Vec<_> = keys.into_iter().map(|key| value(DataKeyOut::from(key))).collect();
            output::list(&items, &["id", "purpose", "state", "created_at", "active_at"], local.json)?;
        }
        Command::RotateDataKey { purpose } => {
            let purpose = DataKeyPurpose::from_name(&purpose);
            let purpose = purpose.ok_or_else(|| {
                let names = DataKeyPurpose::ALL.map(DataKeyPurpose::name).join(", ");
                CliError::Refused(format!("the purpose is one of {names}"))
            })?;
            let made = engine.rotate_data_key(&ctx, &actor, purpose).await?;
            output::show(&value(DataKeyOut::from(made)), local.json)?;
        }
        Command::Rekey { .. } | Command::Reset { .. } => {}
    }
    local.close().await;
    Ok(())
}

fn rekey(settings: &Settings, file: Option<PathBuf>, as_json: bool) -> Result<(), CliError> {
    let now = SystemWall.now();
    let Rekeyed { data_keys, file, kept } = master_key::rekey(settings, &system_random(), now, file.as_deref())?;
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
        return Err(CliError::Refused(LOST.to_owned()));
    }
    let ResetDone { reset: Reset { api_key, lost }, new_file } =
        master_key::reset(settings, &system_random(), SystemWall.now())?;
    let file = new_file.map(|file| file.display().to_string());
    let shown = json!({
        "api_key": api_key.expose_secret(),
        "master_key_file": file,
        "signing_keys_ended": lost.signing_keys,
        "client_secrets_ended": lost.client_secrets,
        "api_keys_ended": lost.api_keys,
        "sessions_ended": lost.sessions,
        "refresh_families_ended": lost.refresh_families,
    });
    Ok(output::show(&shown, as_json)?)
}

fn show(keys: Vec<StoredSigningKey>, as_json: bool) -> Result<(), CliError> {
    let items: Vec<_> = keys.into_iter().map(|key| value(SigningKeyOut::from(key))).collect();
    Ok(output::list(&items, &["kid", "alg", "state", "created_at", "activated_at", "retired_at"], as_json)?)
}

fn algorithm(name: &str) -> Result<SigningAlg, CliError> {
    SigningAlg::from_name(name).ok_or_else(|| CliError::Refused("--alg is ES256, RS256 or EdDSA".to_owned()))
}
