//! One management call and its answer, wherever it is run: on routes in this process or at a server.

use clap::ValueEnum;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::form_urlencoded;

use crate::cli::CliError;

/// Where the admin API lies below a server's public URL.
pub const ROOT: &str = "/admin/v1";
/// The query parameter of a change that is only tried.
const DRY_RUN: &str = "dry_run";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Verb {
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Call {
    pub verb: Verb,
    /// Percent-encoded, from the root of the server.
    pub path: String,
    pub query: Vec<(String, String)>,
    pub body: Option<Value>,
    pub if_match: Option<String>,
    /// It makes something, and must not do so twice.
    pub once: bool,
    /// The `Idempotency-Key` that was chosen for it; without one it gets a random one at a server.
    pub once_key: Option<String>,
    /// The status of its success, as the API documents it.
    pub success: u16,
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub etag: Option<String>,
    /// Seconds.
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

impl Call {
    pub fn new(verb: Verb, path: Path) -> Self {
        let success = if verb == Verb::Delete { 204 } else { 200 };
        Self { verb, path: path.0, query: Vec::new(), body: None, if_match: None, once: false, once_key: None, success }
    }

    /// Where success is not what it is of most calls.
    pub fn answering(self, success: u16) -> Self {
        Self { success, ..self }
    }

    pub fn get(path: Path) -> Self {
        Self::new(Verb::Get, path)
    }

    pub fn post(path: Path, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Verb::Post, path) }
    }

    /// A call that makes something with an id of its own.
    pub fn create(path: Path, body: Value) -> Self {
        Self { once: true, success: 201, ..Self::post(path, body) }
    }

    pub fn patch(path: Path, body: Value) -> Self {
        Self { body: Some(body), ..Self::new(Verb::Patch, path) }
    }

    pub fn delete(path: Path) -> Self {
        Self::new(Verb::Delete, path)
    }

    /// Adds a query parameter, if there is a value.
    pub fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        self.query.extend(value.map(|value| (name.to_owned(), value.to_string())));
        self
    }

    /// A bare version is put in quotes, as `ETag` has it.
    pub fn if_match(mut self, tag: Option<String>) -> Self {
        let quoted = |tag: String| if tag.contains('"') || tag == "*" { tag } else { format!("\"{tag}\"") };
        self.if_match = tag.map(quoted);
        self
    }

    /// Whether anything is different after it.
    pub fn writes(&self) -> bool {
        let is_tried = self.query.iter().any(|(name, value)| name == DRY_RUN && value == "true");
        self.verb != Verb::Get && !is_tried
    }

    /// The same call, judged and not made.
    pub fn tried(self) -> Self {
        if self.writes() { self.query(DRY_RUN, Some(true)) } else { self }
    }

    /// Path and query.
    pub fn target(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        let mark = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{mark}{query}", self.path)
    }
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body; null if there is none or it is no JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn is_json(&self) -> bool {
        serde_json::from_slice::<IgnoredAny>(&self.body).is_ok()
    }

    /// Whether the API answers a call so that succeeded: with the status that it documents, and nothing
    /// or an object. Other servers say 200 to everything.
    pub fn is_as_documented(&self, success: u16) -> bool {
        let fits = match success {
            204 => self.body.is_empty(),
            _ => matches!(self.json(), Value::Object(members) if !members.is_empty()),
        };
        self.status == success && fits
    }

    /// Whether something between here and the server answers in its place.
    pub fn is_of_a_gateway(&self) -> bool {
        self.status >= 500 && self.json().get("request_id").is_none()
    }
}

/// A percent-encoded path.
#[derive(Clone, Debug)]
pub struct Path(pub String);

/// `["providers", "acme"]` as a path of the admin API. A name that cannot stand in a path names nothing.
pub fn path(segments: &[&str]) -> Result<Path, CliError> {
    let mut out = ROOT.to_owned();
    for segment in segments {
        // URLs drop these two, however they are encoded.
        if segment.is_empty() || matches!(*segment, "." | "..") {
            return Err(CliError::Usage("an id or name is empty or cannot stand in a path".to_owned()));
        }
        out.push('/');
        out.push_str(&encoded(segment));
    }
    Ok(Path(out))
}

/// Everything but the unreserved characters of RFC 3986 §2.3 is encoded.
fn encoded(segment: &str) -> String {
    let mut out = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_one_segment_of_the_path() {
        assert_eq!(
            path(&["providers", "a/b?c#d e%", "ü"]).unwrap().0,
            "/admin/v1/providers/a%2Fb%3Fc%23d%20e%25/%C3%BC"
        );
        for bad in ["", ".", ".."] {
            assert!(matches!(path(&["providers", bad]), Err(CliError::Usage(_))), "{bad:?}");
        }
    }

    #[test]
    fn query_and_version_are_written_as_http_has_them() {
        let call = Call::get(Path("/x".to_owned())).query("q", Some("a b&c")).query("none", None::<i32>);
        assert_eq!(call.target(), "/x?q=a+b%26c");
        assert_eq!(call.clone().if_match(Some("7".to_owned())).if_match.unwrap(), "\"7\"");
        assert_eq!(call.if_match(Some("\"7\"".to_owned())).if_match.unwrap(), "\"7\"");
        assert_eq!(Call::get(Path("/x?a=1".to_owned())).query("b", Some(2)).target(), "/x?a=1&b=2");
    }
}
