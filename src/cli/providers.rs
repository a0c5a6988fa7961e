//! `grantd provider …`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::body::{Change, Data, Version, given};
use crate::cli::call::{Call, path};
use crate::cli::rest::{Paging, Rest};

#[derive(Subcommand)]
pub enum Command {
    /// Make a provider with an issuer below the public URL
    Create {
        /// a-z 0-9 -, unchangeable
        slug: String,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        data: Data,
    },
    /// List providers
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a provider
    Show { provider: String },
    /// Change a provider
    Update {
        provider: String,
        #[command(flatten)]
        fields: Box<Fields>,
        #[command(flatten)]
        change: Change,
    },
    /// End a provider: its endpoints are gone and its tokens inactive
    Delete {
        provider: String,
        /// Also with live clients
        #[arg(long)]
        cascade: bool,
        #[command(flatten)]
        version: Version,
    },
    /// Revoke all tokens of a provider
    RevokeTokens { provider: String },
}

#[derive(Args, Serialize)]
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
    #[serde(rename = "access_token_signing_alg")]
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
    /// Seconds after which signing keys are replaced
    #[arg(long)]
    key_rotation: Option<i64>,
    /// Scope names must exist before a client may have them
    #[arg(long)]
    strict_scopes: Option<bool>,
    /// A surface to serve below the provider's path; repeat for more
    #[arg(long)]
    #[serde(rename = "surfaces")]
    surface: Option<Vec<String>>,
    #[arg(long)]
    enabled: Option<bool>,
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::Create { slug, fields, data } => {
                let mut body = data.body(given(&fields))?;
                body.insert("slug".to_owned(), json!(slug));
                rest.show(Call::create(path(&["providers"])?, Value::Object(body))).await
            }
            Self::List { paging } => {
                rest.list(Call::get(path(&["providers"])?), &["slug", "name", "issuer", "enabled"], &paging).await
            }
            Self::Show { provider } => rest.show(Call::get(path(&["providers", &provider])?)).await,
            Self::Update { provider, fields, change } => {
                let (body, version) = change.patch(given(&fields))?;
                rest.show(Call::patch(path(&["providers", &provider])?, body).if_match(version)).await
            }
            Self::Delete { provider, cascade, version } => {
                let call = Call::delete(path(&["providers", &provider])?).if_match(version.if_match);
                rest.done(call.query("cascade", cascade.then_some(true)), "The provider is gone.").await
            }
            Self::RevokeTokens { provider } => {
                let call = Call::delete(path(&["providers", &provider, "tokens"])?);
                rest.done(call, "All tokens of the provider are revoked.").await
            }
        }
    }
}
