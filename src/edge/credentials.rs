//! Finds who a caller claims to be, in one place, and refuses two claims at once
//! (RFC 6749 §2.3: a client must not use more than one method in a request).

use actix_web::http::header::{self, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use url::form_urlencoded;

use crate::domain::grant::{PresentedClient, SecretVia};
use crate::domain::{ClientId, Refusal, RefusalKind};
use crate::edge::form::Form;

/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An `Authorization` header, taken apart.
#[derive(Debug)]
pub enum Authorization {
    Basic {
        user: String,
        password: SecretString,
    },
    /// `Bearer`, or `Token` as API keys may also be sent.
    Bearer(SecretString),
}

/// The `Authorization` header, `None` if there is none. Scheme names in any letter case
/// (RFC 9110 §11.1).
pub fn authorization(headers: &HeaderMap) -> Result<Option<Authorization>, Refusal> {
    let mut lines = headers.get_all(header::AUTHORIZATION);
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Refusal::malformed("More than one Authorization header."));
    }
    let text = line.to_str().map_err(|_| unreadable())?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(unreadable)?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("basic") {
        basic(rest).map(Some)
    } else if (scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token")) && !rest.is_empty() {
        Ok(Some(Authorization::Bearer(rest.into())))
    } else {
        Err(unreadable())
    }
}

/// The API key of a management call; another scheme is none.
pub fn bearer(headers: &HeaderMap) -> Result<Option<SecretString>, Refusal> {
    match authorization(headers)? {
        Some(Authorization::Bearer(key)) => Ok(Some(key)),
        Some(Authorization::Basic { .. }) | None => Ok(None),
    }
}

/// The API key of a surface whose clients send it as `Token <key>`, `Bearer <key>` or bare. Scheme
/// names in any letter case.
pub fn api_key(headers: &HeaderMap) -> Result<SecretString, Refusal> {
    let missing = || Refusal::new(RefusalKind::MissingCredentials, "An API key is needed.");
    let invalid = || Refusal::new(RefusalKind::InvalidApiKey, "The API key is not valid.").about("unreadable API key");
    let mut lines = headers.get_all(header::AUTHORIZATION);
    let line = lines.next().ok_or_else(missing)?;
    if lines.next().is_some() {
        return Err(Refusal::malformed("More than one Authorization header."));
    }
    let text = line.to_str().map_err(|_| invalid())?.trim();
    let key = match text.split_once(' ') {
        None => text,
        Some((scheme, rest)) if ["token", "bearer"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            rest.trim()
        }
        Some(_) => return Err(invalid()),
    };
    if key.is_empty() { Err(missing()) } else { Ok(key.into()) }
}

/// The client of a standard endpoint: Basic header, body secret, assertion, or a bare `client_id`.
/// A bearer credential is an API key; whether one may stand here is for the engine to say.
pub fn presented(headers: &HeaderMap, form: &Form<'_>) -> Result<PresentedClient, Refusal> {
    let header = authorization(headers)?;
    let body_secret = form.get("client_secret");
    let assertion = assertion(form)?;
    let ways = [header.is_some(), body_secret.is_some(), assertion.is_some()];
    if ways.into_iter().filter(|used| *used).count() > 1 {
        return Err(Refusal::malformed("More than one way of client authentication."));
    }
    let client_id = form.get("client_id");
    match (header, body_secret, assertion) {
        (Some(Authorization::Basic { user, password }), _, _) => {
            same_client(client_id, &user)?;
            Ok(PresentedClient::Secret { client_id: user.into(), secret: password, via: SecretVia::Basic })
        }
        (Some(Authorization::Bearer(key)), _, _) => Ok(PresentedClient::ApiKey { key }),
        (_, Some(secret), _) => {
            let client_id = client_id.ok_or_else(|| Refusal::invalid_client("client_secret without client_id"))?;
            Ok(PresentedClient::Secret { client_id: client_id.into(), secret: secret.into(), via: SecretVia::Post })
        }
        (_, _, Some(jwt)) => Ok(PresentedClient::Assertion { jwt, client_id: client_id.map(ClientId::from) }),
        (None, None, None) => {
            let client_id = client_id.ok_or_else(|| Refusal::invalid_client("no client authentication"))?;
            Ok(PresentedClient::Bare { client_id: client_id.into() })
        }
    }
}

/// Whether nothing at all says who the client is.
pub fn names_nobody(headers: &HeaderMap, form: &Form<'_>) -> bool {
    let in_body = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];
    !headers.contains_key(header::AUTHORIZATION) && in_body.iter().all(|name| form.get(name).is_none())
}

fn assertion(form: &Form<'_>) -> Result<Option<SecretString>, Refusal> {
    match (form.get("client_assertion_type"), form.get("client_assertion")) {
        (None, None) => Ok(None),
        (Some(ASSERTION_TYPE), Some(jwt)) => Ok(Some(jwt.into())),
        _ => Err(Refusal::invalid_client("client_assertion and its type do not fit together")),
    }
}

/// RFC 6749 §2.3.1: user and password are form-encoded before they are put together.
fn basic(encoded: &str) -> Result<Authorization, Refusal> {
    let decoded = STANDARD.decode(encoded).map_err(|_| unreadable())?;
    let text = String::from_utf8(decoded).map_err(|_| unreadable())?;
    let (user, password) = text.split_once(':').ok_or_else(unreadable)?;
    let (user, password) = (form_decode(user)?, form_decode(password)?);
    if user.is_empty() {
        return Err(unreadable());
    }
    Ok(Authorization::Basic { user, password: password.into() })
}

fn form_decode(text: &str) -> Result<String, Refusal> {
    // Generated ids and secrets hold nothing that is ever encoded.
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        return Ok(text.to_owned());
    }
    // The parser splits at `&` and `=`; here both are plain characters.
    let shielded = text.replace('&', "%26").replace('=', "%3D");
    let decoded = form_urlencoded::parse(shielded.as_bytes()).next().map(|(name, _)| name.into_owned());
    let decoded = decoded.unwrap_or_default();
    if decoded.contains(['\u{FFFD}', '\0']) { Err(unreadable()) } else { Ok(decoded) }
}

fn same_client(in_body: Option<&str>, authenticated: &str) -> Result<(), Refusal> {
    match in_body {
        Some(other) if other != authenticated => {
            Err(Refusal::malformed("client_id differs from the authenticated client."))
        }
        _ => Ok(()),
    }
}

fn unreadable() -> Refusal {
    Refusal::invalid_client("unreadable Authorization header")
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use secrecy::ExposeSecret;

    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    fn basic_header(plain: &str) -> HeaderMap {
        headers(&[&format!("Basic {}", STANDARD.encode(plain))])
    }

    #[test]
    fn basic_user_and_password_are_form_decoded() {
        let found = authorization(&basic_header("a%3Ab:s%20e+c=r&et")).unwrap();
        let Some(Authorization::Basic { user, password }) = found else { panic!("{found:?}") };
        assert_eq!(user, "a:b");
        assert_eq!(password.expose_secret(), "s e c=r&et");
    }

    #[test]
    fn scheme_names_come_in_any_letter_case() {
        assert!(matches!(authorization(&headers(&["bEaReR abc"])), Ok(Some(Authorization::Bearer(_)))));
    }

    #[test]
    fn an_api_key_comes_with_a_scheme_or_bare() {
        for line in ["Token gk_x", "token  gk_x", "TOKEN gk_x", "Bearer gk_x", "bearer gk_x", "gk_x", " gk_x "] {
            assert_eq!(api_key(&headers(&[line])).unwrap().expose_secret(), "gk_x", "{line}");
        }
        let kind = |lines: &[&str]| api_key(&headers(lines)).unwrap_err().kind;
        assert_eq!(kind(&[]), RefusalKind::MissingCredentials);
        assert_eq!(kind(&[""]), RefusalKind::MissingCredentials);
        assert_eq!(kind(&["Basic YTpi"]), RefusalKind::InvalidApiKey);
        assert_eq!(kind(&["gk_x gk_x"]), RefusalKind::InvalidApiKey);
        assert_eq!(kind(&["gk_x", "gk_x"]), RefusalKind::MalformedRequest);
    }

    #[test]
    fn broken_headers_are_refused_as_a_failed_client() {
        for bad in ["Basic", "Basic !!!", "Basic YQ==", "Digest x", "Bearer ", "Basic Og=="] {
            assert!(authorization(&headers(&[bad])).is_err(), "{bad}");
        }
        assert!(authorization(&headers(&["Bearer a", "Bearer a"])).is_err());
    }

    #[test]
    fn two_ways_at_once_are_refused() {
        let form = Form::parse(b"client_id=a&client_secret=b").unwrap();
        assert!(presented(&basic_header("a:b"), &form).is_err());
        let form = Form::parse(b"client_id=other").unwrap();
        assert!(presented(&basic_header("a:b"), &form).is_err());
        let form = Form::parse(b"client_id=a").unwrap();
        assert!(presented(&basic_header("a:b"), &form).is_ok());
    }

    #[test]
    fn an_assertion_needs_its_type() {
        for bad in ["client_assertion=x", "client_assertion=x&client_assertion_type=y"] {
            assert!(presented(&HeaderMap::new(), &Form::parse(bad.as_bytes()).unwrap()).is_err(), "{bad}");
        }
    }
}
