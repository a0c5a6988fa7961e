//! `grantd client …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::body::{Change, Data, Version, given, json_file, read};
use crate::cli::call::{Call, Path, path};
use crate::cli::rest::{Paging, Rest};
use crate::cli::{CliError, secrets};

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
        #[command(flatten)]
        data: Data,
    },
    /// List clients
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        paging: Paging,
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
        #[command(flatten)]
        change: Change,
    },
    /// End a client: its tokens are inactive
    Delete {
        #[command(flatten)]
        at: At,
        client_id: String,
        #[command(flatten)]
        version: Version,
    },
    /// Revoke all tokens of a client
    RevokeTokens {
        #[command(flatten)]
        at: At,
        client_id: String,
    },
    /// Mint an ephemeral token for a client; it is printed this once
    Mint {
        #[command(flatten)]
        at: At,
        client_id: String,
        #[command(flatten)]
        ask: TokenAsk,
        #[command(flatten)]
        data: Data,
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

#[derive(Args, Serialize)]
pub struct Fields {
    /// What people see it called
    #[arg(long)]
    #[serde(rename = "client_name")]
    name: Option<String>,
    /// A grant type; repeat for more
    #[arg(long)]
    #[serde(rename = "grant_types")]
    grant: Option<Vec<String>>,
    /// Scope names, separated by spaces; may be repeated
    #[arg(long)]
    #[serde(skip)]
    scope: Option<Vec<String>>,
    /// What it may ask for by `resource`; the first one is the default; repeat for more
    #[arg(long)]
    audience: Option<Vec<String>>,
    /// How it proves itself at the token endpoint
    #[arg(long, value_parser = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"])]
    #[serde(rename = "token_endpoint_auth_method")]
    auth_method: Option<String>,
    /// The one algorithm its assertions may use
    #[arg(long)]
    #[serde(rename = "token_endpoint_auth_signing_alg")]
    auth_signing_alg: Option<String>,
    /// A file with its JWK Set
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    jwks: Option<PathBuf>,
    /// Where its JWK Set is published, instead
    #[arg(long, conflicts_with = "jwks")]
    #[serde(skip)]
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
    #[serde(rename = "resources")]
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
    #[serde(skip)]
    people: PeopleFields,
    #[arg(long)]
    enabled: Option<bool>,
}

/// What shapes a client that logs people in.
#[derive(Args, Serialize)]
pub struct PeopleFields {
    /// Where codes may go, character by character; repeat for more
    #[arg(long)]
    #[serde(rename = "redirect_uris")]
    redirect_uri: Option<Vec<String>>,
    /// Where the browser may go after a logout; repeat for more
    #[arg(long)]
    #[serde(rename = "post_logout_redirect_uris")]
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

/// What a token is to be; its own claims come by --data.
#[derive(Args, Serialize)]
pub struct TokenAsk {
    /// How long it lives
    #[arg(long, value_name = "SECONDS")]
    #[serde(rename = "ttl_seconds")]
    ttl: Option<u64>,
    /// Scope names, separated by spaces
    #[arg(long)]
    scope: Option<String>,
    /// Whom it is for, of the client's own list; repeat for more
    #[arg(long)]
    audience: Option<Vec<String>>,
    /// Good for one use
    #[arg(long)]
    one_time: Option<bool>,
    /// readonly or readwrite
    #[arg(long)]
    access: Option<String>,
    /// Whom it speaks of; the client must be allowed to set that
    #[arg(long)]
    subject: Option<String>,
}

impl At {
    /// The provider and what lies below it.
    pub fn path(&self, rest: &[&str]) -> Result<Path, CliError> {
        path(&[&["providers", self.provider.as_str()], rest].concat())
    }
}

impl Fields {
    /// By their names in the API.
    fn given(&self) -> Result<Map<String, Value>, CliError> {
        let mut members = given(self);
        members.extend(given(&self.people));
        members.extend(self.scope.as_ref().map(|parts| ("scope".to_owned(), json!(parts.join(" ")))));
        // One place of the keys replaces the other.
        match (&self.jwks, &self.jwks_uri) {
            (Some(file), _) => {
                members.extend([("jwks".to_owned(), json_file(file)?), ("jwks_uri".to_owned(), Value::Null)]);
            }
            (None, Some(url)) => {
                members.extend([("jwks".to_owned(), Value::Null), ("jwks_uri".to_owned(), json!(url))]);
            }
            (None, None) => {}
        }
        Ok(members)
    }
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::Create { at, client_id, subject, secret_file, fields, data } => {
                let chosen = secret_file.map(|file| read(&file)).transpose()?;
                let mut body = data.body(fields.given()?)?;
                let chosen = chosen.as_ref().map(|text| text.trim_end().to_owned());
                for (name, value) in [("client_id", client_id), ("subject", subject), ("client_secret", chosen)] {
                    body.extend(value.map(|value| (name.to_owned(), json!(value))));
                }
                rest.show(Call::create(at.path(&["clients"])?, Value::Object(body))).await
            }
            Self::List { at, paging } => {
                let columns =
                    ["client_id", "client_name", "token_endpoint_auth_method", "grant_types", "scope", "enabled"];
                rest.list(Call::get(at.path(&["clients"])?), &columns, &paging).await
            }
            Self::Show { at, client_id } => rest.show(Call::get(at.path(&["clients", &client_id])?)).await,
            Self::Update { at, client_id, fields, change } => {
                let (body, version) = change.patch(fields.given()?)?;
                rest.show(Call::patch(at.path(&["clients", &client_id])?, body).if_match(version)).await
            }
            Self::Delete { at, client_id, version } => {
                let call = Call::delete(at.path(&["clients", &client_id])?).if_match(version.if_match);
                rest.done(call, "The client is gone.").await
            }
            Self::RevokeTokens { at, client_id } => {
                let call = Call::delete(at.path(&["clients", &client_id, "tokens"])?);
                rest.done(call, "All tokens of the client are revoked.").await
            }
            Self::Mint { at, client_id, ask, data } => {
                let body = Value::Object(data.body(given(&ask))?);
                rest.show(Call::post(at.path(&["clients", &client_id, "tokens"])?, body).answering(201)).await
            }
            Self::Secret(command) => command.run(rest).await,
        }
    }
}
