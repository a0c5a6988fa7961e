//! `grantd event …`.

use std::io::Write;

use clap::{Args, Subcommand};

use crate::cli::CliError;
use crate::cli::call::{Call, path};
use crate::cli::rest::{PAGE, Pages, Paging, Rest};

#[derive(Subcommand)]
pub enum Command {
    /// List events, newest first
    List {
        #[command(flatten)]
        of: Of,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an event
    Show { id: String },
    /// Print all events that match as JSON lines, newest first
    Export {
        #[command(flatten)]
        of: Of,
    },
}

#[derive(Args)]
pub struct Of {
    /// Of this provider
    #[arg(long)]
    provider: Option<String>,
    /// By this API key, `cli`, `env` or user
    #[arg(long)]
    actor: Option<String>,
    /// As client.created, or client.* for all of a kind
    #[arg(long)]
    action: Option<String>,
    /// What it was done to
    #[arg(long)]
    target: Option<String>,
    #[arg(long)]
    request_id: Option<String>,
    /// From this time on, as 2030-01-31T12:00:00Z
    #[arg(long)]
    since: Option<String>,
    /// Before this time
    #[arg(long)]
    until: Option<String>,
}

impl Of {
    fn call(self) -> Result<Call, CliError> {
        Ok(Call::get(path(&["events"])?)
            .query("provider", self.provider)
            .query("actor", self.actor)
            .query("action", self.action)
            .query("target", self.target)
            .query("request_id", self.request_id)
            .query("since", self.since)
            .query("until", self.until))
    }
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::List { of, paging } => {
                rest.list(of.call()?, &["at", "provider", "actor", "action", "target", "request_id"], &paging).await
            }
            Self::Show { id } => rest.show(Call::get(path(&["events", &id])?)).await,
            Self::Export { of } => export(rest, &of.call()?).await,
        }
    }
}

/// Page by page, so that it takes the same memory whatever there is.
async fn export(rest: &Rest, call: &Call) -> Result<(), CliError> {
    let mut pages = Pages::default();
    loop {
        let events = pages.next(rest, call, PAGE).await?;
        let mut out = std::io::stdout().lock();
        for event in events {
            writeln!(out, "{event}")?;
        }
        if pages.cursor.is_none() {
            return Ok(());
        }
    }
}
