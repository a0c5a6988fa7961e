//! `grantd client secret …`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::body::given;
use crate::cli::call::{Call, Path, path};
use crate::cli::clients::At;
use crate::cli::rest::Rest;

#[derive(Subcommand)]
pub enum Command {
    /// Add a secret beside the others; it is printed this once
    Create {
        #[command(flatten)]
        at: At,
        client_id: String,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// List the secrets of a client, without their text
    List {
        #[command(flatten)]
        at: At,
        client_id: String,
    },
    /// Show a secret, without its text
    Show {
        #[command(flatten)]
        at: At,
        client_id: String,
        secret_id: String,
    },
    /// Make a new secret and let the others end; it is printed this once
    Rotate {
        #[command(flatten)]
        at: At,
        client_id: String,
        #[command(flatten)]
        overlap: Overlap,
    },
    /// Revoke a secret; tokens that were issued live on
    Revoke {
        #[command(flatten)]
        at: At,
        client_id: String,
        secret_id: String,
    },
}

/// The same for the secrets of an API key.
#[derive(Subcommand)]
pub enum KeyCommand {
    /// Add a secret beside the others; it is printed this once
    Create {
        /// The API key's id
        id: String,
        #[command(flatten)]
        expiry: Expiry,
    },
    /// List the secrets of an API key, without their text
    List {
        /// The API key's id
        id: String,
    },
    /// Show a secret, without its text
    Show {
        /// The API key's id
        id: String,
        secret_id: String,
    },
    /// Make a new secret and let the others end; it is printed this once
    Rotate {
        /// The API key's id
        id: String,
        #[command(flatten)]
        overlap: Overlap,
    },
    /// Revoke a secret
    Revoke {
        /// The API key's id
        id: String,
        secret_id: String,
    },
}

#[derive(Args, Serialize)]
pub struct Expiry {
    /// When it stops working, as 2030-01-31T12:00:00Z
    #[arg(long)]
    expires_at: Option<String>,
}

#[derive(Args, Serialize)]
pub struct Overlap {
    /// Seconds that the others live on; 0 ends them at once. A day if not given
    #[arg(long, value_name = "SECONDS")]
    #[serde(rename = "overlap_seconds")]
    overlap: Option<i64>,
    #[command(flatten)]
    #[serde(flatten)]
    expiry: Expiry,
}

/// Whose secrets they are.
struct Owner(Vec<String>);

enum Act {
    Create(Expiry),
    List,
    Show(String),
    Rotate(Overlap),
    Revoke(String),
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        let (at, client_id, act) = match self {
            Self::Create { at, client_id, expiry } => (at, client_id, Act::Create(expiry)),
            Self::List { at, client_id } => (at, client_id, Act::List),
            Self::Show { at, client_id, secret_id } => (at, client_id, Act::Show(secret_id)),
            Self::Rotate { at, client_id, overlap } => (at, client_id, Act::Rotate(overlap)),
            Self::Revoke { at, client_id, secret_id } => (at, client_id, Act::Revoke(secret_id)),
        };
        Owner(vec!["providers".to_owned(), at.provider, "clients".to_owned(), client_id]).run(act, rest).await
    }
}

impl KeyCommand {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        let (id, act) = match self {
            Self::Create { id, expiry } => (id, Act::Create(expiry)),
            Self::List { id } => (id, Act::List),
            Self::Show { id, secret_id } => (id, Act::Show(secret_id)),
            Self::Rotate { id, overlap } => (id, Act::Rotate(overlap)),
            Self::Revoke { id, secret_id } => (id, Act::Revoke(secret_id)),
        };
        Owner(vec!["api-keys".to_owned(), id]).run(act, rest).await
    }
}

impl Owner {
    fn path(&self, below: &[&str]) -> Result<Path, CliError> {
        let owner: Vec<&str> = self.0.iter().map(String::as_str).collect();
        path(&[&owner, &["secrets"][..], below].concat())
    }

    async fn run(&self, act: Act, rest: &Rest) -> Result<(), CliError> {
        match act {
            Act::Create(expiry) => rest.show(Call::create(self.path(&[])?, json!(given(&expiry)))).await,
            Act::List => {
                let columns = ["id", "hint", "created_at", "expires_at", "last_used_at", "revoked_at"];
                rest.table(Call::get(self.path(&[])?), &columns).await
            }
            Act::Show(id) => rest.show(Call::get(self.path(&[&id])?)).await,
            Act::Rotate(overlap) => {
                rest.show(Call::create(self.path(&["rotate"])?, Value::Object(given(&overlap)))).await
            }
            Act::Revoke(id) => rest.done(Call::delete(self.path(&[&id])?), "The secret is revoked.").await,
        }
    }
}
