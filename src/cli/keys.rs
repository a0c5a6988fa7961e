//! `grantd keys …`.

use clap::Subcommand;

use crate::admin::wire::{SigningKeyOut, value};
use crate::cli::clients::At;
use crate::cli::{CliError, Local, output};
use crate::domain::SigningAlg;
use crate::domain::key::StoredSigningKey;

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
    },
}

pub(super) async fn run(command: Command, local: Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    let keys = match command {
        Command::List { at } => engine.list_signing_keys(&ctx, &actor, &at.provider).await?,
        Command::Rotate { at, alg } => {
            let alg = alg.map(|name| algorithm(&name)).transpose()?;
            engine.rotate_signing_keys(&ctx, &actor, &at.provider, alg).await?
        }
    };
    show(keys, local.json)?;
    local.close().await;
    Ok(())
}

fn show(keys: Vec<StoredSigningKey>, as_json: bool) -> Result<(), CliError> {
    let items: Vec<_> = keys.into_iter().map(|key| value(SigningKeyOut::from(key))).collect();
    Ok(output::list(&items, &["kid", "alg", "state", "created_at", "activated_at", "retired_at"], as_json)?)
}

fn algorithm(name: &str) -> Result<SigningAlg, CliError> {
    SigningAlg::from_name(name).ok_or_else(|| CliError::Refused("--alg is ES256, RS256 or EdDSA".to_owned()))
}
