//! `grantd keys …`.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::cli::call::{Call, path};
use crate::cli::clients::At;
use crate::cli::rest::Rest;
use crate::cli::{CliError, master_key};

#[derive(Subcommand)]
pub enum Command {
    /// List the signing keys of a provider
    List {
        #[command(flatten)]
        at: At,
    },
    /// Show a signing key
    Show {
        #[command(flatten)]
        at: At,
        kid: String,
    },
    /// Publish the next keys; they sign one jwks_max_age later
    Rotate {
        #[command(flatten)]
        at: At,
        /// ES256, RS256 or EdDSA; without it every algorithm that signs
        #[arg(long)]
        alg: Option<String>,
        /// The key is known to others: sign with a fresh one at once
        #[arg(long)]
        emergency: bool,
    },
    /// List the data keys, which seal and key the secrets of the installation
    DataKeys,
    /// Make the data key that new things of a purpose are made with, ten seconds from now
    RotateDataKey {
        /// signing, pepper, tokens, refresh or browser
        purpose: String,
    },
    #[command(flatten)]
    Here(master_key::Command),
}

const COLUMNS: [&str; 6] = ["kid", "alg", "state", "created_at", "activated_at", "retired_at"];
const DATA_KEY_COLUMNS: [&str; 5] = ["id", "purpose", "state", "created_at", "active_at"];

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::List { at } => rest.table(Call::get(at.path(&["signing-keys"])?), &COLUMNS).await,
            Self::Show { at, kid } => rest.show(Call::get(at.path(&["signing-keys", &kid])?)).await,
            Self::Rotate { at, alg, emergency } => {
                let mut body = Map::new();
                body.extend(alg.map(|alg| ("alg".to_owned(), json!(alg))));
                body.extend(emergency.then(|| ("emergency".to_owned(), json!(true))));
                let call = Call::post(at.path(&["signing-keys", "rotate"])?, Value::Object(body));
                rest.table(call, &COLUMNS).await
            }
            Self::DataKeys => rest.table(Call::get(path(&["data-keys"])?), &DATA_KEY_COLUMNS).await,
            Self::RotateDataKey { purpose } => {
                rest.show(Call::post(path(&["data-keys", "rotate"])?, json!({"purpose": purpose}))).await
            }
            // It needs no server and has none.
            Self::Here(_) => Ok(()),
        }
    }
}
