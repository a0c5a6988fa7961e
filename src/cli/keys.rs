//! `grantd keys …`.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::cli::CliError;
use crate::cli::call::Call;
use crate::cli::clients::At;
use crate::cli::rest::Rest;

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
}

const COLUMNS: [&str; 6] = ["kid", "alg", "state", "created_at", "activated_at", "retired_at"];

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
        }
    }
}
