//! What an operator decides before the start: defaults < `grantd.toml` < environment < flags.
//!
//! Each section is one file with one list of keys (`section!`); the structs, the reader, the list
//! of known keys, `docs/configuration.md` and the `config` command all come from it. A slip stops
//! the start; all slips are told at once, as sentences that name the key and never quote a value.
//! This is the only room that reads the environment.

mod cache;
mod database;
mod dns;
mod events;
mod forward_auth;
mod http;
mod log_format;
mod passwords;
mod public_url;
mod reference;
mod remote;
mod section;
mod setting;
mod settings;
mod source;
mod surfaces;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::BTreeMap;
use std::fmt;

pub use self::cache::Cache;
pub use self::database::Database;
pub use self::dns::Dns;
pub use self::events::Events;
pub use self::forward_auth::{ForwardAuth, MethodSource};
pub use self::http::Http;
pub use self::log_format::LogFormat;
pub use self::passwords::Passwords;
pub use self::public_url::PublicUrl;
pub use self::reference::reference;
pub use self::remote::RemoteEnvironment;
pub use self::section::Key;
pub use self::settings::Settings;
pub use self::source::{Inputs, Origin};
pub use self::surfaces::{Surface, Surfaces};
pub use self::upstream::Upstream;

use self::section::{Section, Slips};
use self::source::Reader;

/// Settings that hold together, and where each came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub settings: Settings,
    origins: BTreeMap<String, Origin>,
}

/// One line of the `config` command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    pub key: String,
    /// As it would be written; `(set)` for a secret, `–` for nothing.
    pub value: String,
    pub origin: Origin,
}

/// Everything that is wrong with the configuration, one sentence each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    pub sentences: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentences.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// Reads and checks the configuration.
pub fn load(inputs: &Inputs) -> Result<Loaded, ConfigError> {
    let mut reader = Reader::open(inputs, &Settings::describe());
    let settings = Settings::read("", &mut reader);
    let origins = reader.origins();
    let mut sentences = reader.slips;
    // Rules between values make sense only for values that could be read.
    if sentences.is_empty() {
        settings.check("", &mut Slips::new(&mut sentences));
    }
    if sentences.is_empty() { Ok(Loaded { settings, origins }) } else { Err(ConfigError { sentences }) }
}

impl Settings {
    /// Every key, in the order of the reference.
    pub fn describe() -> Vec<Key> {
        let mut keys = Vec::new();
        Self::keys("", &mut keys);
        keys
    }
}

impl Loaded {
    /// The effective value of every key, in the order of the reference.
    pub fn effective(&self) -> Vec<Effective> {
        let mut shown = Vec::new();
        self.settings.show("", &mut shown);
        let origin = |key: &str| self.origins.get(key).cloned().unwrap_or(Origin::Default);
        shown.into_iter().map(|(key, value)| Effective { origin: origin(&key), key, value }).collect()
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}  ({})", self.key, self.value.escape_debug(), self.origin)
    }
}
