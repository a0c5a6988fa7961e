//! Where values come from: the file, the environment, the flags. Each layer covers the one before,
//! key by key; what was given but is no key is told by name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use config::{FileFormat, Format, Value, ValueKind};

use crate::config::remote::is_of_remote;
use crate::config::section::{Key, variable_of};
use crate::config::setting::{Raw, Setting};

/// What a start is configured from. Handed in, so that a test needs no process of its own.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Where `grantd.toml` is looked for when no file is named.
    pub directory: PathBuf,
    /// `--config FILE`: must exist.
    pub file: Option<PathBuf>,
    /// The whole environment; only `GRANTD_…` is looked at.
    pub environment: BTreeMap<String, String>,
    /// Dotted key and value, from the command line; a later one covers an earlier one.
    pub flags: Vec<(String, String)>,
}

impl Inputs {
    /// The working directory and environment of this process.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<(String, String)>) -> Self {
        // The one room of the environment. `vars_os`, because `vars` panics on what is not UTF-8;
        // such a value then carries a replacement character, which no key accepts.
        let environment = std::env::vars_os()
            .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        Self { directory: PathBuf::from("."), file, environment, flags }
    }
}

const PREFIX: &str = "GRANTD_";

/// Where the effective value of a key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(PathBuf),
    /// The variable's name.
    Environment(String),
    Flag,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag => f.write_str("flag"),
        }
    }
}

struct Given {
    raw: Raw,
    origin: Origin,
}

/// Hands each section its values and collects what is wrong with them.
pub(super) struct Reader {
    given: BTreeMap<String, Given>,
    pub slips: Vec<String>,
}

impl Reader {
    /// Reads all layers, refuses unknown names and opens the files that hold secrets.
    pub fn open(inputs: &Inputs, keys: &[Key]) -> Self {
        let mut reader = Self { given: BTreeMap::new(), slips: Vec::new() };
        let mut unknown = Vec::new();
        let known = Known::of(keys);
        reader.take_file(inputs, &known, &mut unknown);
        reader.take_environment(inputs, &known, &mut unknown);
        reader.take_flags(inputs, &known, &mut unknown);
        if !unknown.is_empty() {
            let all: Vec<&str> = known.names.iter().map(String::as_str).collect();
            reader.slips.push(format!(
                "Unknown: {}. The known keys are: {} (as a variable: GRANTD_ and capitals, with __ for each dot).",
                unknown.join(", "),
                all.join(", ")
            ));
        }
        for key in keys.iter().filter(|key| key.secret) {
            reader.open_secret(key);
        }
        reader
    }

    /// The value of a key, or its default; a value that cannot be read is a slip.
    pub fn read<T: Setting>(&mut self, name: &str, default: T) -> T {
        let Some(given) = self.given.get(name) else { return default };
        match T::read(&given.raw) {
            Ok(value) => value,
            Err(rule) => {
                self.slips.push(format!("`{name}` ({}) {rule}.", given.origin));
                default
            }
        }
    }

    pub fn origins(&self) -> BTreeMap<String, Origin> {
        self.given.iter().map(|(name, given)| (name.clone(), given.origin.clone())).collect()
    }

    fn take_file(&mut self, inputs: &Inputs, known: &Known, unknown: &mut Vec<String>) {
        let path = match &inputs.file {
            Some(path) => path.clone(),
            None => inputs.directory.join("grantd.toml"),
        };
        let shown = if inputs.file.is_some() { path.clone() } else { PathBuf::from("grantd.toml") };
        let content = match std::fs::read_to_string(&path) {
            Ok(content) => content,
            Err(error) if inputs.file.is_none() && error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                self.slips.push(format!("The configuration file {} cannot be read: {error}.", shown.display()));
                return;
            }
        };
        match parse(&content) {
            Ok(values) => {
                for (name, raw) in values {
                    match raw {
                        Leaf::Value(raw) if known.names.contains(&name) => {
                            self.given.insert(name, Given { raw, origin: Origin::File(shown.clone()) });
                        }
                        Leaf::EmptyTable if known.is_section(&name) => {}
                        _ => unknown.push(format!("`{}` in {}", name.escape_debug(), shown.display())),
                    }
                }
            }
            Err(place) => self.slips.push(format!("The configuration file {} is not TOML: {place}.", shown.display())),
        }
    }

    fn take_environment(&mut self, inputs: &Inputs, known: &Known, unknown: &mut Vec<String>) {
        for (variable, value) in &inputs.environment {
            if !variable.starts_with(PREFIX) || set_by_kubernetes(variable) || is_of_remote(variable) {
                continue;
            }
            match known.by_variable.get(variable) {
                Some(name) => {
                    let given = Given { raw: Raw::Text(value.clone()), origin: Origin::Environment(variable.clone()) };
                    self.given.insert(name.clone(), given);
                }
                None => unknown.push(format!("variable {}", variable.escape_debug())),
            }
        }
    }

    fn take_flags(&mut self, inputs: &Inputs, known: &Known, unknown: &mut Vec<String>) {
        for (name, value) in &inputs.flags {
            if known.names.contains(name) {
                self.given.insert(name.clone(), Given { raw: Raw::Text(value.clone()), origin: Origin::Flag });
            } else {
                unknown.push(format!("flag `{}`", name.escape_debug()));
            }
        }
    }

    /// `…_file` → the secret itself. Both given is refused: which one holds would be a guess.
    fn open_secret(&mut self, key: &Key) {
        let Some(file_key) = key.file_name() else { return };
        let Some(named) = self.given.remove(&file_key) else { return };
        if let Some(direct) = self.given.get(&key.name) {
            self.slips.push(format!(
                "`{}` ({}) and `{file_key}` ({}) are both given: keep one of them.",
                key.name, direct.origin, named.origin
            ));
            return;
        }
        match PathBuf::read(&named.raw).map(|path| (read_secret(&path), path)) {
            Ok((Ok(secret), _)) => {
                self.given.insert(key.name.clone(), Given { raw: Raw::Text(secret), origin: named.origin });
            }
            Ok((Err(why), path)) => {
                self.slips.push(format!("`{file_key}` ({}) names {}, which {why}.", named.origin, path.display()));
            }
            Err(rule) => self.slips.push(format!("`{file_key}` ({}) {rule}.", named.origin)),
        }
    }
}

/// The content without the line end that editors and `echo` leave behind.
fn read_secret(path: &Path) -> Result<String, String> {
    let content = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let secret = content.trim_end_matches(['\r', '\n']);
    if secret.is_empty() { Err("is empty".to_owned()) } else { Ok(secret.to_owned()) }
}

/// The names that may be given.
struct Known {
    names: BTreeSet<String>,
    by_variable: BTreeMap<String, String>,
}

impl Known {
    fn of(keys: &[Key]) -> Self {
        let names: BTreeSet<String> =
            keys.iter().flat_map(|key| [Some(key.name.clone()), key.file_name()]).flatten().collect();
        let by_variable = names.iter().map(|name| (variable_of(name), name.clone())).collect();
        Self { names, by_variable }
    }

    fn is_section(&self, name: &str) -> bool {
        let start = format!("{name}.");
        self.names.iter().any(|known| known.starts_with(&start))
    }
}

/// Kubernetes tells each pod of a service named grantd where that service is, in these variables.
fn set_by_kubernetes(variable: &str) -> bool {
    variable == "GRANTD_PORT" || variable.starts_with("GRANTD_PORT_") || variable.starts_with("GRANTD_SERVICE_")
}

enum Leaf {
    Value(Raw),
    EmptyTable,
}

/// Dotted names and values of a TOML text. The error names the place only: the library's message
/// goes on to print the line, and a secret may stand in it.
fn parse(content: &str) -> Result<Vec<(String, Leaf)>, String> {
    let table = FileFormat::Toml.parse(None, content).map_err(|error| {
        let message = error.to_string();
        let place = message.lines().next().and_then(|line| line.split_once(" at ")).map(|(_, place)| place.to_owned());
        place.map_or_else(|| "it cannot be parsed".to_owned(), |place| format!("the slip is at {place}"))
    })?;
    let mut out = Vec::new();
    for (name, value) in table {
        flatten(name, value, &mut out);
    }
    out.sort_by(|left, right| left.0.cmp(&right.0));
    Ok(out)
}

fn flatten(name: String, value: Value, out: &mut Vec<(String, Leaf)>) {
    let raw = match value.kind {
        ValueKind::Table(table) if table.is_empty() => return out.push((name, Leaf::EmptyTable)),
        ValueKind::Table(table) => {
            return table.into_iter().for_each(|(field, value)| flatten(format!("{name}.{field}"), value, out));
        }
        ValueKind::String(text) => Raw::Text(text),
        ValueKind::I64(number) => Raw::Number(number),
        ValueKind::Boolean(flag) => Raw::Flag(flag),
        ValueKind::Array(list) => {
            let texts = list.into_iter().map(|item| match item.kind {
                ValueKind::String(text) => Some(text),
                _ => None,
            });
            texts.collect::<Option<Vec<_>>>().map_or(Raw::Other, Raw::List)
        }
        _ => Raw::Other,
    };
    out.push((name, Leaf::Value(raw)));
}
