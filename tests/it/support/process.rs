//! The real binary on real sockets: a home of its own for every test, servers that are killed when
//! their test ends, commands that are run to their end.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use grantd::domain::clock::{deadline_in, monotonic};
use grantd::store::{Db, StoreOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::Http;
use crate::support::databases::{Kind, TestDb};

/// The owner key of homes that bring one.
pub const OWNER: &str = "an-owner-key-for-the-process-tests-only";
/// 32 bytes.
pub const MASTER: &str = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
/// The issuer of homes: the same at every start, whatever the port.
pub const ISSUER: &str = "http://localhost:4545";

/// An empty folder, a database of its own and the configuration of what is started there.
pub struct Home {
    pub kind: Kind,
    pub env: BTreeMap<String, String>,
    place: Arc<Place>,
}

/// A home whose first run is behind it, for [`on_each!`].
pub struct Installed(Home);

impl Installed {
    pub fn on(kind: Kind) -> Self {
        Self(Home::on(kind).migrated())
    }
}

impl std::ops::Deref for Installed {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.0
    }
}

/// Kept by the home and by every server in it: whichever ends last.
struct Place {
    folder: TempDir,
    started: AtomicU32,
    postgres: Option<TestDb>,
}

/// A command that came to its end.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// A server that runs until its value ends.
pub struct Server {
    pub http: Http,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
    _place: Arc<Place>,
}

/// What the first start prints.
pub struct FirstRun {
    pub api_key: String,
    pub client_id: String,
    pub client_secret: String,
    pub curl: String,
}

impl Home {
    /// Nothing configured but what this database needs.
    pub fn bare(kind: Kind) -> Self {
        let mut env = BTreeMap::from([("GRANTD_LISTEN".to_owned(), "127.0.0.1:0".to_owned())]);
        let postgres = (kind == Kind::Postgres).then(|| TestDb::empty(kind));
        if let Some(database) = &postgres {
            env.insert("GRANTD_DATABASE_URL".to_owned(), database.options().url);
            env.insert("GRANTD_MASTER_KEY".to_owned(), MASTER.to_owned());
        }
        let folder = tempfile::Builder::new().prefix("grantd-home-").tempdir().expect("no temporary folder");
        Self { kind, env, place: Arc::new(Place { folder, started: AtomicU32::new(0), postgres }) }
    }

    /// With an owner key and an issuer that outlives restarts.
    pub fn on(kind: Kind) -> Self {
        Self::bare(kind).with("GRANTD_ADMIN_KEY", OWNER).with("GRANTD_PUBLIC_URL", ISSUER)
    }

    /// With its first run behind it; no server runs. Commands make no installation.
    pub fn migrated(self) -> Self {
        let ran = self.run(&["migrate"]);
        assert!(ran.status.success(), "{ran:?}");
        self
    }

    /// The same folder and database, for another configuration.
    pub fn again(&self) -> Self {
        Self { kind: self.kind, env: self.env.clone(), place: Arc::clone(&self.place) }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.env.remove(name);
        self
    }

    pub fn folder(&self) -> &Path {
        self.place.folder.path()
    }

    pub fn database(&self) -> &TestDb {
        self.place.postgres.as_ref().expect("a home on PostgreSQL")
    }

    /// SQL past the server, on the database of this home.
    pub fn execute(&self, sql: &str) {
        let options = match self.kind {
            Kind::Sqlite => StoreOptions {
                url: format!("sqlite://{}/data/grantd.db", self.folder().display()),
                ..StoreOptions::default()
            },
            Kind::Postgres => self.database().options(),
        };
        Db::migrate(&options, |tx| Ok(tx.batch_execute(sql)?)).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The binary with these arguments, in this home and with nothing of the caller's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grantd"));
        command.args(arguments).current_dir(self.folder()).env_clear().envs(&self.env).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().expect("the binary does not start");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ran { status: output.status, stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Runs a command that must succeed with `--json` and gives what it printed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        assert!(ran.status.success(), "{arguments:?}: {ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}\n{}", ran.stdout))
    }

    /// A server that is ready.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, arguments: &[&str]) -> Server {
        let mut server = self.spawn(arguments);
        let deadline = deadline_in(Duration::from_secs(30));
        let address = loop {
            if let Some(address) = address_in(&server.stderr()) {
                break address;
            }
            server.assert_running();
            assert!(monotonic() < deadline, "no address in the log:\n{}", server.stderr());
            pause();
        };
        server.http = Http::to(&format!("http://{address}"));
        until("the server is ready", Duration::from_secs(30), || server.http.get("/readyz").status == 200);
        server
    }

    /// A server as it is started, not waited for.
    pub fn spawn(&self, arguments: &[&str]) -> Server {
        let number = self.place.started.fetch_add(1, Ordering::Relaxed);
        let path = |name: &str| self.folder().join(format!("{name}.{number}"));
        let (stdout, stderr) = (path("out"), path("err"));
        let file = |path: &Path| File::create(path).expect("no file for the output");
        let mut command = self.command(&[&["serve"], arguments].concat());
        let child = command.stdout(file(&stdout)).stderr(file(&stderr)).spawn().expect("the binary does not start");
        let place = Arc::clone(&self.place);
        Server { http: Http::to("http://nowhere.invalid"), child, stdout, stderr, _place: place }
    }

    /// A start that must be refused: it ends by itself, with status 1. Its standard error.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let mut server = self.spawn(arguments);
        let status = server.ended(Duration::from_secs(20));
        assert_eq!(status.code(), Some(1), "{}", server.stderr());
        assert_eq!(server.stdout(), "", "a refused start prints nothing to stdout");
        server.stderr()
    }
}

impl Server {
    pub fn stdout(&self) -> String {
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the first start printed.
    pub fn first_run(&self) -> FirstRun {
        let printed = self.stdout();
        let after = |label: &str| {
            let line = printed.lines().map(str::trim).find(|line| line.starts_with(label));
            let line = line.unwrap_or_else(|| panic!("no line with {label}:\n{printed}"));
            line.rsplit(' ').next().unwrap().to_owned()
        };
        let curl = printed.lines().find(|line| line.starts_with("curl")).expect("a line that begins with curl");
        FirstRun {
            api_key: after("owner API key"),
            client_id: after("client first-service"),
            client_secret: after("its secret"),
            curl: curl.to_owned(),
        }
    }

    /// The access lines of a path, oldest first.
    pub fn access_lines(&self, path: &str) -> Vec<String> {
        let path = format!(" {path} ");
        self.stderr()
            .lines()
            .filter(|line| line.contains(" access ") && line.contains(&path))
            .map(str::to_owned)
            .collect()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status();
        assert!(status.expect("no kill").success());
    }

    /// `kill -9`, and gone when this returns.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM, and how it ended.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended(Duration::from_secs(12))
    }

    /// Waits for its end.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let deadline = deadline_in(within);
        loop {
            if let Some(status) = self.child.try_wait().expect("no child") {
                return status;
            }
            assert!(monotonic() < deadline, "it still runs:\n{}", self.stderr());
            pause();
        }
    }

    fn assert_running(&mut self) {
        let ended = self.child.try_wait().expect("no child");
        assert!(ended.is_none(), "the server ended ({ended:?}):\n{}", self.stderr());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.stderr();
            let from = log.lines().count().saturating_sub(60);
            eprintln!("-- the last lines of the server's log --");
            log.lines().skip(from).for_each(|line| eprintln!("{line}"));
        }
    }
}

/// `listening on 127.0.0.1:34567, issuer …`.
fn address_in(log: &str) -> Option<String> {
    let rest = log.split("listening on ").nth(1)?;
    rest.split_once(',').map(|(address, _)| address.to_owned())
}

/// Asks again until it holds; panics after `within`.
pub fn until(what: &str, within: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = deadline_in(within);
    while !holds() {
        assert!(monotonic() < deadline, "after {within:?} it is still not so: {what}");
        pause();
    }
}

/// Seconds since `began`.
pub fn seconds_since(began: Instant) -> f64 {
    monotonic().duration_since(began).as_secs_f64()
}

/// Between two questions of a poll: what is waited for happens in another process.
pub fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// One module a test, with the same test on both databases: the argument is made by `Type::on`.
macro_rules! on_each {
    ($( $(#[$attribute:meta])* fn $name:ident($argument:ident: $type:ident) $body:block )+) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;

                $(#[$attribute])*
                fn test($argument: $type) $body

                #[test]
                fn sqlite() {
                    test($type::on($crate::support::databases::Kind::Sqlite));
                }

                #[test]
                fn postgres() {
                    test($type::on($crate::support::databases::Kind::Postgres));
                }
            }
        )+
    };
}
pub(crate) use on_each;
