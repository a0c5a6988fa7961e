//! Databases for tests: the same test on SQLite and on PostgreSQL, each with a database of its own
//! that is a copy of a template made once per process.
//!
//! ```text
//! on_both! {
//!     async fn a_code_is_spent_once(db: TestDb) { … }
//! }
//! ```
//!
//! gives `a_code_is_spent_once::sqlite` and `a_code_is_spent_once::postgres`. A suite that needs
//! more than migrated tables makes a [`Template`] of its own and copies that.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use grantd::domain::clock::deadline_in;
use grantd::store::{Db, StatementLog, StoreOptions};
use tempfile::TempDir;

use crate::support::at_end::{AtEnd, at_end};
use crate::support::plans::judge;
use crate::support::{copies, postgres};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// A database that is made once and copied for every test.
pub struct Template {
    kind: Kind,
    /// SQLite: the file. PostgreSQL: the name of the database.
    place: String,
}

/// A database of one test. It ends with the value.
pub struct TestDb {
    pub kind: Kind,
    options: StoreOptions,
    database: Option<String>,
    _folder: Option<TempDir>,
    opened: OnceLock<Db>,
}

impl Template {
    /// The template with this name, built by the first caller in this process. `build` gets the
    /// options of an empty database and leaves no connection open.
    pub fn named(name: &'static str, kind: Kind, build: impl FnOnce(&StoreOptions)) -> &'static Self {
        static BUILT: Mutex<Vec<(&'static str, &'static Template)>> = Mutex::new(Vec::new());
        // Held while building: the second caller waits for the first one's work.
        let mut built = BUILT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = built.iter().find(|(known, template)| *known == name && template.kind == kind);
        if let Some((_, template)) = known {
            return template;
        }
        let template: &'static Self = Box::leak(Box::new(Self::build(name, kind, build)));
        built.push((name, template));
        template
    }

    /// Tables and nothing in them.
    pub fn migrated(kind: Kind) -> &'static Self {
        Self::named("migrated", kind, |options| Db::migrate(options, |_| Ok(())).expect("the migrations fail"))
    }

    fn build(name: &str, kind: Kind, build: impl FnOnce(&StoreOptions)) -> Self {
        let place = match kind {
            Kind::Sqlite => scratch().join(format!("{name}.db")).display().to_string(),
            Kind::Postgres => {
                let database = format!("template_{name}");
                postgres::server().execute(&format!("CREATE DATABASE {database}"));
                database
            }
        };
        let template = Self { kind, place };
        build(&options(kind, &template.place));
        template
    }

    /// A copy for one test.
    pub fn copy(&self) -> TestDb {
        match self.kind {
            Kind::Sqlite => {
                let (file, folder) = self.copied_file();
                TestDb::new(self.kind, options(self.kind, &file.display().to_string()), None, Some(folder))
            }
            Kind::Postgres => {
                let database = copies::copy_of(&self.place);
                TestDb::new(self.kind, options(self.kind, &database), Some(database), None)
            }
        }
    }

    /// Path or URL of a copy that stays until the process ends.
    pub fn place_of_copy(&self) -> String {
        match self.kind {
            Kind::Sqlite => {
                let (file, folder) = self.copied_file();
                drop(folder.keep());
                file.display().to_string()
            }
            Kind::Postgres => postgres::server().url(&copies::copy_of(&self.place)),
        }
    }

    fn copied_file(&self) -> (PathBuf, TempDir) {
        let folder = tempfile::tempdir_in(scratch()).expect("no temporary folder");
        let file = folder.path().join("grantd.db");
        std::fs::copy(&self.place, &file).expect("the template is missing");
        (file, folder)
    }
}

impl TestDb {
    fn new(kind: Kind, options: StoreOptions, database: Option<String>, folder: Option<TempDir>) -> Self {
        Self { kind, options, database, _folder: folder, opened: OnceLock::new() }
    }

    /// A migrated database.
    pub fn migrated(kind: Kind) -> Self {
        Template::migrated(kind).copy()
    }

    /// An empty one, for tests of the migrations themselves.
    pub fn empty(kind: Kind) -> Self {
        Template::named("empty", kind, |options| {
            if kind == Kind::Sqlite {
                let path = options.url.strip_prefix("sqlite://").expect("a SQLite URL");
                std::fs::File::create(path).expect("no temporary file");
            }
        })
        .copy()
    }

    /// How to reach it, for another `Db` or a whole application on the same database.
    pub fn options(&self) -> StoreOptions {
        self.options.clone()
    }

    /// The store on it, opened when first asked for; statements are counted.
    pub fn db(&self) -> &Db {
        self.opened.get_or_init(|| Db::open(&self.options).expect("the test database does not open"))
    }

    /// SQL past the store: what a test needs to break things.
    pub fn postgres_admin(&self, sql: &str) {
        postgres::server().execute(sql);
    }

    /// The name of the PostgreSQL database.
    pub fn database(&self) -> &str {
        self.database.as_deref().expect("a PostgreSQL database")
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        drop(self.opened.take());
        // A test that has failed already says why itself.
        let log = self.options.statement_log.take().filter(|_| !std::thread::panicking());
        let judged = log.map(|log| std::panic::catch_unwind(|| judge(self.kind, log.texts())));
        if let Some(database) = self.database.take() {
            copies::drop_behind(database);
        }
        if let Some(Err(refused)) = judged {
            std::panic::resume_unwind(refused);
        }
    }
}

fn options(kind: Kind, place: &str) -> StoreOptions {
    let url = match kind {
        Kind::Sqlite => format!("sqlite://{place}"),
        Kind::Postgres => postgres::server().url(place),
    };
    StoreOptions {
        url,
        readers: 4,
        durable: false,
        count_statements: true,
        statement_log: Some(StatementLog::default()),
        ..StoreOptions::default()
    }
}

/// The folder of this process for SQLite files.
fn scratch() -> &'static Path {
    static SCRATCH: OnceLock<(PathBuf, AtEnd)> = OnceLock::new();
    let (folder, _) = SCRATCH.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("grantd-test-").tempdir().expect("no temporary folder").keep();
        let remove = at_end(&format!("rm -rf {}", folder.display()));
        (folder, remove)
    });
    folder
}

/// Enough for anything that does not hang.
pub fn soon() -> Instant {
    deadline_in(Duration::from_secs(20))
}

/// Runs a test on an async runtime of its own.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
}

/// One module a test, with the same test on both databases.
macro_rules! on_both {
    ($( $(#[$attribute:meta])* async fn $name:ident($db:ident: TestDb) $body:block )+) => {
        $(
            mod $name {
                #[allow(unused_imports)]
                use super::*;
                use $crate::support::databases::{Kind, TestDb, block_on};

                $(#[$attribute])*
                async fn test($db: TestDb) $body

                #[test]
                fn sqlite() {
                    block_on(async { test(TestDb::migrated(Kind::Sqlite)).await });
                }

                #[test]
                fn postgres() {
                    block_on(async { test(TestDb::migrated(Kind::Postgres)).await });
                }
            }
        )+
    };
}
pub(crate) use on_both;
