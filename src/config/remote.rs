//! What the environment says of the server that the command line works against. No settings of a
//! server: a start ignores them.

use std::collections::BTreeMap;

/// `GRANTD_SERVER`, `GRANTD_KEY`, `GRANTD_KEY_FILE`; an empty one is none.
#[derive(Clone, Default)]
pub struct RemoteEnvironment {
    pub server: Option<String>,
    pub key: Option<String>,
    pub key_file: Option<String>,
}

const SERVER: &str = "GRANTD_SERVER";
const KEY: &str = "GRANTD_KEY";
const KEY_FILE: &str = "GRANTD_KEY_FILE";

/// Whether a variable is one of these.
pub(super) fn is_of_remote(variable: &str) -> bool {
    [SERVER, KEY, KEY_FILE].contains(&variable)
}

impl RemoteEnvironment {
    pub fn of(environment: &BTreeMap<String, String>) -> Self {
        let value = |name: &str| environment.get(name).filter(|value| !value.is_empty()).cloned();
        Self { server: value(SERVER), key: value(KEY), key_file: value(KEY_FILE) }
    }
}
