//! Bodies of calls: flags by their names in the API, a file with the rest, and fields that go back to
//! their default.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::{CliError, output};

/// What every call that writes fields takes beside its flags.
#[derive(Args)]
pub struct Data {
    /// More fields: a file with a JSON object, or - for standard input
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
}

/// What every change takes.
#[derive(Args)]
pub struct Change {
    #[command(flatten)]
    data: Data,
    /// Set a field back to its default, by its name in the API; repeat for more
    #[arg(long, value_name = "FIELD")]
    unset: Vec<String>,
    #[command(flatten)]
    version: Version,
}

#[derive(Args)]
pub struct Version {
    /// Only if it still has this etag
    #[arg(long, value_name = "ETAG")]
    pub if_match: Option<String>,
}

impl Data {
    /// The file's members, covered by the flags that were given.
    pub fn body(&self, flags: Map<String, Value>) -> Result<Map<String, Value>, CliError> {
        let mut body = match &self.data {
            None => Map::new(),
            Some(path) => object(&read(path)?)?,
        };
        body.extend(flags);
        Ok(body)
    }
}

impl Change {
    /// The merge patch, and the version that is expected.
    pub fn patch(self, flags: Map<String, Value>) -> Result<(Value, Option<String>), CliError> {
        let mut body = self.data.body(flags)?;
        body.extend(self.unset.into_iter().map(|field| (field, Value::Null)));
        if body.is_empty() {
            return Err(CliError::Usage("there is nothing to change: give a field".to_owned()));
        }
        Ok((Value::Object(body), self.version.if_match))
    }
}

/// The flags that were given, by their names in the API.
pub fn given(flags: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(flags) {
        Ok(Value::Object(members)) => members.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

fn object(text: &str) -> Result<Map<String, Value>, CliError> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(CliError::Refused("--data must hold a JSON object".to_owned())),
        // Where the slip is, and nothing of the text: a secret may stand in it.
        Err(error) => {
            Err(CliError::Refused(format!("--data is not JSON: line {} column {}", error.line(), error.column())))
        }
    }
}

/// A file with JSON, as a flag names it.
pub fn json_file(path: &Path) -> Result<Value, CliError> {
    let text = read(path)?;
    serde_json::from_str(&text).map_err(|error| {
        CliError::Refused(format!("{} is not JSON: line {} column {}", path.display(), error.line(), error.column()))
    })
}

/// Largest file that is read, bytes.
const LARGEST: u64 = 16 * 1024 * 1024;
/// Largest file with one credential.
const LARGEST_KEY: u64 = 64 * 1024;

/// A file's text; of `-` that of standard input.
pub fn read(path: &Path) -> Result<String, CliError> {
    if path.as_os_str() == "-" { standard_input() } else { read_file(path, LARGEST) }
}

/// The text of a file with one credential.
pub fn read_short(path: &Path) -> Result<String, CliError> {
    read_file(path, LARGEST_KEY)
}

fn read_file(path: &Path, most: u64) -> Result<String, CliError> {
    let name = output::one_line(&path.display().to_string());
    let file = File::open(path).map_err(|error| CliError::Refused(format!("cannot read {name}: {error}")))?;
    bounded(file, &name, most)
}

pub fn standard_input() -> Result<String, CliError> {
    bounded(std::io::stdin().lock(), "standard input", LARGEST)
}

/// A device has no end, and a wrong file may be larger than the memory.
fn bounded(source: impl Read, name: &str, most: u64) -> Result<String, CliError> {
    let mut bytes = Vec::new();
    let refused = |why: &dyn std::fmt::Display| CliError::Refused(format!("cannot read {name}: {why}"));
    source.take(most + 1).read_to_end(&mut bytes).map_err(|error| refused(&error))?;
    if bytes.len() as u64 > most {
        return Err(refused(&format!("it is larger than {} KiB", most / 1024)));
    }
    String::from_utf8(bytes).map_err(|_| refused(&"it is not UTF-8"))
}
