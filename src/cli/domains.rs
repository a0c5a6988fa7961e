//! `grantd domain …`.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use crate::cli::body::{Change, Version};
use crate::cli::call::Call;
use crate::cli::clients::At;
use crate::cli::rest::{Paging, Rest};
use crate::cli::{CliError, output};

#[derive(Subcommand)]
pub enum Command {
    /// Add a domain; what is printed must stand in the DNS before it is verified
    Create {
        #[command(flatten)]
        at: At,
        /// As id.example.com
        domain: String,
    },
    /// List domains
    List {
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show a domain, and the TXT record that proves it
    Show {
        #[command(flatten)]
        at: At,
        /// Id or name
        domain: String,
    },
    /// Look for the TXT record, and serve the domain
    Verify {
        #[command(flatten)]
        at: At,
        /// Id or name
        domain: String,
    },
    /// Make a verified domain the issuer of new tokens, or not
    Update {
        #[command(flatten)]
        at: At,
        /// Id or name
        domain: String,
        #[arg(long)]
        primary: Option<bool>,
        #[command(flatten)]
        change: Change,
    },
    /// End a domain
    Delete {
        #[command(flatten)]
        at: At,
        /// Id or name
        domain: String,
        #[command(flatten)]
        version: Version,
    },
}

impl Command {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        match self {
            Self::Create { at, domain } => {
                rest.show(Call::create(at.path(&["domains"])?, json!({ "domain": domain }))).await
            }
            Self::List { at, paging } => {
                let columns = ["id", "domain", "verified", "primary", "issuer"];
                rest.list(Call::get(at.path(&["domains"])?), &columns, &paging).await
            }
            Self::Show { at, domain } => {
                let id = id_of(rest, &at, domain).await?;
                rest.show(Call::get(at.path(&["domains", &id])?)).await
            }
            Self::Verify { at, domain } => {
                let id = id_of(rest, &at, domain).await?;
                let call = Call::post(at.path(&["domains", &id, "verify"])?, json!({}));
                let answer = rest.ask(call).await?.json();
                output::show(&answer, rest.json)?;
                if answer["verified"] == true {
                    return Ok(());
                }
                Err(CliError::Unhealthy("the domain is not verified".to_owned()))
            }
            Self::Update { at, domain, primary, change } => {
                let mut flags = Map::new();
                flags.extend(primary.map(|primary| ("primary".to_owned(), json!(primary))));
                let (body, version) = change.patch(flags)?;
                let id = id_of(rest, &at, domain).await?;
                rest.show(Call::patch(at.path(&["domains", &id])?, body).if_match(version)).await
            }
            Self::Delete { at, domain, version } => {
                let id = id_of(rest, &at, domain).await?;
                let call = Call::delete(at.path(&["domains", &id])?).if_match(version.if_match);
                rest.done(call, "The domain is gone.").await
            }
        }
    }
}

/// The id of the domain of that name; one that is not found is left to the command, which says so.
async fn id_of(rest: &Rest, at: &At, named: String) -> Result<String, CliError> {
    if !named.contains('.') {
        return Ok(named);
    }
    let (domains, _) = rest.items(Call::get(at.path(&["domains"])?), usize::MAX).await?;
    let wanted = Value::String(named.to_ascii_lowercase());
    let found = domains.iter().find(|domain| domain.get("domain") == Some(&wanted));
    Ok(found.and_then(|domain| domain.get("id")).and_then(Value::as_str).map(str::to_owned).unwrap_or(named))
}
