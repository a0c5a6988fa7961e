//! The public URL is an issuer: compared byte for byte by every client (RFC 8414 §3.3), so it is
//! kept as it was written and never put together again from its parts.

use url::{Host, Url};

use crate::config::setting::{Raw, Setting, text};

/// An http or https URL without a slash at the end, query, fragment or user.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    url: Url,
}

const RULE: &str = "an http or https URL without user, query and fragment, without a slash at the end, its path \
                    written plainly, such as https://id.example.com or https://example.com/auth";

impl PublicUrl {
    /// The URL of a server that only this machine reaches.
    pub(super) fn localhost(port: u16) -> Self {
        let text = format!("http://localhost:{port}");
        // A literal with a number in it: were it no URL, `read` would say so in its own test.
        let fallback = || Url::from_directory_path("/").unwrap_or_else(|()| unreachable!("`/` is absolute"));
        let url = Url::parse(&text).unwrap_or_else(|_| fallback());
        Self { text, url }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        // `Url` forgives what makes two spellings of one URL: spaces, backslashes, missing slashes.
        let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'?' | b'#' | b'@'));
        if !plain || text.ends_with('/') || !(text.starts_with("http://") || text.starts_with("https://")) {
            return None;
        }
        let url = Url::parse(text).ok()?;
        // `/a/../b` or `/%61` would be served at another path than is written in the issuer.
        let path = url.path().trim_end_matches('/');
        let written = text.splitn(4, '/').nth(3).map_or(String::new(), |path| format!("/{path}"));
        let usable = url.host().is_some() && written == path && !path.contains("//") && !path.contains('%');
        usable.then(|| Self { text: text.to_owned(), url })
    }

    /// As it was written: the issuer.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// For its parts only.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// `""`, or `/auth`: everything is served below it.
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }

    pub fn is_http(&self) -> bool {
        self.url.scheme() == "http"
    }

    pub fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
            None => false,
        }
    }
}

impl std::fmt::Debug for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.text, f)
    }
}

impl Setting for PublicUrl {
    const KIND: &'static str = "URL";

    fn read(raw: &Raw) -> Result<Self, String> {
        Self::parse(text(raw, RULE)?).ok_or_else(|| format!("must be {RULE}"))
    }

    fn show(&self) -> String {
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kept_byte_for_byte() {
        for text in ["https://ID.example.com", "https://id.example.com:443", "http://localhost:8080/a/b"] {
            assert_eq!(PublicUrl::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(PublicUrl::parse("https://a.example/auth").unwrap().path(), "/auth");
        assert_eq!(PublicUrl::parse("https://a.example").unwrap().path(), "");
    }

    #[test]
    fn what_has_two_spellings_is_refused() {
        for bad in [
            "https://a.example/",
            "https://a.example/x/",
            "https://a.example?x",
            "https://a.example#x",
            "https://user:pass@a.example",
            "ftp://a.example",
            "https:a.example",
            "https://",
            " https://a.example",
            "https://a.example/a/../b",
            "https://a.example//b",
            "https://a.example/%61",
            "https://a.example\\b",
        ] {
            assert_eq!(PublicUrl::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_from_everything_else() {
        for (text, own) in [
            ("http://localhost:1", true),
            ("http://a.localhost", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:80", true),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
            ("http://0.0.0.0", false),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().is_loopback(), own, "{text}");
        }
    }

    #[test]
    fn localhost_reads_like_any_other() {
        let made = PublicUrl::localhost(8080);
        assert_eq!(PublicUrl::parse("http://localhost:8080"), Some(made));
    }
}
