//! What leaves to a browser: pages under a strict policy, redirects, and the headers both carry.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use askama::Template;

use crate::domain::{Failed, Fault};

/// What a page may do beyond showing itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policy<'a> {
    /// Where the browser goes in the end when a form of the page is sent: an origin or `scheme:`.
    pub leads_to: Option<&'a str>,
    /// Whether the page has a script (never an inline one).
    pub script: bool,
    /// Whether the page is part of a client's flow: it may stand in a window that the client opened
    /// and waits for, so it is not cut off from its opener.
    pub of_client: bool,
}

const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

pub fn page(status: StatusCode, page: &impl Template, policy: Policy<'_>) -> Result<HttpResponse, Failed> {
    let html = page.render().map_err(Fault::crypto)?;
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    answer.insert_header((header::CONTENT_SECURITY_POLICY, content_policy(policy)));
    if !policy.of_client {
        answer.insert_header(("cross-origin-opener-policy", "same-origin"));
    }
    Ok(answer.body(html))
}

/// Browsers apply `form-action` to every redirect that follows a form: to the client's own redirect
/// URI, and to wherever that goes on, which nobody here knows. So a page that leads to a client allows
/// the scheme, and what keeps forms at home is that nothing from a request gets into a page unescaped.
fn content_policy(policy: Policy<'_>) -> String {
    let script = if policy.script { "; script-src 'self'" } else { "" };
    let leads_to = match policy.leads_to.and_then(|target| target.split_once(':')) {
        None => String::new(),
        Some(("https", _)) => " https:".to_owned(),
        Some((scheme, _)) if is_scheme(scheme) => format!(" https: {scheme}:"),
        Some(_) => String::new(),
    };
    format!(
        "default-src 'none'; style-src 'self'; img-src data:{script}; form-action 'self'{leads_to}; \
         frame-ancestors 'none'; base-uri 'none'"
    )
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.starts_with(|first: char| first.is_ascii_alphabetic()) && text.bytes().all(allowed)
}

/// 303: a browser that sent a form asks for the new address with GET (RFC 9700 §4.12).
pub fn redirect(to: &str) -> Result<HttpResponse, Failed> {
    let to = HeaderValue::from_str(to).map_err(Fault::crypto)?;
    Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish())
}

pub fn set_cookie(response: &mut HttpResponse, cookie: HeaderValue) {
    response.headers_mut().append(header::SET_COOKIE, cookie);
}

/// What every answer carries, errors and redirects too: no frame, no referrer (RFC 9700 §4.2.4, §4.16).
pub fn dress(headers: &mut HeaderMap) {
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS));
    if !headers.contains_key(header::CONTENT_SECURITY_POLICY) {
        let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
        headers.insert(header::CONTENT_SECURITY_POLICY, nothing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form_action(leads_to: Option<&str>) -> String {
        let policy = content_policy(Policy { leads_to, ..Policy::default() });
        policy.split("; ").find_map(|part| part.strip_prefix("form-action ")).unwrap().to_owned()
    }

    #[test]
    fn a_form_stays_at_home_unless_it_leads_to_a_client() {
        assert_eq!(form_action(None), "'self'");
        assert_eq!(form_action(Some("https://app.example")), "'self' https:");
        assert_eq!(form_action(Some("http://127.0.0.1:3000")), "'self' https: http:");
        assert_eq!(form_action(Some("com.example.app:")), "'self' https: com.example.app:");
        for odd in ["", "*", "x y:", "'none';script-src *:", "1a:"] {
            assert_eq!(form_action(Some(odd)), "'self'", "{odd}");
        }
    }
}
