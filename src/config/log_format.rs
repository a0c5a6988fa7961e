//! The two forms of a log line.

use crate::config::setting::{Raw, Setting, text};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    pub const fn is_json(self) -> bool {
        matches!(self, Self::Json)
    }
}

impl Setting for LogFormat {
    const KIND: &'static str = "text or json";

    fn read(raw: &Raw) -> Result<Self, String> {
        match text(raw, Self::KIND)? {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be text or json".to_owned()),
        }
    }

    fn show(&self) -> String {
        if self.is_json() { "json" } else { "text" }.to_owned()
    }
}
