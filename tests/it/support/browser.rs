//! A browser without script, in process: cookies, redirects within the server, and forms filled in
//! by the fields they have. And the ways to a code and to tokens that tests of people begin with.

use std::cell::RefCell;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::support::app::{TestApp, TestClient};
use crate::support::http::Answer;

/// The verifier of RFC 7636 appendix B, and its challenge.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub const CALLBACK: &str = "https://app.example.com/cb";
pub const PASSWORD: &str = "correct horse battery staple";

/// One browser: its cookies.
pub struct Browser<'a> {
    app: &'a TestApp,
    cookies: RefCell<BTreeMap<String, String>>,
    address: String,
}

/// Where a journey ended.
pub enum Arrived {
    /// A page of the server.
    Page { path: String, answer: Answer },
    /// The browser would leave the server for this URL.
    Left(String),
}

impl<'a> Browser<'a> {
    pub fn new(app: &'a TestApp) -> Self {
        Self::at(app, "203.0.113.9")
    }

    pub fn at(app: &'a TestApp, address: &str) -> Self {
        Self { app, cookies: RefCell::default(), address: address.to_owned() }
    }

    /// One request, nothing followed.
    pub async fn send(&self, method: &str, path: &str, fields: Option<&[(&str, &str)]>) -> Answer {
        let mut call = self.app.call(method, path).at_address(&self.address).header("user-agent", "Test/1.0");
        let cookies: Vec<String> =
            self.cookies.borrow().iter().map(|(name, value)| format!("{name}={value}")).collect();
        if !cookies.is_empty() {
            call = call.header("cookie", &cookies.join("; "));
        }
        if let Some(fields) = fields {
            call = call.form(fields);
        }
        let answer = call.send().await;
        self.keep_cookies(&answer);
        answer
    }

    fn keep_cookies(&self, answer: &Answer) {
        for line in answer.headers.get_all("set-cookie") {
            let line = line.to_str().unwrap();
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.to_ascii_lowercase().contains("max-age=0") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
        }
    }

    pub fn cookies(&self) -> BTreeMap<String, String> {
        self.cookies.borrow().clone()
    }

    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// GET, following redirects of the server to itself.
    pub async fn open(&self, path: &str) -> Arrived {
        let answer = self.send("GET", path, None).await;
        self.follow(path.to_owned(), answer).await
    }

    async fn follow(&self, mut path: String, mut answer: Answer) -> Arrived {
        for _ in 0..8 {
            let to = answer.header("location").to_owned();
            if to.is_empty() {
                return Arrived::Page { path, answer };
            }
            assert!(matches!(answer.status, 302 | 303), "a redirect of status {}", answer.status);
            if !to.starts_with('/') {
                return Arrived::Left(to);
            }
            answer = self.send("GET", &to, None).await;
            path = to;
        }
        panic!("too many redirects");
    }

    /// Fills in the form with this id on a page and submits it.
    pub async fn submit(&self, page: &Arrived, form: &str, values: &[(&str, &str)]) -> Arrived {
        let Arrived::Page { answer, .. } = page else { panic!("not a page: {}", page.left()) };
        let (action, mut fields) = form_of(&answer.text(), form);
        for (name, value) in values {
            fields.retain(|(own, _)| own != name);
            fields.push(((*name).to_owned(), (*value).to_owned()));
        }
        let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = self.send("POST", &action, Some(&pairs)).await;
        self.follow(action, answer).await
    }

    /// Logs in on the login page that is shown.
    pub async fn log_in(&self, page: &Arrived, username: &str, password: &str) -> Arrived {
        self.submit(page, "login-form", &[("username", username), ("password", password)]).await
    }

    /// From an authorization request to the answer that leaves, logging in if asked.
    pub async fn authorize(&self, path: &str, username: &str) -> Arrived {
        let arrived = self.open(path).await;
        match &arrived {
            Arrived::Page { answer, .. } if answer.text().contains("login-form") => {
                self.log_in(&arrived, username, PASSWORD).await
            }
            _ => arrived,
        }
    }
}

impl Arrived {
    /// The URL the browser leaves for.
    #[track_caller]
    pub fn left(&self) -> &str {
        match self {
            Self::Left(url) => url,
            Self::Page { path, answer } => panic!("still at {path}: {} {}", answer.status, answer.text()),
        }
    }

    /// A parameter of the URL the browser leaves for.
    #[track_caller]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let url = Url::parse(self.left()).unwrap();
        url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }

    #[track_caller]
    pub fn code(&self) -> String {
        self.parameter("code").unwrap_or_else(|| panic!("no code in {}", self.left()))
    }

    #[track_caller]
    pub fn error(&self) -> String {
        self.parameter("error").unwrap_or_else(|| panic!("no error in {}", self.left()))
    }

    #[track_caller]
    pub fn page(&self) -> &Answer {
        match self {
            Self::Page { answer, .. } => answer,
            Self::Left(url) => panic!("left for {url}"),
        }
    }

    /// Whether it is the page with this form.
    pub fn shows(&self, form: &str) -> bool {
        matches!(self, Self::Page { answer, .. } if answer.text().contains(&format!("id=\"{form}\"")))
    }
}

/// `/oauth2/authorize?…` with what a good request has; `more` replaces or adds, an empty value
/// leaves out.
pub fn authorize_path(base: &str, client: &TestClient, more: &[(&str, &str)]) -> String {
    let mut fields: BTreeMap<&str, &str> = BTreeMap::from([
        ("client_id", client.id.as_str()),
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "openid"),
        ("state", "af0ifjsldkj"),
        ("nonce", "n-0S6_WzA2Mj"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    fields.extend(more.iter().copied());
    fields.retain(|_, value| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    format!("{base}/oauth2/authorize?{query}")
}

/// Action and fields of the form with this id.
fn form_of(page: &str, id: &str) -> (String, Vec<(String, String)>) {
    let marker = format!("id=\"{id}\"");
    let at = page.find(&marker).unwrap_or_else(|| panic!("no form {id} in {page}"));
    let start = page[..at].rfind("<form").unwrap();
    let end = start + page[start..].find("</form>").unwrap();
    let form = &page[start..end];
    let action = attribute(form, "action").expect("a form without action");
    let mut fields = Vec::new();
    for input in form.split("<input").skip(1) {
        let tag = &input[..input.find('>').unwrap()];
        if let Some(name) = attribute(tag, "name") {
            fields.push((name, attribute(tag, "value").unwrap_or_default()));
        }
    }
    (action, fields)
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = &tag[tag.find(&format!(" {name}=\""))? + name.len() + 3..];
    Some(unescaped(&rest[..rest.find('"')?]))
}

fn unescaped(text: &str) -> String {
    let named = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&lt;", "<"), ("&gt;", ">")];
    let text = named.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&quot;", "\"").replace("&#38;", "&").replace("&amp;", "&")
}

impl TestApp {
    /// Makes an account of provider `default` with the password of the tests.
    pub async fn person(&self, username: &str) -> Value {
        self.person_at("default", username, json!({})).await
    }

    pub async fn person_at(&self, provider: &str, username: &str, mut fields: Value) -> Value {
        fields["username"] = json!(username);
        fields["password"] = json!(PASSWORD);
        let answer = self.admin("POST", &format!("/providers/{provider}/users")).json(&fields).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// A confidential web application: code and refresh, the usual scopes.
    pub async fn web_client(&self, more: Value) -> TestClient {
        self.web_client_of("default", more).await
    }

    pub async fn web_client_of(&self, provider: &str, more: Value) -> TestClient {
        let mut fields = json!({
            "client_name": "Example app",
            "grant_types": ["authorization_code", "refresh_token"],
            "redirect_uris": [CALLBACK],
            "post_logout_redirect_uris": ["https://app.example.com/bye"],
            "scope": "openid profile email offline_access",
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            fields[name] = value.clone();
        }
        self.client_of(provider, fields).await
    }

    /// Redeems a code as this client, public or confidential.
    pub async fn redeem(&self, base: &str, client: &TestClient, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.as_client(base, client, &fields).await
    }

    pub async fn refresh(&self, base: &str, client: &TestClient, token: &str) -> Answer {
        self.as_client(base, client, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    pub async fn as_client(&self, base: &str, client: &TestClient, fields: &[(&str, &str)]) -> Answer {
        let call = self.post(&format!("{base}/oauth2/token"));
        if client.secret.is_empty() {
            let mut fields = fields.to_vec();
            fields.push(("client_id", &client.id));
            return call.form(&fields).send().await;
        }
        call.form(fields).basic(&client.id, &client.secret).send().await
    }

    /// Tokens of a fresh login with these parameters.
    pub async fn login_tokens(&self, client: &TestClient, username: &str, more: &[(&str, &str)]) -> Value {
        let browser = Browser::new(self);
        let code = browser.authorize(&authorize_path("", client, more), username).await.code();
        let answer = self.redeem("", client, &code).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }
}

/// The claims of a JWT, unverified.
pub fn claims(jwt: &str) -> Value {
    let payload = jwt.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}
