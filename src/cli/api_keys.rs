//! `grantd api-key …`.

use clap::{Args, Subcommand};
use secrecy::ExposeSecret;

use crate::admin::wire::{ApiKeyOut, value};
use crate::cli::secrets::epoch;
use crate::cli::{CliError, Local, output};
use crate::domain::page::PageRequest;
use crate::engine::manage::api_key_fields::ApiKeyDraft;

#[derive(Subcommand)]
pub enum Command {
    /// Make an API key; it is printed this once
    Create {
        /// Bind it to a provider (id or slug); without it, to none
        #[arg(long)]
        provider: Option<String>,
        #[command(flatten)]
        fields: Fields,
    },
    /// List API keys, without their text
    List,
    /// Show an API key
    Show { id: String },
    /// Change an API key
    Update {
        id: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// End an API key
    Delete { id: String },
}

#[derive(Args)]
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

impl Fields {
    fn draft(self) -> Result<ApiKeyDraft, CliError> {
        Ok(ApiKeyDraft {
            name: self.name.into(),
            role: self.role.into(),
            scope: self.scope.into(),
            audience: self.audience.into(),
            max_ttl: self.max_ttl.into(),
            may_set_subject: self.may_set_subject.into(),
            expires_at: self.expires_at.map(|text| epoch(&text)).transpose()?.into(),
            ..ApiKeyDraft::default()
        })
    }
}

pub(super) async fn run(command: Command, local: Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    match command {
        Command::Create { provider, fields } => {
            let draft = ApiKeyDraft { provider: provider.into(), ..fields.draft()? };
            let made = engine.create_api_key(&ctx, &actor, draft).await?;
            let mut shown = ApiKeyOut::from(made.shown);
            shown.key = Some(made.text.expose_secret().to_owned());
            output::show(&value(shown), local.json)?;
        }
        Command::List => {
            let mut items = Vec::new();
            let mut page = PageRequest::first(PageRequest::MAX);
            loop {
                let listed = engine.list_api_keys(&ctx, &actor, page.clone()).await?;
                items.extend(listed.items.into_iter().map(|key| value(ApiKeyOut::from(key))));
                let Some(next) = listed.next else { break };
                page.after = Some(next);
            }
            output::list(
                &items,
                &["id", "name", "role", "provider", "hint", "expires_at", "last_used_at"],
                local.json,
            )?;
        }
        Command::Show { id } => {
            let key = engine.read_api_key(&ctx, &actor, &id).await?;
            output::show(&value(ApiKeyOut::from(key)), local.json)?;
        }
        Command::Update { id, fields } => {
            let key = engine.update_api_key(&ctx, &actor, &id, fields.draft()?, None).await?;
            output::show(&value(ApiKeyOut::from(key)), local.json)?;
        }
        Command::Delete { id } => {
            engine.delete_api_key(&ctx, &actor, &id, None).await?;
            output::done("The API key is gone.", local.json)?;
        }
    }
    local.close().await;
    Ok(())
}
