//! A server that is managed over the network. The key goes to that server only: no redirect is
//! followed, and without TLS it goes to loopback alone.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_MATCH, RETRY_AFTER};
use reqwest::{Client, Method, Response, redirect};
use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::app;
use crate::cli::CliError;
use crate::cli::call::{Answer, Call};
use crate::cli::problem::error_of;
use crate::domain::Wall;
use crate::domain::clock::SystemWall;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Of one answer, bytes: 500 items of a list are far smaller.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Before a call that makes something is sent once more: a server that restarts is back by then.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// How often such a call goes out whole at most: each may take as long as `--timeout`.
const MOST_SENT: u32 = 3;

pub struct Remote {
    /// Without a slash at the end.
    base: String,
    key: SecretString,
    client: Client,
}

impl Remote {
    /// `server` is the public URL.
    pub fn new(server: &str, key: SecretString, allow_http: bool, timeout: Duration) -> Result<Self, CliError> {
        let url = judged(server, allow_http)?;
        let failed = |error: &dyn std::error::Error| CliError::Refused(format!("TLS cannot be set up: {error}"));
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .and_then(BuilderVerifierExt::with_platform_verifier)
            .map_err(|error| failed(&error))?
            .with_no_client_auth();
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .referer(false)
            .http1_only()
            .user_agent(concat!("grantd/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout);
        if is_loopback(&url) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| failed(&error))?;
        Ok(Self { base: url.as_str().trim_end_matches('/').to_owned(), key, client })
    }

    /// A call that makes something is sent again where its answer was lost, and then makes nothing more.
    pub async fn call(&self, call: &Call) -> Result<Answer, CliError> {
        if !(call.once && call.writes()) {
            return match self.send(call, None).await {
                Ok(answer) if answer.is_of_a_gateway() && call.writes() => Err(maybe_done(&error_of(&answer), None)),
                Err(Lost { error, may_have_arrived: true }) if call.writes() => Err(maybe_done(&error, None)),
                Err(Lost { error, .. }) => Err(error),
                Ok(answer) => Ok(answer),
            };
        }
        let random = || app::request_ids(app::system_random())(SystemWall.now());
        let key = call.once_key.clone().unwrap_or_else(random);
        let mut pauses = PAUSES.iter();
        // How often it went out whole. From then on nobody knows, until the server itself says something.
        let mut sent = 0;
        loop {
            let unknown = match self.send(call, Some(&key)).await {
                Ok(answer) if answer.is_of_a_gateway() => {
                    sent += 1;
                    error_of(&answer)
                }
                // Busy, or still with the first one.
                Ok(answer) if sent > 0 && (matches!(answer.status, 429 | 503) || is_under_way(&answer)) => {
                    error_of(&answer)
                }
                Ok(answer) => return Ok(answer),
                Err(Lost { error, may_have_arrived }) => {
                    sent += u32::from(may_have_arrived);
                    error
                }
            };
            if sent == 0 {
                return Err(unknown);
            }
            match pauses.next() {
                Some(pause) if sent < MOST_SENT => tokio::time::sleep(*pause).await,
                _ => return Err(maybe_done(&unknown, Some(key))),
            }
        }
    }

    async fn send(&self, call: &Call, once: Option<&str>) -> Result<Answer, Lost> {
        let method = Method::from_bytes(call.verb.name().as_bytes());
        let method = method.map_err(|_| CliError::Usage("no such method".to_owned()))?;
        let mut request = self.client.request(method, format!("{}{}", self.base, call.target()));
        request = request.header(AUTHORIZATION, bearer(&self.key)?);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        if let Some(value) = once {
            request = request.header("idempotency-key", value);
        }
        if let Some(tag) = &call.if_match {
            request = request.header(IF_MATCH, tag);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status().as_u16();
        let (etag, retry_after) = (header(answer.headers(), ETAG), header(answer.headers(), RETRY_AFTER));
        Ok(Answer { status, etag, retry_after, body: self.body(answer).await? })
    }

    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, Lost> {
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreachable(&error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(CliError::Refused("the answer is larger than 64 MiB".to_owned()).into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Lost {
        if error.is_builder() {
            let why = "the call cannot be written as HTTP: a value has characters that no header takes";
            return CliError::Usage(why.to_owned()).into();
        }
        let why = if error.is_timeout() { "took too long".to_owned() } else { root_cause(error) };
        let error_said = CliError::Unreachable(format!("{} is not reached: {why}", self.base));
        Lost { error: error_said, may_have_arrived: !error.is_connect() }
    }
}

/// A call without an answer.
struct Lost {
    error: CliError,
    /// Nobody knows whether the server has done it.
    may_have_arrived: bool,
}

impl From<CliError> for Lost {
    fn from(error: CliError) -> Self {
        Self { error, may_have_arrived: false }
    }
}

fn maybe_done(error: &CliError, key: Option<String>) -> CliError {
    CliError::MaybeDone { why: error.to_string(), key }
}

/// The server still works on the first one.
fn is_under_way(answer: &Answer) -> bool {
    answer.status == 409 && answer.retry_after.is_some()
}

/// The innermost cause: "connection refused", "invalid peer certificate: UnknownIssuer".
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn bearer(key: &SecretString) -> Result<HeaderValue, CliError> {
    let value = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()));
    let mut value = value.map_err(|_| CliError::Usage("the API key has characters that no header takes".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

fn judged(server: &str, allow_http: bool) -> Result<Url, CliError> {
    let refused = |why: &str| Err(CliError::Usage(format!("--server {why}")));
    let Ok(url) = Url::parse(server) else { return refused("must be a URL, as https://id.example.com") };
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return refused("must be a URL without user, query and fragment");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if allow_http || is_loopback(&url) => Ok(url),
        "http" => refused("is plain http, and the API key could be read on the way: use https, or say --allow-http"),
        _ => refused("must begin with https://"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_goes_in_the_clear_to_this_machine_only() {
        for good in [
            "https://id.example.com",
            "https://id.example.com/auth/",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(judged(good, false).is_ok(), "{good}");
        }
        for bad in [
            "http://id.example.com",
            "http://127.0.0.1.example.com",
            "ftp://localhost",
            "id.example.com",
            "https://u:p@id.example.com",
            "https://id.example.com/?a",
        ] {
            assert!(matches!(judged(bad, false), Err(CliError::Usage(_))), "{bad}");
        }
        assert!(judged("http://id.example.com", true).is_ok());
    }
}
