//! No log line of ours ever carries a secret: requests of every kind, good and bad, with all that
//! is logged at level trace kept and searched.

use std::sync::{Mutex, Once, PoisonError};

use actix_web::{HttpRequest, HttpResponse, web};
use diesel::{QueryableByName, RunQueryDsl};
use grantd::admin::Admin;
use grantd::domain::{Failed, Fault};
use grantd::edge::{Received, exchange};
use serde_json::{Value, json};

use crate::support::app::{ISSUER, Setup, TestApp, TestClient, on_both_apps};
use crate::support::databases::soon;
use crate::support::jose::Signer;
use crate::support::origin::{Origin, Reply};
use crate::support::people::{Wish, text};

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keeping;

impl log::Log for Keeping {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("grantd") || metadata.target() == "access"
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            struct Pairs(String);
            impl<'kvs> log::kv::VisitSource<'kvs> for Pairs {
                fn visit_pair(
                    &mut self,
                    key: log::kv::Key<'kvs>,
                    value: log::kv::Value<'kvs>,
                ) -> Result<(), log::kv::Error> {
                    self.0.push_str(&format!(" {key}={value}"));
                    Ok(())
                }
            }
            let mut pairs = Pairs(String::new());
            record.key_values().visit(&mut pairs).ok();
            let line = format!("{} {}{}", record.target(), record.args(), pairs.0);
            LINES.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    }

    fn flush(&self) {}
}

fn keep_lines() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        log::set_boxed_logger(Box::new(Keeping)).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// Everything that was logged so far, by any test of this process.
fn lines() -> Vec<String> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn carries(lines: &[String], secret: &str) -> Option<String> {
    lines.iter().find(|line| line.contains(secret)).cloned()
}

const PASSWORD: &str = "correct horse bättery";
const HASH: &str = "$2b$05$qKkO.B9vLtfH9xHWlpCTcudjTlMQEDIRXceIhww0HK1kqCTmjd4AK";

/// Every text of events, explanations and webhooks as it lies in the database.
async fn kept_texts(app: &TestApp) -> Vec<String> {
    #[derive(QueryableByName)]
    struct Kept {
        #[diesel(sql_type = diesel::sql_types::Text)]
        kept: String,
    }
    const SQL: &str = "/* a test */ SELECT actor || ' ' || action || ' ' || target || ' ' || request_id || ' ' || details AS kept \
        FROM events UNION ALL SELECT request_id || ' ' || body FROM explanations \
        UNION ALL SELECT url || ' ' || events FROM webhooks UNION ALL SELECT COALESCE(error, '') FROM webhook_deliveries";
    let read = |conn: &mut grantd::store::Conn| Ok(diesel::sql_query(SQL).load::<Kept>(conn)?);
    let rows = app.engine.db().read(soon(), read).await.unwrap();
    rows.into_iter().map(|row| row.kept).collect()
}

/// Passwords right, wrong and in the wrong place, until they are slowed.
async fn log_people_in(app: &TestApp) {
    let users = "/providers/default/users";
    let client = app.client(json!({"grant_types": ["password"], "token_endpoint_auth_method": "none"})).await;
    let made = app.admin("POST", users).json(&json!({"username": "eve", "password_hash": HASH})).send().await.json();
    let set = format!("{users}/{}/password", made["id"].as_str().unwrap());
    app.admin("POST", users)
        .json(&json!({"username": PASSWORD, "password": "somebody-typed-this", "password_hash": HASH}))
        .send()
        .await;
    let tries = [("eve", PASSWORD), (PASSWORD, "x"), ("somebody-typed-this", "x")];
    let guesses = [("eve", "a wrong password of somebody"); 12];
    for (name, password) in tries.into_iter().chain(guesses) {
        let form = [("grant_type", "password"), ("username", name), ("password", password), ("client_id", &client.id)];
        app.post("/oauth2/token").form(&form).send().await;
    }
    app.admin("POST", &set).json(&json!({"password": PASSWORD})).send().await;
    app.admin("POST", &set).json(&json!({"password": PASSWORD, "password_hash": HASH})).send().await;
}

/// Fails with what was sent, as a driver may that repeats a statement.
async fn fails(request: HttpRequest, payload: web::Payload) -> HttpResponse {
    exchange::<Admin>(request, payload, async |received: &Received| -> Result<HttpResponse, Failed> {
        let said = String::from_utf8_lossy(&received.body).into_owned();
        Err(match received.request.path() {
            "/fails/store" => Fault::store(said),
            "/fails/crypto" => Fault::crypto(said),
            "/fails/upstream" => Fault::upstream(said),
            _ => panic!("{said}"),
        }
        .into())
    })
    .await
}

/// Each token surface, asked well and badly; the tokens and keys it gave.
async fn use_token_surfaces(app: &TestApp, key: &str, client: &TestClient) -> Vec<String> {
    let token = |answer: Value, name: &str| answer[name].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    let bare = |method: &str, path: &str| app.call(method, path).header("authorization", key);
    let grant = "/v1/auth/grant";
    let mut made = vec![token(bare("POST", grant).send().await.json(), "access_token")];
    bare("POST", grant).body("", format!("{{\"ttl_seconds\": \"{key}\"}}")).send().await;
    bare("POST", grant).body("", key).send().await;
    let project = &bare("GET", "/v1/projects").send().await.json()["projects"][0]["project_id"];
    let keys = format!("/v1/projects/{}/keys", project.as_str().unwrap());
    made.push(token(bare("POST", &keys).json(&json!({"scopes": ["member"]})).send().await.json(), "key"));
    bare("POST", &keys).json(&json!({"scopes": [key], "comment": 7, "expiration_date": key})).send().await;
    for query in ["", "one_time=false"] {
        let path = format!("/security/generate-token?{query}");
        made.push(token(bare("GET", &path).send().await.json(), "data"));
    }
    bare("GET", &format!("/security/generate-token?access={key}")).send().await;
    let form = [("grant_type", "client_credentials"), ("client_id", &client.id), ("client_secret", &client.secret)];
    made.push(token(app.post("/api/v1/auth/tokens").form(&form).send().await.json(), "access_token"));
    app.post("/api/v1/auth/tokens").body("", &client.secret).send().await;
    let named = json!({"name": "Acme", "description": "x", "audience": "sts.example.com"});
    let managed = |path: String| app.post(&path).bearer(key);
    let id = async |path: String| text(&managed(path).json(&named).send().await.json(), "id");
    let clients = format!("/v1/providers/{}/clients", id("/v1/providers".to_owned()).await);
    let tokens = format!("{clients}/{}/tokens", id(clients.clone()).await);
    made.push(token(managed(tokens.clone()).send().await.json(), "accessToken"));
    managed(tokens).json(&json!({"expiresIn": key, "useJwtType": key})).send().await;
    let validate = format!("/v1/tenants/{}/validate", id("/v1/tenants".to_owned()).await);
    for token in made.clone() {
        managed(validate.clone()).json(&json!({"tenantProviderPolicyId": token, "token": token})).send().await;
        app.post(&clients).bearer(&token).json(&json!({"name": token, "audience": [token]})).send().await;
    }
    made
}

on_both_apps! {
    async fn a_credential_in_what_failed_is_told_nowhere(app: TestApp) {
        keep_lines();
        fn routes(config: &mut web::ServiceConfig) {
            config.route("/fails/{how}", web::post().to(fails));
        }
        let environment = &[("GRANTD_EXPLAIN_RATE", "10000")];
        let app = app.started_again_as(Setup { environment, routes, ..Setup::default() }).await;
        let secret = app.client(json!({})).await.secret;
        for how in ["store", "crypto", "upstream", "panic"] {
            let said = format!("{how} said no to 'x-{secret}' and \"{secret}\"");
            let answer = app.post(&format!("/fails/{how}")).body("text/plain", said).send().await;
            assert!(answer.status == 500 && !answer.text().contains(&secret), "{}", answer.text());
        }
        app.tick().await;
        let (kept, lines) = (kept_texts(&app).await, lines());
        for how in ["store", "crypto", "upstream", "panic"] {
            let line = carries(&lines, &format!("{how} said no to '"));
            assert!(line.is_some_and(|line| line.contains("(looks like a secret)")), "{how} was not logged");
        }
        assert_eq!((carries(&kept, &secret), carries(&lines, &secret)), (None, None));
    }

    async fn a_credential_within_something_else_is_told_nowhere(app: TestApp) {
        keep_lines();
        let setup = Setup { environment: &[("GRANTD_EXPLAIN_RATE", "10000")], ..Setup::default() };
        let app = app.started_again_as(setup).await;
        let client = app.client(json!({})).await;
        let TestClient { id, secret, .. } = &client;
        let (web, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        let refresh = text(&app.tokens(&web, &who, &Wish::default()).await, "refresh_token");
        let grant = ("grant_type", "client_credentials");
        let mut answers = Vec::new();
        for within in [secret.clone(), format!("x-{secret}"), format!("urn:x{secret}:y"), format!("https://x.example/a-{secret}/b")] {
            let own = |more: (&'static str, &str)| app.post("/oauth2/token").form(&[grant, more]).basic(id, secret).send();
            answers.push(own(("scope", &within)).await);
            answers.push(own(("resource", &within)).await);
            let named = json!({within.as_str(): "no field"});
            answers.push(app.admin("POST", "/providers/default/clients").json(&named).send().await);
            let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str()), ("scope", within.as_str())];
            answers.push(app.post("/oauth2/token").form(&form).basic(&web.id, &web.secret).send().await);
            let part = url::form_urlencoded::byte_serialize(within.as_bytes()).collect::<String>();
            let spelled = secret.replace('_', "%5f");
            let twice = spelled.replace('%', "%25");
            let whole: String = within.bytes().map(|byte| format!("%25{byte:02X}")).collect();
            for place in [&part, &spelled, &format!("x{spelled}"), &twice, &twice.replace('%', "%2525"), &whole] {
                for path in ["/admin/v1/providers/{}", "/admin/v1/providers/default/clients/{}", "/p/{}/oauth2/token", "/{}/x"] {
                    answers.push(app.get(&path.replace("{}", place)).bearer(&app.first.owner_key).send().await);
                }
            }
        }
        let spelled = ["%5F", "%255f", "%25255F"].map(|underscore| secret.replace('_', underscore));
        for text in spelled.iter().chain([secret]) {
            for header in ["x-request-id", "user-agent", "referer", "host", "x-forwarded-for", "traceparent"] {
                answers.push(app.get("/admin/v1/providers/nobody").header(header, text).send().await);
            }
            answers.push(app.get(&format!("/admin/v1/providers/nobody?a=b+{text}&{text}")).send().await);
        }
        for sent in [format!("rid-{secret}"), format!("rid{secret}"), format!("1.{secret}"), "rid-of-somebody".to_owned()] {
            answers.push(app.get("/admin/v1/providers/nobody").header("x-request-id", &sent).send().await);
        }
        for answer in answers {
            assert!(answer.status >= 400, "{}", answer.text());
            let explained = app.admin("GET", &format!("/explain/{}", answer.header("x-request-id"))).send().await;
            assert!(explained.status == 200 && !explained.text().contains(secret.as_str()), "{}", explained.text());
        }
        app.tick().await;
        let (kept, lines) = (kept_texts(&app).await, lines());
        assert!(carries(&kept, "https://x.example/a-(looks like a secret)").is_some(), "what stands around it was not kept");
        assert!(carries(&lines, "GET /admin/v1/providers/(secret)").is_some(), "the access lines were not kept");
        assert!(carries(&lines, "sent-id=rid-of-somebody").is_some(), "no sent id is logged");
        // However its prefix was spelled.
        let body = secret.trim_start_matches("gs_");
        assert_eq!(carries(&kept, body), None, "an explanation carries a secret");
        assert_eq!(carries(&lines, body), None, "a log line carries a secret");
    }

    async fn no_credential_ever_stands_in_a_log_line_an_event_an_explanation_or_a_webhook(app: TestApp) {
        keep_lines();
        // So that every explanation is written, and read here.
        let setup = Setup { environment: &[("GRANTD_EXPLAIN_RATE", "10000")], ..Setup::default() };
        let app = app.started_again_as(setup).await;
        let receiver = Origin::always(Reply::status(500));
        let hook = json!({"url": receiver.base, "events": ["*"]});
        let hook = app.admin("POST", "/webhooks").json(&hook).send().await.json();
        let hook_secret = text(&hook, "secret");
        const CHOSEN: &str = "a chosen secret of thirty-two characters and more";
        const WRONG: &str = "a wrong secret that somebody tried in vain today";
        let signer = Signer::es256();
        let generated = app.client(json!({})).await;
        let opaque = app.client(json!({"access_token_format": "opaque"})).await;
        let chosen = app.client(json!({"client_secret": CHOSEN})).await;
        let fields = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [signer.jwk("k1")]}});
        let asserting = app.client(fields).await;
        let key = app.api_key(json!({"role": "admin", "name": "k"})).await;
        let added = app.admin("POST", &format!("/providers/default/clients/{}/secrets", generated.id)).send().await.json();
        let added = added["client_secret"].as_str().unwrap().to_owned();
        let claims = json!({"iss": asserting.id, "sub": asserting.id, "aud": ISSUER, "exp": app.now() + 60, "jti": "j"});
        let assertion = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &claims);
        let mut secrets = vec![
            app.first.owner_key.clone(), app.first.client_secret.clone(), generated.secret.clone(), opaque.secret.clone(), added.clone(),
            CHOSEN.to_owned(), WRONG.to_owned(), key.clone(), assertion.clone(), assertion.rsplit('.').next().unwrap().to_owned(),
        ];
        let grant = ("grant_type", "client_credentials");
        for (id, secret) in [(&generated.id, &generated.secret), (&generated.id, &added), (&opaque.id, &opaque.secret), (&chosen.id, &CHOSEN.to_owned())] {
            for path in ["/oauth2/token", "/api/v2/token"] {
                let answer = app.post(path).form(&[grant]).basic(id, secret).send().await;
                secrets.push(answer.json()["access_token"].as_str().unwrap().to_owned());
                let query = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
                app.post(&format!("{path}?client_secret={query}")).form(&[grant]).send().await;
                app.post(path).form(&[grant, ("client_id", id), ("client_secret", secret)]).basic(id, secret).send().await;
                app.post(path).form(&[grant, ("client_id", secret)]).send().await;
                app.post(path).body("text/plain", secret).basic(id, WRONG).send().await;
            }
            let body = json!({"grantType": "app_token", "appID": id, "appSecret": secret});
            let answer = app.post("/api/v1/token").json(&body).send().await;
            secrets.push(answer.json()["accessToken"].as_str().unwrap().to_owned());
            let answer = app.post("/v1/k8s/auth/oauth/apptoken").json(&json!({"id": id, "name": "x", "secret": secret})).send().await.json();
            secrets.extend(["access_token", "id_token"].map(|name| answer[name].as_str().unwrap().to_owned()));
            app.post("/api/v1/token").body("application/json", format!("{{\"appSecret\": \"{secret}\"")).send().await;
            app.post("/api/v1/token").json(&json!({"grantType": secret, "appID": WRONG, "appSecret": WRONG, "password": WRONG})).send().await;
        }
        secrets.extend(use_token_surfaces(&app, &key, &generated).await);
        // Before so many have failed that nobody behind this address is looked at any more.
        for _ in 0..30 {
            app.post("/oauth2/token").form(&[grant]).basic(&chosen.id, WRONG).send().await;
        }
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        for _ in 0..2 {
            app.post("/oauth2/token").form(&[grant, ("client_assertion_type", kind), ("client_assertion", &assertion)]).send().await;
        }
        let (web, who) = (app.web_client(json!({})).await, app.logged_in("ada").await);
        for wish in [Wish::default(), Wish { scope: "openid", ..Wish::default() }] {
            let code = app.code(&web, &who, &wish).await;
            let answer = app.redeem("", &web, &code).await.json();
            let tokens = ["access_token", "id_token", "refresh_token"].map(|name| text(&answer, name));
            let renewed = text(&app.refresh("", &web, &tokens[2]).await.json(), "refresh_token");
            app.userinfo(&tokens[0]).await;
            app.get(&format!("/oauth2/userinfo?access_token={}", tokens[0])).send().await;
            // Replays, which are told of.
            app.redeem("", &web, &code).await;
            app.pass(3600);
            app.refresh("", &web, &tokens[2]).await;
            app.refresh("", &opaque, &renewed).await;
            secrets.extend([code, renewed].into_iter().chain(tokens));
        }
        for (username, password) in [("ada", PASSWORD), ("ada", WRONG), (WRONG, WRONG)] {
            let body = json!({"grantType": "password", "username": username, "password": password});
            app.post("/api/v1/token").json(&body).send().await;
            let form = [("grant_type", "password"), ("username", username), ("password", password)];
            app.post("/oauth2/token").form(&form).basic(&web.id, &web.secret).send().await;
        }
        secrets.push(PASSWORD.to_owned());
        let mut statuses = Vec::new();
        for token in secrets.clone() {
            for bearer in [&app.first.owner_key, &key, &token, &format!("{key}x")] {
                for (path, form) in [("/oauth2/introspect", [("token", token.as_str())]), ("/oauth2/revoke", [("token", token.as_str())])] {
                    statuses.push(app.post(path).form(&form).bearer(bearer).send().await.status);
                }
                app.get("/admin/v1/providers").bearer(bearer).header("x-request-id", &token).send().await;
                app.get("/metrics").bearer(bearer).send().await;
            }
            app.post("/admin/v1/api-keys").bearer(&app.first.owner_key).json(&json!({"name": 7, "key": token, "role": token})).send().await;
            app.post("/admin/v1/providers/default/clients").bearer(&key).json(&json!({"client_secret": &token[..9], "subject": "ä", "nonsense": token})).send().await;
        }
        log_people_in(&app).await;
        secrets.extend([PASSWORD, HASH, &HASH[20..], "a wrong password of somebody", "somebody-typed-this"].map(str::to_owned));
        app.poll().await;
        app.tick().await;
        app.engine.clean_up(grantd::domain::Wall::now(&app.wall)).await.unwrap();
        assert!(statuses.contains(&200) && statuses.contains(&401));
        let id = text(&hook, "id").as_str().into();
        assert!(app.engine.tell_webhook(&id, app.context().now).await.unwrap() > 0);
        secrets.push(hook_secret);
        let kept = [kept_texts(&app).await, receiver.asked().iter().map(|told| format!("{told:?}")).collect()].concat();
        for named in ["client.created", "client.secret_known", "webhook-signature"] {
            assert!(carries(&kept, named).is_some(), "{named} was not kept");
        }
        for secret in &secrets {
            assert_eq!(carries(&kept, secret), None, "an event, an explanation or a webhook carries a secret");
        }
        let lines = lines();
        assert!(carries(&lines, "/oauth2/token 200").is_some(), "the access lines were not kept");
        assert!(carries(&lines, &chosen.id).is_some(), "the refusals were not kept");
        assert!(carries(&lines, "somebody unknown: nobody's name").is_some(), "the failed logins were not kept");
        for secret in &secrets {
            // Our own `sent-id` takes what looks like an id; a secret of ours does not.
            assert_eq!(carries(&lines, secret), None, "a log line carries a secret");
        }
    }
}
