//! `grantd export`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::CliError;
use crate::cli::declared::current::{self, Known};
use crate::cli::declared::document::VERSION;
use crate::cli::declared::kinds::{BELOW, Kind, PROVIDER, WEBHOOK};
use crate::cli::declared::yaml::{self, Node};
use crate::cli::output::one_line;
use crate::cli::rest::Rest;

const HEAD: &str = "\
# Configuration of grantd, written by `grantd export`, to be brought to a server by `grantd apply -f`.
# What is not named is at its default. A section that is left out is left alone. Not in here: secrets, API keys,
# people, signing keys, the proof of domains, and what a surface's own calls have made.
";

#[derive(Args)]
pub struct Export {
    /// A provider, by slug; repeat for more. Without it, default
    #[arg(long, conflicts_with = "all")]
    provider: Vec<String>,
    /// All providers, and the webhooks of the whole installation
    #[arg(long)]
    all: bool,
    /// Write into this file instead of to standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Export {
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        let document = self.document(rest).await?;
        let text = if rest.json {
            format!("{:#}\n", document.to_value())
        } else {
            let mut text = HEAD.to_owned();
            yaml::write(&mut text, &document, 0);
            text
        };
        match self.output {
            None => Ok(std::io::stdout().lock().write_all(text.as_bytes())?),
            Some(path) => std::fs::write(&path, text)
                .map_err(|error| CliError::Refused(format!("cannot write {}: {error}", path.display()))),
        }
    }

    async fn document(&self, rest: &Rest) -> Result<Node, CliError> {
        let mut found = Vec::new();
        if self.all {
            found = current::providers(rest).await?;
        } else {
            let default = ["default".to_owned()];
            for slug in if self.provider.is_empty() { &default[..] } else { &self.provider } {
                let provider = current::provider(rest, slug).await?;
                found.push(
                    provider.ok_or_else(|| CliError::Refused(format!("There is no provider {}.", one_line(slug))))?,
                );
            }
        }
        let mut providers = Vec::new();
        for provider in found {
            let mut shown = shown(&PROVIDER, &provider);
            for kind in BELOW {
                shown.extend(section(kind, current::all(rest, kind, Some(&provider.id)).await?));
            }
            providers.push(Node::members(shown));
        }
        let version = ("version".to_owned(), Node::from(json!(VERSION)));
        let mut document = vec![version, ("providers".to_owned(), Node::list(providers))];
        if self.all {
            // A key that is bound to a provider sees none of them: that must not read as "there are to be none".
            let webhooks = current::all(rest, &WEBHOOK, None).await?.filter(|found| !found.is_empty());
            document.extend(section(&WEBHOOK, webhooks));
        }
        Ok(Node::members(document))
    }
}

fn shown(kind: &Kind, known: &Known) -> Vec<(String, Node)> {
    let fields = kind.set_fields(&known.members).into_iter();
    fields.map(|(name, value)| (name, Node::from(value))).collect()
}

/// An empty section stands there too: it says that there is to be none.
fn section(kind: &'static Kind, found: Option<Vec<Known>>) -> Option<(String, Node)> {
    let items = found?.iter().map(|known| Node::members(shown(kind, known))).collect();
    Some((kind.section.to_owned(), Node::list(items)))
}
