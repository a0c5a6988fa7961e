//! A plain HTTP client for tests from the outside: every status is an answer, no proxy, and bytes
//! on a socket where a client library would tidy them up.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use ureq::http::Request;

/// One server as its clients reach it.
#[derive(Clone)]
pub struct Http {
    pub base: String,
    agent: ureq::Agent,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub text: String,
}

impl Http {
    pub fn to(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A connection that the server closed meanwhile is no answer of it.
            .max_idle_connections(0)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self { base: base.to_owned(), agent: config.into() }
    }

    /// Sends anything; the error says that there was no complete answer.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Result<Answer, String> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = match body {
            Some(body) => self.agent.run(request.body(body).unwrap()),
            None => self.agent.run(request.body(()).unwrap()),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let status = answer.status().as_u16();
        let headers = answer.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
        let headers = headers.collect();
        let text = answer.body_mut().read_to_string().map_err(|error| error.to_string())?;
        Ok(Answer { status, headers, text })
    }

    pub fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Answer {
        self.send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    pub fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], None)
    }

    pub fn form(&self, path: &str, authorization: Option<&str>, body: &str) -> Answer {
        self.try_form(path, authorization, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    pub fn try_form(&self, path: &str, authorization: Option<&str>, body: &str) -> Result<Answer, String> {
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded")];
        headers.extend(authorization.map(|value| ("authorization", value)));
        self.send("POST", path, &headers, Some(body.as_bytes()))
    }

    /// client_credentials with the secret in a Basic header, at provider `default`.
    pub fn token(&self, client: &str, secret: &str) -> Answer {
        self.token_at("", client, secret)
    }

    /// The same at a provider: `/p/<slug>`.
    pub fn token_at(&self, provider: &str, client: &str, secret: &str) -> Answer {
        let path = format!("{provider}/oauth2/token");
        self.form(&path, Some(&basic(client, secret)), "grant_type=client_credentials")
    }

    /// Whether the token is active, as a management key sees it.
    pub fn is_active(&self, provider: &str, key: &str, token: &str) -> bool {
        let path = format!("{provider}/oauth2/introspect");
        let answer = self.form(&path, Some(&format!("Bearer {key}")), &format!("token={token}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["active"] == true
    }

    /// The kids that are published.
    pub fn kids(&self, provider: &str) -> Vec<String> {
        let keys = self.get(&format!("{provider}/.well-known/jwks.json")).json();
        let keys = keys["keys"].as_array().expect("a list of keys").clone();
        keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
    }

    /// The socket address.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).expect("no connection");
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }
}

pub fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its member of this name as text.
    pub fn text_of(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// RFC 6749 §2.3.1; ids and secrets of tests need no form encoding.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// Header and claims of a JWT, unverified.
pub fn decoded(jwt: &str) -> (Value, Value) {
    let part = |n: usize| {
        let bytes = URL_SAFE_NO_PAD.decode(jwt.split('.').nth(n).expect("three parts")).expect("base64url");
        serde_json::from_slice(&bytes).expect("JSON")
    };
    (part(0), part(1))
}
