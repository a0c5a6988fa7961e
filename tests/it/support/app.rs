//! A whole application in process: the real router on a real database that has had the real first
//! run, a wall clock that tests move, and no timers: tests call `poll` and `tick` themselves.
//!
//! ```text
//! on_both_apps! {
//!     async fn a_secret_that_was_revoked_is_refused(app: TestApp) { … }
//! }
//! ```

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::test::TestRequest;
use actix_web::{App, test, web};
use grantd::app::{Opened, Purpose, Services, StartFlags, engine_options};
use grantd::config::{self, Inputs, Settings};
use grantd::crypto::{MasterKey, Random};
use grantd::domain::clock::deadline_in;
use grantd::domain::{Context, Effect, Fault, UnixTime, Wall};
use grantd::engine::clocks::DatabaseClock;
use grantd::engine::first_run::{self, Start};
use grantd::engine::{Engine, EngineOptions};
use grantd::store::{Conn, Db, StoreOptions};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::support::databases::{Kind, Template, TestDb, soon};
use crate::support::dns::dns;
use crate::support::http::Call;
use crate::support::plans::OF_A_TEST;

/// The issuer of provider `default`.
pub const ISSUER: &str = "https://id.example.com";
/// When every test begins, epoch seconds.
pub const BEGIN: i64 = 1_800_000_000;
pub const MASTER_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const A_LONG_TIME: Duration = Duration::from_secs(86_400);
/// Every table there is; what waits to be written (`usage`) only moves at a tick.
pub const TABLES: [&str; 37] = [
    "api_key_secrets",
    "meta",
    "data_keys",
    "providers",
    "provider_issuers",
    "provider_domains",
    "signing_keys",
    "scopes",
    "clients",
    "client_secrets",
    "api_keys",
    "revoked",
    "assertion_jtis",
    "spent_tokens",
    "events",
    "change_log",
    "usage",
    "users",
    "user_links",
    "login_failures",
    "sessions",
    "session_clients",
    "logout_deliveries",
    "consents",
    "authorization_codes",
    "refresh_families",
    "trusted_issuers",
    "tenants",
    "trust_policies",
    "idempotency_keys",
    "provider_roles",
    "provider_groups",
    "webhooks",
    "webhook_patterns",
    "webhook_deliveries",
    "explanations",
    "principal_names",
];

/// The wall clock of a test.
#[derive(Clone)]
pub struct TestWall(Arc<AtomicI64>);

impl TestWall {
    fn at(time: UnixTime) -> Self {
        Self(Arc::new(AtomicI64::new(time.millis())))
    }

    /// Moves this clock alone, or all that share it.
    pub fn step(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Wall for TestWall {
    fn now(&self) -> UnixTime {
        UnixTime::from_millis(self.0.load(Ordering::SeqCst))
    }
}

type Answering = Pin<Box<dyn Future<Output = ServiceResponse>>>;
type Mounted = Rc<dyn Fn(TestRequest) -> Answering>;

/// What the first run printed once.
#[derive(Clone)]
pub struct First {
    pub owner_key: String,
    pub client_id: String,
    pub client_secret: String,
}

/// How an application differs from the usual one.
#[derive(Clone, Copy)]
pub struct Setup {
    pub public_url: &'static str,
    pub stale_after: Duration,
    /// How long both clocks are watched before anything is cleaned up.
    pub sweep_watch: Duration,
    /// The real clock of the database instead of the one that tests move.
    pub real_database_clock: bool,
    pub login_floor: Duration,
    /// Password hashes that may wait for one of two lanes.
    pub hash_queue: &'static str,
    /// The host the Run:ai surface is bound to; empty: any.
    pub runai_host: &'static str,
    /// `forward_auth.method`.
    pub forward_auth_method: &'static str,
    /// Variables beside those that every test has.
    pub environment: &'static [(&'static str, &'static str)],
    /// Routes beside the real ones.
    pub routes: fn(&mut web::ServiceConfig),
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            public_url: ISSUER,
            stale_after: A_LONG_TIME,
            sweep_watch: Duration::ZERO,
            real_database_clock: false,
            login_floor: Duration::ZERO,
            hash_queue: "64",
            runai_host: "",
            forward_auth_method: "x-forwarded-method",
            environment: &[],
            routes: |_| {},
        }
    }
}

#[derive(Clone)]
pub struct TestApp {
    pub kind: Kind,
    pub engine: Engine,
    pub services: Services,
    pub wall: TestWall,
    /// The clock of the database.
    pub theirs: TestWall,
    pub first: First,
    db: Rc<TestDb>,
    mounted: Mounted,
}

/// A client that the admin API made.
#[derive(Clone)]
pub struct TestClient {
    pub id: String,
    /// Empty for clients without one.
    pub secret: String,
    pub body: Value,
}

impl TestApp {
    pub async fn start(kind: Kind) -> Self {
        Self::start_as(kind, Setup::default()).await
    }

    pub async fn start_as(kind: Kind, setup: Setup) -> Self {
        let wall = TestWall::at(UnixTime::from_seconds(BEGIN));
        let (template, first) = installed(kind);
        Self::open(Rc::new(template.copy()), (wall.clone(), wall), first, setup).await
    }

    /// On a database that something has been done to before.
    pub async fn start_after(kind: Kind, prepare: impl FnOnce(&TestDb)) -> Self {
        let wall = TestWall::at(UnixTime::from_seconds(BEGIN));
        let (template, first) = installed(kind);
        let db = template.copy();
        prepare(&db);
        Self::open(Rc::new(db), (wall.clone(), wall), first, Setup::default()).await
    }

    /// The name of its PostgreSQL database.
    pub fn database(&self) -> &str {
        self.db.database()
    }

    /// Where its database is.
    pub fn url(&self) -> String {
        self.db.options().url
    }

    /// Another node: its own caches, the same database and clock.
    pub async fn second_node(&self) -> Self {
        Self::open(Rc::clone(&self.db), self.clocks(), self.first.clone(), Setup::default()).await
    }

    /// Another node on the same database, with a clock of its own that is `ahead` seconds off.
    pub async fn second_node_ahead(&self, ahead: i64) -> Self {
        let own = TestWall::at(self.theirs.now().plus_seconds(ahead));
        let clocks = (own, self.theirs.clone());
        Self::open(Rc::clone(&self.db), clocks, self.first.clone(), Setup::default()).await
    }

    fn clocks(&self) -> (TestWall, TestWall) {
        (self.wall.clone(), self.theirs.clone())
    }

    /// A later start on the same database, with another setup.
    pub async fn started_again_as(&self, setup: Setup) -> Self {
        Self::open(Rc::clone(&self.db), self.clocks(), self.first.clone(), setup).await
    }

    /// Why a later start on the same database, with another setup, is refused.
    pub async fn refused_as(&self, setup: Setup) -> String {
        let opened = Self::try_open(Rc::clone(&self.db), self.clocks(), self.first.clone(), setup).await;
        opened.err().expect("the application opens")
    }

    async fn open(db: Rc<TestDb>, clocks: (TestWall, TestWall), first: First, setup: Setup) -> Self {
        let opened = Self::try_open(db, clocks, first, setup).await;
        opened.unwrap_or_else(|error| panic!("the application does not open: {error}"))
    }

    async fn try_open(
        db: Rc<TestDb>,
        (wall, theirs): (TestWall, TestWall),
        first: First,
        setup: Setup,
    ) -> Result<Self, String> {
        let settings = settings(&setup);
        let Setup { stale_after, sweep_watch, login_floor, .. } = setup;
        let database_clock = match setup.real_database_clock {
            true => DatabaseClock::Asked,
            false => DatabaseClock::Given(Arc::new(theirs.clone())),
        };
        let options =
            EngineOptions { stale_after, sweep_watch, database_clock, login_floor, ..engine_options(&settings) };
        let (clock, random) = (Arc::new(wall.clone()) as Arc<dyn Wall>, Random::system());
        let flags = StartFlags { new_issuer: true };
        let purpose = if setup.public_url == ISSUER { Purpose::Manage } else { Purpose::Serve };
        let how = (8080, flags, purpose);
        let opened = Opened::open(&settings, &db.options(), &options, &clock, random.clone(), how).await;
        let opened = opened.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error}: {}", cause.unwrap_or_default())
        })?;
        let services = Services::new(&settings, opened.engine.clone(), &clock, random, opened.public_url.path());
        let mounted = mount(&services, setup.routes).await;
        Ok(Self { kind: db.kind, engine: opened.engine, services, wall, theirs, first, db, mounted })
    }

    /// The answer of the router to a request.
    pub async fn answer(&self, request: TestRequest) -> ServiceResponse {
        (self.mounted)(request).await
    }

    pub fn get(&self, path: &str) -> Call<'_> {
        Call::new(self, "GET", path)
    }

    pub fn post(&self, path: &str) -> Call<'_> {
        Call::new(self, "POST", path)
    }

    pub fn call(&self, method: &str, path: &str) -> Call<'_> {
        Call::new(self, method, path)
    }

    /// A call to `/admin/v1` by the owner key.
    pub fn admin(&self, method: &str, path: &str) -> Call<'_> {
        self.call(method, &format!("/admin/v1{path}")).bearer(&self.first.owner_key)
    }

    /// Makes a client of provider `default`.
    pub async fn client(&self, fields: Value) -> TestClient {
        self.client_of("default", fields).await
    }

    pub async fn client_of(&self, provider: &str, fields: Value) -> TestClient {
        let answer = self.admin("POST", &format!("/providers/{provider}/clients")).json(&fields).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        TestClient { id: text("client_id"), secret: text("client_secret"), body: body.clone() }
    }

    /// Changes a client of provider `default`.
    pub async fn change(&self, client: &TestClient, fields: Value) {
        let path = format!("/providers/default/clients/{}", client.id);
        let answer = self.admin("PATCH", &path).json(&fields).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    pub async fn provider(&self, slug: &str, mut fields: Value) -> Value {
        fields["slug"] = json!(slug);
        let answer = self.admin("POST", "/providers").json(&fields).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// Makes an API key; its text.
    pub async fn api_key(&self, fields: Value) -> String {
        let answer = self.admin("POST", "/api-keys").json(&fields).send().await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["key"].as_str().unwrap().to_owned()
    }

    /// A token of this client, which must be granted.
    pub async fn token(&self, client: &TestClient) -> String {
        self.token_at("", client).await
    }

    /// As [`Self::token`], below a path such as `/p/acme`.
    pub async fn token_at(&self, base: &str, client: &TestClient) -> String {
        let call = self.post(&format!("{base}/oauth2/token")).form(&[("grant_type", "client_credentials")]);
        let answer = call.basic(&client.id, &client.secret).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// What introspection says of a token to the owner key.
    pub async fn introspected(&self, token: &str) -> Value {
        let call = self.post("/oauth2/introspect").form(&[("token", token)]);
        let answer = call.bearer(&self.first.owner_key).send().await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub async fn is_active(&self, token: &str) -> bool {
        self.introspected(token).await["active"] == json!(true)
    }

    /// Moves the wall clock.
    pub fn pass(&self, seconds: i64) {
        self.wall.step(seconds);
    }

    pub fn now(&self) -> i64 {
        self.wall.now().seconds()
    }

    /// What the timer does four times a second.
    pub async fn poll(&self) {
        self.engine.poll_changes(self.wall.now()).await.unwrap();
    }

    /// What the timer does once a second.
    pub async fn tick(&self) {
        self.engine.tick(self.wall.now()).await.unwrap();
    }

    /// A context for calls to the engine itself.
    pub fn context(&self) -> Context {
        Context {
            request_id: "test".to_owned(),
            client_address: std::net::Ipv4Addr::LOCALHOST.into(),
            now: self.wall.now(),
            deadline: deadline_in(Duration::from_secs(20)),
            surface: "oauth2",
            domain: None,
            effect: Effect::Commit,
            trail: grantd::domain::Trail::default(),
        }
    }

    /// How many rows every table has.
    pub async fn rows(&self) -> Vec<(&'static str, i64)> {
        self.db
            .db()
            .read(soon(), |conn| TABLES.iter().map(|table| Ok((*table, count(conn, table)?))).collect())
            .await
            .unwrap()
    }
}

/// How many rows a table has.
pub fn count(conn: &mut Conn, table: &str) -> Result<i64, Fault> {
    let sql = format!("{OF_A_TEST}SELECT count(*) FROM {table}");
    let query = diesel::dsl::sql::<diesel::sql_types::BigInt>(&sql);
    Ok(match conn {
        Conn::Sqlite(conn) => diesel::RunQueryDsl::get_result(query, conn)?,
        Conn::Postgres(conn) => diesel::RunQueryDsl::get_result(query, conn)?,
    })
}

async fn mount(services: &Services, routes: fn(&mut web::ServiceConfig)) -> Mounted {
    let app = App::new().configure(routes).configure(|config| services.mount(config));
    let service = Rc::new(test::init_service(app).await);
    Rc::new(move |request| {
        let service = Rc::clone(&service);
        Box::pin(async move { test::call_service(&*service, request.to_request()).await.map_into_boxed_body() })
    })
}

fn settings(setup: &Setup) -> Settings {
    let mut inputs = Inputs { directory: PathBuf::from("/nonexistent"), ..Inputs::default() };
    let resolver = dns().address.to_string();
    let variables = [
        ("GRANTD_PUBLIC_URL", setup.public_url),
        ("GRANTD_MASTER_KEY", MASTER_KEY),
        // Never opened: the test database's own options are.
        ("GRANTD_DATABASE_URL", "postgres:///unused"),
        // Where tests run the servers of others.
        ("GRANTD_UPSTREAM__ALLOW_NETWORKS", "127.0.0.1"),
        ("GRANTD_UPSTREAM__TIMEOUT_MS", "2000"),
        ("GRANTD_PASSWORDS__MEMORY_KIB", "8"),
        ("GRANTD_PASSWORDS__ITERATIONS", "1"),
        ("GRANTD_PASSWORDS__LANES", "2"),
        ("GRANTD_PASSWORDS__QUEUE", setup.hash_queue),
        ("GRANTD_DNS__RESOLVER", &resolver),
        ("GRANTD_DNS__TIMEOUT_MS", "1000"),
        ("GRANTD_SURFACES__RUNAI__HOST", setup.runai_host),
        ("GRANTD_FORWARD_AUTH__METHOD", setup.forward_auth_method),
    ];
    let given = variables.iter().chain(setup.environment).filter(|(_, value)| !value.is_empty());
    inputs.environment = given.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    config::load(&inputs).unwrap_or_else(|error| panic!("{error}")).settings
}

/// The template with a first run behind it, and what that run printed.
fn installed(kind: Kind) -> (&'static Template, First) {
    static FIRST: Mutex<Vec<(Kind, First)>> = Mutex::new(Vec::new());
    let template = Template::named("first_run", kind, |options| {
        let first = do_first_run(options);
        FIRST.lock().unwrap().push((kind, first));
    });
    let known = FIRST.lock().unwrap();
    let (_, first) = known.iter().find(|(known, _)| *known == kind).expect("the template has no first run");
    (template, first.clone())
}

fn do_first_run(options: &StoreOptions) -> First {
    let start = Start {
        now: UnixTime::from_seconds(BEGIN),
        public_url: ISSUER.to_owned(),
        is_loopback: false,
        check_issuer: true,
        new_issuer: false,
        brings_admin_key: false,
        master_key_is_new: true,
    };
    let (master, random) = (MasterKey::from_base64(&MASTER_KEY.into()).unwrap(), Random::system());
    let started = Db::migrate(options, |tx| first_run::start(tx, &master, &random, &start)).expect("no first run");
    let made = started.first.and_then(|first| first.credentials).expect("the first run made no credentials");
    First {
        owner_key: made.api_key.expose_secret().to_owned(),
        client_id: made.client_id.to_string(),
        client_secret: made.client_secret.expose_secret().to_owned(),
    }
}

/// One module a test, with the same test on both databases.
macro_rules! on_both_apps {
    ($( $(#[$attribute:meta])* async fn $name:ident($app:ident: TestApp) $body:block )+) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;
                use $crate::support::app::TestApp;
                use $crate::support::databases::{Kind, block_on};

                $(#[$attribute])*
                async fn test($app: TestApp) $body

                #[test]
                fn sqlite() {
                    block_on(async { test(TestApp::start(Kind::Sqlite).await).await });
                }

                #[test]
                fn postgres() {
                    block_on(async { test(TestApp::start(Kind::Postgres).await).await });
                }
            }
        )+
    };
}
pub(crate) use on_both_apps;
