//! The cookies of a provider: the session, the binding of a flow to its browser, and the mark of a
//! browser that has logged in before. On https they carry the prefix `__Host-` (RFC 6265bis §4.1.3.2):
//! no other host and no plain connection can set or read them.

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::Fault;
use crate::domain::authorize::Brand;
use crate::domain::session::Browser;

/// How long a browser is known, seconds.
pub const DEVICE_MAX_AGE: i64 = 180 * 86_400;
/// Longer ones are nobody's of ours, bytes.
const LONGEST: usize = 2048;
const USER_AGENT_LONGEST: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cookie {
    Session,
    /// Ends with the browser: a flow is a matter of minutes.
    Flow,
    Device,
}

impl Cookie {
    fn name(self, brand: &Brand) -> String {
        let prefix = if brand.is_https { "__Host-" } else { "" };
        let part = match self {
            Self::Session => "",
            Self::Flow => "flow-",
            Self::Device => "device-",
        };
        format!("{prefix}grantd-{part}{}", brand.provider)
    }

    /// The `Set-Cookie` that keeps `value`; `max_age` in seconds, `None`: until the browser is closed.
    pub fn set(self, brand: &Brand, value: &SecretString, max_age: Option<i64>) -> Result<HeaderValue, Fault> {
        let mut line = format!("{}={}{}", self.name(brand), value.expose_secret(), attributes(brand));
        if let Some(seconds) = max_age {
            line.push_str(&format!("; Max-Age={seconds}"));
        }
        HeaderValue::from_str(&line).map_err(Fault::crypto)
    }

    /// The `Set-Cookie` that drops it: the same name and attributes, over already.
    pub fn drop(self, brand: &Brand) -> Result<HeaderValue, Fault> {
        self.set(brand, &SecretString::default(), Some(0))
    }
}

fn attributes(brand: &Brand) -> &'static str {
    if brand.is_https { "; Path=/; Secure; HttpOnly; SameSite=Lax" } else { "; Path=/; HttpOnly; SameSite=Lax" }
}

/// What the browser sent of this provider's.
pub fn browser(headers: &HeaderMap, brand: &Brand) -> Browser {
    let user_agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    Browser {
        session: sent(headers, &Cookie::Session.name(brand)),
        flow: sent(headers, &Cookie::Flow.name(brand)),
        device: sent(headers, &Cookie::Device.name(brand)),
        user_agent: user_agent.chars().take(USER_AGENT_LONGEST).collect(),
    }
}

/// The value of a cookie. One that came twice was set by two hands, and nobody can tell which one is
/// ours: it counts as none.
fn sent(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    // Pair by pair, as bytes: what another application of this host has set may be no text.
    let pairs = headers.get_all(header::COOKIE).flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
    let texts = pairs.filter_map(|pair| std::str::from_utf8(pair).ok());
    let mut values =
        texts.filter_map(|pair| pair.trim().split_once('=')).filter_map(|(own, value)| (own == name).then_some(value));
    let value = values.next()?;
    let is_ours = values.next().is_none() && (1..=LONGEST).contains(&value.len());
    is_ours.then(|| value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brand(is_https: bool) -> Brand {
        Brand {
            provider: "p1".into(),
            name: String::new(),
            logo_uri: None,
            color: None,
            is_https,
            base_path: String::new(),
        }
    }

    fn session(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
        }
        browser(&headers, &brand(true)).session.map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn attributes_follow_the_scheme_of_the_issuer() {
        let line = |https, max_age| {
            let value = Cookie::Session.set(&brand(https), &"abc".into(), max_age).unwrap();
            value.to_str().unwrap().to_owned()
        };
        let rest = "HttpOnly; SameSite=Lax";
        assert_eq!(line(true, Some(60)), format!("__Host-grantd-p1=abc; Path=/; Secure; {rest}; Max-Age=60"));
        assert_eq!(line(false, None), format!("grantd-p1=abc; Path=/; {rest}"));
        let dropped = Cookie::Flow.drop(&brand(true)).unwrap();
        assert_eq!(dropped.to_str().unwrap(), format!("__Host-grantd-flow-p1=; Path=/; Secure; {rest}; Max-Age=0"));
    }

    #[test]
    fn a_cookie_that_came_twice_is_none() {
        assert_eq!(session(&["a=b; __Host-grantd-p1=x"]).as_deref(), Some("x"));
        assert_eq!(session(&["__Host-grantd-p1=x; __Host-grantd-p1=y"]), None);
        assert_eq!(session(&["__Host-grantd-p1=x", "__Host-grantd-p1=x"]), None);
        assert_eq!(session(&["grantd-p1=x; __Host-grantd-p2=x; __host-grantd-p1=x"]), None);
        assert_eq!(session(&["__Host-grantd-p1="]), None);
        assert_eq!(session(&[&format!("__Host-grantd-p1={}", "x".repeat(LONGEST + 1))]), None);
    }
}
