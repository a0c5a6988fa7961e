//! Where the browser may be sent, and what goes along (RFC 6749 §4.1.2, RFC 9207, OAuth 2.0 Form
//! Post Response Mode).

use url::Url;
use url::form_urlencoded::Serializer;

use crate::domain::authorize::Authorize;
use crate::domain::client_policy::ApplicationType;

/// The registered URI that a sent one stands for, character by character (RFC 9700 §2.1); the port of
/// a loopback address is the native app's choice (RFC 8252 §7.3).
pub fn is_registered(sent: &str, registered: &[String], kind: ApplicationType) -> bool {
    registered
        .iter()
        .any(|own| own == sent || (kind == ApplicationType::Native && is_loopback_with_any_port(own, sent)))
}

fn is_loopback_with_any_port(registered: &str, sent: &str) -> bool {
    ["http://127.0.0.1", "http://[::1]"].into_iter().any(|origin| {
        let path = |uri: &'_ str| uri.strip_prefix(origin).and_then(without_port).map(str::to_owned);
        path(registered).is_some_and(|own| path(sent).is_some_and(|other| own == other))
    })
}

/// `:8080/cb` → `/cb`, `/cb` → `/cb`; `None` if something else follows the address.
fn without_port(rest: &str) -> Option<&str> {
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(port) => {
            let end = port.find(|character: char| !character.is_ascii_digit()).unwrap_or(port.len());
            let (digits, rest) = port.split_at(end);
            digits.parse::<u16>().ok().filter(|port| *port > 0)?;
            rest
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
}

/// `scheme://host:port` of a URI, or `scheme:` of one without a host: what `form-action` names.
pub fn origin_of(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok()?;
    match url.origin() {
        url::Origin::Tuple(..) => Some(url.origin().ascii_serialization()),
        url::Origin::Opaque(_) => Some(format!("{}:", url.scheme())),
    }
}

/// How the answer travels to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseMode {
    #[default]
    Query,
    FormPost,
}

impl ResponseMode {
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "query" => Some(Self::Query),
            "form_post" => Some(Self::FormPost),
            _ => None,
        }
    }
}

/// The proven way back to a client, with what every answer carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Back {
    pub redirect_uri: String,
    pub mode: ResponseMode,
    pub state: Option<String>,
    /// `iss` (RFC 9207 §2).
    pub issuer: String,
}

impl Back {
    pub fn with_code(&self, code: String) -> Authorize {
        self.with(vec![("code", code)])
    }

    /// RFC 6749 §4.1.2.1. `description` is a fixed sentence.
    pub fn with_error(&self, error: &str, description: &str) -> Authorize {
        self.with(vec![("error", error.to_owned()), ("error_description", description.to_owned())])
    }

    fn with(&self, mut fields: Vec<(&'static str, String)>) -> Authorize {
        if let Some(state) = &self.state {
            fields.push(("state", state.clone()));
        }
        fields.push(("iss", self.issuer.clone()));
        match self.mode {
            ResponseMode::Query => Authorize::Redirect(with_query(&self.redirect_uri, &fields)),
            ResponseMode::FormPost => Authorize::FormPost { to: self.redirect_uri.clone(), fields },
        }
    }
}

/// The URI with these parameters behind what query it has; nothing else of it is touched.
pub fn with_query<'a>(uri: &str, fields: impl IntoIterator<Item = &'a (&'static str, String)>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in fields {
        query.append_pair(name, value);
    }
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(sent: &str) -> bool {
        let registered = ["https://app.example.com/cb".to_owned(), "https://app.example.com/q?a=1".to_owned()];
        is_registered(sent, &registered, ApplicationType::Web)
    }

    #[test]
    fn a_redirect_uri_fits_character_by_character_or_not_at_all() {
        assert!(fits("https://app.example.com/cb") && fits("https://app.example.com/q?a=1"));
        for other in [
            "https://app.example.com/cb/",
            "https://app.example.com/CB",
            "https://app.example.com/cb?",
            "https://app.example.com/cb?a=1",
            "https://app.example.com/cb#",
            "https://app.example.com/cb#x",
            "https://app.example.com//cb",
            "https://app.example.com/./cb",
            "https://app.example.com/x/../cb",
            "https://app.example.com/..;/cb",
            "https://app.example.com/%63b",
            "https://app.example.com\\cb",
            "https://app.example.com:443/cb",
            "https://app.example.com.evil.test/cb",
            "https://app.example.com@evil.test/cb",
            "https://user@app.example.com/cb",
            "https://APP.example.com/cb",
            "HTTPS://app.example.com/cb",
            "http://app.example.com/cb",
            "https://evil.test/cb",
            "https://app.example.com/cb ",
            " https://app.example.com/cb",
            "https://app.example.com/q?a=2",
            "https://app.example.com/q?a=1&b=2",
            "//app.example.com/cb",
            "/cb",
            "",
        ] {
            assert!(!fits(other), "{other}");
        }
    }

    #[test]
    fn the_port_of_a_loopback_address_is_the_native_apps_choice() {
        let registered =
            ["http://127.0.0.1/cb".to_owned(), "http://[::1]:1/cb".to_owned(), "http://localhost/cb".into()];
        let native = |sent: &str| is_registered(sent, &registered, ApplicationType::Native);
        assert!(native("http://127.0.0.1:49152/cb") && native("http://127.0.0.1/cb") && native("http://[::1]:9/cb"));
        for bad in [
            "http://127.0.0.1:49152/other",
            "http://127.0.0.1:99999/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:1@evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://localhost:1234/cb",
            "https://127.0.0.1/cb",
        ] {
            assert!(!native(bad), "{bad}");
        }
        assert!(!is_registered("http://127.0.0.1:5/cb", &registered, ApplicationType::Web));
    }

    #[test]
    fn parameters_go_behind_the_query_there_is() {
        let fields = [("state", "a b&c".to_owned())];
        assert_eq!(with_query("https://a/cb", &fields), "https://a/cb?state=a+b%26c");
        assert_eq!(with_query("https://a/cb?x=1", &fields), "https://a/cb?x=1&state=a+b%26c");
        assert_eq!(with_query("com.example:/cb", &fields), "com.example:/cb?state=a+b%26c");
        assert_eq!(origin_of("https://a.example:8443/x?y").as_deref(), Some("https://a.example:8443"));
        assert_eq!(origin_of("com.example.app:/cb").as_deref(), Some("com.example.app:"));
    }
}
