//! `grantd api`: any call of the admin API, for what has no command of its own.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::Value;

use crate::cli::CliError;
use crate::cli::body::json_file;
use crate::cli::call::{Call, Path, ROOT, Verb};
use crate::cli::problem::error_of;
use crate::cli::rest::Rest;

#[derive(Args)]
pub struct Api {
    #[arg(value_enum, ignore_case = true)]
    verb: Verb,
    /// Below /admin/v1, as providers/default/clients; with a slash before it from the root of the server
    path: String,
    /// A file with the body, JSON; - for standard input
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    if_match: Option<String>,
    /// Print status and etag before the body
    #[arg(long, short)]
    include: bool,
}

impl Api {
    /// Prints the body as it came; a body that tells of an error too.
    pub async fn run(self, rest: &Rest) -> Result<(), CliError> {
        let path = if self.path.starts_with('/') { self.path } else { format!("{ROOT}/{}", self.path) };
        if path.contains('#') || path.chars().any(|one| one.is_whitespace() || one.is_control() || !one.is_ascii()) {
            return Err(CliError::Usage("the path must be percent-encoded".to_owned()));
        }
        let body = match &self.data {
            None => None,
            Some(file) if file.as_os_str() == "-" => Some(standard_json()?),
            Some(file) => Some(json_file(file)?),
        };
        // Whether it makes something is known to who wrote it, and who says a key says so.
        let once = self.verb == Verb::Post && rest.has_idempotency_key();
        let call = Call { body, once, ..Call::new(self.verb, Path(path)) }.if_match(self.if_match);
        let answer = rest.send(call).await?;
        let mut out = std::io::stdout().lock();
        if self.include {
            writeln!(out, "status: {}", answer.status)?;
            if let Some(tag) = &answer.etag {
                writeln!(out, "etag: {tag}")?;
            }
            writeln!(out)?;
        }
        if answer.is_json() {
            writeln!(out, "{:#}", answer.json())?;
        } else {
            out.write_all(&answer.body)?;
        }
        if answer.is_success() { Ok(()) } else { Err(error_of(&answer)) }
    }
}

fn standard_json() -> Result<Value, CliError> {
    let text = crate::cli::body::standard_input()?;
    serde_json::from_str(&text).map_err(|_| CliError::Refused("standard input is not JSON".to_owned()))
}
