//! `grantd report …`.

use clap::Subcommand;

use crate::cli::CliError;
use crate::cli::call::{Call, path};
use crate::cli::rest::{Paging, Rest};

#[derive(Subcommand)]
pub enum Command {
    /// Secrets of clients and API keys that nobody uses, or that expire soon
    Secrets {
        /// Not used for so many days
        #[arg(long)]
        unused_days: Option<u32>,
        /// They expire within so many days
        #[arg(long)]
        expires_within_days: Option<u32>,
        /// Of this provider
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
}

const COLUMNS: [&str; 9] =
    ["kind", "provider", "client_id", "api_key", "hint", "last_used_at", "expires_at", "unused", "expires_soon"];

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        let Self::Secrets { unused_days, expires_within_days, provider, paging } = self;
        let call = Call::get(path(&["reports", "secrets"])?)
            .query("unused_days", unused_days)
            .query("expires_within_days", expires_within_days)
            .query("provider", provider);
        rest.list(call, &COLUMNS, &paging).await
    }
}
