//! `grantd provider …`.

use clap::{Args, Subcommand};

use crate::admin::wire::{ProviderOut, value};
use crate::cli::{CliError, Local, output};
use crate::domain::page::PageRequest;
use crate::engine::manage::provider_fields::ProviderDraft;

#[derive(Subcommand)]
pub enum Command {
    /// Make a provider with an issuer below the public URL
    Create {
        /// a-z 0-9 -, unchangeable
        slug: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// List providers
    List,
    /// Show a provider
    Show { provider: String },
    /// Change a provider
    Update {
        provider: String,
        #[command(flatten)]
        fields: Fields,
    },
    /// End a provider: its endpoints are gone and its tokens inactive
    Delete {
        provider: String,
        /// Also with live clients
        #[arg(long)]
        cascade: bool,
    },
}

#[derive(Args)]
pub struct Fields {
    #[arg(long)]
    name: Option<String>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Audience of tokens for which none is asked
    #[arg(long)]
    default_audience: Option<String>,
    /// ES256, RS256 or EdDSA
    #[arg(long)]
    signing_alg: Option<String>,
    /// Seconds
    #[arg(long)]
    access_token_ttl: Option<i64>,
    /// Upper bound of every access token, seconds
    #[arg(long)]
    max_ttl: Option<i64>,
    /// Seconds that verifiers may keep the keys
    #[arg(long)]
    jwks_max_age: Option<i64>,
    /// Scope names must exist before a client may have them
    #[arg(long)]
    strict_scopes: Option<bool>,
    /// A surface to serve below the provider's path; repeat for more
    #[arg(long)]
    surface: Option<Vec<String>>,
    #[arg(long)]
    enabled: Option<bool>,
}

impl Fields {
    fn draft(self) -> ProviderDraft {
        ProviderDraft {
            name: self.name.into(),
            description: self.description.into(),
            default_audience: self.default_audience.into(),
            access_token_signing_alg: self.signing_alg.into(),
            access_token_ttl: self.access_token_ttl.into(),
            max_ttl: self.max_ttl.into(),
            jwks_max_age: self.jwks_max_age.into(),
            strict_scopes: self.strict_scopes.into(),
            surfaces: self.surface.into(),
            enabled: self.enabled.into(),
            ..ProviderDraft::default()
        }
    }
}

pub(super) async fn run(command: Command, local: Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    match command {
        Command::Create { slug, fields } => {
            let draft = ProviderDraft { slug: Some(slug).into(), ..fields.draft() };
            let provider = engine.create_provider(&ctx, &actor, draft).await?;
            output::show(&value(ProviderOut::from(provider)), local.json)?;
        }
        Command::List => {
            let mut items = Vec::new();
            let mut page = PageRequest::first(PageRequest::MAX);
            loop {
                let listed = engine.list_providers(&ctx, &actor, page.clone()).await?;
                items.extend(listed.items.into_iter().map(|provider| value(ProviderOut::from(provider))));
                let Some(next) = listed.next else { break };
                page.after = Some(next);
            }
            output::list(&items, &["slug", "name", "issuer", "enabled"], local.json)?;
        }
        Command::Show { provider } => {
            let provider = engine.read_provider(&ctx, &actor, &provider).await?;
            output::show(&value(ProviderOut::from(provider)), local.json)?;
        }
        Command::Update { provider, fields } => {
            let provider = engine.update_provider(&ctx, &actor, &provider, fields.draft(), None).await?;
            output::show(&value(ProviderOut::from(provider)), local.json)?;
        }
        Command::Delete { provider, cascade } => {
            engine.delete_provider(&ctx, &actor, &provider, cascade, None).await?;
            output::done("The provider is gone.", local.json)?;
        }
    }
    local.close().await;
    Ok(())
}
