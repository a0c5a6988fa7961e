//! A PostgreSQL server for the run of this test process: made by `initdb` when the first test asks
//! for it, listening on a unix socket in its own folder and nowhere else. It is as durable as
//! grantd demands of any server; a memory-backed folder makes that cheap.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

use crate::support::at_end::{AtEnd, at_end};
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Integer, Text};
use diesel::{Connection as _, PgConnection, RunQueryDsl as _};

/// What one statement has cost.
#[derive(diesel::QueryableByName)]
pub struct Cost {
    #[diesel(sql_type = Text)]
    pub text: String,
    #[diesel(sql_type = BigInt)]
    pub calls: i64,
    /// Blocks that were looked at, in memory or not.
    #[diesel(sql_type = BigInt)]
    pub blocks: i64,
}

pub struct Server {
    socket_folder: PathBuf,
    admin: Mutex<PgConnection>,
    /// ` STRATEGY file_copy` where it has to be said (from release 15 on): a tenth of the time.
    copy: &'static str,
    /// Stops the server when the pipe to it closes, so with this process, however it ends.
    _watcher: AtEnd,
}

/// The server of this process. Panics with a sentence when there is no PostgreSQL: a missing
/// database fails the run.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

impl Server {
    pub fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=postgres", self.socket_folder.display())
    }

    /// Runs SQL beside all tests: creating, dropping and altering databases.
    pub fn execute(&self, sql: &str) {
        execute(&mut self.admin.lock().unwrap_or_else(std::sync::PoisonError::into_inner), sql);
    }

    /// One more connection of the administrator.
    pub fn connect(&self) -> PgConnection {
        PgConnection::establish(&self.url("postgres")).expect("the test server does not answer")
    }

    /// What every statement has cost in a database since it was made or [`Self::forget_costs`].
    pub fn costs(&self, database: &str) -> Vec<Cost> {
        let sql = format!(
            "SELECT s.query AS text, sum(s.calls)::bigint AS calls, \
             sum(s.shared_blks_hit + s.shared_blks_read)::bigint AS blocks FROM pg_stat_statements s \
             JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = '{database}' GROUP BY s.query"
        );
        let mut admin = self.admin.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        diesel::sql_query(sql).load(&mut *admin).expect("the costs cannot be read")
    }

    pub fn forget_costs(&self, database: &str) {
        self.execute(&format!(
            "SELECT pg_stat_statements_reset(0, (SELECT oid FROM pg_database WHERE datname = '{database}'), 0)"
        ));
    }

    /// Makes `database` a copy of `template`, which nobody may be connected to.
    pub fn copy_database(&self, admin: &mut PgConnection, template: &str, database: &str) {
        execute(admin, &format!("CREATE DATABASE {database} TEMPLATE {template}{}", self.copy));
    }

    fn start() -> Self {
        let programs = programs();
        let folder = folder();
        let shown = folder.display().to_string();
        let data = folder.join("data");
        run(as_server_user(&programs.join("initdb"))
            .args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data));
        let settings = format!(
            "-c listen_addresses= -c unix_socket_directories={shown} -c max_connections=300 -c autovacuum=off \
             -c wal_level=minimal -c max_wal_senders=0 -c shared_buffers=64MB -c max_wal_size=256MB \
             -c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.max=50000"
        );
        let pg_ctl = programs.join("pg_ctl");
        // The watcher first: a run that is killed during the start leaves nothing behind either.
        let watcher = at_end(&stop_script(&pg_ctl, &data, &folder));
        let log = folder.join("log");
        run(as_server_user(&pg_ctl).arg("-D").arg(&data).arg("-l").arg(&log).args(["-w", "-o", &settings, "start"]));
        let url = format!("postgres:///postgres?host={shown}&user=postgres");
        let mut admin = PgConnection::establish(&url).expect("the test server does not answer");
        let version = diesel::dsl::sql::<Integer>("SELECT current_setting('server_version_num')::int");
        let version: i32 = version.get_result(&mut admin).expect("the test server has no version");
        admin
            .batch_execute("CREATE EXTENSION pg_stat_statements")
            .expect("PostgreSQL comes without its contrib modules");
        let copy = if version >= 150_000 { " STRATEGY file_copy" } else { "" };
        Self { socket_folder: folder, admin: Mutex::new(admin), copy, _watcher: watcher }
    }
}

pub fn execute(admin: &mut PgConnection, sql: &str) {
    admin.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// Where `initdb` and `pg_ctl` are: in PATH, or where Debian puts them; the newest wins.
fn programs() -> PathBuf {
    #[allow(clippy::disallowed_methods)] // a test asks where the machine keeps its programs
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|folder| folder.join("initdb").exists()).collect();
    if found.is_empty() {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        found = versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).collect();
        found.sort_by_key(|bin| std::cmp::Reverse(version_of(bin)));
    }
    found.into_iter().next().expect(
        "These tests need PostgreSQL: put initdb and pg_ctl into PATH or install the package postgresql \
         (./scripts/test does it on Debian and Ubuntu).",
    )
}

fn version_of(bin: &Path) -> u32 {
    let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
    version.and_then(|name| name.parse().ok()).unwrap_or(0)
}

/// A folder of our own, in memory when there is a gigabyte of it: `fsync` costs nothing there.
fn folder() -> PathBuf {
    let free = Command::new("df").args(["--output=avail", "-k", "/dev/shm"]).output();
    let free = free.ok().and_then(|out| String::from_utf8(out.stdout).ok());
    let kilobytes = free.and_then(|text| text.lines().last()?.trim().parse::<u64>().ok()).unwrap_or(0);
    let memory = if kilobytes > 1_000_000 { PathBuf::from("/dev/shm") } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("grantd-test-pg-").tempdir_in(memory).expect("no temporary folder");
    let folder = folder.keep(); // the watcher removes it
    if is_root() {
        run(Command::new("chown").arg(server_user()).arg(&folder));
    }
    folder
}

/// What stops the server and removes its folder.
fn stop_script(pg_ctl: &Path, data: &Path, folder: &Path) -> String {
    let user = if is_root() { format!("runuser -u {} --", server_user()) } else { String::new() };
    format!("{user} {} -D {} -m immediate stop; rm -rf {}", pg_ctl.display(), data.display(), folder.display())
}

/// PostgreSQL refuses to run as root.
fn as_server_user(program: &Path) -> Command {
    let mut command = if is_root() {
        let mut runuser = Command::new("runuser");
        runuser.args(["-u", server_user(), "--"]).arg(program);
        runuser
    } else {
        Command::new(program)
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn server_user() -> &'static str {
    let exists = |user: &&str| Command::new("id").args(["-u", user]).output().is_ok_and(|out| out.status.success());
    ["postgres"].into_iter().find(exists).unwrap_or("nobody")
}

fn is_root() -> bool {
    static ROOT: OnceLock<bool> = OnceLock::new();
    *ROOT.get_or_init(|| Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout.trim_ascii() == b"0"))
}

/// Output goes to a file and not to a pipe: the server inherits it and would keep a pipe open.
fn run(command: &mut Command) {
    let said = tempfile::NamedTempFile::new().expect("no temporary file");
    let out = said.reopen().expect("no temporary file");
    let status = command.stdout(out.try_clone().expect("no second handle")).stderr(out).status();
    let succeeded = status.as_ref().is_ok_and(std::process::ExitStatus::success);
    let text = std::fs::read_to_string(said.path()).unwrap_or_default();
    assert!(succeeded, "{command:?} failed ({status:?}):\n{text}");
}
