//! `grantd client …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use secrecy::SecretString;

use crate::admin::client_wire::ClientOut;
use crate::admin::wire::value;
use crate::cli::{CliError, Local, output, secrets};
use crate::domain::page::PageRequest;
use crate::domain::patch::Field;
use crate::engine::manage::client_draft::ClientDraft;

#[derive(Subcommand)]
pub enum Command {
    /// Make a client; its secret is printed this once
    Create {
        #[command(flatten)]
        at: At,
        /// A chosen id instead of a generated one
        #[arg(long)]
        client_id: Option<String>,
        /// `sub` of its tokens; without it the client_id
        #[arg(long)]
        subject: Option<String>,
        /// A file with a chosen secret of at least 32 characters
        #[arg(long, value_name = "FILE")]
        secret_file: Option<PathBuf>,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// List clients
    List {
        #[command(flatten)]
        at: At,
    },
    /// Show a client
    Show {
        #[command(flatten)]
        at: At,
        client_id: String,
    },
    /// Change a client
    Update {
        #[command(flatten)]
        at: At,
        client_id: String,
        #[command(flatten)]
        fields: Box<Fields>,
    },
    /// End a client: its tokens are inactive
    Delete {
        #[command(flatten)]
        at: At,
        client_id: String,
    },
    /// Secrets of a client
    #[command(subcommand)]
    Secret(secrets::Command),
}

#[derive(Args)]
pub struct At {
    /// Id or slug of the provider
    #[arg(long, default_value = "default")]
    pub provider: String,
}

#[derive(Args)]
pub struct Fields {
    #[arg(long)]
    name: Option<String>,
    /// A grant type; repeat for more
    #[arg(long)]
    grant: Option<Vec<String>>,
    /// Scope names, separated by spaces; may be repeated
    #[arg(long)]
    scope: Option<Vec<String>>,
    /// What it may ask for by `resource`; the first one is the default; repeat for more
    #[arg(long)]
    audience: Option<Vec<String>>,
    /// client_secret_basic, client_secret_post, private_key_jwt or none
    #[arg(long)]
    auth_method: Option<String>,
    /// The one algorithm its assertions may use
    #[arg(long)]
    auth_signing_alg: Option<String>,
    /// A file with its JWK Set
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Where its JWK Set is published, instead
    #[arg(long, conflicts_with = "jwks")]
    jwks_uri: Option<String>,
    /// Seconds
    #[arg(long)]
    access_token_ttl: Option<i64>,
    /// jwt or opaque
    #[arg(long)]
    access_token_format: Option<String>,
    /// It introspects tokens meant for its resources
    #[arg(long)]
    resource_server: Option<bool>,
    /// An audience value it answers for; repeat for more
    #[arg(long)]
    resource: Option<Vec<String>>,
    /// It may turn its credential into ephemeral tokens
    #[arg(long)]
    may_mint: Option<bool>,
    /// It may mint for a subject that is not its own
    #[arg(long)]
    may_set_subject: Option<bool>,
    /// Longest lifetime of its access tokens, seconds
    #[arg(long)]
    max_ttl: Option<i64>,
    #[command(flatten)]
    people: PeopleFields,
    #[arg(long)]
    enabled: Option<bool>,
}

/// What shapes a client that logs people in.
#[derive(Args)]
pub struct PeopleFields {
    /// Where codes may go, character by character; repeat for more
    #[arg(long)]
    redirect_uri: Option<Vec<String>>,
    /// Where the browser may go after a logout; repeat for more
    #[arg(long)]
    post_logout_redirect_uri: Option<Vec<String>>,
    /// Is told of the end of sessions
    #[arg(long)]
    backchannel_logout_uri: Option<String>,
    /// web or native
    #[arg(long)]
    application_type: Option<String>,
    /// Asks the person first
    #[arg(long)]
    require_consent: Option<bool>,
    /// always, late or never
    #[arg(long)]
    refresh_rotation: Option<String>,
    /// Seconds for which a replaced refresh token answers its successor again
    #[arg(long)]
    refresh_grace: Option<i64>,
    /// The same while the successor was never used
    #[arg(long)]
    refresh_grace_unused: Option<i64>,
    /// Seconds unused
    #[arg(long)]
    refresh_token_ttl: Option<i64>,
    /// Seconds at the longest
    #[arg(long)]
    refresh_token_max_ttl: Option<i64>,
}

impl Fields {
    fn draft(self) -> Result<ClientDraft, CliError> {
        // One place of the keys replaces the other.
        let (jwks, jwks_uri) = match (self.jwks.map(|path| read(&path)).transpose()?, self.jwks_uri) {
            (Some(jwks), _) => (Field::Set(jwks), Field::Reset),
            (None, Some(url)) => (Field::Reset, Field::Set(url)),
            (None, None) => (Field::Keep, Field::Keep),
        };
        Ok(ClientDraft {
            client_name: self.name.into(),
            grant_types: self.grant.into(),
            scope: self.scope.map(|parts| parts.join(" ")).into(),
            audience: self.audience.into(),
            token_endpoint_auth_method: self.auth_method.into(),
            token_endpoint_auth_signing_alg: self.auth_signing_alg.into(),
            jwks,
            jwks_uri,
            access_token_ttl: self.access_token_ttl.into(),
            access_token_format: self.access_token_format.into(),
            resource_server: self.resource_server.into(),
            resources: self.resource.into(),
            may_mint: self.may_mint.into(),
            may_set_subject: self.may_set_subject.into(),
            max_ttl: self.max_ttl.into(),
            redirect_uris: self.people.redirect_uri.into(),
            post_logout_redirect_uris: self.people.post_logout_redirect_uri.into(),
            backchannel_logout_uri: self.people.backchannel_logout_uri.into(),
            application_type: self.people.application_type.into(),
            require_consent: self.people.require_consent.into(),
            refresh_rotation: self.people.refresh_rotation.into(),
            refresh_grace: self.people.refresh_grace.into(),
            refresh_grace_unused: self.people.refresh_grace_unused.into(),
            refresh_token_ttl: self.people.refresh_token_ttl.into(),
            refresh_token_max_ttl: self.people.refresh_token_max_ttl.into(),
            enabled: self.enabled.into(),
            ..ClientDraft::default()
        })
    }
}

pub(super) async fn run(command: Command, local: Local) -> Result<(), CliError> {
    let (ctx, actor, engine) = (local.context(), local.actor(), &local.engine);
    match command {
        Command::Create { at, client_id, subject, secret_file, fields } => {
            let chosen = secret_file.map(|path| read(&path)).transpose()?;
            let draft = ClientDraft {
                client_id: client_id.into(),
                subject: subject.into(),
                client_secret: Field::from(chosen.map(|text| SecretString::from(text.trim_end()))),
                ..fields.draft()?
            };
            let made = engine.create_client(&ctx, &actor, &at.provider, draft).await?;
            output::show(&value(ClientOut::of(made.client, made.secret.as_ref())), local.json)?;
        }
        Command::List { at } => list(&local, &at).await?,
        Command::Show { at, client_id } => {
            let client = engine.read_client(&ctx, &actor, &at.provider, &client_id).await?;
            output::show(&value(ClientOut::of(client, None)), local.json)?;
        }
        Command::Update { at, client_id, fields } => {
            let draft = fields.draft()?;
            let client = engine.update_client(&ctx, &actor, &at.provider, &client_id, draft, None).await?;
            output::show(&value(ClientOut::of(client, None)), local.json)?;
        }
        Command::Delete { at, client_id } => {
            engine.delete_client(&ctx, &actor, &at.provider, &client_id, None).await?;
            output::done("The client is gone.", local.json)?;
        }
        Command::Secret(command) => secrets::run(command, &local).await?,
    }
    local.close().await;
    Ok(())
}

async fn list(local: &Local, at: &At) -> Result<(), CliError> {
    let (ctx, actor) = (local.context(), local.actor());
    let mut items = Vec::new();
    let mut page = PageRequest::first(PageRequest::MAX);
    loop {
        let listed = local.engine.list_clients(&ctx, &actor, &at.provider, page.clone()).await?;
        items.extend(listed.items.into_iter().map(|client| value(ClientOut::of(client, None))));
        let Some(next) = listed.next else { break };
        page.after = Some(next);
    }
    let columns = ["client_id", "client_name", "token_endpoint_auth_method", "grant_types", "scope", "enabled"];
    Ok(output::list(&items, &columns, local.json)?)
}

pub(super) fn read(path: &PathBuf) -> Result<String, CliError> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| CliError::Refused(format!("cannot read {}: {error}", path.display())))
}
