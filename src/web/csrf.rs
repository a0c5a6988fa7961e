//! That a form was sent from our own page in this very browser: a token that fits the form, the
//! browser's cookie and the flow, and no header that says otherwise (OWASP: signed double submit,
//! fetch metadata).

use actix_web::http::header::{self, HeaderMap};
use secrecy::SecretString;
use url::Url;

use crate::domain::refusal::RefusalKind;
use crate::domain::{Failed, Refusal};
use crate::edge::form::Form;
use crate::web::visit::Visit;

/// A form of ours; its name is part of its token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormName {
    Login,
    Consent,
    Logout,
    Profile,
    Password,
    EndSession,
    EndSessions,
}

impl FormName {
    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Consent => "consent",
            Self::Logout => "logout",
            Self::Profile => "profile",
            Self::Password => "password",
            Self::EndSession => "end-session",
            Self::EndSessions => "end-sessions",
        }
    }
}

impl Visit<'_> {
    /// The token of a form that goes on with `flow` (empty: none), in the browser with this cookie.
    pub fn form_token(&self, form: FormName, cookie: &SecretString, flow: &str) -> String {
        self.engine.form_token(&self.brand.provider, form.name(), cookie, flow)
    }

    /// Whether the form carries its token.
    pub fn has_token(&self, name: FormName, cookie: Option<&SecretString>, form: &Form<'_>) -> bool {
        let (Some(cookie), Some(token)) = (cookie, form.get("token")) else { return false };
        let flow = form.get("flow").unwrap_or_default();
        self.engine.form_token_fits(&self.brand.provider, name.name(), cookie, flow, token)
    }

    /// Refuses a form without its token.
    pub fn require_token(&self, name: FormName, cookie: Option<&SecretString>, form: &Form<'_>) -> Result<(), Failed> {
        if self.has_token(name, cookie, form) { Ok(()) } else { Err(no_longer_good("the form's token does not fit")) }
    }

    /// Refuses a form that another site's page sent. Which headers a browser sends differs, so what is
    /// absent proves nothing; the token does.
    pub fn require_own_site(&self) -> Result<(), Failed> {
        if is_own_site(self.call.headers) { Ok(()) } else { Err(no_longer_good("the form was sent by another site")) }
    }
}

/// What the page says of it is in `web::error_page`: the form is no longer good.
fn no_longer_good(about: &str) -> Failed {
    Refusal::new(RefusalKind::Stale, "").about(about).into()
}

/// `Sec-Fetch-Site` is the browser's own word; where it is missing (plain http) `Origin` must be the
/// host that was asked. `null` stands for our own pages, which send no referrer, and for others.
fn is_own_site(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match text(header::ORIGIN) {
        None | Some("null") => true,
        Some(origin) => text(header::HOST).is_some_and(|host| is_at(origin, host)),
    }
}

/// Whether an origin is that of a `Host` header; a default port may be left out.
fn is_at(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    let Ok(asked) = Url::parse(&format!("{}://{host}", origin.scheme())) else { return false };
    matches!(origin.scheme(), "http" | "https")
        && origin.host() == asked.host()
        && origin.port_or_known_default() == asked.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn own(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("id.example.com"));
        for (name, value) in pairs {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        is_own_site(&headers)
    }

    #[test]
    fn another_site_is_told_by_its_headers() {
        assert!(own(&[]));
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        assert!(own(&[("sec-fetch-site", "none")]));
        assert!(own(&[("origin", "https://id.example.com")]));
        assert!(own(&[("origin", "https://id.example.com:443")]));
        assert!(own(&[("origin", "null")]));
        for bad in ["cross-site", "same-site", "x"] {
            assert!(!own(&[("sec-fetch-site", bad)]), "{bad}");
        }
        for bad in
            ["https://evil.example", "https://id.example.com:8443", "https://id.example.com.evil", "x", "file://"]
        {
            assert!(!own(&[("origin", bad)]), "{bad}");
        }
    }
}
