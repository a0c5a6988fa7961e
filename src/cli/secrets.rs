//! `grantd client secret …`.

use clap::Subcommand;
use secrecy::ExposeSecret;

use crate::admin::wire::{SecretOut, parse_time, value};
use crate::cli::clients::At;
use crate::cli::{CliError, Local, output};
use crate::engine::manage::client_secrets::SecretDraft;

#[derive(Subcommand)]
pub enum Command {
    /// Add a secret beside the others; it is printed this once
    Create {
        #[command(flatten)]
        at: At,
        client_id: String,
        /// When it stops working, as 2030-01-31T12:00:00Z
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// List the secrets of a client, without their text
    List {
        #[command(flatten)]
        at: At,
        client_id: String,
    },
    /// Revoke a secret; tokens that were issued live on
    Revoke {
        #[command(flatten)]
        at: At,
        client_id: String,
        secret_id: String,
    },
}

pub(super) async fn run(command: Command, local: &Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    match command {
        Command::Create { at, client_id, expires_at } => {
            let expires_at = expires_at.map(|text| epoch(&text)).transpose()?;
            let draft = SecretDraft { chosen: None, expires_at };
            let made = engine.create_client_secret(&ctx, &actor, &at.provider, &client_id, draft).await?;
            let mut shown = SecretOut::from(made.row);
            shown.client_secret = Some(made.text.expose_secret().to_owned());
            output::show(&value(shown), local.json)?;
        }
        Command::List { at, client_id } => {
            let secrets = engine.list_client_secrets(&ctx, &actor, &at.provider, &client_id).await?;
            let items: Vec<_> = secrets.into_iter().map(|secret| value(SecretOut::from(secret))).collect();
            let columns = ["id", "hint", "created_at", "expires_at", "last_used_at", "revoked_at"];
            output::list(&items, &columns, local.json)?;
        }
        Command::Revoke { at, client_id, secret_id } => {
            let secret = secret_id.into();
            engine.revoke_client_secret(&ctx, &actor, &at.provider, &client_id, &secret).await?;
            output::done("The secret is revoked.", local.json)?;
        }
    }
    Ok(())
}

/// RFC 3339 as epoch seconds.
pub(super) fn epoch(text: &str) -> Result<i64, CliError> {
    parse_time(text).ok_or_else(|| CliError::Refused("a time looks like 2030-01-31T12:00:00Z".to_owned()))
}
