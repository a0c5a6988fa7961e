//! `grantd api-key …`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::body::{Change, Data, Version, given};
use crate::cli::call::{Call, path};
use crate::cli::rest::{Paging, Rest};
use crate::cli::{CliError, secrets};

#[derive(Subcommand)]
pub enum Command {
    /// Make an API key; it is printed this once
    Create {
        /// Bind it to a provider (id or slug); without it, to none
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        data: Data,
    },
    /// List API keys, without their text
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Show an API key
    Show { id: String },
    /// Change an API key
    Update {
        id: String,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        change: Change,
    },
    /// End an API key
    Delete {
        id: String,
        #[command(flatten)]
        version: Version,
    },
    /// Revoke all tokens that an API key minted
    RevokeTokens { id: String },
    /// Secrets of an API key
    #[command(subcommand)]
    Secret(secrets::KeyCommand),
}

#[derive(Args, Serialize)]
pub struct Fields {
    #[arg(long)]
    name: Option<String>,
    /// default, member, admin or owner
    #[arg(long)]
    role: Option<String>,
    /// What it may mint
    #[arg(long)]
    scope: Option<String>,
    /// What it may mint for; repeat for more
    #[arg(long)]
    audience: Option<Vec<String>>,
    /// Longest lifetime it may mint, seconds
    #[arg(long)]
    max_ttl: Option<i64>,
    /// It may mint for a subject that is not its own
    #[arg(long)]
    may_set_subject: Option<bool>,
    /// When it stops working, as 2030-01-31T12:00:00Z
    #[arg(long)]
    expires_at: Option<String>,
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::Create { provider, fields, data } => {
                let mut body = data.body(given(&fields))?;
                body.extend(provider.map(|provider| ("provider".to_owned(), json!(provider))));
                rest.show(Call::create(path(&["api-keys"])?, Value::Object(body))).await
            }
            Self::List { paging } => {
                let columns = ["id", "name", "role", "provider", "hint", "expires_at", "last_used_at"];
                rest.list(Call::get(path(&["api-keys"])?), &columns, &paging).await
            }
            Self::Show { id } => rest.show(Call::get(path(&["api-keys", &id])?)).await,
            Self::Update { id, fields, change } => {
                let (body, version) = change.patch(given(&fields))?;
                rest.show(Call::patch(path(&["api-keys", &id])?, body).if_match(version)).await
            }
            Self::Delete { id, version } => {
                let call = Call::delete(path(&["api-keys", &id])?).if_match(version.if_match);
                rest.done(call, "The API key is gone.").await
            }
            Self::RevokeTokens { id } => {
                rest.done(Call::delete(path(&["api-keys", &id, "tokens"])?), "All that it minted is revoked.").await
            }
            Self::Secret(command) => command.run(rest).await,
        }
    }
}
