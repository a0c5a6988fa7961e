//! `grantd scope …`, `grantd role …`, `grantd group …`: things that have a name and a description.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::CliError;
use crate::cli::body::{Change, Data, Version, given};
use crate::cli::call::Call;
use crate::cli::clients::At;
use crate::cli::rest::{Paging, Rest};

#[derive(Subcommand)]
pub enum Command<F: Args> {
    /// Make one
    Create {
        #[command(flatten)]
        at: At,
        name: String,
        #[command(flatten)]
        fields: F,
        #[command(flatten)]
        data: Data,
    },
    /// List them
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one
    Show {
        #[command(flatten)]
        at: At,
        name: String,
    },
    /// Change one
    Update {
        #[command(flatten)]
        at: At,
        name: String,
        #[command(flatten)]
        fields: F,
        #[command(flatten)]
        change: Change,
    },
    /// End one
    Delete {
        #[command(flatten)]
        at: At,
        name: String,
        #[command(flatten)]
        version: Version,
    },
}

#[derive(Args, Serialize)]
pub struct Plain {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
}

#[derive(Args, Serialize)]
pub struct WithRoles {
    #[command(flatten)]
    #[serde(flatten)]
    plain: Plain,
    /// A role that its members have; repeat for more
    #[arg(long)]
    #[serde(rename = "roles")]
    role: Option<Vec<String>>,
}

impl<F: Args + Serialize> Command<F> {
    /// `collection` is what they are called below a provider.
    pub async fn run(self, rest: &Rest, collection: &str) -> Result<(), CliError> {
        match self {
            Self::Create { at, name, fields, data } => {
                let mut body = data.body(given(&fields))?;
                body.insert("name".to_owned(), json!(name));
                rest.show(Call::create(at.path(&[collection])?, Value::Object(body))).await
            }
            Self::List { at, paging } => {
                let columns: &[&str] = match collection {
                    "scopes" => &["name", "description", "built_in", "created_at"],
                    "groups" => &["name", "description", "roles", "created_at"],
                    _ => &["name", "description", "created_at"],
                };
                rest.list(Call::get(at.path(&[collection])?), columns, &paging).await
            }
            Self::Show { at, name } => rest.show(Call::get(at.path(&[collection, &name])?)).await,
            Self::Update { at, name, fields, change } => {
                let (body, version) = change.patch(given(&fields))?;
                rest.show(Call::patch(at.path(&[collection, &name])?, body).if_match(version)).await
            }
            Self::Delete { at, name, version } => {
                let call = Call::delete(at.path(&[collection, &name])?).if_match(version.if_match);
                rest.done(call, "It is gone.").await
            }
        }
    }
}
