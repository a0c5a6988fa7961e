//! An API behind Debian's nginx with the project's own example (`examples/nginx`), and what a client
//! of it may try.

use serde_json::{Value, json};

use crate::process::admin::Api;
use crate::support::client::{Answer, basic};
use crate::support::nginx::Nginx;
use crate::support::origin::{Asked, Origin, Reply};
use crate::support::process::{Home, Server, on_each};

/// As in the example.
const AUDIENCE: &str = "https://api.example.com";
const SCOPE: &str = "orders:read";

/// grantd, the API and nginx between a client and it.
struct Guarded {
    server: Server,
    management: Api,
    api: Origin,
    nginx: Nginx,
    /// May mint for the API.
    key: String,
    key_id: String,
}

impl Guarded {
    fn on(home: &Home) -> Self {
        let server = home.serve();
        let management = Api::of(home, &server);
        let fields = json!({"role": "member", "scope": "orders:read orders:write", "audience": [AUDIENCE, "https://other.example"]});
        let (key_id, key) = management.new_key(&fields);
        let api = Origin::answering(|asked: &Asked| match asked.path.as_str() {
            "/broken" => Reply::status(500),
            _ => Reply::json(json!({"method": asked.method, "body": asked.body})),
        });
        let nginx = Nginx::before(&format!("127.0.0.1:{}", api.port), server.http.address());
        Self { server, management, api, nginx, key, key_id }
    }

    /// An ephemeral token of that key.
    fn minted(&self, mut wish: Value) -> String {
        for (name, usual) in [("audience", AUDIENCE), ("scope", SCOPE)] {
            if wish[name].is_null() {
                wish[name] = json!(usual);
            }
        }
        let headers = [("authorization", &*format!("Bearer {}", self.key)), ("content-type", "application/json")];
        let made = self.server.http.call("POST", "/oauth2/mint", &headers, Some(wish.to_string().as_bytes()));
        made.expect(200).text_of("access_token")
    }

    fn call(&self, method: &str, path: &str, token: Option<&str>, headers: &[(&str, &str)]) -> Answer {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut all = headers.to_vec();
        all.extend(bearer.as_deref().map(|value| ("authorization", value)));
        let body = matches!(method, "POST" | "PUT").then_some(b"{\"amount\": 1}".as_slice());
        self.nginx.http.call(method, path, &all, body)
    }

    /// What the API was asked last, and how often it was asked.
    fn seen(&self) -> (Asked, usize) {
        let asked = self.api.asked();
        (asked.last().expect("the API was asked").clone(), asked.len())
    }
}

/// Every value of a header that the API got.
fn values<'a>(asked: &'a Asked, name: &str) -> Vec<&'a str> {
    let like = |own: &str| own.to_ascii_lowercase().replace('_', "-") == name;
    asked.headers.iter().filter(|(own, _)| like(own)).map(|(_, value)| value.as_str()).collect()
}

const FORGED: [(&str, &str); 8] = [
    ("X-Auth-Subject", "root"),
    ("x-auth-subject", "root"),
    ("X-Auth-Client", "root"),
    ("X-Auth-Scope", "everything"),
    ("X-Auth-Token-Id", "1"),
    ("X_Auth_Subject", "root"),
    ("X-Forwarded-Method", "OPTIONS"),
    ("X-Forwarded-For", "198.51.100.1"),
];

on_each! {
    fn nginx_lets_pass_what_grantd_lets_pass_and_says_who_it_is(home: Home) {
        let guarded = Guarded::on(&home);
        let token = guarded.minted(json!({}));
        let jti = crate::support::client::decoded(&token).1["jti"].as_str().unwrap().to_owned();
        let answer = guarded.call("POST", "/orders?tag=a&tag=b&audience=x&scope=y", Some(&token), &[]).expect(200);
        assert_eq!(answer.json(), json!({"method": "POST", "body": "{\"amount\": 1}"}));
        let (asked, count) = guarded.seen();
        assert_eq!((asked.path.as_str(), count), ("/orders?tag=a&tag=b&audience=x&scope=y", 1));
        for (name, value) in [
            ("x-auth-subject", guarded.key_id.as_str()), ("x-auth-client", &guarded.key_id), ("x-auth-scope", SCOPE),
            ("x-auth-token-id", &jti),
        ] {
            assert_eq!(values(&asked, name), [value], "{name}");
        }
        assert!(values(&asked, "authorization").is_empty(), "the API does not get the token");
        // A client's own token, of a client.
        let fields = json!({"scope": SCOPE, "audience": [AUDIENCE]});
        let (id, secret) = guarded.management.new_client(&fields);
        let of_client = guarded.server.http.form("/oauth2/token", Some(&basic(&id, &secret)), "grant_type=client_credentials");
        guarded.call("GET", "/", Some(&of_client.text_of("access_token")), &[]).expect(200);
        assert_eq!(values(&guarded.seen().0, "x-auth-client"), [id.as_str()]);
        // What the API itself answers is not touched.
        guarded.call("GET", "/broken", Some(&token), &[]).expect(500);
    }

    fn what_grantd_refuses_never_reaches_the_api(home: Home) {
        let guarded = Guarded::on(&home);
        let token = guarded.minted(json!({}));
        let elsewhere = guarded.minted(json!({"audience": "https://other.example"}));
        let writes_only = guarded.minted(json!({"scope": "orders:write"}));
        let invalid = (401, Some(r#"Bearer error="invalid_token""#));
        for (token, expected) in [(None, (401, Some("Bearer"))), (Some("x"), invalid), (Some(elsewhere.as_str()), invalid), (Some(writes_only.as_str()), (403, None))] {
            for method in ["GET", "POST", "DELETE"] {
                for headers in [&[][..], &FORGED] {
                    let answer = guarded.call(method, "/orders", token, headers);
                    assert_eq!((answer.status, answer.header("www-authenticate")), expected, "{answer:?}");
                }
            }
        }
        guarded.call("GET", "/_grantd", Some(&token), &[]).expect(404);
        guarded.server.http.form("/oauth2/revoke", Some(&format!("Bearer {}", guarded.key)), &format!("token={token}"));
        guarded.call("GET", "/orders", Some(&token), &[]).expect(401);
        assert!(guarded.api.asked().is_empty(), "{:?}", guarded.api.asked());
    }

    fn a_client_cannot_say_who_it_is_or_what_its_method_is(home: Home) {
        let guarded = Guarded::on(&home);
        let token = guarded.minted(json!({}));
        guarded.call("GET", "/orders", Some(&token), &FORGED).expect(200);
        let (asked, _) = guarded.seen();
        for name in ["x-auth-subject", "x-auth-client"] {
            assert_eq!(values(&asked, name), [guarded.key_id.as_str()], "{name}");
        }
        assert_eq!(values(&asked, "x-auth-scope"), [SCOPE]);
        assert!(values(&asked, "x-forwarded-method").is_empty());
        assert_eq!(values(&asked, "x-forwarded-for"), ["127.0.0.1"]);
        let readonly = guarded.minted(json!({"access": "readonly"}));
        for claimed in ["GET", "HEAD", "OPTIONS", "get"] {
            let claim = [("X-Forwarded-Method", claimed)];
            for method in ["POST", "PUT", "DELETE", "PATCH"] {
                guarded.call(method, "/orders", Some(&readonly), &claim).expect(403);
            }
            guarded.call("GET", "/orders", Some(&readonly), &claim).expect(200);
            guarded.call("GET", "/orders", None, &claim).expect(401);
        }
        guarded.call("GET", "/orders", Some(&readonly), &[("X-Forwarded-Method", "DELETE")]).expect(200);
        guarded.call("HEAD", "/orders", Some(&readonly), &[]).expect(200);
    }

    fn a_preflight_passes_without_a_token_and_spends_none(home: Home) {
        let guarded = Guarded::on(&home);
        guarded.call("OPTIONS", "/orders", None, &FORGED[..6]).expect(200);
        let (asked, _) = guarded.seen();
        assert_eq!(asked.method, "OPTIONS");
        for name in ["x-auth-subject", "x-auth-client", "x-auth-scope", "x-auth-token-id"] {
            assert!(values(&asked, name).is_empty(), "{name} of nobody: {asked:?}");
        }
        let once = guarded.minted(json!({"one_time": true}));
        for _ in 0..3 {
            guarded.call("OPTIONS", "/orders", Some(&once), &[]).expect(200);
        }
        guarded.call("GET", "/orders", Some(&once), &[]).expect(200);
        for method in ["GET", "POST", "OPTIONS"] {
            guarded.call(method, "/orders", Some(&once), &[]).expect(401);
        }
    }

    fn a_one_time_token_opens_the_api_once_and_not_by_a_refused_try(home: Home) {
        let guarded = Guarded::on(&home);
        let once = guarded.minted(json!({"one_time": true, "access": "readonly"}));
        guarded.call("POST", "/orders", Some(&once), &[]).expect(403);
        guarded.call("GET", "/orders", Some(&once), &[]).expect(200);
        guarded.call("GET", "/orders", Some(&once), &[]).expect(401);
        assert_eq!(guarded.seen().1, 1);
        assert_eq!(values(&guarded.seen().0, "x-auth-subject"), [guarded.key_id.as_str()]);
    }

    fn while_grantd_cannot_decide_nothing_passes(home: Home) {
        let mut guarded = Guarded::on(&home);
        let token = guarded.minted(json!({}));
        guarded.server.kill();
        for method in ["GET", "POST", "OPTIONS"] {
            let answer = guarded.call(method, "/orders", Some(&token), &[]).expect(503);
            assert_eq!((answer.header("retry-after"), answer.header("cache-control")), (Some("1"), Some("no-store")));
        }
        assert!(guarded.api.asked().is_empty());
    }
}
